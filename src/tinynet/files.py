"""Files that are there whole at any moment, whatever happens while they are written, and folders that are held."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep, time
from typing import IO, Any

from tinynet.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows: no folder is held there
    fcntl = None  # type: ignore[assignment]

PART = re.compile(r"\..+\.[0-9a-f]{16}\.part")


@contextmanager
def replacing(path: Path, sync: bool = False) -> Iterator[IO[Any]]:
    """A binary file to write, which takes its place under `path` when all is written; until then the old one stands.

    Parameters
    ----------
    path
        The file to replace, or a new one.
    sync
        Whether to wait until it is on the disk, so that it outlives a power cut.
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

    Raises
    ------
    BlockingIOError
        If another process holds it.
    """
    handle = None if fcntl is None else os.open(folder, os.O_RDONLY)
    try:
        if handle is not None:
            _lock(handle)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def is_held(folder: Path) -> bool | None:
    """Whether a process holds a folder; None where that cannot be known."""
    if fcntl is None:
        return None
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    for attempt in range(20):
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # `is_held` in another process holds it as well, for a moment
            if attempt == 19:
                raise
            sleep(0.02)
        except OSError:  # a file system without locks
            return None
    return None


def data_folder() -> Path:
    """Where downloaded data lie: `TINYNET_DATA`, or else `tinynet` in the user's cache folder; absolute."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return at_home(os.environ.get("TINYNET_DATA") or f"{cache}/tinynet").absolute()


def at_home(path: str) -> Path:
    """A path whose `~` or `~name` stands for a home folder.

    Raises
    ------
    UsageError
        If there is none.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{path}: there is no such home folder. Write the path without ~.") from None
