"""`--set PATH=VALUE`: one value put into a config whose components stand in their long form."""

from __future__ import annotations

import re
from typing import Any

from tinynet import registry, yaml_reader
from tinynet.grammar import KEYS, SECTIONS
from tinynet.messages import dotted, unknown
from tinynet.yaml_reader import Keys

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
        value = yaml_reader.parse_value(yaml)
    except ValueError as error:
        raise OverrideError(f"the value {yaml!r}: {error}") from None
    section = SECTIONS.get(str(keys[0]))
    if section and isinstance(keys[-1], str) and keys[-1] in registry.classes(section.kind) and len(keys) <= 3:
        return keys[:-1], {keys[-1]: value}  # optimizer.Adam={lr: 0.1} is optimizer={Adam: {lr: 0.1}}
    return keys, value


def put(tree: dict[str, Any], keys: Keys, value: Any) -> bool:
    """Put the value at a path below a section; returns whether it is a component, which is to be expanded.

    Raises
    ------
    OverrideError
        If the path leads nowhere.
    """
    name = str(keys[0])
    if name not in SECTIONS:
        _put_plain(tree, keys, value)
        return False
    section, found = SECTIONS[name], tree.get(name)
    if not section.is_list:
        _put_option(found, keys[:1], keys[1:], value)
        return False
    found = found or []
    if len(found) == 1 and isinstance(keys[1], str):
        keys = (name, 0, *keys[1:])  # `schedule: CosineLR` is a list of one
    if not isinstance(keys[1], int) or keys[1] >= len(found):
        if not found:
            raise OverrideError(f"the config has no {name}. Write {name}=… to give it one.")
        raise OverrideError(f"the config has {name}[0] to {name}[{len(found) - 1}]. Write {name}[N].NAME.OPTION=…")
    if len(keys) == 2:
        found[keys[1]] = value
        return True
    _put_option(found[keys[1]], keys[:2], keys[2:], value)
    return False


def _put_option(component: dict[str, Any] | None, place: Keys, rest: Keys, value: Any) -> None:
    if component is None:
        return  # missing or faulty, which is reported already
    ((name, options),) = component.items()
    if len(rest) > 2 and rest[0] == name:
        raise OverrideError(
            f"'{dotted((*place, *rest[:2]))}' holds one value. Write `{dotted((*place, *rest[:2]))}=…`."
        )
    other = registry.find(str(rest[0]))
    if other is not None and rest[0] != name:
        hint = f"Write {dotted(place)}={rest[0]} before it, or an option of {name} (`tinynet layers {name}`)."
        raise OverrideError(f"{dotted(place)} is {name} here, not {rest[0]}. {hint}")
    if len(rest) != 2 or rest[0] != name:
        raise OverrideError(f"{dotted(place)} is {name} here. Write `{dotted((*place, name, rest[-1]))}=…`.")
    options[rest[1]] = value


def _put_plain(tree: dict[str, Any], keys: Keys, value: Any) -> None:
    for depth, key in enumerate(keys[:-1], start=1):
        if keys[:depth] not in (("training",), ("training", "early_stopping")):
            raise OverrideError(f"'{dotted(keys[:depth])}' holds one value, nothing below it")
        if not isinstance(tree.get(str(key)), dict):
            tree[str(key)] = {}
        tree = tree[str(key)]
    tree[str(keys[-1])] = value
