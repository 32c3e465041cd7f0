"""The disk in tinynet and in PyTorch: time and test error of the same training, and the time of whole processes.

python benchmarks/disk.py [--repeats 7] [--seeds 10]

Needs PyTorch (pip install torch==2.13.0). One thread each. The two take turns, so that a change of the machine's speed
meets both; the figures are medians, the ratio is the median of the pairs' ratios.
"""

import os

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import mean, median, stdev

import numpy as np
import torch
from peers import machine

import tinynet

CONFIG = Path(__file__).parent.parent / "configs" / "disk.yaml"


def tinynet_training(seed):
    """(seconds of the whole training, of it in batches, final test error)"""
    experiment = tinynet.build(tinynet.load(CONFIG, f"seed={seed}"))
    start = time.perf_counter()
    *_, last = experiment.train()
    return time.perf_counter() - start, last.seconds, last.test_error


def pytorch_training(seed):
    """The same net, data, batches, epochs and measurements, in PyTorch as its tutorials write it."""
    dataset = tinynet.build(tinynet.load(CONFIG, f"seed={seed}")).dataset
    splits = [[torch.from_numpy(a) for a in (s.x, s.targets, s.labels)] for s in (dataset.train, dataset.test)]
    torch.manual_seed(seed)
    widths = (2, 25, 25, 25)
    hidden = [layer for a, b in pairwise(widths) for layer in (torch.nn.Linear(a, b), torch.nn.ReLU())]
    net = torch.nn.Sequential(*hidden, torch.nn.Linear(25, 2), torch.nn.Tanh())
    criterion, optimizer = torch.nn.MSELoss(), torch.optim.SGD(net.parameters(), lr=0.1)
    x, y, _ = splits[0]
    start, in_batches = time.perf_counter(), 0.0
    for _ in range(50):
        epoch_start = time.perf_counter()
        order = torch.randperm(len(x))
        shuffled_x, shuffled_y = x[order], y[order]
        for i in range(0, len(x), 10):
            optimizer.zero_grad()
            loss = criterion(net(shuffled_x[i : i + 10]), shuffled_y[i : i + 10])
            loss.backward()
            optimizer.step()
        in_batches += time.perf_counter() - epoch_start
        with torch.no_grad():
            for inputs, targets, labels in splits:
                outputs = net(inputs)
                criterion(outputs, targets).item()
                error = ((outputs.sum(dim=1) > 0) != labels).double().mean().item()
    return time.perf_counter() - start, in_batches, error


def process_seconds(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def processes(repeats):
    """Medians of whole processes, start to exit: {name: seconds}."""
    runs = tempfile.mkdtemp()
    script = str(Path(sys.executable).parent / "tinynet")
    commands = {
        "`tinynet train configs/disk.yaml`": [script, "train", str(CONFIG), "--runs", runs, "--quiet"],
        '`python -c "import torch"`': [sys.executable, "-c", "import torch"],
        "`tinynet --help`": [script, "--help"],
    }
    for command in commands.values():
        process_seconds(command)
    turns = [{name: process_seconds(command) for name, command in commands.items()} for _ in range(repeats)]
    shutil.rmtree(runs)
    return {name: median(turn[name] for turn in turns) for name in commands}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tinynet_training(0), pytorch_training(0)
    turns = [(tinynet_training(0), pytorch_training(0)) for _ in range(options.repeats)]
    print(f"Machine: {machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, ", end="")
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__}; one thread; medians of {options.repeats} turns.\n")
    print("| 50 epochs of `configs/disk.yaml` | tinynet | PyTorch | ratio |")
    print("| --- | --- | --- | --- |")
    for name, column in (("training batches", 1), ("with the figures of both splits after each epoch", 0)):
        ours, theirs = ([turn[i][column] for turn in turns] for i in (0, 1))
        ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
        print(f"| {name} | {median(ours):.3f} s | {median(theirs):.3f} s | {ratio:.3f} |")
    print("\n| whole process, start to exit | seconds |\n| --- | --- |")
    for name, seconds in processes(options.repeats).items():
        print(f"| {name} | {seconds:.3f} |")
    print(f"\n| test error after 50 epochs, seeds 0 to {options.seeds - 1} | mean | deviation | least | most |")
    print("| --- | --- | --- | --- | --- |")
    for name, training in (("tinynet", tinynet_training), ("PyTorch", pytorch_training)):
        errors = [training(seed)[2] for seed in range(options.seeds)]
        print(f"| {name} | {mean(errors):.1%} | {stdev(errors):.1%} | {min(errors):.1%} | {max(errors):.1%} |")


if __name__ == "__main__":
    main()
