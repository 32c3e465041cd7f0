"""The papers' configs are what the papers say, and the benchmarks about them compare one system with its twin."""

import importlib
import os
import subprocess
import sys
from math import pi
from pathlib import Path

import numpy as np
import pytest

import tinynet

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
PAPERS = ROOT / "configs" / "papers"
DENSE = ["feng-sun-wang", "bian-dankl-mercan", "bian-dankl-mercan-momentum", "bigoni-ripamonti"]


def config(name, *overrides):
    return tinynet.load(PAPERS / f"{name}.yaml", *overrides)


@pytest.fixture
def load(monkeypatch):
    """Imports a module of the benchmarks; skips where PyTorch is missing."""
    pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def run(script, *arguments):
    command = [sys.executable, BENCHMARKS / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=300)
    return done.returncode, done.stdout, done.stderr


# What the papers say


def test_every_paper_with_an_experiment_has_its_config():
    assert sorted(path.stem for path in PAPERS.glob("*.yaml")) == sorted([*DENSE, "tinyml"])


@pytest.mark.parametrize("name", [*DENSE, "tinyml"])
def test_a_config_names_its_source_and_what_was_measured(name):
    comment = [line for line in (PAPERS / f"{name}.yaml").read_text(encoding="utf-8").splitlines() if line[0] == "#"]
    assert all(author in comment[0].lower() for author in name.removesuffix("-momentum").split("-"))
    assert '"' in comment[0] or name == "tinyml", "no title"
    assert any("easured" in line and "±" in line for line in comment)
    assert config(name).name == name


def test_feng_sun_wang_is_the_disk_in_ten_rounds():
    found, disk = config("feng-sun-wang").to_json(), tinynet.load(ROOT / "configs" / "disk.yaml").to_json()
    assert found["training"] == {**disk["training"], "rounds": 10, "epochs": 50, "batch_size": 10}
    for part in ("dataset", "layers", "loss", "optimizer", "seed"):
        assert found[part] == disk[part]
    assert found["optimizer"]["SGD"]["lr"] == 0.1
    one = tinynet.build(config("feng-sun-wang", "training.rounds=1"))
    labels, targets = one.dataset.train.labels, one.dataset.train.targets
    assert set(map(tuple, targets[labels == 1].tolist())) == {(1.0, 1.0)}
    assert set(map(tuple, targets[labels == 0].tolist())) == {(-1.0, -1.0)}


def test_the_disk_of_bian_dankl_mercan_covers_a_twelfth():
    found = tinynet.build(config("bian-dankl-mercan"))
    radius = found.config.dataset.options["radius"]
    assert radius == pytest.approx(1 / (2 * pi), rel=1e-15)
    assert [len(found.dataset.train), len(found.dataset.test), len(found.rounds)] == [1000, 1000, 10]
    # A net that never answers "inside" is wrong in the disk's share of the square.
    errors = [found.of_round(number).evaluate("test").commonest_error for number in range(10)]
    assert np.mean(errors) == pytest.approx(pi * radius**2, abs=0.01)


def test_the_second_of_bian_dankl_mercan_differs_by_momentum():
    plain, momentum = (config(name).to_json() for name in DENSE[1:3])
    assert {key for key in plain if plain[key] != momentum[key]} == {"name", "optimizer"}
    ours, theirs = momentum["optimizer"]["SGD"], plain["optimizer"]["SGD"]
    assert theirs["momentum"] == 0
    assert ours["lr"] / (1 - ours["momentum"]) == pytest.approx(theirs["lr"])


def test_bigoni_ripamontis_graph_has_the_papers_modules():
    graph = tinynet.build(config("bigoni-ripamonti", "training.rounds=1")).net.graph
    names = [node.layer.name for node in graph.nodes]
    assert names == ["Linear1", "Nonlinear1", "Linear2", "Nonlinear2", "Sum", "Linear3"]
    reads = {node.layer.name: [names[i] if i >= 0 else "input" for i in node.sources] for node in graph.nodes}
    assert reads["Linear1"] == reads["Linear2"] == ["input"]
    assert reads["Sum"] == ["Nonlinear1", "Nonlinear2"]
    assert reads["Linear3"] == ["Sum"]


def test_tinyml_is_made_of_what_the_paper_names():
    found = config("tinyml")
    kinds = {spec.cls.__name__ for spec in found.layers}
    assert kinds == {"Conv2d", "ReLU", "Flatten", "Dropout", "Linear"}
    assert found.loss.cls.__name__ == "CrossEntropy"
    assert found.optimizer.cls.__name__ == "SGD"
    assert found.optimizer.options["momentum"] == 0
    assert found.training.rounds == 1


