"""The JSON Schema of a config, from the annotations that it is checked by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union

from tinynet.common import components
from tinynet.common.annotations import AnyInt, LayersMarker, bounds, in_words, parts
from tinynet.common.components import Component, Option
from tinynet.common.errors import OptionError
from tinynet.config.grammar import SECTIONS, Head, Training, load_all

Schema = dict[str, Any]
TYPES: dict[Any, str] = {
    int: "integer",
    AnyInt: "integer",
    float: "number",
    str: "string",
    bool: "boolean",
    type(None): "null",
}
# What to write for a type that Python has and a config has not.
INSTEAD: dict[type, str] = {
    Enum: "Literal, as in Literal['mean', 'sum']",
    Set: "list",
    PurePath: "tinynet.FilePath",
    object: "int, float, str, bool, Literal, list, tuple, dict or a TypedDict",
}


def json_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of a config file, shorthands included."""
    load_all()
    definitions: Schema = {}
    properties = dict(_options(Head, definitions)["properties"])
    for name, section in SECTIONS.items():
        one = {"$ref": f"#/$defs/{section.kind}"}
        definitions[section.kind] = _components(section.kind, definitions)
        many = {"type": "array", "items": one, "minItems": int(section.required)}
        shape = one if not section.is_list else many if section.required else {"anyOf": [one, many, {"type": "null"}]}
        properties[name] = {**shape, "description": section.description}
    properties["training"] = _options(Training, definitions)
    properties["training"]["properties"]["start_from"]["anyOf"].append({"type": "string"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tinynet config",
        "type": "object",
        "properties": properties,
        "required": [name for name, section in SECTIONS.items() if section.required],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _components(kind: str, definitions: Schema) -> Schema:
    """`Name`, or `Name: value`, or `Name: {option: value, …}` for every component of a kind."""
    bare, named = [], {}
    for name, cls in components.classes(kind).items():
        options = _options(cls, definitions)
        forms = [options]
        if "required" not in options:
            bare.append(name)
            forms.append({"type": "null"})
        first = components.first_option(cls)
        if first is not None:
            forms.append(options["properties"][first.name])
        named[name] = {"anyOf": forms, "description": components.documentation(cls).summary}
    mapping = {
        "type": "object",
        "properties": named,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [{"enum": bare}, mapping]}


def check_options(cls: type[Component]) -> None:
    """Raise OptionError if the options of a component are not such as a config can give."""
    _options(cls, {})


def _options(form: Any, definitions: Schema) -> Schema:
    """A mapping with these options; what they refer to goes into the definitions."""
    options = components.options(form)
    required = [option.name for option in options if option.required]
    return {
        "additionalProperties": False,
        "description": components.documentation(form).summary,
        "properties": {option.name: _option(option, definitions) for option in options},
        **({"required": required} if required else {}),
        "title": form.__name__,
        "type": "object",
    }


def _option(option: Option, definitions: Schema) -> Schema:
    default = list(option.default) if isinstance(option.default, tuple) else option.default
    try:
        values = _annotation(option.annotation, definitions)
    except TypeError as error:
        raise OptionError(f"{option.name}: {error}") from error
    found = {
        **values,
        **({} if option.required else {"default": default}),
        "description": option.description,
        "title": option.name.replace("_", " ").title(),
    }
    return dict(sorted(found.items()))


def _annotation(annotation: Any, definitions: Schema) -> Schema:
    """What values of an annotation are. Raises TypeError for one that JSON, and so a config, has no values of."""
    origin, arguments = parts(annotation)
    if components.is_form(annotation):
        if annotation.__name__ not in definitions:
            definitions[annotation.__name__] = {}  # which one that holds itself finds
            definitions[annotation.__name__] = _options(annotation, definitions)
        return {"$ref": f"#/$defs/{annotation.__name__}"}
    if origin is Literal:
        kinds = {_annotation(type(argument), definitions)["type"] for argument in arguments}
        values = {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
        return {**values, "type": kinds.pop()} if len(kinds) == 1 else values
    if origin is Annotated and isinstance(arguments[1], LayersMarker):
        return {"items": {"$ref": "#/$defs/layer"}, "type": "array"}
    if origin is Annotated:
        values = _annotation(arguments[0], definitions)
        return dict(sorted({**values, **_limits(values, *arguments)}.items()))
    if annotation in (Any, object):
        return {}
    if origin is None and annotation in TYPES:
        return {"type": TYPES[annotation]}
    if origin not in (Union, list, Sequence, tuple, dict, Mapping) or annotation == tuple[()]:
        raise _refusal(annotation, origin)
    inner = [_annotation(argument, definitions) for argument in arguments if argument is not ...]
    if origin is Union:
        return {"anyOf": inner}
    if origin in (dict, Mapping):
        return {"additionalProperties": inner[1], "type": "object"}
    if origin is tuple and ... not in arguments:
        return {"maxItems": len(inner), "minItems": len(inner), "prefixItems": inner, "type": "array"}
    return {"items": inner[0], "type": "array"}


def _limits(values: Schema, annotation: Any, *marks: Any) -> Schema:
    """The limits of values of an annotation. Raises TypeError for one that does not go with all of them."""
    kinds = [one.get("type") for one in values.get("anyOf", [values])]
    found = {}
    for limit, bound in bounds(marks):
        if limit.keywords and not set(kinds) <= limit.keywords.keys():
            raise TypeError(
                f"'{limit.words} {bound}' is no limit of {in_words(annotation)}. Write it with what it limits, "
                "as in Annotated[int, Gt(0)] | None."
            )
        found.update({limit.keywords[kind]: bound for kind in kinds if limit.keywords})
    return found


def _refusal(annotation: Any, origin: Any) -> TypeError:
    kind = origin or annotation
    kind = kind if isinstance(kind, type) else object
    instead = next(text for base, text in INSTEAD.items() if issubclass(kind, base))
    name = annotation.__name__ if isinstance(annotation, type) else annotation
    return TypeError(f"{name} is nothing that a config can give. Write {instead}.")
