"""How the rounds of an experiment are trained: stacked as one, side by side in processes, or one after another.

The result is the same each time, to the last bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tinynet.common.errors import DivergedError
from tinynet.training.learner import Learner
from tinynet.training.measuring import measure
from tinynet.training.record import Record
from tinynet.training.round import Round, State
from tinynet.training.stacking import can_stack

if TYPE_CHECKING:
    from tinynet.training.processes import SideBySide


class Training:
    """The training of an experiment's rounds.

    Parameters
    ----------
    rounds
        At their beginning, or where they were left.

    Attributes
    ----------
    stacked
        Whether several rounds are trained as one net.
    workers
        Threads; rounds that are not stacked have as many processes.
    """

    def __init__(self, rounds: Sequence[Round]) -> None:
        self.rounds = list(rounds)
        self.stacked = len(self.rounds) > 1 and can_stack(self.rounds[0])
        self.workers = 1
        # What trains at the moment.
        self.active: Learner | SideBySide | None = None
        # Records that wait to be given away, and each round as of its newest record, or as it was when this began.
        self.records_waiting: deque[Record] = deque()
        self.good: dict[int, State] = {}

    @property
    def finished(self) -> bool:
        """Whether no round has an epoch left."""
        return all(one.finished for one in self.rounds)

    @property
    def records(self) -> list[Record]:
        """All records, round by round."""
        return [record for one in self.rounds for record in one.progress.records]

    @property
    def epochs(self) -> float:
        """Epochs done, the one under way in part; the mean over the rounds."""
        if isinstance(self.active, Learner):
            self.active.settle()
        done = [one.progress.epoch + one.progress.samples / len(one.dataset.train) for one in self.rounds]
        return sum(done) / len(done)

    def settle(self) -> None:
        """Bring the rounds up to date, in the middle of an epoch too."""
        if self.active is not None:
            self.active.settle()

    def steps(self) -> Iterator[Record | None]:
        """Train to the end; yields a record for each round and epoch, and None after each batch, of rounds in processes
        now and then: there the caller may save, stop or draw. What is left undone goes on at the next call.

        Raises
        ------
        DivergedError
            If a loss or a parameter is NaN or infinite; it names the layer and the epoch.
        TinynetError
            If the process of a round is ended from outside.
        """
        self.settle()
        self.active, self.good = None, {one.number or 0: one.state() for one in self.rounds}
        yield from self._records()
        if self.workers > 1 and not self.stacked and len(self._waiting()) > 1:
            # Imported here: most trainings need no processes.
            from tinynet.training.processes import POSSIBLE, SideBySide

            if POSSIBLE:
                self.active = SideBySide(self._waiting(), self.workers, self._note)
                for _ in self.active.steps():
                    yield from self._records()
                    yield None
        while waiting := self._waiting():
            # Rounds are at the same place, but for those that were stopped at different ones: they catch up first.
            place = min(one.place for one in waiting)
            together = [one for one in waiting if one.place == place] if self.stacked else waiting[:1]
            if not isinstance(self.active, Learner) or not self.active.trains(together):
                self.active = Learner(together, self.workers)
            yield from self.active.steps()
            yield from self._measured(self.active)

    def take_back(self) -> None:
        """Bring each round back to its newest record, after a divergence."""
        for one in self.rounds:
            one.take(self.good[one.number or 0])

    def _measured(self, learner: Learner) -> Iterator[Record]:
        """All rounds are measured before the first record is given away, so that they stay in step."""
        failure: DivergedError | None = None
        try:
            for one in learner.rounds:
                self._note(measure(one, learner.pieces), one.state())
        except DivergedError as error:
            failure = error
        yield from self._records()
        if failure is not None:
            raise failure

    def _note(self, record: Record, state: State) -> None:
        self.records_waiting.append(record)
        self.good[record.round] = state

    def _records(self) -> Iterator[Record]:
        while self.records_waiting:
            yield self.records_waiting.popleft()

    def _waiting(self) -> list[Round]:
        return [one for one in self.rounds if not one.finished]
