"""The benchmarks compare like with like: the peers' nets and images are those of tinynet, and the scripts run."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet.data.augmentations import Rotate, Shift, Zoom
from tinynet.nn.net import Net

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
NAMES = sorted(path.stem for path in (ROOT / "configs").glob("mnist-*.yaml") if "autoencoder" not in path.stem)

CONFIG = """\
name: blobs
dataset:
  NPZ: {path: blobs.npz, standardize: false}
layers:
  - Conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
  - ReLU
  - MaxPool2d: 2
  - Flatten
  - Linear: 2
loss: CrossEntropy
optimizer:
  SGD: {lr: 0.1, momentum: 0.9}
training: {epochs: 3, batch_size: 32}
"""


@pytest.fixture
def load(monkeypatch):
    """Imports a module of the benchmarks; skips where PyTorch is missing that it needs."""

    def find(name):
        monkeypatch.syspath_prepend(BENCHMARKS)
        if name == "with_pytorch":
            pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
        return importlib.import_module(name)

    return find


@pytest.fixture
def blobs(tmp_path):
    """A config for images whose upper or lower half is bright; it can be learned at once."""
    rng = np.random.default_rng(0)
    labels = np.arange(320) % 2
    x = rng.integers(0, 100, (320, 8, 8), dtype=np.uint8)
    x[labels == 0, :4] += 100
    x[labels == 1, 4:] += 100
    np.savez(tmp_path / "blobs.npz", x_train=x[:256], y_train=labels[:256], x_test=x[256:], y_test=labels[256:])
    path = tmp_path / "blobs.yaml"
    path.write_text(CONFIG)
    return path


def run(script, *arguments):
    command = [sys.executable, BENCHMARKS / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_pytorchs_net_is_that_of_the_config(load, name):
    twin, torch = load("with_pytorch"), pytest.importorskip("torch")
    config = tinynet.load(ROOT / "configs" / f"{name}.yaml")
    net = Net([spec.make() for spec in config.layers], (1, 28, 28))
    other = twin.net(config.to_json()["layers"], torch.zeros(2, 1, 28, 28))
    assert [p.numel() for p in other.parameters()] == [p.tensor.size for p in net.parameters]
    assert other(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert all(module.training for module in other)


class Fixed:
    """A random generator whose numbers are given."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def uniform(self, low, high, n):
        return self.numbers.pop(0)

    def integers(self, low, high, shape):
        return self.numbers.pop(0)


def test_pytorchs_augmentations_are_tinynets(load):
    twin, torch = load("with_pytorch"), pytest.importorskip("torch")
    n = 6
    x = np.zeros((n, 1, 28, 28), np.float32)
    x[:, :, 6:-6, 6:-6] = np.random.default_rng(0).random((n, 1, 16, 16))

    def theirs(*augment):
        torch.manual_seed(0)
        return twin.augmented(torch.from_numpy(x), augment).numpy()

    torch.manual_seed(0)
    angle = 20 * torch.empty(n).uniform_(-1, 1).numpy()
    np.testing.assert_allclose(theirs(("Rotate", {"degrees": 20.0})), Rotate(20.0)(x, Fixed(angle)), atol=1e-4)

    torch.manual_seed(0)
    factor = torch.empty(n).uniform_(0.8, 1.2).numpy()
    np.testing.assert_allclose(theirs(("Zoom", {"share": 0.2})), Zoom(0.2)(x, Fixed(factor)), atol=1e-4)

    torch.manual_seed(0)
    columns, rows = torch.randint(-2, 3, (n, 2)).numpy().T
    factor = torch.empty(n).uniform_(0.8, 1.2).numpy()
    # PyTorch's matrix says where a pixel comes from, tinynet's Shift how far it goes.
    shifted = Shift(2)(x, Fixed(np.array([-rows, -columns])))
    mine = Zoom(0.2)(shifted, Fixed(factor))
    np.testing.assert_allclose(theirs(("Shift", {"pixels": 2}), ("Zoom", {"share": 0.2})), mine, atol=1e-4)


