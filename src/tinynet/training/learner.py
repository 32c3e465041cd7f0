"""The training loop: `Learner.epoch`, batch by batch. It prints nothing and writes no file.

The loop over the epochs is `Training.steps`, which knows how several rounds go together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextvars import copy_context
from math import isfinite
from time import perf_counter
from typing import Any

import numpy as np

from tinynet.common.arrays import Array
from tinynet.data.augmentations import augment
from tinynet.data.loader import Loader
from tinynet.training.evaluation import classify, in_units
from tinynet.training.measuring import counts_errors, diverged
from tinynet.training.round import Round
from tinynet.training.stacking import joined, stacked
from tinynet.training.workers import Pieces

END = object()
Batch = tuple[Array, Array | None, Array | None]


class Learner:
    """Trains the rounds that are in step: one, or several small ones stacked to one net.

    Parameters
    ----------
    rounds
        At the same place of their training, and alike but for their seeds. What they know of their progress is up to
        date after each epoch, and after `settle`.
    workers
        Threads for batches that are cut into pieces.
    """

    def __init__(self, rounds: Sequence[Round], workers: int = 1) -> None:
        self.rounds, self.first, self.several = list(rounds), rounds[0], len(rounds) > 1
        self.options, self.loss = self.first.config.training, self.first.loss
        self.net, self.optimizer, self.data = self.first.net, self.first.optimizer, self.first.dataset.train
        if self.several:
            self.net, self.optimizer = stacked(rounds)
            self.data = joined([one.dataset.train for one in rounds])
        self.pieces = Pieces(self.net, self.loss, workers)
        self.counts_errors = counts_errors(self.first)
        # Of the epoch under way; with several rounds arrays with a number for each.
        self.loss_sum: Any = 0.0
        self.errors: Any = 0
        # Done since the rounds were last told.
        self.batches, self.seconds = 0, 0.0

    def trains(self, rounds: Sequence[Round]) -> bool:
        """Whether these are its rounds, where it left them."""
        return self.rounds == rounds and self.net.clock.step == self.first.net.clock.step

    def epoch(self) -> Iterator[None]:
        """One epoch, batch by batch: forward, loss, backward, clip, step."""
        for x, labels, targets in self._batches():
            target: Any = labels if self.loss.takes_labels else targets
            if not self.pieces.cuts(x):
                predicted = self.net.forward(x, training=True)
                value, gradient = self.loss(predicted, target)
                self.net.backward(gradient, to_input=False)
            else:  # a batch of many images: these three lines for a piece of it at a time, on several threads
                value, predicted = self.pieces.run(x, target)
            self._check_finite(value, x)
            if self.options.clip_norm is not None:
                self.net.vector.clip_norm(self.options.clip_norm)
            self.net.update(self.optimizer)  # after the step the gradients are zero again
            self._add_up(value, predicted, labels, target)
            yield None  # the caller may save, stop or draw

    def steps(self) -> Iterator[None]:
        """What is left of the epoch under way; nothing at the beginning, where the untrained net is to be measured.

        It runs in a context where NumPy warns of no overflow, which shows in the loss; that of the caller stays as it
        is.

        Raises
        ------
        DivergedError
            If the loss of a batch is NaN or infinite; it names the layer and the epoch.
        """
        if not self.first.progress.records:
            return
        quiet, epoch = copy_context(), self.epoch()
        quiet.run(np.seterr, all="ignore")
        start = perf_counter()
        try:
            while quiet.run(next, epoch, END) is not END:
                self.seconds += perf_counter() - start
                yield None
                start = perf_counter()
        finally:
            self.settle()  # the caller may leave in the middle

    def settle(self) -> None:
        """Tell the rounds how far they are: after an epoch, and before their state is kept."""
        if not self.batches:
            return  # a round that has been measured since has begun its sums anew
        sums = zip(self.rounds, np.atleast_1d(self.loss_sum), np.atleast_1d(self.errors), strict=True)
        for one, loss_sum, errors in sums:
            progress = one.progress
            progress.loss_sum, progress.errors = float(loss_sum), int(errors)
            progress.batch += self.batches
            progress.samples = min(progress.batch * self.options.batch_size, len(one.dataset.train))
            progress.seconds += self.seconds / len(self.rounds)
            one.net.clock.step, one.optimizer.steps = self.net.clock.step, self.optimizer.steps
        self.batches, self.seconds = 0, 0.0

    def _batches(self) -> Iterable[Batch]:
        """The batches that are left of the epoch under way, with an axis of rounds in front where there are several."""
        self.net.zero_grad()  # an epoch that was broken off may have left some
        for one in self.rounds:
            one.set_rate()
        self.optimizer.factor = self.first.optimizer.factor
        progress = [one.progress for one in self.rounds]
        self.loss_sum, self.errors = progress[0].loss_sum, progress[0].errors
        if self.several:
            self.loss_sum, self.errors = (np.array([getattr(p, n) for p in progress]) for n in ("loss_sum", "errors"))
        loader = Loader(self.data, self.options.batch_size, self._order(), progress[0].batch)
        return (self._augmented(*batch) for batch in loader) if self.first.augmentations else loader

    def _order(self) -> Array | None:
        """The rows of an epoch in their order; with several rounds a row of them for each."""
        if not self.several:
            return self.first.order() if self.options.shuffle else None
        rows, samples = np.array([one.order() for one in self.rounds]), len(self.first.dataset.train)
        # Data from a file are the same in all rounds, and there once.
        return rows if len(self.data) == samples else rows + samples * np.arange(len(rows))[:, None]

    def _augmented(self, x: Array, labels: Array | None, targets: Array | None) -> Batch:
        """A batch with its images changed, and its targets, which are the changed images in an autoencoder."""
        one = self.first
        x = augment(x, one.augmentations, one.description.input_scaling, one.config.seed, self.net.clock.step)
        return x, labels, x if one.config.dataset.options["targets"] == "inputs" else targets

    def _check_finite(self, value: Any, x: Array) -> None:
        """Raise DivergedError where the loss of a batch is NaN or infinite."""
        self.pieces.last = x  # to be gone through again, should the epoch end in a divergence
        if np.isfinite(value).all() if self.several else isfinite(value):
            return
        self.settle()
        number = int(np.argmin(np.isfinite(value)))
        one, loss = self.rounds[number], float(np.atleast_1d(value)[number])
        if self.several:
            one.net.forward(x[number], training=True)  # for the layer to be found
        batch = one.progress.batch + 1
        raise diverged(one, one.progress.epoch + 1, f"the loss became {loss} in batch {batch}", self.pieces)

    def _add_up(self, value: Any, predicted: Array, labels: Array | None, target: Array) -> None:
        """Add the loss of a batch, in the data's own unit, and its wrong classifications to the sums of the epoch."""
        if self.first.description.target_scaling is not None:
            value = self.loss(*in_units(self.first, predicted, target))[0]
        # A loss of a person's own may give a number of float32, in which the sum would lose digits.
        value = value if self.several else float(value)
        self.loss_sum = self.loss_sum + value * predicted.shape[self.several]
        if self.counts_errors:
            wrong = classify(self.first, predicted) != labels
            self.errors = self.errors + np.count_nonzero(wrong, axis=-1 if self.several else None)
        self.batches += 1
