"""A process that trains one net: python worker.py PEER THREADS, started by peers.Worker.

It reads lines of JSON and answers each by one: first the job, then {"batches": 60} or {"training": true}.
"""

import os
import sys

# Before NumPy starts its threads. Without it Keras on JAX takes a second core for convolutions.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[2])])

import json
import time
from itertools import islice
from pathlib import Path

import numpy as np
from job import check, parts, read


class Tinynet:
    def __init__(self, job):
        import tinynet
        from tinynet.training.learner import Learner

        self.experiment = tinynet.build(tinynet.load(job["path"], *job["overrides"]))
        self.learner = Learner(self.experiment.rounds, job["threads"])
        self.experiment.training.workers = job["threads"]

    def batches(self, count):
        for _ in islice(self.learner.epoch(), count):
            pass

    def training(self):
        """(seconds in batches, test error)"""
        *_, last = self.experiment.train()
        return last.seconds, last.test_error


class ScikitLearn:
    """An MLPClassifier, which cuts what it is given into batches itself: that is its quickest way."""

    def __init__(self, job):
        from sklearn.neural_network import MLPClassifier

        x, self.labels = read(job)
        self.x, self.size = x.reshape(len(x), -1), job["config"]["training"]["batch_size"]
        widths = [options["out_features"] for kind, options in parts(job["config"]["layers"]) if kind == "Linear"]
        sgd = job["config"]["optimizer"]["SGD"]
        self.net = MLPClassifier(
            widths[:-1],
            solver="sgd",
            alpha=0,
            batch_size=self.size,
            learning_rate_init=sgd["lr"],
            momentum=sgd["momentum"],
            nesterovs_momentum=False,
            shuffle=False,
        )
        self.classes = np.unique(self.labels)

    def batches(self, count):
        rows = np.random.permutation(len(self.x))[: count * self.size]
        self.net.partial_fit(self.x[rows], self.labels[rows], classes=self.classes)


class Keras:
    """A Sequential, channels last, compiled; `fit` was seen to be quicker than `train_on_batch`."""

    def __init__(self, job):
        import keras

        x, self.labels = read(job)
        self.x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        self.size = job["config"]["training"]["batch_size"]
        layers = [self._layer(keras.layers, kind, options) for kind, options in parts(job["config"]["layers"])]
        self.net = keras.Sequential([keras.Input(self.x.shape[1:]), *layers])
        check(job, self.net.count_params())
        sgd = job["config"]["optimizer"]["SGD"]
        optimizer = keras.optimizers.SGD(sgd["lr"], momentum=sgd["momentum"])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.net.compile(optimizer, loss, jit_compile=True)

    @staticmethod
    def _layer(layers, kind, options):
        match kind:
            case "Linear":
                return layers.Dense(options["out_features"])
            case "Conv2d":
                padding = "same" if options["padding"] else "valid"
                return layers.Conv2D(options["out_channels"], options["kernel_size"], options["stride"], padding)
            case "MaxPool2d":
                return layers.MaxPooling2D(options["kernel_size"], options.get("stride"))
            case "Dropout":
                return layers.Dropout(options["p"])
        return getattr(layers, kind)()

    def batches(self, count):
        rows = np.random.permutation(len(self.x))[: count * self.size]
        self.net.fit(self.x[rows], self.labels[rows], batch_size=self.size, shuffle=False, verbose=0)


def trainer(peer, job):
    if peer == "PyTorch":
        from with_pytorch import PyTorch

        return PyTorch(job)
    return {"tinynet": Tinynet, "scikit-learn": ScikitLearn, "Keras on JAX": Keras}[peer](job)


def peak():
    """The most memory the process has held, in MB, or None where the system does not say."""
    # Not getrusage: a process starts with the peak of the one that started it.
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")), None)


def main():
    # What the libraries print must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    found = trainer(sys.argv[1], json.loads(sys.stdin.readline()) | {"threads": int(sys.argv[2])})
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        if "batches" in question:
            start = time.perf_counter()
            found.batches(question["batches"])
            answer = {"seconds": time.perf_counter() - start}
        else:
            answer = dict(zip(("seconds", "error"), found.training(), strict=True))
        print(json.dumps({**answer, "peak": peak()}), file=answers, flush=True)


if __name__ == "__main__":
    main()
