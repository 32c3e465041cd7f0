"""The figures of an epoch, and how far a training is."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class Record:
    """The figures of one epoch, as in a row of metrics.csv; `record.test_loss` or `record["test_loss"]`.

    Losses are means over a split; errors are shares of wrong classifications, 0 to 1, None in a regression. Epoch 0 is
    the untrained net. train_* are measured after the epoch with `evaluate_train`, else means over its batches.
    seconds is the time spent in training batches so far. None: not measured.
    """

    round: int
    epoch: int
    train_loss: float | None = None
    train_error: float | None = None
    validation_loss: float | None = None
    validation_error: float | None = None
    test_loss: float | None = None
    test_error: float | None = None
    learning_rate: float | None = None
    seconds: float = 0.0

    def __getitem__(self, column: str) -> Any:
        return getattr(self, column)


COLUMNS = tuple(f.name for f in fields(Record))


@dataclass
class Progress:
    """How far a training is: all that it needs to go on, but for parameters and the optimizer's vectors.

    Parameters
    ----------
    epoch
        Epochs done.
    batch
        Batches done in the epoch that is under way.
    loss_sum, errors, samples
        Sums over those batches.
    seconds
        Time in training batches so far.
    records
        One an epoch.
    best_epoch, best_loss
        The smallest loss measured after an epoch, validation before training; None where there is none.
    watched, waited
        Early stopping: the smallest figure so far, and the epochs since.
    stopped_early
        Whether early stopping ended the training.
    """

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    errors: int = 0
    samples: int = 0
    seconds: float = 0.0
    records: list[Record] = field(default_factory=list)
    best_epoch: int | None = None
    best_loss: float | None = None
    watched: float | None = None
    waited: int = 0
    stopped_early: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values; the records as rows under COLUMNS, which keeps long trainings' checkpoints small."""
        return {**vars(self), "records": [[record[name] for name in COLUMNS] for record in self.records]}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Progress:
        """The progress in a checkpoint; raises ValueError, TypeError or KeyError where it is none."""
        from tinynet.common.components import check_types  # slow to import beside a list of runs

        records = [Record(**dict(zip(COLUMNS, row, strict=True))) for row in found["records"]]
        progress = cls(**{**found, "records": records})
        for part in (progress, *progress.records):
            check_types(part)
        return progress
