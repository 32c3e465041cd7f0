"""Dropout: random zeros in training, nothing in evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinynet.common.annotations import Probability
from tinynet.common.arrays import Array, Shape
from tinynet.nn.layer import Layer
from tinynet.nn.layers.images import from_memory, image_shape


@dataclass(eq=False)
class Dropout(Layer):
    """y = x m / (1 - p),  m ~ Bernoulli(1 - p) in training;  y = x in evaluation

    x, y and the mask m of any shape, one draw for each number. dx = dy m / (1 - p).
    The mask is a function of the seed, the layer's name and the count of updates: it changes with `net.update`.

    Parameters
    ----------
    p
        Probability of a zero.

    Source: Srivastava et al. 2014, in the inverted form.

    Example: {Dropout: 0.5}
    """

    p: Probability = 0.5

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.factor: Array | None = None
        if training and self.p > 0:
            kept = (self.draw(x.shape) >= self.p).astype(x.dtype)
            self.factor = kept * (1 / (1 - self.p) if self.p < 1 else 0.0)
        self.y = x if self.factor is None else x * self.factor
        return self.y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy if self.factor is None else dy * self.factor
        return dx

    def draw(self, shape: Shape) -> Array:
        """A number in [0, 1) for each number of x, lying in memory as x does."""
        if len(shape) != 4:
            return self.random(shape)
        n, c, h, w = shape
        return from_memory(self.random((h, c, w, n)))


@dataclass(eq=False)
class Dropout2d(Dropout):
    """y = x m / (1 - p),  m ~ Bernoulli(1 - p) for each channel of each sample in training;  y = x in evaluation

    x and y (N, C, H, W), m (N, C, 1, 1): a channel is kept or zero as a whole. dx = dy m / (1 - p).

    Source: Tompson et al. 2015; PyTorch's Dropout2d.

    Example: {Dropout2d: 0.25}
    """

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        image_shape(shape)
        return shape

    def draw(self, shape: Shape) -> Array:
        n, c, _, _ = shape
        return from_memory(self.random((1, c, 1, n)))
