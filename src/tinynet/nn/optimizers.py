"""Optimizers: they update a vector of parameters from its gradient, and own what they remember of earlier steps."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np

from tinynet.common.annotations import NonNegativeFloat, PositiveFloat, Share
from tinynet.common.arrays import Array
from tinynet.common.components import Component
from tinynet.common.errors import OptionError, ShapeError
from tinynet.nn.random import Clock


@dataclass(eq=False, kw_only=True)
class Optimizer(Component, abstract=True):
    """θ ← θ - something made of the gradient g.

    `factor` is what a schedule multiplies `lr` by. `state` holds the vectors remembered between steps by name, `steps`
    how many steps were taken. A subclass's `step` counts `steps`, and names its vectors in `state_names`.
    """

    kind: ClassVar[str] = "optimizer"
    lr: PositiveFloat  # each subclass gives it a default

    def __post_init__(self) -> None:
        super().__post_init__()
        self.factor = 1.0
        self.steps = 0
        # That of the net it is used for.
        self.clock: Clock | None = None
        self.state: dict[str, Array] = {}

    @property
    def learning_rate(self) -> float:
        """What a step uses: lr · factor."""
        return self.lr * self.factor

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the vectors that are remembered between steps."""
        return ()

    @abstractmethod
    def step(self, tensor: Array, gradient: Array) -> None:
        """Update `tensor` in place; `gradient` is left as it is."""

    def remember(self, name: str, tensor: Array) -> Array:
        """The remembered vector of this name; zeros, shaped like the tensor, at the first step."""
        if name not in self.state:
            self.state[name] = np.zeros_like(tensor)
        if self.state[name].shape != tensor.shape:
            raise ShapeError(f"the optimizer remembers {self.state[name].shape}, but is given {tensor.shape}")
        return self.state[name]


@dataclass(eq=False)
class SGD(Optimizer):
    """θ ← θ - lr v,  v ← momentum · v + g  (v = g without momentum)

    With nesterov: θ ← θ - lr (g + momentum · v). With weight_decay: g + weight_decay · θ in place of g.

    Parameters
    ----------
    lr
        Learning rate.
    momentum
        Share of the last step's velocity that is kept.
    nesterov
        Whether to look one step of the velocity ahead; needs a momentum.
    weight_decay
        Strength of the L2 penalty.

    Raises
    ------
    OptionError
        If nesterov is on without momentum.

    Source: tinyml, Overview; PyTorch's SGD.

    Example: {SGD: {lr: 0.1, momentum: 0.9}}
    """

    lr: PositiveFloat = 1e-3
    momentum: Share = 0.0
    nesterov: bool = False
    weight_decay: NonNegativeFloat = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise OptionError("SGD: nesterov needs a momentum, as in {lr: 0.1, momentum: 0.9, nesterov: true}")

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    def step(self, tensor: Array, gradient: Array) -> None:
        self.steps += 1
        if self.weight_decay:
            gradient = gradient + self.weight_decay * tensor
        if self.momentum:
            velocity = self.remember("velocity", tensor)
            velocity *= self.momentum
            velocity += gradient
            gradient = gradient + self.momentum * velocity if self.nesterov else velocity
        tensor -= self.learning_rate * gradient


@dataclass(eq=False)
class Adam(Optimizer):
    """θ ← θ - lr m̂ / (√v̂ + eps)

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ), t the count of steps.
    With weight_decay: g + weight_decay · θ in place of g.

    Parameters
    ----------
    lr
        Learning rate.
    betas
        Shares β₁ and β₂ of the old means that are kept.
    eps
        Keeps the quotient finite.
    weight_decay
        Strength of the L2 penalty.

    Source: Kingma and Ba 2015; PyTorch's Adam.

    Example: {Adam: 0.001}
    """

    lr: PositiveFloat = 1e-3
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("mean", "square")

    def step(self, tensor: Array, gradient: Array) -> None:
        self.update(tensor, gradient + self.weight_decay * tensor if self.weight_decay else gradient)

    def update(self, tensor: Array, gradient: Array) -> None:
        """The step above, without weight decay."""
        self.steps += 1
        beta1, beta2 = self.betas
        mean, square = self.remember("mean", tensor), self.remember("square", tensor)
        mean *= beta1
        mean += (1 - beta1) * gradient
        square *= beta2
        square += (1 - beta2) * gradient * gradient
        denominator = np.sqrt(square) / sqrt(1 - beta2**self.steps) + self.eps
        tensor -= self.learning_rate / (1 - beta1**self.steps) * mean / denominator


@dataclass(eq=False)
class AdamW(Adam):
    """θ ← (1 - lr · weight_decay) θ, then the step of Adam

    The decay does not go through Adam's means, so it is the same for every parameter.

    Parameters
    ----------
    weight_decay
        Share of each parameter, times lr, that a step takes away.

    Source: Loshchilov and Hutter 2019; PyTorch's AdamW.

    Example: {AdamW: {lr: 0.001, weight_decay: 0.01}}
    """

    weight_decay: NonNegativeFloat = 1e-2

    def step(self, tensor: Array, gradient: Array) -> None:
        tensor *= 1 - self.learning_rate * self.weight_decay
        self.update(tensor, gradient)
