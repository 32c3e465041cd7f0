"""`--set PATH=VALUE`: one value put into a config whose components stand in their long form."""

from __future__ import annotations

import re
from typing import Any

from tinynet import registry, yaml_reader
from tinynet.grammar import KEYS, SECTIONS
from tinynet.messages import dotted, unknown
from tinynet.yaml_reader import Path as Keys

_FORM = "write PATH=VALUE, as in `training.epochs=20`, `optimizer.SGD.lr=0.05` or `layers[0].Linear.out_features=9`"


class OverrideError(ValueError):
    """An override that cannot be read, or whose path leads nowhere."""


def parse(text: str) -> tuple[Keys, Any]:
    """The path and the value of `layers[0].Linear.out_features=9`; the value is YAML."""
    path, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"\w+(\[\d+\]|\.\w+)*", path):
        raise OverrideError(_FORM)
    keys: Keys = tuple(int(index) if index else name for index, name in re.findall(r"\[(\d+)\]|(\w+)", path))
    if keys[0] not in KEYS:
        raise OverrideError(unknown("section", str(keys[0]), KEYS))
    try:
        return keys, yaml_reader.parse_value(value)
    except ValueError as error:
        raise OverrideError(f"the value {value!r}: {error}") from None


def put(tree: dict[str, Any], keys: Keys, value: Any) -> Keys:
    """Put the value at its path; returns the path of the component that is to be expanded anew, or ().

    Raises
    ------
    OverrideError
        If the path leads nowhere.
    """
    section = SECTIONS.get(str(keys[0]))
    if section is None:
        _put_plain(tree, keys, value)
        return ()
    if section.is_list and not section.required and len(keys) > 1 and isinstance(keys[1], str):
        keys = (keys[0], 0, *keys[1:])  # `schedule: CosineLR` is a list of one
    depth = 2 if section.is_list and len(keys) > 1 else 1
    if len(keys) == depth + 1 and keys[-1] in registry.classes(section.kind):
        keys, value = keys[:-1], {keys[-1]: value}  # optimizer.Adam={lr: 0.1} is optimizer={Adam: {lr: 0.1}}
    parent: Any = tree
    if depth == 2:
        parent = tree.get(str(keys[0])) or []
        if not isinstance(keys[1], int) or keys[1] >= len(parent):
            last = f"{keys[0]}[{len(parent) - 1}]" if parent else "none"
            raise OverrideError(
                f"there is no {dotted(keys[:2])}. Write {keys[0]}[NUMBER].NAME.OPTION; the last is {last}."
            )
    if len(keys) == depth:
        parent[keys[-1]] = value
        return keys
    component = parent[keys[depth - 1]] if keys[depth - 1] in parent or depth == 2 else None
    if component is None:
        raise OverrideError(f"the config has no {dotted(keys[:depth])} that could be changed. Write {keys[0]}=NAME.")
    ((name, options),) = component.items()
    if len(keys) != depth + 2 or keys[depth] != name:
        raise OverrideError(
            f"{dotted(keys[:depth])} is {name} here. Write `{dotted((*keys[:depth], name, keys[-1]))}=…`."
        )
    options[keys[-1]] = value
    return ()


def _put_plain(tree: dict[str, Any], keys: Keys, value: Any) -> None:
    for depth, key in enumerate(keys[:-1], start=1):
        if keys[:depth] not in (("training",), ("training", "early_stopping")):
            raise OverrideError(f"'{dotted(keys[:depth])}' holds one value, nothing below it")
        if not isinstance(tree.get(str(key)), dict):
            tree[str(key)] = {}
        tree = tree[str(key)]
    tree[str(keys[-1])] = value
