"""The rules for initial weights and biases."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Literal, NotRequired, TypedDict

import numpy as np

from tinynet.common.annotations import FilePath
from tinynet.common.arrays import Array, Shape
from tinynet.common.errors import DataError, OptionError, ShapeError
from tinynet.common.npz import read_npz
from tinynet.common.suggestions import suggestion

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
    uniform             U(-a, a), a = 1/√fan_in                     [Feng, Sun and Wang, eq. 6; PyTorch]
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
