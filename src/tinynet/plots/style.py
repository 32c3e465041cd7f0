"""How all pictures look: fonts, colours that the colour-blind can tell apart, and the words in titles."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from tinynet.common.arrays import Array
from tinynet.common.files import replacing
from tinynet.runs.statistics import rounded

RULES: dict[str, Any] = {
    "figure.figsize": (8, 5),
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "font.size": 14,
    "axes.titlesize": 15,
    "figure.titlesize": 16,
    "axes.labelsize": 15,
    "legend.fontsize": 13,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.formatter.limits": (-5, 9),  # a factor such as 1e6 would stand over the legend
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "axes.edgecolor": "0.4",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 2,
    "lines.markersize": 7,
    "text.parse_math": False,  # a name may hold a $
    "pdf.fonttype": 42,
    "svg.hashsalt": "tinynet",  # the same picture has the same bytes
}

BLACK, BLUE, VERMILLION, GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
ORANGE, SKY, PINK, YELLOW = "#E69F00", "#56B4E9", "#CC79A7", "#F0E442"

# The palette of Okabe and Ito (2008). Where it is used up, markers and dashes, whose counts have no factor in common
# with those of the colours, still tell things apart.
LINE_COLORS = (BLUE, VERMILLION, GREEN, ORANGE, PINK, SKY, BLACK)
CLASS_COLORS = (BLUE, ORANGE, GREEN, VERMILLION, SKY, PINK, YELLOW, "#666666", "#332288", "#882255")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")
# A figure's width of nothing.
DIGIT_SPACE = "\u2007"
# What is not a curve or a class: the best epoch, a baseline, a border.
QUIET = "0.35"
# Of one round among several.
FAINT = "0.7"
# How much of its colour a band of deviations has.
BAND = 0.2

# Of a curve: colour, dashes, marker.
Look = tuple[str, str, str]
# A line of a legend: what it shows, and its words.
Entry = tuple[Line2D, str]

# No date in a file, or no two would be alike.
METADATA: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
FORMATS = tuple(METADATA)
# Matplotlib's backends that open no window; it takes agg where there is no screen.
FILES_ONLY = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")


def applied() -> AbstractContextManager[None]:
    """The style for the time of a `with`, whatever a person's own settings are; these come back afterwards."""
    return cast(AbstractContextManager[None], matplotlib.style.context(RULES, after_reset=True))


def new_figure(show: bool) -> Figure:
    """An empty figure; one that a window can show is known to pyplot, which is imported for that alone."""
    if not show:
        return Figure()
    from matplotlib import pyplot

    return pyplot.figure()


def settle(figure: Figure) -> None:
    """Lay out axes of equal aspect: Matplotlib reads the room for titles off their shape of the time before."""
    with _any_letters():
        figure.draw_without_rendering()


def save(figure: Figure, path: Path) -> None:
    """Write the file of a picture."""
    file_format = path.suffix.removeprefix(".")
    with _any_letters(), replacing(path) as file:
        figure.savefig(file, format=file_format, metadata=METADATA[file_format])


