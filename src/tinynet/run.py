"""The run folder: what a training leaves on the disk, and how it is found again."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

from tinynet import checkpoint as checkpoints
from tinynet import yaml_reader
from tinynet.checkpoint import Checkpoint, capture, joined, restore_parameters
from tinynet.config import Config, from_json
from tinynet.errors import CheckpointError, DivergedError, UsageError
from tinynet.experiment import Experiment, restore
from tinynet.files import write_text
from tinynet.learner import COLUMNS, Record
from tinynet.provenance import blas, git_commit, now, versions
from tinynet.schedules import learning_rate_factor
from tinynet.summary import figures_of

WATCH_SECONDS = 0.1


class Run:
    """One folder with a training's config, figures and checkpoints.

    Parameters
    ----------
    folder
        Where it is; `create` makes a new one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stop = False  # set by a signal: the training ends after the batch
        self.meta: dict[str, Any] = {}

    @property
    def best_path(self) -> Path:
        return self.folder / "checkpoints" / "best.npz"

    @property
    def last_path(self) -> Path:
        return self.folder / "checkpoints" / "last.npz"

    @classmethod
    def create(cls, experiment: Experiment, runs: Path, command: list[str]) -> Run:
        """A new folder `runs/<name>`, or `<name>-2`, `<name>-3`, where that is taken, with all but the training."""
        config = experiment.config
        run = cls(_new_folder(runs, config.name))
        (run.folder / "checkpoints").mkdir()
        (run.folder / "plots").mkdir()
        write_text(run.folder / "config.yaml", config.source.text)
        write_text(run.folder / "resolved.yaml", yaml_reader.dump(config.to_json()))
        run.meta = {
            "name": config.name,
            "status": "running",
            "started": now(),
            "finished": None,
            "command": command,
            "seeds": [one.config.seed for one in experiment.rounds],
            "data_sha256": experiment.digest(),
            "start_from": experiment.started and asdict(experiment.started),
            "git_commit": git_commit(),
            "versions": versions(),
            "blas": blas(),
        }
        run.write_meta()
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """The run in an existing folder.

        Raises
        ------
        UsageError
            If the folder is none or holds no run.
        CheckpointError
            If its meta.json is broken.
        """
        run = cls(Path(path))
        if not run.folder.is_dir():
            raise UsageError(f"{path}: there is no such run folder{_near(run.folder)}")
        try:
            run.meta = json.loads((run.folder / "meta.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(f"{path}: this folder holds no run (it has no meta.json){_near(run.folder)}") from None
        except ValueError:
            run.meta = None  # type: ignore[assignment]
        if not isinstance(run.meta, dict):
            raise CheckpointError(f"{path}: meta.json is broken")
        return run

    def write_meta(self, **changes: Any) -> None:
        """Write meta.json with these changes."""
        self.meta |= changes
        write_text(self.folder / "meta.json", json.dumps(self.meta, indent=2) + "\n")

    def train(self, experiment: Experiment, watch: Callable[[Record | None], None]) -> str:
        """Train to the end, or until `stop` is set, keeping the folder up to date.

        Parameters
        ----------
        experiment
            At its beginning, or where it was left.
        watch
            Called with each record, and now and then in an epoch with None.

        Returns
        -------
        The status: "finished" or "interrupted".

        Raises
        ------
        DivergedError
            If the numbers become NaN or infinite; net and last.npz then hold the last epoch before.
        """
        training = experiment.training
        self.write_metrics(training.records)
        good = self.capture(experiment)
        saved = watched = monotonic()
        status = "interrupted"
        try:
            with (self.folder / "metrics.csv").open("a", newline="", encoding="utf-8") as file:
                for record in training.steps():
                    moment = monotonic()
                    if record is not None:
                        csv.writer(file, lineterminator="\n").writerow(_row(record))
                        file.flush()
                        training.settle()
                        good[record.round] = capture(training.learners[record.round])
                    if record is not None or moment - watched >= WATCH_SECONDS:
                        watch(record)
                        watched = moment
                    if self.stop:
                        break
                    if moment - saved >= experiment.config.training.checkpoint_seconds:
                        self.save(self.capture(experiment), experiment.config)
                        saved = monotonic()
            good = self.capture(experiment)
            status = "finished" if training.finished else "interrupted"
        except DivergedError:
            status = "diverged"
            for one, kept in zip(experiment.rounds, good, strict=True):
                restore_parameters(kept, [*one.net.parameters, *one.net.buffers], str(self.last_path))
            raise
        finally:
            self.save(good, experiment.config)
            self.write_metrics(training.records)
            self.write_meta(status=status, finished=now())
        return status

    @staticmethod
    def capture(experiment: Experiment) -> list[Checkpoint]:
        """A copy of all that the training is at this moment, round by round."""
        experiment.training.settle()
        return [capture(learner) for learner in experiment.training.learners]

    def save(self, rounds: list[Checkpoint], config: Config) -> None:
        """Write last.npz, and best.npz where each round has a best epoch."""
        joined(rounds, config).save(self.last_path)
        if all(one.metadata["progress"].best_epoch is not None for one in rounds):
            joined([one.only_best() for one in rounds], config).save(self.best_path)

    def write_metrics(self, records: list[Record]) -> None:
        """Write metrics.csv anew: its heading, and a row for each record."""
        rows = [",".join(COLUMNS), *(",".join(map(str, _row(record))) for record in records)]
        write_text(self.folder / "metrics.csv", "\n".join(rows) + "\n")

    def records(self) -> list[Record]:
        """The rows of metrics.csv.

        Raises
        ------
        CheckpointError
            If the file is missing or broken.
        """
        try:
            with (self.folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
                return [Record(**{name: _cell(name, row[name]) for name in COLUMNS}) for row in csv.DictReader(file)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{self.folder / 'metrics.csv'}: cannot be read ({error})") from None

    def summarise(self, experiment: Experiment, status: str) -> dict[str, Any]:
        """Write summary.json: the figures of the last and of the best epoch; returns it."""
        summary = figures_of(experiment, status)
        write_text(self.folder / "summary.json", json.dumps(summary, indent=2) + "\n")
        return summary


def find_checkpoint(path: str | os.PathLike[str]) -> Path:
    """The file of a checkpoint, or of a run: its best.npz, or last.npz where there is none.

    Raises
    ------
    UsageError
        If there is neither.
    """
    if not os.path.exists(path):
        raise UsageError(f"{path}: there is no such checkpoint or run folder{_near(Path(path))}")
    if not os.path.isdir(path):
        return Path(path)
    found = checkpoints.of_run(Run.open(path).folder)
    if found is None:
        raise UsageError(f"{path}: this run has no checkpoint yet")
    return found


def resume(path: str | os.PathLike[str], overrides: list[str]) -> tuple[Run, Experiment]:
    """A run and its experiment as last saved, to go on with `run.train`.

    Parameters
    ----------
    path
        The run folder.
    overrides
        As for `--set`; only `training.epochs` and `training.checkpoint_seconds` may change.

    Raises
    ------
    UsageError
        If another option is to change, fewer epochs are asked for than are done, or the schedule leaves them none.
    DataError
        If the data are not those of the training.
    """
    run = Run.open(path)
    for override in overrides:
        name = override.split("=")[0]
        if name not in ("training.epochs", "training.checkpoint_seconds"):
            raise UsageError(
                f"--set {override}: a resumed run stays the same experiment: only training.epochs and "
                f"training.checkpoint_seconds may change. Train {run.folder / 'resolved.yaml'} anew for another {name}."
            )
    if not run.last_path.exists():
        raise UsageError(f"{path}: this run has no checkpoint yet. Train {run.folder / 'resolved.yaml'} anew.")
    found, file = checkpoints.read(run.last_path), str(run.last_path)
    experiment = restore(found, file)
    if overrides:
        config = from_json(found.metadata["config"], file, overrides)
        _check_epochs(config, experiment.config, found.epoch)
        experiment = restore(found, file, config)
    for one in experiment.rounds:
        one.dataset  # noqa: B018 (it is loaded, and known to be the same, before anything is written)
    if not experiment.training.finished:
        write_text(run.folder / "resolved.yaml", yaml_reader.dump(experiment.config.to_json()))
    return run, experiment


def _check_epochs(config: Config, before: Config, done: int) -> None:
    """A run goes on to a number of epochs that is left to do, and that its schedule leaves a learning rate for."""
    epochs = config.training.epochs
    if epochs < done:
        raise UsageError(f"training.epochs={epochs}: the run has done {done} already")
    schedules = [spec.make() for spec in config.schedule]
    if epochs > before.training.epochs and not learning_rate_factor(schedules, epochs - 1, epochs):
        raise UsageError(
            f"training.epochs={epochs}: the schedule has brought the learning rate to 0 by then, so more epochs change "
            "nothing. Train the config anew with that many."
        )


def _new_folder(runs: Path, name: str) -> Path:
    for count in range(1, 100_000):
        folder = runs / (name if count == 1 else f"{name}-{count}")
        try:
            folder.mkdir(parents=True)
            return folder
        except (FileExistsError, NotADirectoryError):
            if not runs.is_dir():
                raise UsageError(f"{runs}: this is a file, so no runs can be kept in it") from None
    raise UsageError(f"{runs}: there are too many runs called {name}")


def _near(path: Path) -> str:
    """Where the run may be that a person means by its bare name."""
    folder = Path(os.environ.get("TINYNET_RUNS", "runs")) / path
    return f". Did you mean {folder}?" if (folder / "meta.json").exists() else ""


def _row(record: Record) -> list[Any]:
    values = [record[name] for name in COLUMNS]
    return [
        "" if value is None else round(value, 6) if name == "seconds" else value
        for name, value in zip(COLUMNS, values, strict=True)
    ]


def _cell(name: str, text: str) -> Any:
    if name in ("round", "epoch"):
        return int(text)
    return float(text) if text else None
