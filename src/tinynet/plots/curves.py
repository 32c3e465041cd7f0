"""Loss and error against the epoch: all splits of one run, or one split of many runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import isfinite
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tinynet.core import Array
from tinynet.experiment import Experiment
from tinynet.learner import Record
from tinynet.plots import style
from tinynet.plots.saved import Saved
from tinynet.run import Run

Quantity = Literal["loss", "error"]
QUANTITIES: tuple[Quantity, ...] = ("loss", "error")

SPLIT_LOOKS: dict[str, style.Look] = {
    "train": (style.BLUE, "--", "o"),
    "validation": (style.GREEN, "-.", "s"),
    "test": (style.VERMILLION, "-", "^"),
}
# Which split's last figure stands for a run, where it was measured.
FINAL = ("test", "validation", "train")
# A logarithmic axis from this largest / smallest loss on.
LOG_SPAN = 20
LEGEND_ABOVE = 3  # runs; the legend of more stands beside the curves
MARKED = 8  # markers on a curve

SCALE: dict[Quantity, float] = {"loss": 1, "error": 100}  # errors are drawn in percent


def of_one_run(run: Run, saved: Saved | None) -> dict[str, Callable[[Figure], None]]:
    """The pictures of one run by the names of their files: loss, and error where there are classes."""
    records = run.records()
    measured = [quantity for quantity in QUANTITIES if split_shown(records, quantity)]
    return {q: partial(draw_run, run=run, records=records, quantity=q, saved=saved) for q in measured}


def of_many_runs(
    runs: Sequence[Run], saved: Sequence[Saved | None], notes: list[str]
) -> dict[str, Callable[[Figure], None]]:
    """The pictures that lay runs over each other, by the names of their files."""
    records = {name: run.records() for name, run in zip(folder_names(runs), runs, strict=True)}
    measured = [q for q in QUANTITIES if any(split_shown(one, q) for one in records.values())]
    for q in measured:
        for name in [name for name, one in records.items() if not split_shown(one, q)]:
            notes.append(f"{name}: has no {q} measured, so it is not in {q}-overlay.")
    return {f"{q}-overlay": partial(draw_overlay, runs=records, quantity=q, saved=saved) for q in measured}


def draw_run(figure: Figure, run: Run, records: Sequence[Record], quantity: Quantity, saved: Saved | None) -> None:
    """The curves of all splits in one axes, with the best epoch."""
    axes = figure.add_subplot()
    curves = {split: found for split in SPLIT_LOOKS if len((found := curve(records, quantity, split))[0])}
    entries: list[style.Entry] = []
    for split, (epochs, values) in curves.items():
        during = split == "train" and records[0][f"train_{quantity}"] is None
        line = _plot(axes, epochs, values, SPLIT_LOOKS[split])
        entries.append((line, "train, during the epoch" if during else split))
    _label(axes, quantity, [saved], list(curves.values()))
    references: list[style.Entry] = []
    commonest = commonest_error(run) if quantity == "error" else None
    if commonest is not None:
        line = axes.axhline(100 * commonest, color=style.QUIET, linestyle=":", zorder=1.5)
        references.append((line, "always the commonest class"))
    if saved is not None and saved.is_best:
        axes.axvline(saved.epoch, color=style.QUIET, linewidth=1.5, zorder=1.5)
        upright = Line2D([], [], color=style.QUIET, linestyle="none", marker="|", markersize=18, markeredgewidth=1.5)
        references.append((upright, f"best epoch: {saved.epoch}"))
    style.legend_above(axes, [entries, references])
    figure.suptitle(style.titled(run.meta["name"], outcome(run, records, quantity)))


def draw_overlay(
    figure: Figure, runs: dict[str, list[Record]], quantity: Quantity, saved: Sequence[Saved | None]
) -> None:
    """One curve a run, of its test split where that is measured; the legend has their last figures."""
    shown = {name: split for name, records in runs.items() if (split := split_shown(records, quantity))}
    beside = len(shown) > LEGEND_ABOVE
    if beside:
        figure.set_size_inches(10.5, max(5, 1.3 + 0.29 * len(shown)))
    axes = figure.add_subplot()
    curves = [curve(runs[name], quantity, split) for name, split in shown.items()]
    lines = [_plot(axes, *found, style.line_look(i), stagger=i) for i, found in enumerate(curves)]
    _label(axes, quantity, saved, curves)
    last = [final(runs[name], quantity, split) or (0, np.nan) for name, split in shown.items()]
    figures = [style.number(quantity, value) for _, value in last]
    width = max(map(len, figures))
    # The figure first: a column of them reads as a table, and Matplotlib would hide a label that begins with _.
    labels = [
        f"{text.rjust(width, style.DIGIT_SPACE)}  {style.shortened(name)}{'' if split == 'test' else f' ({split})'}"
        for text, (name, split) in zip(figures, shown.items(), strict=True)
    ]
    entries = list(zip(lines, labels, strict=True))
    if beside:
        style.legend_beside(axes, entries, f"final {quantity}")
    else:
        style.legend_above(axes, [[entry] for entry in entries])
    what = f"test {quantity}" if set(shown.values()) == {"test"} else quantity
    figure.suptitle(f"{what.capitalize()} of {len(shown)} run{'s' * (len(shown) > 1)}")


def curve(records: Iterable[Record], quantity: Quantity, split: str) -> tuple[Array, Array]:
    """(epochs, values) where the split was measured, errors in percent; a value that is not finite is a gap, NaN."""
    measured = [(r.epoch, value) for r in records if (value := r[f"{split}_{quantity}"]) is not None]
    epochs = np.array([epoch for epoch, _ in measured], dtype=int)
    values = np.array([value if isfinite(value) else np.nan for _, value in measured], dtype=float)
    return epochs, SCALE[quantity] * values


def final(records: Iterable[Record], quantity: Quantity, split: str) -> tuple[int, float] | None:
    """The last finite value of a split, with its epoch."""
    epochs, values = curve(records, quantity, split)
    finite = np.flatnonzero(np.isfinite(values))
    return (int(epochs[finite[-1]]), float(values[finite[-1]])) if len(finite) else None


def split_shown(records: Iterable[Record], quantity: Quantity) -> str | None:
    """The split whose last figure stands for a run, or None where nothing was measured."""
    return next((split for split in FINAL if final(records, quantity, split)), None)


def outcome(run: Run, records: Sequence[Record], quantity: Quantity) -> str:
    """A run's last figure in words: "test error 4.3 % after 50 epochs"."""
    split = split_shown(records, quantity) or "test"
    epoch, value = final(records, quantity, split) or (0, np.nan)
    when = "before training" if epoch == 0 else f"after {epoch} epoch{'s' * (epoch > 1)}"
    ends = {"interrupted": " (interrupted)", "diverged": " (diverged)", "running": " so far"}
    return f"{split} {quantity} {style.number(quantity, value)} {when}{ends.get(run.meta.get('status', ''), '')}"


