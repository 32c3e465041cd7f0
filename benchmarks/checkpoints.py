"""What keeping a run on the disk costs: seconds in saves and records, as a share of the training's own.

python benchmarks/checkpoints.py [--repeats 5] [CONFIG[:EPOCHS] ...]

A training as `tinynet train` does it, with its own checkpoint_seconds, and again with a save each second. The share is
of the seconds in training batches. The last save, which every training has, is shown by itself: all that is written
when the training is done, but for the figures of summary.json. Medians over the repeats.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from unittest import mock

for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import peers

import tinynet
from tinynet.runs import metrics, summary
from tinynet.runs import run as runs
from tinynet.runs.run import Run
from tinynet.training import checkpoint

DEFAULT = ["disk", "disk:2000", "mnist-lenet:3"]


class Kept(Run):
    """A run that counts its saves, and the seconds in what it does beside the training.

    `on_the_way` are (seconds, saves) before the training's end, `figures` the seconds that summary.json's took, and
    `last` those of all that came at the end.
    """

    def __init__(self, folder):
        super().__init__(folder)
        self.seconds, self.saves, self.figures, self.last = 0.0, 0, 0.0, 0.0
        self.on_the_way = (0.0, 0)

    def timed(self, function):
        def call(*arguments):
            start = time.perf_counter()
            found = function(*arguments)
            self.seconds += time.perf_counter() - start
            return found

        return call

    def save(self, *arguments):
        self.saves += 1
        self.timed(super().save)(*arguments)

    def _finish(self, *arguments):
        self.on_the_way = (self.seconds, self.saves)
        start = time.perf_counter()
        super()._finish(*arguments)
        self.last = time.perf_counter() - start - self.figures

    def timed_figures(self, *arguments):
        start = time.perf_counter()
        found = summary.figures_of(*arguments)
        self.figures = time.perf_counter() - start
        return found


def measured(config, overrides, seconds):
    """(seconds in batches, in keeping the run on the way, saves on the way, seconds of the end) of a training."""
    experiment = tinynet.build(tinynet.load(config, *overrides, f"training.checkpoint_seconds={seconds}"))
    with tempfile.TemporaryDirectory() as folder:
        run = Kept.create(experiment, Path(folder), [])
        one = experiment.rounds[0]
        one.state = run.timed(one.state)
        changed = {"figures_of": run.timed_figures, "capture": run.timed(checkpoint.capture)}
        with mock.patch.multiple(runs, **changed), mock.patch.object(metrics, "append", run.timed(metrics.append)):
            run.train(experiment, lambda record: None)
        batches = one.progress.seconds
        return batches, *run.on_the_way, run.last


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", default=DEFAULT)
    parser.add_argument("--repeats", type=peers.count, default=5)
    arguments = parser.parse_args()
    print(f"{peers.introduction({})}; medians of {arguments.repeats}.\n")
    print(peers.header("training", "a save each", "batches", "saves", "on the way", "share", "the last save"))
    for name in arguments.configs:
        stem, _, epochs = name.partition(":")
        overrides = [f"training.epochs={epochs}"] if epochs else []
        for seconds in (10, 1):
            found = [measured(peers.CONFIGS / f"{stem}.yaml", overrides, seconds) for _ in range(arguments.repeats)]
            batches, kept, saves, last = (median(column) for column in zip(*found, strict=True))
            share = median(one[1] / one[0] for one in found)
            name = f"`{stem}`, {epochs} epochs" if epochs else f"`{stem}`"
            figures = (
                f"{batches:.2f} s",
                f"{saves:.0f}",
                f"{1000 * kept:.1f} ms",
                f"{share:.2%}",
                f"{1000 * last:.1f} ms",
            )
            print(peers.row([name, f"{seconds} s", *figures]), flush=True)


if __name__ == "__main__":
    main()
