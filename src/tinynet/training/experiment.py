"""The experiment: a config and its rounds, ready to train, evaluate and predict from Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinynet.common.arrays import Array, check_samples
from tinynet.common.errors import CheckpointError, ShapeError, UsageError
from tinynet.config.config import Config
from tinynet.data.dataset import SPLITS, Data, Description
from tinynet.data.targets import Coding
from tinynet.nn.losses import Loss
from tinynet.nn.net import Net
from tinynet.nn.optimizers import Optimizer
from tinynet.training import checkpoint as checkpoints
from tinynet.training.builder import build_round, check_rounds, generated
from tinynet.training.checkpoint import Checkpoint
from tinynet.training.evaluation import Figures, classify, evaluate, outputs
from tinynet.training.record import Record
from tinynet.training.round import Round, numbered
from tinynet.training.rounds import Training
from tinynet.training.transfer import Start, find_start, start


@dataclass(eq=False)
class Experiment:
    """A config and the rounds of its training, one or several.

    Made by `tinynet.build(config)` or `tinynet.load_checkpoint(path)`. `net`, `loss`, `optimizer` and `dataset` are
    those of the first round, and so is what `predict` and `evaluate` go by; `of_round` gives any other.

    Parameters
    ----------
    config
        Of all rounds.
    rounds
        In the order of their seeds.
    started
        What was taken from another run, by `start_from`; None without it, and from a checkpoint.
    """

    config: Config
    rounds: list[Round]
    started: Start | None = None

    @property
    def net(self) -> Net:
        return self.rounds[0].net

    @property
    def loss(self) -> Loss:
        return self.rounds[0].loss

    @property
    def optimizer(self) -> Optimizer:
        return self.rounds[0].optimizer

    @property
    def dataset(self) -> Data:
        """The splits, `train`, `validation` and `test`; read at the first use, if the experiment is a checkpoint's.

        Raises
        ------
        DataError
            If a file is missing or broken; ChangedDataError if it has changed since the training.
        """
        return self.rounds[0].dataset

    @property
    def description(self) -> Description:
        """What there is to know of the dataset without loading it."""
        return self.rounds[0].description

    @property
    def coding(self) -> Coding | None:
        """How classes are coded as outputs; None in a regression or where the targets are the inputs."""
        return self.rounds[0].coding

    @cached_property
    def training(self) -> Training:
        """The training of all rounds.

        Raises
        ------
        UsageError
            If the experiment comes from best.npz, which holds parameters only.
        """
        if any(one.parameters_only for one in self.rounds):
            raise UsageError("this checkpoint holds the best parameters only. To train on, load last.npz.")
        return Training(self.rounds)

    def __getstate__(self) -> dict[str, Any]:
        """For copy and pickle: the rounds as they are, without what trains them at the moment."""
        if "training" in vars(self):
            self.training.settle()
        return {name: value for name, value in vars(self).items() if name != "training"}

    def __repr__(self) -> str:
        count, net, training = len(self.rounds), self.net, self.config.training
        done = sorted({one.progress.epoch for one in self.rounds})
        layers = f"{len(net.layers)} layers, {sum(p.tensor.size for p in net.parameters):,} parameters"
        return (
            f"Experiment {self.config.name!r}: {self.config.dataset.cls.__name__}, {count} round{'s' * (count > 1)}\n"
            f"  net: {net.input_shape} → {net.output_shape}, {layers}, {net.dtype}\n"
            f"  training: {type(self.loss).__name__}, {type(self.optimizer).__name__}, "
            f"epoch {' to '.join(map(str, done[:1] + done[1:][-1:]))} of {training.epochs}"
        )

    def train(self) -> Iterator[Record]:
        """Train to the last epoch; yields a record per epoch and round, from epoch 0 on, the parameters it starts from.

        What is left undone goes on at the next call; a finished training yields nothing.

        Raises
        ------
        DivergedError
            If the numbers become NaN or infinite.
        UsageError
            If the experiment comes from best.npz, which holds parameters only.
        """
        return (record for record in self.training.steps() if record is not None)

    def of_round(self, number: int) -> Experiment:
        """One of the rounds by itself.

        Raises
        ------
        UsageError
            If there is no such round.
        """
        if not 0 <= number < len(self.rounds):
            last = len(self.rounds) - 1
            there = f"The rounds are 0 to {last}." if last else "There is one round only, 0."
            raise UsageError(f"there is no round {number}. {there}")
        return Experiment(self.rounds[number].config, [self.rounds[number]])

    def predict(self, x: npt.ArrayLike) -> Array:
        """What the net says of inputs in their original units.

        Parameters
        ----------
        x
            (n, *sample), as in the dataset: standardising is done here. Of a net for images in bytes they are bytes, or
            numbers of 0 to 1.

        Returns
        -------
        The classes (n,), as numbers where all their names are whole numbers; or the values (n, k) of a regression.

        Raises
        ------
        ShapeError
            If x has another shape, or holds NaN or infinity.
        """
        predicted = self.outputs(x)
        if self.coding is None:
            values, scaling = self.loss.values(predicted), self.description.target_scaling
            return values if scaling is None else scaling.undo(values)
        found = classify(self.rounds[0], predicted)
        names = [self.description.class_name(i) for i in range(int(found.max(initial=0)) + 1)]
        numeric = all(name.lstrip("-").isdecimal() and str(int(name)) == name for name in names)
        return np.array([int(name) for name in names] if numeric else names)[found]

    def probabilities(self, x: npt.ArrayLike) -> Array | None:
        """Probabilities (n, classes) for inputs in their original units; None where the loss gives outputs no such
        meaning."""
        return None if self.coding is None else self.loss.probabilities(self.outputs(x))

    def outputs(self, x: npt.ArrayLike) -> Array:
        """The net's outputs for inputs in their original units."""
        found = np.asarray(x)
        found = found / 255 if self.description.pixels and found.dtype == np.uint8 else found.astype(float)
        check_samples(found, self.net.input_shape)
        bad = np.argwhere(~np.isfinite(found))
        if len(bad):
            raise ShapeError(
                f"row {bad[0][0]} of the input holds {found[tuple(bad[0])]}. Every number has to be finite."
            )
        scaling = self.description.input_scaling
        with np.errstate(over="ignore"):
            found = (found if scaling is None else scaling.apply(found)).astype(self.net.dtype)
        if not np.isfinite(found).all():
            raise ShapeError(f"the input holds numbers too large for {self.net.dtype}, as which the net computes.")
        return outputs(self.rounds[0], found)

    def evaluate(self, split: str = "test") -> Figures:
        """The figures of a split: "train", "validation" or "test".

        Raises
        ------
        UsageError
            If the dataset has no such split.
        """
        found = self.dataset.split(split) if split in SPLITS else None
        if found is None:
            hint = "`validation: 0.1` in the dataset makes one" if split in SPLITS else f"there are {', '.join(SPLITS)}"
            raise UsageError(f"there is no {split} split: {hint}")
        return evaluate(self.rounds[0], found)


