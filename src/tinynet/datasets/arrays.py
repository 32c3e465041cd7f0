"""Datasets from a person's own files: arrays in an .npz, and tables in a .csv."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Literal, TextIO

import annotated_types as limits
import numpy as np

from tinynet.core import Array, Stream
from tinynet.datasets.base import Data, Dataset, Description, Split
from tinynet.errors import DataError
from tinynet.npz import read_npz
from tinynet.registry import suggestion


class RelativeToConfig:
    """Marks an option that names a file: a config writes it relative to its own folder."""


FilePath = Annotated[str, RelativeToConfig()]
Task = Literal["classification", "regression"]
TestShare = Annotated[float, limits.Gt(0), limits.Lt(1)]

NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
# Target vectors are made from a square matrix of this many rows.
MAX_CLASSES = 10_000
# Names in a message, before the others are only counted.
LISTED = 20


@dataclass(eq=False)
class FromFile(Dataset, abstract=True):
    """A dataset in a file, whose targets say whether it is a classification or a regression.

    Parameters
    ----------
    path
        The file, relative to the config's folder.
    task
        classification or regression. By default text and whole numbers are classes, fractional numbers a regression.
    standardize_targets
        Whether to subtract the training split's mean from the targets of a regression and divide by their deviation.
    """

    path: FilePath
    _: KW_ONLY
    task: Task | None = None
    standardize_targets: bool = False

    def standardize_target_values(self) -> bool:
        return self.standardize_targets

    def file(self) -> Path:
        path = Path(self.path)
        if not path.exists():
            raise DataError(f"{path.absolute()}: no such file. A relative path is relative to the config's folder.")
        return path

    def note(self, target: str, held: str, classes: list[str] | None) -> str:
        """Which task was taken, and why, as a sentence."""
        name = Path(self.path).name
        if classes is not None and len(classes) > MAX_CLASSES:
            raise DataError(
                f"{name}: {target} holds {held} for {len(classes)} classes, more than the {MAX_CLASSES} that are "
                "possible. Write task: regression to predict a number."
            )
        taken = "a regression" if classes is None else f"a classification of {len(classes)} classes: {listed(classes)}"
        if self.task is not None:
            return f"{name}: {target} holds {held}; task is {self.task}, so this is {taken}."
        other = "; write task: regression to predict the number" if held == "whole numbers" and classes else ""
        return f"{name}: {target} holds {held}, so this is {taken}{other}."


@dataclass(eq=False)
class NPZ(FromFile):
    """Arrays x_train, y_train, x_test, y_test in an .npz file

    x (n, *sample) are numbers; (n,) is read as (n, 1). y (n,) of whole numbers, booleans or text are classes: the class
    indices themselves, or the sorted texts. Any other y (n, *target) is a regression; (n,) is read as (n, 1).

    Example: {NPZ: data.npz}
    """

    def read(self, seed: int) -> Data:
        file = self.file()
        arrays = read_npz(file)
        missing = [name for name in NPZ_ARRAYS if name not in arrays]
        if missing:
            raise DataError(
                f"{file.name}: has no {', '.join(missing)}. It needs {', '.join(NPZ_ARRAYS)}, and holds "
                f"{listed(arrays) or 'nothing'}."
            )
        for name in NPZ_ARRAYS:
            if not arrays[name].size or not arrays[name].ndim:
                raise DataError(f"{file.name}: {name} has shape {arrays[name].shape}, which holds no samples.")
        x = [_numbers(file.name, name, arrays[name]) for name in ("x_train", "x_test")]
        _check_rows(file.name, arrays)
        y = {name: arrays[name] for name in ("y_train", "y_test")}
        held = _kind(y["y_train"])
        classify = held in ("text", "whole numbers") if self.task is None else self.task == "classification"
        if classify:
            labels, classes = _texts(file.name, y) if held == "text" else _indices(file.name, y)
            train, test = (Split(*pair) for pair in zip(x, labels, strict=True))
        else:
            targets, classes = [_numbers(file.name, name, values) for name, values in y.items()], None
            train, test = (Split(inputs, targets=values) for inputs, values in zip(x, targets, strict=True))
        note = self.note("y_train", held, classes)
        return Data(train, test, Description(x[0].shape[1:], classes), notes=[note])


def _kind(y: Array) -> str:
    if y.ndim > 1:
        return "vectors"
    kinds = {"U": "text", "S": "bytes", "b": "whole numbers", "i": "whole numbers", "u": "whole numbers"}
    return kinds.get(y.dtype.kind, "floating-point numbers")


def _numbers(file: str, name: str, array: Array) -> Array:
    """The array as float64 with an axis of samples and at least one more; finite."""
    if array.dtype.kind not in "biuf":
        raise DataError(f"{file}: {name} holds {_kind(array[..., None][0])}, but has to hold numbers.")
    with np.errstate(over="ignore"):
        values = array.astype(np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        found = values[tuple(bad[0])]
        raise DataError(f"{file}: {name} holds {found} in row {bad[0][0]}. Every number has to be finite.")
    return values[:, None] if values.ndim == 1 else values


def _check_rows(file: str, arrays: dict[str, Array]) -> None:
    for x, y in (("x_train", "y_train"), ("x_test", "y_test")):
        if len(arrays[x]) != len(arrays[y]):
            raise DataError(
                f"{file}: {x} has {len(arrays[x])} rows, but {y} has {len(arrays[y])}. Each sample needs one in both."
            )
    for train, test in (("x_train", "x_test"), ("y_train", "y_test")):
        one, other = arrays[train].shape[1:], arrays[test].shape[1:]
        if one != other:
            raise DataError(f"{file}: samples of {train} have shape {one}, but those of {test} {other}. Make them one.")


def _indices(file: str, y: dict[str, Array]) -> tuple[list[Array], list[str]]:
    """Class indices (n,) for whole numbers, and the names of the classes."""
    labels = []
    for name, array in y.items():
        if array.ndim > 1:
            raise DataError(f"{file}: {name} has shape {array.shape}, but class indices need one axis: (n,).")
        values = _numbers(file, name, array)[:, 0]
        bad = np.flatnonzero((values < 0) | (values % 1 != 0) | (values >= MAX_CLASSES))
        if len(bad):
            raise DataError(
                f"{file}: {name} holds {array[bad[0]]} in row {bad[0]}, which is no class index. Write 0, 1, 2, ... up "
                f"to {MAX_CLASSES - 1}, or task: regression to predict the number."
            )
        labels.append(values.astype(np.intp))
    return labels, [str(k) for k in range(int(max(part.max() for part in labels)) + 1)]


def _texts(file: str, y: dict[str, Array]) -> tuple[list[Array], list[str]]:
    """Class indices (n,) for text, and the names of the classes, sorted."""
    if y["y_test"].dtype.kind != "U":
        raise DataError(f"{file}: y_train holds text, but y_test {_kind(y['y_test'])}. Make them one.")
    names, labels = np.unique(np.concatenate(list(y.values())), return_inverse=True)
    return np.split(labels.astype(np.intp), [len(y["y_train"])]), names.tolist()


@dataclass(eq=False)
class CSV(FromFile):
    """A table with a header line, one sample a row: one column is the target, the others are inputs

    x (n, columns) are numbers. A target of text is classes, sorted by name; so are whole numbers, sorted as numbers.
    Fractional numbers are a regression, (n, 1). UTF-8, separated by commas.

    Parameters
    ----------
    column
        The name of the target's column.
    test
        Share of rows that are set aside for the test, chosen at random by the seed.

    Example: {CSV: {path: iris.csv, column: species}}
    """

    column: str
    test: TestShare = 0.2

    def read(self, seed: int) -> Data:
        table = read_table(self.file())
        target = table.index(self.column)
        columns = table.header[:target] + table.header[target + 1 :]
        if not columns:
            raise DataError(f"{table.name}: has no column but the target {self.column!r}. Add columns of inputs.")
        labels, targets, classes, held = self._target(table)
        note = self.note(f"column {self.column!r}", held, classes)
        whole = Split(table.numbers(columns), labels, targets)
        count = round(self.test * len(whole))
        if not 0 < count < len(whole):
            raise DataError(
                f"{table.name}: test {self.test} of {len(whole)} rows leaves an empty split. Change the share."
            )
        order = Stream(seed, "split", "test").at().permutation(len(whole))
        # Sorted, so that rows keep the order they have in the file.
        test, train = whole.rows(np.sort(order[:count])), whole.rows(np.sort(order[count:]))
        return Data(train, test, Description((len(columns),), classes, columns, self.column), notes=[note])

    def _target(self, table: Table) -> tuple[Array | None, Array | None, list[str] | None, str]:
        """Labels or targets, the names of the classes, and what the column holds."""
        cells = table.cells(self.column)
        if self.task != "regression" and self._is_text(table, cells):
            names, inverse = np.unique(cells, return_inverse=True)
            return inverse.astype(np.intp), None, names.tolist(), "text"
        values = table.numbers([self.column])
        fractions = np.flatnonzero(values % 1)
        if self.task == "regression" or (len(fractions) and self.task is None):
            return None, values, None, "fractional numbers" if len(fractions) else "whole numbers"
        if len(fractions):
            raise DataError(
                f"{table.place(fractions[0], self.column)} holds {cells[fractions[0]]!r}, a fractional number, which "
                "is no class. Write task: regression."
            )
        found, inverse = np.unique(values[:, 0], return_inverse=True)
        return inverse.astype(np.intp), None, [str(int(value)) for value in found], "whole numbers"

    def _is_text(self, table: Table, cells: list[str]) -> bool:
        """Whether the target's cells are the names of classes; refuses a column that leaves doubt."""
        values = [number(cell) for cell in cells]
        missing = [row for row, value in enumerate(values) if not cells[row] or (value is not None and value - value)]
        if missing:
            raise table.problem(missing[0], self.column, "a value", len(missing) - 1)
        texts = [row for row, value in enumerate(values) if value is None]
        if texts and len(texts) < len(cells) and self.task is None:
            other = next(row for row, value in enumerate(values) if value is not None)
            raise DataError(
                f"{table.place(texts[0], self.column)} holds {cells[texts[0]]!r}, but line {table.lines[other]} holds "
                f"the number {cells[other]!r}. Make all of them numbers, or write task: classification."
            )
        return bool(texts)


