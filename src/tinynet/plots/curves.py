"""Loss and error against the epoch: all splits of one run, round by round too, or one split of many runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tinynet.common.arrays import Array
from tinynet.plots import style
from tinynet.plots.saved import Saved
from tinynet.plots.series import (
    QUANTITIES,
    SCALE,
    Quantity,
    commonest_error,
    curve,
    figure_text,
    loss_label,
    outcome,
    split_name,
    split_shown,
)
from tinynet.runs.compare import folder_names
from tinynet.runs.counting import counted, round_count
from tinynet.runs.run import Run
from tinynet.runs.statistics import by_round, course, deviation, last_known, mean
from tinynet.training.record import Record

SPLIT_LOOKS: dict[str, style.Look] = {
    "train": (style.BLUE, "--", "o"),
    "validation": (style.GREEN, "-.", "s"),
    "test": (style.VERMILLION, "-", "^"),
}
# A logarithmic axis from this largest / smallest loss on.
LOG_SPAN = 20
LEGEND_ABOVE = 3  # runs; the legend of more stands beside the curves
MARKED = 8  # markers on a curve

# Epochs and values.
Points = tuple[Array, Array]


def of_one_run(run: Run, saved: Saved | None, number: int | None = None) -> dict[str, Callable[[Figure], None]]:
    """The pictures of one run by the names of their files: loss, and error where there are classes.

    Parameters
    ----------
    run, saved
        The run, and its checkpoint.
    number
        Which of several rounds is to be drawn by itself; by default all are.
    """
    records = run.records()
    draw: Callable[..., None] = draw_run
    if round_count(run) > 1 and number is None:
        draw = draw_rounds
    elif round_count(run) > 1:
        records, draw = by_round(records).get(number or 0, []), partial(draw_run, number=number)
    measured = [quantity for quantity in QUANTITIES if split_shown(counted(run, records), quantity)]
    return {q: partial(draw, run=run, records=records, quantity=q, saved=saved) for q in measured}


def of_many_runs(
    runs: Sequence[Run], saved: Sequence[Saved | None], notes: list[str]
) -> dict[str, Callable[[Figure], None]]:
    """The pictures that lay runs over each other, by the names of their files."""
    records = {name: counted(run, run.records()) for name, run in zip(folder_names(runs), runs, strict=True)}
    measured = [q for q in QUANTITIES if any(split_shown(one, q) for one in records.values())]
    for q in measured:
        for name in [name for name, one in records.items() if not split_shown(one, q)]:
            notes.append(f"{name}: has no {q} measured, so it is not in {q}-overlay.")
    return {f"{q}-overlay": partial(draw_overlay, runs=records, quantity=q, saved=saved) for q in measured}


def draw_run(
    figure: Figure,
    run: Run,
    records: Sequence[Record],
    quantity: Quantity,
    saved: Saved | None,
    number: int | None = None,
) -> None:
    """The curves of all splits in one axes, with the best epoch; of one round where its number is given."""
    axes = figure.add_subplot()
    curves = {split: found for split in SPLIT_LOOKS if len((found := curve(records, quantity, split))[0])}
    entries: list[style.Entry] = []
    for split, (epochs, values) in curves.items():
        entries.append((_plot(axes, epochs, values, SPLIT_LOOKS[split]), split_name(records, quantity, split)))
    _label(axes, quantity, [saved], list(curves.values()))
    references = _commonest_line(axes, run, quantity, number)
    if saved is not None and saved.is_best:
        axes.axvline(saved.epoch, color=style.QUIET, linewidth=1.5, zorder=1.5)
        upright = Line2D([], [], color=style.QUIET, linestyle="none", marker="|", markersize=18, markeredgewidth=1.5)
        references.append((upright, f"best epoch: {saved.epoch}"))
    style.legend_above(axes, [entries, references])
    name = style.of_round(run.meta["name"], number)
    figure.suptitle(style.titled(name, outcome(run, records, quantity, number)))


def draw_rounds(figure: Figure, run: Run, records: Sequence[Record], quantity: Quantity, saved: Saved | None) -> None:
    """The means over the rounds: losses with each round's training loss in grey, errors with a band for the deviation.

    These are figures 1 and 2 of Feng, Sun and Wang. `statistics.counted` says which rounds the means are over.
    """
    axes = figure.add_subplot()
    shown = counted(run, records)
    every = {split: course(shown, f"{split}_{quantity}") for split in SPLIT_LOOKS}
    means = {split: found for split, found in every.items() if last_known(found) is not None}
    entries, points = list[style.Entry](), list[Points]()
    for split, found in means.items():
        line, drawn = _plot_mean(axes, found, quantity, SPLIT_LOOKS[split], band=quantity == "error")
        entries.append((line, f"{split_name(records, quantity, split)}{', mean' * (quantity == 'loss')}"))
        points += drawn
    if quantity == "loss":
        first = next(iter(means))
        curves = [curve(own, quantity, first) for own in by_round(records).values()]
        each = [found for found in curves if len(found[0])]
        rows = [[entries[0], (_plot_rounds(axes, each), f"{first}, each round")], entries[1:]]
        points += each
    else:
        band = [(style.entry_of_band(), "mean ± deviation")] * (len(by_round(shown)) > 1)
        rows = [entries, [*_commonest_line(axes, run, quantity), *band]]
    _label(axes, quantity, [saved], points)
    style.legend_above(axes, rows)
    name = style.of_rounds(run.meta["name"], len(by_round(shown)), round_count(run))
    figure.suptitle(style.titled(name, outcome(run, records, quantity)))


def draw_overlay(
    figure: Figure, runs: dict[str, list[Record]], quantity: Quantity, saved: Sequence[Saved | None]
) -> None:
    """One curve a run, of its test split where that is measured; the legend has their last figures.

    Of a run with several rounds it is their mean, in a band for the deviation.
    """
    shown = {name: split for name, records in runs.items() if (split := split_shown(records, quantity))}
    beside = len(shown) > LEGEND_ABOVE
    if beside:
        figure.set_size_inches(10.5, max(5, 1.3 + 0.29 * len(shown)))
    axes = figure.add_subplot()
    drawn = [_plot_one_of_many(axes, runs[name], quantity, split, i) for i, (name, split) in enumerate(shown.items())]
    lines, points, figures = zip(*drawn, strict=True)
    _label(axes, quantity, saved, [found for of_run in points for found in of_run])
    # The figure first: a column of them reads as a table, and Matplotlib would hide a label that begins with _.
    labels = [
        f"{text}  {style.shortened(name)}{'' if split == 'test' else f' ({split})'}"
        for text, (name, split) in zip(_in_column(figures, beside), shown.items(), strict=True)
    ]
    entries = list(zip(lines, labels, strict=True))
    if beside:
        style.legend_beside(axes, entries, f"final {quantity}")
    else:
        style.legend_above(axes, [[entry] for entry in entries])
    what = f"test {quantity}" if set(shown.values()) == {"test"} else quantity
    counts = [len(by_round(runs[name])) for name in shown]
    figure.suptitle(f"{what.capitalize()} of {len(shown)} run{'s' * (len(shown) > 1)}{_of_rounds(counts)}")


def _plot(axes: Axes, epochs: Array, values: Array, look: style.Look, stagger: int = 0) -> Line2D:
    """One curve, with a marker at each epoch or, where they are many, at some and the last."""
    color, dashes, marker = look
    every = 1 if len(epochs) <= 2 * MARKED else len(epochs) // MARKED
    marked = sorted({*range(stagger % every, len(epochs), every), len(epochs) - 1})
    return axes.plot(epochs, values, color=color, linestyle=dashes, marker=marker, markevery=marked)[0]


def _plot_rounds(axes: Axes, curves: list[Points]) -> Line2D:
    """Each round in grey, with a dot where it ends before the others; returns a line for the legend."""
    look: dict[str, Any] = {"color": style.FAINT, "linewidth": 1.0 if len(curves) <= 20 else 0.5, "zorder": 1.8}
    last = max(int(epochs[-1]) for epochs, _ in curves)
    for epochs, values in curves:
        early = [len(epochs) - 1] if epochs[-1] < last else []
        axes.plot(epochs, values, marker="o", markersize=4, markevery=early, **look)
    return Line2D([], [], color=style.FAINT, linewidth=1)


def _plot_mean(
    axes: Axes, found: Array, quantity: Quantity, look: style.Look, band: bool, stagger: int = 0
) -> tuple[Line2D, list[Points]]:
    """The mean over the rounds, in a band of one standard deviation; returns the line, and all points of both."""
    known = np.flatnonzero(np.isfinite(mean(found)))
    epochs = np.arange(known[0], known[-1] + 1)
    middle, width = (SCALE[quantity] * values[epochs] for values in (mean(found), deviation(found)))
    line = _plot(axes, epochs, middle, look, stagger)
    if not band or len(found) == 1:
        return line, [(epochs, middle)]
    # There is no error outside of 0 to 100 %, and on a logarithmic axis the band needs an end.
    lowest, highest = (0.0, 100.0) if quantity == "error" else (np.nanmin(found), np.inf)
    low, high = np.maximum(middle - width, lowest), np.minimum(middle + width, highest)
    axes.fill_between(epochs, low, high, color=look[0], alpha=style.BAND, linewidth=0)
    return line, [(epochs, values) for values in (middle, low, high)]


def _plot_one_of_many(
    axes: Axes, records: Sequence[Record], quantity: Quantity, split: str, i: int
) -> tuple[Line2D, list[Points], str]:
    """The i-th run of several: its line, all points drawn, and its last figure as text."""
    means = course(records, f"{split}_{quantity}")
    if len(means) > 1:
        line, points = _plot_mean(axes, means, quantity, style.line_look(i), band=True, stagger=i)
    else:
        points = [curve(records, quantity, split)]
        line = _plot(axes, *points[0], style.line_look(i), stagger=i)
    return line, points, figure_text(means, quantity)


def _commonest_line(axes: Axes, run: Run, quantity: Quantity, number: int | None = None) -> list[style.Entry]:
    """The error of always answering the commonest class, where it is known, as a line; returns the legend's entry."""
    commonest = commonest_error(run, number) if quantity == "error" else None
    if commonest is None:
        return []
    line = axes.axhline(100 * commonest, color=style.QUIET, linestyle=":", zorder=1.5)
    return [(line, "always the commonest class")]


def _in_column(figures: Sequence[str], beside: bool) -> list[str]:
    """Figures of one width; those with a deviation begin at one place, and need none where they stand in a row."""
    width = max(map(len, figures))
    if not any("±" in text for text in figures):
        return [text.rjust(width, style.DIGIT_SPACE) for text in figures]
    return [text.ljust(width, style.DIGIT_SPACE) if beside else text for text in figures]


def _of_rounds(counts: Sequence[int]) -> str:
    """What a title says of runs with these numbers of rounds."""
    if max(counts) == 1:
        return ""
    each = f"of {counts[0]} rounds each" if min(counts) == max(counts) else "over their rounds"
    return f"\nmean ± deviation {each}"


def _label(axes: Axes, quantity: Quantity, saved: Iterable[Saved | None], curves: list[Points]) -> None:
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
