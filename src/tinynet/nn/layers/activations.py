"""Activations: functions of each number by itself, and Softmax."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np

from tinynet.common.annotations import NonNegativeFloat
from tinynet.common.arrays import Array
from tinynet.nn.layer import Layer


@dataclass(eq=False)
class ReLU(Layer):
    """y = max(x, 0)

    x and y of any shape. dx = dy where x > 0, else 0.

    Source: Feng, Sun and Wang, eq. 2-3.

    Example: ReLU
    """

    zeros = np.zeros(0)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        if x.size < 4096:
            self.y = np.maximum(x, 0)
            return self.y
        # For many numbers an array of zeros, kept between calls, is quicker than the number 0.
        if self.zeros.shape != x.shape or self.zeros.dtype != x.dtype:
            self.zeros = np.zeros_like(x)
        self.y = np.maximum(x, self.zeros)
        return self.y

    def backward(self, dy: Array) -> Array:
        # y is never negative, so its sign is 1 where x > 0, else 0; for many numbers a mask is quicker.
        dx: Array = np.sign(self.y) if self.y.size < 4096 else (self.y > 0).astype(dy.dtype)
        dx *= dy
        return dx


@dataclass(eq=False)
class LeakyReLU(Layer):
    """y = x where x > 0, else negative_slope · x

    x and y of any shape. dx = dy where x > 0, else negative_slope · dy.

    Parameters
    ----------
    negative_slope
        Slope left of 0.

    Source: Maas, Hannun and Ng 2013; PyTorch's default slope.

    Example: {LeakyReLU: 0.01}
    """

    negative_slope: NonNegativeFloat = 0.01

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = np.where(x > 0, x, self.negative_slope * x)
        return self.y

    def backward(self, dy: Array) -> Array:
        dx: Array = np.where(self.x > 0, dy, self.negative_slope * dy)
        return dx


@dataclass(eq=False)
class Tanh(Layer):
    """y = tanh(x) = (eˣ - e⁻ˣ) / (eˣ + e⁻ˣ)

    x and y of any shape. dx = dy (1 - y²).

    Source: Feng, Sun and Wang, eq. 4-5.

    Example: Tanh
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy * (1 - self.y * self.y)
        return dx


@dataclass(eq=False)
class Sigmoid(Layer):
    """y = 1 / (1 + e⁻ˣ)

    x and y of any shape. dx = dy y (1 - y).

    Example: Sigmoid
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = sigmoid(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy * self.y * (1 - self.y)
        return dx


@dataclass(eq=False)
class GELU(Layer):
    """y = x/2 · (1 + tanh(u)),  u = √(2/π) (x + 0.044715 x³)

    x and y of any shape. dx = dy · ((1 + tanh u)/2 + x/2 · (1 - tanh² u) · √(2/π) (1 + 3 · 0.044715 x²)).
    This is the tanh form, PyTorch's `GELU(approximate="tanh")`.

    Source: Hendrycks and Gimpel 2016.

    Example: GELU
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.tanh_u = np.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x))
        self.y = 0.5 * x * (1 + self.tanh_u)
        return self.y

    def backward(self, dy: Array) -> Array:
        x, t = self.x, self.tanh_u
        du = sqrt(2 / pi) * (1 + 3 * 0.044715 * x * x)
        dx: Array = dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du)
        return dx


@dataclass(eq=False)
class Softmax(Layer):
    """yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ)

    Over the last axis: x and y (..., features). dxᵢ = yᵢ (dyᵢ - Σⱼ dyⱼ yⱼ).
    Not before CrossEntropy, which takes logits and has its own log-softmax.

    Example: Softmax
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = softmax(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        dx: Array = self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))
        return dx


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ), which overflows for no x."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x > 0, 1, small) / (1 + small))


def softmax(x: Array) -> Array:
    """exp(xᵢ) / Σⱼ exp(xⱼ) over the last axis, which overflows for no x."""
    exp = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=-1, keepdims=True))
