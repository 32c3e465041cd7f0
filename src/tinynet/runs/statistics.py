"""Figures over several rounds: which rounds a mean is over, means, deviations, intervals, and their digits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import atan, cos, floor, isfinite, log10, pi, sin, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.common.arrays import Array
from tinynet.training.record import Record

if TYPE_CHECKING:
    pass


def course(records: Iterable[Record], column: str) -> Array:
    """A figure (rounds, epochs) of these records, of which there is at least one; NaN where it is not known.

    A round that ended before the others, by early stopping, keeps its net: it goes on with its last figure. So the last
    mean is that of summary.json.
    """
    rounds = by_round(records)
    values = np.full((len(rounds), 1 + max(own[-1].epoch for own in rounds.values())), np.nan)
    for row, own in zip(values, rounds.values(), strict=True):
        for record in own:
            value = record[column]
            row[record.epoch :] = value if value is not None and isfinite(value) else np.nan
    return values


def last_known(rounds: Array) -> int | None:
    """The last epoch of a figure (rounds, epochs) whose mean over the rounds is known."""
    known = np.flatnonzero(np.isfinite(mean(rounds)))
    return int(known[-1]) if len(known) else None


def by_round(records: Iterable[Record]) -> dict[int, list[Record]]:
    """The records of each round that has begun, by its number."""
    found: dict[int, list[Record]] = {}
    for record in records:
        found.setdefault(record.round, []).append(record)
    return dict(sorted(found.items()))


def mean(rounds: Array) -> Array:
    """Over the first axis, that of the rounds; NaN where one has no value."""
    return np.asarray(rounds.mean(axis=0))


def deviation(rounds: Array) -> Array:
    """The standard deviation of a sample, n - 1, over the first axis; NaN of one round."""
    return np.asarray(rounds.std(axis=0, ddof=1)) if len(rounds) > 1 else np.full(rounds.shape[1:], np.nan)


SPREAD = ("mean", "standard_deviation", "minimum", "maximum")


def over_rounds(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean, standard deviation (0 of one round), minimum and maximum of each figure; None where a round has it not."""
    found: dict[str, tuple[float | None, ...]] = dict.fromkeys(rows[0], (None,) * len(SPREAD))
    for name in rows[0]:
        if None not in (values := [row[name] for row in rows]):
            x = np.array(values, float)
            found[name] = float(mean(x)), float(deviation(x)) if len(x) > 1 else 0.0, float(x.min()), float(x.max())
    return {which: {name: four[i] for name, four in found.items()} for i, which in enumerate(SPREAD)}


def sample(numbers: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation of a sample, n - 1, which is exactly 0 of equal numbers, and None of one."""
    # Imported here: a training has no use of it, and it takes some milliseconds.
    from statistics import fmean, stdev

    return fmean(numbers), stdev(numbers) if len(numbers) > 1 else None


def rounded(mean: float, deviation: float) -> tuple[str, str]:
    """A mean and its deviation with the same decimals, as many as show two digits of the deviation."""
    if not (deviation > 0 and 1e-3 <= max(abs(mean), deviation) < 1e6):
        return f"{mean:.4g}", f"{deviation:.2g}"
    places = decimals(deviation)
    return f"{mean:.{places}f}", f"{deviation:.{places}f}"


def decimals(deviation: float) -> int:
    """How many decimals show two digits of a deviation > 0."""
    return min(6, max(0, 1 - floor(log10(deviation))))


CONFIDENCE = 0.95


def interval(numbers: Sequence[float]) -> tuple[float, float | None, float | None]:
    """The mean of a sample of n, and the ends of its confidence interval: mean ± t · s/√n, t of n - 1 degrees."""
    (mean, deviation), n = sample(numbers), len(numbers)
    if deviation is None:
        return mean, None, None
    half = student_t(n - 1) * deviation / sqrt(n)
    return mean, mean - half, mean + half


def student_t(freedom: int, confidence: float = CONFIDENCE) -> float:
    """t with P(|T| ≤ t) = confidence, for Student's T of `freedom` degrees (a whole number)."""
    low, high = 0.0, 1.0
    while within(high, freedom) < confidence:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if within(middle, freedom) < confidence else (low, middle)
    return high


def within(t: float, freedom: int) -> float:
    """P(|T| ≤ t) for Student's T of n degrees of freedom, with θ = arctan(t/√n):

    n even: sin θ · (1 + 1/2 cos²θ + 1·3/(2·4) cos⁴θ + … up to cos^(n-2) θ)
    n odd:  2/π · (θ + sin θ · (cos θ + 2/3 cos³θ + 2·4/(3·5) cos⁵θ + … up to cos^(n-2) θ))

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle, odd = atan(t / sqrt(freedom)), freedom % 2 == 1
    term = cos(angle) if odd else 1.0
    total = 0.0 if freedom == 1 else term
    for k in range(2 + odd, freedom - 1, 2):
        term *= cos(angle) ** 2 * (k - 1) / k
        total += term
    return 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
