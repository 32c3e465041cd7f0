"""Annotations of options: which values one allows, what it makes of them, and how it reads."""

from __future__ import annotations

import dataclasses
import operator
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from math import isfinite, remainder
from numbers import Integral, Real
from typing import Annotated, Any, Literal, NamedTuple, NewType, Union

import annotated_types as limits

PositiveInt = Annotated[int, limits.Gt(0)]
NonNegativeInt = Annotated[int, limits.Ge(0)]
PositiveFloat = Annotated[float, limits.Gt(0)]
NonNegativeFloat = Annotated[float, limits.Ge(0)]
Share = Annotated[float, limits.Ge(0), limits.Lt(1)]
Probability = Annotated[float, limits.Ge(0), limits.Le(1)]

# A whole number that NumPy never sees: NumPy's have 64 bits.
AnyInt = NewType("AnyInt", int)


class PathMarker:
    """Marks an option as a file's path, which a config gives relative to its own folder."""


FilePath = Annotated[str, PathMarker()]


class LayersMarker:
    """Marks an option as a list of layers, each written as in the config's own list."""


LayerList = Annotated[tuple[Any, ...], LayersMarker()]


class Options:
    """A group of options that a config gives as a mapping, and that is no component: its dataclass's fields."""


class Limit(NamedTuple):
    """How a limit reads, when a value keeps it, and its keyword in JSON Schema for each type there that it limits."""

    words: str
    holds: Callable[[Any, Any], bool]
    keywords: dict[str, str]


def _of_numbers(words: str, holds: Callable[[Any, Any], bool], keyword: str) -> Limit:
    return Limit(words, holds, dict.fromkeys(("integer", "number"), keyword))


def _of_length(words: str, holds: Callable[[int, int], bool], end: str) -> Limit:
    keywords = {"string": f"{end}Length", "array": f"{end}Items", "object": f"{end}Properties"}
    return Limit(f"of length {words}", lambda value, bound: holds(len(value), bound), keywords)


def _is_multiple(value: Any, step: Any) -> bool:
    if isinstance(step, Integral):
        return bool(value % step == 0)
    # 0.3 and 0.1 are themselves rounded, so that 0.3 is not three times 0.1 to the last bit.
    return bool(abs(remainder(value, step)) <= 1e-9 * abs(value))


LIMITS: dict[type, Limit] = {
    limits.Gt: _of_numbers(">", operator.gt, "exclusiveMinimum"),
    limits.Ge: _of_numbers(">=", operator.ge, "minimum"),
    limits.Lt: _of_numbers("<", operator.lt, "exclusiveMaximum"),
    limits.Le: _of_numbers("<=", operator.le, "maximum"),
    limits.MultipleOf: _of_numbers("divisible by", _is_multiple, "multipleOf"),
    limits.MinLen: _of_length(">=", operator.ge, "min"),
    limits.MaxLen: _of_length("<=", operator.le, "max"),
}
# What a list or a mapping holds whose annotation does not say it.
ANYTHING: dict[Any, tuple[Any, ...]] = {
    **dict.fromkeys((list, Sequence), (Any,)),
    **dict.fromkeys((dict, Mapping), (Any, Any)),
    tuple: (Any, ...),
}