def test_what_the_peers_lack(load):
    peers = load("peers")

    def lacking(name, *overrides):
        config = tinynet.load(ROOT / "configs" / f"{name}.yaml", *overrides).to_json()
        return [peers.lacking(peer, config) for peer in peers.PACKAGES]

    assert lacking("mnist-mlp") == [[], [], []]
    assert lacking("mnist-lenet") == [[], ["Conv2d", "MaxPool2d"], []]
    assert lacking("mnist-mlp", "dataset.MNIST.standardize=true") == [[], ["standardize"], ["standardize"]]
    assert lacking("mnist-mlp", "optimizer={Adam: 0.001}", "augment=[{Shift: 1}]") == [
        [],
        *[["augment", "optimizer"]] * 2,
    ]
    assert lacking("mnist-mlp", "optimizer.SGD.weight_decay=0.1") == [[], ["optimizer"], ["optimizer"]]
    assert "Sigmoid" in lacking("mnist-autoencoder")[2]
    config = {"layers": [{"Linear": {"out_features": 2, "inputs": "input", "share": "linear1"}}]}
    assert peers.lacking("PyTorch", config) == ["inputs", "share"]


@pytest.mark.slow
def test_the_times_are_measured(blobs, tmp_path):
    status, out, err = run("mnist.py", blobs, "--threads", 1, "--repeats", 2, "--batches", 4)
    assert status == 0, err
    rows = [line for line in out.splitlines() if line.startswith("| `blobs` | 1 |")]
    assert len(rows) == 2
    assert all(float(row.split("|")[3].split()[0]) > 0 for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [[], ["dataset.NPZ.standardize=true", "augment=[{Shift: 1}]"]])
def test_both_learn_in_whole_trainings(blobs, changes):
    pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    overrides = [word for change in changes for word in ("--set", change)]
    status, out, err = run("mnist_training.py", blobs, "--threads", 1, "--seeds", 2, *overrides)
    assert status == 0, err
    (row,) = [line for line in out.splitlines() if line.startswith("| `blobs` | 3 |")]
    for cell in row.split("|")[3:5]:
        assert float(cell.split()[0]) < 10, row


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("mnist.py", ["nothing"], "there is no such file"),
        ("mnist.py", ["{blobs}", "--batches", "9"], "--batches: an epoch of"),
        ("mnist.py", ["--threads", "4000"], "must be at most"),
        ("mnist.py", ["--repeats", "0"], "must be a whole number > 0, not '0'"),
        ("mnist_training.py", ["disk"], "the peers have a twin for loss: CrossEntropy"),
        ("mnist_training.py", ["{blobs}", "--set", "layers=[Flatten, LayerNorm, {Linear: 2}]"], "no twin of LayerNorm"),
        ("mnist_training.py", ["{blobs}", "--set", "training.epoch=1"], "Did you mean"),
    ],
)
def test_mistakes_are_answered(blobs, script, arguments, message):
    status, _, err = run(script, *(word.replace("{blobs}", str(blobs)) for word in arguments))
    assert status == 2
    assert message in err
    assert "Traceback" not in err


def test_a_worker_that_fails_ends_the_script(load, tmp_path):
    peers = load("peers")
    with pytest.raises(SystemExit, match="worker of tinynet ended"):
        peers.Worker("tinynet", {"path": str(tmp_path / "none.yaml"), "overrides": []}, 1)


def test_the_job_is_plain(load, blobs, tmp_path):
    job = load("peers").prepare(str(blobs), tmp_path, "schedule=CosineLR")
    assert json.loads(json.dumps(job))["factors"] == pytest.approx([1.0, 0.75, 0.25])
    x, labels = load("job").read(job, "test_")
    assert x.shape == (64, 1, 8, 8)
    assert x.dtype == np.float32
    assert 0.7 < x.max() <= 1
    np.testing.assert_array_equal(labels, np.arange(64) % 2)


@pytest.mark.slow
def test_what_checkpoints_cost_is_measured(tmp_path):
    status, out, err = run("checkpoints.py", "disk:3", "--repeats", 1)
    assert status == 0, err
    rows = [line.split(" | ") for line in out.splitlines() if line.startswith("| `disk`, 3 epochs")]
    assert [row[1] for row in rows] == ["10 s", "1 s"]
    assert all(float(row[4].split()[0]) > 0 and float(row[6].split()[0]) > 0 for row in rows)
