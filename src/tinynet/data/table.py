"""Tables in .csv files, as text with line numbers, so that every problem can be located."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from tinynet.common import memory
from tinynet.common.arrays import Array
from tinynet.common.errors import DataError, readable
from tinynet.common.files import opened
from tinynet.common.suggestions import suggestion

# Names in a message, before the others are only counted.
LISTED = 20
# Times that a table takes its file's bytes in memory, at least: a cell is a text, and then a number.
CELLS = 3


@dataclass
class Table:
    """A CSV file as text: the names of its columns, and for each row its cells and the line in which it begins."""

    name: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def index(self, column: str) -> int:
        """The position of a column; raises DataError if none has this name."""
        if column not in self.header:
            meant = suggestion(column, self.header)
            hint = f" Did you mean {meant!r}?" if meant else ""
            raise DataError(f"{self.name}: has no column {column!r}.{hint} Its columns are {listed(self.header)}.")
        return self.header.index(column)

    def numbers(self, columns: list[str]) -> Array:
        """The values (rows, columns) of these columns; raises DataError where one is not there or not finite."""
        places = {column: place for place, column in enumerate(self.header)}
        index = [places[column] if column in places else self.index(column) for column in columns]
        # NumPy reads None as NaN.
        values = np.array([[number(row[i]) for i in index] for row in self.rows], dtype=np.float64)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise self.problem(bad[0][0], columns[bad[0][1]], "a number", len(bad) - 1)
        return values

    def found(self, row: int, column: str) -> str:
        """Where a cell is and what it holds, as the beginning of a message."""
        cell = self.rows[row][self.index(column)]
        return f"{self.name}:{self.lines[row]}: column {column!r} {f'holds {cell!r}' if cell else 'is empty'}"

    def problem(self, row: int, column: str, needed: str, others: int) -> DataError:
        """The error for a cell that does not hold what is needed, as `others` more do not."""
        cell = self.rows[row][self.index(column)]
        text = ", which is no number" if cell and number(cell) is None else ""
        more = f" {others} more {'has' if others == 1 else 'have'} none." if others else ""
        return DataError(readable(f"{self.found(row, column)}{text}. Every cell needs {needed}.{more}"))


def read_table(path: str | os.PathLike[str]) -> Table:
    """A CSV file with a header line: UTF-8, cells separated by commas, quoted by \". Empty lines are skipped.

    Raises DataError if it cannot be read, or is no such table.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Name the .csv file in it.")
    try:
        with opened(path) as file:
            if file is None:
                raise DataError(f"{path}: no such file. Check the path.")
            lacking = memory.shortage(CELLS * os.fstat(file.fileno()).st_size)
            if lacking:
                raise DataError(f"{path.name}: as a table it takes {lacking}. Cut the file into smaller ones.")
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            header, *records = _records(path.name, text) or [(1, [])]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: is no UTF-8 text. Save it as CSV in UTF-8.") from error
    except ValueError as error:
        raise DataError(f"{path}: cannot be read ({error}). Check the path.") from error
    _check_header(path.name, *header)
    if not records:
        raise DataError(f"{path.name}: has a header line, but no rows.")
    width = len(header[1])
    wrong = [(line, len(cells)) for line, cells in records if len(cells) != width]
    if wrong:
        line, count = wrong[0]
        more = f" {len(wrong) - 1} more {'row has' if len(wrong) == 2 else 'rows have'} not." if len(wrong) > 1 else ""
        found = f"the header names {width} columns, but the row has cells for {count}"
        raise DataError(f"{path.name}:{line}: {found}. Give every row {width} cells.{more}")
    return Table(path.name, header[1], [cells for _, cells in records], [line for line, _ in records])


def _records(name: str, file: TextIO) -> list[tuple[int, list[str]]]:
    """The cells of each record, with the line in which it begins: a quoted cell may hold line breaks."""
    reader = csv.reader(file, strict=True)
    records, line = [], 1
    try:
        for cells in reader:
            if cells:
                records.append((line, [cell.strip() for cell in cells]))
            line = reader.line_num + 1
    except csv.Error as error:
        found = f"{name}:{line}: is no CSV ({error})"
        raise DataError(f"{found}. Look for a quotation mark without its partner.") from error
    return records


def _check_header(name: str, line: int, header: list[str]) -> None:
    if not header:
        raise DataError(f"{name}: is empty. Its first line has to name the columns.")
    if all(number(cell) is not None for cell in header):
        raise DataError(f"{name}:{line}: has no header line. Put a line with the names of the columns first.")
    for separator in (";", "\t") if len(header) == 1 else ():
        if separator in header[0]:
            raise DataError(f"{name}:{line}: the cells are separated by {separator!r}. Separate them by commas.")
    if "" in header:
        raise DataError(f"{name}:{line}: column {header.index('') + 1} has no name. Give every column one.")
    twice = next((column for column, count in Counter(header).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{name}:{line}: two columns are called {twice!r}. Give each its own name.")


def number(cell: str) -> float | None:
    """The number that a cell holds, which may be NaN or infinite; None if it holds none."""
    try:
        # Python reads 1_000 as a number, but in a table it is a mistake.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def listed(names: Collection[str]) -> str:
    """The names, or the first of them and the count of the others."""
    shown = ", ".join(map(readable, list(names)[:LISTED]))
    return f"{shown} and {len(names) - LISTED} more" if len(names) > LISTED else shown
