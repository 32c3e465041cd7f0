"""Where the boxes of a graph go: in rows by depth, folded into columns, with lines that go round the boxes.

All lengths are in inches; y grows downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tinynet.plots.network.column import GAP, Column, Item, Line, Point

GUTTER = 0.52  # between columns, where the line to the next one goes up
TURN = 0.2  # below a column and above the next, where that line turns
LANE = 0.16  # between such lines

# The rows of a column, each with its items by number, and the items that later columns read.
Part = tuple[list[list[int]], list[int]]


@dataclass
class Layout:
    """What `arrange` found: how far all reaches from where the first item's lines come in, and the lines.

    A turn goes from the foot of a column to the top of the next, upright or level between its points.
    """

    left: float
    right: float
    height: float
    lines: list[Line]
    turns: list[Line]
    outlet: float  # where the last item's lines go out


def arrange(items: Sequence[Item], parts: Sequence[Part] | None = None) -> Layout:
    """Place the items; each comes after those it reads, and all but the first read one.

    Parameters
    ----------
    items
        The first is the root; its x becomes 0, its y the top.
    parts
        The columns, as `split` gave them; by default a single one.
    """
    layout = Layout(0, 0, 0, [], [], 0)
    feeds: dict[int, Point] = {}  # where the lines of items leave the column before, from left to right
    for rows, goes_on in parts or split(items, 1, 1):
        column = Column(items, rows, list(feeds), goes_on)
        room = LANE * (len(feeds) - 1)
        shift = layout.right + GUTTER + room + column.left if feeds else 0.0
        top = max(TURN + room, items[0].height) if feeds else 0.0
        lines, exits, bottom = column.finish(shift, top)
        layout.lines += lines
        for number, (source, (x, y)) in enumerate(feeds.items()):
            # The lines lie within each other: the leftmost goes below all others, and comes up to the right of them.
            deep = room - LANE * number
            below, across, port = y + TURN + deep, layout.right + GUTTER / 2 + deep, column.ports[source].x
            course = [(x, y), (x, below), (across, below), (across, deep), (port, deep), (port, top)]
            layout.turns.append(Line(course, None))
            layout.height = max(layout.height, below)
        layout.left, layout.right = max(layout.left, column.left - shift), shift + column.right
        layout.height = max(layout.height, bottom)
        feeds = exits
    layout.outlet = items[-1].x + items[-1].outlet
    return layout


def _rows(items: Sequence[Item]) -> list[list[int]]:
    """The items by depth, the length of the longest way from the root."""
    depth: list[int] = []
    for item in items:
        depth.append(1 + max((depth[source] for source in item.sources), default=-1))
    return [[i for i, d in enumerate(depth) if d == row] for row in range(max(depth) + 1)]


def split(items: Sequence[Item], columns: int, lines: int) -> list[Part]:
    """The rows of items in so many columns or fewer, the longest of which is as short as can be.

    Parameters
    ----------
    items
        As for `arrange`.
    columns
        The most columns.
    lines
        The most lines that go from one column to the next.
    """
    rows = _rows(items)
    depth = {i: row for row, found in enumerate(rows) for i in found}
    last = {i: depth[i] for i in depth}  # the last row that reads each item
    for i, item in enumerate(items):
        for source in item.sources:
            last[source] = max(last[source], depth[i])
    going = [[i for i in depth if depth[i] <= row < last[i]] for row in range(len(rows))]
    pieces: list[list[int]] = [[]]  # rows that stay together
    for row in range(len(rows)):
        pieces[-1].append(row)
        if len(going[row]) <= lines and row < len(rows) - 1:
            pieces.append([])
    heights = [sum(GAP + max(items[i].height for i in rows[row]) for row in piece) for piece in pieces]
    low, high = max(heights), sum(heights)
    for _ in range(40):  # halving, to the least height that so many columns keep
        middle = (low + high) / 2
        low, high = (low, middle) if len(_filled(heights, middle)) <= columns else (middle, high)
    found = [[row for piece in pieces[start:stop] for row in piece] for start, stop in _filled(heights, high)]
    return [([rows[row] for row in part], going[part[-1]]) for part in found]


def _filled(heights: Sequence[float], limit: float) -> list[tuple[int, int]]:
    """Pieces one by one into columns of a limited height: the first and one past the last of each."""
    starts, height = [0], 0.0
    for i, one in enumerate(heights):
        if height + one > limit + 1e-9 and i > starts[-1]:
            starts.append(i)
            height = 0.0
        height += one
    return list(pairwise([*starts, len(heights)]))
