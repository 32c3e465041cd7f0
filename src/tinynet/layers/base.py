"""The contract of a layer: one function with `forward` and `backward`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar, Self

import numpy as np

from tinynet.core import Array, Clock, Parameter, Shape, Stream
from tinynet.errors import ShapeError
from tinynet.registry import Component

LARGEST = 2**30  # numbers in one parameter


@dataclass(eq=False, kw_only=True)
class Layer(Component, abstract=True):
    """A function y = f(x) that knows its own gradient.

    A subclass is a dataclass whose fields are its options, with `forward` and `backward`, and `setup` where it has
    parameters or changes the shape. Sample axes come last, the batch axis before them.
    A layer keeps its last input as `x` and its last output as `y`.

    Parameters
    ----------
    name
        What the layer is called; by default its class and count, as in `linear1`.
    trainable
        If false, training leaves its parameters as they are. It counts when the net is made.
    """

    kind: ClassVar[str] = "layer"

    name: str | None = None
    trainable: bool = True

    parameters: list[Parameter] = field(init=False, repr=False)
    buffers: list[Parameter] = field(init=False, repr=False)
    x: Array = field(init=False, repr=False)
    y: Array = field(init=False, repr=False)
    # False where nothing before this layer learns: `backward` may then return None.
    needs_dx: bool = field(init=False, repr=False)
    # Whether the layer belongs to a net.
    taken: bool = field(init=False, repr=False)
    stream: Stream = field(init=False, repr=False)
    clock: Clock = field(init=False, repr=False)

    # State is set here, so that a subclass with an __init__ or a __post_init__ of its own cannot forget it.
    def __new__(cls, *values: Any, **options: Any) -> Self:
        layer = super().__new__(cls)
        layer.parameters = []
        layer.buffers = []
        layer.x = layer.y = np.empty(0)
        layer.needs_dx = True
        layer.taken = False
        layer.stream = Stream(0, "layer")
        layer.clock = Clock()
        return layer

    def link(self, named: Mapping[str, Layer]) -> None:
        """Find the layers that this one refers to; the net calls it before `setup`.

        Parameters
        ----------
        named
            The layers before this one by their names, set up.

        Raises
        ------
        ShapeError
            If there is no such layer, or it is of another kind.
        """

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        """Make the parameters for inputs of this shape.

        Parameters
        ----------
        shape
            Of one sample, without the batch axis.
        rng
            Where initial values are drawn from.

        Returns
        -------
        The shape of one sample of the output.

        Raises
        ------
        ShapeError
            If the layer cannot take this shape.
        """
        return shape

    def forward(self, x: Array, training: bool = False) -> Array:
        """y = f(x), kept as `self.y`."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, dy: Array) -> Array | None:
        """Add ∂L/∂θ to the gradients of the parameters θ and return dx = ∂L/∂x, in the shape of the last x."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, x: Array, training: bool = False) -> Array:
        return self.forward(x, training)

    def parameter(
        self,
        name: str,
        shape: Shape,
        initialisation: Callable[[Shape], Array] | Array | float,
        order: tuple[int, ...] | None = None,
    ) -> Parameter:
        """A new parameter, for `setup` to call; its full name is `<layer>.<name>`.

        Parameters
        ----------
        name
            As in `weight`.
        shape
            Of its tensor.
        initialisation
            A function of the shape that gives the initial values, or the values, or one number for all.
        order
            The axes in the order in which they are to lie in memory, slowest first; by default as they are.
        """
        parameter = self._new(name, shape, initialisation, self.trainable, order)
        self.parameters.append(parameter)
        return parameter

    def buffer(self, name: str, shape: Shape, value: float) -> Parameter:
        """A tensor that is no parameter, but travels with them, such as a running mean; for `setup` to call."""
        buffer = self._new(name, shape, value, False, None)
        self.buffers.append(buffer)
        return buffer

    def _new(
        self,
        name: str,
        shape: Shape,
        initialisation: Callable[[Shape], Array] | Array | float,
        trainable: bool,
        order: tuple[int, ...] | None,
    ) -> Parameter:
        if prod(shape) > LARGEST:
            raise ShapeError(
                f"its {name} of shape {shape} would hold {prod(shape):,} numbers; the most is {LARGEST:,}."
            )
        values = initialisation(shape) if callable(initialisation) else initialisation
        tensor = np.array(np.broadcast_to(values, shape), dtype=float)
        parameter = Parameter(f"{self.name}.{name}", tensor, trainable, order)
        if any(other.name == parameter.name for other in (*self.parameters, *self.buffers)):
            raise ShapeError(f"has two parameters called {name!r}")
        return parameter

    def random(self, shape: Shape) -> Array:
        """Uniform numbers in [0, 1), the same for the same (seed, layer, step, piece); one draw in a forward pass."""
        return self.stream.at(self.clock.step, self.clock.piece).random(shape, dtype=np.float32)
