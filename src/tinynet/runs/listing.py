"""The runs of a folder in a list: how far each is, its figures, whether it goes on. It reads text alone."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tinynet.common import VERSION
from tinynet.common.errors import CheckpointError, UsageError
from tinynet.common.files import broken_as, is_held, read_json, read_text
from tinynet.runs import metrics
from tinynet.runs.metrics import MEASURED
from tinynet.training.record import Record

FORMAT = 1  # of meta.json and its like, where that says which it has
STATUSES = ("running", "finished", "interrupted", "diverged")
UNMEASURED = ("test_r2", "test_mean_absolute_error")  # during the training, and of a regression alone
FIGURES = (*MEASURED, *UNMEASURED)
LONGEST = 200  # characters of a problem, which may quote what a file holds


@dataclass
class Listed:
    """A run as its text files tell it.

    Parameters
    ----------
    folder
        The run's.
    status
        "running"; "finished"; "diverged"; "interrupted", by a signal or a fault that it could answer; "stopped", by a
        kill or a power cut; "broken", if a file cannot be read.
    epoch, epochs
        Done, and asked for; None where not known.
    rounds, rounds_counted
        Of the run; those that epoch and figures are of, which leaves out the round under way where it is behind.
    figures
        Of the last epoch, by name as in summary.json, means over the rounds that count; None: not measured.
    seconds
        Of training, of all rounds.
    started, finished
        As in meta.json.
    moment
        When it started, in seconds since 1970; where that is not known, when meta.json was written.
    plugins
        The files that its command named with `--plugin`.
    problem
        What is broken.
    """

    folder: Path
    status: str = "broken"
    epoch: int | None = None
    epochs: int | None = None
    rounds: int = 1
    rounds_counted: int = 0
    figures: dict[str, float | None] = field(default_factory=dict)
    seconds: float | None = None
    started: str | None = None
    finished: str | None = None
    moment: float = 0.0
    plugins: list[str] = field(default_factory=list)
    problem: str | None = None

    @property
    def resumable(self) -> bool:
        """Whether it was stopped in the middle."""
        return self.status in ("interrupted", "stopped")

    def to_json(self) -> dict[str, Any]:
        names = ("status", "epoch", "epochs", "rounds", "rounds_counted", "seconds", "started", "finished", "problem")
        return {
            "run": str(self.folder),
            "name": self.folder.name,
            **{name: getattr(self, name) for name in names},
            **{name: self.figures.get(name) for name in FIGURES},
        }


def list_runs(folder: Path) -> list[Listed]:
    """The runs in a folder, those that started last first. What holds no meta.json, or is hidden, is no run.

    Raises
    ------
    UsageError
        If there is no such folder, or it is a run itself.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        raise UsageError(f"{folder}: there is no such folder. `tinynet train CONFIG` keeps its runs in runs/") from None
    except NotADirectoryError:
        raise UsageError(f"{folder}: this is a file. Name the folder that holds the runs.") from None
    found = [run for name in names if name[0] != "." and (run := read(folder / name))]
    if not found and "meta.json" in names:
        raise UsageError(f"{folder}: this is a run. Name the folder that holds it.")
    # Runs of the same second are told apart by what was written last.
    return sorted(found, key=lambda run: (run.moment, _written(run.folder), run.folder.name), reverse=True)


def read(folder: Path) -> Listed | None:
    """The run in a folder, broken or not; None where there is none."""
    found = Listed(folder, moment=_written(folder))
    try:
        meta = read_json(folder / "meta.json")
        if meta is None:
            return None
        status = meta.get("status")
        if status == "running" and not is_training(folder):
            meta = read_json(folder / "meta.json") or meta  # it may have ended since
            status = "stopped" if meta.get("status") == "running" else meta.get("status")
        _take_meta(found, meta)
        _take_figures(found, str(status))
        found.status = str(status)
    except CheckpointError as error:
        found.problem = str(error)[:LONGEST]
    return found


def is_training(folder: Path) -> bool:
    """Whether a process holds a run's folder, as one does that trains it.

    Where that cannot be known, on a system or a file system without locks, what meta.json says is believed.
    """
    return is_held(folder) is not False


def _take_meta(found: Listed, meta: dict[str, Any]) -> None:
    """What meta.json says, and resolved.yaml of the epochs."""
    if meta.get("format", FORMAT) != FORMAT:
        raise CheckpointError(f"the run has format {meta['format']!r}, but tinynet {VERSION} reads format {FORMAT}")
    if meta.get("status") not in STATUSES:
        raise CheckpointError(f"meta.json is broken: its status is {meta.get('status')!r}")
    with broken_as("meta.json"):
        found.moment = _moment(meta["started"])
        found.started = meta["started"]
        if meta.get("finished") is not None:
            _moment(meta["finished"])
            found.finished = meta["finished"]
        found.rounds = max(1, len(meta.get("seeds") or []))
        found.plugins = _plugins(meta.get("command") or [])
    # As reader.dump writes it, whose text is the same for the same config: to parse YAML takes milliseconds.
    text = read_text(found.folder / "resolved.yaml")
    asked = re.search(r"^training:\s*\{?epochs: (\d{1,18})\b", text or "", re.MULTILINE)
    if text is not None and asked is None:
        raise CheckpointError("resolved.yaml is broken: it has no training.epochs")
    found.epochs = int(asked[1]) if asked else None


def _take_figures(found: Listed, status: str) -> None:
    """The last figures: of a finished run those of summary.json, else those of metrics.csv."""
    summary = read_json(found.folder / "summary.json") or {}
    with broken_as("summary.json"):
        done = metrics.count(_number(summary["epochs"])) if status == summary.get("status") == "finished" else None
    with broken_as("metrics.csv"):
        rows = metrics.newest(found.folder, whole=found.rounds > 1 and done is None)
        if not rows and status not in ("running", "stopped"):
            raise ValueError("it has no rows" if (found.folder / metrics.FILE).exists() else "it is missing")
    with broken_as("summary.json"):
        if done is not None:
            found.epoch, found.rounds_counted = done, found.rounds
            found.seconds = _number(summary["seconds"])
            summary = dict.fromkeys(UNMEASURED) | summary
            found.figures = {name: _number(summary[name]) for name in FIGURES}
    if done is None and rows:
        found.seconds = sum(row.seconds or 0.0 for row in rows)
        rows = rows if status == "finished" else _counted(rows)
        found.epoch, found.rounds_counted = max(row.epoch for row in rows), len(rows)
        found.figures = {name: _mean([row[name] for row in rows]) for name in MEASURED}


def _counted(rows: list[Record]) -> list[Record]:
    """All but the round of the newest row, if others are further: of rounds one after another it is under way."""
    furthest = max(row.epoch for row in rows)
    return rows if rows[0].epoch >= furthest - 1 else rows[1:]


def _plugins(command: list[Any]) -> list[str]:
    """The files that a command line names with `--plugin`."""
    words, found = iter(command), []
    for word in words:
        name, equals, value = str(word).partition("=")
        if name == "--plugin":
            found.append(value if equals else str(next(words, "")))
    return found


def _moment(text: str) -> float:
    """A time of meta.json in seconds since 1970."""
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _number(value: Any) -> float | None:
    """A figure of a JSON file."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ValueError(f"{value!r} is no number")
    return None if value is None else float(value)


def _written(folder: Path) -> float:
    """When a run's meta.json was written; 0 where that cannot be known."""
    try:
        return os.stat(folder / "meta.json").st_mtime
    except OSError:
        return 0.0
