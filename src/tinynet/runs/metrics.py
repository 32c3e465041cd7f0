"""metrics.csv: the records of a training, a row for each epoch and round."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from pathlib import Path
from typing import Any

from tinynet.common import VERSION, files
from tinynet.common.errors import CheckpointError
from tinynet.common.files import broken_as, opened, write_text
from tinynet.training.record import COLUMNS, Record

FILE = "metrics.csv"
MEASURED = tuple(name for name in COLUMNS if name.endswith(("_loss", "_error")))
MOST, LARGEST = 2**31, 1e300  # of epochs or rounds, and of a figure
TAIL = 2**12  # bytes that hold some rows


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
        lines = (line.decode() for line in iter(lambda: file.readline(files.LONGEST), b"") if line.endswith(b"\n"))
        names = next(lines, "").strip().split(",")
        return [_record(names, line) for line in lines if line.strip()]


def newest(folder: Path, whole: bool) -> list[Record]:
    """The last row of each round, the newest first; of the whole file, or of its last few rows.

    A row without its line's end is still being written, and left out.

    Raises
    ------
    ValueError
        If the file is broken.
    """
    heading, lines = files.read_lines(folder / FILE, files.LARGEST if whole else TAIL)
    names = [] if heading is None else heading.strip().split(",")
    if heading is not None and (names[0] != "round" or not set(COLUMNS) <= set(names)):
        raise ValueError(f"its columns are not those of tinynet {VERSION}")
    last: dict[str, str] = {}
    for line in reversed(lines):
        last.setdefault(line.partition(",")[0], line)
    return [_record(names, line) for line in last.values()]


def _line(record: Record) -> str:
    rounded = {"seconds": round(record.seconds, 6)}
    values = [rounded.get(name, record[name]) for name in COLUMNS]
    return ",".join("" if value is None else str(value) for value in values) + "\n"


def _record(names: list[str], line: str) -> Record:
    cells = line.split(",")
    if len(cells) != len(names):
        raise ValueError(f"it has a row of {len(cells)} values under {len(names)} names")
    row: dict[str, Any] = {name: float(text) if text.strip() else None for name, text in zip(names, cells, strict=True)}
    for name, value in row.items():
        if value is not None and LARGEST < abs(value) < inf:
            raise ValueError(f"{name} is {value}")
    row |= {name: count(row[name]) for name in ("round", "epoch")}
    return Record(**{name: row[name] for name in COLUMNS})


def count(value: float | None) -> int:
    """A number of rounds or epochs in a file."""
    if value is None or not 0 <= value < MOST or value != int(value):
        raise ValueError(f"{value!r} is no count")
    return int(value)
