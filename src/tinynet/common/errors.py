"""What can go wrong, each with the exit status that the command line gives it."""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_WORD = 500  # letters, as a path may have
LONGEST_LINE = 3_000  # as one that lists all layers may have


class TinynetError(Exception):
    """Something that a person can put right; its text says how."""

    exit_status = 1


class UsageError(TinynetError):
    """A command or call that asks for what is not there."""

    exit_status = 2


class ConfigError(UsageError):
    """A config with problems, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class OptionError(UsageError, ValueError):
    """A component's option with a value it cannot have."""


class ShapeError(UsageError, ValueError):
    """An array, or a layer's input, of a shape that does not fit."""


class DataError(TinynetError):
    """A data file that is missing, broken, or not what it should be."""


class ChangedDataError(DataError):
    """Data that are not those of the training."""


class CheckpointError(TinynetError):
    """A checkpoint or run folder that is broken, foreign, or of another format."""


class RunError(TinynetError):
    """A run folder that can no longer be written."""


class DivergedError(TinynetError):
    """A training whose numbers became NaN or infinite."""

    exit_status = 3


def visible(line: str) -> str:
    """A line that quotes a file, without its control characters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def readable(line: str) -> str:
    """A line of a message that quotes a file: `visible`, and what is endless cut short."""
    line = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: f"{word[0][:100]}…", visible(line))
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…"
