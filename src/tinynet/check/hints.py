"""What a wrong gradient looks like: a multiple of the right one, its transpose, zero, shifted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinynet.check.differences import Comparison, Probe
from tinynet.common.arrays import Array

# Of two gradients that are the same, as far as a hint goes.
CLOSE = 1e-4


def hint(found: Comparison, counts: dict[str, int]) -> str:
    """A wrong gradient in a sentence; empty where it looks like nothing known.

    Parameters
    ----------
    found
        The gradient beside central differences.
    counts
        Numbers that may have been forgotten in it, by name, such as the samples of the batch.
    """
    entries = found.entries
    if not entries:
        return ""
    analytic = np.array([probe.analytic for probe in entries])
    numeric = np.array([probe.numeric for probe in entries])
    if not np.isfinite(found.gradient).all():
        return f"The analytic gradient holds {'NaN' if np.isnan(found.gradient).any() else 'infinity'}."
    if not found.gradient.any():
        return "The analytic gradient is zero everywhere: backward does not compute it, or drops it."
    if not numeric.any():
        return "The numeric gradient is zero: forward does not depend on it."
    wrong = sum(probe.verdict == "wrong" for probe in entries)
    if not wrong:
        return (
            "Each number by itself agrees, several together do not. That is so at a tie, as of equal numbers in a "
            "maximum, where one of them alone may get the gradient."
        )
    for look in (_multiple(analytic, numeric, counts), _other_place(found), _other_side(analytic, numeric)):
        if look:
            return look
    if wrong < len(entries):
        return f"{wrong} of {len(entries)} entries are wrong, the others right."
    return ""


def fits(entries: list[Probe], gradient: Callable[[Probe], float]) -> bool:
    """Whether another gradient has the numeric values at these entries."""
    numeric = np.array([probe.numeric for probe in entries])
    given = np.array([gradient(probe) for probe in entries])
    analytic = np.array([probe.analytic for probe in entries])
    return bool(numeric.any()) and _close(given, numeric, analytic)


def _close(given: Array, numeric: Array, analytic: Array) -> bool:
    """Whether a gradient fits the numeric one, and much better than the analytic one does."""
    most = min(CLOSE * np.abs(numeric).max(), 0.1 * np.abs(analytic - numeric).max())
    return bool(np.abs(given - numeric).max() <= most)


def _multiple(analytic: Array, numeric: Array, counts: dict[str, int]) -> str:
    factor = float(analytic @ numeric) / float(numeric @ numeric)
    if not factor or not _close(analytic / factor, numeric, analytic):
        return ""
    if abs(factor + 1) < CLOSE:
        return "The analytic gradient has the wrong sign."
    known = ""
    for what, count in counts.items():
        if count > 1 and abs(factor / count - 1) < CLOSE:
            known = f", {what}: a 1/{count} is missing"
        elif count > 1 and abs(factor * count - 1) < CLOSE:
            known = f", 1 through {what}: it is divided by {count} once too often"
    return f"The analytic gradient is {factor:.6g} times the numeric one{known}."


def _other_place(found: Comparison) -> str:
    """Whether each number stands at the transposed place, or at the one beside it along an axis."""
    gradient, entries = found.gradient, found.entries
    shape = gradient.shape
    if len(shape) >= 2 and shape[-1] == shape[-2]:
        turned = gradient.swapaxes(-1, -2)
        if fits(entries, lambda probe: float(turned[_at(probe)])):
            return "The analytic gradient is the transpose of the numeric one."
    for axis, size in enumerate(shape):
        for shift in (1, -1):
            within = [probe for probe in entries if 0 <= _at(probe)[axis] + shift < size]
            moved = np.roll(gradient, -shift, axis)
            if len(within) >= 5 and fits(within, lambda probe, moved=moved: float(moved[_at(probe)])):  # type: ignore[misc]
                return f"The analytic gradient is the numeric one shifted by {shift} along axis {axis}."
    return ""


def _other_side(analytic: Array, numeric: Array) -> str:
    """Whether a mask is turned round: zero where the other is not."""
    tiny = 1e-6 * max(np.abs(analytic).max(), np.abs(numeric).max())
    a, n = np.abs(analytic) > tiny, np.abs(numeric) > tiny
    if a.any() and n.any() and not (a & n).any():
        return "The analytic gradient is zero where the numeric one is not, and the other way round: a mask is turned."
    return ""


def _at(probe: Probe) -> tuple[int, ...]:
    assert probe.index is not None
    return probe.index
