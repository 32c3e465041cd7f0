"""Confidence intervals of a mean: Student's t, on the standard library alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan, cos, pi, sin, sqrt
from statistics import fmean, stdev

CONFIDENCE = 0.95


def interval(numbers: Sequence[float]) -> tuple[float, float | None, float | None]:
    """The mean of a sample of n, and the ends of its confidence interval: mean ± t · s/√n, t of n - 1 degrees."""
    mean, n = fmean(numbers), len(numbers)
    if n < 2:
        return mean, None, None
    half = student_t(n - 1) * stdev(numbers) / sqrt(n)
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
