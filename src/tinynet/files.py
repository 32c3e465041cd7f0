"""Files that are there whole at any moment, whatever happens while they are written, and folders that are held."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows: no folder is held there
    fcntl = None  # type: ignore[assignment]


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
    # At random: others, in threads or on other machines, may write the same file at the same time.
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.part")
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
    return Path(os.environ.get("TINYNET_DATA") or f"{cache}/tinynet").expanduser().absolute()
