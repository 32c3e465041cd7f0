"""Datasets and their splits, and the loader that goes through a split batch by batch."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from tinynet.core import Array, Shape, Stream
from tinynet.datasets.targets import Coding
from tinynet.errors import OptionError
from tinynet.registry import Component, Share

SPLITS = ("train", "validation", "test")


@dataclass
class Split:
    """One part of a dataset, row by row: x, and what is to be predicted from it.

    Parameters
    ----------
    x
        Inputs (n, *sample).
    labels
        Class indices (n,), or None in a regression.
    targets
        Target vectors (n, k): the values of a regression, the coded classes, or x itself.
    scaling
        For images in bytes, which the loader turns into numbers: how those of 0 to 1 are standardised, or None.
    """

    x: Array
    labels: Array | None = None
    targets: Array | None = None
    scaling: Scaling | None = None

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, index: Array | slice) -> Split:
        """The rows of an index, as a split."""
        x = self.x[index]
        labels = None if self.labels is None else self.labels[index]
        targets = None if self.targets is None else x if self.targets is self.x else self.targets[index]
        return Split(x, labels, targets, self.scaling)


class Loader:
    """Goes through a split batch by batch: yields (x, labels, targets), whose last batch may be short.

    labels are 1-D class indices, targets 2-D vectors (seeds/002); either is None where the split has none.

    Parameters
    ----------
    split
        Where the rows come from.
    batch_size
        Rows in a batch.
    order
        Row numbers in the order to take them; by default as they stand.
    first
        Batch to begin with, to go on in the middle of an epoch.
    """

    def __init__(self, split: Split, batch_size: int, order: Array | None = None, first: int = 0) -> None:
        if batch_size < 1:
            raise OptionError(f"batch_size must be a whole number > 0, not {batch_size}")
        self.split, self.batch_size, self.order, self.first = split, batch_size, order, first
        self.rows = len(split) if order is None else len(order)

    def __len__(self) -> int:
        """Batches in the whole split, or in the whole order."""
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Array, Array | None, Array | None]]:
        size = self.batch_size
        # Gathering rows costs a few µs a call, so it is done for many batches at once, up to about 1 MB of inputs.
        row_bytes = max(1, self.split.x[:1].nbytes)
        block = size * max(1, 2**20 // (row_bytes * size))
        for start in range(self.first * size, self.rows, block):
            rows: Array | slice = slice(start, start + block)
            part = self.split.rows(rows if self.order is None else self.order[rows])
            x, labels, targets = part.x, part.labels, part.targets
            for i in range(0, len(x), size):
                j = i + size
                inputs = pixels(x[i:j], part.scaling) if x.dtype == np.uint8 else x[i:j]
                goals = None if targets is None else inputs if targets is x else targets[i:j]
                yield inputs, None if labels is None else labels[i:j], goals


@dataclass
class Scaling:
    """x' = (x - mean) / deviation, column by column.

    A column that never changes is only shifted.
    """

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, values: Array) -> Scaling:
        """The mean and the deviation over the rows; raises OptionError if they are too large for numbers."""
        # Not deviation > 0: rounding gives a column of 0.1 a deviation of 1e-17.
        varies = values.max(axis=0) > values.min(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, deviation = values.mean(axis=0, dtype=float), values.std(axis=0, dtype=float)
        if not np.isfinite(deviation).all():
            raise OptionError(
                f"numbers up to {np.abs(values).max():.3g} cannot be standardised. Scale them in the file."
            )
        return cls(mean, np.where(varies, deviation, 1.0))

    def apply(self, values: Array) -> Array:
        return np.asarray((values - self.mean) / self.deviation)

    def undo(self, values: Array) -> Array:
        return np.asarray(values * self.deviation + self.mean)

    def to_json(self) -> dict[str, Any]:
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Scaling:
        return cls(np.array(found["mean"], float), np.array(found["deviation"], float))


def pixels(x: Array, scaling: Scaling | None) -> Array:
    """Images (n, C, H, W) in bytes as numbers of 0 to 1, or standardised by mean and deviation (C, 1, 1); float32."""
    found: Array = np.multiply(x, np.float32(1 / 255))
    if scaling is not None:
        found -= scaling.mean.astype(np.float32)
        found /= scaling.deviation.astype(np.float32)
    return found


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
        scalings = {n: found[n] and Scaling.from_json(found[n]) for n in ("input_scaling", "target_scaling")}
        shapes = {n: found[n] and tuple(found[n]) for n in ("input_shape", "target_shape")}
        return cls(**{**found, **shapes, **scalings})


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

    def standardize_target_values(self) -> bool:
        """Whether the targets of a regression are to be standardised."""
        return False

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
            data = _with_validation(data, self.validation, seed)
        # A copy: what `read` returned may be kept by the dataset.
        data = replace(data, description=replace(data.description), notes=list(data.notes))
        description = data.description
        description.pixels = data.train.x.dtype == np.uint8
        if self.standardize:
            description.input_scaling = known.input_scaling if known else _input_scaling(data.train.x)
        if self.targets == "inputs":
            description.target_scaling, data.notes = description.input_scaling, []
        elif data.train.targets is not None and self.standardize_target_values():
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


def _with_validation(data: Data, share: float, seed: int) -> Data:
    count = round(share * len(data.train))
    if not 0 < count < len(data.train):
        raise OptionError(
            f"validation {share} of {len(data.train)} training rows leaves an empty split. Change the share."
        )
    order = Stream(seed, "split", "validation").at().permutation(len(data.train))
    # Sorted, so that rows keep the order they have in the file.
    held, kept = np.sort(order[:count]), np.sort(order[count:])
    return replace(data, validation=data.train.rows(held), train=data.train.rows(kept))


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
