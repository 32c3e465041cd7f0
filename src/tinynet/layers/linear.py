"""The fully connected layer, and the rules for initial weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Literal, NotRequired, TypedDict

import numpy as np

from tinynet.core import Array, Shape
from tinynet.errors import DataError, OptionError, ShapeError
from tinynet.layers.base import Layer
from tinynet.npz import read_npz
from tinynet.registry import FilePath, PositiveInt
from tinynet.suggestions import suggestion

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


class Stored(TypedDict):
    """Initial values from an .npz file, such as a checkpoint of tinynet.

    Parameters
    ----------
    file
        The .npz file, relative to the config's folder.
    key
        The name of the array that holds the weights, in a checkpoint as in `parameters/linear1.weight`.
    bias
        That of the biases; by default they are 0.
    """

    file: FilePath
    key: str
    bias: NotRequired[str]


Init = float | Stored | Rule


def initial_values(init: Init, fan_in: int, fan_out: int, rng: np.random.Generator) -> Callable[[Shape], Array]:
    """Initial weights, as a function of their shape: by the name of a rule, all of one number, or from a file.

    ==================  ==========================================================================
    uniform             U(-a, a), a = 1/√fan_in                     [seeds/002, eq. 6; PyTorch]
    xavier_uniform      U(-a, a), a = √(6/(fan_in + fan_out))       [Glorot and Bengio 2010]
    xavier_normal       N(0, σ²), σ = √(2/(fan_in + fan_out))
    he_uniform          U(-a, a), a = √(6/fan_in)                   [He et al. 2015; PyTorch: kaiming]
    he_normal           N(0, σ²), σ = √(2/fan_in)
    zeros               0
    ==================  ==========================================================================
    """
    if isinstance(init, dict):
        return lambda shape: _stored(init["file"], init["key"], shape)
    if not isinstance(init, str):
        return lambda shape: np.full(shape, init, float)
    spread = {
        "uniform": 1 / sqrt(fan_in),
        "xavier_uniform": sqrt(6 / (fan_in + fan_out)),
        "xavier_normal": sqrt(2 / (fan_in + fan_out)),
        "he_uniform": sqrt(6 / fan_in),
        "he_normal": sqrt(2 / fan_in),
        "zeros": 0.0,
    }[init.replace("kaiming", "he")]
    if init.endswith("normal"):
        return lambda shape: rng.normal(0.0, spread, shape)
    return lambda shape: rng.uniform(-spread, spread, shape)


def initial_bias(init: Init, fan_in: int, rng: np.random.Generator) -> Callable[[Shape], Array]:
    """Initial biases beside weights of this rule: as the weights with uniform, the file's where named, else 0."""
    if isinstance(init, dict) and "bias" in init:
        return lambda shape: _stored(init["file"], init["bias"], shape)
    return initial_values("uniform" if init == "uniform" else "zeros", fan_in, 1, rng)


def check_init(init: Init, bias: bool) -> None:
    """Raise OptionError if a file is to give biases where there are none."""
    if isinstance(init, dict) and "bias" in init and not bias:
        raise OptionError(f"init names the biases {init['bias']!r}, but bias is false. Remove one of the two.")


def _stored(file: str, key: str, shape: Shape) -> Array:
    """The array of a file, in this shape; one of the biases may lack the axis of size 1 before them.

    Raises
    ------
    ShapeError
        If the file is missing or broken, or has no such array, or one of another shape, or not of finite numbers.
    """
    try:
        arrays = read_npz(file)
    except DataError as error:
        raise ShapeError(f"init: {error}") from None  # as what it is here: a layer that cannot be made
    if key not in arrays:
        meant, fitting = suggestion(key, arrays), [name for name in arrays if arrays[name].shape == shape]
        hint = f"Did you mean {meant!r}?" if meant else f"Of the shape {shape} are: {', '.join(fitting) or 'none'}."
        raise ShapeError(f"init: {file} has no array {key!r}. {hint}")
    values = arrays[key]
    if values.shape not in (shape, shape[1:] if shape[0] == 1 else shape):
        turned = " It holds the transpose; save its `.T`." if values.shape == shape[::-1] else ""
        raise ShapeError(f"init: {key} of {file} has the shape {values.shape}, but here it is {shape}.{turned}")
    if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        raise ShapeError(f"init: {key} of {file} holds {_held(values)}. Every weight has to be a finite number.")
    return values


def _held(values: Array) -> str:
    return "NaN or infinity" if values.dtype.kind == "f" else "text"


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

    Source: seeds/002, eq. 6-10.

    Example: {Linear: 25}
    """

    stacks = True

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
