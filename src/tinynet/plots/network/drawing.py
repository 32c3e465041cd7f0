"""The network itself: each layer a box with its name, kind, output's shape and parameters; blocks as frames."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from tinynet.nn.net import Net
from tinynet.plots import style
from tinynet.plots.network import strokes
from tinynet.plots.network.boxes import Box, Frame, every_box, parts_of
from tinynet.plots.network.column import Item, Point
from tinynet.plots.network.columns import Layout, Part, arrange, split
from tinynet.plots.saved import Saved

MOST_BOXES = 150
# From so many layers on, equal copies of a block are drawn once.
DRAWN_ONCE = 40
MOST_COLUMNS, MOST_LINES = 8, 3  # lines from one column to the next
# A slide's width and height, the most by which to enlarge a picture for it, what a column costs, and a second line to
# it.
SLIDE, ENOUGH, COLUMN, MORE = (13.3, 7.5), 1.25, 0.87, 0.8
TALLEST = 9.0  # a frame, before it is folded into columns as well

NAME, TEXT = 11.5, 10.5  # sizes of letters, in points; all else is in inches
PADDING, BETWEEN = 0.11, 0.26  # within a box: beside the words, and between those left and right
BOX_HEIGHT, PILL_HEIGHT = 0.52, 0.34
FRAME_TOP, FRAME_SIDE, FRAME_FOOT = 0.3, 0.2, 0.14
MARGIN, TITLE, LEGEND = 0.3, 0.8, 0.42
TITLE_SIZE, HANDLE = 16, 0.62  # HANDLE is what a legend needs for an entry beside its words

SHARED: dict[str, Any] = {"color": style.VERMILLION, "linewidth": 1.6, "linestyle": (0, (2.5, 2))}
# Colour of the border, share of it in the fill, and words in the legend.
LOOKS: dict[str, tuple[str, float, str]] = {
    "learns": (style.BLUE, 0.16, "has parameters"),
    "frozen": ("#555555", 0.2, "frozen parameters"),
    "joins": (style.GREEN, 0.16, "joins several inputs"),
    "plain": ("#888888", 0.0, "no parameters"),
    "input": (style.BLACK, 0.0, "input"),
}


def of_one_run(name: str, saved: Saved, notes: list[str]) -> dict[str, Callable[[Figure], None]]:
    """The picture of a run's net by the name of its file."""
    net = saved.experiment.net
    items = parts_of(net, DRAWN_ONCE)
    count = sum(1 for _ in every_box(items))
    if count > MOST_BOXES:
        notes.append(f"network is not drawn: it would have {count} boxes, and {MOST_BOXES} are the most to be read.")
        return {}
    return {"network": partial(draw_network, name=name, net=net, items=items)}


