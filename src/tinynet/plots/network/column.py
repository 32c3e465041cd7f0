"""A column of a picture: boxes in rows, in an order with few crossings, and lines that pass between the boxes.

After Sugiyama, Tagawa and Toda 1981. All lengths are in inches; y grows downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tinynet.plots.network.placing import Edge, Spot, place

Point = tuple[float, float]

GAP, MOST_GAP = 0.24, 0.6  # between two rows, the more the farther its lines go to the side
ARRIVALS = 0.3  # between lines that come in at the top of one box
SWEEPS = 8
EQUAL = 0.02  # as far apart as lines look straight


@dataclass(eq=False)
class Item:
    """A box to be placed.

    Parameters
    ----------
    left, right
        How far it reaches from where lines come in.
    height
        From its top to its bottom.
    sources
        The items that it reads, by number; the first item of all reads none.
    outlet
        How far from where lines come in they go out.
    x, y
        Where lines come in, and its top.
    """

    left: float
    right: float
    height: float
    sources: list[int] = field(default_factory=list)
    outlet: float = 0.0
    x: float = 0.0
    y: float = 0.0


@dataclass
class Line:
    """A line from one item to another: upright between points of one x, a curve to the side between others.

    Parameters
    ----------
    points
        Its course.
    target
        The item that it ends at, or None where it goes on to the next column.
    """

    points: list[Point]
    target: int | None


class Column:
    """Some rows of items, below each other, with spots for the lines that pass rows.

    Parameters
    ----------
    items
        All there are.
    rows
        Those in the column, by number.
    feeds
        The items before it that are read in it or after it, in the order in which their lines come in.
    goes_on
        The items, in it or before it, that are read after it.
    """

    def __init__(
        self, items: Sequence[Item], rows: Sequence[Sequence[int]], feeds: Sequence[int], goes_on: Sequence[int]
    ) -> None:
        self.items = items
        spots = {
            i: Spot(i, items[i].left, items[i].right, items[i].height, items[i].outlet) for row in rows for i in row
        }
        self.ports = {source: Spot() for source in feeds}
        self.exits = {source: Spot() for source in goes_on}
        lines = [[*self.ports.values()], *([spots[i] for i in row] for row in rows), [*self.exits.values()]]
        self.rows = [line for line in lines if line]
        self.row_of = {spot: number for number, row in enumerate(self.rows) for spot in row}
        self.edges: list[Edge] = []
        ends = [(source, spot) for i, spot in spots.items() for source in items[i].sources]
        for source, target in [*ends, *self.exits.items()]:
            self._join(spots[source] if source in spots else self.ports[source], target)
        self._order()
        place(self.rows, self.edges, list(self.ports.values()))
        everything = [spot for row in self.rows for spot in row]
        zero = self.rows[0][0].x
        for spot in everything:
            spot.x -= zero
        # How far it goes to the left and to the right of its first spot.
        self.left = max(spot.left - spot.x for spot in everything)
        self.right = max(spot.right + spot.x for spot in everything)

    def _join(self, source: Spot, target: Spot) -> None:
        rows = range(self.row_of[source] + 1, self.row_of[target])
        passes = [Spot() for _ in rows]
        for number, lane in zip(rows, passes, strict=True):
            self.rows[number].append(lane)
            self.row_of[lane] = number
        for upper, lower in pairwise([source, *passes, target]):
            upper.below.append(lower)
            lower.above.append(upper)
        self.edges.append(Edge(source, target, passes))

    def _order(self) -> None:
        """Sort each row by the mean place of what its spots are joined to above, then below; keep the best."""
        best, fewest = [list(row) for row in self.rows], self.crossings()
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for beside, row in pairwise(self.rows if down else self.rows[::-1]):
                if row[0] in self.ports.values():
                    continue  # lines come in as they left the column before
                number = {spot: i for i, spot in enumerate(beside)}
                means = {}
                for i, spot in enumerate(row):
                    places = [number[other] for other in (spot.above if down else spot.below)]
                    means[spot] = sum(places) / len(places) if places else i
                row.sort(key=means.__getitem__)
            crossings = self.crossings()
            if crossings < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        self.rows = best

    def crossings(self) -> int:
        """How many pairs of lines cross between neighbouring rows."""
        total = 0
        for upper, lower in pairwise(self.rows):
            number = {spot: i for i, spot in enumerate(lower)}
            ends = [end for spot in upper for end in sorted(number[other] for other in spot.below)]
            total += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
        return total

    def finish(self, shift: float, top: float) -> tuple[list[Line], dict[int, Point], float]:
        """Set the places of the items, with the first spot at x = shift and the first row at y = top.

        Returns
        -------
        The lines; where those to the next column go out, from left to right; and where the column ends.
        """
        arrivals = self._arrivals()
        bands: list[Point] = []  # the top and the bottom of each row
        for upper, lower in pairwise([*self.rows, []]):
            height = max(spot.height for spot in upper)
            bands.append((top, top + height))
            for spot in upper:
                if spot.item is not None:
                    self.items[spot.item].x = shift + spot.x
                    self.items[spot.item].y = top + (height - spot.height) / 2
            aside = max((abs(spot.exit - other.x) for spot in upper for other in spot.below), default=0)
            straight = 0.0 if not lower or lower[0] in self.exits.values() else GAP
            top += height + (min(GAP + 0.1 * aside, MOST_GAP) if aside > EQUAL else straight)
        for spot in self.row_of:
            spot.x += shift
        lines = [self._line(edge, arrivals.get(edge, 0.0), bands) for edge in self.edges]
        exits = sorted(self.exits, key=lambda source: self.exits[source].x)
        return [n for n in lines if len(n.points) > 1], {source: (self.exits[source].x, top) for source in exits}, top

    def _line(self, edge: Edge, arrival: float, bands: Sequence[Point]) -> Line:
        source, target = edge.source, edge.target
        foot, head = bands[self.row_of[source]][1], bands[self.row_of[target]][0]
        start = foot if source.item is None else self.items[source.item].y + source.height
        end = head if target.item is None else self.items[target.item].y
        points = [(source.exit, start), (source.exit, foot)]
        for lane in edge.passes:
            points += [(lane.x, y) for y in bands[self.row_of[lane]]]
        points += [(target.x + arrival, head), (target.x + arrival, end)]
        return Line([point for i, point in enumerate(points) if i == 0 or point != points[i - 1]], target.item)

    def _arrivals(self) -> dict[Edge, float]:
        """Where each line comes in at the top of its box: side by side, in the order in which they come."""
        found: dict[Edge, float] = {}
        for target in [spot for row in self.rows for spot in row if not spot.is_lane]:
            edges = [edge for edge in self.edges if edge.target is target]
            aside = {edge: (edge.passes[-1].x if edge.passes else edge.source.exit) - target.x for edge in edges}
            edges.sort(key=aside.__getitem__)
            # One that comes from right above stays in the middle.
            middle = [i for i, edge in enumerate(edges) if abs(aside[edge]) <= EQUAL]
            left = sum(aside[edge] < -EQUAL for edge in edges)
            center = sum(middle) / len(middle) if middle else left - 0.5
            farthest = max(center, len(edges) - 1 - center, 1)
            room = min(ARRIVALS, 0.8 * min(target.left, target.right) / farthest)
            for i, edge in enumerate(edges):
                found[edge] = (i - center) * room if len(edges) > 1 else 0.0
        return found
