"""Rounds side by side, each in a process of its own, where they cannot be trained as one.

A process is forked, so that it has the data without a copy of them. It trains its round as it would be trained alone,
and sends what has come of it; so the result is the same, to the last bit, as of one round after another.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from tinynet.common.errors import TinynetError
from tinynet.common.interrupts import SIGNALS
from tinynet.training.learner import Learner
from tinynet.training.measuring import measure
from tinynet.training.record import Record
from tinynet.training.round import Round, State

# macOS has fork as well, but its own libraries do not bear it.
POSSIBLE = sys.platform == "linux"
LOOK_SECONDS = 0.05


class SideBySide:
    """The rounds of a training that are under way at the same time.

    Parameters
    ----------
    rounds
        Those that are not finished. They take over what their processes send: at each record, and in `settle`.
    workers
        Threads in all: as many processes, or fewer with some threads each.
    note
        Takes each record as it comes, with the state of its round.
    """

    def __init__(self, rounds: Sequence[Round], workers: int, note: Callable[[Record, State], None]) -> None:
        self.waiting, self.note = deque(rounds), note
        self.most = min(workers, len(self.waiting))
        self.threads = max(1, workers // self.most)
        for one in self.waiting:
            one.dataset  # noqa: B018 (it is loaded here, once for all)
        self.running: dict[Connection, tuple[Round, Any]] = {}
        self.error: BaseException | None = None

    def steps(self) -> Iterator[None]:
        """Train to the end; stops now and then, and after each record.

        Where the system gives no process for it, a round is left as it is.

        Raises
        ------
        DivergedError
            If a round diverges.
        TinynetError
            If a process is ended from outside.
        """
        try:
            while self._start_some() or self.running:
                for connection in wait(list(self.running), LOOK_SECONDS):
                    self._receive(connection)  # type: ignore[arg-type]
                yield None
                if self.error is not None:
                    raise self.error
        finally:
            for _, process in self.running.values():
                process.kill()
                process.join()
            self.running.clear()

    def settle(self) -> None:
        """Bring all rounds up to date, in the middle of an epoch too."""
        asked = list(self.running)
        for connection in asked:
            with suppress(OSError):  # it may have ended meanwhile, and its last words are waiting
                connection.send("how far are you?")
        for connection in asked:
            while connection in self.running and not self._receive(connection):
                pass

    def _start_some(self) -> bool:
        """Start as many processes as are to run at once; whether any was started."""
        started = False
        while self.waiting and len(self.running) < self.most:
            try:
                mine, its = get_context("fork").Pipe()
            except OSError:  # too many files are open
                self.most = len(self.running)
                break
            arguments = (self.waiting[0], self.threads, its, [mine, *self.running], os.getpid())
            process = get_context("fork").Process(target=_train, args=arguments, daemon=True)
            try:
                process.start()
            except OSError:  # there are as many as the system allows, or there is no memory for another
                mine.close()
                self.most = len(self.running)
                break
            finally:
                its.close()
            self.running[mine] = self.waiting.popleft(), process
            started = True
        return started

    def _receive(self, connection: Connection) -> bool:
        """Take a message; whether it answers `settle`."""
        one, process = self.running[connection]
        try:
            record, state = connection.recv()
        except (EOFError, OSError):
            process.join()
            del self.running[connection]
            if not one.finished and self.error is None:
                self.error = TinynetError(
                    f"the process of round {one.number} was ended from outside (exit status {process.exitcode}). "
                    "Is there too little memory? `--workers 1` trains one round after another."
                )
            return True
        if isinstance(record, BaseException):
            self.error = self.error or record
            return False
        one.take(state)
        if record is not None:
            self.note(record, state)
        return record is None


def _train(one: Round, threads: int, connection: Connection, inherited: list[Connection], parent: int) -> None:
    """In a process of its own: train, send each record with the state after it, and the state where it is asked for."""
    for other in inherited:  # with one of the first process's ends open here, sending would wait for ever after its end
        other.close()
    for number in SIGNALS:  # the first process says when to stop
        signal.signal(number, signal.SIG_IGN)
    learner = Learner([one], threads)
    try:
        while not one.finished:
            for _ in learner.steps():
                while connection.poll():
                    connection.recv()
                    learner.settle()
                    connection.send((None, one.state()))
                if os.getppid() != parent:
                    return
            connection.send((measure(one, learner.pieces), one.state()))
    except (EOFError, BrokenPipeError):  # the first process is gone
        return
    except Exception as error:
        connection.send((error, None))
