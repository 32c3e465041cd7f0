"""MNIST nets in tinynet and in PyTorch: the time of the same training batches, with one thread and with two.

TINYNET_DATA=FOLDER python benchmarks/mnist.py [--repeats 5] [--batches 60]

Needs PyTorch (pip install torch==2.13.0) and the MNIST files. Each turn trains both on the same count of batches of the
same sizes, from the loader on to the optimizer's step; the figures are medians, the ratio the median of the turns'.
"""

import os

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import platform
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch
from disk import machine
from torch import nn

import tinynet

CONFIGS = Path(__file__).parent.parent / "configs"


def dense(*widths):
    pairs = pairwise(widths)
    layers = [layer for a, b in pairs for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


TWINS = {
    "mnist-mlp": lambda: dense(784, 128, 64, 10),
    "mnist-mlp-large": lambda: dense(784, 512, 256, 10),
    "mnist-lenet": lambda: nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        dense(400, 120, 84, 10),
    ),
    "mnist-cnn": lambda: nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    ),
}


def tinynet_seconds(experiment, batches):
    learner = experiment.learner
    learner.progress.batch = 0
    start = time.perf_counter()
    for count, _ in enumerate(learner._epoch(), start=1):
        if count == batches:
            break
    return time.perf_counter() - start


def pytorch_seconds(net, optimizer, x, y, size, batches):
    criterion = nn.CrossEntropyLoss()
    start = time.perf_counter()
    order = torch.randperm(len(x))
    for i in range(0, batches * size, size):
        rows = order[i : i + size]
        optimizer.zero_grad()
        criterion(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return time.perf_counter() - start


def compare(name, threads, repeats, batches):
    """(tinynet's seconds, PyTorch's, ratio) for one training batch, medians."""
    torch.set_num_threads(threads)
    experiment = tinynet.build(tinynet.load(CONFIGS / f"{name}.yaml", f"name={name}"))
    experiment.learner.pieces.workers = threads
    size = experiment.config.training.batch_size
    split = experiment.dataset.train
    x, y = torch.from_numpy(split.x).float() / 255, torch.from_numpy(split.labels)
    net = TWINS[name]()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    tinynet_seconds(experiment, 5), pytorch_seconds(net, optimizer, x, y, size, 5)
    turns = [
        (tinynet_seconds(experiment, batches), pytorch_seconds(net, optimizer, x, y, size, batches))
        for _ in range(repeats)
    ]
    ours, theirs = (median(turn[i] for turn in turns) / batches for i in (0, 1))
    return ours, theirs, median(a / b for a, b in turns)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batches", type=int, default=60)
    options = parser.parse_args()
    print(f"Machine: {machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, ", end="")
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__}; medians of {options.repeats} turns ", end="")
    print(f"of {options.batches} batches.\n")
    print("| one training batch | threads | tinynet | PyTorch | ratio |\n| --- | --- | --- | --- | --- |")
    for name in TWINS:
        for threads in (1, 2):
            batches = options.batches if name != "mnist-cnn" else max(1, options.batches // 6)
            ours, theirs, ratio = compare(name, threads, options.repeats, batches)
            print(f"| `{name}` | {threads} | {ours * 1e3:.2f} ms | {theirs * 1e3:.2f} ms | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
