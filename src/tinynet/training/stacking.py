"""Rounds as one: small nets whose parameters become rows of one array, so that a step of all of them is one pass."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from tinynet.common.components import Component
from tinynet.data.loader import Split
from tinynet.nn import losses, optimizers
from tinynet.nn.layers import activations, dropout, linear, merge, shape
from tinynet.nn.net import Net
from tinynet.nn.optimizers import Optimizer
from tinynet.nn.parameter import FlatVector
from tinynet.training.round import Round

# Numbers in one parameter. Ten rounds took 0.5 to 0.7 of their time one after another at 4096, the same at 40,000.
LARGEST = 10_000
# They take an axis of rounds in front of all others, and give each round what they would give it alone, to the last
# bit. A class of a person's own says so by `stacks = True`.
STACKS: tuple[type[Component], ...] = (
    linear.Linear,
    activations.ReLU,
    activations.LeakyReLU,
    activations.Tanh,
    activations.Sigmoid,
    activations.GELU,
    activations.Softmax,
    dropout.Dropout,
    merge.Sum,
    merge.Multiply,
    merge.Concat,
    merge.Identity,
    shape.Flatten,
    losses.MSE,
    losses.L1,
    losses.Huber,
    losses.CrossEntropy,
    losses.BinaryCrossEntropy,
    optimizers.SGD,
    optimizers.Adam,
    optimizers.AdamW,
)


def can_stack(one: Round) -> bool:
    """Whether rounds of this training can be stacked, and gain by it."""
    return (
        all(map(stacks, [*map(type, one.net.layers), type(one.loss), type(one.optimizer)]))
        and all(len(shape) == 1 for shape in one.net.shapes)
        and not one.augmentations
        and all(parameter.tensor.size <= LARGEST for parameter in one.net.parameters)
    )


def stacks(component: type[Component]) -> bool:
    """Whether a component stacks. What it derives from does not count: a class has to say so itself."""
    return component in STACKS or bool(vars(component).get("stacks", False))


def stacked(rounds: Sequence[Round]) -> tuple[Net, Optimizer]:
    """A net and an optimizer that train several rounds at once.

    The parameters of each round, and what its optimizer remembers, become rows of theirs.
    """
    net = copy.deepcopy(rounds[0].net)
    net.rounds = len(rounds)
    # A row for each round. Each is filled with the first round's values, and then with its own round's.
    net.vector = FlatVector([*net.parameters, *net.buffers], net.dtype, len(rounds))
    for tensors, gradients, one in zip(net.vector.all_tensors, net.vector.all_gradients, rounds, strict=True):
        one.net.vector.live_in(tensors, gradients)
    for index, layer in enumerate(net.layers):
        layer.streams = [stream for one in rounds for stream in one.net.layers[index].streams]
    optimizer = copy.copy(rounds[0].optimizer)
    optimizer.clock, optimizer.state = None, {}
    for name in optimizer.state_names:
        rows = np.stack([one.optimizer.remember(name, one.net.vector.tensor) for one in rounds])
        optimizer.state[name] = rows
        for one, row in zip(rounds, rows, strict=True):
            one.optimizer.state[name] = row
    return net, optimizer


def joined(splits: Sequence[Split]) -> Split:
    """The rows of several splits, one split after the other; data that all rounds share once."""
    first = splits[0]
    if all(split.x is first.x for split in splits):
        return first
    x = np.concatenate([split.x for split in splits])
    labels = None if first.labels is None else np.concatenate([split.labels for split in splits])
    if first.targets is first.x:
        return Split(x, labels, x, first.scaling)
    targets = None if first.targets is None else np.concatenate([split.targets for split in splits])
    return Split(x, labels, targets, first.scaling)
