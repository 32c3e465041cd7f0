"""Going on with a run where it was left: as the same experiment, or by force as another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from tinynet import checkpoint as checkpoints
from tinynet.checkpoint import Checkpoint
from tinynet.config import Config, from_json, load
from tinynet.difference import config_difference
from tinynet.errors import ChangedDataError, UsageError
from tinynet.experiment import Experiment, build, restore
from tinynet.messages import dotted
from tinynet.provenance import now
from tinynet.registry import options, shown
from tinynet.run import Run
from tinynet.schedules import learning_rate_factor
from tinynet.yaml_reader import Keys

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
        optimizer remembers where another remembers something else, the search for the best epoch where its loss is
        measured in another way or on other data, and the count of early stopping where its options change.
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
        return run, build(load(resolved, *overrides))
    found = checkpoints.read(run.last_path)
    experiment = restore(found, file)
    before = experiment.config
    config = load(resolved, *overrides) if resolved.exists() else from_json(found.metadata["config"], file, overrides)
    changes = _changes(before, config)
    if changes:
        _check_changes(run, changes, force)
        found = _fitted(found, before, config)
    if config.training.epochs != before.training.epochs:
        _check_epochs(config, before, found.epoch)
    if config.to_json() != before.to_json():
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
    return run, experiment


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
    if not force:
        lines = [f"  {dotted(keys)}: {shown(old)} -> {shown(new)}" for keys, (old, new) in changes.items()]
        raise UsageError(
            f"{run.folder}: a resumed run stays the same experiment, but this would change:\n"
            + "\n".join(lines)
            + f"\nLeave it, or train {run.folder / 'resolved.yaml'} anew with it. --force changes it from here on."
        )


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


def _fitted(found: Checkpoint, before: Config, config: Config) -> Checkpoint:
    """The checkpoint without what the optimizer remembers, where the config's remembers something else."""
    old, new = before.optimizer.make(), config.optimizer.make()
    if type(old) is type(new) and old.state_names == new.state_names:
        return found
    arrays = {key: values for key, values in found.arrays.items() if not key.startswith(checkpoints.OPTIMIZER)}
    metadata = {**found.metadata, "optimizer_steps": 0}
    if "per_round" in metadata:
        metadata["per_round"] = [{**one, "optimizer_steps": 0} for one in metadata["per_round"]]
    return replace(found, arrays=arrays, metadata=metadata)


def _begin_anew(one: Experiment, before: Config) -> None:
    """Begin anew what the changes have made meaningless."""
    assert one.learner is not None
    progress, training = one.learner.progress, one.config.training
    digest, one.data_sha256 = one.data_sha256, None
    progress.batch, progress.loss_sum, progress.errors, progress.samples = 0, 0.0, 0, 0
    same = one.digest() == digest and one.config.loss == before.loss
    if not same or training.evaluate_train != before.training.evaluate_train:
        progress.best_epoch, progress.best_loss, one.learner.best_parameters = None, None, None
    if training.early_stopping != before.training.early_stopping:
        progress.watched, progress.waited, progress.stopped_early = None, 0, False
