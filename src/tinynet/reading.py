"""A run's text files read with care: whatever they hold, or are, is one sentence about them and no more memory."""

from __future__ import annotations

import csv
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinynet.errors import CheckpointError

LARGEST = 2**25  # bytes: the summary.json of 1,000 rounds has about 2**20
LONGEST = 2**12  # bytes of a line


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None if there is no file."""
    text = read_text(path)
    if text is None:
        return None
    with broken_as(path.name):
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
    return found


def read_text(path: Path) -> str | None:
    """The text of a file; None if there is no file."""
    with broken_as(path.name), opened(path) as file:
        if file is None:
            return None
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise ValueError(f"it has {size:,} bytes, more than {LARGEST:,}")
        return str(file.read(size), "utf-8")


def read_lines(path: Path, most: int) -> tuple[str | None, list[str]]:
    """The first line of a file, None if there is no file, and the complete lines in the last `most` bytes after it."""
    with opened(path) as file:
        if file is None:
            return None, []
        heading = file.readline(LONGEST)
        size = os.fstat(file.fileno()).st_size
        if size > most:
            file.seek(size - most)
            file.readline(most)
        return heading.decode(), file.read(min(size, most)).decode().split("\n")[:-1]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A file to read bytes from; None if there is none. A pipe or a device, which may never end, is refused."""
    try:
        # Without waiting for what a pipe would give.
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise ValueError("it is no file")
    with os.fdopen(file, "rb") as opened:
        yield opened


@contextmanager
def broken_as(name: str) -> Iterator[None]:
    """Turns what reading a file can raise into one sentence about it."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{name} cannot be read: {error.strerror}") from None
    except KeyError as error:
        raise CheckpointError(f"{name} is broken: it has no {error.args[0]}") from None
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{name} is broken: line {error.lineno} is not JSON") from None
    except UnicodeDecodeError:
        raise CheckpointError(f"{name} is broken: it is no text") from None
    except RecursionError:
        raise CheckpointError(f"{name} is broken: it is nested too deep") from None
    except (ValueError, TypeError, OverflowError, csv.Error) as error:
        raise CheckpointError(f"{name} is broken: {error}") from None
