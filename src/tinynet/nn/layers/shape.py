"""Layers that only change the shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from tinynet.common.annotations import PositiveInt
from tinynet.common.arrays import Array, Shape
from tinynet.common.errors import ShapeError
from tinynet.nn.layer import Layer


@dataclass(eq=False)
class Flatten(Layer):
    """y = x with the axes of a sample in one

    x (..., batch, d₁, …, dₖ), y (..., batch, d₁ ⋯ dₖ), the last axis fastest, as in PyTorch. dx = dy in x's shape.

    Example: Flatten
    """

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        self.sample_axes, self.input_shape = len(shape), shape
        return (prod(shape),)

    def arithmetic(self) -> str:
        return _product(self.input_shape) if self.sample_axes > 1 else ""

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = x.reshape(*x.shape[: x.ndim - self.sample_axes], -1)
        return self.y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy.reshape(self.x.shape)
        return dx


@dataclass(eq=False)
class Reshape(Layer):
    """y = x with the axes of a sample arranged anew

    x (N, *sample), y (N, *shape), the last axis fastest, as in PyTorch. dx = dy in x's shape.

    Parameters
    ----------
    shape
        Of one sample of the output; it holds as many numbers as one of the input.

    Raises
    ------
    ShapeError
        If it holds more or fewer.

    Example: {Reshape: [2, 3, 1]}
    """

    shape: tuple[PositiveInt, ...]

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        if prod(shape) != prod(self.shape):
            raise ShapeError(f"gets {shape}, but {_product(shape)} is not {_product(self.shape)}")
        self.input_shape = shape
        return tuple(self.shape)

    def arithmetic(self) -> str:
        return _product(self.input_shape, self.shape)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = x.reshape(len(x), *self.shape)
        return self.y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy.reshape(self.x.shape)
        return dx


def _product(shape: Shape, *same: Shape) -> str:
    """`16 · 5 · 5 = 400`, or `16 · 5 · 5 = 400 = 20 · 20` with another shape of as many numbers."""
    steps = (shape, (prod(shape),), *same)
    # Of one axis the product is the size itself, which is said once.
    return " = ".join(dict.fromkeys(" · ".join(map(str, sizes)) for sizes in steps))