@dataclass
class Table:
    """A CSV file as text.

    Parameters
    ----------
    name
        Of the file, for messages.
    header
        The names of the columns.
    rows
        The cells of each row, without the spaces around them.
    lines
        For each row, the line of the file in which it begins.
    """

    name: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def index(self, column: str) -> int:
        """The position of a column.

        Raises
        ------
        DataError
            If no column has this name.
        """
        if column not in self.header:
            meant = suggestion(column, self.header)
            hint = f" Did you mean {meant!r}?" if meant else ""
            raise DataError(f"{self.name}: has no column {column!r}.{hint} Its columns are {listed(self.header)}.")
        return self.header.index(column)

    def cells(self, column: str) -> list[str]:
        """The cells of a column, from the first row to the last."""
        index = self.index(column)
        return [row[index] for row in self.rows]

    def numbers(self, columns: list[str]) -> Array:
        """The values (rows, columns) of these columns, in this order; finite.

        Raises
        ------
        DataError
            If a column is not there, or a cell is empty or holds no finite number.
        """
        index = [self.index(column) for column in columns]
        # NumPy reads None as NaN.
        values = np.array([[number(row[i]) for i in index] for row in self.rows], dtype=np.float64)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise self.problem(bad[0][0], columns[bad[0][1]], "a number", len(bad) - 1)
        return values

    def place(self, row: int, column: str) -> str:
        """Where a cell is, as the beginning of a message."""
        return f"{self.name}:{self.lines[row]}: column {column!r}"

    def problem(self, row: int, column: str, needed: str, others: int) -> DataError:
        """The error for a cell that does not hold what is needed, as `others` more do not."""
        cell = self.rows[row][self.index(column)]
        found = f"holds {cell!r}" if cell else "is empty"
        if cell and number(cell) is None:
            found += ", which is no number"
        more = f" {others} more {'has' if others == 1 else 'have'} none." if others else ""
        return DataError(f"{self.place(row, column)} {found}. Every cell needs {needed}.{more}")


