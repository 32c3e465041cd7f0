"""`--set PATH=VALUE`: one value put into a config whose components stand in their long form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tinynet.common import components
from tinynet.config import reader
from tinynet.config.grammar import KEYS, SECTIONS
from tinynet.config.messages import dotted, unknown
from tinynet.config.reader import Keys

_FORM = "write PATH=VALUE, as in `training.epochs=20`, `optimizer.SGD.lr=0.05` or `layers[0].Linear.out_features=9`"


class OverrideError(ValueError):
    """An override that cannot be read, or whose path leads nowhere."""


def parse(text: str) -> tuple[Keys, Any]:
    """The path and the value of `layers[0].Linear.out_features=9`; the value is YAML."""
    path, equals, yaml = text.partition("=")
    if not equals or not re.fullmatch(r"\w+(\[\d+\]|\.\w+)*", path):
        raise OverrideError(_FORM)
    keys: Keys = tuple(int(index) if index else name for index, name in re.findall(r"\[(\d+)\]|(\w+)", path))
    if keys[0] not in KEYS:
        raise OverrideError(unknown("section", str(keys[0]), KEYS))
    try:
        value = reader.parse_value(yaml)
    except ValueError as error:
        raise OverrideError(f"the value {yaml!r}: {error}") from None
    section = SECTIONS.get(str(keys[0]))
    is_component = len(keys) == 2 or (len(keys) > 2 and isinstance(keys[-2], int))
    if section and is_component and isinstance(keys[-1], str) and keys[-1] in components.classes(section.kind):
        return keys[:-1], {keys[-1]: value}  # optimizer.Adam={lr: 0.1} is optimizer={Adam: {lr: 0.1}}
    return keys, value


@dataclass
class Slot:
    """Where a value goes: `holder[key]`.

    Parameters
    ----------
    holder, key
        A mapping or a list, and what stands before the value in it.
    kind
        That of the component, or of the list of them, that the value is, which is then to be expanded.
    is_list
        Whether it is a list of them.
    """

    holder: Any
    key: Any
    kind: str | None = None
    is_list: bool = False


def find(tree: dict[str, Any], keys: Keys) -> Slot | None:
    """Where the value of a path below a section goes; None if what holds it is missing or faulty, as reported.

    Raises
    ------
    OverrideError
        If the path leads nowhere.
    """
    name = str(keys[0])
    if name not in SECTIONS:
        return _plain(tree, keys)
    section, found = SECTIONS[name], tree.get(name)
    if not section.is_list:
        return _option(found, keys[:1], keys[1:])
    found = found or []
    if len(found) == 1 and isinstance(keys[1], str):
        keys = (name, 0, *keys[1:])  # `schedule: CosineLR` is a list of one
    return _item(found, section.kind, keys[:1], keys[1:])


def _item(found: list[Any], kind: str, place: Keys, rest: Keys) -> Slot | None:
    """Within a list of components."""
    name = dotted(place)
    if not found:
        raise OverrideError(f"the config has no {name}. Write {name}=… to give it one.")
    index = rest[0]
    if not isinstance(index, int) or index >= len(found):
        raise OverrideError(f"the config has {name}[0] to {name}[{len(found) - 1}]. Write {name}[N].NAME.OPTION=…")
    return Slot(found, index, kind) if len(rest) == 1 else _option(found[index], (*place, index), rest[1:])


def _option(component: dict[str, Any] | None, place: Keys, rest: Keys) -> Slot | None:
    """Within a component."""
    if component is None:
        return None
    ((name, options),) = component.items()
    other = components.find(str(rest[0]))
    if other is not None and rest[0] != name:
        hint = f"Write {dotted(place)}={rest[0]} before it, or an option of {name} (`tinynet layers {name}`)."
        raise OverrideError(f"{dotted(place)} is {name} here, not {rest[0]}. {hint}")
    if len(rest) < 2 or rest[0] != name:
        raise OverrideError(f"{dotted(place)} is {name} here. Write `{dotted((*place, name, rest[-1]))}=…`.")
    path = (*place, *rest[:2])
    cls = components.find(name)
    assert cls is not None
    if any(option.is_layers and option.name == rest[1] for option in components.options(cls)):
        inner = options.get(str(rest[1])) or []
        return Slot(options, rest[1], "layer", True) if len(rest) == 2 else _item(inner, "layer", path, rest[2:])
    if len(rest) > 2:
        raise OverrideError(f"'{dotted(path)}' holds one value. Write `{dotted(path)}=…`.")
    return Slot(options, rest[1])


def _plain(tree: dict[str, Any], keys: Keys) -> Slot:
    """Within the training section, or a plain value at the top."""
    for depth, key in enumerate(keys[:-1], start=1):
        if keys[:depth] not in (("training",), ("training", "early_stopping"), ("training", "start_from")):
            raise OverrideError(f"'{dotted(keys[:depth])}' holds one value, nothing below it")
        if not isinstance(tree.get(str(key)), dict):
            tree[str(key)] = {}
        tree = tree[str(key)]
    return Slot(tree, str(keys[-1]))
