"""How the commands print."""

from __future__ import annotations

import json
import os
import shlex
import sys
from contextlib import suppress
from math import isfinite
from os import PathLike, fspath
from typing import Any

import click

from tinynet.errors import visible

# BLAS threads pay only for large products, and make results depend on the machine.
BLAS_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)


def tell(text: str) -> None:
    """Print to stdout what may quote a file, whose control characters would else command the terminal."""
    click.echo("\n".join(map(visible, text.split("\n"))))


def say(text: str) -> None:
    """As `tell`, to stderr; where nobody can read it (a full disk, a closed terminal) the work goes on all the same."""
    with suppress(OSError):
        click.echo("\n".join(map(visible, text.split("\n"))), file=sys.stderr)


def leave_stdout() -> None:
    """Where nobody reads stdout any more, nothing is left to say, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
