"""The net: layers that feed each other, their parameters in one vector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinynet.common.arrays import Array, Shape, check_samples
from tinynet.common.errors import OptionError, ShapeError
from tinynet.nn.graph import Graph
from tinynet.nn.layer import Layer
from tinynet.nn.optimizers import Optimizer
from tinynet.nn.parameter import FlatVector, Parameter
from tinynet.nn.random import Clock
from tinynet.nn.shapes import set_up
from tinynet.nn.summary import summary


class Net:
    """y = fₖ(… f₂(f₁(x))), or any graph of layers without a circle that has one end

    `layers` holds them in the order of the forward pass, blocks written out, and `shapes` their outputs' shapes.

    Parameters
    ----------
    layers
        Each reads the one before it, or what its `inputs` name. Each belongs to this net alone.
    input_shape
        Of one sample, without the batch axis.
    seed
        Where all randomness of the net starts: initial parameters and dropout.
    dtype
        Of parameters and inputs, float32 or float64.

    Raises
    ------
    ShapeError
        If a layer cannot take what it is given, or belongs to a net already, or the layers form no such graph.
    OptionError
        If dtype is another.

    Example: Net([Linear(25), ReLU(), Linear(2)], input_shape=(2,))
    """

    def __init__(
        self, layers: Sequence[Layer], input_shape: Shape, seed: int = 0, dtype: npt.DTypeLike = "float32"
    ) -> None:
        try:
            self.dtype: np.dtype[Any] = np.dtype(dtype)
        except TypeError:
            raise OptionError(f"dtype must be float32 or float64, not {dtype!r}") from None
        if self.dtype not in (np.float32, np.float64):
            raise OptionError(f"dtype must be float32 or float64, not {self.dtype}")
        self.clock = Clock()
        if not layers:
            raise ShapeError("a net needs at least one layer")
        if not isinstance(input_shape, (tuple, list)) or not all(
            isinstance(size, int) and size > 0 for size in input_shape
        ):
            raise ShapeError(f"input_shape must be whole numbers > 0, as in (2,), not {input_shape!r}")
        self.input_shape = tuple(input_shape)
        self.graph = Graph(layers)
        self.layers = [node.layer for node in self.graph.nodes]
        self.shapes = set_up(self.graph, self.input_shape, seed, self.clock)
        self.output_shape = self.shapes[-1]
        self.parameters = _unique(p for layer in self.layers for p in layer.parameters)
        self.buffers = _unique(b for layer in self.layers for b in layer.buffers)
        self.vector = FlatVector([*self.parameters, *self.buffers], self.dtype)
        self._plan()
        # How many nets this one computes at once, if it is a stack of them.
        self.rounds: int | None = None
        # The last output. The net keeps it itself: a layer of a person's own may not.
        self.y: Array = np.empty(0)

    def _plan(self) -> None:
        """What forward and backward need to know of the graph."""
        # For each layer, where it finds its inputs: 0 is the net's input, i + 1 what layer i gave.
        self._sources: list[int | tuple[int, ...]] = [
            tuple(source + 1 for source in node.sources)
            if node.takes_any or len(node.sources) > 1
            else node.sources[0] + 1
            for node in self.graph.nodes
        ]
        # Whether each of them, or any before it, learns; the net's input does not.
        self._learns = [False]
        self._first_learners: list[Layer] = []
        for node in self.graph.nodes:
            before = any(self._learns[source + 1] for source in node.sources)
            own = any(p.trainable for p in node.layer.parameters)
            if own and not before:
                self._first_learners.append(node.layer)
            self._learns.append(own or before)
        # From the end to the first that learns.
        self._learners = [layer for layer, learn in zip(self.layers, self._learns[1:], strict=True) if learn][::-1]

    def forward(self, x: npt.ArrayLike, training: bool = False) -> Array:
        """The output for a batch.

        Parameters
        ----------
        x
            (batch, *input_shape), or (rounds, batch, *input_shape) if the net is stacked.
        training
            Whether layers such as Dropout act as they do in training.

        Raises
        ------
        ShapeError
            If x has another shape.
        """
        y = np.asarray(x, self.dtype)
        check_samples(y if self.rounds is None else y[0], self.input_shape)
        if self.graph.is_chain:  # which needs no account of who reads whom
            for layer in self.layers:
                y = layer.forward(y, training)
            self.y = y
            return y
        outputs: list[Any] = [y]
        for layer, source in zip(self.layers, self._sources, strict=True):
            if isinstance(source, int):
                y = layer.forward(outputs[source], training)
            else:
                forward: Any = layer.forward
                y = forward(*[outputs[i] for i in source], training=training)
            outputs.append(y)
        self.y = y
        return y

    def __call__(self, x: npt.ArrayLike, training: bool = False) -> Array:
        return self.forward(x, training)

    def backward(self, gradient: Array, to_input: bool = True) -> Array | None:
        """Add the gradients of all parameters for the last forward pass; return that of the input.

        Parameters
        ----------
        gradient
            ∂L/∂y, in the shape of the last output.
        to_input
            If false, stop at the first layers that learn, and return None. Training needs no more.

        Raises
        ------
        ShapeError
            If the gradient has another shape than the last output, or there is none.
        """
        y = self.layers[-1].y if self.layers[-1].y.size else self.y  # a layer of a person's own may keep none
        if gradient.shape != y.shape:
            what = f"the gradient has shape {gradient.shape}, the last output {y.shape}"
            raise ShapeError(f"{what}. Call forward first.")
        for layer in self._first_learners:
            layer.needs_dx = to_input
        if self.graph.is_chain:
            dy: Any = gradient
            for layer in reversed(self.layers) if to_input else self._learners:
                dy = layer.backward(dy)
            return dy if to_input else None
        # The gradients of the net's input and of each layer's output, as far as they are known.
        known: list[Any] = [None] * len(self.layers)
        known.append(gradient)
        for index in range(len(self.layers) - 1, -1, -1):
            if not (to_input or self._learns[index + 1]):
                continue
            source = self._sources[index]
            dx: Any = self.layers[index].backward(known[index + 1])
            for i, part in ((source, dx),) if isinstance(source, int) else zip(source, dx, strict=True):
                if to_input or self._learns[i]:
                    # Several readers add up; never in place, since layers may pass on what they were given.
                    known[i] = part if known[i] is None else known[i] + part
        return known[0] if to_input else None

    def update(self, optimizer: Optimizer) -> None:
        """One step of the optimizer over all trainable parameters; then all gradients are zero.

        Raises
        ------
        OptionError
            If the optimizer has been used for another net: its memory would not fit this one.
        """
        if optimizer.clock is None:
            optimizer.clock = self.clock
        elif optimizer.clock is not self.clock:
            raise OptionError("this optimizer has been used for another net. Make a new one for each net.")
        optimizer.step(self.vector.tensor, self.vector.gradient)
        self.vector.zero_grad()
        self.clock.step += 1

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        self.vector.zero_grad()

    def summary(self) -> str:
        """A table of the layers: see `tinynet.nn.summary`."""
        count = sum(p.tensor.size for p in self.parameters)
        return summary(self.graph, self.input_shape, self.shapes, count, self.vector.tensor.size)

    __repr__ = summary


def _unique(parameters: Iterable[Parameter]) -> list[Parameter]:
    """Each parameter once, however many layers share it."""
    return list({id(parameter): parameter for parameter in parameters}.values())
