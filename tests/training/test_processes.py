"""Rounds in processes: the bytes of rounds one after another, wherever they are stopped, and whatever ends them."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet.common.errors import DivergedError, TinynetError
from tinynet.runs.resume import resume
from tinynet.runs.run import Run
from tinynet.training.checkpoint import read
from tinynet.training.experiment import build
from tinynet.training.processes import POSSIBLE, SideBySide

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="processes are forked on Linux only")

CONFIG = """\
name: images
dataset: {NPZ: {path: images.npz, validation: 0.2}}
layers:
  - Conv2d: {out_channels: 3, kernel_size: 3}
  - BatchNorm
  - ReLU
  - Flatten
  - Dropout: 0.2
  - Linear: 3
loss: CrossEntropy
optimizer: {Adam: 0.01}
training: {epochs: 4, batch_size: 16, rounds: 3}
"""


@pytest.fixture
def experiment(tmp_path):
    """The experiment of the config, with this many workers."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (90, 1, 6, 6)).astype(np.uint8), rng.integers(0, 3, 90)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=labels, x_test=images[:30], y_test=labels[:30])
    (tmp_path / "c.yaml").write_text(CONFIG)

    def make(workers, *overrides):
        found = build(tinynet.load(tmp_path / "c.yaml", *overrides))
        assert not found.training.stacked
        found.training.workers = workers
        return found

    return make


def everything(experiment):
    """All that a training changes, as bytes, but for seconds."""
    found = []
    for one in experiment.rounds:
        optimizer = one.optimizer
        found += [one.net.vector.all_tensors.tobytes(), one.best_parameters.tobytes(), one.net.clock.step]
        found += [optimizer.steps, *(values.tobytes() for values in optimizer.state.values())]
        found += [{**vars(record), "seconds": 0} for record in one.progress.records]
    return found


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_the_bytes_are_those_of_one_after_another(experiment, workers):
    alone, together = experiment(1), experiment(workers)
    list(alone.train())
    records = list(together.train())
    assert sorted((record.round, record.epoch) for record in records) == [(r, e) for r in range(3) for e in range(5)]
    assert everything(together) == everything(alone)
    assert list(together.train()) == []


def test_they_run_at_the_same_time(experiment, monkeypatch):
    running, start = [], SideBySide._start_some

    def note(self):
        started = start(self)
        running.append(len(self.running))
        return started

    monkeypatch.setattr(SideBySide, "_start_some", note)
    list(experiment(2).train())
    assert max(running) == 2
    assert running[0] == 2


@pytest.mark.parametrize("fault", [errno.EAGAIN, errno.ENOMEM])
@pytest.mark.parametrize("allowed", [0, 1])
def test_rounds_are_trained_also_where_no_more_processes_can_be_started(experiment, monkeypatch, allowed, fault):
    alone, together = experiment(1), experiment(3)
    list(alone.train())
    started, fork = [], os.fork

    def refuse():
        if len(started) == allowed:
            raise OSError(fault, os.strerror(fault))
        started.append(True)
        return fork()

    monkeypatch.setattr(os, "fork", refuse)
    assert len(list(together.train())) == 15
    assert everything(together) == everything(alone)


@pytest.mark.parametrize("after", range(1, 14, 3))
def test_what_a_caller_leaves_undone_goes_on(experiment, after):
    alone, together = experiment(1), experiment(2)
    list(alone.train())
    for count, _ in enumerate(together.train(), 1):
        if count == after:
            break
    list(together.train())
    assert everything(together) == everything(alone)


@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_stopped_run_keeps_the_epochs_under_way(experiment, tmp_path, after):
    alone, together = experiment(1, "training.epochs=40"), experiment(2, "training.epochs=40")
    list(alone.train())
    run, seen = Run.create(together, tmp_path / "runs", []), []

    def watch(record):
        seen.append(record)
        run.stop = len(seen) == after

    assert run.train(together, watch) == "interrupted"
    assert all(isinstance(one["epoch"], int) for one in read(run.last_path).metadata["per_round"])
    again, resumed = resume(run.folder, [])
    resumed.training.workers = 2
    assert again.train(resumed, lambda record: None) == "finished"
    assert everything(resumed) == everything(alone)
    assert len(again.records()) == 3 * 41


def test_a_save_on_the_way_holds_all_rounds_as_they_are(experiment, tmp_path):
    together = experiment(2, "training.epochs=30", "training.checkpoint_seconds=0")
    run = Run.create(together, tmp_path / "runs", [])

    def watch(record):
        if record is not None and record.epoch == 5:
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        run.train(together, watch)
    again, resumed = resume(run.folder, [])
    assert again.train(resumed, lambda record: None) == "finished"
    alone = experiment(1, "training.epochs=30")
    list(alone.train())
    assert everything(resumed) == everything(alone)


def test_a_divergence_in_a_process_is_told(experiment, tmp_path):
    together = experiment(2, "optimizer.Adam.lr=1e38")
    run = Run.create(together, tmp_path / "runs", [])
    with pytest.raises(DivergedError, match=r"the training of round [01] diverged in epoch 1: .*The first layer"):
        run.train(together, lambda record: None)
    assert run.meta["status"] == "diverged"
    assert np.isfinite(together.net.vector.all_tensors).all()


def test_a_process_that_is_killed_is_told(experiment):
    together = experiment(2, "training.epochs=100000")

    def kill_one():
        for record in together.training.steps():
            if record is not None and record.epoch == 2:
                _, process = next(iter(together.training.active.running.values()))
                os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(TinynetError, match=r"the process of round [01] was ended from outside \(exit status -9\)"):
        kill_one()


# A large state does not fit into what the system keeps of a pipe: the processes wait to be heard.
@pytest.mark.parametrize("layers", ["  - Linear: 3\n", "  - Linear: 3000\n  - Linear: 3\n"], ids=["small", "large"])
def test_nothing_is_left_running_when_the_first_process_is_killed(experiment, tmp_path, layers):
    experiment(1)  # writes the files
    assert "  - Linear: 3\n" in CONFIG
    (tmp_path / "c.yaml").write_text(CONFIG.replace("  - Linear: 3\n", layers))
    process = subprocess.Popen(
        [sys.executable, "-m", "tinynet", "train", "c.yaml", "--workers=3", "--set=training.epochs=1000000"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if "epoch" in line:
            break
    children = {path.parent.name for path in _processes(process.pid)}
    assert len(children) == 3
    process.kill()
    process.wait()  # not until its streams end, which a process that is left over would hold
    give_up = time.monotonic() + 30
    while (left := [pid for pid in children if os.path.exists(f"/proc/{pid}")]) and time.monotonic() < give_up:
        time.sleep(0.01)
    for pid in left:
        os.kill(int(pid), signal.SIGKILL)
    process.stderr.close()
    assert not left


def _processes(parent):
    """The stat files of a process's children."""
    for path in sorted(Path("/proc").glob("[0-9]*/stat")):
        try:
            if path.read_text().rpartition(")")[2].split()[1] == str(parent):
                yield path
        except OSError:
            continue
