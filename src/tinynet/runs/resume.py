"""Going on with a run where it was left: as the same experiment, or by force as another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tinynet.common.components import options, shown
from tinynet.common.errors import ChangedDataError, CheckpointError, UsageError
from tinynet.config.config import Config, config_difference, from_json, load
from tinynet.config.messages import dotted
from tinynet.config.reader import Keys
from tinynet.nn.schedules import learning_rate_factor
from tinynet.runs.provenance import now
from tinynet.runs.run import Run
from tinynet.training import checkpoint as checkpoints
from tinynet.training.builder import build_round
from tinynet.training.checkpoint import Checkpoint
from tinynet.training.experiment import Experiment, build, restore
from tinynet.training.round import Round

MEASURE = ("layers", "loss", "dtype")  # what a loss is of, but for the data
# What may change, and leaves the experiment what it is.
FREE = (("name",), ("training", "epochs"), ("training", "checkpoint_seconds"))


def resume(
    path: str | os.PathLike[str], overrides: Sequence[str], force: bool = False, command: Sequence[str] = ()
) -> tuple[Run, Experiment]:
    """A run and its experiment as last saved, to go on with `run.train`.

    The config is that of resolved.yaml, with the overrides. A run that was stopped before its first checkpoint begins
    anew.

    Parameters
    ----------
    path
        The run folder.
    overrides
        As for `--set`. `training.epochs` and `training.checkpoint_seconds` may change, and where the data lie, as long
        as they are the same.
    force
        Let everything else change too, but for the number of rounds. The epoch under way begins anew; so do what the
        optimizer remembers where another remembers something else, the search for the best epoch where its loss is of
        another net or other data or measured otherwise, and the count of early stopping where its options change.
    command
        What was typed, for meta.json.

    Raises
    ------
    UsageError
        If another option would change, fewer epochs are asked for than are done, or the schedule leaves them none.
    DataError
        If the data are not those of the training.
    CheckpointError
        If the run's files are broken, or its parameters do not fit the layers that `force` lets change.
    """
    run = Run.open(path)
    resolved, file = run.folder / "resolved.yaml", str(run.last_path)
    if not run.last_path.exists():
        return run, _from_the_beginning(run, overrides)
    found = checkpoints.read(run.last_path)
    experiment = restore(found, file)
    before = experiment.config
    config = load(resolved, *overrides) if resolved.is_file() else from_json(found.metadata["config"], file, overrides)
    changes = _changes(before, config)
    _check_changes(run, changes, force)
    if force:
        found = _fitted(found, before, config)
    if config.training.epochs != before.training.epochs:
        _check_epochs(config, experiment)
    if force or config.to_json() != before.to_json():
        experiment = restore(found, file, config)
    for one in experiment.rounds:
        if changes:
            _begin_anew(one, before)
        try:
            one.dataset  # noqa: B018 (it is loaded, and known to be the same, before anything is written)
        except ChangedDataError as error:
            if not force:
                raise ChangedDataError(f"{error} `--resume --force` goes on with the new one.") from None
            _begin_anew(one, before)
            changes = {**changes, ("dataset",): ["as before", "other samples"]}
    if not experiment.training.finished:
        changed = {dotted(keys): values for keys, values in changes.items()}
        again = {"at": now(), "command": list(command), "epoch": found.epoch, "changed": changed}
        run.meta["resumed"] = [*run.meta.get("resumed", []), again]
        run.meta["seeds"] = [one.config.seed for one in experiment.rounds]
        run.meta["data_sha256"] = experiment.rounds[0].digest()
    return run, experiment


def _from_the_beginning(run: Run, overrides: Sequence[str]) -> Experiment:
    """The experiment of a run that was stopped before its first checkpoint.

    Raises
    ------
    CheckpointError
        If the run had one.
    """
    resolved = run.folder / "resolved.yaml"
    if run.meta["status"] in ("finished", "diverged") or run.best_path.exists():
        raise CheckpointError(f"{run.last_path}: is missing, so the run cannot go on. Train {resolved} anew.")
    before, config = load(resolved), load(resolved, *overrides)
    _check_changes(run, _changes(before, config), force=False)
    experiment = build(config)
    if experiment.rounds[0].digest() != run.meta.get("data_sha256"):
        raise ChangedDataError(f"{run.folder}: the data have changed since the run began. Train {resolved} anew.")
    return experiment


def _changes(before: Config, config: Config) -> dict[Keys, list[object]]:
    """What would make it another experiment: path -> values before and now."""
    paths = {("dataset", before.dataset.cls.__name__, o.name) for o in options(before.dataset.cls) if o.is_path}
    found = config_difference([before.to_json(), config.to_json()])
    return {keys: values for keys, values in found if keys not in FREE and keys not in paths}


def _check_changes(run: Run, changes: dict[Keys, list[object]], force: bool) -> None:
    if ("training", "rounds") in changes:
        raise UsageError(
            f"{run.folder}: the number of rounds cannot change in the middle of a run. Train "
            f"{run.folder / 'resolved.yaml'} anew with --rounds."
        )
    if changes and not force:
        lines = [f"  {dotted(keys)}: {shown(old)} -> {shown(new)}" for keys, (old, new) in changes.items()]
        raise UsageError(
            f"{run.folder}: a resumed run stays the same experiment, but this would change:\n"
            + "\n".join(lines)
            + f"\nLeave it, or train {run.folder / 'resolved.yaml'} anew with it. --force changes it from here on."
        )


def _check_epochs(config: Config, experiment: Experiment) -> None:
    """A run goes on to a number of epochs that is left to do, and that its schedule leaves a learning rate for."""
    epochs = config.training.epochs
    begun = max(one.progress.epoch + (one.progress.batch > 0) for one in experiment.rounds)
    if epochs < begun:
        done = max(one.progress.epoch for one in experiment.rounds)
        what = f"has done {done} already" if begun == done else f"is in epoch {begun} already"
        raise UsageError(f"training.epochs={epochs}: the run {what}")
    schedules = [spec.make() for spec in config.schedule]
    more = epochs > experiment.config.training.epochs
    if more and not learning_rate_factor(schedules, epochs - 1, epochs):
        raise UsageError(
            f"training.epochs={epochs}: the schedule has brought the learning rate to 0 by then, so more epochs change "
            "nothing. Train the config anew with that many."
        )


def _fitted(found: Checkpoint, before: Config, config: Config) -> Checkpoint:
    """The checkpoint as config and data need it: what the optimizer remembers, and what is known of the data."""
    rounds, arrays = found.metadata.get("per_round", [found.metadata]), found.arrays
    own = [config] if len(rounds) == 1 else [config.of_round(number) for number in range(len(rounds))]
    changed: list[dict[str, Any]] = [{"description": build_round(one).description.to_json()} for one in own]
    old, new = before.optimizer.make(), config.optimizer.make()
    if type(old) is not type(new) or old.state_names != new.state_names:
        arrays = {key: values for key, values in arrays.items() if not key.startswith(checkpoints.OPTIMIZER)}
        changed = [{**one, "optimizer_steps": 0} for one in changed]
    rounds = [{**one, **new} for one, new in zip(rounds, changed, strict=True)]
    if "per_round" in found.metadata:
        return replace(found, arrays=arrays, metadata={**found.metadata, "per_round": rounds})
    return replace(found, arrays=arrays, metadata=rounds[0])


def _begin_anew(one: Round, before: Config) -> None:
    """Begin anew what the changes have made meaningless."""
    progress, training, config = one.progress, one.config.training, one.config
    digest, one.data_sha256 = one.data_sha256, None
    progress.batch, progress.loss_sum, progress.errors, progress.samples = 0, 0.0, 0, 0
    same = one.digest() == digest and all(getattr(config, name) == getattr(before, name) for name in MEASURE)
    if not same or training.evaluate_train != before.training.evaluate_train:
        progress.best_epoch, progress.best_loss, one.best_parameters = None, None, None
    if training.early_stopping != before.training.early_stopping:
        progress.watched, progress.waited, progress.stopped_early = None, 0, False
