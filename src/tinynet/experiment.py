"""The experiment: all that a config describes, ready to train, evaluate and predict from Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinynet import checkpoint as checkpoints
from tinynet.builder import Parts
from tinynet.checkpoint import Checkpoint
from tinynet.config import Config, from_json
from tinynet.core import Array, check_samples
from tinynet.datasets.base import SPLITS, Description
from tinynet.errors import CheckpointError, ConfigError, ShapeError, UsageError
from tinynet.evaluation import Figures, classify, evaluate, outputs
from tinynet.learner import Learner, Progress, Record
from tinynet.start import Start, find_start, start


@dataclass
class Experiment(Parts):
    """What a config describes, built: `net`, `loss`, `optimizer`, `dataset` with its splits, and the training.

    Made by `tinynet.build(config)` or `tinynet.load_checkpoint(path)`.

    Parameters
    ----------
    started
        What was taken from another run, by `start_from`; None without it, and from a checkpoint.
    """

    started: Start | None = None

    def __post_init__(self) -> None:
        self.learner: Learner | None = Learner(self)

    def train(self) -> Iterator[Record]:
        """Train to the last epoch; yields a record per epoch, the first (epoch 0) for the parameters it starts from.

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
        return outputs(self, found if scaling is None else scaling.apply(found))

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
    experiment = Experiment.of(config)
    if config.training.start_from is not None:
        file = find_start(config)
        checkpoint = checkpoints.read(file)
        experiment.started = start(experiment, restore(checkpoint, file), file, checkpoint.epoch)
    return experiment


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
        experiment = Experiment.of(config, Description.from_json(metadata["description"]), restored=True)
        experiment.data_sha256 = str(metadata["data_sha256"])
        checkpoints.restore_parameters(checkpoint, [*experiment.net.parameters, *experiment.net.buffers], file)
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
