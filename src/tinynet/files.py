"""Files that are there whole at any moment, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


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
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def data_folder() -> Path:
    """Where downloaded data lie: `TINYNET_DATA`, or else `tinynet` in the user's cache folder; absolute."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TINYNET_DATA") or f"{cache}/tinynet").expanduser().absolute()