def parts(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """What an annotation is made of: `tuple` and (int, int) of `tuple[int, int]`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and annotation in ANYTHING:
        origin = annotation
    if not arguments and annotation != tuple[()]:
        arguments = ANYTHING.get(origin, ())
    return Union if origin is types.UnionType else origin, arguments


def bounds(marks: Iterable[Any]) -> Iterator[tuple[Limit, Any]]:
    """The limits among what `Annotated` holds beside the type, each with its number, or with who says it."""
    for mark in marks:
        if type(mark) in LIMITS:
            yield LIMITS[type(mark)], without_numpy(dataclasses.astuple(mark)[0])
        elif isinstance(mark, limits.GroupedMetadata):
            yield from bounds(mark)
        elif isinstance(mark, limits.Predicate):
            yield _predicate(mark.func)
        elif isinstance(mark, limits.Not):
            yield _predicate(mark)
        elif isinstance(mark, limits.BaseMetadata) and not isinstance(mark, (limits.Unit, limits.Timezone)):
            raise TypeError(f"{type(mark).__name__} is no limit that tinynet checks. Write Predicate, with a function.")


def without_numpy(value: Any) -> Any:
    """A default or a limit as JSON has it, which knows no numbers of NumPy's."""
    if type(value) in (list, tuple):
        return type(value)(map(without_numpy, value))
    return value.tolist() if hasattr(value, "tolist") else value


def _predicate(check: Callable[[Any], bool]) -> tuple[Limit, str]:
    """The limit that a function is, and who says so: a lambda has no name that would help."""

    def holds(value: Any, _: Any) -> bool:
        with suppress(TypeError):  # from math.isfinite, of null
            return bool(check(value))
        return False

    name = getattr(check, "__name__", "")
    return Limit("as", holds, {}), f"{name if name.isidentifier() else 'Annotated'} says"


def entries(form: Any) -> Iterator[tuple[str, Any, bool]]:
    """The entries of a TypedDict: name, annotation, and whether it is required."""
    for name, hint in typing.get_type_hints(form, include_extras=True).items():
        said = typing.get_origin(hint)
        # NotRequired is missing among the optional keys of a module that holds its annotations as texts.
        required = said is typing.Required or (said is not typing.NotRequired and name not in form.__optional_keys__)
        yield name, typing.get_args(hint)[0] if said in (typing.Required, typing.NotRequired) else hint, required


def fits(value: Any, annotation: Any) -> bool:
    """Whether the annotation allows the value."""
    try:
        converted(value, annotation)
    except ValueError:
        return False
    return True


def converted(value: Any, annotation: Any) -> Any:
    """A value as the annotation has it: 1 as 1.0 for a `float`, a list as the tuple it stands for.

    Raises
    ------
    ValueError
        If the annotation does not allow the value.
    """
    origin, arguments = parts(annotation)
    if origin is Annotated:
        found = converted(value, arguments[0])
        _require(all(limit.holds(found, bound) for limit, bound in bounds(arguments[1:])))
        return found
    if origin is Union:
        return _first_fitting(value, arguments)
    if origin in (list, Sequence):
        _require(isinstance(value, list) or (origin is Sequence and isinstance(value, tuple)))
        return [converted(item, arguments[0]) for item in value]
    if origin in (dict, Mapping):
        _require(isinstance(value, dict))
        return {converted(key, arguments[0]): converted(item, arguments[1]) for key, item in value.items()}
    if origin is tuple:
        _require(isinstance(value, (tuple, list)))
        kinds = arguments[:1] * len(value) if ... in arguments else arguments
        _require(len(kinds) == len(value))
        return tuple(map(converted, value, kinds))
    if typing.is_typeddict(annotation):
        _require(isinstance(value, dict))
        known = {name: hint for name, hint, required in entries(annotation) if required or name in value}
        _require(known.keys() == value.keys())
        return {name: converted(value[name], hint) for name, hint in known.items()}
    if annotation in (int, AnyInt, float):
        _require(_is_number(value, annotation))
        return float(value) if annotation is float else value
    if origin is Literal:
        _require(any(fits(value, type(argument)) and value == argument for argument in arguments))
    elif annotation is not Any:
        _require(isinstance(value, origin or annotation))
    return value


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError


def _first_fitting(value: Any, annotations: Iterable[Any]) -> Any:
    """The value as one of the annotations has it, if possible one that leaves its type as it is."""
    found = []
    for annotation in annotations:
        with suppress(ValueError):
            found.append(converted(value, annotation))
    _require(bool(found))
    return next((one for one in found if type(one) is type(value)), found[0])


def _is_number(value: Any, annotation: Any) -> bool:
    # A bool is an int to Python, but `out_features: true` is a mistake.
    if isinstance(value, bool) or not isinstance(value, Real if annotation is float else Integral):
        return False
    if not isinstance(value, Integral):
        return isfinite(value)
    most: Any = sys.float_info.max if annotation is float else 2**63 - 1
    return annotation is AnyInt or bool(-most <= value <= most)


def in_words(annotation: Any) -> str:
    """An annotation in words, as in "must be a whole number > 0"."""
    origin, arguments = parts(annotation)
    if origin is Annotated:
        if isinstance(arguments[1], LayersMarker):
            return "a list of layers"
        told = " and ".join(f"{limit.words} {bound}" for limit, bound in bounds(arguments[1:]))
        return f"{in_words(arguments[0])} {told}".strip()
    if origin is Union:
        return " or ".join(map(in_words, arguments))
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is tuple:
        return f"[{', '.join('...' if argument is ... else in_words(argument) for argument in arguments)}]"
    if origin in (list, Sequence):
        return f"[{in_words(arguments[0])}, ...]"
    if origin in (dict, Mapping):
        return f"{{{in_words(arguments[0])}: {in_words(arguments[1])}, ...}}"
    if typing.is_typeddict(annotation):
        return f"{{{', '.join(f'{name}: …' for name, _, required in entries(annotation) if required)}}}"
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return "options"
    plain: dict[Any, str] = {
        int: "a whole number",
        AnyInt: "a whole number",
        float: "a number",
        str: "a text",
        bool: "true or false",
        type(None): "null",
    }
    return plain.get(annotation) or str(getattr(annotation, "__name__", annotation))
