"""The fully connected layer, and the rules for initial weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from tinynet.core import Array, Shape
from tinynet.errors import ShapeError
from tinynet.layers.base import Layer
from tinynet.registry import PositiveInt

Rule = Literal[
    "uniform",
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "zeros",
]


def initial_values(rule: Rule, fan_in: int, fan_out: int, rng: np.random.Generator) -> Callable[[Shape], Array]:
    """Initial weights by name, as a function of their shape.

    ==================  ==========================================================================
    uniform             U(-a, a), a = 1/√fan_in                     [seeds/002, eq. 6; PyTorch]
    xavier_uniform      U(-a, a), a = √(6/(fan_in + fan_out))       [Glorot and Bengio 2010]
    xavier_normal       N(0, σ²), σ = √(2/(fan_in + fan_out))
    he_uniform          U(-a, a), a = √(6/fan_in)                   [He et al. 2015; PyTorch: kaiming]
    he_normal           N(0, σ²), σ = √(2/fan_in)
    zeros               0
    ==================  ==========================================================================
    """
    spread = {
        "uniform": 1 / sqrt(fan_in),
        "xavier_uniform": sqrt(6 / (fan_in + fan_out)),
        "xavier_normal": sqrt(2 / (fan_in + fan_out)),
        "he_uniform": sqrt(6 / fan_in),
        "he_normal": sqrt(2 / fan_in),
        "zeros": 0.0,
    }[rule.replace("kaiming", "he")]
    if rule.endswith("normal"):
        return lambda shape: rng.normal(0.0, spread, shape)
    return lambda shape: rng.uniform(-spread, spread, shape)


def initial_bias(rule: Rule, fan_in: int, rng: np.random.Generator) -> Callable[[Shape], Array]:
    """Initial biases beside weights of this rule: as the weights with uniform, else 0."""
    return initial_values("uniform" if rule == "uniform" else "zeros", fan_in, 1, rng)


@dataclass(eq=False)
class Linear(Layer):
    """y = x W + b

    x (..., batch, in_features), W (in_features, out_features), b (1, out_features), y (..., batch, out_features).
    dW = xᵀ dy,  db = 1ᵀ dy,  dx = dy Wᵀ.

    Parameters
    ----------
    out_features
        Numbers in a sample of the output.
    bias
        Whether to add b.
    init
        Rule for the initial W. With uniform, W and b ~ U(-1/√in_features, 1/√in_features). The others give W as named
        (Xavier: Glorot and Bengio 2010; He, in PyTorch kaiming: He et al. 2015, gain √2 for ReLU) and b = 0.

    Raises
    ------
    ShapeError
        If a sample of the input is not flat.

    Source: seeds/002, eq. 6-10.

    Example: {Linear: 25}
    """

    out_features: PositiveInt
    bias: bool = True
    init: Rule = "uniform"

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        if len(shape) != 1:
            raise ShapeError(f"needs a flat input, but gets {shape}. Put Flatten before it.")
        fan_in, fan_out = shape[0], self.out_features
        self.weight = self.parameter("weight", (fan_in, fan_out), initial_values(self.init, fan_in, fan_out, rng))
        if self.bias:
            self.bias_ = self.parameter("bias", (1, fan_out), initial_bias(self.init, fan_in, rng))
            self.ones = np.ones((1, 0))
        return (fan_out,)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = y = x @ self.weight.tensor
        if self.bias:
            y += self.bias_.tensor
        return y

    def backward(self, dy: Array) -> Array | None:
        self.weight.gradient += self.x.mT @ dy
        if self.bias:
            if self.ones.shape[1] != dy.shape[-2]:
                self.ones = np.ones((1, dy.shape[-2]), dy.dtype)
            # 1ᵀ dy as a product takes half the time of dy.sum(axis=-2).
            self.bias_.gradient += self.ones @ dy
        if not self.needs_dx:
            return None
        dx: Array = dy @ self.weight.tensor.mT
        return dx
