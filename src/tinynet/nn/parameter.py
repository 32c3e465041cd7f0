"""Parameters, and the flat vector that all of a net live in."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tinynet.common.arrays import Array
from tinynet.common.errors import ShapeError


class Parameter:
    """A tensor that training changes, and the gradient of the loss with respect to it.

    Assigning to `tensor` or `gradient` copies the values into the array that is there, so that a parameter stays
    in its net's vector; ShapeError if they have another shape. Gradients accumulate: `parameter.gradient += dW`.
    """

    def __init__(self, name: str, tensor: Array, trainable: bool = True, order: tuple[int, ...] | None = None) -> None:
        self.name = name
        self.trainable = trainable
        # The axes as they lie in memory, slowest first.
        self.order = order or tuple(range(tensor.ndim))
        self._tensor = tensor
        self._gradient = np.zeros_like(tensor)

    @property
    def tensor(self) -> Array:
        return self._tensor

    @tensor.setter
    def tensor(self, values: Array) -> None:
        self._copy(values, self._tensor)

    @property
    def gradient(self) -> Array:
        return self._gradient

    @gradient.setter
    def gradient(self, values: Array) -> None:
        if values is not self._gradient:  # as after +=
            self._copy(values, self._gradient)

    def _copy(self, values: Array, into: Array) -> None:
        if np.shape(values) != into.shape:
            raise ShapeError(f"{self.name} has shape {into.shape}, but is given {np.shape(values)}")
        into[...] = values

    def move(self, tensor: Array, gradient: Array) -> None:
        """Keep the values, but live in these arrays (views into a `FlatVector`) from now on."""
        tensor[...] = self._tensor
        gradient[...] = self._gradient
        self._tensor, self._gradient = tensor, gradient

    def share(self, other: Parameter) -> None:
        """Use the tensor of another parameter of the same shape from now on, with a gradient of its own."""
        self._tensor = other.tensor

    def __repr__(self) -> str:
        return f"Parameter({self.name}, shape={self._tensor.shape})"


class FlatVector:
    """All parameters of a net end to end in one vector, and their gradients in another.

    The parameters become views, so that updating, zeroing, clipping and saving are one operation each for the whole
    net. The trainable ones come first; `tensor` and `gradient` are that part alone.

    Parameters
    ----------
    parameters
        In the order of the layers.
    dtype
        Of both vectors.
    rounds
        Where several nets are trained at once, how many: the vectors then have a row for each.
    """

    def __init__(self, parameters: Iterable[Parameter], dtype: npt.DTypeLike, rounds: int | None = None) -> None:
        self._ordered = sorted(parameters, key=lambda parameter: not parameter.trainable)
        self._shapes = [p.tensor.shape for p in self._ordered]
        self._trainable = sum(p.tensor.size for p in self._ordered if p.trainable)
        size = sum(p.tensor.size for p in self._ordered)
        tensors = np.zeros(size if rounds is None else (rounds, size), dtype)
        with np.errstate(over="ignore"):  # an initial value may be too large for the type: the builder tells it
            self.live_in(tensors, np.zeros_like(tensors))

    def __reduce__(self) -> tuple[Any, ...]:
        """For copy and pickle: made anew from the parameters, whose views would else become copies."""
        return FlatVector, (self._ordered, self.all_tensors.dtype)

    def __copy__(self) -> FlatVector:
        """The same vector: made anew it would take the parameters out of this one."""
        return self

    def live_in(self, tensors: Array, gradients: Array) -> None:
        """Keep the values, but use these arrays from now on, such as rows of the vectors of several rounds."""
        for (parameter, tensor), (_, gradient) in zip(self.views(tensors), self.views(gradients), strict=True):
            parameter.move(tensor, gradient)
        self.all_tensors, self.all_gradients = tensors, gradients
        self.tensor, self.gradient = tensors[..., : self._trainable], gradients[..., : self._trainable]

    def views(self, vector: Array) -> list[tuple[Parameter, Array]]:
        """Each parameter with its part, in its shape, of a vector (…, n) laid out as this one."""
        found, start, before = [], 0, vector.ndim - 1
        for parameter, shape in zip(self._ordered, self._shapes, strict=True):
            stop, order = start + prod(shape), parameter.order
            lying = vector[..., start:stop].reshape(*vector.shape[:-1], *(shape[axis] for axis in order))
            axes = [*range(before), *(before + axis for axis in np.argsort(order))]
            found.append((parameter, lying.transpose(axes)))
            start = stop
        return found

    def zero_grad(self) -> None:
        self.all_gradients.fill(0)

    def clip_norm(self, limit: float) -> float:
        """g ← g · min(1, limit / (‖g‖ + 1e-6)), over all gradients as one vector; returns ‖g‖ before.

        With several rounds, each has its own norm; the largest is returned.

        Source: torch.nn.utils.clip_grad_norm_.
        """
        largest = 0.0
        for row in self.gradient if self.gradient.ndim > 1 else (self.gradient,):
            norm = float(np.sqrt(np.vdot(row, row)))
            if norm + 1e-6 > limit:
                row *= limit / (norm + 1e-6)
            largest = max(largest, norm)
        return largest
