"""The training loop: batch by batch, one record an epoch. It prints nothing and writes no file."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import replace
from math import isfinite
from time import perf_counter
from typing import Any

import numpy as np

from tinynet.common.arrays import Array
from tinynet.common.errors import DivergedError
from tinynet.data.loader import Loader
from tinynet.nn.random import Stream
from tinynet.nn.schedules import learning_rate_factor
from tinynet.training.builder import Parts
from tinynet.training.evaluation import classify, compare_with, in_units, quick_figures
from tinynet.training.record import Progress, Record
from tinynet.training.workers import Pieces


class Learner:
    """Trains a net.

    Parameters
    ----------
    parts
        The net and all that it is trained with.
    progress
        Where to go on; by default at the beginning.
    best_parameters
        The vector of all parameters at `progress.best_epoch`.
    round
        Which of several rounds this is, from 0.
    """

    def __init__(
        self,
        parts: Parts,
        progress: Progress | None = None,
        best_parameters: Array | None = None,
        round: int | None = None,
    ) -> None:
        self.parts, self.round = parts, round
        self.options = parts.config.training
        self.progress = progress or Progress()
        self.best_parameters = best_parameters
        self.count_errors = parts.coding is not None and not self.options.evaluate_train
        self.shuffle = Stream(parts.config.seed, "shuffle")
        count = range(len(parts.augmentations))
        self.streams = [Stream(parts.config.seed, "augmentation", str(index)) for index in count]
        self.pieces = Pieces(parts.net, parts.loss)

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left."""
        return self.progress.stopped_early or self.progress.epoch >= self.options.epochs

    def steps(self) -> Iterator[Record | None]:
        """Train to the end; yields a record after each epoch, the first for the untrained net, and None after each
        batch: there the caller may save, stop or draw.

        Raises
        ------
        DivergedError
            If a loss or a parameter is NaN or infinite; it names the layer and the epoch.
        """
        if not self.progress.records:
            yield self.measure(0)
        while not self.finished:
            yield from self._epoch()
            yield self.measure(self.progress.epoch + 1)

    def state(self) -> tuple[Any, ...]:
        """A copy of all that training changes, for `take`."""
        net, optimizer = self.parts.net, self.parts.optimizer
        progress = replace(self.progress, records=list(self.progress.records))
        memory = {name: vector.copy() for name, vector in optimizer.state.items()}
        return progress, self.best_parameters, net.vector.all_tensors.copy(), net.clock.step, optimizer.steps, memory

    def take(self, state: tuple[Any, ...]) -> None:
        """Be as the learner was that gave this state."""
        net, optimizer = self.parts.net, self.parts.optimizer
        self.progress, self.best_parameters, tensors, net.clock.step, optimizer.steps, optimizer.state = state
        net.vector.all_tensors[...] = tensors

    def set_rate(self) -> None:
        """Set the optimizer's factor to that of the epoch that is under way."""
        parts = self.parts
        parts.optimizer.factor = learning_rate_factor(parts.schedules, self.progress.epoch, self.options.epochs)

    def order(self) -> Array:
        """The rows of the training split in the order of the epoch that is under way."""
        count = len(self.parts.dataset.train)
        if not self.options.shuffle:
            return np.arange(count)
        return self.shuffle.at(self.progress.epoch).permutation(count)

    def _epoch(self) -> Iterator[None]:
        parts, progress, data = self.parts, self.progress, self.parts.dataset.train
        self.set_rate()
        order = self.order() if self.options.shuffle else None
        # In a context of its own NumPy warns of no overflow, which shows in the loss; the caller's stays as it is.
        quiet = copy_context()
        quiet.run(np.seterr, all="ignore")
        start = perf_counter()
        for x, labels, targets in Loader(data, self.options.batch_size, order, first=progress.batch):
            if parts.augmentations:
                x, targets = quiet.run(self._augmented, x, targets)
            value, errors = quiet.run(self._step, x, labels, targets)
            progress.loss_sum += value * len(x)
            progress.errors += errors
            progress.samples += len(x)
            progress.batch += 1
            progress.seconds += perf_counter() - start
            yield None
            start = perf_counter()

    def _augmented(self, x: Array, targets: Array | None) -> tuple[Array, Array | None]:
        """A training batch with its images changed, and its targets, which are the changed images in an autoencoder.

        The images are changed before standardising: what comes in at the edges is black, not the mean.
        """
        parts, scaling = self.parts, self.parts.description.input_scaling
        images = x if scaling is None else scaling.undo(x).astype(x.dtype)
        for augmentation, stream in zip(parts.augmentations, self.streams, strict=True):
            images = augmentation(images, stream.at(parts.net.clock.step))
        if scaling is not None:
            images = scaling.apply(images).astype(x.dtype)
        return images, images if parts.config.dataset.options["targets"] == "inputs" else targets

    def check_loss(self, value: float) -> None:
        """Raise DivergedError if the loss of the batch under way is NaN or infinite."""
        if not isfinite(value):
            raise self._diverged(self.progress.epoch + 1, f"the loss became {value} in batch {self.progress.batch + 1}")

    def _step(self, x: Array, labels: Array | None, targets: Array | None) -> tuple[float, int]:
        """One update; the value of the batch's loss before it, and the wrong classifications."""
        net = self.parts.net
        target = compare_with(self.parts, labels, targets)
        value, predicted = self.pieces.run(x, target)
        self.check_loss(value)
        if self.options.clip_norm is not None:
            net.vector.clip_norm(self.options.clip_norm)
        net.update(self.parts.optimizer)
        errors = int(np.count_nonzero(classify(self.parts, predicted) != labels)) if self.count_errors else 0
        if self.parts.description.target_scaling is not None:
            value = self.parts.loss(*in_units(self.parts, predicted, target))[0]
        return float(value), errors

    def measure(self, epoch: int) -> Record:
        """The record of the epoch just done, and what follows from it: the best so far, early stopping."""
        progress, data = self.progress, self.parts.dataset
        with np.errstate(all="ignore"):
            if not np.isfinite(self.parts.net.vector.all_tensors).all():
                raise self._diverged(epoch, "a parameter became NaN or infinite")
            record = Record(round=self.round or 0, epoch=epoch, seconds=progress.seconds)
            record.test_loss, record.test_error = quick_figures(self.parts, data.test)
            if data.validation is not None:
                record.validation_loss, record.validation_error = quick_figures(self.parts, data.validation)
            if self.options.evaluate_train:
                record.train_loss, record.train_error = quick_figures(self.parts, data.train)
        if epoch > 0:
            record.learning_rate = self.parts.optimizer.learning_rate
            if not self.options.evaluate_train:
                record.train_loss = progress.loss_sum / progress.samples
                record.train_error = progress.errors / progress.samples if self.count_errors else None
        for name in ("train_loss", "validation_loss", "test_loss"):
            if record[name] is not None and not isfinite(record[name]):
                raise self._diverged(epoch, f"{name} became {record[name]}")
        progress.epoch = epoch
        self._notice_best(record)
        self._notice_stopping(record)
        progress.records.append(record)
        progress.batch, progress.loss_sum, progress.errors, progress.samples = 0, 0.0, 0, 0
        return record

    def _notice_best(self, record: Record) -> None:
        """Never by the test set: the validation loss, or the training loss where it is measured after the epoch."""
        loss = record.validation_loss
        if loss is None and self.options.evaluate_train:
            loss = record.train_loss
        progress = self.progress
        if loss is not None and (progress.best_loss is None or loss < progress.best_loss):
            progress.best_epoch, progress.best_loss = progress.epoch, loss
            self.best_parameters = self.parts.net.vector.all_tensors.copy()

    def _notice_stopping(self, record: Record) -> None:
        stopping, progress = self.options.early_stopping, self.progress
        if stopping is None:
            return
        value: float = record[stopping.monitor]
        if progress.watched is None or value < progress.watched - stopping.min_delta:
            progress.watched, progress.waited = value, 0
        else:
            progress.waited += 1
            progress.stopped_early = progress.waited >= stopping.patience

    def _diverged(self, epoch: int, what: str) -> DivergedError:
        optimizer = self.parts.optimizer
        advice = f"Try a smaller learning rate (optimizer.{type(optimizer).__name__}.lr, now {optimizer.lr:g})"
        advice += ", or training.clip_norm: 1." if self.options.clip_norm is None else "."
        if epoch == 0:
            advice = (
                "Nothing was trained yet: the data's numbers are too large. Try standardize: true, or dtype: float64."
            )
        which = "" if self.round is None else f" of round {self.round}"
        return DivergedError(f"the training{which} diverged in epoch {epoch}: {what}. {self.pieces.blame()} {advice}")
