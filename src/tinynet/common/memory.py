"""What fits into memory: asked before memory is taken, so that a wrong size is answered and not tried."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from math import prod
from pathlib import Path

from tinynet.common.errors import ShapeError

# Where the limit of a container stands, in version 2 and 1 of control groups.
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


@cache
def most() -> int:
    """Bytes that this process can have: the machine's memory, or less where the process or its container has a limit.

    What is in use counts as there: it may be free when it is needed.
    """
    found = [sys.maxsize]
    with suppress(AttributeError, OSError, ValueError):  # AttributeError: Windows, which does not tell
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(ImportError):
        import resource

        found += [resource.getrlimit(which)[0] for which in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    for file in LIMITS:
        with suppress(OSError, ValueError):  # ValueError: the word `max`
            found.append(int(file.read_text(encoding="ascii")))
    return min(size for size in found if size > 0)  # -1: no limit


class Budget:
    """Counts the numbers of a net's parameters before they are made, and refuses those that have no room."""

    # Bytes for a number while it is made: the value and its gradient, in float64.
    NUMBER = 16

    def __init__(self) -> None:
        self.numbers = 0

    def take(self, name: str, shape: tuple[int, ...]) -> None:
        """Count a parameter; raises ShapeError if the net has no room for it."""
        self.numbers += prod(shape)
        lacking = shortage(self.numbers * self.NUMBER)
        if lacking:
            net = f"with its {name} of shape {shape} the net has {self.numbers:,} parameters"
            raise ShapeError(f"{net}, which take {lacking}. Make it smaller.")


def shortage(size: int) -> str | None:
    """`7.3 TiB of memory, but there are 8.0 GiB` for so many bytes that do not fit; None for those that do."""
    return f"{amount(size)} of memory, but there are {amount(most())}" if size > most() else None


def amount(size: int) -> str:
    """Bytes as a person reads them: `512 bytes`, `7.3 TiB`."""
    power = max(size.bit_length() - 1, 0) // 10
    if power == 0:
        return f"{size} bytes"
    if power >= len(UNITS):  # as a file may claim
        return f"over 1,024 {UNITS[-1]}"
    return f"{size / 1024**power:,.1f} {UNITS[power]}"
