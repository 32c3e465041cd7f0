"""How the commands print, and the options that several have."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import isfinite
from os import PathLike, fspath
from typing import Any, TextIO

import click

from tinynet.common.errors import visible

# BLAS threads pay only for large products, and make results depend on the machine.
BLAS_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)


SPLITS = click.Choice(["train", "validation", "test"])
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change an option: optimizer.SGD.lr=0.05"
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), help="Where all randomness starts, instead of the config's."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def tell(text: str) -> None:
    """Print to stdout what may quote a file, whose control characters would else command the terminal."""
    click.echo("\n".join(map(visible, text.split("\n"))))


def say(text: str) -> None:
    """As `tell`, to stderr; where nobody can read it (a full disk, a closed terminal) the work goes on all the same."""
    with suppress(OSError):
        click.echo("\n".join(map(visible, text.split("\n"))), file=sys.stderr)


def open_streams() -> None:
    """Have stdout and stderr take any text: one that is missing or closed drops it, a terminal shows what it can."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or getattr(stream, "closed", False):
            setattr(sys, name, _nowhere())
        elif hasattr(stream, "reconfigure"):  # a notebook's has none
            stream.reconfigure(errors="replace")


def leave_stdout() -> None:
    """Where nobody reads stdout any more, nothing is left to say, not even at exit."""
    try:
        with _nowhere() as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    except (AttributeError, OSError):  # a stream of a notebook's, or of a program's own
        sys.stdout = _nowhere()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def print_json(found: dict[str, Any]) -> None:
    """Print one JSON object; NaN and infinity, which JSON has not, as null."""
    click.echo(json.dumps(_finite(found), allow_nan=False))


def quoted(path: str | PathLike[str]) -> str:
    """A path as a shell takes it."""
    return shlex.quote(fspath(path))


def counted(count: int, thing: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


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
