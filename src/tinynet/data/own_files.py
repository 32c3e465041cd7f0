"""Datasets from a person's own files: arrays in an .npz, and tables in a .csv."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal

import annotated_types as limits
import numpy as np

from tinynet.common import memory
from tinynet.common.annotations import FilePath
from tinynet.common.arrays import Array
from tinynet.common.errors import DataError, OptionError
from tinynet.common.npz import read_npz
from tinynet.data.dataset import Data, Dataset, Description, set_aside
from tinynet.data.loader import Split
from tinynet.data.table import Table, listed, number, read_table
from tinynet.data.targets import MAX_CLASSES

# Bytes for a number of a dataset: as it is read, in float64, and in the net's float32.
NUMBER = 12
PREDICT = "task: regression to predict the number"
NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


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
    task: Literal["classification", "regression"] | None = None
    standardize_targets: bool = False

    def file(self) -> Path:
        path = Path(self.path)
        if not path.exists():
            raise DataError(f"{path.absolute()}: no such file. A relative path is relative to the config's folder.")
        return path

    def note(self, target: str, held: str, classes: list[str] | None) -> str:
        """Which task was taken, and why; raises DataError if there are more classes than can have target vectors."""
        name = Path(self.path).name
        if classes is not None and len(classes) > MAX_CLASSES:
            many = f"{target} holds {held}, which would be {len(classes)} classes, more than {MAX_CLASSES}"
            raise DataError(f"{name}: {many}. Choose another target, or write {PREDICT}.")
        if classes is None:
            taken = "a regression"
        else:
            count = "1 class" if len(classes) == 1 else f"{len(classes)} classes"
            taken = f"a classification of {count}: {listed(classes)}"
        if self.task is not None:
            return f"{name}: {target} holds {held}; task is {self.task}, so this is {taken}."
        other = f"; write {PREDICT}" if held == "whole numbers" else ""
        return f"{name}: {target} holds {held}, so this is {taken}{other}."


@dataclass(eq=False)
class NPZ(FromFile):
    """Arrays x_train, y_train, x_test, y_test in an .npz file

    x (n, *sample) are numbers; (n,) is read as (n, 1), images (n, H, W) as (n, 1, H, W). Images in bytes are used as
    numbers of 0 to 1. y (n,) of whole numbers, booleans or text are classes: the class
    indices themselves, or the sorted texts. Any other y (n, *target) is a regression; (n,) is read as (n, 1).

    Example: {NPZ: data.npz}
    """

    def read(self, seed: int) -> Data:
        found, file = read_npz(self.file()), Path(self.path).name
        missing = [name for name in NPZ_ARRAYS if name not in found]
        if missing:
            needed = f"It needs {', '.join(NPZ_ARRAYS)}, and holds {listed(found) or 'nothing'}."
            raise DataError(f"{file}: has no {', '.join(missing)}. {needed}")
        arrays = {name: found[name] for name in NPZ_ARRAYS}
        for name, array in arrays.items():
            if not array.size or not array.ndim:
                raise DataError(f"{file}: {name} has shape {array.shape}, which holds no samples.")
        _check_rows(file, arrays)
        lacking = memory.shortage(sum(a.nbytes if _is_image(a) else a.size * NUMBER for a in arrays.values()))
        if lacking:
            raise DataError(f"{file}: its numbers take {lacking}. Save fewer, or images as bytes (uint8).")
        x = [_inputs(file, name, arrays[name]) for name in ("x_train", "x_test")]
        y = {name: arrays[name] for name in ("y_train", "y_test")}
        held = _kind(y["y_train"]) if y["y_train"].ndim == 1 else "vectors"
        classify = held in ("text", "whole numbers") if self.task is None else self.task == "classification"
        if classify:
            labels, classes = _texts(file, y) if held == "text" else _indices(file, y)
            train, test = (Split(*pair) for pair in zip(x, labels, strict=True))
        else:
            targets, classes = [_numbers(file, name, values) for name, values in y.items()], None
            train, test = (Split(inputs, targets=values) for inputs, values in zip(x, targets, strict=True))
        note = self.note("y_train", held, classes)
        return Data(train, test, Description(x[0].shape[1:], classes), notes=[note])


def _kind(array: Array) -> str:
    kinds = {"U": "text", "S": "bytes", "b": "whole numbers", "i": "whole numbers", "u": "whole numbers"}
    return kinds.get(array.dtype.kind, "floating-point numbers")


def _numbers(file: str, name: str, array: Array) -> Array:
    """The array as float64 with an axis of samples and at least one more; finite."""
    if array.dtype.kind not in "biuf":
        raise DataError(f"{file}: {name} holds {_kind(array)}, but has to hold numbers. Save it as numbers.")
    with np.errstate(over="ignore"):
        values = array.astype(np.float64, copy=False)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        found = values[tuple(bad[0])]
        raise DataError(f"{file}: {name} holds {found} in row {bad[0][0]}. Every number has to be finite.")
    return values[:, None] if values.ndim == 1 else values


def _inputs(file: str, name: str, array: Array) -> Array:
    """The array as numbers; images (n, H, W) get an axis of channels, and bytes stay bytes."""
    images = array[:, None] if array.ndim == 3 else array
    return images if _is_image(images) else _numbers(file, name, images)


def _is_image(array: Array) -> bool:
    """Whether these are images in bytes, which are used as they are."""
    return array.dtype == np.uint8 and array.ndim in (3, 4)


def _check_rows(file: str, arrays: dict[str, Array]) -> None:
    for x, y in (("x_train", "y_train"), ("x_test", "y_test")):
        if len(arrays[x]) != len(arrays[y]):
            counts = f"{x} has {len(arrays[x])} rows, but {y} has {len(arrays[y])}"
            raise DataError(f"{file}: {counts}. Each sample needs one in both.")
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
            advice = f"Write 0, 1, 2, ... up to {MAX_CLASSES - 1}, or {PREDICT}."
            raise DataError(f"{file}: {name} holds {array[bad[0]]} in row {bad[0]}, which is no class index. {advice}")
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
    test: Annotated[float, limits.Gt(0), limits.Lt(1)] = 0.2

    def read(self, seed: int) -> Data:
        table = read_table(self.file())
        target = table.index(self.column)
        columns = table.header[:target] + table.header[target + 1 :]
        if not columns:
            raise DataError(f"{table.name}: has no column but the target {self.column!r}. Add columns of inputs.")
        labels, targets, classes, held = self._target(table, [row[target] for row in table.rows])
        note = self.note(f"column {self.column!r}", held, classes)
        whole = Split(table.numbers(columns), labels, targets)
        try:
            test, train = set_aside(whole, self.test, seed, "test")
        except OptionError as error:
            raise DataError(f"{table.name}: {error}") from error
        return Data(train, test, Description((len(columns),), classes, columns, self.column), notes=[note])

    def _target(self, table: Table, cells: list[str]) -> tuple[Array | None, Array | None, list[str] | None, str]:
        """Labels or targets, the names of the classes, and what the column holds."""
        if self.task != "regression" and self._is_text(table, cells):
            names, inverse = np.unique(cells, return_inverse=True)
            return inverse.astype(np.intp), None, names.tolist(), "text"
        values = table.numbers([self.column])
        fractions = np.flatnonzero(values % 1)
        if self.task == "regression" or (len(fractions) and self.task is None):
            return None, values, None, "fractional numbers" if len(fractions) else "whole numbers"
        if len(fractions):
            found = table.found(fractions[0], self.column)
            raise DataError(f"{found}, a fractional number, which is no class. Write task: regression.")
        numbers, inverse = np.unique(values[:, 0], return_inverse=True)
        return inverse.astype(np.intp), None, [str(int(value)) for value in numbers], "whole numbers"

    def _is_text(self, table: Table, cells: list[str]) -> bool:
        """Whether the target's cells are the names of classes; refuses a column that leaves doubt."""
        values = [number(cell) for cell in cells]
        missing = [i for i, value in enumerate(values) if not cells[i] or (value is not None and not isfinite(value))]
        if missing:
            raise table.problem(missing[0], self.column, "a value", len(missing) - 1)
        texts = [row for row, value in enumerate(values) if value is None]
        if texts and len(texts) < len(cells) and self.task is None:
            other = next(row for row, value in enumerate(values) if value is not None)
            against = f"line {table.lines[other]} holds the number {cells[other]!r}"
            advice = "Make all of them numbers, or write task: classification."
            raise DataError(f"{table.found(texts[0], self.column)}, but {against}. {advice}")
        return bool(texts)
