"""A net beside its twin in PyTorch: outputs, loss, gradients, ten training steps; the first place that differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinynet.check.layer import short_name
from tinynet.check.pytorch import Twin, tensor, turned
from tinynet.common.arrays import Array
from tinynet.nn.layers.dropout import Dropout
from tinynet.nn.schedules import CosineLR, learning_rate_factor
from tinynet.nn.walk import back_through
from tinynet.training.round import Round

TOLERANCE = 1e-9
STEPS = 10
# Epochs whose learning rates are compared.
EPOCHS = 1000
# A gradient below this share of the largest is zero but for rounding.
IDLE = 1e-11


@dataclass
class Line:
    """One comparison.

    Parameters
    ----------
    where
        A layer, or `loss`, `input`, `learning rate`.
    what
        As in `output` or `weight's gradient`.
    kind
        output, back (the gradient of an output), gradient (of a parameter), rate (the learning rate), or step (a
        parameter after a step).
    error
        The largest difference, relative to the largest number of PyTorch's.
    """

    where: str
    what: str
    kind: str
    error: float


@dataclass
class Parity:
    """A net beside its twin.

    Parameters
    ----------
    lines
        In the order of the work: forward, loss, backward, learning rates, steps.
    tolerance
        The largest error of what counts as the same.
    steps
        How many were taken.
    masks
        Whether masks of Dropout were copied.
    idle
        The parameters with a gradient that is zero but for rounding, which Adam would make a step of: both took 0.
    """

    lines: list[Line]
    tolerance: float
    steps: int
    masks: bool
    idle: list[str] = field(default_factory=list)

    @property
    def first(self) -> Line | None:
        """The first place that differs."""
        return next((line for line in self.lines if not line.error <= self.tolerance), None)


def compare(
    one: Round, batch: Callable[[int], tuple[Array, Array]], tolerance: float = TOLERANCE, steps: int = STEPS
) -> Parity:
    """Train a net and its twin side by side.

    Parameters
    ----------
    one
        In float64.
    batch
        Gives x and the target of each step.
    tolerance
        The largest relative difference of what counts as the same.
    steps
        Each counts as an epoch for the learning rate.

    Raises
    ------
    UsageError
        If PyTorch lacks a layer, or what else the config names.
    MissingTorchError
        If PyTorch is not installed.
    """
    return _SideBySide(one, tolerance, steps).run(batch)


class _SideBySide:
    def __init__(self, one: Round, tolerance: float, steps: int) -> None:
        self.one, self.net = one, one.net
        self.twin = Twin(one)
        masks = any(isinstance(layer, Dropout) and layer.p > 0 for layer in self.net.layers)
        self.found = Parity([], tolerance, steps, masks)

    def run(self, batch: Callable[[int], tuple[Array, Array]]) -> Parity:
        self._one_pass(*batch(0))
        rates = self._rates()
        for step in range(self.found.steps if self.twin.trainable else 0):
            x, target = batch(step + 1)
            self._step(x, target, rates[min(step, len(rates) - 1)])
            if self._steps_differ(step + 1):
                break
        return self.found

    def add(self, where: str, what: str, kind: str, ours: Array, theirs: Any, size: float = 0.0) -> None:
        """Compare two arrays; `size` is the least that their numbers count as."""
        other = theirs.detach().numpy() if hasattr(theirs, "detach") else np.asarray(theirs)
        error = np.inf
        if ours.shape == other.shape:
            scale = max(float(np.abs(other).max(initial=0)), size)
            difference = float(np.abs(ours - other).max(initial=0))
            error = 0.0 if np.array_equal(ours, other, equal_nan=True) else difference / scale
        self.found.lines.append(Line(where, what, kind, float(error)))

    def _one_pass(self, x: Array, target: Array) -> None:
        """Forward, loss and backward."""
        net, twin = self.net, self.twin
        predicted = net.forward(x, training=True)
        outputs = [layer.y.copy() for layer in net.layers]
        theirs = tensor(x).requires_grad_()
        other = twin.forward(theirs)
        for layer, output, out in zip(net.layers, outputs, twin.outputs, strict=True):
            self.add(str(layer.name), "output", "output", output, out)
        value, gradient = self.one.loss(predicted, target)
        loss = twin.loss(other, tensor(target))
        self.add("loss", "value", "output", np.array(value), loss)
        loss.backward()
        dys, _ = back_through(net, gradient)
        # What should be zero is a rounding error in either, which counts against the largest of all gradients.
        tensors = [theirs, *twin.outputs, *(other for _, other, _ in twin.pairs)]
        size = 1e-3 * max(float(t.grad.abs().max()) for t in tensors if t.grad is not None)
        for layer, dy, out in reversed(list(zip(net.layers, dys, twin.outputs, strict=False))):
            self.add(str(layer.name), "the gradient of its output", "back", dy, out.grad, size)
            for ours, other, owner in twin.pairs:
                if owner is layer and other.grad is not None:
                    what = f"the gradient of its {short_name(ours)}"
                    grad = turned(layer, other.grad.numpy(), ours.tensor.ndim)
                    self.add(str(layer.name), what, "gradient", ours.gradient, grad, size)
        self.add("input", "its gradient", "back", dys[-1], theirs.grad, size)
        net.zero_grad()

    def _rates(self) -> list[float]:
        """PyTorch's learning rates of the epochs; not after a cosine's end, where its own goes up again."""
        one, length = self.one, self.one.config.training.epochs
        ends = [schedule.T_max or length for schedule in one.schedules if isinstance(schedule, CosineLR)]
        theirs = self.twin.rates(min([length, EPOCHS, *(end + 1 for end in ends)]))
        ours = [one.optimizer.lr * learning_rate_factor(one.schedules, e, length) for e in range(len(theirs))]
        self.add("learning rate", f"of {len(theirs)} epochs", "rate", np.array(ours), np.array(theirs))
        return theirs

    def _step(self, x: Array, target: Array, rate: float) -> None:
        """One step of both."""
        one, net = self.one, self.net
        net.backward(one.loss(net.forward(x, training=True), target)[1], to_input=False)
        self.twin.backward(x, target)
        largest = float(np.abs(net.vector.all_gradients).max(initial=0))
        for ours, theirs, _ in self.twin.pairs:
            if 0 < np.abs(ours.gradient).max(initial=0) < IDLE * largest:
                ours.gradient[...] = 0
                theirs.grad.zero_()
                self.found.idle += [ours.name] if ours.name not in self.found.idle else []
        self.twin.update(rate)
        if one.config.training.clip_norm is not None:
            net.vector.clip_norm(one.config.training.clip_norm)
        one.optimizer.factor = rate / one.optimizer.lr
        net.update(one.optimizer)

    def _steps_differ(self, number: int) -> bool:
        """Compare the parameters after a step; keeps the last comparison of each, up to the first that differs."""
        lines = [line for line in self.found.lines if line.kind != "step"]
        self.found.lines = lines
        for ours, theirs, owner in self.twin.pairs:
            other = turned(owner, theirs.detach().numpy(), ours.tensor.ndim)
            self.add(str(owner.name), f"its {short_name(ours)} after step {number}", "step", ours.tensor, other)
        return self.found.first is not None
