"""Compares gradients with central differences, and builds every registered component from its docstring's example."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import yaml

from tinynet import registry
from tinynet.core import Array, Shape
from tinynet.errors import ShapeError
from tinynet.layers.base import Layer
from tinynet.layers.pooling import MaxPool2d, MaxUnpool2d
from tinynet.losses import Loss
from tinynet.registry import Component

# With this step, rounding and curvature both leave an error of about 1e-10.
STEP = 1e-5
TOLERANCE = 1e-6

# Samples that layers are tried on: a flat one, and an image of three channels.
SAMPLE_SHAPES: tuple[Shape, ...] = ((6,), (3, 8, 7))


def from_example(cls: type[Component]) -> Any:
    """The component that its docstring's example describes."""
    example = yaml.safe_load(registry.documentation(cls).example)
    if isinstance(example, str):
        assert example == cls.__name__
        return cls()
    ((name, value),) = example.items()
    assert name == cls.__name__
    if not isinstance(value, dict):
        first = registry.first_option(cls)
        assert first is not None
        value = {first.name: value}
    return cls(**value)


class BehindItsPool(Layer, abstract=True):
    """A MaxUnpool2d behind the pool that it names, as one layer: alone it has no places to put numbers at."""

    def __init__(self, unpool: MaxUnpool2d) -> None:
        self.pool, self.unpool = MaxPool2d(2), unpool

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        middle = self.pool.setup(shape, rng)
        self.unpool.link({self.unpool.pool: self.pool})
        return self.unpool.setup(middle, rng)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = self.unpool.forward(self.pool.forward(x, training), training)
        return self.y

    def backward(self, dy: Array) -> Array:
        return self.pool.backward(self.unpool.backward(dy))


def layer_from_example(cls: type[Component]) -> Any:
    """As `from_example`, with the other layer that it refers to, where it does."""
    layer = from_example(cls)
    return BehindItsPool(layer) if isinstance(layer, MaxUnpool2d) else layer


def spaced(shape: Shape, seed: int = 0) -> Array:
    """Numbers in (-2, 2) in random order, no two of them near each other and none near 0.

    So that no kink (ReLU at 0, a tie in a maximum) lies within a step of the difference.
    """
    rng = np.random.default_rng(seed)
    count = int(np.prod(shape))
    centres = np.arange(count) - count / 2 + 0.5
    return ((rng.permutation(centres) + rng.uniform(-0.25, 0.25, count)) * (4 / count)).reshape(shape)


def set_up(layer: Layer, shape: Shape, rounds: int = 0) -> Layer:
    """The layer, ready for samples of this shape in float64; with rounds, its parameters have them in front."""
    rng = np.random.default_rng(1)
    layer.setup(shape, rng)
    for parameter in layer.parameters:
        if rounds:
            stacked = (rounds, *parameter.tensor.shape)
            parameter.move(np.zeros(stacked), np.zeros(stacked))
        # A bias of 0 or a factor of 1 would hide mistakes.
        parameter.tensor += rng.uniform(-0.5, 0.5, parameter.tensor.shape)
    return layer


def on_every_shape(make: Callable[[], Layer]) -> Iterator[tuple[Layer, Shape]]:
    """A new layer set up for each of the sample shapes that it takes, and that shape; it has to take one."""
    taken = 0
    for shape in SAMPLE_SHAPES:
        try:
            layer = set_up(make(), shape)
        except ShapeError:
            continue
        taken += 1
        yield layer, shape
    assert taken, f"takes none of {SAMPLE_SHAPES}"


def numerical_gradient(function: Callable[[], Any], array: Array, dy: Array | float = 1.0) -> Array:
    """∂(Σ dy · function())/∂array, by changing one number of the array after the other."""
    gradient = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + STEP
        above = np.copy(function())
        array[index] = value - STEP
        below = np.copy(function())
        array[index] = value
        # The difference comes before the sum, or rounding would grow with the size of the output.
        gradient[index] = np.sum(dy * (above - below)) / (2 * STEP)
    return gradient


def relative_error(given: Array, expected: Array) -> float:
    """The largest error of an element, relative to its size, or to 1 % of the largest where it is smaller than that."""
    size = np.abs(expected)
    return float(np.max(np.abs(given - expected) / np.maximum(size, max(size.max() / 100, 1e-6))))


def compare(what: str, given: Array, expected: Array) -> None:
    """Fail if two gradients differ."""
    assert given.shape == expected.shape, f"{what} has shape {given.shape}, not {expected.shape}"
    error = relative_error(given, expected)
    assert error < TOLERANCE, f"{what} has a relative error of {error:.1e}"


def check_layer(layer: Layer, x: Array, training: bool = False) -> None:
    """Fail if `backward` is not the gradient of `forward`, for the input or for any parameter."""
    rng = np.random.default_rng(2)
    dy = rng.normal(size=layer.forward(x, training).shape)
    # Gradients add to what is there. Starting from something shows an assignment in place of the addition.
    starts = [rng.normal(size=parameter.tensor.shape) for parameter in layer.parameters]
    for parameter, start in zip(layer.parameters, starts, strict=True):
        parameter.gradient = start
    dx = layer.backward(dy)
    assert dx is not None
    title = type(layer).__name__
    compare(f"{title}: dx", dx, numerical_gradient(lambda: layer.forward(x, training), x, dy))
    for parameter, start in zip(layer.parameters, starts, strict=True):
        expected = numerical_gradient(lambda: layer.forward(x, training), parameter.tensor, dy)
        compare(f"{title}: the gradient of {parameter.name}", parameter.gradient - start, expected)


def loss_case(loss: Loss, shape: Shape, seed: int = 0) -> tuple[Array, Array]:
    """A prediction of this shape (..., batch, *sample) and a target that the loss can take, away from kinks."""
    rng = np.random.default_rng(seed)
    difference = spaced(shape, seed)
    if loss.takes_labels:
        return difference, rng.integers(0, shape[-1], shape[:-1])
    # 0 and 1 are fit for every loss, those of probabilities too.
    target = rng.integers(0, 2, shape).astype(float)
    return target + difference, target


def check_loss(loss: Loss, shape: Shape) -> None:
    """Fail if the second result of the loss is not the gradient of the first."""
    predicted, target = loss_case(loss, shape)
    _, gradient = loss(predicted, target)
    # Rounds do not mix, so the gradient of the sum of their values is that of each.
    compare(type(loss).__name__, gradient, numerical_gradient(lambda: loss(predicted, target)[0], predicted))
