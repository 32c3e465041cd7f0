"""The contract of a layer: one function with `forward` and `backward`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar, Self

import numpy as np

from tinynet.common import memory
from tinynet.common.arrays import Array, Shape
from tinynet.common.components import Component
from tinynet.common.errors import ShapeError
from tinynet.nn.parameter import Parameter
from tinynet.nn.random import Clock, Stream

# Bytes for a number of a parameter while it is made: the value and its gradient, in float64.
NUMBER = 16


@dataclass(eq=False, kw_only=True)
class Layer(Component, abstract=True):
    """A function y = f(x) that knows its own gradient.

    A subclass is a dataclass whose fields are its options, with `forward` and `backward`, and `setup` where it has
    parameters or changes the shape. Sample axes come last, the batch axis before them.
    A layer keeps its last input as `x` and its last output as `y`. One with several inputs has
    `setup(self, *shapes, rng)` and `forward(self, *xs, training)`, or names each of them.
    Its docstring begins with the equation; the sentences that begin with `dx =`, `dw =` and the like are its gradients.

    Parameters
    ----------
    name
        What the layer is called; by default its class and count, as in `linear1`.
    inputs
        The name of the layer it reads, or several; by default the layer before. `input` is the net's own input.
    share
        The name of another layer of its kind, whose parameters it uses.
    trainable
        If false, training leaves its parameters as they are. It counts when the net is made.
    """

    kind: ClassVar[str] = "layer"

    name: str | None = None
    inputs: str | tuple[str, ...] | None = None
    share: str | None = None
    trainable: bool = True

    parameters: list[Parameter] = field(init=False, repr=False)
    buffers: list[Parameter] = field(init=False, repr=False)
    x: Array = field(init=False, repr=False)
    y: Array = field(init=False, repr=False)
    # False where nothing before this layer learns: `backward` may then return None.
    needs_dx: bool = field(init=False, repr=False)
    # Whether the layer belongs to a net.
    taken: bool = field(init=False, repr=False)
    # The layer whose parameters this one uses.
    owner: Layer | None = field(init=False, repr=False)
    # One, or with stacked rounds one for each.
    streams: list[Stream] = field(init=False, repr=False)
    # Numbers in the parameters of the layers that were set up before.
    made: int = field(init=False, repr=False)
    clock: Clock = field(init=False, repr=False)

    # State is set here, so that a subclass with an __init__ or a __post_init__ of its own cannot forget it.
    def __new__(cls, *values: Any, **options: Any) -> Self:
        layer = super().__new__(cls)
        layer.parameters = []
        layer.buffers = []
        layer.x = layer.y = np.empty(0)
        layer.needs_dx = True
        layer.taken = False
        layer.owner = None
        layer.streams = [Stream(0, "layer")]
        layer.made = 0
        layer.clock = Clock()
        return layer

    def refers(self) -> tuple[str, ...]:
        """The names of layers that it needs beside its inputs, such as the pool of a MaxUnpool2d."""
        return ()

    def link(self, *layers: Layer) -> None:
        """Take the layers that `refers` names; the net calls it before `setup`.

        Raises
        ------
        ShapeError
            If one is of another kind.
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

    def arithmetic(self) -> str:
        """How the output's shape follows from the input's, after `setup`: `(28 + 2·0 − 5) / 1 + 1 = 24`.

        Empty where there is nothing to work out.
        """
        return ""

    def multiply_adds(self) -> int:
        """How often its forward multiplies a weight by a number and adds the product to a sum, for one sample.

        Known after `setup`. Work number by number (activations, norms, the addition of biases) and pooling count as 0.
        The backward of a layer with weights takes about twice as many: for dx and for the weights' gradient.
        """
        return 0

    def forward(self, x: Array, training: bool = False) -> Array:
        """y = f(x), kept as `self.y`."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, dy: Array) -> Array | tuple[Array, ...] | None:
        """Add ∂L/∂θ to the gradients of the parameters θ and return dx = ∂L/∂x, in the shape of the last x.

        A layer with several inputs returns one for each, as a tuple.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, *inputs: Any, **options: Any) -> Array:
        return self.forward(*inputs, **options)

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
        parameter = self._owned(name, shape) or self._new(name, shape, initialisation, self.trainable, order)
        self.parameters.append(parameter)
        return parameter

    def buffer(self, name: str, shape: Shape, value: float) -> Parameter:
        """A tensor that is no parameter, but travels with them, such as a running mean; for `setup` to call."""
        buffer = self._owned(name, shape) or self._new(name, shape, value, False, None)
        self.buffers.append(buffer)
        return buffer

    def _owned(self, name: str, shape: Shape) -> Parameter | None:
        """The owner's parameter or buffer of this name, if it shares one's."""
        if self.owner is None:
            return None
        kind, owner = type(self).__name__, self.owner.name
        for other in (*self.owner.parameters, *self.owner.buffers):
            if other.name.rpartition(".")[2] == name:
                if other.tensor.shape != shape:
                    given = f"{owner}.{name} has the shape {other.tensor.shape}, but here it is {shape}"
                    raise ShapeError(f"cannot share the parameters of {owner!r}: {given}.")
                return other
        raise ShapeError(f"cannot share the parameters of {owner!r}: that {kind} has no {name}.")

    def _new(
        self,
        name: str,
        shape: Shape,
        initialisation: Callable[[Shape], Array] | Array | float,
        trainable: bool,
        order: tuple[int, ...] | None,
    ) -> Parameter:
        count = self.made + sum(p.tensor.size for p in (*self.parameters, *self.buffers)) + prod(shape)
        lacking = memory.shortage(count * NUMBER)
        if lacking:
            net = f"with its {name} of shape {shape} the net has {count:,} parameters"
            raise ShapeError(f"{net}, which take {lacking}. Make it smaller.")
        values = initialisation(shape) if callable(initialisation) else np.array(initialisation, float)
        # What a function gives is new: a copy would take as much memory again.
        tensor: Array = np.require(values, float, "W")
        if tensor.shape != shape:
            tensor = np.array(np.broadcast_to(tensor, shape))
        parameter = Parameter(f"{self.name}.{name}", tensor, trainable, order)
        if any(other.name == parameter.name for other in (*self.parameters, *self.buffers)):
            raise ShapeError(f"has two parameters called {name!r}")
        return parameter

    def random(self, shape: Shape) -> Array:
        """Uniform numbers in [0, 1), the same for the same (seed, layer, step, piece); one draw in a forward pass."""
        step, piece = self.clock.step, self.clock.piece
        if len(self.streams) == 1:
            return self.streams[0].at(step, piece).random(shape, dtype=np.float32)
        return np.stack([stream.at(step, piece).random(shape[1:], dtype=np.float32) for stream in self.streams])
