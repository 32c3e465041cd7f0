"""The contract of a layer: one function with `forward` and `backward`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from tinynet.common.arrays import Array, Shape
from tinynet.common.components import Component
from tinynet.common.errors import ShapeError
from tinynet.common.memory import Budget
from tinynet.nn.parameter import Parameter
from tinynet.nn.random import Clock, Stream


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

    def __new__(cls, *values: Any, **options: Any) -> Self:
        layer = super().__new__(cls)
        layer._begin()
        return layer

    def _begin(self) -> None:
        """All that is no option. It is set before __init__, so that a subclass with one of its own cannot forget it."""
        self.parameters: list[Parameter] = []
        self.buffers: list[Parameter] = []
        self.x: Array = np.empty(0)
        self.y: Array = np.empty(0)
        # False where nothing before this layer learns: `backward` may then return None.
        self.needs_dx = True
        # Whether the layer belongs to a net.
        self.taken = False
        # The layer whose parameters this one uses.
        self.owner: Layer | None = None
        # One, or with stacked rounds one for each.
        self.streams = [Stream(0, "layer")]
        self.clock = Clock()
        self.budget = Budget()

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
        self.budget.take(name, shape)
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
