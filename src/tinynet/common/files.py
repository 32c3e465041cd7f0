"""Files that are there whole at any moment, whatever happens while they are written, and folders that are held."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep, time
from typing import IO, Any

from tinynet.common.errors import CheckpointError, UsageError

PART = re.compile(r"\..+\.[0-9a-f]{16}\.part")
# An empty file in a folder that was held. It stays: while one process removes it another may have opened it, which
# would then hold a file that no third one finds.
LOCK = ".lock"


@contextmanager
def replacing(path: Path, sync: bool = False) -> Iterator[IO[Any]]:
    """A binary file to write, which takes its place under `path` when all is written; until then the old one stands.

    With `sync` it is on the disk then, so that it outlives a power cut.
    """
    temporary = part_of(path)
    try:
        with temporary.open("xb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # which a full disk does not tell
        raise
    finally:
        temporary.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """The name beside `path` under which it is written; at random, since others may write the same at the same time."""
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}.part")


def clear(folder: Path, seconds: float = 0.0) -> None:
    """Remove what processes that were killed had begun to write there, where it is so many seconds old."""
    for part in folder.glob(".*.part"):
        with suppress(OSError):
            if PART.fullmatch(part.name) and time() - part.stat().st_mtime >= seconds:
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def renamed(made: Path, name: str) -> Path:
    """Give a new folder its name beside it, or `<name>-2`, `<name>-3` where that is taken; returns where it is then."""
    for count in range(1, 100_000):
        folder = made.with_name(name if count == 1 else f"{name}-{count}")
        if folder.exists() or folder.is_symlink():
            continue
        try:
            return made.rename(folder)
        except OSError as error:  # made by another process since
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    raise FileExistsError(errno.EEXIST, f"there are too many runs called {name}")


def write_text(path: Path, text: str, sync: bool = False) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path, sync) as file:
        file.write(text.encode())


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk; a file system that cannot is let be."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def identity(path: Path) -> tuple[int, ...] | None:
    """What tells a file or folder from others that have its name later; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, *([] if path.is_dir() else [found.st_mtime_ns]))


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Have a folder for this process alone, as far as others ask; the system lets go of it when the process ends.

    A folder that takes no file, or whose file system has no locks, is not held. Raises BlockingIOError if another
    process holds it.
    """
    handle = None
    with suppress(OSError):
        handle = _open_lock(folder, os.O_CREAT)
    try:
        # `is_held` in another process holds it as well, for a moment.
        if handle is not None and _taken(handle, attempts=20):
            raise BlockingIOError
        yield
    finally:
        if handle is not None:
            os.close(handle)


def is_held(folder: Path) -> bool | None:
    """Whether a process holds a folder; None where that cannot be known."""
    try:
        handle = _open_lock(folder)
    except FileNotFoundError:  # it was never held
        return False
    except OSError:
        return None
    try:
        return _taken(handle, attempts=2)
    finally:
        os.close(handle)


def _open_lock(folder: Path, flags: int = 0) -> int:
    """A handle of a folder's lock, as `os.open` gives it; neither waits for a pipe nor follows a link."""
    flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:  # NFS locks only what is open for writing
        return os.open(folder / LOCK, flags | os.O_RDWR, 0o666)
    except OSError:
        return os.open(folder / LOCK, flags | os.O_RDONLY, 0o666)


def _taken(handle: int, attempts: int) -> bool | None:
    """Lock an open file until it is closed: whether another has it; None where there are no locks."""
    # The lock of filelock that has neither state of its own nor a file to remove, so that a fork can do it no harm.
    from filelock import lock_descriptor

    try:
        for attempt in range(attempts):
            if attempt:
                sleep(0.02)
            if lock_descriptor(handle, blocking=False):
                return False
    except OSError:
        return None
    return True


def data_folder() -> Path:
    """Where downloaded data lie, absolute: `TINYNET_DATA`, or else `tinynet` in the user's cache folder.

    That is `XDG_CACHE_HOME` where it is set, and the folder that the system has for it where it is not. Raises
    UsageError if the user has no home folder.
    """
    given, cache = os.environ.get("TINYNET_DATA"), os.environ.get("XDG_CACHE_HOME")
    if given or cache:
        return at_home(given or f"{cache}/tinynet").absolute()
    from platformdirs import user_cache_dir

    try:
        return at_home(user_cache_dir("tinynet", appauthor=False))
    except RuntimeError:
        raise UsageError("there is no home folder to keep data in. Name a folder in TINYNET_DATA.") from None


def at_home(path: str) -> Path:
    """A path whose `~` or `~name` stands for a home folder; raises UsageError if there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{path}: there is no such home folder. Write the path without ~.") from None


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
