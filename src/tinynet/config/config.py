"""YAML text -> checked Config. Every problem of a file is reported at once, with its line and what to write instead."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tinynet.common.components import is_component
from tinynet.common.errors import ConfigError, UsageError, readable
from tinynet.config import reader
from tinynet.config.checking import Checker, Spec, safe_name
from tinynet.config.grammar import KEYS, Training
from tinynet.config.messages import Source
from tinynet.config.reader import Keys


@dataclass
class Config:
    """A checked config: what to build, and how to train it."""

    name: str
    seed: int
    dtype: str
    dataset: Spec
    augment: list[Spec]
    layers: list[Spec]
    loss: Spec
    optimizer: Spec
    schedule: list[Spec]
    training: Training
    source: Source

    def to_json(self) -> dict[str, Any]:
        """The resolved config: all defaults and overrides, as plain values; `from_json` takes it back."""
        return {
            "name": self.name,
            "seed": self.seed,
            "dtype": self.dtype,
            "dataset": self.dataset.to_json(),
            **({"augment": [spec.to_json() for spec in self.augment]} if self.augment else {}),
            "layers": [spec.to_json() for spec in self.layers],
            "loss": self.loss.to_json(),
            "optimizer": self.optimizer.to_json(),
            **({"schedule": [spec.to_json() for spec in self.schedule]} if self.schedule else {}),
            "training": asdict(self.training, dict_factory=_given),
        }

    def of_round(self, number: int) -> Config:
        """The config of one round by itself, with its own seed."""
        return replace(self, seed=self.seed + number, training=replace(self.training, rounds=1))

    def layer_keys(self, place: Keys) -> Keys:
        """The path of a layer by its place among the layers: ("layers", 2, "Block", "layers", 0, "Linear")."""
        spec = self.layers[int(place[0])]
        for index in place[3::3]:
            spec = spec.options["layers"][index]
        return ("layers", *place, spec.cls.__name__)

    def error(self, keys: Keys, message: str) -> ConfigError:
        """A problem that shows only when the config is built, at its line."""
        return ConfigError([self.source.problem(keys, message)])


def _given(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if value is not None}


def load(path: str | os.PathLike[str], *overrides: str) -> Config:
    """Read and check a config file.

    Parameters
    ----------
    path
        The YAML file.
    overrides
        As given to `--set`: "optimizer.SGD.lr=0.05".

    Raises
    ------
    ConfigError
        With every problem of the file and the overrides.
    UsageError
        If there is no such file.
    """
    return parse(read_text(path), path, overrides)


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a config file; raises UsageError if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            most = 4 * reader.LONGEST  # a character has up to four bytes
            found = file.read(most + 1)
            if len(found) > most:
                raise UsageError(f"{path}: this is no config: it has more than {most:,} bytes. Name a YAML file.")
            return found.decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file. `tinynet init disk` writes a config to start from.") from None
    except IsADirectoryError:
        raise UsageError(f"{path}: this is a folder. Name the YAML file in it.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: this is no text in UTF-8. Save it as UTF-8.") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def parse(text: str, path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Config:
    """As `load`, for a text already read."""
    document = reader.read(text)
    file = os.fspath(path)
    if document.problems and not isinstance(document.value, dict):
        raise ConfigError([readable(f"{file}:{line}:{column}: {text}") for line, column, text in document.problems])
    source = Source(file, text, document.marks)
    if not isinstance(document.value, dict):
        what = "empty" if document.value is None else "no mapping"
        raise ConfigError([f"{file}:1:1: the file is {what}. A config holds {', '.join(KEYS)}."])
    checker = Checker(source, Path(path).absolute().parent)
    for line, column, message in document.problems:
        checker.found.append((line, column, readable(f"{file}:{line}:{column}: {message}")))
    return Config(**checker.check(document.value, overrides, safe_name(Path(path).stem)), source=source)


def from_json(resolved: dict[str, Any], file: str, overrides: Sequence[str] = ()) -> Config:
    """The config that `Config.to_json` gave, as found in a checkpoint; `file` is named in messages."""
    source = Source(file)
    return Config(**Checker(source, Path()).check(resolved, overrides, "run"), source=source)


def config_difference(values: Sequence[Any], keys: Keys = ()) -> Iterator[tuple[Keys, list[Any]]]:
    """The paths at which resolved configs differ, each with the value of each; None where one has none.

    Where they name different components, or lists of different ones, these are given as a whole.
    """
    if all(value == values[0] for value in values):
        return
    if all(isinstance(value, dict) for value in values) and _alike(values):
        for key in dict.fromkeys(key for value in values for key in value):
            yield from config_difference([value.get(key) for value in values], (*keys, key))
    elif all(isinstance(value, list) for value in values) and _lists_alike(values):
        for i, items in enumerate(zip(*values, strict=True)):
            yield from config_difference(items, (*keys, i))
    else:
        yield keys, list(values)


def _alike(values: Sequence[dict[str, Any]]) -> bool:
    """Whether mappings are no components, or all the same one."""
    components = [next(iter(value)) for value in values if is_component(value)]
    return len(components) in (0, len(values)) and len(set(components)) <= 1


def _lists_alike(values: Sequence[list[Any]]) -> bool:
    """Whether lists hold the same components in the same order."""
    kinds = [[next(iter(item)) if is_component(item) else None for item in value] for value in values]
    return all(kind == kinds[0] and None not in kind for kind in kinds)
