"""What can go wrong, each with the exit status that the command line gives it."""

from __future__ import annotations

from collections.abc import Sequence


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


class CheckpointError(TinynetError):
    """A checkpoint or run folder that is broken, foreign, or of another format."""


class DivergedError(TinynetError):
    """A training whose numbers became NaN or infinite."""

    exit_status = 3
