"""Arrays to look at: whole where they are small, else their range and a sketch in block characters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinynet.core import Array, Shape

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
