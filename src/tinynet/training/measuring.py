"""After each epoch: its record, whether it is the best so far, and whether the training is to stop."""

from __future__ import annotations

from math import isfinite

import numpy as np

from tinynet.common.errors import DivergedError
from tinynet.training.evaluation import quick_figures
from tinynet.training.record import Record
from tinynet.training.round import Round
from tinynet.training.workers import Pieces


def counts_errors(one: Round) -> bool:
    """Whether wrong classifications are counted batch by batch, because they are not measured after the epoch."""
    return one.coding is not None and not one.config.training.evaluate_train


def measure(one: Round, pieces: Pieces) -> Record:
    """The record of the epoch just done, or of the untrained net, and what follows from it.

    Parameters
    ----------
    one
        The round; its progress then has the record, and the sums of the epoch begin anew.
    pieces
        What it was trained by, to say where a divergence began.

    Raises
    ------
    DivergedError
        If a parameter or a loss is NaN or infinite.
    """
    progress, data, options = one.progress, one.dataset, one.config.training
    epoch = progress.epoch + 1 if progress.records else 0
    with np.errstate(all="ignore"):
        if not np.isfinite(one.net.vector.all_tensors).all():
            raise diverged(one, epoch, "a parameter became NaN or infinite", pieces)
        record = Record(round=one.number or 0, epoch=epoch, seconds=progress.seconds)
        record.test_loss, record.test_error = quick_figures(one, data.test)
        if data.validation is not None:
            record.validation_loss, record.validation_error = quick_figures(one, data.validation)
        if options.evaluate_train:
            record.train_loss, record.train_error = quick_figures(one, data.train)
    if epoch > 0:
        record.learning_rate = one.optimizer.learning_rate
        if not options.evaluate_train:
            record.train_loss = progress.loss_sum / progress.samples
            record.train_error = progress.errors / progress.samples if counts_errors(one) else None
    for name in ("train_loss", "validation_loss", "test_loss"):
        if record[name] is not None and not isfinite(record[name]):
            raise diverged(one, epoch, f"{name} became {record[name]}", pieces)
    progress.epoch = epoch
    notice_best(one, record)
    notice_stopping(one, record)
    progress.records.append(record)
    progress.batch, progress.loss_sum, progress.errors, progress.samples = 0, 0.0, 0, 0
    return record


def notice_best(one: Round, record: Record) -> None:
    """Keep the parameters of the epoch with the smallest loss: the validation loss, or without a validation split the
    training loss where it is measured after the epoch. Never by the test set."""
    loss = record.validation_loss
    if loss is None and one.config.training.evaluate_train:
        loss = record.train_loss
    progress = one.progress
    if loss is not None and (progress.best_loss is None or loss < progress.best_loss):
        progress.best_epoch, progress.best_loss = progress.epoch, loss
        one.best_parameters = one.net.vector.all_tensors.copy()


def notice_stopping(one: Round, record: Record) -> None:
    """Stop early where the figure that is watched has not become smaller for `patience` epochs."""
    stopping, progress = one.config.training.early_stopping, one.progress
    if stopping is None:
        return
    value: float = record[stopping.monitor]
    if progress.watched is None or value < progress.watched - stopping.min_delta:
        progress.watched, progress.waited = value, 0
    else:
        progress.waited += 1
        progress.stopped_early = progress.waited >= stopping.patience


def diverged(one: Round, epoch: int, what: str, pieces: Pieces) -> DivergedError:
    """The error to raise where numbers have become NaN or infinite: where, since which layer, and what to try."""
    optimizer = one.optimizer
    advice = f"Try a smaller learning rate (optimizer.{type(optimizer).__name__}.lr, now {optimizer.lr:g})"
    advice += ", or training.clip_norm: 1." if one.config.training.clip_norm is None else "."
    if epoch == 0:
        advice = "Nothing was trained yet: the data's numbers are too large. Try standardize: true, or dtype: float64."
    which = "" if one.number is None else f" of round {one.number}"
    return DivergedError(f"the training{which} diverged in epoch {epoch}: {what}. {pieces.blame(one.net)} {advice}")
