"""Whole trainings of MNIST nets in tinynet and in PyTorch: test error after the last epoch, and seconds.

TINYNET_DATA=FOLDER python benchmarks/mnist_training.py CONFIG... [--threads 2] [--seeds 3] [--set PATH=VALUE]

Both take the config's net, data, batch size, epochs, optimizer, schedule and augmentations; initial values and random
numbers are their own. They take turns, a process for each training. Seconds are those in training batches, without the
evaluations: medians over the seeds, the ratio is the median of the seeds' ratios.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import mean, median

import peers

from tinynet.common.errors import UsageError

BOTH = ("tinynet", "PyTorch")


def train(side, job, threads):
    with peers.Worker(side, job, threads) as worker:
        return worker.ask({"training": True})


def errors(answers):
    """The mean test error and that of each seed, in percent."""
    each = [100 * answer["error"] for answer in answers]
    return f"{mean(each):.2f} % ({', '.join(f'{error:.2f}' for error in each)})"


def compare(name, sides, options):
    """A row of the table."""
    turns = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            job = peers.prepare(name, Path(folder), *options.overrides, f"seed={seed}")
            turns.append({side: train(side, job, options.threads) for side in sides})
    answers = {side: [turn[side] for turn in turns] for side in sides}
    seconds = {side: [answer["seconds"] for answer in answers[side]] for side in sides}
    cells = [errors(answers[side]) if side in sides else "–" for side in BOTH]
    cells += [f"{median(seconds[side]):.1f} s" if side in sides else "–" for side in BOTH]
    ratios = [a / b for a, b in zip(*seconds.values(), strict=True)] if len(sides) == 2 else []
    cells += [f"{median(ratios):.2f}" if ratios else "–"]
    return peers.row([f"`{job['config']['name']}`", job["config"]["training"]["epochs"], *cells])


def check(name, overrides):
    """What has to be said about a config before it is trained; raises UsageError if PyTorch has no twin of it."""
    config = peers.load(name, *overrides).to_json()
    if lacking := peers.lacking("PyTorch", config):
        raise UsageError(f"{name}: with_pytorch.py has no twin of {', '.join(lacking)}")
    augment = [kind for part in config.get("augment", ()) for kind in part if kind not in peers.AUGMENTATIONS]
    return f"PyTorch trains `{config['name']}` without {', '.join(augment)}.\n" if augment else ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="names in configs/, or files")
    parser.add_argument("--threads", type=peers.threads, default=2)
    parser.add_argument("--seeds", type=peers.count, default=3, help="how many, from 0 on")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="PATH=VALUE", help="as in train"
    )
    options = parser.parse_args()
    notes = [check(name, options.overrides) for name in options.configs]
    versions = peers.installed(["PyTorch"])
    seeds = "seed 0" if options.seeds == 1 else f"seeds 0 to {options.seeds - 1}"
    print(f"{peers.introduction(versions)}; threads: {options.threads}; {seeds}.\n")
    print("".join(f"{note}\n" for note in notes if note), end="")
    print(
        peers.header("whole training", "epochs", "test error of tinynet", "of PyTorch", "tinynet", "PyTorch", "ratio")
    )
    for name in options.configs:
        print(compare(name, ["tinynet", *versions], options), flush=True)


if __name__ == "__main__":
    peers.run(main)
