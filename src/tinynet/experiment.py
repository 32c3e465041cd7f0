"""The experiment: all that a config describes, ready to train, evaluate and predict from Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinynet import checkpoint as checkpoints
from tinynet.builder import Parts, assemble
from tinynet.checkpoint import Checkpoint
from tinynet.config import Config, from_json
from tinynet.core import Array
from tinynet.datasets.base import Description
from tinynet.errors import CheckpointError, ConfigError, ShapeError, UsageError
from tinynet.evaluation import Figures, classify, evaluate, outputs
from tinynet.learner import Learner, Progress, Record


@dataclass
class Experiment(Parts):
    """What a config describes, built: `net`, `loss`, `optimizer`, `dataset` with its splits, and the training.

    Made by `tinynet.build(config)` or `tinynet.load_checkpoint(path)`.
    """

    def __post_init__(self) -> None:
        self.learner: Learner | None = Learner(self)

    def train(self) -> Iterator[Record]:
        """Train to the last epoch; yields a record per epoch, the first (epoch 0) for the untrained net.

        What is left undone goes on at the next call; a finished training yields nothing.

        Raises
        ------
        DivergedError
            If the numbers become NaN or infinite.
        UsageError
            If the experiment comes from best.npz, which holds parameters only.
        """
        if self.learner is None:
            raise UsageError("this checkpoint holds the best parameters only. To train on, load last.npz.")
        return self.learner.train()

    def predict(self, x: npt.ArrayLike) -> Array:
        """What the net says of inputs in their original units.

        Parameters
        ----------
        x
            (n, *sample), as in the dataset: standardising is done here.

        Returns
        -------
        The classes (n,), as numbers where all their names are whole numbers; or the values (n, k) of a regression.

        Raises
        ------
        ShapeError
            If x has another shape.
        """
        predicted = self.outputs(x)
        if self.coding is None:
            scaling = self.description.target_scaling
            return predicted if scaling is None else scaling.undo(predicted)
        found, names = classify(self, predicted), self.description.classes or []
        # A net may have more outputs than there were classes.
        names = [*names, *map(str, range(len(names), int(found.max(initial=0)) + 1))]
        numeric = all(name.isdecimal() for name in names)
        return np.array([int(name) for name in names] if numeric else names)[found]

    def probabilities(self, x: npt.ArrayLike) -> Array | None:
        """Probabilities (n, classes) for inputs in their original units; None where the loss gives outputs no such
        meaning."""
        return None if self.coding is None else self.loss.probabilities(self.outputs(x))

    def outputs(self, x: npt.ArrayLike) -> Array:
        """The net's outputs for inputs in their original units."""
        found = np.asarray(x, dtype=float)
        if found.shape[1:] != self.net.input_shape or found.ndim == 0:
            wanted = ", ".join(map(str, ("n", *self.net.input_shape)))
            raise ShapeError(f"the input has shape {found.shape}, but must be ({wanted})")
        scaling = self.description.input_scaling
        return outputs(self, found if scaling is None else scaling.apply(found))

    def evaluate(self, split: str = "test") -> Figures:
        """The figures of a split: "train", "validation" or "test".

        Raises
        ------
        UsageError
            If the dataset has no such split.
        """
        found = self.dataset.split(split) if split in ("train", "validation", "test") else None
        if found is None:
            raise UsageError(f"there is no {split} split. A validation split needs `validation: 0.1` in the dataset.")
        return evaluate(self, found)


def build(config: Config) -> Experiment:
    """Build what a config describes.

    Raises
    ------
    ConfigError
        For layers, loss and dataset that do not fit each other, at their line.
    DataError
        If the dataset's files are missing or broken.
    """
    return Experiment(**vars(assemble(config)))


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
        metadata = checkpoint.metadata
        config = config or from_json(metadata["config"], file)
        experiment = Experiment(**vars(assemble(config, Description.from_json(metadata["description"]))))
        checkpoints.restore_parameters(checkpoint, experiment.net.parameters, file)
        if metadata["progress"] is None:
            experiment.learner = None
        else:
            experiment.learner = Learner(experiment, Progress.from_json(metadata["progress"]))
            checkpoints.restore_learner(checkpoint, experiment.learner, file)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{file}: the checkpoint's metadata is broken ({error})") from None
    except ConfigError as error:
        raise CheckpointError(f"{file}: the checkpoint's config does not fit this tinynet:\n{error}") from None
    return experiment