# The twins in PyTorch


def short(load, name, *overrides):
    """A paper's config as a short training in float64, loaded as the benchmarks do."""
    return load("dense").load(f"papers/{name}", "training.epochs=3", "training.rounds=2", "dtype=float64", *overrides)


@pytest.mark.parametrize("name", DENSE)
def test_training_is_that_of_pytorch(load, name):
    found = load("paper_table").differences(short(load, name))
    assert found.shape == (3, 2, 4)
    assert found[:2].max() < 1e-12
    # A last bit makes no more than that in three epochs, but it makes something.
    assert 0 < found[2].max() < 1e-12


@pytest.mark.parametrize(
    "break_", ["lr", "order", "parameters"], ids=["another learning rate", "other batches", "other parameters"]
)
def test_the_comparison_sees_another_system(load, monkeypatch, break_):
    dense, table = load("dense"), load("paper_table")
    beside = dense.PyTorch.beside

    def changed(experiment):
        peer = beside(experiment)
        if break_ == "lr":
            peer.optimizer.param_groups[0]["lr"] *= 1 + 1e-6
        elif break_ == "order":
            order = peer.order
            peer.order = lambda epoch: order(epoch + 1)
        else:
            peer.copy = lambda net: None
            peer.net = dense.twin(experiment.net)
            peer.optimizer = type(peer.optimizer)(peer.net.parameters(), lr=0.1)
        return peer

    monkeypatch.setattr(dense.PyTorch, "beside", changed)
    by_epoch, whole, _ = table.differences(short(load, "feng-sun-wang"))
    assert by_epoch.max() > 1e-9
    assert whole.max() > 1e-9


def test_each_epoch_begins_anew_and_the_whole_training_does_not(load, monkeypatch):
    dense, table = load("dense"), load("paper_table")
    beside = dense.PyTorch.beside

    def nudged(experiment):
        peer = beside(experiment)
        with load("torch").no_grad():
            next(iter(peer.net.parameters())).add_(1e-6)
        return peer

    monkeypatch.setattr(dense.PyTorch, "beside", nudged)
    by_epoch, whole, _ = table.differences(short(load, "feng-sun-wang"))
    assert (by_epoch[:, 0] > 1e-9).all()
    assert (by_epoch[:, 1:] < 1e-12).all()
    assert (whole > 1e-9).all()


def test_epochs_within_the_limit(load):
    within = load("paper_table").epochs_within
    assert within(np.array([[0, 1e-12, 1e-10], [0, 0, 0]])) == 2
    assert within(np.array([[0, 1e-12, 1e-10, 1e-3], [0, 1e-8, 1e-10, 0]])) == 0
    assert within(np.array([[0, 1e-12, 1e-8]])) == 1


@pytest.mark.parametrize("name", DENSE)
def test_pytorchs_stack_is_its_rounds(load, name):
    dense, rounds = load("dense"), load("rounds")
    experiment = tinynet.build(short(load, name))
    singly = [list(dense.PyTorch.beside(one).train()) for one in experiment.rounds]
    stack = rounds.Stacked([dense.PyTorch.beside(one) for one in experiment.rounds])
    for epoch, (train_loss, train_error, test_loss, test_error, _) in enumerate(stack.train()):
        for number, records in enumerate(singly):
            record = records[epoch]
            assert train_loss[number].item() == pytest.approx(record.train_loss, rel=1e-10)
            assert test_loss[number].item() == pytest.approx(record.test_loss, rel=1e-10)
            assert train_error[number].item() == record.train_error
            assert test_error[number].item() == record.test_error
    assert epoch == 3


def test_pytorch_learns_from_its_own_beginning(load):
    dense = load("dense")
    one = tinynet.build(dense.load("papers/feng-sun-wang", "training.rounds=1", "training.epochs=15"))
    first, *_, last = dense.PyTorch(one).train()
    assert first.test_error > 0.3
    assert last.test_error < 0.2
    assert last.seconds > 0


def test_shorter_trainings_are_the_beginnings_of_longer_ones(load, monkeypatch):
    sweep = load("sweep")
    monkeypatch.setattr(sweep, "TESTS", 1)

    def find(*overrides):
        return load("dense").load("papers/feng-sun-wang", "training.rounds=1", "dataset.Disk.train=50", *overrides)

    found = sweep.swept(find, "training.epochs", (1, 3))
    alone = sweep.trials(find("training.epochs=1"))
    for side in sweep.SIDES:
        np.testing.assert_array_equal(found[1][side][0].curve[:, :4], alone[side][0].curve[:, :4])
        assert len(found[3][side][0].curve) == 4


