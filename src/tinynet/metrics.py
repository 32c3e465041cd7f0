"""metrics.csv: the records of a training, a row for each epoch and round."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tinynet.errors import CheckpointError
from tinynet.files import write_text
from tinynet.learner import COLUMNS, Record

FILE = "metrics.csv"


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
    try:
        with (folder / FILE).open(newline="", encoding="utf-8") as file:
            whole = [line for line in file if line.endswith("\n")]
        return [Record(**{name: _cell(name, row[name]) for name in COLUMNS}) for row in csv.DictReader(whole)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise CheckpointError(f"{folder / FILE}: cannot be read ({error})") from None


def _line(record: Record) -> str:
    rounded = {"seconds": round(record.seconds, 6)}
    values = [rounded.get(name, record[name]) for name in COLUMNS]
    return ",".join("" if value is None else str(value) for value in values) + "\n"


def _cell(name: str, text: str) -> Any:
    if name in ("round", "epoch"):
        return int(text)
    return float(text) if text else None
