"""Compares gradients with central differences, and builds every registered component from its docstring's example."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import yaml

from tinynet.common import components
from tinynet.common.arrays import Array, Shape
from tinynet.common.components import Component
from tinynet.common.errors import ShapeError
from tinynet.nn.layer import Layer
from tinynet.nn.layers.activations import Tanh
from tinynet.nn.layers.block import Block
from tinynet.nn.layers.pooling import MaxPool2d
from tinynet.nn.losses import Loss
from tinynet.nn.net import Net

# With this step, rounding and curvature both leave an error of about 1e-10.
STEP = 1e-5
TOLERANCE = 1e-6

# Samples that layers are tried on: a flat one, and an image of three channels.
SAMPLE_SHAPES: tuple[Shape, ...] = ((6,), (3, 8, 7))


def from_example(cls: type[Component]) -> Any:
    """The component that its docstring's example describes."""
    component = built(yaml.safe_load(components.documentation(cls).example))
    assert type(component) is cls
    return component


def built(example: Any) -> Any:
    """The component that `Name`, `{Name: value}` or `{Name: {option: value, …}}` describes."""
    if isinstance(example, str):
        example = {example: {}}
    ((name, value),) = example.items()
    cls = components.find(name)
    assert cls is not None
    if not isinstance(value, dict):
        first = components.first_option(cls)
        assert first is not None
        value = {first.name: value}
    inner = {option.name for option in components.options(cls) if option.is_layers} & set(value)
    return cls(**value | {option: [built(layer) for layer in value[option]] for option in inner})


def example_layers(cls: type[Component]) -> list[Layer]:
    """The layer of the example behind those that it names, as a net needs them."""
    layer = from_example(cls)
    givers: list[Layer] = [Tanh(name=name, inputs="input") for name in names_of_inputs(layer)]
    return [*givers, *(MaxPool2d(2, name=name) for name in layer.refers()), layer]


def names_of_inputs(layer: Layer) -> tuple[str, ...]:
    """The names in its list of inputs, if it has one."""
    return () if layer.inputs is None or isinstance(layer.inputs, str) else tuple(layer.inputs)


class AsOne(Layer, abstract=True):
    """Layers that are nothing without a graph about them, as one layer: a net of them in float64."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        self.net = Net(self.layers, shape, dtype="float64")
        self.parameters = self.net.parameters
        return self.net.output_shape

    def forward(self, x: Array, training: bool = False) -> Array:
        y = self.net.forward(x, training)
        self.x, self.y = self.net.layers[0].x, self.net.layers[-1].y
        return y

    def backward(self, dy: Array) -> Array | None:
        return self.net.backward(dy)


def layer_from_example(cls: type[Component]) -> Any:
    """As `from_example`; a block, and a layer that refers to another one, within a net of what they need."""
    layer = from_example(cls)
    return AsOne(example_layers(cls)) if isinstance(layer, Block) or layer.refers() else layer


def batch_for(layer: Layer, rows: int, shape: Shape) -> list[Array]:
    """A batch for each input of the layer."""
    return [spaced((rows, *shape), seed) for seed in range(len(names_of_inputs(layer)) or 1)]


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
    set_up: Any = layer.setup
    set_up(*[shape] * (len(names_of_inputs(layer)) or 1), rng=rng)
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


def check_layer(layer: Layer, *xs: Array, training: bool = False) -> None:
    """Fail if `backward` is not the gradient of `forward`, for any input or any parameter."""
    rng = np.random.default_rng(2)

    def value() -> Array:
        forward: Any = layer.forward
        y: Array = forward(*xs, training=training)
        return y

    dy = rng.normal(size=value().shape)
    # Gradients add to what is there. Starting from something shows an assignment in place of the addition.
    starts = [rng.normal(size=parameter.tensor.shape) for parameter in layer.parameters]
    for parameter, start in zip(layer.parameters, starts, strict=True):
        parameter.gradient = start
    found = layer.backward(dy)
    assert found is not None
    dxs = found if isinstance(found, tuple) else (found,)
    title = type(layer).__name__
    for i, (x, dx) in enumerate(zip(xs, dxs, strict=True)):
        compare(f"{title}: dx{i if len(xs) > 1 else ''}", dx, numerical_gradient(value, x, dy))
    for parameter, start in zip(layer.parameters, starts, strict=True):
        expected = numerical_gradient(value, parameter.tensor, dy)
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


def shapes_at_random(count):
    """Seeded: near-ties of a maximum would flip."""
    rng = random.Random(0)
    for _ in range(count):
        groups = rng.choice([1, 1, 2, 3])
        channels, outputs = groups * rng.randint(1, 3), groups * rng.randint(1, 3)
        kernel, stride, dilation = ((rng.randint(1, n), rng.randint(1, n)) for n in (4, 3, 2))
        padding = (rng.randint(0, 3), rng.randint(0, 3))
        extra = tuple(rng.randint(0, max(stride[i], dilation[i]) - 1) for i in (0, 1))
        size = (rng.randint(8, 12), rng.randint(8, 12))
        yield groups, channels, outputs, kernel, stride, padding, dilation, extra, size, rng.random() < 0.7
