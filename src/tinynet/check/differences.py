"""Central differences: the derivative of a function in one number of an array or along a direction; kinks.

A kink is a place where the slopes from the left and from the right differ, such as ReLU at 0 or a tie in a maximum. No
gradient is right there; one is fit that lies between the two slopes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import Literal

import numpy as np

from tinynet.common.arrays import Array
from tinynet.nn.random import Stream

# Steps of the difference, in the order they are tried. A large one loses digits to curvature and may step over a kink,
# a small one loses them to rounding; one that agrees is enough, since a wrong gradient agrees with none.
STEPS = (1e-5, 1e-6, 1e-4, 1e-7)
# How far the value of a function may be off, as a share of it.
ROUNDING = 2e-15
# An error below this share of the tolerance needs no other step.
PLAIN = 0.1
TOLERANCE = 1e-6
DIRECTIONS = 3
ENTRIES = 50
# Entries are drawn in place of those on a kink, up to this many for each.
DRAWS = 10
# Of the entries wanted, this share has to lie off a kink for a tensor to count as checked.
LEAST = 0.2

Index = tuple[int, ...]


@dataclass(slots=True)
class Probe:
    """The derivative at one entry of a tensor, or along a random direction.

    Parameters
    ----------
    index
        Of the entry; None for a direction.
    analytic, numeric
        The derivative as `backward` says, and by central differences.
    error
        |analytic - numeric| / max(|analytic|, |numeric|, 1 % of the largest gradient of the layer, or of the net); for
        a direction at least 10 % of the length of the gradient.
    verdict
        Of a kink the analytic derivative lies between the slopes of the two sides. Lost: the two differ, but by no more
        than rounding may explain. Neither can be judged.
    """

    index: Index | None
    analytic: float
    numeric: float
    error: float
    verdict: Literal["right", "wrong", "kink", "lost"]


@dataclass
class Comparison:
    """A tensor's gradient beside central differences.

    Parameters
    ----------
    gradient
        As `backward` gave it.
    wanted
        How many entries were to be compared off a kink.
    probes
        Entries and directions, as compared.
    """

    gradient: Array
    wanted: int
    probes: list[Probe] = field(default_factory=list)

    @property
    def entries(self) -> list[Probe]:
        """The single entries that could be judged."""
        return [probe for probe in self.probes if probe.index is not None and probe.verdict in ("right", "wrong")]

    def count(self, verdict: str) -> int:
        """How many derivatives got a verdict."""
        return sum(probe.verdict == verdict for probe in self.probes)

    @property
    def worst(self) -> Probe | None:
        """The wrong probe with the largest error, an entry before a direction; or of the right ones."""
        for found in (
            [probe for probe in self.entries if probe.verdict == "wrong"],
            [probe for probe in self.probes if probe.verdict == "wrong"],
            [probe for probe in self.probes if probe.verdict == "right"],
        ):
            if found:
                return max(found, key=lambda probe: probe.error)
        return None

    @property
    def error(self) -> float:
        """The largest relative error."""
        return self.worst.error if self.worst else 0.0

    @property
    def verdict(self) -> Literal["right", "wrong", "unclear"]:
        """Unclear where too few entries could be judged."""
        if any(probe.verdict == "wrong" for probe in self.probes):
            return "wrong"
        return "unclear" if len(self.entries) < LEAST * self.wanted else "right"


@dataclass
class Settings:
    """How to check.

    Parameters
    ----------
    tolerance
        The largest relative error of a right gradient.
    entries
        Single entries of each tensor; None for all.
    seed
        Of the random gradients, directions and entries.
    notice
        Is told the count of derivatives as they are done.
    """

    tolerance: float = TOLERANCE
    entries: int | None = ENTRIES
    seed: int = 0
    notice: Callable[[int], object] = lambda count: None

    def rng(self, name: str) -> np.random.Generator:
        """Random numbers for one purpose."""
        return Stream(self.seed, "data", f"check {name}").at()


@dataclass
class Differences:
    """Central differences of Σ weights · function() with respect to an array that the function reads.

    Parameters
    ----------
    function
        Evaluates what is differentiated; twice the same array gives twice the same value.
    array
        Is changed in place, and put back.
    weights
        In the shape of the function's value, or one number.
    settings
        How to check.
    largest
        The largest gradient of all that belong together, those of a layer or of a net.
    """

    function: Callable[[], Array]
    array: Array
    weights: Array | float
    settings: Settings
    largest: float = 0.0

    def __post_init__(self) -> None:
        self.base = np.copy(self.function())
        # A step that is small beside the array's numbers is lost in their rounding.
        self.unit = max(1.0, float(np.sqrt(np.mean(self.array * self.array))) if self.array.size else 1.0)

    def compare(self, gradient: Array, name: str) -> Comparison:
        """The gradient of the array, in its shape, beside central differences; `name` seeds the random choices."""
        rng, entries, notice = self.settings.rng(name), self.settings.entries, self.settings.notice
        wanted = gradient.size if entries is None else min(entries, gradient.size)
        found = Comparison(np.copy(gradient), wanted)
        floor = 0.01 * max(self.largest, float(np.max(np.abs(gradient), initial=0)))
        for number in range(DIRECTIONS):
            # First all numbers together: equal ones then stay equal, so that no tie in a maximum is a kink.
            direction = rng.standard_normal(self.array.shape) if number else np.ones(self.array.shape)
            # The derivative along it is, by chance, anything up to a few times the gradient's length.
            low = max(floor, 0.1 * float(np.linalg.norm(gradient)))
            found.probes.append(self.probe(direction, float(np.vdot(gradient, direction)), low))
            notice(1)
        order: Sequence[int] = range(gradient.size)
        if wanted < gradient.size:
            order = [int(i) for i in rng.permutation(gradient.size)[: DRAWS * wanted]]
        left = wanted
        for place in order:
            if left == 0:
                break
            index = tuple(int(i) for i in np.unravel_index(place, gradient.shape))
            probe = self.probe(index, float(gradient[index]), floor)
            found.probes.append(probe)
            if probe.verdict in ("right", "wrong"):
                left -= 1
                notice(1)
        notice(left)
        return found

    def probe(self, where: Index | Array, analytic: float, floor: float) -> Probe:
        """One derivative; `floor` is the size below which an error counts as if the derivative had this size."""
        index = where if isinstance(where, tuple) else None
        values: dict[float, float] = {}
        bends: dict[float, Array] = {}
        best = Probe(index, analytic, 0.0, inf, "wrong")
        for step in STEPS:
            h = step * self.unit
            above, below = self._moved(where, h), self._moved(where, -h)
            # The difference comes before the sum, or rounding would grow with the size of the output.
            numeric = float(np.sum(self.weights * (above - below))) / (2 * h)
            error = _relative(analytic, numeric, floor)
            if error < best.error:
                best = Probe(index, analytic, numeric, error, "right")
            if error <= PLAIN * self.settings.tolerance:
                return best
            values[step] = numeric
            bends[step] = np.abs(above + below - 2 * self.base) / h
        return best if best.error <= self.settings.tolerance else self._judged(best, floor, values, bends)

    def _judged(self, best: Probe, floor: float, values: dict[float, float], bends: dict[float, Array]) -> Probe:
        """The verdict where no step agrees: wrong, unless kinks or rounding explain it at each of the small steps."""
        for step in sorted(values)[:2]:
            h = step * self.unit
            # Of a smooth function the two slopes are as good as the same, at a kink each side has its own; half their
            # difference is how far a right gradient may be from the numeric one.
            bend = bends[step]
            real = bend > 10 * ROUNDING * np.abs(self.base).max(initial=0) / h
            kinks = float(np.sum(np.abs(self.weights) * bend * real)) / 2
            lost = ROUNDING * float(np.linalg.norm(self.weights * self.base)) / h
            difference = abs(best.analytic - values[step])
            if not difference <= 1.01 * kinks + 3 * lost + self.settings.tolerance * max(abs(values[step]), floor):
                return replace(best, verdict="wrong")
            best.verdict = "kink" if kinks > lost else "lost"
        return best

    def _moved(self, where: Index | Array, h: float) -> Array:
        """The function's value with the array moved by h in one entry or along a direction."""
        place, way = (where, h) if isinstance(where, tuple) else (..., h * where)
        saved = np.copy(self.array[place])
        self.array[place] += way
        found = np.copy(self.function())
        self.array[place] = saved
        return found


def _relative(analytic: float, numeric: float, floor: float) -> float:
    """The error relative to the derivative's size."""
    difference = abs(analytic - numeric)
    if not isfinite(difference):
        return inf
    return difference / max(abs(analytic), abs(numeric), floor) if difference else 0.0
