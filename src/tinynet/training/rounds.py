"""Rounds: independent trainings of one config with the seeds seed, seed + 1, …; small nets are trained all at once.

Each round is a learner of its own, with net, optimizer and data. Where every part can, the nets are stacked: their
parameters become rows of one array, and a training step is one pass over all of them. Others are trained side by side
in processes, or one after another. The result is the same each time, to the last bit.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextvars import copy_context
from time import perf_counter

import numpy as np

from tinynet.common.arrays import Array
from tinynet.common.components import Component
from tinynet.data.loader import Split, pixels
from tinynet.nn.net import Net
from tinynet.training.builder import Parts
from tinynet.training.evaluation import classify, compare_with, in_units
from tinynet.training.learner import Learner
from tinynet.training.processes import POSSIBLE, SideBySide
from tinynet.training.record import Record

# Numbers in one parameter. Ten rounds took 0.5 to 0.7 of their time one after another at 4096, the same at 40,000.
LARGEST = 10_000


def can_stack(parts: Parts) -> bool:
    """Whether rounds of this training can be stacked, and gain by it."""
    components: list[Component] = [*parts.net.layers, parts.loss, parts.optimizer]
    return (
        all(vars(type(component)).get("stacks", False) for component in components)
        and all(len(shape) == 1 for shape in parts.net.shapes)
        and not parts.augmentations
        and all(parameter.tensor.size <= LARGEST for parameter in parts.net.parameters)
    )


class Rounds:
    """The learners of a training, one a round.

    Parameters
    ----------
    learners
        At their beginning, or where they were left.

    Attributes
    ----------
    workers
        Threads; rounds that are not stacked have as many processes.
    """

    def __init__(self, learners: Sequence[Learner]) -> None:
        self.learners = list(learners)
        self.stacked = len(self.learners) > 1 and can_stack(self.learners[0].parts)
        self.workers = 1
        # What trains several rounds at the moment.
        self.together: Stack | SideBySide | None = None

    @property
    def finished(self) -> bool:
        """Whether no round has an epoch left."""
        return all(learner.finished for learner in self.learners)

    @property
    def records(self) -> list[Record]:
        """All records, round by round."""
        return [record for learner in self.learners for record in learner.progress.records]

    @property
    def epochs(self) -> float:
        """Epochs done, the one under way in part; the mean over the rounds."""
        if isinstance(self.together, Stack):
            self.together.settle()
        done = [
            learner.progress.epoch + learner.progress.samples / len(learner.parts.dataset.train)
            for learner in self.learners
        ]
        return sum(done) / len(done)

    def settle(self) -> None:
        """Bring the learners up to date, in the middle of an epoch too."""
        if self.together is not None:
            self.together.settle()

    def steps(self) -> Iterator[Record | None]:
        """As `Learner.steps`: a record for each round and epoch, and None after each batch."""
        self.settle()
        if not self.stacked:
            yield from self._apart()
            return
        while not self.finished:
            yield from self._catch_up()
            waiting = [learner for learner in self.learners if not learner.finished]
            if not waiting:
                return
            # All are at the same place, but for a training whose rounds were stopped at different ones.
            places = [(learner.progress.epoch, learner.progress.batch) for learner in waiting]
            learners = [learner for learner, place in zip(waiting, places, strict=True) if place == min(places)]
            if not isinstance(self.together, Stack) or self.together.learners != learners:
                self.together = Stack(learners)
            yield from self.together.epoch()
            for learner in learners:
                yield learner.measure(learner.progress.epoch + 1)

    def _apart(self) -> Iterator[Record | None]:
        """The rounds each by itself."""
        waiting = [learner for learner in self.learners if not learner.finished]
        if POSSIBLE and self.workers > 1 and len(waiting) > 1:
            self.together = SideBySide(waiting, self.workers)
            try:
                yield from self.together.steps()
            finally:
                self.together = None
        for learner in self.learners:
            learner.pieces.workers = max(learner.pieces.workers, self.workers)
            yield from learner.steps()

    def _catch_up(self) -> Iterator[Record]:
        """Measure the rounds that have nothing else left to do in their epoch."""
        for learner in self.learners:
            progress = learner.progress
            if not progress.records:
                yield learner.measure(0)
            if progress.samples == len(learner.parts.dataset.train):
                learner.set_rate()
                yield learner.measure(progress.epoch + 1)


class Stack:
    """Learners at the same epoch and batch, trained in one pass.

    Parameters
    ----------
    learners
        Alike but for their seeds. Their parameters, and what their optimizers remember, become rows of the stack's.
    """

    def __init__(self, learners: Sequence[Learner]) -> None:
        self.learners = list(learners)
        self.parts, self.options = learners[0].parts, learners[0].options
        self.net = Net.stack([learner.parts.net for learner in learners])
        self.optimizer = copy.copy(self.parts.optimizer)
        self.optimizer.clock, self.optimizer.state = None, {}
        for name in self.optimizer.state_names:
            rows = [learner.parts.optimizer.remember(name, learner.parts.net.vector.tensor) for learner in learners]
            self.optimizer.state[name] = np.stack(rows)
            for learner, row in zip(learners, self.optimizer.state[name], strict=True):
                learner.parts.optimizer.state[name] = row
        splits = [learner.parts.dataset.train for learner in learners]
        self.samples = len(splits[0])
        self.loss_sums, self.errors = np.zeros(len(learners)), np.zeros(len(learners), int)
        # Batches and seconds that the learners have not been told of yet.
        self.batches, self.seconds = 0, 0.0
        # Data from a file are the same in all rounds, and there once.
        self.shared = all(split.x is splits[0].x for split in splits)
        self.split = splits[0] if self.shared else _joined(splits)

    def epoch(self) -> Iterator[None]:
        """One epoch of all rounds, batch by batch."""
        self.loss_sums[:] = [learner.progress.loss_sum for learner in self.learners]
        self.errors[:] = [learner.progress.errors for learner in self.learners]
        for learner in self.learners:
            learner.set_rate()
        self.optimizer.factor = self.parts.optimizer.factor
        rows = np.array([learner.order() for learner in self.learners])
        if not self.shared:
            rows += self.samples * np.arange(len(self.learners))[:, None]
        # In a context of its own NumPy warns of no overflow, which shows in the loss; the caller's stays as it is.
        quiet = copy_context()
        quiet.run(np.seterr, all="ignore")
        start = perf_counter()
        size = self.options.batch_size
        for first in range(self.learners[0].progress.batch * size, self.samples, size):
            quiet.run(self._step, rows[:, first : first + size])
            self.seconds += perf_counter() - start
            yield None
            start = perf_counter()
        self.settle()

    def settle(self) -> None:
        """Tell each learner what has been done: after an epoch, and before its state is kept."""
        if not self.batches:
            return  # a learner that has been measured since has begun its sums anew
        for learner, loss_sum, errors in zip(self.learners, self.loss_sums, self.errors, strict=True):
            progress = learner.progress
            progress.loss_sum, progress.errors = float(loss_sum), int(errors)
            progress.batch += self.batches
            progress.samples = min(progress.batch * self.options.batch_size, self.samples)
            progress.seconds += self.seconds / len(self.learners)
            learner.parts.net.clock.step += self.batches
            learner.parts.optimizer.steps += self.batches
        self.batches, self.seconds = 0, 0.0

    def _step(self, rows: Array) -> None:
        """One update of all rounds with these rows (rounds, batch) of the data."""
        part = self.split.rows(rows)
        if part.x.dtype == np.uint8:
            x = pixels(part.x, part.scaling)
            part.targets = x if part.targets is part.x else part.targets
            part.x = x
        target = compare_with(self.parts, part.labels, part.targets)
        predicted = self.net.forward(part.x, training=True)
        values, gradient = self.parts.loss(predicted, target)
        self.net.backward(gradient, to_input=False)
        if not np.isfinite(values).all():
            self.settle()
            for learner, value, x in zip(self.learners, values, part.x, strict=True):
                learner.parts.net.forward(x, training=True)  # for the layer to be found
                learner.check_loss(float(value))
        if self.options.clip_norm is not None:
            self.net.vector.clip_norm(self.options.clip_norm)
        self.net.update(self.optimizer)
        if self.parts.description.target_scaling is not None:
            values = self.parts.loss(*in_units(self.parts, predicted, target))[0]
        self.loss_sums += values * rows.shape[1]
        if self.learners[0].count_errors:
            self.errors += np.count_nonzero(classify(self.parts, predicted) != part.labels, axis=-1)
        self.batches += 1


def _joined(splits: Sequence[Split]) -> Split:
    """The rows of several splits, one split after the other."""
    x = np.concatenate([split.x for split in splits])
    labels = None if splits[0].labels is None else np.concatenate([split.labels for split in splits])
    if splits[0].targets is splits[0].x:
        return Split(x, labels, x, splits[0].scaling)
    targets = None if splits[0].targets is None else np.concatenate([s.targets for s in splits])
    return Split(x, labels, targets, splits[0].scaling)
