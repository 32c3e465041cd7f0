"""What a worker (worker.py) is told of a training: its data, and its config as plain values."""

import numpy as np


def read(job, prefix=""):
    """Images (n, C, H, W) in float32, 0 to 1, and their classes (n,): those to train, with "test_" those to test."""
    with np.load(job["data"]) as arrays:
        x = arrays[f"{prefix}x"].astype(np.float32)
        x *= np.float32(1 / 255)
        return x, arrays[f"{prefix}labels"].astype(np.int64)


def standardizing(job):
    """(mean, deviation) of the channels, (C, 1, 1) and float32, or None."""
    with np.load(job["data"]) as arrays:
        names = ("mean", "deviation")
        return tuple(arrays[name].astype(np.float32) for name in names) if "mean" in arrays else None


def parts(components):
    """(kind, options) of each component in a list of a resolved config, without the options of tinynet alone."""
    for component in components:
        ((kind, options),) = component.items()
        yield kind, {name: value for name, value in options.items() if name not in ("name", "init", "trainable")}


def check(job, parameters):
    """Raises ValueError if a peer's net has another count of parameters than that of tinynet."""
    if parameters != job["parameters"]:
        raise ValueError(f"the peer's net has {parameters} parameters, that of tinynet {job['parameters']}")
