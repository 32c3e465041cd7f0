"""The config's grammar: its sections of components, and its plain options as dataclasses."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from tinynet.common import components
from tinynet.common.annotations import (
    AnyInt,
    FilePath,
    NonNegativeFloat,
    Options,
    PositiveFloat,
    PositiveInt,
)


@dataclass
class Head(Options):
    """The plain values at the top of a config.

    Parameters
    ----------
    name
        The run's name; by default the file's.
    seed
        Where all randomness starts.
    dtype
        Of parameters and inputs.

    Example: {seed: 1}
    """

    name: str | None = None
    seed: Annotated[AnyInt, Ge(0)] = AnyInt(0)  # noqa: RUF009 (it is the number itself)
    dtype: Literal["float32", "float64"] = "float32"


@dataclass
class EarlyStopping(Options):
    """Stop when a figure has not become smaller by more than min_delta for `patience` epochs.

    Parameters
    ----------
    monitor
        The figure to watch.
    patience
        Epochs without a smaller figure before training stops.
    min_delta
        How much smaller the figure has to be to count.

    Example: {patience: 10}
    """

    monitor: Literal["validation_loss", "validation_error", "train_loss", "train_error"] = "validation_loss"
    patience: PositiveInt = 10
    min_delta: NonNegativeFloat = 0.0


@dataclass
class StartFrom(Options):
    """Another run, from whose parameters a training starts.

    Parameters
    ----------
    checkpoint
        A checkpoint, or a run's folder: its best.npz, or last.npz where there is none. A relative path is relative to
        the config's folder.
    fresh
        Layers and blocks that begin anew all the same.

    Example: {checkpoint: runs/disk}
    """

    checkpoint: FilePath
    fresh: list[str] = field(default_factory=list)


@dataclass
class Training(Options):
    """How to train.

    Parameters
    ----------
    epochs
        Passes through the training split.
    batch_size
        Samples in a batch; the last of an epoch may be short.
    rounds
        Independent trainings with the seeds seed, seed + 1, …; their figures are means over them.
    shuffle
        Whether each epoch takes the samples in a new random order.
    evaluate_train
        Whether train_loss and train_error are measured after each epoch, not during it.
    clip_norm
        Largest norm of all gradients taken as one vector.
    early_stopping
        When to stop before the last epoch.
    checkpoint_seconds
        Seconds between two saves of checkpoints/last.npz.
    start_from
        Whose parameters to start from: a checkpoint or a run, as a path or with options.

    Example: {epochs: 10}
    """

    epochs: PositiveInt = 10
    batch_size: PositiveInt = 32
    rounds: Annotated[PositiveInt, Le(1000)] = 1
    shuffle: bool = True
    evaluate_train: bool = False
    clip_norm: PositiveFloat | None = None
    early_stopping: EarlyStopping | None = None
    checkpoint_seconds: NonNegativeFloat = 10.0
    start_from: StartFrom | None = None


@dataclass(frozen=True)
class Section:
    """A part of the config that holds components."""

    kind: str
    description: str
    required: bool = True
    is_list: bool = False


SECTIONS = {
    "dataset": Section("dataset", "What to learn from."),
    "augment": Section(
        "augmentation", "Random changes of the training images, in order.", required=False, is_list=True
    ),
    "layers": Section("layer", "The layers, in the order of the forward pass.", is_list=True),
    "loss": Section("loss", "What training makes small."),
    "optimizer": Section("optimizer", "How parameters change."),
    "schedule": Section("schedule", "How the learning rate changes; several multiply.", required=False, is_list=True),
}
HEAD = tuple(option.name for option in components.options(Head))
GROUPS: dict[str, type[Options]] = {"training": Training, "early_stopping": EarlyStopping, "start_from": StartFrom}
KEYS = (*HEAD, *SECTIONS, "training")


def full(training: dict[str, Any]) -> dict[str, Any]:
    """The training's options with the shorthand `start_from: PATH` written out."""
    start = training.get("start_from")
    return {**training, "start_from": {"checkpoint": start}} if isinstance(start, str) else training


def load_all() -> None:
    """Import every module that defines components."""
    for module in ("data.plane", "data.own_files", "data.mnist", "data.augmentations"):
        importlib.import_module(f"tinynet.{module}")
    for module in ("layers", "losses", "optimizers", "schedules"):
        importlib.import_module(f"tinynet.nn.{module}")
