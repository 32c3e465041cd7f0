"""The figures of a training as a whole: those of its last and of its best epoch."""

from __future__ import annotations

from typing import Any

from tinynet.common.arrays import Array
from tinynet.runs.statistics import SPREAD, over_rounds
from tinynet.training.evaluation import evaluate
from tinynet.training.experiment import Experiment
from tinynet.training.record import COLUMNS, Record
from tinynet.training.round import Round


def figures_of(experiment: Experiment, status: str) -> dict[str, Any]:
    """What summary.json holds: the last epoch's figures, `last` and `best` with their epochs, and over the rounds.

    With several rounds each figure is the mean over them; `standard_deviation` (of a sample, n - 1), `minimum` and
    `maximum` hold their spread, and `per_round` those of each with its seed. `seconds` is the time of all.
    """
    found = [_of_round(one, status) for one in experiment.rounds]
    if len(found) == 1:
        return {"status": status, "epochs": found[0].pop("epochs"), "rounds": 1, **found[0]}
    last = over_rounds([one["last"] for one in found])
    best = [one["best"] for one in found]
    names = [name for name in last["mean"] if name not in ("epoch", "seconds")]
    return {
        "status": status,
        "epochs": max(one["epochs"] for one in found),
        "rounds": len(found),
        "seconds": sum(one["seconds"] for one in found),
        **{name: last["mean"][name] for name in names},
        "best": None if None in best else over_rounds(best)["mean"],
        "last": last["mean"],
        **{which: {name: last[which][name] for name in names} for which in SPREAD},
        "per_round": [
            {"round": number, "seed": one.config.seed}
            | {name: values for name, values in row.items() if name not in ("mean", "standard_deviation")}
            for number, (one, row) in enumerate(zip(experiment.rounds, found, strict=True))
        ],
    }


def _of_round(one: Round, status: str) -> dict[str, Any]:
    progress = one.progress
    records, best_epoch = progress.records or [Record(0, 0)], progress.best_epoch
    # In the middle of an epoch the parameters are no longer those of the last record; a divergence puts those back.
    last = _figures(
        one, records[-1], at_record=bool(progress.records) and (progress.batch == 0 or status == "diverged")
    )
    best = None
    if best_epoch is not None and one.best_parameters is not None:
        best = _with_parameters(one, one.best_parameters, records[best_epoch])
    return {
        "epochs": progress.epoch,
        "seconds": progress.seconds,
        **{name: value for name, value in last.items() if name not in ("epoch", "seconds")},
        "best": best,
        "last": last,
        "mean": {name: value for name, value in last.items() if name not in ("epoch", "seconds")},
        "standard_deviation": None,
    }


def _figures(one: Round, record: Record, at_record: bool = True) -> dict[str, Any]:
    """A record's figures, and what it has no column for, which takes the net's parameters to be those of the record."""
    found = {name: record[name] for name in COLUMNS if name not in ("round", "learning_rate")}
    test = evaluate(one, one.dataset.test)
    if test.errors is not None:
        return {**found, "test_commonest_error": test.commonest_error}
    r2, error = (test.r2, test.mean_absolute_error) if at_record else (None, None)
    return {**found, "test_r2": r2, "test_mean_absolute_error": error}


def _with_parameters(one: Round, parameters: Array, record: Record) -> dict[str, Any]:
    vector = one.net.vector.all_tensors
    present = vector.copy()
    vector[:] = parameters
    try:
        return _figures(one, record)
    finally:
        vector[:] = present
