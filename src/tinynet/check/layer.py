"""One layer by itself: what its forward and backward have to keep to, and each gradient by central differences."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.check.differences import Comparison, Differences, Probe, Settings
from tinynet.check.findings import Part, Tensor
from tinynet.check.hints import fits, hint
from tinynet.common.arrays import Array, Shape
from tinynet.nn.graph import Place
from tinynet.nn.layer import Layer
from tinynet.nn.parameter import Parameter

# Of what is computed twice in the same way.
SAME = 1e-10


class BrokenLayerError(Exception):
    """A layer that cannot be called, or returns something else than it has to; the text is the fault."""


def call(layer: Layer, xs: Sequence[Array]) -> Array:
    """y = f(x…) as in training; raises BrokenLayerError where forward fails or gives no array."""
    forward: Any = layer.forward
    try:
        y: Any = forward(xs[0], True) if len(xs) == 1 else forward(*xs, training=True)
    except Exception as error:  # a person's own layer may raise anything
        raise BrokenLayerError(f"forward fails with {_told(error, layer)}") from error
    if not isinstance(y, np.ndarray) or y.dtype != np.float64:
        given = f"{y.dtype} for an input in float64" if isinstance(y, np.ndarray) else _said(y)
        raise BrokenLayerError(f"forward has to return an array of the input's type, not {given}.")
    return y


def call_back(layer: Layer, dy: Array, count: int) -> tuple[Array | None, ...]:
    """The dx of each of the inputs; raises BrokenLayerError where backward fails or gives another count of them."""
    try:
        dx: Any = layer.backward(dy)
    except Exception as error:
        raise BrokenLayerError(f"backward fails with {_told(error, layer)}") from error
    if count == 1 and not isinstance(dx, tuple):
        return (dx,)
    if not isinstance(dx, tuple) or len(dx) != count:
        wanted = "dx, an array" if count == 1 else f"{count} arrays, one for each input"
        raise BrokenLayerError(f"backward has to return {wanted}, not {_said(dx)}.")
    return dx


class LayerCheck:
    """The check of one layer.

    Parameters
    ----------
    layer
        Set up.
    xs
        Its inputs, in float64.
    part
        Where findings are put: its tensors are the inputs, then the parameters.
    settings
        How to check.
    """

    def __init__(self, layer: Layer, xs: Sequence[Array], part: Part, settings: Settings) -> None:
        self.layer, self.part, self.settings = layer, part, settings
        # Copies in the order in which they lie in memory.
        self.xs = [np.copy(x, order="K") for x in xs]
        self.saved = [(buffer, buffer.tensor.copy()) for buffer in layer.buffers]
        layer.needs_dx = True

    def run(self) -> None:
        """Check all; raises BrokenLayerError where the layer cannot be called."""
        y = self._forward_keeps_to_its_contract()
        self.dy = self.settings.rng(f"{self.part.name} dy").standard_normal(y.shape)
        self.gradients = self._backward_keeps_to_its_contract(y)
        arrays = [*self.xs, *(p.tensor for p in self.layer.parameters)]
        largest = max((float(np.abs(g).max(initial=0)) for g in self.gradients if g is not None), default=0.0)
        for tensor, array, gradient in zip(self.part.tensors, arrays, self.gradients, strict=True):
            if gradient is not None:
                differences = Differences(self.forward, array, self.dy, self.settings, largest)
                tensor.alone = differences.compare(gradient, f"{self.part.name}.{tensor.name}")
        self._explain()
        self.forward()

    def forward(self) -> Array:
        """y, from the same running statistics every time."""
        for buffer, values in self.saved:
            buffer.tensor[...] = values
        return call(self.layer, self.xs)

    def backward(self) -> list[Array | None]:
        """What a backward adds to the gradients, the inputs' first; None where dx has another shape."""
        for parameter in self.layer.parameters:
            parameter.gradient[...] = 0
        found: list[Array | None] = []
        given = call_back(self.layer, self.dy, len(self.xs))
        for dx, x, tensor in zip(given, self.xs, self.part.tensors[: len(self.xs)], strict=True):
            if isinstance(dx, np.ndarray) and dx.shape == x.shape:
                found.append(dx.copy())
                continue
            found.append(None)
            fault = f"dx is {_said(dx)}, but x has the shape {x.shape}."
            tensor.faults += [fault] if fault not in tensor.faults else []
        return [*found, *(p.gradient.copy() for p in self.layer.parameters)]

    def _forward_keeps_to_its_contract(self) -> Array:
        faults = self.part.faults
        # Another batch comes first, so that a backward that uses an earlier input is found.
        call(self.layer, [0.9 * x[::-1] for x in self.xs])
        before = [x.copy() for x in self.xs]
        tensors = [p.tensor.copy() for p in self.layer.parameters]
        y = self.forward()
        if any(map(_differ, self.xs, before)):
            raise BrokenLayerError("forward changes its input. Make a new array, as in `y = x * 2`, not `x *= 2`.")
        if any(_differ(p.tensor, old) for p, old in zip(self.layer.parameters, tensors, strict=True)):
            faults.append("forward changes its parameters, which is for the optimizer to do.")
        kept = y.copy()
        if not same(self.forward(), kept):
            hint = "Draw random numbers by self.random(shape), and keep nothing between batches but by self.buffer."
            raise BrokenLayerError(f"forward gives something else for the same input. {hint}")
        call(self.layer, [0.9 * x[::-1] for x in self.xs])
        return self.forward()

    def _backward_keeps_to_its_contract(self, y: Array) -> list[Array | None]:
        """The gradients, from the first backward."""
        faults = self.part.faults
        before = [array.copy() for array in (self.dy, y, *self.xs)]
        first = self.backward()
        for what, array, old in zip(
            ["dy", "the output y", *["x"] * len(self.xs)], (self.dy, y, *self.xs), before, strict=True
        ):
            if _differ(array, old):
                faults.append(f"backward changes {what}, which others may read. Make a new array, not `dy *= 2`.")
                array[...] = old
        # Once more, without zeroing: gradients add up.
        self.forward()
        call_back(self.layer, self.dy, len(self.xs))
        count = len(self.xs)
        for tensor, parameter, gradient in zip(
            self.part.tensors[count:], self.layer.parameters, first[count:], strict=True
        ):
            assert gradient is not None
            if gradient.any() and same(parameter.gradient, gradient):
                tensor.faults.append("backward assigns this gradient. Add to it: `gradient += …`.")
            elif not same(parameter.gradient, 2 * gradient):
                tensor.faults.append("a second forward and backward does not add the same gradient once more.")
        return first

    def _explain(self) -> None:
        """Put into words what a wrong gradient looks like."""
        for index, tensor in enumerate(self.part.tensors):
            found = tensor.alone
            if found is not None and found.verdict == "wrong":
                counts = {"the samples of the batch": len(self.xs[0]), "the numbers of the output": self.dy.size}
                tensor.faults += filter(None, [self._by_trial(index, found) or hint(found, counts)])

    def _by_trial(self, index: int, found: Comparison) -> str:
        """The condition under which the gradient is right, which names the fault; empty where there is none."""
        if all(probe.verdict == "right" for probe in found.entries):
            return ""
        self.forward()
        self.forward()
        if self._fits(index, found):
            return "It is right where forward gets the same input twice: backward uses what an earlier forward kept."
        for parameter in self.layer.parameters:
            shape = parameter.tensor.shape
            if index < len(self.xs) and len(shape) == 2 and shape[0] == shape[1]:
                kept = parameter.tensor.copy()
                parameter.tensor[...] = kept.T
                self.forward()
                right = self._fits(index, found)
                parameter.tensor[...] = kept
                if right:
                    return f"It is right with {short_name(parameter)} transposed: a transpose is missing."
        return ""

    def _fits(self, index: int, found: Comparison) -> bool:
        gradient = self.backward()[index]

        def at(probe: Probe) -> float:
            assert gradient is not None
            assert probe.index is not None
            return float(gradient[probe.index])

        return gradient is not None and fits(found.entries, at)


