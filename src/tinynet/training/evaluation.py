"""Figures of a net on a split: loss, error, confusion, R²; all in the data's own units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.common.arrays import Array
from tinynet.data.dataset import Description
from tinynet.data.loader import Loader, Split
from tinynet.data.targets import decode
from tinynet.training.round import Round

# Rows in one forward pass: the same for every run, so that sums are the same to the last bit.
CHUNK, IMAGE_CHUNK = 1024, 64


@dataclass
class Figures:
    """What an evaluation found.

    Parameters
    ----------
    samples
        Rows of the split.
    loss
        Mean over the split, in original units where targets were standardised.
    errors
        Wrong classifications, or None in a regression.
    commonest_error
        The error of always answering the training split's commonest class.
    confusion
        Rows by true class and predicted class.
    r2
        1 - Σ(y - ŷ)² / Σ(y - mean(y))² of a regression; None where all targets are equal.
    mean_absolute_error
        In the target's unit.
    """

    samples: int
    loss: float
    errors: int | None = None
    commonest_error: float | None = None
    confusion: Array | None = None
    r2: float | None = None
    mean_absolute_error: float | None = None

    @property
    def error(self) -> float | None:
        """The share of wrong classifications, 0 to 1."""
        return None if self.errors is None else self.errors / self.samples


def compare_with(one: Round, labels: Array | None, targets: Array | None) -> Array:
    """What the loss compares a prediction with: class indices or target vectors."""
    chosen = labels if one.loss.takes_labels else targets
    assert chosen is not None
    return chosen


def in_units(one: Round, predicted: Array, target: Array) -> tuple[Array, Array]:
    """Prediction and target in the target's own unit, where it was standardised for the training."""
    scaling = one.description.target_scaling
    return (predicted, target) if scaling is None else (scaling.undo(predicted), scaling.undo(target))


def classify(one: Round, predicted: Array) -> Array:
    """Class indices for outputs."""
    assert one.coding is not None
    return decode(predicted, one.coding, one.loss.threshold)


def quick_figures(one: Round, split: Split) -> tuple[float, float | None]:
    """(loss, error) of a split: what training measures after each epoch."""
    loss, errors = 0.0, 0
    for predicted, labels, _, value in _predictions(one, split):
        loss += value
        if one.coding is not None:
            errors += int(np.count_nonzero(classify(one, predicted) != labels))
    return loss / len(split), None if one.coding is None else errors / len(split)


def evaluate(one: Round, split: Split) -> Figures:
    """All figures of a split, with the layers in evaluation."""
    with np.errstate(all="ignore"):  # overflow shows in the figures
        return _evaluate(one, split)


def _evaluate(one: Round, split: Split) -> Figures:
    chunks = list(_predictions(one, split))
    predicted = np.concatenate([chunk[0] for chunk in chunks])
    figures = Figures(len(split), sum(chunk[3] for chunk in chunks) / len(split))
    if one.coding is not None and split.labels is not None:
        found = classify(one, predicted)
        count = max(len(one.description.classes or []), int(found.max()) + 1, int(split.labels.max()) + 1)
        pairs = split.labels * count + found
        figures.confusion = np.bincount(pairs, minlength=count * count).reshape(count, count)
        figures.errors = int(np.count_nonzero(found != split.labels))
        figures.commonest_error = float(np.mean(split.labels != one.description.commonest))
    elif split.targets is not None:
        target = np.concatenate([chunk[2] for chunk in chunks if chunk[2] is not None]).astype(float)
        predicted, target = in_units(one, one.loss.values(predicted.astype(float)), target)
        total = float(np.sum((target - target.mean(axis=0)) ** 2))
        figures.r2 = 1 - float(np.sum((target - predicted) ** 2)) / total if total else None
        figures.mean_absolute_error = float(np.mean(np.abs(target - predicted)))
    return figures


def _predictions(one: Round, split: Split) -> Iterator[tuple[Array, Array | None, Array | None, float]]:
    """(outputs, labels, targets, sum of the loss over the rows) for each chunk of a split."""
    for x, labels, targets in Loader(split, _chunk(one)):
        predicted = one.net.forward(x)
        value = one.loss(*in_units(one, predicted, compare_with(one, labels, targets)))[0]
        yield predicted, labels, targets, float(value) * len(x)


def _chunk(one: Round) -> int:
    return CHUNK if len(one.net.input_shape) == 1 else IMAGE_CHUNK


def outputs(one: Round, x: Array) -> Array:
    """The net's outputs for inputs that are scaled already."""
    size = _chunk(one)
    chunks = [one.net.forward(x[i : i + size]) for i in range(0, len(x), size)]
    return np.concatenate(chunks) if chunks else np.zeros((0, *one.net.output_shape), one.net.dtype)


def to_json(figures: Figures, description: Description) -> dict[str, Any]:
    """The figures as plain values; per class and confusion for up to 20 classes."""
    found: dict[str, Any] = {"samples": figures.samples, "loss": figures.loss, "error": figures.error}
    found["errors"] = figures.errors
    if figures.errors is None:
        return {**found, "r2": figures.r2, "mean_absolute_error": figures.mean_absolute_error}
    found["commonest_error"] = figures.commonest_error
    if figures.confusion is not None and len(figures.confusion) <= 20:
        names = [description.class_name(i) for i in range(len(figures.confusion))]
        rows = zip(names, figures.confusion, range(len(names)), strict=True)
        found["classes"] = names
        found["confusion"] = figures.confusion.tolist()
        found["per_class"] = [
            {"class": name, "samples": int(row.sum()), "errors": int(row.sum() - row[i])}
            | {"error": float((row.sum() - row[i]) / row.sum()) if row.sum() else None}
            for name, row, i in rows
        ]
    return found
