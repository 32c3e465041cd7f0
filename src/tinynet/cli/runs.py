"""`tinynet runs`: the runs of a folder in a table, and how to go on with those that were stopped."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING

import click

from tinynet.cli.output import figure, json_option, print_json, quoted, table, tell
from tinynet.common.errors import visible

if TYPE_CHECKING:
    from tinynet.runs.listing import Listed

# A name is not cut shorter than this, however narrow the terminal.
SHORTEST = 12
SHOWN = ("train_loss", "train_error", "test_loss", "test_error", "test_r2")


@click.command("runs")
@click.argument("folder", required=False, type=click.Path(), envvar="TINYNET_RUNS", default="runs")
@json_option
@click.pass_context
def command(ctx: click.Context, folder: str, as_json: bool) -> None:
    """The runs in a FOLDER, newest first: status, epoch, last figures, time of training, and when it was started.

    FOLDER is the value of TINYNET_RUNS, or else `runs`, where none is given. Figures of several rounds are means. A run
    that was stopped in the middle is shown with the command that goes on with it.
    """
    from tinynet.common.files import at_home
    from tinynet.runs.listing import list_runs

    path = at_home(folder)
    # What no command has made yet holds no runs; a name that a person types is one that should be there.
    given = ctx.get_parameter_source("folder") is click.core.ParameterSource.COMMANDLINE
    found = list_runs(path) if given or path.exists() else []
    if as_json:
        print_json({"runs": [{**run.to_json(), "resume": _resume(run) if run.resumable else None} for run in found]})
    elif found:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        tell("\n\n".join([_table(found, columns), *_below(found)]))
    else:
        tell(f"{path}: there are no runs yet. `tinynet init disk` and `tinynet train disk.yaml` make one.")


def _table(runs: Sequence[Listed], columns: int | None) -> str:
    """The table, its names cut so that it fits into these columns, if it can."""
    figures = [name for name in SHOWN if any(run.figures.get(name) is not None for run in runs)]
    rounds = any(run.rounds > 1 for run in runs)
    split, kind = zip(*(name.split("_") for name in figures), strict=True) if figures else ((), ())
    rows = [["", "", "", *([""] if rounds else []), *split, "", ""]] if figures else []
    rows.append(["run", "status", "epoch", *(["rounds"] if rounds else []), *kind, "time", "started"])
    now = time.time()
    rows += [_row(run, figures, rounds, now) for run in runs]
    text = table(rows)
    longest, width = max(len(row[0]) for row in rows), max(map(len, text.split("\n")))
    if columns is None or width <= columns:
        return text
    most = max(SHORTEST, longest - (width - columns))
    return table([[_cut(row[0], most), *row[1:]] for row in rows])


def _row(run: Listed, figures: Sequence[str], rounds: bool, now: float) -> list[str]:
    return [
        visible(run.folder.name),
        run.status,
        _of(run.epoch, run.epochs),
        *([_of(run.rounds_counted, run.rounds)] if rounds else []),
        *(figure(name, run.figures.get(name)) for name in figures),
        _duration(run.seconds),
        _ago(now - run.moment),
    ]


def _below(runs: Sequence[Listed]) -> Iterator[str]:
    """What there is to do or to know about runs, under a heading each."""
    for heading, lines in (
        ("Stopped in the middle. To go on:", [visible(_resume(run)) for run in runs if run.resumable]),
        ("Broken:", [f"{visible(str(run.folder))}: {run.problem}" for run in runs if run.problem is not None]),
    ):
        if lines:
            yield "\n  ".join([heading, *lines])


def _resume(run: Listed) -> str:
    """The command that goes on with a run, with the plugins that it was trained with."""
    plugins = "".join(f" --plugin {quoted(path)}" for path in run.plugins)
    return f"tinynet train --resume {quoted(run.folder)}{plugins}"


def _of(done: int | None, asked: int | None) -> str:
    """`12/50`, `50` where it is not known how many there are to be."""
    return f"{'-' if done is None else done}" + ("" if asked is None or done is None else f"/{asked}")


def _duration(seconds: float | None) -> str:
    """`0.24 s`, `4.7 min`, `2.1 h`."""
    if seconds is None or not isfinite(seconds):
        return "-"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:,.1f} h"


def _ago(seconds: float) -> str:
    """`3 h ago`; a time to come, by a clock that was put back, is `just now`."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds / size):,} {unit} ago"
    return "just now"


def _cut(name: str, most: int) -> str:
    """A name of at most this many characters, its begin and its end, where runs of one config differ."""
    return name if len(name) <= most else f"{name[: most - most // 2 - 1]}…{name[-(most // 2) :]}"
