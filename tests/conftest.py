"""What all tests share."""

import os

# As the command line does, before NumPy is imported: threads of BLAS on small products cost more than they bring.
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from gradients import spaced

import tinynet
from tinynet.cli import execute
from tinynet.common.errors import ConfigError
from tinynet.nn.layers.activations import ReLU, Tanh
from tinynet.nn.layers.linear import Linear
from tinynet.nn.net import Net
from tinynet.runs.run import Run
from tinynet.training.checkpoint import signed

# A shell that runs the tests in the background has Ctrl-C ignored, by what the tests start as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A config that trains in milliseconds. Tests replace parts of it.
SMALL = """\
name: small
dataset:
  Disk: {train: 40, test: 20}
layers:
  - Linear: 5
  - ReLU
  - Linear: 2
loss: CrossEntropy
optimizer:
  SGD: {lr: 0.1}
training:
  epochs: 2
  batch_size: 16
"""


@pytest.fixture
def small_net() -> Net:
    """Two inputs, two outputs, a kink in between, in float64."""
    return Net([Linear(5), ReLU(), Linear(4), Tanh(), Linear(2)], input_shape=(2,), seed=0, dtype="float64")


@pytest.fixture
def batch():
    """Seven samples of two numbers."""
    return spaced((7, 2))


@pytest.fixture
def changed():
    """The small config's text with parts replaced: changed({"ReLU": "Tanh"}); each part has to be there."""

    def change(parts=()):
        text = SMALL
        for old, new in dict(parts).items():
            assert old in text, f"the small config has no {old!r}"
            text = text.replace(old, new)
        return text

    return change


@pytest.fixture
def write(tmp_path):
    """Writes a config, or any other text, into the test's folder; returns its path."""

    def to_file(text, name="c.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


@pytest.fixture
def make(write, changed):
    """The experiment of the small config with parts replaced."""

    def build(parts=(), *overrides):
        return tinynet.build(tinynet.load(write(changed(parts)), *overrides))

    return build


@pytest.fixture
def problems(write):
    """The problems of a config's text, found on checking or building it, without the folder of the file."""

    def find(text, *overrides):
        path = write(text)
        with pytest.raises(ConfigError) as caught:
            tinynet.build(tinynet.load(path, *overrides))
        return [line.removeprefix(f"{path.parent}{os.sep}") for line in caught.value.problems]

    return find


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs a command in this process and the test's folder: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYNET_RUNS", raising=False)

    def run(*arguments):
        capsys.readouterr()
        status = execute([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


def _environment(**changes):
    """Without what a developer's shell may set for tinynet or for colours."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TINYNET") and k not in ("NO_COLOR", "FORCE_COLOR")}
    return kept | changes


@pytest.fixture
def start(tmp_path):
    """Starts the installed command in the test's folder."""
    # Beside the Python that runs the tests, not the first on PATH, which may be another one.
    command = Path(sys.executable).with_name("tinynet")
    assert command.exists(), f"{command} is missing: install tinynet into this environment"
    started = []

    def begin(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=(), **options):
        process = subprocess.Popen(
            [command, *map(str, arguments)],
            cwd=tmp_path,
            stdout=stdout,
            stderr=stderr,
            env=_environment(**dict(env)),
            **{"text": True, **options},
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def command(start):
    """Runs the installed command to its end: (exit status, stdout, stderr)."""

    def run(*arguments, **options):
        process = start(*arguments, **options)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return run


@pytest.fixture
def train_run(make, tmp_path):
    """Trains the small config, with parts replaced, into a run folder: (run, experiment)."""

    def train(parts=(), *overrides):
        experiment = make(parts, *overrides)
        run = Run.create(experiment, tmp_path / "runs", ["tinynet", "train"])
        run.train(experiment, lambda record: None)
        return run, experiment

    return train


@pytest.fixture
def train(write, tmp_path):
    """Trains a small net on a dataset and leaves its run in tmp_path/runs.

    Without `layers` it has three, the last with so many outputs; `options` are those of the training. It is stopped
    after the record of the round and epoch `stop`; rounds that are not to be `stacked` come one after another.
    """

    def trained(
        dataset, loss="CrossEntropy", outputs=2, layers=None, lr=0.1, name="small", stop=None, stacked=True, **options
    ):
        config = {
            "name": name,
            "dataset": dataset,
            "layers": layers or [{"Linear": 8}, "Tanh", {"Linear": outputs}],
            "loss": loss,
            "optimizer": {"SGD": lr},
            "training": {"epochs": 4, "batch_size": 10, "evaluate_train": True, **options},
        }
        experiment = tinynet.build(tinynet.load(write(yaml.safe_dump(config))))
        experiment.training.stacked &= stacked
        run = Run.create(experiment, tmp_path / "runs", ["test"])

        def watch(record):
            run.stop = record is not None and (record.round, record.epoch) == stop

        run.train(experiment, watch)
        return run

    return trained


@pytest.fixture
def figure():
    """An empty figure in the style of the pictures."""
    # Imported here, for most tests do without Matplotlib.
    from matplotlib.figure import Figure

    from tinynet.plots import style

    with style.applied():
        yield Figure()


@pytest.fixture
def rewrite_npz():
    """Changes an .npz file: a dict of its arrays is given to a function that edits it. A checkpoint is signed anew."""

    def rewrite(path, edit, allow_pickle=False):
        with np.load(path, allow_pickle=False) as found:
            arrays = dict(found)
        edit(arrays)
        with contextlib.suppress(KeyError, ValueError, AttributeError, RecursionError):
            kept = {name: value for name, value in json.loads(str(arrays["metadata"])).items() if name != "sha256"}
            others = {name: values for name, values in arrays.items() if name != "metadata"}
            arrays["metadata"] = np.array(signed(json.dumps(kept), others))
        np.savez(path, allow_pickle=allow_pickle, **arrays)

    return rewrite


@pytest.fixture
def change_metadata(rewrite_npz):
    """Changes the metadata of a checkpoint by a function that edits the dict."""

    def change(path, edit):
        def edit_arrays(arrays):
            metadata = json.loads(str(arrays["metadata"]))
            edit(metadata)
            arrays["metadata"] = np.array(json.dumps(metadata))

        rewrite_npz(path, edit_arrays)

    return change


class _Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.fixture
def trap(tmp_path):
    """Makes an array of objects that make the folder `made` in the test's folder when they are unpickled."""

    def fill(shape):
        array = np.empty(shape, object)
        array[...] = _Trap(tmp_path / "made")
        return array

    yield fill
    assert not (tmp_path / "made").exists(), "a pickle has run"