@contextmanager
def _any_letters() -> Iterator[None]:
    """A name in a script that the font lacks is drawn as boxes; that is no reason to stop, or to warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def show_all(figures: list[Figure]) -> list[str]:
    """Open figures made for showing, and wait until they are closed; returns what stood in the way."""
    from matplotlib import pyplot

    windows = matplotlib.get_backend().lower() not in FILES_ONLY
    if windows:
        pyplot.show()
    for figure in figures:
        pyplot.close(figure)
    return [] if windows else ["There is no screen to show the pictures on; they are in their files."]


def line_look(i: int) -> Look:
    """The look of the i-th curve of many."""
    return LINE_COLORS[i % len(LINE_COLORS)], DASHES[i % len(DASHES)], MARKERS[i % len(MARKERS)]


def lightened(color: str, share: float = 0.38) -> Array:
    """A colour (3,) mixed with white, of which 1 - share."""
    return 1 - share * (1 - np.array(to_rgb(color)))


def legend_above(axes: Axes, rows: list[list[Entry]]) -> Legend:
    """A legend between title and axes, where it covers no curve; its rows become one if that is not too long."""
    joined = [entry for row in rows for entry in row]
    if len(rows) > 1 and sum(len(label) + 8 for _, label in joined) <= 72:
        rows = [joined]
    columns = max(map(len, rows))
    blank: Entry = (Line2D([], [], linestyle="none"), "")
    filled = [row + [blank] * (columns - len(row)) for row in rows]
    entries = [row[i] for i in range(columns) for row in filled]  # Matplotlib goes column by column
    return axes.legend(
        *zip(*entries, strict=True),
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        ncols=columns,
        borderaxespad=0,
        borderpad=0.2,
        columnspacing=1.4,
    )


def legend_beside(axes: Axes, entries: list[Entry], title: str, handle: float = 2.4) -> Legend:
    """A legend to the right of the axes, with handles of this length."""
    return axes.legend(
        *zip(*entries, strict=True),
        loc="upper left",
        bbox_to_anchor=(1.02, 1),
        borderaxespad=0,
        title=title,
        alignment="left",
        handletextpad=0.6,
        handlelength=handle,
    )


def legend_below(figure: Figure, entries: list[Entry], title: str) -> Legend:
    """A legend of points, in rows below all axes."""
    longest = max(len(label) for _, label in entries)
    return figure.legend(
        *zip(*entries, strict=True),
        loc="outside lower center",
        ncols=max(1, min(len(entries), 72 // (5 + longest))),
        title=title,
        handlelength=1,
        columnspacing=1.4,
    )


def entry_of_points(color: str, marker: str) -> Line2D:
    """What a legend shows for points, large enough to be seen."""
    return Line2D([], [], linestyle="none", color=color, marker=marker, markersize=10, markeredgecolor="white")


def entry_of_band() -> Line2D:
    """What a legend shows for the bands around curves."""
    return Line2D([], [], color=QUIET, alpha=BAND, linewidth=12, solid_capstyle="butt")


def entry_of_area(color: str, share: float) -> Line2D:
    """What a legend shows for an area in a colour mixed with white."""
    return Line2D([], [], linestyle="none", color=tuple(lightened(color, share)), marker="s", markersize=13)


def epoch_axis(axes: Axes, last: int) -> None:
    """The horizontal axis of a curve: whole epochs from 0 to the last."""
    axes.set_xlabel("epoch")
    margin = 0.02 * max(last, 1)
    axes.set_xlim(-margin, max(last, 1) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))


def log_axis(axes: Axes, span: float) -> None:
    """A logarithmic vertical axis with plain numbers, enough of them to read it by; span is largest / smallest."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 1000 else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def shortened(name: str, length: int = 28) -> str:
    """A name on one line and no longer than this: both its ends tell runs apart, so the middle goes."""
    name = " ".join(name.split())
    if len(name) <= length:
        return name
    tail = length // 3
    return f"{name[: length - tail - 1]}…{name[-tail:]}"


def titled(name: str, figure: str) -> str:
    """A run's name and its figure, on two lines where one is too short for both."""
    name = shortened(name, 58)
    return f"{name}: {figure}" if len(name) + len(figure) < 56 else f"{name}:\n{figure}"


def number(quantity: str, value: float) -> str:
    """A loss with four digits; an error, which is in percent here, with one decimal."""
    return f"{value:.1f} %" if quantity == "error" else f"{value:.4g}"


def spread(quantity: str, mean: float, deviation: float) -> str:
    """A mean with its standard deviation: "4.3 ± 1.2 %", "0.147 ± 0.088"; the mean alone where that is not known."""
    if not np.isfinite(deviation):
        return number(quantity, mean)
    return " ± ".join(rounded(mean, deviation)) + " %" * (quantity == "error")


def of_round(name: str, number: int | None) -> str:
    """A run's name with the number of the round that a picture is of, if it is of one among several."""
    return name if number is None else f"{shortened(name, 44)}, round {number}"


def of_rounds(name: str, count: int, total: int) -> str:
    """A run's name with how many of its rounds a picture is of."""
    return f"{shortened(name, 40)}, {f'{count} of ' * (count < total)}{total} rounds"
