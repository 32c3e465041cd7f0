"""Schedules: the factor on the learning rate, epoch by epoch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, prod
from typing import ClassVar

from tinynet.common.annotations import PositiveFloat, PositiveInt
from tinynet.common.components import Component


@dataclass(eq=False, kw_only=True)
class Schedule(Component, abstract=True):
    """A factor on the optimizer's `lr` for each epoch. Lengths are in epochs; several schedules multiply."""

    kind: ClassVar[str] = "schedule"

    @abstractmethod
    def factor(self, epoch: int, epochs: int) -> float:
        """The factor in `epoch` (the first is 0) of a training of `epochs`."""


def learning_rate_factor(schedules: Sequence[Schedule], epoch: int, epochs: int) -> float:
    """The product of all factors; 1 without a schedule."""
    return prod((schedule.factor(epoch, epochs) for schedule in schedules), start=1.0)


@dataclass(eq=False)
class StepLR(Schedule):
    """factor = gamma^⌊epoch / step_size⌋, the first epoch is 0

    Parameters
    ----------
    step_size
        Epochs between two steps.
    gamma
        What each step multiplies the learning rate by.

    Source: PyTorch's StepLR.

    Example: {StepLR: {step_size: 10, gamma: 0.5}}
    """

    step_size: PositiveInt
    gamma: PositiveFloat = 0.1

    def factor(self, epoch: int, epochs: int) -> float:
        return float(self.gamma ** (epoch // self.step_size))


@dataclass(eq=False)
class CosineLR(Schedule):
    """factor = (1 + cos(π epoch / T_max)) / 2

    From 1 in the first epoch towards 0, where it stays from epoch T_max on.

    Parameters
    ----------
    T_max
        Epochs to 0; by default all of the training.

    Source: Loshchilov and Hutter 2017; PyTorch's CosineAnnealingLR with eta_min = 0.

    Example: CosineLR
    """

    T_max: PositiveInt | None = None

    def factor(self, epoch: int, epochs: int) -> float:
        end = self.T_max or epochs
        return (1 + cos(pi * min(epoch, end) / end)) / 2


@dataclass(eq=False)
class LinearWarmup(Schedule):
    """factor = min(1, (epoch + 1) / epochs)

    Small steps first: 1/epochs of the learning rate in the first epoch, all of it in the last of the warm-up.

    Parameters
    ----------
    epochs
        Length of the warm-up.

    Source: Goyal et al. 2017.

    Example: {LinearWarmup: 5}
    """

    epochs: PositiveInt

    def factor(self, epoch: int, epochs: int) -> float:
        return min(1.0, (epoch + 1) / self.epochs)
