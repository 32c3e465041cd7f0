"""`tinynet predict`: uses what was trained on new data."""

from __future__ import annotations

import csv
import io
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinynet.cli.output import counted, say
from tinynet.cli.plugins import plugin_option
from tinynet.common.errors import DataError, ShapeError, UsageError
from tinynet.common.files import write_text

if TYPE_CHECKING:
    from tinynet.common.arrays import Array
    from tinynet.training.experiment import Experiment


@click.command("predict")
@click.argument("checkpoint", metavar="CHECKPOINT|RUN", type=click.Path())
@click.argument("data", metavar="data.csv|data.npz", type=click.Path())
@click.option("--out", type=click.Path(), help="File to write, instead of printing.")
@click.option("--round", "number", type=click.IntRange(min=0), help="Which of several rounds; by default the first, 0.")
@plugin_option
def command(checkpoint: str, data: str, out: str | None, number: int | None) -> None:
    """The class and probabilities (or the values) for each row of a .csv or .npz file, as CSV.

    A .csv has a heading with the columns that were trained on; a .npz holds them as array x (or x_test).
    """
    from tinynet.runs.run import find_checkpoint
    from tinynet.training.experiment import load_checkpoint

    if out is not None and Path(out).exists():
        raise UsageError(f"{out}: this file exists. Name another one with --out.")
    experiment = load_checkpoint(find_checkpoint(checkpoint))
    if number is None and len(experiment.rounds) > 1:
        say(f"By round 0 of {len(experiment.rounds)}; --round chooses another.")
    experiment = experiment.of_round(number or 0)
    x = _inputs(experiment, data)
    try:
        text = _as_csv(experiment, x)
    except ShapeError as error:
        raise DataError(f"{Path(data).name}: {error}") from None
    if out is None:
        click.echo(text, nl=False)
        return
    write_text(Path(out), text)
    say(f"Wrote {counted(len(x), 'prediction')} to {out}")


def _inputs(experiment: Experiment, data: str) -> Array:
    """The rows of a file as inputs, after a check that they are what was trained on."""
    from tinynet.common.npz import read_npz
    from tinynet.data.table import listed, read_table

    shape, name = experiment.net.input_shape, Path(data).name
    if not Path(data).is_file():
        raise UsageError(f"{data}: there is no such file")
    if Path(data).suffix.lower() == ".npz":
        arrays = read_npz(Path(data))
        x = arrays.get("x", arrays.get("x_test"))
        if x is None:
            raise DataError(f"{name}: has no array x (or x_test). It holds {listed(arrays) or 'nothing'}.")
        if x.dtype.kind not in "biuf":
            raise DataError(f"{name}: x has to hold numbers, not {x.dtype}")
        return x[:, None] if x.ndim == 1 and shape == (1,) else x
    if len(shape) != 1:
        raise DataError(f"{name}: the net was trained on samples of shape {shape}, which a .csv cannot hold. Use .npz.")
    table, columns = read_table(data), experiment.description.columns
    if columns is None:
        columns = table.header
        if len(columns) != shape[0]:
            raise DataError(f"{name}: has {len(columns)} columns, but the net was trained on {shape[0]}")
    missing = [column for column in columns if column not in table.header]
    if missing:
        raise DataError(
            f"{name}: lacks the columns {listed(missing)}. The net was trained on {listed(columns)}; "
            f"the file has {listed(table.header)}."
        )
    unused = [c for c in table.header if c not in columns and c != experiment.description.target]
    if unused:
        say(f"{name}: not trained on, so not used: {listed(unused)}")
    return table.numbers(columns)


def _as_csv(experiment: Experiment, x: Array) -> str:
    """A heading and a row for each sample: class and probabilities, or values."""
    import numpy as np

    predicted, target = experiment.predict(x), experiment.description.target
    width = prod(predicted.shape[1:])
    rows = predicted.reshape(len(x), width).tolist()
    if experiment.coding is None:
        names = [target or "value"] if width == 1 else [f"{target or 'value'}_{i + 1}" for i in range(width)]
        if experiment.config.dataset.options["targets"] == "inputs":
            names = experiment.description.columns or names
    else:
        shares = experiment.probabilities(x)
        outputs = experiment.outputs(x) if shares is None else shares
        labels = [experiment.description.class_name(i) for i in range(outputs.shape[-1])]
        # Without probabilities, as with MSE, the outputs say how sure the net is.
        kinds = [f"output_{i + 1}" for i in range(len(labels))]
        names = ["class", *(kinds if shares is None else [f"probability_{label}" for label in labels])]
        values = np.char.mod("%.6g", outputs.astype(float)).tolist()
        rows = [[*row, *value] for row, value in zip(rows, values, strict=True)]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return file.getvalue()
