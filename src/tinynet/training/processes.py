"""Rounds side by side, each in a process of its own, where they cannot be trained as one.

A process is forked, so that it has the data without a copy of them. It trains its round as it would be trained alone,
and sends what has come of it; so the result is the same, to the last bit, as of one round after another.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from tinynet.common.errors import TinynetError
from tinynet.common.interrupts import SIGNALS
from tinynet.training.learner import Learner
from tinynet.training.record import Record

# macOS has fork as well, but its own libraries do not bear it.
POSSIBLE = sys.platform == "linux"
LOOK_SECONDS = 0.05


class SideBySide:
    """The rounds of a training that are under way at the same time.

    Parameters
    ----------
    learners
        Those that are not finished. They take over what their processes send: at each record, and in `settle`.
    workers
        Threads in all: as many processes, or fewer with some threads each.
    """

    def __init__(self, learners: Sequence[Learner], workers: int) -> None:
        self.waiting = deque(learners)
        self.most = min(workers, len(self.waiting))
        for learner in self.waiting:
            learner.pieces.workers = max(1, workers // self.most)
            learner.parts.dataset  # noqa: B018 (it is loaded here, once for all)
        self.running: dict[Connection, tuple[Learner, Any]] = {}
        self.records: deque[Record] = deque()
        self.error: BaseException | None = None

    def steps(self) -> Iterator[Record | None]:
        """A record for each round and epoch as they come, and None now and then.

        Raises
        ------
        DivergedError
            If a round diverges.
        TinynetError
            If a process is ended from outside.
        """
        try:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < self.most:
                    self._start(self.waiting.popleft())
                for connection in wait(list(self.running), LOOK_SECONDS):
                    self._receive(connection)  # type: ignore[arg-type]
                while self.records:
                    yield self.records.popleft()
                if self.error is not None:
                    raise self.error
                yield None
        finally:
            for _, process in self.running.values():
                process.kill()
                process.join()
            self.running.clear()

    def settle(self) -> None:
        """Bring all learners up to date, in the middle of an epoch too."""
        asked = list(self.running)
        for connection in asked:
            with suppress(OSError):  # it may have ended meanwhile, and its last words are waiting
                connection.send("how far are you?")
        for connection in asked:
            while connection in self.running and not self._receive(connection):
                pass

    def _start(self, learner: Learner) -> None:
        mine, its = get_context("fork").Pipe()
        process = get_context("fork").Process(target=_train, args=(learner, its, os.getpid()), daemon=True)
        process.start()
        its.close()
        self.running[mine] = learner, process

    def _receive(self, connection: Connection) -> bool:
        """Take a message; whether it answers `settle`."""
        learner, process = self.running[connection]
        try:
            record, state = connection.recv()
        except (EOFError, OSError):
            process.join()
            del self.running[connection]
            if not learner.finished and self.error is None:
                self.error = TinynetError(
                    f"the process of round {learner.round} was ended from outside (exit status {process.exitcode}). "
                    "Is there too little memory? `--workers 1` trains one round after another."
                )
            return True
        if isinstance(record, BaseException):
            self.error = self.error or record
            return False
        learner.take(state)
        if record is not None:
            self.records.append(record)
        return record is None


def _train(learner: Learner, connection: Connection, parent: int) -> None:
    """In a process of its own: train, send each record with the state after it, and the state where it is asked for."""
    for number in SIGNALS:  # the first process says when to stop
        signal.signal(number, signal.SIG_IGN)
    try:
        for record in learner.steps():
            if record is not None:
                connection.send((record, learner.state()))
            while connection.poll():
                connection.recv()
                connection.send((None, learner.state()))
            if os.getppid() != parent:
                return
    except (EOFError, BrokenPipeError):  # the first process is gone
        return
    except Exception as error:
        connection.send((error, None))
