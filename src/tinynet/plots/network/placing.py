"""Where boxes, and the lines that pass between them, go in their rows: to the side, in inches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

BESIDE, ASIDE = 0.3, 0.22  # between two boxes, and between a line and what it passes
CHAIN = 10.0  # how much more a box wants to be in line with the only one before and after it
SWEEPS, ROUNDS = 100, 12
STILL = 1e-3  # so little do boxes move when they have found their places
FIXED = 1e9


@dataclass(eq=False)
class Spot:
    """A place in a row: a box's, or a lane, where a line passes the row, comes into the column or leaves it.

    Parameters
    ----------
    item
        The box by its number; None for a lane.
    left, right, height, outlet
        As of an `Item`.
    x
        Where lines come in.
    above, below
        The spots that it is joined to, one row away.
    """

    item: int | None = None
    left: float = 0.0
    right: float = 0.0
    height: float = 0.0
    outlet: float = 0.0
    x: float = 0.0
    above: list[Spot] = field(default_factory=list)
    below: list[Spot] = field(default_factory=list)

    @property
    def is_lane(self) -> bool:
        return self.item is None

    @property
    def exit(self) -> float:
        return self.x + self.outlet


@dataclass(eq=False)
class Edge:
    """From one spot to another, with the lanes of the rows that it passes."""

    source: Spot
    target: Spot
    passes: list[Spot]

    @property
    def is_chain(self) -> bool:
        """Whether it joins two boxes in neighbouring rows that are joined to no others on that side."""
        boxes = not (self.source.is_lane or self.target.is_lane or self.passes)
        return boxes and len(self.source.below) == len(self.target.above) == 1


Rows = Sequence[Sequence[Spot]]


def place(rows: Rows, edges: Sequence[Edge], ports: Sequence[Spot]) -> None:
    """Set the x of all spots, in the order that they have in their rows.

    Parameters
    ----------
    rows
        From top to bottom.
    edges
        All lines.
    ports
        The lanes in the first row by which lines come in.
    """
    joined = _joined(rows, edges)
    apart = {
        pair: gap
        for row in rows
        for pair, gap in zip(pairwise([spot for spot in row if not spot.is_lane]), _gaps(row), strict=True)
    }
    chains = _chains(edges)
    fixed = {spot for chain in chains for spot in chain}
    _place_boxes(rows, joined, set(), SWEEPS)
    for chain in chains:
        _straighten(chain, sum(spot.x for spot in chain) / len(chain), apart)
    for _ in range(ROUNDS):
        _place_boxes(rows, joined, fixed, 2)
        for chain in chains:
            pulls = [_pull(spot, joined, set(chain)) for spot in chain]
            if any(weight for _, weight in pulls):
                _straighten(chain, sum(place for place, _ in pulls) / sum(weight for _, weight in pulls), apart)
    _place_lanes(rows, edges, ports)


# What a spot is joined to: the other, how far from its x this one is to be, and how much that counts.
Joined = dict[Spot, list[tuple[Spot, float, float]]]


def _joined(rows: Rows, edges: Sequence[Edge]) -> Joined:
    found: Joined = {spot: [] for row in rows for spot in row}
    for edge in edges:
        if not edge.target.is_lane:
            weight = CHAIN if edge.is_chain else 1.0
            found[edge.source].append((edge.target, -edge.source.outlet, weight))
            found[edge.target].append((edge.source, edge.source.outlet, weight))
    return found


def _pull(spot: Spot, joined: Joined, without: set[Spot]) -> tuple[float, float]:
    """The weighted sum of the places where those that a spot is joined to want it, and the sum of the weights."""
    wanted = [(weight * (other.x + offset), weight) for other, offset, weight in joined[spot] if other not in without]
    return sum(place for place, _ in wanted), sum(weight for _, weight in wanted)


def _chains(edges: Sequence[Edge]) -> list[list[Spot]]:
    """Boxes that stand below each other with nothing else to go by."""
    chains: list[list[Spot]] = []
    for edge in edges:
        if edge.is_chain and not edge.source.outlet:
            chain = next((chain for chain in chains if chain[-1] is edge.source), None)
            if chain is None:
                chains.append(chain := [edge.source])
            chain.append(edge.target)
    return chains


def _place_boxes(rows: Rows, joined: Joined, fixed: set[Spot], sweeps: int) -> None:
    """Each box below and above what it is joined to, as near as its neighbours let it; some stay where they are."""
    lines = [([spot for spot in row if not spot.is_lane], _gaps(row)) for row in rows]
    for sweep in range(sweeps):
        moved = 0.0
        for boxes, gaps in lines if sweep % 2 == 0 else reversed(lines):
            wanted, weights = [], []
            for spot in boxes:
                total, weight = _pull(spot, joined, set())
                stays = spot in fixed or not weight
                wanted.append(spot.x if stays else total / weight)
                weights.append(FIXED if stays else weight)
            for spot, x in zip(boxes, spread(wanted, gaps, weights), strict=True):
                if spot not in fixed:
                    moved = max(moved, abs(x - spot.x))
                    spot.x = x
        if moved < STILL:
            return


def _place_lanes(rows: Rows, edges: Sequence[Edge], ports: Sequence[Spot]) -> None:
    """Each line that passes rows as straight as may be, between the boxes as they stand."""
    courses: list[tuple[list[Spot], float]] = []
    for edge in edges:
        course, wanted = list(edge.passes), edge.source.exit
        if edge.target.is_lane:
            course.append(edge.target)
        if edge.source.is_lane:
            wanted = edge.target.x
            if len(edge.source.below) == 1:
                course.insert(0, edge.source)
        courses.append((course, wanted))
    for port in ports:
        if len(port.below) > 1:
            ends = [edge.target.x for edge in edges if edge.source is port]
            courses.append(([port], sum(ends) / len(ends)))
    for course, wanted in courses:
        for lane in course:
            lane.x = wanted
    for row in rows:
        gaps = [_apart(a, b) for a, b in pairwise(row)]
        weights = [1.0 if spot.is_lane else FIXED for spot in row]
        for spot, x in zip(row, spread([spot.x for spot in row], gaps, weights), strict=True):
            spot.x = x if spot.is_lane else spot.x
    apart = {(a, b): _apart(a, b) for row in rows for a, b in pairwise(row)}
    for _ in range(3):
        for course, wanted in courses:
            _straighten(course, wanted, apart)


def _straighten(spots: Sequence[Spot], wanted: float, apart: dict[tuple[Spot, Spot], float]) -> None:
    """Give all spots one x, that wanted or the nearest to it which their neighbours allow, if any does."""
    low = max((a.x + gap for (a, b), gap in apart.items() if b in spots), default=-FIXED)
    high = min((b.x - gap for (a, b), gap in apart.items() if a in spots), default=FIXED)
    for spot in spots if low <= high + 1e-6 else ():
        spot.x = min(max(wanted, low), high)


def _gaps(row: Sequence[Spot]) -> list[float]:
    """The least distances between the boxes of a row, with room for the lines between them."""
    boxes = [i for i, spot in enumerate(row) if not spot.is_lane]
    return [sum(_apart(a, b) for a, b in pairwise(row[i : j + 1])) for i, j in pairwise(boxes)]


def _apart(a: Spot, b: Spot) -> float:
    """The least distance between two neighbours in a row."""
    return a.right + b.left + (ASIDE if a.is_lane or b.is_lane else BESIDE)


def spread(wanted: Sequence[float], gaps: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The places x nearest to those wanted, Σ w (x - wanted)² least, with x[i + 1] - x[i] ≥ gaps[i].

    Source: the pool-adjacent-violators algorithm (Ayer et al. 1955), on the places without the gaps.
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    pools: list[tuple[float, float, int]] = []  # weight, mean, count
    for want, offset, weight in zip(wanted, offsets, weights, strict=False):
        pools.append((weight, want - offset, 1))
        while len(pools) > 1 and pools[-2][1] >= pools[-1][1]:
            (a, x, n), (b, y, m) = pools[-2:]
            pools[-2:] = [(a + b, (a * x + b * y) / (a + b), n + m)]
    places = [mean for _, mean, count in pools for _ in range(count)]
    return [place + offset for place, offset in zip(places, offsets, strict=False)]