def draw_network(figure: Figure, name: str, net: Net, items: list[Item]) -> None:
    """The graph from its input at the top to its end, in columns where it is long."""
    boxes = list(every_box(items))
    _measure(items, boxes)
    layout = _arranged(items)
    legend = _legend_entries({box.look for box in boxes}, any(layer.owner for layer in net.layers))
    title = style.titled(name, f"{len(net.layers)} layers, {_count(net)}")
    across = [text_width(line, TITLE_SIZE) for line in title.splitlines()]
    across.append(sum(text_width(entry.get_label(), TEXT) + HANDLE for entry in legend))
    width, height = _size(layout)
    width = max(width, max(across) + 2 * MARGIN)
    figure.set_size_inches(width, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    left = (width - layout.left - layout.right) / 2 + layout.left
    places = _draw(axes, items, layout, (left, TITLE))
    _draw_shares(axes, net, places)
    axes.legend(
        handles=legend,
        loc="lower center",
        bbox_to_anchor=(width / 2, height - MARGIN / 2),
        bbox_transform=axes.transData,
        ncols=len(legend),
        fontsize=TEXT,
        borderaxespad=0,
        handlelength=1.6,
        columnspacing=1.6,
    )
    figure.suptitle(title, y=1 - 0.16 / height, va="top", size=TITLE_SIZE)


def _count(net: Net) -> str:
    total, learning = sum(p.tensor.size for p in net.parameters), net.vector.tensor.size
    return f"{total:,} parameters" if learning == total else f"{learning:,} of {total:,} parameters learn"


def _legend_entries(looks: set[str], shares: bool) -> list[Any]:
    entries: list[Any] = [
        Patch(facecolor=tuple(style.lightened(color, share)), edgecolor=color, label=words)
        for look, (color, share, words) in LOOKS.items()
        if look in looks
    ]
    return [*entries, Line2D([], [], label="the same parameters", **SHARED)] if shares else entries


def _measure(items: Sequence[Item], boxes: Sequence[Box]) -> None:
    """The sizes of all boxes, one width for all."""
    width = 0.0
    for box in boxes:
        width = max(width, text_width(box.name, NAME, True) + text_width(box.kind, TEXT))
        width = max(width, text_width(box.shape, TEXT) + text_width(box.note, TEXT))
    half = (width + BETWEEN + 2 * PADDING) / 2
    for box in boxes:
        box.left, box.right, box.height = half, half, BOX_HEIGHT
    for root in items[:1]:
        if isinstance(root, Box):
            wide = text_width(root.name, NAME, True) + text_width(root.shape, TEXT) + BETWEEN / 2 + 3 * PADDING
            root.left = root.right = wide / 2
            root.height = PILL_HEIGHT


def _arranged(items: list[Item]) -> Layout:
    """The places of all items: first within each frame, then in as many columns as suit the picture's shape."""
    for frame in items:
        if isinstance(frame, Frame):
            _fit(frame)
    ways: list[list[Part]] = []
    for columns in range(1, MOST_COLUMNS + 1):
        for lines in range(1, MOST_LINES + 1):
            parts = split(items, columns, lines)
            ways += [parts] if parts not in ways else []
    return arrange(items, max(ways, key=lambda parts: _worth(items, parts)))


def _size(layout: Layout) -> Point:
    """The picture's width and height."""
    width = layout.left + layout.right + 2 * MARGIN
    return width, TITLE + layout.height + LEGEND + MARGIN


def _worth(items: Sequence[Item], parts: Sequence[Part]) -> float:
    """How much a slide enlarges the picture, less what columns and lines between them cost the eye."""
    layout = arrange(items, parts)
    width, height = _size(layout)
    more = len(layout.turns) - len(parts) + 1
    return min(SLIDE[0] / width, SLIDE[1] / height, ENOUGH) * COLUMN ** len(parts) * MORE**more


def _fit(frame: Frame) -> None:
    """Place what is in a frame, and make the frame as large as that needs."""
    for inner in frame.items:
        if isinstance(inner, Frame):
            _fit(inner)
    layout = arrange(frame.items)
    for columns in range(2, MOST_COLUMNS + 1):
        if layout.height > TALLEST:
            layout = arrange(frame.items, split(frame.items, columns, MOST_LINES))
    frame.layout, frame.outlet = layout, layout.outlet
    frame.left = max(layout.left + FRAME_SIDE, text_width(frame.name, TEXT, True) + 2 * PADDING)
    frame.right = max(layout.right + FRAME_SIDE, text_width(frame.note, TEXT) + 2 * PADDING)
    frame.height = FRAME_TOP + layout.height + FRAME_FOOT


@cache
def text_width(text: str, size: float, bold: bool = False) -> float:
    """In inches."""
    if not text:
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font lacks
        path = TextPath((0, 0), text, size, FontProperties(weight="bold" if bold else "normal"))
    return float(path.get_extents().xmax) / 72


# A box and its left, top, right and bottom in the picture.
Place = tuple[Box, float, float, float, float]


def _draw(axes: Axes, items: Sequence[Item], layout: Layout, at: Point) -> list[Place]:
    """Draw items and lines; `at` is where the first item's lines come in. Returns the places of the boxes."""
    found: list[Place] = []
    for line in layout.lines:
        ends_in_box = line.target is not None and isinstance(items[line.target], Box)
        axes.add_patch(strokes.arrow(strokes.course(line, at), ends_in_box))
    for turn in layout.turns:
        axes.add_patch(strokes.arrow(strokes.rounded(turn, at), False))
    for item in items:
        x, y = at[0] + item.x, at[1] + item.y
        if isinstance(item, Box):
            found.append((item, x - item.left, y, x + item.right, y + item.height))
            _draw_box(axes, *found[-1])
        elif isinstance(item, Frame):
            assert item.layout is not None
            _draw_frame(axes, item, x, y)
            found += _draw(axes, item.items, item.layout, (x, y + FRAME_TOP))
    return found


def _draw_box(axes: Axes, box: Box, left: float, top: float, right: float, bottom: float) -> None:
    color, share, _ = LOOKS[box.look]
    rounding = PILL_HEIGHT / 2 if box.look == "input" else 0.06
    axes.add_patch(
        FancyBboxPatch(
            (left, top),
            right - left,
            bottom - top,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            facecolor=tuple(style.lightened(color, share)),
            edgecolor=color,
            linewidth=1.2,
            zorder=3,
        )
    )
    edge = PADDING if box.look != "input" else 1.5 * PADDING
    first, second = (0.35, 0.74) if box.look != "input" else (0.52, 0.52)
    left, right, height = left + edge, right - edge, bottom - top
    words: dict[str, Any] = {"va": "center_baseline", "zorder": 4}
    axes.text(left, top + first * height, box.name, ha="left", size=NAME, weight="bold", **words)
    axes.text(right, top + first * height, box.kind, ha="right", size=TEXT, color=style.QUIET, **words)
    shape_at, side = (right, "right") if box.look == "input" else (left, "left")
    axes.text(shape_at, top + second * height, box.shape, ha=side, size=TEXT, **words)
    axes.text(right, top + second * height, box.note, ha="right", size=TEXT, **words)


def _draw_frame(axes: Axes, frame: Frame, x: float, y: float) -> None:
    left, right = x - frame.left, x + frame.right
    axes.add_patch(
        FancyBboxPatch(
            (left, y),
            right - left,
            frame.height,
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor="0.96",
            edgecolor="0.72",
            linewidth=1,
            zorder=1,
        )
    )
    words: dict[str, Any] = {"va": "center_baseline", "size": TEXT, "color": style.QUIET, "zorder": 4}
    axes.text(left + PADDING, y + 0.17, frame.name, ha="left", weight="bold", **words)
    axes.text(right - PADDING, y + 0.17, frame.note, ha="right", **words)
    # The lines through its border.
    axes.add_patch(strokes.arrow(Path([(x, y), (x, y + FRAME_TOP)]), False))
    assert frame.layout is not None
    out, end = x + frame.outlet, frame.items[-1]
    axes.add_patch(strokes.arrow(Path([(out, y + FRAME_TOP + end.y + end.height), (out, y + frame.height)]), False))


def _draw_shares(axes: Axes, net: Net, places: Sequence[Place]) -> None:
    """A dashed line between layers that share parameters and stand beside each other."""
    by_name = {str(net.layers[box.index].name): place for place in places if (box := place[0]).index >= 0}
    sharing = [(place, net.layers[place[0].index].owner) for place in by_name.values()]
    sharing = [(place, owner) for place, owner in sharing if owner is not None and owner.parameters]
    for (_, left, top, right, bottom), owner in sharing:
        assert owner is not None
        other = by_name.get(str(owner.name))
        if other is None or other[2] != top:
            continue
        (start, stop), y = ((other[3], left) if other[3] < left else (right, other[1])), (top + bottom) / 2
        if not any(p[1] < stop and start < p[3] and p[2] < y < p[4] for p in places):
            axes.plot([start, stop], [y, y], zorder=2.5, **SHARED)
