"""What a run was made with: versions, BLAS, commit, command; for meta.json."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tinynet.common import VERSION


def made_with(command: list[str]) -> dict[str, Any]:
    """What the training is made with, for meta.json."""
    return {"command": command, "git_commit": git_commit(), "versions": versions(), "blas": blas()}


def versions() -> dict[str, str]:
    """Of tinynet, Python, NumPy and the platform."""
    return {
        "tinynet": VERSION,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }


def blas() -> dict[str, Any]:
    """The library that multiplies matrices, and the threads it was asked for."""
    found: Any = np.show_config(mode="dicts")
    library = found.get("Build Dependencies", {}).get("blas", {})
    threads = os.environ.get("OPENBLAS_NUM_THREADS")
    return {"name": library.get("name"), "version": library.get("version"), "threads": threads}


def git_commit() -> str | None:
    """The commit of the working folder's repository, or None outside of one."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def command_line() -> list[str]:
    """The command that made this process."""
    return ["tinynet", *sys.argv[1:]]


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
