"""The config's grammar: pydantic models made from the components' own fields, and the JSON Schema of it all."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, create_model

from tinynet import registry
from tinynet.registry import Component, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class EarlyStopping(BaseModel):
    """Stop when a figure has not become smaller by more than min_delta for `patience` epochs."""

    model_config = _STRICT
    monitor: Literal["validation_loss", "validation_error", "train_loss", "train_error"] = Field(
        "validation_loss", description="The figure to watch."
    )
    patience: PositiveInt = Field(10, description="Epochs without a smaller figure before training stops.")
    min_delta: NonNegativeFloat = Field(0.0, description="How much smaller the figure has to be to count.")


class Training(BaseModel):
    """How to train."""

    model_config = _STRICT
    epochs: PositiveInt = Field(10, description="Passes through the training split.")
    batch_size: PositiveInt = Field(32, description="Samples in a batch; the last of an epoch may be short.")
    shuffle: bool = Field(True, description="Whether each epoch takes the samples in a new random order.")
    evaluate_train: bool = Field(
        False, description="Whether train_loss and train_error are measured after each epoch, not during it."
    )
    clip_norm: PositiveFloat | None = Field(None, description="Largest norm of all gradients taken as one vector.")
    early_stopping: EarlyStopping | None = Field(None, description="When to stop before the last epoch.")
    checkpoint_seconds: NonNegativeFloat = Field(10.0, description="Seconds between two saves of checkpoints/last.npz.")


class Head(BaseModel):
    """The plain values at the top of a config."""

    model_config = _STRICT
    name: str | None = Field(None, description="The run's name; by default the file's.")
    seed: NonNegativeInt = Field(0, description="Where all randomness starts.")
    dtype: Literal["float32", "float64"] = Field("float32", description="Of parameters and inputs.")


@dataclass(frozen=True)
class Section:
    """A part of the config that holds components."""

    kind: str
    description: str
    required: bool = True
    is_list: bool = False


SECTIONS = {
    "dataset": Section("dataset", "What to learn from."),
    "augment": Section(
        "augmentation", "Random changes of the training images, in order.", required=False, is_list=True
    ),
    "layers": Section("layer", "The layers, in the order of the forward pass.", is_list=True),
    "loss": Section("loss", "What training makes small."),
    "optimizer": Section("optimizer", "How parameters change."),
    "schedule": Section("schedule", "How the learning rate changes; several multiply.", required=False, is_list=True),
}
KEYS = (*Head.model_fields, *SECTIONS, "training")


_models: dict[type[Component], type[BaseModel]] = {}


def model(cls: type[Component]) -> type[BaseModel]:
    """The pydantic model of a component's options."""
    if cls not in _models:
        _models[cls] = _make_model(cls)
    return _models[cls]


def _make_model(cls: type[Component]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for option in registry.options(cls):
        default = ... if option.required else option.default
        fields[option.name] = (_relaxed(option.annotation), Field(default, description=option.description))
    return create_model(cls.__name__, __config__=_STRICT, __doc__=registry.documentation(cls).summary, **fields)


def _relaxed(annotation: Any) -> Any:
    # YAML has lists only, which pydantic's strict tuples refuse: the pair is relaxed, its elements stay strict.
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        strict = [element if element is ... else Annotated[element, Strict()] for element in arguments]
        return Annotated[tuple.__class_getitem__(tuple(strict)), Strict(False)]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(map(_relaxed, arguments))]  # noqa: UP007 (the members are not known before)
    return annotation


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config file, shorthands included."""
    registry.load_all()
    definitions: dict[str, Any] = {}
    properties = dict(_inlined(Head, definitions)["properties"])
    for name, section in SECTIONS.items():
        one = {"$ref": f"#/$defs/{section.kind}"}
        definitions[section.kind] = _component_schema(section.kind, definitions)
        many = {"type": "array", "items": one, "minItems": int(section.required)}
        shape = one if not section.is_list else many if section.required else {"anyOf": [one, many, {"type": "null"}]}
        properties[name] = {**shape, "description": section.description}
    properties["training"] = _inlined(Training, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tinynet config",
        "type": "object",
        "properties": properties,
        "required": [name for name, section in SECTIONS.items() if section.required],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _component_schema(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """`Name`, or `Name: value`, or `Name: {option: value, …}` for every component of a kind."""
    bare, named = [], {}
    for name, cls in registry.classes(kind).items():
        options = _inlined(model(cls), definitions)
        forms = [options]
        if not any(option.required for option in registry.options(cls)):
            bare.append(name)
            forms.append({"type": "null"})
        first = registry.first_option(cls)
        if first is not None:
            forms.append(options["properties"][first.name])
        named[name] = {"anyOf": forms, "description": registry.documentation(cls).summary}
    mapping = {
        "type": "object",
        "properties": named,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [{"enum": bare}, mapping]}


def _inlined(cls: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = cls.model_json_schema()
    definitions.update(schema.pop("$defs", {}))
    return schema
