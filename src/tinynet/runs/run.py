"""The run folder: what a training leaves on the disk, and how it is found again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

from tinynet.common.errors import CheckpointError, DivergedError, RunError, UsageError
from tinynet.common.files import clear, held, identity, part_of, read_json, renamed, write_text
from tinynet.config import reader
from tinynet.config.config import Config
from tinynet.runs import metrics
from tinynet.runs.provenance import made_with, now
from tinynet.runs.summary import figures_of
from tinynet.training import checkpoint as checkpoints
from tinynet.training.checkpoint import Checkpoint, capture, joined
from tinynet.training.experiment import Experiment
from tinynet.training.record import Record

WATCH_SECONDS = 0.1
OLD_SECONDS = 3600.0  # after which nobody is still making a folder


class Run:
    """One folder with a training's config, figures and checkpoints.

    Parameters
    ----------
    folder
        Where it is; `create` makes a new one.

    Attributes
    ----------
    stop
        Set by a signal: the training ends after the batch.
    meta
        What meta.json holds.
    summary
        What summary.json holds, after a training.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stop = False
        self.meta: dict[str, Any] = {}
        # The folder, as the system knows it, while this process trains in it; and its last.npz, as last seen.
        self.held: Any = None
        self.seen: Any = None
        self.summary: dict[str, Any] = {}

    @property
    def best_path(self) -> Path:
        return self.folder / "checkpoints" / "best.npz"

    @property
    def last_path(self) -> Path:
        return self.folder / "checkpoints" / "last.npz"

    @classmethod
    def create(cls, experiment: Experiment, runs: Path, command: list[str]) -> Run:
        """A new folder `runs/<name>`, or `<name>-2`, `<name>-3`, where that is taken, with all but the training.

        It is there as a whole or not at all.

        Raises
        ------
        UsageError
            If `runs` is a file.
        RunError
            If the folder cannot be made.
        """
        config = experiment.config
        meta = {
            "name": config.name,
            "status": "running",
            "started": now(),
            "finished": None,
            "seeds": [one.config.seed for one in experiment.rounds],
            "data_sha256": experiment.rounds[0].digest(),
            "start_from": experiment.started and asdict(experiment.started),
            **made_with(command),
        }
        if runs.exists() and not runs.is_dir():
            raise UsageError(f"{runs}: this is a file, so no runs can be kept in it")
        run = cls(part_of(runs / config.name))
        try:
            clear(runs, OLD_SECONDS)
            for folder in ("checkpoints", "plots"):
                (run.folder / folder).mkdir(parents=True)
            write_text(run.folder / "config.yaml", config.source.text, sync=True)
            run.write_config(config)
            run.write_meta(**meta)
            run.folder = renamed(run.folder, config.name)
        except BaseException as error:
            shutil.rmtree(run.folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise RunError(f"{runs}: no run can be kept there ({error.strerror or error}).") from error
            raise
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
            meta = read_json(run.folder / "meta.json")
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None
        if meta is None:
            raise UsageError(f"{path}: this folder holds no run (it has no meta.json){_near(run.folder)}")
        needed = {"name": str, "status": str, "seeds": list}
        if not all(isinstance(meta.get(name), kind) for name, kind in needed.items()):
            raise CheckpointError(f"{path}: meta.json is broken: it lacks a run's name, status or seeds")
        run.meta, run.seen = meta, identity(run.last_path)
        return run

    def write_meta(self, **changes: Any) -> None:
        """Write meta.json with these changes."""
        self.meta |= changes
        write_text(self.folder / "meta.json", json.dumps(self.meta, indent=2) + "\n", sync=True)

    def write_config(self, config: Config) -> None:
        """Write resolved.yaml."""
        write_text(self.folder / "resolved.yaml", reader.dump(config.to_json()), sync=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around what writes into the folder: raises RunError where the system refuses it."""
        gone = f"{self.folder}: the run's folder is gone, deleted or moved, so nothing more can be saved."
        if self.held not in (None, identity(self.folder)):  # another may have its name
            raise RunError(gone)
        try:
            yield
        except OSError as error:
            why = f"cannot be written ({error.strerror or error}). What was saved there before is whole."
            raise RunError(f"{self.folder}: {why}" if self.folder.is_dir() else gone) from error

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
        The status: "finished" or "interrupted". `summary` then has the figures.

        Raises
        ------
        DivergedError
            If the numbers become NaN or infinite; net and last.npz then hold the last epoch before.
        UsageError
            If another process is training this run.
        RunError
            If the folder can no longer be written, because the disk is full or it was deleted. What was saved before
            is whole.
        """
        try:
            with held(self.folder):
                if identity(self.last_path) != self.seen:
                    raise UsageError(f"{self.folder}: another process has gone on with this run meanwhile. Try again.")
                self.held = identity(self.folder)
                return self._train(experiment, watch)
        except BlockingIOError:
            raise UsageError(f"{self.folder}: another process is training this run. Wait for it, or stop it.") from None
        finally:
            self.held = None

    def _train(self, experiment: Experiment, watch: Callable[[Record | None], None]) -> str:
        with self.writing():
            self._clear(experiment)
            self.write_config(experiment.config)
            metrics.write(self.folder, experiment.training.records)
            self.write_meta(status="running", finished=None)
        try:
            return self._followed(experiment, watch)
        except DivergedError:
            raise
        except BaseException:
            # Stopped at once: what was saved last stands.
            with suppress(OSError):
                self.write_meta(status="interrupted", finished=now())
            raise

    def _followed(self, experiment: Experiment, watch: Callable[[Record | None], None]) -> str:
        """Train, and write all that is left then; returns the status."""
        try:
            self._follow(experiment, watch)
        except DivergedError:
            experiment.training.take_back()
            self._finish(experiment, "diverged")
            raise
        status = "finished" if experiment.training.finished else "interrupted"
        self._finish(experiment, status)
        return status

    def _follow(self, experiment: Experiment, watch: Callable[[Record | None], None]) -> None:
        """Go through the training's steps, and keep the folder up to date."""
        training, saved = experiment.training, monotonic()
        watched = saved
        for record in training.steps():
            moment = monotonic()
            if record is not None:
                with self.writing():
                    metrics.append(self.folder, record)
            if record is not None or moment - watched >= WATCH_SECONDS:
                watch(record)
                watched = moment
            if self.stop:
                training.settle()
                return
            if moment - saved >= experiment.config.training.checkpoint_seconds:
                self.save(self.capture(experiment), experiment.config)
                saved = monotonic()

    def _clear(self, experiment: Experiment) -> None:
        """Remove what a process that was killed had begun to write, and put a best.npz aside that is no longer it."""
        for folder in (self.folder, self.last_path.parent):
            clear(folder)
        progress = [one.progress for one in experiment.rounds]
        if self.best_path.exists() and any(one.best_epoch is None for one in progress):
            self.best_path.rename(self.best_path.with_name(f"best-before-{max(one.epoch for one in progress) + 1}.npz"))

    def _finish(self, experiment: Experiment, status: str) -> None:
        """Write all that a training leaves; the status last, when the rest is there."""
        self.save(self.capture(experiment), experiment.config)
        with self.writing():
            metrics.write(self.folder, experiment.training.records)
            self.summary = figures_of(experiment, status)
            write_text(self.folder / "summary.json", json.dumps(self.summary, indent=2) + "\n", sync=True)
            self.write_meta(status=status, finished=now())

    @staticmethod
    def capture(experiment: Experiment) -> list[Checkpoint]:
        """A copy of all that the training is at this moment, round by round."""
        experiment.training.settle()
        return [capture(one) for one in experiment.rounds]

    def save(self, rounds: list[Checkpoint], config: Config) -> None:
        """Write last.npz, and best.npz where each round has a best epoch."""
        with self.writing():
            joined(rounds, config).save(self.last_path)
            self.seen = identity(self.last_path)
            if all(one.metadata["progress"].best_epoch is not None for one in rounds):
                joined([one.only_best() for one in rounds], config).save(self.best_path)

    def records(self) -> list[Record]:
        """The rows of metrics.csv; raises CheckpointError if it is missing or broken."""
        return metrics.read(self.folder)


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


def _near(path: Path) -> str:
    """Where the run may be that a person means by its bare name."""
    folder = Path(os.environ.get("TINYNET_RUNS", "runs")) / path
    return f". Did you mean {folder}?" if (folder / "meta.json").exists() else ""