def commonest_error(run: Run) -> float | None:
    """The test error of always answering the training split's commonest class, where the run's summary has it."""
    try:
        summary = json.loads((run.folder / "summary.json").read_text(encoding="utf-8"))
        found = summary["last"]["test_commonest_error"]
    except (OSError, ValueError, KeyError, TypeError):
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


def folder_names(runs: Sequence[Run]) -> list[str]:
    """The names of the run folders, with as much of their paths as tells them apart."""
    paths = [run.folder.absolute() for run in runs]
    names: list[str] = []
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(set(paths)):
            break
    return names


def _plot(axes: Axes, epochs: Array, values: Array, look: style.Look, stagger: int = 0) -> Line2D:
    """One curve, with a marker at each epoch or, where they are many, at some and the last."""
    color, dashes, marker = look
    every = 1 if len(epochs) <= 2 * MARKED else len(epochs) // MARKED
    marked = sorted({*range(stagger % every, len(epochs), every), len(epochs) - 1})
    return axes.plot(epochs, values, color=color, linestyle=dashes, marker=marker, markevery=marked)[0]


def _label(axes: Axes, quantity: Quantity, saved: Iterable[Saved | None], curves: list[tuple[Array, Array]]) -> None:
    """Scales and labels of the axes for these (epochs, values)."""
    style.epoch_axis(axes, max(int(epochs[-1]) for epochs, _ in curves))
    values = np.concatenate([values[np.isfinite(values)] for _, values in curves])
    if quantity == "error":
        axes.set_ylabel("wrong classifications (%)")
        top = max(1.0, values.max())
        axes.set_ylim(-0.015 * top, 1.06 * top)  # a hair below 0, so that a curve at 0 is seen
        return
    log = bool(values.min() > 0 and values.max() > LOG_SPAN * values.min())
    if log:
        style.log_axis(axes, values.max() / values.min())
    axes.set_ylabel(loss_label(saved, log))
