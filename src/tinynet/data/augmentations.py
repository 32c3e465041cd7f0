"""Augmentations: images a little changed for each training batch, so that a net never sees quite the same one twice."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import annotated_types as limits
import numpy as np

from tinynet.common.annotations import PositiveInt
from tinynet.common.arrays import Array
from tinynet.common.components import Component
from tinynet.data.loader import Scaling
from tinynet.nn.layers.images import from_memory, to_memory
from tinynet.nn.random import Stream


@dataclass(eq=False, kw_only=True)
class Augmentation(Component, abstract=True):
    """A random change of images, another one for each sample. Training alone sees it, evaluation never."""

    kind: ClassVar[str] = "augmentation"

    @abstractmethod
    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """The batch x (N, C, H, W), changed; it lies in memory as `images.py` says, and x stays as it is.

        Parameters
        ----------
        x
            Images before standardising, so that 0 is black.
        rng
            Where all samples of the batch are drawn from.
        """


def augment(x: Array, augmentations: Sequence[Augmentation], scaling: Scaling | None, seed: int, step: int) -> Array:
    """A training batch x (N, C, H, W) with all augmentations applied, one after the other.

    The images are changed before standardising: what comes in at the edges is black, not the mean. Each augmentation
    has a stream of its own; its draws are a function of the training's seed and its updates so far, the step.
    """
    images = x if scaling is None else scaling.undo(x).astype(x.dtype)
    for index, augmentation in enumerate(augmentations):
        images = augmentation(images, Stream(seed, "augmentation", str(index)).at(step))
    return images if scaling is None else scaling.apply(images).astype(x.dtype)


@dataclass(eq=False)
class Shift(Augmentation):
    """y[n, c, i, j] = x[n, c, i - aₙ, j - bₙ],  aₙ and bₙ any of -pixels, …, pixels

    x and y (N, C, H, W). Zeros come in from outside of the image.

    Parameters
    ----------
    pixels
        The farthest that an image moves, along H and along W.

    Example: {Shift: 2}
    """

    pixels: PositiveInt

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        n, _, h, w = x.shape
        a, b = rng.integers(-self.pixels, self.pixels + 1, (2, n))
        rows = np.arange(h)[:, None, None, None] - a  # (H, 1, 1, N)
        columns = np.arange(w)[:, None] - b  # (W, N)
        framed = _framed(x)
        y: Array = framed.reshape(-1).take(_index(framed, rows.clip(-1, h), columns.clip(-1, w)))
        return from_memory(y)


@dataclass(eq=False)
class Rotate(Augmentation):
    """y[n, c, v, u] = x[n, c, v cos θₙ + u sin θₙ, u cos θₙ - v sin θₙ],  θₙ ~ U(-degrees, degrees)

    x and y (N, C, H, W); v along H and u along W are counted from the centre, and a positive θ turns anticlockwise.
    Between the pixels x is bilinear, outside of the image 0.

    Parameters
    ----------
    degrees
        The farthest that an image turns, to either side.

    Example: {Rotate: 10}
    """

    degrees: Annotated[float, limits.Gt(0), limits.Le(180)]

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        angle = np.radians(rng.uniform(-self.degrees, self.degrees, len(x)))
        cos, sin = np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)
        v, u = _from_centre(x)
        return _bilinear(x, v * cos + u * sin, u * cos - v * sin)


@dataclass(eq=False)
class Zoom(Augmentation):
    """y[n, c, v, u] = x[n, c, v / fₙ, u / fₙ],  fₙ ~ U(1 - share, 1 + share)

    x and y (N, C, H, W); v along H and u along W are counted from the centre. Between the pixels x is bilinear, outside
    of the image 0.

    Parameters
    ----------
    share
        The most that an image grows or shrinks, as a share of its size.

    Example: {Zoom: 0.1}
    """

    share: Annotated[float, limits.Gt(0), limits.Lt(1)]

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        factor = rng.uniform(1 - self.share, 1 + self.share, len(x)).astype(x.dtype)
        v, u = _from_centre(x)
        return _bilinear(x, v / factor, u / factor)


def _from_centre(x: Array) -> tuple[Array, Array]:
    """The places of the pixels, counted from the image's centre: v (H, 1, 1, 1) and u (W, 1)."""
    h, w = x.shape[2:]
    v, u = np.arange(h, dtype=x.dtype) - (h - 1) / 2, np.arange(w, dtype=x.dtype) - (w - 1) / 2
    return v[:, None, None, None], u[:, None]


def _framed(x: Array) -> Array:
    """The images as they lie in memory with a frame of zeros, one pixel wide: (H + 2, C, W + 2, N)."""
    n, c, h, w = x.shape
    framed = np.zeros((h + 2, c, w + 2, n), x.dtype)
    framed[1:-1, :, 1:-1] = to_memory(x)
    return framed


def _index(framed: Array, rows: Array, columns: Array) -> Array:
    """Where in the flat array the pixels of these whole rows (from -1 to H) and columns are, for each channel."""
    _, c, w, n = framed.shape
    start = ((rows + 1) * c + np.arange(c)[:, None, None]) * (w * n)
    place: Array = start + ((columns + 1) * n + np.arange(n))  # (H, C, W, N)
    return place


def _bilinear(x: Array, v: Array, u: Array) -> Array:
    """x at the places (v, u), counted from the centre, that may lie between pixels: a mean of the four around each."""
    h, w = x.shape[2:]
    rows, columns = (v + (h - 1) / 2).clip(-1, h), (u + (w - 1) / 2).clip(-1, w)
    top, left = np.floor(rows).clip(-1, h - 1), np.floor(columns).clip(-1, w - 1)
    down, right = rows - top, columns - left
    framed = _framed(x)
    index = _index(framed, top.astype(np.intp), left.astype(np.intp))
    flat = framed.reshape(-1)
    next_row, next_column = framed[0].size, len(x)
    above = _between(flat.take(index), flat[next_column:].take(index), right)
    below = _between(flat[next_row:].take(index), flat[next_row + next_column :].take(index), right)
    return from_memory(_between(above, below, down))


def _between(first: Array, second: Array, share: Array) -> Array:
    second -= first
    second *= share
    second += first
    return second
