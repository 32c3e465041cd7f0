"""The parts of a dataset, their scaling, and the loader that goes through one batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.common.arrays import Array
from tinynet.common.errors import OptionError


@dataclass
class Split:
    """One part of a dataset, row by row: x, and what is to be predicted from it.

    Parameters
    ----------
    x
        Inputs (n, *sample).
    labels
        Class indices (n,), or None in a regression.
    targets
        Target vectors (n, k): the values of a regression, the coded classes, or x itself.
    scaling
        For images in bytes, which the loader turns into numbers: how those of 0 to 1 are standardised, or None.
    """

    x: Array
    labels: Array | None = None
    targets: Array | None = None
    scaling: Scaling | None = None

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, index: Array | slice) -> Split:
        """The rows of an index, as a split."""
        x = _taken(self.x, index)
        labels = None if self.labels is None else _taken(self.labels, index)
        targets = None if self.targets is None else x if self.targets is self.x else _taken(self.targets, index)
        return Split(x, labels, targets, self.scaling)


def _taken(values: Array, index: Array | slice) -> Array:
    # For short rows `take` is several times quicker than an index in brackets.
    return values[index] if isinstance(index, slice) else values.take(index, axis=0)


class Loader:
    """Goes through a split batch by batch: yields (x, labels, targets), whose last batch may be short.

    With several rounds each has an axis of them in front.

    labels are 1-D class indices, targets 2-D vectors (Feng, Sun and Wang); either is None where the split has none.

    Parameters
    ----------
    split
        Where the rows come from.
    batch_size
        Rows in a batch.
    order
        Row numbers in the order to take them, (n,), or for several rounds (rounds, n); by default as they stand.
    first
        Batch to begin with, to go on in the middle of an epoch.
    """

    def __init__(self, split: Split, batch_size: int, order: Array | None = None, first: int = 0) -> None:
        if batch_size < 1:
            raise OptionError(f"batch_size must be a whole number > 0, not {batch_size}")
        self.split, self.batch_size, self.order, self.first = split, batch_size, order, first
        self.rows = len(split) if order is None else order.shape[-1]

    def __len__(self) -> int:
        """Batches in the whole split, or in the whole order."""
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Array, Array | None, Array | None]]:
        size = self.batch_size
        # Gathering rows costs a few µs a call, so it is done for many batches at once, up to about 1 MB of inputs.
        rounds = 1 if self.order is None or self.order.ndim == 1 else len(self.order)
        before = (slice(None),) if rounds > 1 else ()
        row_bytes = max(1, self.split.x[:1].nbytes * rounds)
        block = size * max(1, 2**20 // (row_bytes * size))
        for start in range(self.first * size, self.rows, block):
            stop = min(start + block, self.rows)
            part = self.split.rows(slice(start, stop) if self.order is None else self.order[..., start:stop])
            x, labels, targets = part.x, part.labels, part.targets
            for i in range(0, stop - start, size):
                batch = (*before, slice(i, i + size))
                inputs = pixels(x[batch], part.scaling) if x.dtype == np.uint8 else x[batch]
                goals = None if targets is None else inputs if targets is x else targets[batch]
                yield inputs, None if labels is None else labels[batch], goals


@dataclass
class Scaling:
    """x' = (x - mean) / deviation, column by column.

    A column that never changes is only shifted.
    """

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, values: Array) -> Scaling:
        """The mean and the deviation over the rows; raises OptionError if they are too large for numbers."""
        # Not deviation > 0: rounding gives a column of 0.1 a deviation of 1e-17.
        varies = values.max(axis=0) > values.min(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, deviation = values.mean(axis=0, dtype=float), values.std(axis=0, dtype=float)
        if not np.isfinite(deviation).all():
            largest = np.abs(values).max()
            raise OptionError(f"numbers up to {largest:.3g} cannot be standardised. Scale them in the file.")
        return cls(mean, np.where(varies, deviation, 1.0))

    def apply(self, values: Array) -> Array:
        return np.asarray((values - self.mean) / self.deviation)

    def undo(self, values: Array) -> Array:
        return np.asarray(values * self.deviation + self.mean)

    def to_json(self) -> dict[str, Any]:
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Scaling:
        mean, deviation = np.array(found["mean"], float), np.array(found["deviation"], float)
        if mean.shape != deviation.shape or not (np.isfinite(mean) & np.isfinite(deviation) & (deviation > 0)).all():
            raise ValueError("mean and deviation are not those of any data")
        return cls(mean, deviation)


def pixels(x: Array, scaling: Scaling | None) -> Array:
    """Images (n, C, H, W) in bytes as numbers of 0 to 1, or standardised by mean and deviation (C, 1, 1); float32."""
    found: Array = np.multiply(x, np.float32(1 / 255))
    if scaling is not None:
        found -= scaling.mean.astype(np.float32)
        found /= scaling.deviation.astype(np.float32)
    return found
