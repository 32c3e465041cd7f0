"""What the curves show, as numbers and words: values by epoch, last figures, labels, names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Literal

import numpy as np

from tinynet.common.arrays import Array
from tinynet.plots import style
from tinynet.plots.saved import Saved
from tinynet.runs.counting import counted, ended
from tinynet.runs.run import Run
from tinynet.runs.statistics import by_round, course, deviation, last_known, mean
from tinynet.training.experiment import Experiment
from tinynet.training.record import Record

Quantity = Literal["loss", "error"]
QUANTITIES: tuple[Quantity, ...] = ("loss", "error")
# Which split's last figure stands for a run, where it was measured.
FINAL = ("test", "validation", "train")
SCALE: dict[Quantity, float] = {"loss": 1, "error": 100}  # errors are drawn in percent


def curve(records: Iterable[Record], quantity: Quantity, split: str) -> tuple[Array, Array]:
    """(epochs, values) where the split was measured, errors in percent; a value that is not finite is a gap, NaN."""
    measured = [(r.epoch, value) for r in records if (value := r[f"{split}_{quantity}"]) is not None]
    epochs = np.array([epoch for epoch, _ in measured], dtype=int)
    values = np.array([value if isfinite(value) else np.nan for _, value in measured], dtype=float)
    return epochs, SCALE[quantity] * values


def split_shown(records: Sequence[Record], quantity: Quantity) -> str | None:
    """The split whose last figure stands for a run, or None where nothing was measured."""
    known = (split for split in FINAL if records and last_known(course(records, f"{split}_{quantity}")) is not None)
    return next(known, None)


def outcome(run: Run, records: Sequence[Record], quantity: Quantity, number: int | None = None) -> str:
    """The last figure of a run, of one of its rounds, or over several: "test error 4.3 ± 1.2 % after 50 epochs"."""
    shown = counted(run, records)
    split = split_shown(shown, quantity) or "test"
    found = course(shown, f"{split}_{quantity}")
    last = last_known(found) or 0
    ends = [own[-1].epoch for own in by_round(shown).values()]
    when = _after(min(ends), max(ends)) if last == max(ends) else _after(last, last)
    ending = "" if number is not None and number in ended(run) else _ending(run)
    return f"{split} {quantity} {figure_text(found, quantity)} {when}{ending}"


def figure_text(found: Array, quantity: Quantity) -> str:
    """The last known mean of a figure (rounds, epochs), with the deviation where there are several rounds."""
    last, scale = last_known(found) or 0, SCALE[quantity]
    return style.spread(quantity, scale * mean(found)[last], scale * deviation(found)[last])


def _after(first: int, last: int) -> str:
    if last == 0:
        return "before training"
    return f"after {f'{first} to ' * (first < last)}{last} epoch{'s' * (last > 1)}"


def _ending(run: Run) -> str:
    ends = {"interrupted": " (interrupted)", "diverged": " (diverged)", "running": " so far"}
    return ends.get(run.meta.get("status", ""), "")


def split_name(records: Sequence[Record], quantity: Quantity, split: str) -> str:
    """The name of a split in a legend, which tells how the training figures were measured."""
    during = split == "train" and records[0][f"train_{quantity}"] is None
    return "train, during the epoch" if during else split


def commonest_error(run: Run, number: int | None = None) -> float | None:
    """The test error of always answering the training split's commonest class, where the run's summary has it.

    Of one round where its number is given, else the mean over the rounds.
    """
    try:
        summary = json.loads((run.folder / "summary.json").read_text(encoding="utf-8"))
        found = (summary if number is None else summary["per_round"][number])["last"]["test_commonest_error"]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None  # a run that was killed has no summary, and a regression no classes
    return float(found) if isinstance(found, float | int) else None


def loss_label(saved: Iterable[Saved | None], log: bool) -> str:
    """What the losses are, with their unit: "loss (MSE)", "loss (CrossEntropy, nats)"."""
    known = [one for one in saved if one is not None]
    kinds = {type(one.experiment.loss).__name__ for one in known}
    units = {loss_unit(one.experiment) for one in known}
    kind = "of different kinds" if len(kinds) > 1 else "".join(kinds)
    unit = "in different units" if len(units) > 1 else "".join(units)
    # A unit with the name of a column takes a line of its own.
    details = ", ".join(filter(None, [kind, unit if unit == "nats" else "", "log scale" if log else ""]))
    return ("loss" + (f" ({details})" if details else "")) + ("" if unit in ("", "nats") else f"\n{unit}")


def loss_unit(experiment: Experiment) -> str:
    """The unit of a loss, where it has one: coded classes have none, and Huber's is not the same everywhere."""
    kind, description = type(experiment.loss).__name__, experiment.description
    if kind in ("CrossEntropy", "BinaryCrossEntropy"):
        return "nats"
    if description.classes is not None or kind not in ("MSE", "L1"):
        return ""
    if description.target is None:
        return "in original units" + ", squared" * (kind == "MSE")
    target = style.shortened(description.target, 24)
    return f"in ({target})²" if kind == "MSE" else f"in {target}"
