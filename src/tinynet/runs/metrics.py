"""metrics.csv: the records of a training, a row for each epoch and round."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from math import inf
from pathlib import Path
from typing import Any

from tinynet.common.errors import CheckpointError
from tinynet.common.files import LONGEST, broken_as, opened, write_text
from tinynet.training.record import COLUMNS, Record

FILE = "metrics.csv"
MOST, LARGEST = 2**31, 1e300  # of epochs or rounds, and of a figure


def write(folder: Path, records: Iterable[Record]) -> None:
    """Write the file anew: its heading, and a row for each record."""
    write_text(folder / FILE, ",".join(COLUMNS) + "\n" + "".join(map(_line, records)), sync=True)


def append(folder: Path, record: Record) -> None:
    """Add a row to the file."""
    with (folder / FILE).open("a", newline="", encoding="utf-8") as file:
        file.write(_line(record))


def read(folder: Path) -> list[Record]:
    """The rows of the file; a last one that was cut off in the middle does not count.

    Raises
    ------
    CheckpointError
        If the file is missing or broken.
    """
    with broken_as(f"{folder / FILE}"), opened(folder / FILE) as file:
        if file is None:
            raise CheckpointError(f"{folder / FILE}: is missing")
        whole = (line.decode() for line in iter(lambda: file.readline(LONGEST), b"") if line.endswith(b"\n"))
        return [Record(**{name: _cell(name, row[name]) for name in COLUMNS}) for row in csv.DictReader(whole)]


def _line(record: Record) -> str:
    rounded = {"seconds": round(record.seconds, 6)}
    values = [rounded.get(name, record[name]) for name in COLUMNS]
    return ",".join("" if value is None else str(value) for value in values) + "\n"


def _cell(name: str, text: str) -> Any:
    value = (int if name in ("round", "epoch") else float)(text) if text else None
    if name in ("round", "epoch") and (value is None or not 0 <= value < MOST):
        raise ValueError(f"{text!r} is no {name}")
    if value is not None and LARGEST < abs(value) < inf:
        raise ValueError(f"{name} is {text}")
    return value
