"""What differs between resolved configs, path by path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tinynet.yaml_reader import Keys


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


def is_component(value: Any) -> bool:
    """Whether a value of a resolved config is a component: {name: {option: value, …}}."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), dict)
