"""Layers that only change the shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from tinynet.core import Array, Shape
from tinynet.layers.base import Layer


@dataclass(eq=False)
class Flatten(Layer):
    """y = x with the axes of a sample in one

    x (..., batch, d₁, …, dₖ), y (..., batch, d₁ ⋯ dₖ), the last axis fastest, as in PyTorch. dx is dy in x's shape.

    Example: Flatten
    """

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        self.sample_axes = len(shape)
        return (prod(shape),)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = x.reshape(*x.shape[: x.ndim - self.sample_axes], -1)
        return self.y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy.reshape(self.x.shape)
        return dx
