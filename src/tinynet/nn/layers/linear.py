"""The fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinynet.common.annotations import PositiveInt
from tinynet.common.arrays import Array, Shape
from tinynet.common.errors import ShapeError
from tinynet.nn.initial import Init, check_init, initial_bias, initial_values
from tinynet.nn.layer import Layer


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
        (Xavier: Glorot and Bengio 2010; He, in PyTorch kaiming: He et al. 2015, gain √2 for ReLU) and b = 0. So does
        a number, which all of W begins at. `{file: start.npz, key: W}` takes W from an array of a file, and with
        `bias: b` also b.

    Raises
    ------
    ShapeError
        If a sample of the input is not flat, or the file is missing or its array has another shape.

    Source: Feng, Sun and Wang, eq. 6-10.

    Example: {Linear: 25}
    """

    out_features: PositiveInt
    bias: bool = True
    init: Init = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_init(self.init, self.bias)

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        if len(shape) != 1:
            raise ShapeError(f"needs a flat input, but gets {shape}. Put Flatten before it.")
        fan_in, fan_out = shape[0], self.out_features
        self.weight = self.parameter("weight", (fan_in, fan_out), initial_values(self.init, fan_in, fan_out, rng))
        if self.bias:
            self.bias_ = self.parameter("bias", (1, fan_out), initial_bias(self.init, fan_in, rng))
            self.ones = np.ones((1, 0))
        return (fan_out,)

    def multiply_adds(self) -> int:
        """in_features · out_features."""
        return self.weight.tensor.size

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
