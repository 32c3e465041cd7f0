"""Figures and tables as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def figure(name: str, value: float | None) -> str:
    """A figure as text: an error as a percentage, anything else with four digits; `-` where it was not measured."""
    if value is None:
        return "-"
    return f"{value:.1%}" if name.endswith("error") and not name.endswith("absolute_error") else f"{value:.4g}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns in line, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def figures_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each set of figures by its name, a column for each figure that any of them has."""
    names = [
        name
        for name in next(iter(rows.values()))
        if name not in ("seconds", "test_commonest_error") and any(row.get(name) is not None for row in rows.values())
    ]
    heading = ["", *(name.replace("_", " ") for name in names)]
    cells = [
        [which, *(f"{row[name]:.4g}" if name == "epoch" else figure(name, row.get(name)) for name in names)]
        for which, row in rows.items()
    ]
    return table([heading, *cells])
