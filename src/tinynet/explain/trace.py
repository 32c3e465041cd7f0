"""One sample on its way through a net, forward and back, with all that each layer gives and gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinynet.common.arrays import Array, Shape
from tinynet.common.errors import UsageError
from tinynet.data.dataset import SPLITS
from tinynet.data.loader import Loader
from tinynet.nn.layer import Layer
from tinynet.nn.walk import back_through, forward_through
from tinynet.training.evaluation import classify, compare_with
from tinynet.training.round import Round


@dataclass
class Learned:
    """The numbers of a parameter, and ∂L/∂ of them, summed over all layers that use it."""

    name: str
    value: Numbers
    gradient: Numbers


@dataclass
class Passage:
    """What a layer got and gave: inputs x and output y forward, the gradients dy of y and dx of each x back."""

    layer: str
    x: list[Numbers]
    y: Numbers
    dy: Numbers
    dx: list[Numbers]
    parameters: list[Learned]


@dataclass
class Trace:
    """What a net, as in evaluation, makes of one sample.

    Parameters
    ----------
    split, sample
        Which one; counted from 0.
    true, answer
        The names of its class and of the one that the outputs stand for, where there are classes.
    probabilities
        Of the classes by name, where the loss gives outputs such a meaning.
    x, target
        What goes in, and what the loss compares with.
    standardised
        Whether target, output and loss are in standardised units, as in training.
    passages
        Layer by layer, in the order of the forward pass.
    loss
        Its value for this sample alone.
    dx
        ∂L/∂x.
    """

    split: str
    sample: int
    true: str | None
    answer: str | None
    probabilities: dict[str, float] | None
    x: Numbers
    target: Numbers
    standardised: bool
    passages: list[Passage]
    loss: float
    dx: Numbers


def trace(one: Round, sample: int, split: str = "test") -> Trace:
    """Send a sample through the net and the gradient of its loss back.

    Parameters
    ----------
    one
        The net, the loss and the data. Gradients are zero afterwards.
    sample
        Its number in the split, from 0 on.
    split
        "train", "validation" or "test".

    Raises
    ------
    UsageError
        If there is no such split or sample.
    """
    x, labels, targets = _row(one, sample, split)
    net, known, target = one.net, one.description, compare_with(one, labels, targets)
    with np.errstate(all="ignore"):  # overflow shows in the numbers
        outputs = forward_through(net, x)
        predicted = outputs[-1]
        loss, gradient = one.loss(predicted, target)
        net.zero_grad()
        dys, dxs = back_through(net, gradient)
        shares = one.loss.probabilities(predicted)
    given = [[x if source < 0 else outputs[source] for source in node.sources] for node in net.graph.nodes]
    found = Trace(
        split=split,
        sample=sample,
        true=None,
        answer=None,
        probabilities=None,
        x=Numbers.of(x[0]),
        target=Numbers.of(target[0]),
        standardised=known.target_scaling is not None,
        passages=[_passage(*each) for each in zip(net.layers, given, outputs, dys, dxs, strict=False)],
        loss=float(loss),
        dx=Numbers.of(dys[-1][0], by_size=True),
    )
    net.zero_grad()
    if one.coding is not None and labels is not None:
        found.true = known.class_name(int(labels[0]))
        found.answer = known.class_name(int(classify(one, predicted)[0]))
        if shares is not None:
            found.probabilities = {known.class_name(i): float(share) for i, share in enumerate(shares[0])}
    return found


def _passage(layer: Layer, xs: Sequence[Array], y: Array, dy: Array, dxs: Sequence[Array]) -> Passage:
    """What a layer was given and gave, of a batch of one sample."""
    return Passage(
        layer=str(layer.name),
        x=[Numbers.of(x[0]) for x in xs],
        y=Numbers.of(y[0]),
        dy=Numbers.of(dy[0], by_size=True),
        dx=[Numbers.of(dx[0], by_size=True) for dx in dxs],
        parameters=[
            Learned(p.name, Numbers.of(p.tensor), Numbers.of(p.gradient, by_size=True)) for p in layer.parameters
        ],
    )


def _row(one: Round, sample: int, split: str) -> tuple[Array, Array | None, Array | None]:
    """The sample as a batch of one: (x, labels, targets)."""
    data = one.dataset.split(split) if split in SPLITS else None
    if data is None:
        hint = "`validation: 0.1` in the dataset makes one" if split in SPLITS else f"there are {', '.join(SPLITS)}"
        raise UsageError(f"there is no {split} split: {hint}")
    if not 0 <= sample < len(data):
        raise UsageError(f"there is no sample {sample}: those of the {split} split are 0 to {len(data) - 1}")
    return next(iter(Loader(data.rows(slice(sample, sample + 1)), 1)))


WHOLE = 50  # numbers that are shown one by one
WIDTH = 72  # characters in a line of a sketch
ROWS, TILE_ROWS = 14, 7  # lines of an image alone, and of one beside others
SHADES, BARS = " ░▒▓█", "▁▂▃▄▅▆▇█"


@dataclass
class Numbers:
    """What there is to see of an array.

    Parameters
    ----------
    shape
        Of the array.
    minimum, maximum, mean
        Over all its numbers; NaN where one is not finite.
    zeros
        The share of numbers that are 0.
    values
        All numbers, in nested lists, where there are at most 50.
    sketch
        Lines of block characters: dark or high is large. Bars for a vector, shades for a matrix or an image, images of
        several channels side by side as far as they fit. Empty where all numbers are the same or one is not finite.
    sketched
        Which part of the array the sketch is of, as in "the first 4 of 6", or "" for all of it.
    """

    shape: Shape
    minimum: float
    maximum: float
    mean: float
    zeros: float
    values: Any = None
    sketch: list[str] = field(default_factory=list)
    sketched: str = ""

    @classmethod
    def of(cls, array: Array, by_size: bool = False) -> Numbers:
        """Those of an array; with `by_size` the sketch is of |x|, as for gradients, and blank is 0."""
        x = np.asarray(array, float)
        if not np.isfinite(x).all():
            return cls(x.shape, np.nan, np.nan, np.nan, float((x == 0).mean()), _small(x))
        found = (float(x.min()), float(x.max()), float(x.mean()), float((x == 0).mean()))
        return cls(x.shape, *found, _small(x), *_sketch(np.abs(x) if by_size else x, by_size))


def _small(x: Array) -> Any:
    return x.tolist() if x.size <= WHOLE else None


def _sketch(x: Array, from_zero: bool) -> tuple[list[str], str]:
    low = 0.0 if from_zero else x.min()
    if x.max() == low or x.size == 1:
        return [], ""
    is_image, x = x.ndim > 2, x.squeeze()
    if x.ndim == 1:
        return _drawn(_binned(x[None], 1, min(x.size, WIDTH)), low, BARS), ""
    if x.ndim == 2:
        rows, columns = _fitted(x.shape, ROWS, WIDTH) if is_image else (min(x.shape[0], TILE_ROWS), x.shape[1])
        return _framed([_binned(x, rows, min(columns, WIDTH))], low), ""
    tiles = x.reshape(-1, *x.shape[-2:])
    rows, columns = _fitted(tiles.shape[1:], TILE_ROWS, 2 * TILE_ROWS)
    count = (WIDTH + 1) // (columns + 1)
    part = f"the first {count} of {len(tiles)}" if count < len(tiles) else ""
    return _framed([_binned(tile, rows, columns) for tile in tiles[:count]], low), part


def _fitted(shape: Shape, rows: int, columns: int) -> tuple[int, int]:
    """The lines and columns in which an image keeps its form; a character is twice as high as wide."""
    height, width = shape
    scale = max(height / (2 * rows), width / columns, 1)
    return max(1, round(height / (2 * scale))), max(1, round(width / scale))


def _binned(x: Array, rows: int, columns: int) -> Array:
    """The means of a matrix's parts, rows · columns of them of about the same size."""
    for axis, count in enumerate((rows, columns)):
        starts = np.arange(count) * x.shape[axis] // count
        sizes = np.diff([*starts, x.shape[axis]])
        x = np.add.reduceat(x, starts, axis) / (sizes[:, None] if axis == 0 else sizes)
    return x


def _framed(tiles: list[Array], low: float) -> list[str]:
    """Matrices in shades side by side, with a line between them."""
    drawn = _drawn(np.concatenate(tiles, axis=1), low, SHADES)
    width = tiles[0].shape[1]
    return ["│" + "".join(line[i : i + width] + "│" for i in range(0, len(line), width)) for line in drawn]


def _drawn(x: Array, low: float, levels: str) -> list[str]:
    high = max(x.max(), low + np.finfo(float).tiny)
    index = np.minimum((x - low) / (high - low) * len(levels), len(levels) - 1).astype(int)
    return ["".join(levels[i] for i in line) for line in index]
