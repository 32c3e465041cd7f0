"""The figures of a training as a whole: those of its last and of its best epoch."""

from __future__ import annotations

from typing import Any

from tinynet.core import Array
from tinynet.evaluation import evaluate
from tinynet.experiment import Experiment
from tinynet.learner import COLUMNS, Learner, Record


def figures_of(experiment: Experiment, learner: Learner, status: str) -> dict[str, Any]:
    """What summary.json holds: the last epoch's figures, `last` and `best` with their epochs, and over the rounds."""
    progress = learner.progress
    records, best_epoch = progress.records or [Record(0, 0)], progress.best_epoch
    # In the middle of an epoch the parameters are no longer those of the last record; a divergence puts those back.
    last = _figures(
        experiment, records[-1], at_record=bool(progress.records) and (progress.batch == 0 or status == "diverged")
    )
    best = None
    if best_epoch is not None and learner.best_parameters is not None:
        best = _with_parameters(experiment, learner.best_parameters, records[best_epoch])
    return {
        "status": status,
        "epochs": progress.epoch,
        "rounds": 1,
        "seconds": progress.seconds,
        **{name: value for name, value in last.items() if name not in ("epoch", "seconds")},
        "best": best,
        "last": last,
        "mean": {name: value for name, value in last.items() if name not in ("epoch", "seconds")},
        "standard_deviation": None,
    }


def _figures(experiment: Experiment, record: Record, at_record: bool = True) -> dict[str, Any]:
    """A record's figures, and what it has no column for, which takes the net's parameters to be those of the record."""
    found = {name: record[name] for name in COLUMNS if name not in ("round", "learning_rate")}
    test = evaluate(experiment, experiment.dataset.test)
    if test.errors is not None:
        return {**found, "test_commonest_error": test.commonest_error}
    r2, error = (test.r2, test.mean_absolute_error) if at_record else (None, None)
    return {**found, "test_r2": r2, "test_mean_absolute_error": error}


def _with_parameters(experiment: Experiment, parameters: Array, record: Record) -> dict[str, Any]:
    vector = experiment.net.vector.all_tensors
    present = vector.copy()
    vector[:] = parameters
    try:
        return _figures(experiment, record)
    finally:
        vector[:] = present
