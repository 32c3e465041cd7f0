"""One sample on its way through a net, forward and back, with all that each layer gives and gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.builder import Parts
from tinynet.core import Array
from tinynet.datasets.base import SPLITS
from tinynet.datasets.splits import Loader
from tinynet.errors import UsageError
from tinynet.evaluation import classify, compare_with
from tinynet.layers import Layer
from tinynet.net import Net
from tinynet.sketch import Numbers

# The arrays that a method was given, and those it returned.
Call = tuple[tuple[Array, ...], tuple[Array, ...]]


@dataclass
class Learned:
    """The numbers of a parameter, and ∂L/∂ of them, summed over all layers that use it."""

    name: str
    value: Numbers
    gradient: Numbers


@dataclass
class Passage:
    """What a layer got and gave: inputs x and output y forward, the gradients dy of y and dx of each x back."""

    layer: str
    x: list[Numbers]
    y: Numbers
    dy: Numbers
    dx: list[Numbers]
    parameters: list[Learned]


@dataclass
class Trace:
    """What a net, as in evaluation, makes of one sample.

    Parameters
    ----------
    split, sample
        Which one; counted from 0.
    true, answer
        The names of its class and of the one that the outputs stand for, where there are classes.
    probabilities
        Of the classes by name, where the loss gives outputs such a meaning.
    x, target
        What goes in, and what the loss compares with.
    standardised
        Whether target, output and loss are in standardised units, as in training.
    passages
        Layer by layer, in the order of the forward pass.
    loss
        Its value for this sample alone.
    dx
        ∂L/∂x.
    """

    split: str
    sample: int
    true: str | None
    answer: str | None
    probabilities: dict[str, float] | None
    x: Numbers
    target: Numbers
    standardised: bool
    passages: list[Passage]
    loss: float
    dx: Numbers


def trace(parts: Parts, sample: int, split: str = "test") -> Trace:
    """Send a sample through the net and the gradient of its loss back.

    Parameters
    ----------
    parts
        The net, the loss and the data. Gradients are zero afterwards.
    sample
        Its number in the split, from 0 on.
    split
        "train", "validation" or "test".

    Raises
    ------
    UsageError
        If there is no such split or sample.
    """
    x, labels, targets = _row(parts, sample, split)
    net, known, target = parts.net, parts.description, compare_with(parts, labels, targets)
    with np.errstate(all="ignore"):  # overflow shows in the numbers
        with _recorded(net, "forward") as forward:
            predicted = net.forward(x)
        loss, gradient = parts.loss(predicted, target)
        net.zero_grad()
        with _recorded(net, "backward") as backward:
            dx = net.backward(gradient)
        shares = parts.loss.probabilities(predicted)
    assert dx is not None
    found = Trace(
        split=split,
        sample=sample,
        true=None,
        answer=None,
        probabilities=None,
        x=Numbers.of(x[0]),
        target=Numbers.of(target[0]),
        standardised=known.target_scaling is not None,
        passages=[_passage(*each) for each in zip(net.layers, forward, backward, strict=True)],
        loss=float(loss),
        dx=Numbers.of(dx[0], by_size=True),
    )
    net.zero_grad()
    if parts.coding is not None and labels is not None:
        found.true = known.class_name(int(labels[0]))
        found.answer = known.class_name(int(classify(parts, predicted)[0]))
        if shares is not None:
            found.probabilities = {known.class_name(i): float(share) for i, share in enumerate(shares[0])}
    return found


def _passage(layer: Layer, forward: Call, backward: Call) -> Passage:
    """What the calls of a layer's forward and backward, with a batch of one sample, were given and returned."""
    (xs, (y,)), ((dy,), dxs) = forward, backward
    return Passage(
        layer=str(layer.name),
        x=[Numbers.of(x[0]) for x in xs],
        y=Numbers.of(y[0]),
        dy=Numbers.of(dy[0], by_size=True),
        dx=[Numbers.of(dx[0], by_size=True) for dx in dxs],
        parameters=[
            Learned(p.name, Numbers.of(p.tensor), Numbers.of(p.gradient, by_size=True)) for p in layer.parameters
        ],
    )


def _row(parts: Parts, sample: int, split: str) -> tuple[Array, Array | None, Array | None]:
    """The sample as a batch of one: (x, labels, targets)."""
    data = parts.dataset.split(split) if split in SPLITS else None
    if data is None:
        hint = "`validation: 0.1` in the dataset makes one" if split in SPLITS else f"there are {', '.join(SPLITS)}"
        raise UsageError(f"there is no {split} split: {hint}")
    if not 0 <= sample < len(data):
        raise UsageError(f"there is no sample {sample}: those of the {split} split are 0 to {len(data) - 1}")
    return next(iter(Loader(data.rows(slice(sample, sample + 1)), 1)))


@contextmanager
def _recorded(net: Net, method: str) -> Iterator[list[Call]]:
    """While it lasts, the last call of a method of each layer."""
    calls: list[Call] = [((), ())] * len(net.layers)

    def recording(index: int, run: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*values: Any, **options: Any) -> Any:
            given = tuple(value.copy() for value in values if isinstance(value, np.ndarray))
            result = run(*values, **options)
            returned = result if isinstance(result, tuple) else (result,)
            calls[index] = given, tuple(array.copy() for array in returned)
            return result

        return recorded

    for index, layer in enumerate(net.layers):
        vars(layer)[method] = recording(index, getattr(layer, method))
    try:
        yield calls
    finally:
        for layer in net.layers:
            del vars(layer)[method]
