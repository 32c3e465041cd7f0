"""A round: one training of a config, with a seed of its own. What is trained, on what, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from tinynet.common import memory
from tinynet.common.arrays import FLOAT64, Array
from tinynet.common.errors import ChangedDataError
from tinynet.config.config import Config
from tinynet.data.augmentations import Augmentation
from tinynet.data.dataset import SPLITS, Data, Description
from tinynet.data.loader import Split
from tinynet.data.targets import Coding, encode
from tinynet.nn.losses import Loss
from tinynet.nn.net import Net
from tinynet.nn.optimizers import Optimizer
from tinynet.nn.random import Stream
from tinynet.nn.schedules import Schedule, learning_rate_factor
from tinynet.training.record import Progress

# What `Round.state` gives and `Round.take` takes.
State = tuple[Any, ...]


@dataclass(eq=False, repr=False)
class Round:
    """One training of a config: what is trained, on what, and how far it is.

    Parameters
    ----------
    config
        Of this round alone, with its own seed.
    net, loss, optimizer, schedules, augmentations
        As the config names them.
    description
        What there is to know of the dataset without loading it.
    coding
        How classes are coded as outputs; None in a regression or where the targets are the inputs.
    data
        The splits, with targets as the loss takes them; None until they are needed.
    data_sha256
        The digest that the splits must have, from a checkpoint.
    first
        The round whose data these are, where they come from a file and there are several rounds.
    number
        Which of several rounds this is, from 0; None where it is the only one.
    progress
        How far it is.
    best_parameters
        The vector of all parameters at `progress.best_epoch`.
    parameters_only
        Whether it comes from best.npz, which holds nothing to train on from.
    """

    config: Config
    net: Net
    loss: Loss
    optimizer: Optimizer
    schedules: list[Schedule]
    augmentations: list[Augmentation]
    description: Description
    coding: Coding | None
    data: Data | None = None
    data_sha256: str | None = None
    first: Round | None = None
    number: int | None = None
    progress: Progress = field(default_factory=Progress)
    best_parameters: Array | None = None
    parameters_only: bool = False

    def __post_init__(self) -> None:
        self.shuffle = Stream(self.config.seed, "shuffle")

    def __repr__(self) -> str:
        return f"Round({self.number or 0}, seed {self.config.seed}, epoch {self.progress.epoch})"

    @property
    def dataset(self) -> Data:
        """The splits; loaded from their files at the first use, if the round comes from a checkpoint.

        Raises
        ------
        DataError
            If a file is missing or broken; ChangedDataError if it has changed since the training.
        """
        if self.data is None and self.first is not None:
            self.data = self.first.dataset
        if self.data is None:
            data = self.config.dataset.make().load(self.config.seed, self.description)
            data = prepared(data, self.config, self.coding, self.net)
            if self.data_sha256 not in (None, data.sha256()):
                raise ChangedDataError(
                    "the dataset is not the one of the training: its file has changed. Put the old one back, or train "
                    "anew. `tinynet predict` uses the net on any file."
                )
            self.data = data
        return self.data

    def digest(self) -> str:
        """The digest of the splits."""
        if self.data_sha256 is None:
            self.data_sha256 = self.dataset.sha256()
        return self.data_sha256

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left, and no measurement."""
        progress = self.progress
        return bool(progress.records) and (progress.stopped_early or progress.epoch >= self.config.training.epochs)

    @property
    def place(self) -> tuple[int, ...]:
        """Where it is: records, epochs done, batches done in the epoch under way, updates of net and optimizer."""
        progress = self.progress
        return len(progress.records), progress.epoch, progress.batch, self.net.clock.step, self.optimizer.steps

    def order(self) -> Array:
        """The rows of the training split in the order of the epoch that is under way."""
        count = len(self.dataset.train)
        if not self.config.training.shuffle:
            return np.arange(count)
        return self.shuffle.at(self.progress.epoch).permutation(count)

    def set_rate(self) -> None:
        """Set the optimizer's factor to that of the epoch that is under way."""
        epochs = self.config.training.epochs
        self.optimizer.factor = learning_rate_factor(self.schedules, self.progress.epoch, epochs)

    def state(self) -> State:
        """A copy of all that training changes, for `take`."""
        net, optimizer = self.net, self.optimizer
        progress = replace(self.progress, records=list(self.progress.records))
        memory = {name: vector.copy() for name, vector in optimizer.state.items()}
        return progress, self.best_parameters, net.vector.all_tensors.copy(), net.clock.step, optimizer.steps, memory

    def take(self, state: State) -> None:
        """Be as the round was that gave this state."""
        net, optimizer = self.net, self.optimizer
        progress, self.best_parameters, tensors, net.clock.step, optimizer.steps, memory = state
        self.progress = replace(progress, records=list(progress.records))
        optimizer.state = {name: vector.copy() for name, vector in memory.items()}
        net.vector.all_tensors[...] = tensors


def numbered(rounds: list[Round]) -> list[Round]:
    """The rounds of one experiment, which know from now on which they are, if there are several."""
    for number, one in enumerate(rounds if len(rounds) > 1 else ()):
        one.number = number
    return rounds


def prepared(data: Data, config: Config, coding: Coding | None, net: Net) -> Data:
    """The data with the targets that the loss compares with, in the net's number type.

    Raises
    ------
    ConfigError
        If there is no room for the targets, or a number is too large for that type.
    """
    data = replace(data)
    for name in SPLITS:
        part = data.split(name)
        if part is not None:
            targets: Array | None = part.targets
            if coding is not None and part.labels is not None:
                lacking = memory.shortage(len(part) * prod(net.output_shape) * FLOAT64)
                if lacking:
                    at = ("dataset", config.dataset.cls.__name__)
                    raise config.error(at, f"its {len(part):,} target vectors take {lacking}. Take fewer samples.")
                targets = encode(part.labels, coding, net.output_shape[0])
            x = _converted(part.x, net, config, "inputs")
            if targets is part.x:
                targets = x
            elif targets is not None:
                targets = _converted(targets, net, config, "targets")
            setattr(data, name, Split(x, part.labels, targets, part.scaling))
    return data


def _converted(values: Array, net: Net, config: Config, what: str) -> Array:
    if values.dtype == np.uint8:
        return values  # the loader turns bytes into numbers, batch by batch
    with np.errstate(over="ignore"):
        found: Array = values.astype(net.dtype)
    if not np.isfinite(found).all():
        most = f"{np.abs(values).max():.3g}"
        at = ("dataset", config.dataset.cls.__name__)
        raise config.error(at, f"its {what} go up to {most}, too large for {net.dtype}. Scale them in the file.")
    return found
