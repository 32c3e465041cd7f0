"""Trainings killed at random moments and resumed until they finish end as those that were never stopped."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

# For each of the trainings; by hand with more: TINYNET_KILLS=34 pytest tests/promises/test_kills.py
KILLS = int(os.environ.get("TINYNET_KILLS", "6"))

TRAININGS = {
    "dense": (
        "dataset: {Disk: {train: 200, test: 50, validation: 0.2, targets: sign}}\n"
        "layers: [Linear: 25, ReLU, Linear: 2, Tanh]\nloss: MSE\noptimizer: {SGD: {lr: 0.1, momentum: 0.9}}\n",
        "{epochs: 2000, batch_size: 10, evaluate_train: true, clip_norm: 1}",
    ),
    "images": (
        "dataset: {NPZ: {path: images.npz}}\naugment: [Shift: 1]\n"
        "layers: [Conv2d: {out_channels: 4, kernel_size: 3}, ReLU, MaxPool2d: 2, Flatten, Linear: 3]\n"
        "loss: CrossEntropy\noptimizer: {AdamW: 0.001}\n",
        "{epochs: 150, batch_size: 64}",
    ),
    "rounds in processes": (
        "dataset: {NPZ: {path: images.npz}}\n"
        "layers: [Conv2d: {out_channels: 4, kernel_size: 3}, BatchNorm, ReLU, Flatten, Dropout: 0.2, Linear: 3]\n"
        "loss: CrossEntropy\noptimizer: {Adam: 0.001}\n",
        "{epochs: 120, batch_size: 64, rounds: 3, evaluate_train: true}",
    ),
    "graph": (
        "dataset: {Disk: {train: 200, test: 50, targets: one_hot}}\n"
        "layers:\n"
        "  - Linear: {out_features: 8, name: stem}\n"
        "  - Linear: {out_features: 8, name: left}\n"
        "  - Linear: {out_features: 8, name: right, inputs: stem, share: left}\n"
        "  - Sum: [left, right, stem]\n  - ReLU\n  - Linear: 2\n"
        "loss: CrossEntropy\noptimizer: {Adam: 0.01}\n",
        "{epochs: 1000, batch_size: 10, evaluate_train: true, early_stopping: {monitor: train_loss, patience: 1000}}",
    ),
    "dropout and batch normalisation": (
        "dataset: {Spirals: {train: 200, test: 50}}\n"
        "layers: [Linear: 16, BatchNorm, ReLU, Dropout: 0.3, Linear: 3]\n"
        "loss: CrossEntropy\noptimizer: {AdamW: 0.001}\n",
        "{epochs: 1500, batch_size: 20, evaluate_train: true}",
    ),
    "schedule": (
        "dataset: {Disk: {train: 200, test: 50, targets: sign}}\n"
        "layers: [Linear: 16, Tanh, Linear: 2, Tanh]\nloss: MSE\noptimizer: {Adam: 0.01}\n"
        "schedule: [LinearWarmup: 5, CosineLR]\n",
        "{epochs: 2000, batch_size: 10}",
    ),
    "stacked rounds": (
        "dataset: {Disk: {train: 100, test: 50, targets: sign}}\n"
        "layers: [Linear: 16, ReLU, Dropout: 0.2, Linear: 2, Tanh]\nloss: MSE\n"
        "optimizer: {SGD: {lr: 0.1, momentum: 0.5}}\n",
        "{epochs: 700, batch_size: 10, rounds: 5, evaluate_train: true, "
        "early_stopping: {monitor: train_loss, patience: 600}}",
    ),
}  # fmt: skip


def tinynet(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "tinynet", *arguments], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )


def finish(process):
    err = process.communicate(timeout=300)[1]
    assert process.returncode == 0, err.decode()


def left(run):
    """All that a run leaves, but for moments and durations."""
    found = {}
    for name in ("last", "best"):
        path = run / "checkpoints" / f"{name}.npz"
        if path.exists():
            with np.load(path) as arrays:
                found |= {f"{name}/{key}": arrays[key].tobytes() for key in arrays.files if key != "metadata"}
    found["metrics"] = re.sub(r",[^,]*\n", "\n", (run / "metrics.csv").read_text())
    found["summary"] = re.sub(r'"seconds": [\d.e-]+', "", (run / "summary.json").read_text())
    found["config"] = (run / "resolved.yaml").read_text()
    found["files"] = sorted(str(path.relative_to(run)) for path in run.rglob("*"))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("kind", TRAININGS)
def test_killed_and_resumed_is_never_stopped(tmp_path, kind):
    rng, parts = np.random.default_rng(0), TRAININGS[kind]
    images, labels = rng.integers(0, 256, (400, 1, 10, 10)).astype(np.uint8), rng.integers(0, 3, 400)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=labels, x_test=images[:100], y_test=labels[:100])
    config = f"name: run\n{parts[0]}training: {parts[1]}\n"
    config = re.sub(r"epochs: (\d+)", lambda found: f"epochs: {max(6, KILLS) * int(found[1]) // 6}", config)
    (tmp_path / "run.yaml").write_text(config)
    often = ("--set", "training.checkpoint_seconds=0.02")
    finish(tinynet(tmp_path, "train", "run.yaml", "--runs", "whole", *often))

    moments, run, kills = random.Random(kind), tmp_path / "runs" / "run", 0
    while kills < KILLS:
        again = ("--resume", run) if run.exists() else ("run.yaml",)
        process = tinynet(tmp_path, "train", *again, "--workers", "2", *(() if run.exists() else often))
        if kills % 3 < 2:
            process.stderr.readline()  # at any moment of the training, and each third time of the process
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.stderr.close()
        assert process.wait() == -signal.SIGKILL, "the training had ended: make it longer"
        kills += 1
    finish(tinynet(tmp_path, "train", "--resume", run))
    # A kill before the run had its name leaves a folder with none.
    assert [path for path in (tmp_path / "runs").iterdir() if not path.name.startswith(".")] == [run]
    assert left(run) == left(tmp_path / "whole" / "run")
    assert '"status": "finished"' in (run / "meta.json").read_text()