def read_table(path: str | os.PathLike[str]) -> Table:
    """A CSV file with a header line: UTF-8, cells separated by commas, quoted by \". Empty lines are skipped.

    Raises
    ------
    DataError
        If it cannot be read, or is no such table.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *records = _records(path.name, file) or [(1, [])]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: is no UTF-8 text. Save it as CSV in UTF-8.") from error
    _check_header(path.name, *header)
    if not records:
        raise DataError(f"{path.name}: has a header line, but no rows.")
    width = len(header[1])
    wrong = [(line, len(cells)) for line, cells in records if len(cells) != width]
    if wrong:
        line, count = wrong[0]
        more = f" {len(wrong) - 1} more {'row has' if len(wrong) == 2 else 'rows have'} not." if len(wrong) > 1 else ""
        raise DataError(
            f"{path.name}:{line}: the row has {count} cells, but the header {width} columns. Give every row {width} "
            f"cells.{more}"
        )
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
        raise DataError(
            f"{name}:{line}: is no CSV ({error}). Look for a quotation mark without its partner."
        ) from error
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
    twice = next((column for column in header if header.count(column) > 1), None)
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
    shown = ", ".join(list(names)[:LISTED])
    return f"{shown} and {len(names) - LISTED} more" if len(names) > LISTED else shown
