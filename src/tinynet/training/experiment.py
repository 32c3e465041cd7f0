"""The experiment: all that a config describes, ready to train, evaluate and predict from Python."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tinynet.common.arrays import Array, check_samples
from tinynet.common.errors import CheckpointError, ConfigError, ShapeError, UsageError
from tinynet.config.config import Config, from_json
from tinynet.data.dataset import SPLITS, Description
from tinynet.training import checkpoint as checkpoints
from tinynet.training.builder import Parts, check_rounds
from tinynet.training.checkpoint import Checkpoint
from tinynet.training.evaluation import Figures, classify, evaluate, outputs
from tinynet.training.learner import Learner
from tinynet.training.record import Progress, Record
from tinynet.training.rounds import Rounds
from tinynet.training.transfer import Start, find_start, start


@dataclass
class Experiment(Parts):
    """What a config describes, built: `net`, `loss`, `optimizer`, `dataset` with its splits, and the training.

    Made by `tinynet.build(config)` or `tinynet.load_checkpoint(path)`. With several rounds (`training.rounds`) `rounds`
    holds an experiment for each, and the net and all else here are those of the first.

    Parameters
    ----------
    started
        What was taken from another run, by `start_from`; None without it, and from a checkpoint.
    """

    started: Start | None = None

    def __post_init__(self) -> None:
        self.learner: Learner | None = Learner(self)
        self.rounds: list[Experiment] = [self]

    @cached_property
    def training(self) -> Rounds:
        """The training of all rounds.

        Raises
        ------
        UsageError
            If the experiment comes from best.npz, which holds parameters only.
        """
        learners = [one.learner for one in self.rounds if one.learner is not None]
        if len(learners) < len(self.rounds):
            raise UsageError("this checkpoint holds the best parameters only. To train on, load last.npz.")
        return Rounds(learners)

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
        return self.rounds[number]

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
        found = classify(self, predicted)
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
        return outputs(self, found)

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
        return evaluate(self, found)


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
        old, epochs = restore(checkpoint, file), checkpoint.epochs
        if len(old.rounds) not in (1, config.training.rounds):
            count = config.training.rounds
            message = (
                f"{file} has {len(old.rounds)} rounds, but this training {count}. Write as many, or start from one."
            )
            raise config.error(("training", "start_from"), message)
    rounds: list[Experiment] = []
    for number in range(config.training.rounds):
        # Data from a file are the same in all rounds.
        first = rounds[0] if rounds and not _generated(config) else None
        one = Experiment.of(config.of_round(number), first.description if first else None)
        one.first = first
        if number == 0:
            check_rounds(config, one)
        if old is not None:
            which = number if len(old.rounds) > 1 else 0
            one.started = start(one, old.of_round(which), file, epochs[which])
        rounds.append(one)
    return _together(config, rounds)


def _generated(config: Config) -> bool:
    """Whether the samples are drawn by the seed, anew for each round."""
    return bool(getattr(config.dataset.cls, "generated", False))


def _together(config: Config, rounds: list[Experiment]) -> Experiment:
    """The experiment of all rounds."""
    if len(rounds) == 1:
        return rounds[0]
    for number, one in enumerate(rounds):
        if one.learner is not None:
            one.learner.round = number
    found = copy.copy(rounds[0])
    # Starting from another run may have changed how the data are scaled.
    found.config, found.rounds = replace(config, dataset=rounds[0].config.dataset), rounds
    return found


def load_checkpoint(path: str | os.PathLike[str]) -> Experiment:
    """The experiment of a checkpoint, with its parameters, optimizer state and position.

    The dataset's files are read at the first use of `dataset`, so that `predict` does not need them.

    Raises
    ------
    CheckpointError
        If the file is missing, broken, of another format version, or no checkpoint.
    """
    return restore(checkpoints.read(path), os.fspath(path))


def restore(checkpoint: Checkpoint, file: str, config: Config | None = None) -> Experiment:
    """The experiment of a checkpoint that has been read.

    Parameters
    ----------
    checkpoint
        As read.
    file
        Its name, for messages.
    config
        To go on with, instead of the one in the checkpoint (a resumed training with more epochs).
    """
    try:
        config = config or from_json(checkpoint.metadata["config"], file)
        rounds = config.training.rounds
        if rounds > 1:
            parts = [checkpoints.of_round(checkpoint, number) for number in range(rounds)]
            found = [restore(one, file, config.of_round(number)) for number, one in enumerate(parts)]
            for one in found[1:] if not _generated(config) else ():
                one.first = found[0]
            return _together(config, found)
        metadata = checkpoint.metadata
        experiment = Experiment.of(config, Description.from_json(metadata["description"]), restored=True)
        experiment.data_sha256 = str(metadata["data_sha256"])
        checkpoints.restore_parameters(checkpoint, [*experiment.net.parameters, *experiment.net.buffers], file)
        if metadata["progress"] is None:
            experiment.learner = None
        else:
            experiment.learner = Learner(experiment, Progress.from_json(metadata["progress"]))
            checkpoints.restore_learner(checkpoint, experiment.learner, file)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{file}: the checkpoint's metadata is broken ({error})") from None
    except ConfigError as error:
        raise CheckpointError(f"{file}: the checkpoint's config does not fit this tinynet:\n{error}") from None
    return experiment
