"""Datasets: what they are read from, what is known of them, and how their splits are made ready for a net."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from tinynet.common.annotations import Share
from tinynet.common.arrays import Array, Shape
from tinynet.common.components import Component, check_types
from tinynet.common.errors import OptionError
from tinynet.data.loader import Scaling, Split
from tinynet.data.targets import Coding
from tinynet.nn.random import Stream

SPLITS = ("train", "validation", "test")


@dataclass
class Description:
    """What a net trained on a dataset has to know of it afterwards; it travels in the checkpoint.

    Parameters
    ----------
    input_shape
        Of one sample.
    classes
        Their names by index, or None in a regression.
    columns
        The names of the input columns, where they have names.
    target
        The name of what is predicted.
    target_shape
        Of one target of a regression, or None.
    input_scaling
        How inputs were standardised, or None.
    target_scaling
        How the targets of a regression were standardised, or None.
    commonest
        The class that is most frequent in the training split, or None.
    pixels
        Whether the inputs are images in bytes.
    """

    input_shape: Shape
    classes: list[str] | None = None
    columns: list[str] | None = None
    target: str | None = None
    target_shape: Shape | None = None
    input_scaling: Scaling | None = None
    target_scaling: Scaling | None = None
    commonest: int | None = None
    pixels: bool = False

    def class_name(self, index: int) -> str:
        """The name of a class; a net may have more outputs than there were classes."""
        known = self.classes or []
        spare = str(index) if str(index) not in known else f"output {index + 1}"
        return known[index] if index < len(known) else spare

    def to_json(self) -> dict[str, Any]:
        found = dict(vars(self))
        for name in ("input_scaling", "target_scaling"):
            found[name] = found[name] and found[name].to_json()
        return found

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Description:
        """The description in a checkpoint; raises ValueError, TypeError or KeyError where it is none."""
        scalings = {n: found[n] and Scaling.from_json(found[n]) for n in ("input_scaling", "target_scaling")}
        shapes = {n: found[n] and tuple(found[n]) for n in ("input_shape", "target_shape")}
        description = cls(**{**found, **shapes, **scalings})
        check_types(description)
        return description


@dataclass
class Data:
    """A dataset as loaded: its splits, ready for the net, and their description."""

    train: Split
    test: Split
    description: Description
    validation: Split | None = None
    notes: list[str] = field(default_factory=list)

    def split(self, name: str) -> Split | None:
        """The split called train, validation or test."""
        found: Split | None = getattr(self, name)
        return found

    def sha256(self) -> str:
        """A digest of all numbers in all splits."""
        digest = hashlib.sha256()
        for name in SPLITS:
            part = self.split(name)
            for array in () if part is None else (part.x, part.labels, part.targets):
                if array is not None:
                    digest.update(f"{name} {array.dtype} {array.shape}".encode())
                    digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(eq=False, kw_only=True)
class Dataset(Component, abstract=True):
    """Where samples come from. A subclass gives its training and its test split in `read`.

    Parameters
    ----------
    validation
        Share of the training split that is set aside for validation.
    standardize
        Whether to subtract the training split's mean from the inputs and divide by its deviation, column by column.
    targets
        Target vectors for the classes: sign, one_hot, signed_one_hot, binary, or inputs (the sample itself). By default
        binary for BinaryCrossEntropy with one output, else one_hot. CrossEntropy uses the class indices themselves.
    """

    kind: ClassVar[str] = "dataset"
    # Whether the samples are drawn by the seed, anew for each round, and not read from a file.
    generated: ClassVar[bool] = False

    validation: Share = 0.0
    standardize: bool = False
    targets: Coding | None = None

    @abstractmethod
    def read(self, seed: int) -> Data:
        """The training and test splits as they are, before validation and standardising.

        Raises
        ------
        DataError
            If a file is missing, broken, or not what it should be.
        """

    def describe(self, seed: int) -> Description:
        """What a net has to know of the dataset before it is trained; only a person's own file is read for it."""
        return self.load(seed).description

    def load(self, seed: int, known: Description | None = None) -> Data:
        """The splits, ready for the net.

        Parameters
        ----------
        seed
            Of the random draws: the samples of a generator, and the rows of the validation split.
        known
            The description from a checkpoint: its scaling is used instead of that of this training split.

        Raises
        ------
        DataError
            If a file is missing, broken, or not what it should be.
        OptionError
            If a share of the rows leaves a split empty.
        """
        data = self.read(seed)
        if self.validation:
            held, kept = set_aside(data.train, self.validation, seed, "validation", "training rows")
            data = replace(data, validation=held, train=kept)
        # A copy: what `read` returned may be kept by the dataset.
        data = replace(data, description=replace(data.description), notes=list(data.notes))
        description = data.description
        description.pixels = data.train.x.dtype == np.uint8
        if self.standardize:
            description.input_scaling = known.input_scaling if known else _input_scaling(data.train.x)
        if self.targets == "inputs":
            description.target_scaling, data.notes = description.input_scaling, []
        elif data.train.targets is not None and getattr(self, "standardize_targets", False):
            description.target_scaling = known.target_scaling if known else Scaling.of(data.train.targets)
        if data.train.labels is not None:
            description.commonest = known.commonest if known else int(np.bincount(data.train.labels).argmax())
        for name in SPLITS:
            part = data.split(name)
            if part is not None:
                targets = part.x if self.targets == "inputs" else part.targets
                setattr(data, name, _scaled(Split(part.x, part.labels, targets), description))
        if data.train.targets is not None:
            description.target_shape = data.train.targets.shape[1:]
        return data


def set_aside(rows: Split, share: float, seed: int, name: str, what: str = "rows") -> tuple[Split, Split]:
    """That share of the rows, drawn at random, and the others; raises OptionError where one of them is empty."""
    count = round(share * len(rows))
    if not 0 < count < len(rows):
        raise OptionError(f"{name} {share} of {len(rows)} {what} leaves an empty split. Change the share.")
    order = Stream(seed, "split", name).at().permutation(len(rows))
    # Sorted, so that rows keep the order they have in the file.
    return rows.rows(np.sort(order[:count])), rows.rows(np.sort(order[count:]))


def _input_scaling(x: Array) -> Scaling:
    """That of each column, or for images in bytes that of each channel."""
    if x.dtype != np.uint8:
        return Scaling.of(x)
    # From the counts of the 256 values: the images as numbers would take eight times their memory.
    values, channels = np.arange(256) / 255, range(x.shape[1])
    counts = np.array([np.bincount(x[:, c].reshape(-1), minlength=256) for c in channels]) / x[:, 0].size
    mean = counts @ values
    deviation = np.sqrt(counts @ values**2 - mean**2)
    return Scaling(mean[:, None, None], np.where(deviation > 0, deviation, 1.0)[:, None, None])


def _scaled(part: Split, description: Description) -> Split:
    x, targets = part.x, part.targets
    if description.pixels:
        return Split(x, part.labels, targets, description.input_scaling)
    if description.input_scaling is not None:
        x = description.input_scaling.apply(x)
    if description.target_scaling is not None and targets is not None:
        targets = description.target_scaling.apply(targets)
    return Split(x, part.labels, targets)