def part_of(layer: Layer, place: Place | None, inputs: Sequence[tuple[str, Shape]]) -> Part:
    """A layer before its check; `inputs` are the names of the layers that it reads, and their shapes."""
    names = [f"x ({name})" if len(inputs) > 1 else "x" for name, _ in inputs]
    tensors = [Tensor(name, shape) for name, (_, shape) in zip(names, inputs, strict=True)]
    tensors += [Tensor(short_name(p), p.tensor.shape) for p in layer.parameters]
    return Part(str(layer.name), type(layer).__name__, place, tensors)


def check_layer(layer: Layer, xs: Sequence[Array], part: Part, settings: Settings) -> None:
    """Check one layer by itself, and put what is found into `part`."""
    try:
        LayerCheck(layer, xs, part, settings).run()
    except BrokenLayerError as error:
        part.faults.append(str(error))


def short_name(parameter: Parameter) -> str:
    """Without the layer's name."""
    return parameter.name.rpartition(".")[2]


def same(a: Array, b: Array) -> bool:
    """Whether two arrays are the same, but for rounding."""
    return a.shape == b.shape and bool(np.abs(a - b).max(initial=0) <= SAME * np.abs(b).max(initial=0))


def _told(error: Exception, layer: Layer) -> str:
    """An error of a layer's, with its line in the layer's file."""
    file = getattr(sys.modules.get(type(layer).__module__), "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    at = f" ({Path(file).name}:{lines[-1]})" if file and lines else ""
    return f"{type(error).__name__}: {str(error).strip()}{at}"


def _said(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {value.shape}"
    if isinstance(value, tuple):
        return f"{len(value)} values"
    return "None" if value is None else type(value).__name__


def _differ(a: Array, b: Array) -> bool:
    return not np.array_equal(a, b, equal_nan=True)
