"""Proves every gradient of a net by central differences: each layer by itself, and from the loss through all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinynet.builder import Parts, describe
from tinynet.check.differences import Settings
from tinynet.check.findings import Report
from tinynet.check.net import NetCheck
from tinynet.config import Config
from tinynet.core import Array, Stream
from tinynet.datasets.targets import encode
from tinynet.losses import BinaryCrossEntropy, Loss
from tinynet.net import Net

SAMPLES = 4


def check(net: Net, loss: Loss, x: Array, target: Array, settings: Settings) -> Report:
    """Compare the gradient of every parameter and of every input with central differences.

    Parameters
    ----------
    net
        In float64. Its constant parameters are changed: a bias of 0 or a factor of 1 would hide mistakes.
    loss
        Of its outputs.
    x, target
        A batch.
    settings
        How to check.
    """
    with np.errstate(all="ignore"):  # NaN and infinity are found as wrong gradients
        return NetCheck(net, loss, x, target, settings).run()


def in_float64(config: Config) -> Parts:
    """The parts of a config in float64, without data.

    Raises
    ------
    ConfigError
        For layers, loss and dataset that do not fit each other, at their line.
    DataError
        If a person's own file, which says how wide a sample is, is missing or broken.
    """
    config = replace(config, dtype="float64")
    return Parts.of(config, describe(config))


def random_batch(parts: Parts, samples: int, name: str = "check") -> tuple[Array, Array]:
    """Random samples and targets of the kind that the parts are trained with.

    Pixels are from 0 to 1, other inputs and the targets of a regression from N(0, 1), all classes equally likely.

    Parameters
    ----------
    parts
        In float64.
    samples
        Their number.
    name
        Another name gives another batch.

    Returns
    -------
    x (samples, *input_shape), and the target as the loss takes it.
    """
    rng = Stream(parts.config.seed, "data", name).at()
    # This loss is of targets from 0 to 1.
    of_shares = isinstance(parts.loss, BinaryCrossEntropy)
    itself = parts.config.dataset.options["targets"] == "inputs"
    shape = (samples, *parts.net.input_shape)
    x = rng.random(shape) if parts.description.pixels or (of_shares and itself) else rng.standard_normal(shape)
    if itself:
        return x, x.copy()
    if parts.description.classes is None:
        shape = (samples, *parts.net.output_shape)
        return x, rng.random(shape) if of_shares else rng.standard_normal(shape)
    labels = rng.integers(0, len(parts.description.classes), samples)
    if parts.loss.takes_labels:
        return x, labels
    assert parts.coding is not None
    return x, encode(labels, parts.coding, parts.net.output_shape[0])
