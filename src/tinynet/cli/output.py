"""How the commands print, and the options that several have."""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import isfinite
from os import PathLike, fspath
from typing import Any, TextIO
from unicodedata import combining, east_asian_width

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
        elif not (hasattr(stream, "flush") and hasattr(stream, "isatty")):
            setattr(sys, name, _Plain(stream))
        elif hasattr(stream, "reconfigure"):  # a notebook's has none
            stream.reconfigure(errors="replace")


class _Plain(io.TextIOBase):
    """A stream of a program's own that can do little more than write; it is no terminal."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        if hasattr(self.stream, "flush"):
            self.stream.flush()


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
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        gaps = [" " * (most - width(cell)) for cell, most in zip((first, *others), widths, strict=True)]
        cells = [first + gaps[0], *(gap + cell for cell, gap in zip(others, gaps[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def width(text: str) -> int:
    """The columns that a text takes on a terminal: a Chinese letter two, an accent on the letter before none."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


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
