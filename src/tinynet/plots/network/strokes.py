"""The lines of a picture of a graph, with its y growing downwards."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from tinynet.plots import style
from tinynet.plots.network.column import Line, Point

HEAD = 0.09  # of an arrow, in inches


def arrow(path: Path, head: bool) -> FancyArrowPatch:
    """A line along the path, with the head of an arrow at its end or without."""
    return FancyArrowPatch(
        path=path,
        arrowstyle="-|>,head_length=5,head_width=2.6" if head else "-",
        facecolor=style.QUIET,
        shrinkA=0,
        shrinkB=0,
        mutation_scale=1,
        snap=False,
        zorder=2,
        edgecolor=style.QUIET,
        linewidth=1.4,
        capstyle="round",
        joinstyle="round",
    )


def course(line: Line, at: Point) -> Path:
    """The points of a line joined: upright, or in a curve that begins and ends upright."""
    points = [(at[0] + x, at[1] + y) for x, y in line.points]
    vertices, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 == x1:
            vertices.append((x1, y1))
            codes.append(Path.LINETO)
        else:
            end = y1 - HEAD if (x1, y1) == points[-1] else y1  # the head of the arrow stands upright
            vertices += [(x0, (y0 + end) / 2), (x1, (y0 + end) / 2), (x1, end), (x1, y1)]
            codes += [Path.CURVE4] * 3 + [Path.LINETO]
    return Path(vertices, codes)


def rounded(turn: Line, at: Point, radius: float = 0.1) -> Path:
    """The points joined by straight lines with round corners."""
    points = [(at[0] + x, at[1] + y) for x, y in turn.points]
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points[:-2], points[1:-1], points[2:], strict=True):
        vertices += [_toward(corner, before, radius), corner, _toward(corner, after, radius)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*vertices, points[-1]], [*codes, Path.LINETO])


def _toward(start: Point, end: Point, way: float) -> Point:
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])  # one of them is 0
    share = min(way, length / 2) / length if length else 0
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