def test_the_mean_and_the_deviation_of_a_table(load):
    dense = load("dense")
    assert dense.spread([0.01, 0.03]) == "2.0 % ± 1.4"
    assert dense.spread([0.02]) == "2.0 % ± 0.0"
    assert dense.spread([1.0, 2.0, 3.0], 2, " s", 1) == "2.00 s ± 1.00"


# The scripts


def rows(text, start):
    return [line for line in text.splitlines() if line.startswith(f"| {start} |")]


@pytest.mark.slow
def test_table_one_is_printed_and_written(load, tmp_path):
    out = tmp_path / "new" / "table.md"
    status, text, err = run("paper_table.py", "--rounds", 2, "--set", "training.epochs=2", "--out", out)
    assert status == 0, err
    assert out.read_text(encoding="utf-8") == text
    assert "Machine: " in text
    assert rows(text, "the paper's framework") == ["| the paper's framework | 8.03 % | 8.73 % | 5.50 s |"]
    for side in ("tinynet", "PyTorch", "always the commonest class"):
        assert len(rows(text, side)) == len(DENSE)
        assert all(row.count(" ± ") >= 2 for row in rows(text, side))
    for name in DENSE:
        assert rows(text, f"`{name}`")[0].endswith("| 2 of 2 | 2 of 2 |")


@pytest.mark.slow
def test_rounds_are_timed(load, tmp_path):
    out = tmp_path / "rounds.md"
    arguments = ["--rounds", 2, 3, "--repeats", 2, "--set", "training.epochs=1", "--out", out]
    status, text, err = run("rounds.py", *arguments)
    assert status == 0, err
    assert out.read_text(encoding="utf-8") == text
    for count in (2, 3):
        sides = [row.split(" | ") for row in rows(text, count)]
        assert [side[1] for side in sides] == [
            "tinynet, stacked",
            "tinynet, one by one",
            "PyTorch, one by one",
            "PyTorch, vmap",
        ]
        assert all(float(side[3]) > 0 for side in sides[1:])


@pytest.mark.slow
def test_the_sweep_writes_tables_and_pictures(load, tmp_path):
    arguments = ["--out", tmp_path, "--rounds", 2, "--axes", "size", "lr", "--set", "training.epochs=1"]
    status, text, err = run("sweep.py", *arguments)
    assert status == 0, err
    assert (tmp_path / "sweep.md").read_text(encoding="utf-8") == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lr.png", "size.png", "sweep.md"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.glob("*.png"))
    assert all(len(rows(text, value)) == 2 for value in (100, 300, 1000, 3000, 0.01, 0.03, 0.1, 0.3))


@pytest.mark.slow
def test_a_training_that_diverges_is_said_to(load, tmp_path):
    arguments = ["--out", tmp_path, "--rounds", 1, "--axes", "batch", "--set", "training.epochs=1"]
    status, text, err = run("sweep.py", *arguments, "--set", "optimizer.SGD.lr=1000")
    assert status == 0, err
    assert "Warning" not in err
    assert rows(text, 5)[0].startswith("| 5 | tinynet | 1 diverged | 1 diverged |")
    assert rows(text, 5)[1].startswith("| 5 | PyTorch | 1 diverged | 1 diverged |")
    assert "nan" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("paper_table.py", ["nothing"], "there is no such file"),
        ("paper_table.py", ["mnist-lenet"], "no twin of Conv2d, Flatten, MaxPool2d, schedule"),
        ("paper_table.py", ["--rounds", "0"], "must be a whole number > 0, not '0'"),
        ("paper_table.py", ["--set", "training.epoch=1"], "Did you mean"),
        ("rounds.py", ["--config", "spirals"], "no twin of init, schedule, training.evaluate_train"),
        (
            "rounds.py",
            ["--set", "layers[6].Linear.out_features=1", "--set", "dataset.Disk.targets=binary"],
            "targets: ",
        ),
        ("rounds.py", ["--rounds", "1", "--set", "training.epochs=1"], "tinynet does not stack 1 round"),
        ("sweep.py", [], "--out"),
        ("sweep.py", ["--out", "{folder}", "--axes", "width"], "invalid choice: 'width'"),
    ],
)
def test_mistakes_are_answered(load, tmp_path, script, arguments, message):
    status, _, err = run(script, *(word.replace("{folder}", str(tmp_path)) for word in arguments))
    assert status == 2
    assert message in err
    assert "Traceback" not in err