def build(config: Config) -> Experiment:
    """Build what a config describes, with the parameters that its `start_from` names.

    Raises
    ------
    ConfigError
        For layers, loss, dataset and start that do not fit each other, at their line.
    DataError
        If the dataset's files are missing or broken.
    CheckpointError
        If the checkpoint to start from is broken.
    """
    old, file, epochs = None, "", list[int]()
    if config.training.start_from is not None:
        file = find_start(config)
        checkpoint = checkpoints.read(file)
        old, epochs = restore(checkpoint, file).rounds, checkpoint.epochs
        if len(old) not in (1, config.training.rounds):
            count = config.training.rounds
            message = f"{file} has {len(old)} rounds, but this training {count}. Write as many, or start from one."
            raise config.error(("training", "start_from"), message)
    rounds: list[Round] = []
    started: list[Start] = []
    for number in range(config.training.rounds):
        # Data from a file are the same in all rounds.
        first = rounds[0] if rounds and not generated(config) else None
        one = build_round(config.of_round(number), first.description if first else None)
        one.first = first
        if number == 0:
            check_rounds(config, one)
        if old is not None:
            which = number if len(old) > 1 else 0
            started.append(start(one, old[which], file, epochs[which]))
        rounds.append(one)
    # Starting from another run may have changed how the data are scaled.
    config = replace(config, dataset=rounds[0].config.dataset)
    return Experiment(config, numbered(rounds), started[0] if started else None)


def load_checkpoint(path: str | os.PathLike[str]) -> Experiment:
    """The experiment of a checkpoint, with its parameters, optimizer state and position.

    Parameters
    ----------
    path
        The file, or a run's folder: its best.npz, or last.npz where there is none.

    The dataset's files are read at the first use of `dataset`, so that `predict` does not need them.

    Raises
    ------
    CheckpointError
        If the file is missing, broken, of another format version, or no checkpoint.
    """
    found = checkpoints.of_run(Path(path)) if os.path.isdir(path) else path
    if found is None:
        raise CheckpointError(f"{path}: this folder holds no checkpoints/best.npz or last.npz of a run.")
    return restore(checkpoints.read(found), os.fspath(found))


def restore(checkpoint: Checkpoint, file: str, config: Config | None = None) -> Experiment:
    """The experiment of a checkpoint that has been read; see `checkpoint.restored`."""
    return Experiment(*checkpoints.restored(checkpoint, file, config))
