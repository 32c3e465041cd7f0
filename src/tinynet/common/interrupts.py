"""Ctrl-C and its like: what they do to the process, from its first moment to its last."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Ctrl-C, the polite request to end, and the closing of the terminal, which Windows has not.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

# The signals that have raised Interrupted.
_raised: list[int] = []


class Interrupted(BaseException):
    """The process was asked to end by the signal of this number; like KeyboardInterrupt it is not caught by mistake."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_status = 128 + number  # as shells have it


class Deferred:
    """The signals that were `caught` while the first was to wait for the end of the batch, by their numbers."""

    def __init__(self) -> None:
        self.caught: list[int] = []
        self._stop: Callable[[], None] = lambda: None

    def tell(self, stop: Callable[[], None]) -> None:
        """Call `stop` at the first signal, at once if it has come already."""
        self._stop = stop
        if self.caught:
            stop()

    def __call__(self, number: int, frame: Any) -> None:
        """Take a signal; raises Interrupted at the second. More of them change nothing: the process is ending."""
        self.caught.append(number)
        if len(self.caught) == 2:
            raise Interrupted(number)
        if len(self.caught) == 1:
            self._stop()


def install() -> None:
    """From now on a signal raises Interrupted, wherever the process is."""
    _handle(_raise)
    sys.unraisablehook = _leave_if_interrupted


def ignore() -> None:
    """From now on signals do nothing: all is done, and the process is about to end with its status."""
    _handle(signal.SIG_IGN)


@contextmanager
def deferred() -> Iterator[Deferred]:
    """Within it the first signal is noted, for the work to come to an end by itself; the second raises Interrupted."""
    if _raised:  # and lost, in one of the calls from C that forget what was raised in them
        raise Interrupted(_raised[0])
    found = Deferred()
    before = _handle(found)
    try:
        yield found
    finally:
        for number, handler in before.items():
            ending = handler is _raise and len(found.caught) > 1
            signal.signal(number, _leave if ending else handler)


def _handle(handler: Any) -> dict[int, Any]:
    """Give all signals this handler, but those that the caller of the process has ignored, as nohup does."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: found for number, found in before.items() if found not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    return before


def _raise(number: int, frame: Any) -> None:
    _raised.append(number)
    _handle(_leave)
    raise Interrupted(number)


def _leave(number: int, frame: Any) -> None:
    """End the process at once: it is ending already."""
    os._exit(Interrupted(number).exit_status)


def _leave_if_interrupted(unraisable: sys.UnraisableHookArgs) -> None:
    """End the process where Python would print and forget an interrupt, in a destructor or the lock of an import."""
    if isinstance(unraisable.exc_value, Interrupted):
        os.write(2, b"Interrupted.\n")
        os._exit(unraisable.exc_value.exit_status)
    sys.__unraisablehook__(unraisable)
