"""The confusion matrix: which class the net takes for which."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tinynet.common.arrays import Array
from tinynet.plots import style
from tinynet.plots.saved import Saved

FEWEST, MOST = 3, 20  # classes
# Of white text on a cell, which is dark from this share of the scale on.
DARK = 0.6
MISTAKEN = LinearSegmentedColormap.from_list("mistaken", ["#FFFFFF", "#FBD9BF", style.VERMILLION, "#6B2A00"])
RIGHT = style.lightened(style.BLUE, 0.14)


def of_one_run(name: str, saved: Saved, notes: list[str]) -> dict[str, Callable[[Figure], None]]:
    """The picture of a run by the name of its file: none for a regression, nor for two classes.

    Raises
    ------
    DataError
        If the dataset's files are missing or broken.
    """
    classes = saved.experiment.description.classes
    if saved.experiment.coding is None or classes is None or len(classes) < FEWEST:
        return {}
    count = len(classes)
    if count <= MOST:
        count = len(counts_of(saved))  # a net may have more outputs than there are classes
    if count > MOST:
        notes.append(f"confusion is not drawn: it would have {count} classes, and {MOST} are the most to be read.")
        return {}
    return {"confusion": partial(draw_confusion, name=saved.named(name), saved=saved)}


def draw_confusion(figure: Figure, name: str, saved: Saved) -> None:
    """Counts by true and predicted class; the colours are of the mistakes alone, or the diagonal would drown them.

    Of several rounds the counts of all are added: what one net mistook by chance is then told from what all mistake.
    """
    counts = counts_of(saved)
    k = len(counts)
    names = [style.shortened(saved.experiment.description.class_name(i), 14) for i in range(k)]
    longest = max(map(len, names))
    side = float(np.clip(0.56 * k, 4, 9))
    figure.set_size_inches(side + 3.4 + 0.11 * longest, side + 1.6 + 0.08 * longest * (longest > 3))
    axes = figure.add_subplot()
    axes.grid(visible=False)
    shares = mistaken_shares(counts)
    top = max(float(shares.max()), 0.1)
    off_diagonal = np.ma.masked_array(shares, np.eye(k, dtype=bool))
    image = axes.imshow(off_diagonal, cmap=MISTAKEN.with_extremes(bad=tuple(RIGHT)))
    image.set_clim(0, top)
    _write(axes, counts, shares / top, min(14.0, 100 * side / k / max(3, len(str(counts.max())))))
    axes.set_xticks(range(k), names, rotation=40 if longest > 3 else 0, ha="right" if longest > 3 else "center")
    axes.set_yticks(range(k), names)
    axes.set_xlabel("predicted class" + f" (counts of {len(saved.rounds)} rounds together)" * bool(saved.rounds))
    axes.set_ylabel("true class")
    axes.tick_params(length=0)
    _errors_beside(axes, counts)
    ticks = MaxNLocator(nbins=6, steps=[1, 2, 5, 10])
    figure.colorbar(image, ax=axes, label="mistaken share of the true class (%)", shrink=0.95, pad=0.02, ticks=ticks)
    figure.suptitle(style.titled(name, f"test error {saved.error} {saved.when}"))


def counts_of(saved: Saved) -> Array:
    """How many test samples of each true class were taken for each class: (classes, classes), all rounds together."""
    found = [one.figures.confusion for one in saved.each]
    count = max(len(counts) for counts in found if counts is not None)
    total = np.zeros((count, count), int)
    for counts in found:
        if counts is not None:
            total[: len(counts), : len(counts)] += counts
    return total


def mistaken_shares(counts: Array) -> Array:
    """Of each true class, the percentage taken for each other one: (classes, classes), with 0 on the diagonal."""
    total = counts.sum(axis=1, keepdims=True)
    return np.asarray(100 * counts * (1 - np.eye(len(counts))) / np.maximum(total, 1))


def _write(axes: Axes, counts: Array, darkness: Array, size: float) -> None:
    """The counts into their cells, where they are not 0, and lines between the cells."""
    for (i, j), count in np.ndenumerate(counts):
        if count or i == j:
            color = "white" if darkness[i, j] > DARK else style.BLACK
            axes.text(j, i, f"{count}", ha="center", va="center", color=color, fontsize=size)
    edges = np.arange(len(counts) + 1) - 0.5
    for edge in edges:
        axes.axhline(edge, color="0.88", linewidth=0.8, zorder=1.5)
        axes.axvline(edge, color="0.88", linewidth=0.8, zorder=1.5)


def _errors_beside(axes: Axes, counts: Array) -> None:
    """The error of each true class at the end of its row."""
    total = counts.sum(axis=1)
    errors = 100 * (total - counts.diagonal()) / np.maximum(total, 1)
    texts = [style.number("error", error) if n else "none" for error, n in zip(errors, total, strict=True)]
    width = max(map(len, texts))
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(counts)), [text.rjust(width, style.DIGIT_SPACE) for text in texts])
    right.tick_params(length=0)
    right.spines["right"].set_visible(False)
    axes.annotate("error", (1, 1), (6, 6), xycoords="axes fraction", textcoords="offset points", fontsize=14)
