"""The net: layers in a row, their parameters in one vector."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinynet.core import Array, Clock, FlatVector, Parameter, Shape, Stream, check_samples
from tinynet.errors import OptionError, ShapeError
from tinynet.layers.base import Layer
from tinynet.optimizers import Optimizer


class LayerError(ShapeError):
    """A layer that does not fit where it stands; `index` says which."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


class Net:
    """y = fₖ(… f₂(f₁(x)))

    Parameters
    ----------
    layers
        In the order of the forward pass. Each belongs to this net alone.
    input_shape
        Of one sample, without the batch axis.
    seed
        Where all randomness of the net starts: initial parameters and dropout.
    dtype
        Of parameters and inputs, float32 or float64.

    Raises
    ------
    ShapeError
        If a layer cannot take what the one before it gives, or belongs to a net already.
    OptionError
        If dtype is another.

    Example: Net([Linear(25), ReLU(), Linear(2)], input_shape=(2,))
    """

    def __init__(
        self, layers: Sequence[Layer], input_shape: Shape, seed: int = 0, dtype: npt.DTypeLike = "float32"
    ) -> None:
        self.layers = list(layers)
        try:
            self.dtype: np.dtype[Any] = np.dtype(dtype)
        except TypeError:
            raise OptionError(f"dtype must be float32 or float64, not {dtype!r}") from None
        if self.dtype not in (np.float32, np.float64):
            raise OptionError(f"dtype must be float32 or float64, not {self.dtype}")
        self.clock = Clock()
        if not self.layers:
            raise ShapeError("a net needs at least one layer")
        if not isinstance(input_shape, (tuple, list)) or not all(
            isinstance(size, int) and size > 0 for size in input_shape
        ):
            raise ShapeError(f"input_shape must be whole numbers > 0, as in (2,), not {input_shape!r}")
        self.input_shape = tuple(input_shape)
        self._name_layers()
        self.shapes = self._set_up(seed)
        self.output_shape = self.shapes[-1]
        self.parameters: list[Parameter] = [p for layer in self.layers for p in layer.parameters]
        self.buffers: list[Parameter] = [b for layer in self.layers for b in layer.buffers]
        self.vector = FlatVector(self._all(), self.dtype)
        learns = [any(p.trainable for p in layer.parameters) for layer in self.layers]
        self._first_learner = learns.index(True) if True in learns else len(self.layers)

    def _name_layers(self) -> None:
        counts: dict[str, int] = {}
        names: set[str] = set()
        for index, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise LayerError(
                    index, f"layers[{index}] is {layer!r}, not a layer. Write it as in Linear(25) or ReLU()."
                )
            if layer.taken:
                raise LayerError(
                    index, f"layers[{index}] {type(layer).__name__} belongs to a net already. Make a new one."
                )
            layer.taken = True
            if layer.name is None:
                kind = type(layer).__name__.lower()
                counts[kind] = counts.get(kind, 0) + 1
                layer.name = f"{kind}{counts[kind]}"
            if not re.fullmatch(r"[A-Za-z_][\w-]*", layer.name):
                raise LayerError(
                    index, f"the name {layer.name!r} has to start with a letter and hold only letters, digits, _ and -"
                )
            if layer.name == "input":
                raise LayerError(index, "the name 'input' is that of the net's own input. Choose another.")
            if layer.name in names:
                raise LayerError(index, f"there is another layer called {layer.name!r}. Give each its own name.")
            names.add(layer.name)

    def _set_up(self, seed: int) -> list[Shape]:
        shapes = [self.input_shape]
        for index, layer in enumerate(self.layers):
            layer.clock = self.clock
            layer.stream = Stream(seed, "layer", layer.name or "")
            try:
                layer.link({str(earlier.name): earlier for earlier in self.layers[:index]})
                shape = layer.setup(shapes[-1], Stream(seed, "initialisation", layer.name or "").at())
            except ShapeError as error:
                raise LayerError(index, self._explain(error, shapes)) from None
            if not isinstance(shape, tuple):
                raise LayerError(index, f"{layer.name}: setup has to return the shape of its output, not {shape!r}")
            shapes.append(shape)
        return shapes[1:]

    def _explain(self, error: ShapeError, shapes: list[Shape]) -> str:
        """The layer's message with the giver of the shape, and the shapes up to there."""
        index = len(shapes) - 1
        giver = f"layers[{index - 1}] {type(self.layers[index - 1]).__name__}" if index else "the dataset"
        text = str(error).replace(f"gets {shapes[-1]}", f"gets {shapes[-1]} from {giver}")
        names = ["input", *(str(layer.name) for layer in self.layers)]
        return f"{text} (shapes: {' → '.join(f'{name} {shape}' for name, shape in zip(names, shapes, strict=False))})"

    def forward(self, x: npt.ArrayLike, training: bool = False) -> Array:
        """The output for a batch.

        Parameters
        ----------
        x
            (batch, *input_shape).
        training
            Whether layers such as Dropout act as they do in training.

        Raises
        ------
        ShapeError
            If x has another shape.
        """
        y = np.asarray(x, self.dtype)
        check_samples(y, self.input_shape)
        for layer in self.layers:
            y = layer.forward(y, training)
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
            If false, stop at the first layer that learns, and return None. Training needs no more.

        Raises
        ------
        ShapeError
            If the gradient has another shape than the last output, or there is none.
        """
        if gradient.shape != self.layers[-1].y.shape:
            wanted = self.layers[-1].y.shape
            raise ShapeError(f"the gradient has shape {gradient.shape}, the last output {wanted}. Call forward first.")
        first = self._first_learner
        if first < len(self.layers):
            self.layers[first].needs_dx = to_input
        dy: Array | None = gradient
        for layer in reversed(self.layers if to_input else self.layers[first:]):
            dy = layer.backward(dy)  # type: ignore[arg-type]
        return dy if to_input else None

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

    def replica(self) -> Net:
        """A copy of this net that shares its parameters, but has gradients and memories of its own."""
        found = copy.deepcopy(self)
        for mine, theirs in zip(self._all(), found._all(), strict=True):
            theirs.share(mine)
        return found

    def _all(self) -> list[Parameter]:
        return [*self.parameters, *self.buffers]

    def __getstate__(self) -> dict[str, Any]:
        """For copy and pickle: all but the vector, whose views would become copies."""
        return {name: value for name, value in vars(self).items() if name != "vector"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.vector = FlatVector(self._all(), self.dtype)

    def blame(self) -> str:
        """The first layer whose parameters, or else whose last output, hold NaN or infinity, as a sentence.

        Where all are finite, it is the layer with the largest output.
        """
        for layer in self.layers:
            if not all(np.isfinite(p.tensor).all() for p in layer.parameters):
                return f"The first layer with NaN or infinity is {layer.name} (its parameters)."
            if not np.isfinite(layer.y).all():
                return f"The first layer with NaN or infinity is {layer.name} (its output)."
        largest = max(self.layers, key=lambda layer: float(np.abs(layer.y).max(initial=0)))
        return f"The largest output is that of {largest.name}, up to {np.abs(largest.y).max(initial=0):.3g}."

    def summary(self) -> str:
        """A table of the layers: name, kind, output shape of one sample, count of parameters."""
        rows = [("name", "layer", "output", "parameters"), ("input", "", str(self.input_shape), "")]
        for layer, shape in zip(self.layers, self.shapes, strict=True):
            count = sum(p.tensor.size for p in layer.parameters)
            frozen = " (frozen)" if count and not layer.trainable else ""
            rows.append((str(layer.name), type(layer).__name__, str(shape), f"{count:,}{frozen}" if count else "0"))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        everything, learning = sum(p.tensor.size for p in self.parameters), self.vector.tensor.size
        return "\n".join([*lines, f"{everything:,} parameters, {learning:,} of them trainable"])
