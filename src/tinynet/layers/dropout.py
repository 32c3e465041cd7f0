"""Dropout: random zeros in training, nothing in evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from tinynet.core import Array
from tinynet.layers.base import Layer
from tinynet.registry import Probability


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
            kept = self.random(x.shape) >= self.p
            self.factor = kept.astype(x.dtype) * (1 / (1 - self.p) if self.p < 1 else 0.0)
        self.y = x if self.factor is None else x * self.factor
        return self.y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy if self.factor is None else dy * self.factor
        return dx
