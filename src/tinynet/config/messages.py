"""The sentences that a config's problems are answered with, and where in the file each problem is."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinynet.common import components
from tinynet.common.components import Component, a
from tinynet.common.errors import readable
from tinynet.common.suggestions import suggestion
from tinynet.config.reader import Keys


@dataclass
class Source:
    """Where a config comes from, to say where its problems are."""

    file: str
    text: str = ""
    marks: dict[Keys, tuple[int, int]] = field(default_factory=dict)
    overrides: dict[Keys, str] = field(default_factory=dict)

    def place(self, keys: Keys) -> tuple[int, int]:
        """The line and column of a path, or of the nearest one above it that is in the file."""
        while keys and keys not in self.marks:
            keys = keys[:-1]
        return self.marks.get(keys, (1, 1))

    def lengthen(self, keys: Keys, key: str) -> None:
        """Note where the items of a list are that stands without the key that its long form has."""
        items = [(path, mark) for path, mark in self.marks.items() if path[: len(keys)] == keys and path != keys]
        self.marks.update({(*keys, key, *path[len(keys) :]): mark for path, mark in items})

    def problem(self, keys: Keys, message: str) -> str:
        """One line: where, the path, what is wrong."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.overrides:
                return readable(f"--set {self.overrides[keys[:length]]}: {dotted(keys)}: {message}")
        line, column = self.place(keys)
        return readable(f"{self.file}:{line}:{column}: {dotted(keys) + ': ' if keys else ''}{message}")


def dotted(keys: Keys) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
    # A layer is named by its place and kind, as in `layers[6] Linear`.
    return re.sub(r"^(layers\[\d+\])\.(\w+)$", r"\1 \2", text)


def example(key: str) -> str:
    examples = {
        "dataset": "dataset: Disk",
        "augmentation": "Shift: 2",
        "layers": "layers: [{Linear: 25}, ReLU, {Linear: 2}]",
        "layer": "Linear: 25",
        "loss": "loss: MSE",
        "optimizer": "optimizer: {SGD: {lr: 0.1}}",
        "schedule": "schedule: CosineLR",
    }
    return examples[key]


def plain(example: str) -> str:
    return example[1:-1] if example.startswith("{") else example


def in_example(form: type) -> str:
    """`, as in …` with an example of the whole; empty where there is none."""
    text = components.documentation(form).example
    if text == form.__name__:  # which its docstring gives no other example of
        if typing.is_typeddict(form):
            return ""
        text = f"{text}: {{{next(o.name for o in components.options(form) if o.required)}: …}}"
    return f", as in `{plain(text)}`"


def unknown(what: str, given: str, known: Sequence[str]) -> str:
    guess = suggestion(given, known)
    return f"no such {what}. " + (f"Did you mean '{guess}'?" if guess else f"There are: {', '.join(known)}.")


def unknown_component(kind: str, given: str, typed: bool = True) -> str:
    """What to say to a name that no component of the kind has; one that nobody typed, in a checkpoint, is no mistake
    in writing."""
    known = components.classes(kind)
    other = components.find(given)
    word = re.match(r"(\w+)\s*[ (=]\s*(.*?)\)?$", given)
    if other is not None:
        return f"'{given}' is {a(other.kind)}, not {a(kind)}"
    if word and word[1] in known:
        return f"'{given}' is no {kind}. Write `{word[1]}: {word[2] or '…'}`."
    guess = suggestion(given, known) if typed else None
    own = f"{a(kind).capitalize()} of your own needs --plugin FILE.py."
    meant = f"There are: {', '.join(known)}. {own}" if typed else own
    if guess:
        meant = f"Did you mean '{guess}'? (`tinynet layers` lists them)"
    return f"'{given}' is no {kind}. {meant}"


def several(value: dict[str, Any], known: dict[str, type[Component]]) -> str:
    """What to say to a mapping of several keys where one component belongs."""
    name, *others = value
    if name in known and value[name] is None and others[0] not in known:
        inside = ", ".join(f"{key}: {components.shown(value[key])}" for key in others)
        return (
            f"'{others[0]}' stands at the level of '{name}', but belongs to it. "
            f"Indent it further than '{name}', or write `{name}: {{{inside}}}`."
        )
    return f"holds {len(value)} entries ({', '.join(value)}), but takes one. Begin a new line with '- ' for each."
