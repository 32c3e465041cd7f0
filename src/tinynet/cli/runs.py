"""`tinynet runs`: the runs of a folder in a table, and how to go on with those that were stopped."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING

import click

from tinynet.cli.output import figure, json_option, print_json, quoted, table, tell, width
from tinynet.common.errors import visible
from tinynet.common.files import at_home

if TYPE_CHECKING:
    from tinynet.runs.listing import Listed

# A name is not cut shorter than this, however narrow the terminal, and not to less than READABLE while columns can go.
SHORTEST, READABLE = 12, 20
SHOWN = ("train_loss", "train_error", "test_loss", "test_error", "test_r2")
# What can go where there is no room for all columns, the least important first.
SPARED = ("train_loss", "train_error", "time", "test_loss", "rounds")


@click.command("runs")
@click.argument("folder", required=False, type=click.Path(), envvar="TINYNET_RUNS", default="runs")
@json_option
@click.pass_context
def command(ctx: click.Context, folder: str, as_json: bool) -> None:
    """The runs in a FOLDER, newest first: status, epoch, last figures, time of training, and when it was started.

    FOLDER is the value of TINYNET_RUNS, or else `runs`, where none is given. Figures of several rounds are means. A run
    that was stopped in the middle is shown with the command that goes on with it.
    """
    from tinynet.runs.listing import list_runs

    path = at_home(folder)
    # What no command has made yet holds no runs; a name that a person types is one that should be there.
    given = ctx.get_parameter_source("folder") is click.core.ParameterSource.COMMANDLINE
    found = list_runs(path) if given or path.exists() else []
    if as_json:
        print_json({"runs": [{**run.to_json(), "resume": _resume(run) if run.resumable else None} for run in found]})
    elif found:
        room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        tell("\n\n".join([*_table(found, room), *_below(found)]))
    else:
        tell(f"{path}: there are no runs yet. `tinynet init disk` and `tinynet train disk.yaml` make one.")


def _table(runs: Sequence[Listed], room: int | None) -> Iterator[str]:
    """The table, on a terminal in as many columns as it has, with a note of what was left out for that."""
    keys = ["run", "status", "epoch"]
    keys += ["rounds"] if any(run.rounds > 1 for run in runs) else []
    keys += [name for name in SHOWN if any(run.figures.get(name) is not None for run in runs)]
    keys += ["time", "started"]
    now = time.time()
    cells = {key: [*_heading(key), *(_cell(key, run, now) for run in runs)] for key in keys}
    note = "" if room is None else _fit(cells, room)
    rows = list(zip(*cells.values(), strict=True))
    yield table(rows if any(rows[0]) else rows[1:])
    if note:
        yield note


def _fit(cells: dict[str, list[str]], room: int) -> str:
    """Leave out columns and cut names until the table has room; returns a note of what was left out, or nothing."""
    widths = {key: 2 + max(map(width, column)) for key, column in cells.items()}
    longest = widths.pop("run") - 2
    left = []
    for key in SPARED:
        if key in widths and min(longest, READABLE) + sum(widths.values()) > room:
            del widths[key], cells[key]
            left.append(key.replace("_", " "))
    most = max(SHORTEST, room - sum(widths.values()))
    cells["run"] = [_cut(name, most) for name in cells["run"]]
    return textwrap.fill(f"Left out, for want of room: {', '.join(left)}. --json has them.", room) if left else ""


def _heading(key: str) -> list[str]:
    return key.split("_") if key in SHOWN else ["", key]


def _cell(key: str, run: Listed, now: float) -> str:
    match key:
        case "run":
            return visible(run.folder.name)
        case "status":
            return run.status
        case "epoch":
            return _of(run.epoch, run.epochs)
        case "rounds":
            return _of(run.rounds_counted, run.rounds)
        case "time":
            return _duration(run.seconds)
        case "started":
            return _ago(now - run.moment)
    return figure(key, run.figures.get(key))


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
    """A name in at most this many columns, its begin and its end, where runs of one config differ."""
    if width(name) <= most:
        return name
    begin, end = name, name
    while width(begin) > most - most // 2 - 1:
        begin = begin[:-1]
    while width(end) > most // 2:
        end = end[1:]
    return f"{begin}…{end}"
