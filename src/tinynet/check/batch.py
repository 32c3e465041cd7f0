"""What a net is checked with: a round of it in float64, and a batch of random samples."""

from __future__ import annotations

from dataclasses import replace

from tinynet.common.arrays import Array
from tinynet.config.config import Config
from tinynet.data.targets import encode
from tinynet.nn.losses import BinaryCrossEntropy
from tinynet.nn.random import Stream
from tinynet.training.builder import build_round, describe
from tinynet.training.round import Round

SAMPLES = 4


def in_float64(config: Config) -> Round:
    """A round of a config in float64, without data.

    Raises
    ------
    ConfigError
        For layers, loss and dataset that do not fit each other, at their line.
    DataError
        If a person's own file, which says how wide a sample is, is missing or broken.
    """
    config = replace(config, dtype="float64")
    return build_round(config, describe(config))


def random_batch(one: Round, samples: int, name: str = "check") -> tuple[Array, Array]:
    """Random samples and targets of the kind that the round is trained with.

    Pixels are from 0 to 1, other inputs and the targets of a regression from N(0, 1), all classes equally likely.

    Parameters
    ----------
    one
        In float64.
    samples
        Their number.
    name
        Another name gives another batch.

    Returns
    -------
    x (samples, *input_shape), and the target as the loss takes it.
    """
    rng = Stream(one.config.seed, "data", name).at()
    # This loss is of targets from 0 to 1.
    of_shares = isinstance(one.loss, BinaryCrossEntropy)
    itself = one.config.dataset.options["targets"] == "inputs"
    shape = (samples, *one.net.input_shape)
    x = rng.random(shape) if one.description.pixels or (of_shares and itself) else rng.standard_normal(shape)
    if itself:
        return x, x.copy()
    if one.description.classes is None:
        shape = (samples, *one.net.output_shape)
        return x, rng.random(shape) if of_shares else rng.standard_normal(shape)
    labels = rng.integers(0, len(one.description.classes), samples)
    if one.loss.takes_labels:
        return x, labels
    assert one.coding is not None
    return x, encode(labels, one.coding, one.net.output_shape[0])
