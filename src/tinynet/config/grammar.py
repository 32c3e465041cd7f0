"""The config's grammar: pydantic models made from the components' own fields, and the JSON Schema of it all."""

from __future__ import annotations

import importlib
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

import annotated_types as limits
from pydantic import BaseModel, ConfigDict, Field, Strict, create_model

from tinynet.common import components
from tinynet.common.components import (
    Component,
    LayerList,
    NonNegativeFloat,
    NonNegativeInt,
    Option,
    PositiveFloat,
    PositiveInt,
)
from tinynet.config.messages import plain

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class EarlyStopping(BaseModel):
    """Stop when a figure has not become smaller by more than min_delta for `patience` epochs."""

    example: ClassVar[str] = "patience: 10"

    model_config = _STRICT
    monitor: Literal["validation_loss", "validation_error", "train_loss", "train_error"] = Field(
        "validation_loss", description="The figure to watch."
    )
    patience: PositiveInt = Field(10, description="Epochs without a smaller figure before training stops.")
    min_delta: NonNegativeFloat = Field(0.0, description="How much smaller the figure has to be to count.")


class StartFrom(BaseModel):
    """Another run, from whose parameters a training starts."""

    example: ClassVar[str] = "checkpoint: runs/disk"

    model_config = _STRICT
    checkpoint: str = Field(
        description="A checkpoint, or a run's folder: its best.npz, or last.npz where there is none. A relative path "
        "is relative to the config's folder."
    )
    fresh: list[str] = Field([], description="Layers and blocks that begin anew all the same.")


class Training(BaseModel):
    """How to train."""

    model_config = _STRICT
    epochs: PositiveInt = Field(10, description="Passes through the training split.")
    batch_size: PositiveInt = Field(32, description="Samples in a batch; the last of an epoch may be short.")
    rounds: Annotated[PositiveInt, limits.Le(1000)] = Field(
        1, description="Independent trainings with the seeds seed, seed + 1, …; their figures are means over them."
    )
    shuffle: bool = Field(True, description="Whether each epoch takes the samples in a new random order.")
    evaluate_train: bool = Field(
        False, description="Whether train_loss and train_error are measured after each epoch, not during it."
    )
    clip_norm: PositiveFloat | None = Field(None, description="Largest norm of all gradients taken as one vector.")
    early_stopping: EarlyStopping | None = Field(None, description="When to stop before the last epoch.")
    checkpoint_seconds: NonNegativeFloat = Field(10.0, description="Seconds between two saves of checkpoints/last.npz.")
    start_from: StartFrom | None = Field(
        None, description="Whose parameters to start from: a checkpoint or a run, as a path or with options."
    )


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
    return _from_options(cls.__name__, components.documentation(cls).summary, components.options(cls))


@cache
def _mapping(form: Any) -> type[BaseModel]:
    """The model of a TypedDict."""
    return _from_options(form.__name__, (form.__doc__ or "").partition("\n")[0], components.entries(form))


def _from_options(name: str, summary: str, options: Iterable[Option]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for option in options:
        default = ... if option.required else option.default
        fields[option.name] = (_relaxed(option.annotation), Field(default, description=option.description))
    return create_model(name, __config__=_STRICT, __doc__=summary, **fields)


def _relaxed(annotation: Any) -> Any:
    # YAML has lists only, which pydantic's strict tuples refuse: the pair is relaxed, its elements stay strict.
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if typing.is_typeddict(annotation):
        return _mapping(annotation)
    if annotation is LayerList:
        return list[Any]  # checked one by one
    if origin is tuple:
        strict = [element if element is ... else Annotated[element, Strict()] for element in arguments]
        return Annotated[tuple.__class_getitem__(tuple(strict)), Strict(False)]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(map(_relaxed, arguments))]  # noqa: UP007 (the members are not known before)
    return annotation


def mappings(form: type[BaseModel]) -> dict[str, Any]:
    """The options that may be mappings with options of their own, and the models of these."""
    parts = ((name, part) for name, field in form.model_fields.items() for part in typing.get_args(field.annotation))
    return {name: part for name, part in parts if isinstance(part, type) and issubclass(part, BaseModel)}


def annotation(form: type[BaseModel], name: str) -> Any:
    """The annotation of an option; that of a component's as its class has it."""
    cls = _component(form)
    if cls is not None:
        return next(option.annotation for option in components.options(cls) if option.name == name)
    return typing.get_type_hints(form, include_extras=True)[name]


def in_example(form: type[BaseModel]) -> str:
    """`, as in …` with an example of the whole; empty where there is none."""
    cls = _component(form)
    text = components.documentation(cls).example if cls else getattr(form, "example", "")
    if cls and text == cls.__name__:  # which its docstring gives no other example of
        text = f"{text}: {{{next(o.name for o in components.options(cls) if o.required)}: …}}"
    return f", as in `{plain(text)}`" if text else ""


def _component(form: type[BaseModel]) -> type[Component] | None:
    """The component whose options a model holds."""
    cls = components.find(form.__name__)
    return cls if cls is not None and _models.get(cls) is form else None


def full(training: dict[str, Any]) -> dict[str, Any]:
    """The training's options with the shorthand `start_from: PATH` written out."""
    start = training.get("start_from")
    return {**training, "start_from": {"checkpoint": start}} if isinstance(start, str) else training


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config file, shorthands included."""
    load_all()
    definitions: dict[str, Any] = {}
    properties = dict(_inlined(Head, definitions)["properties"])
    for name, section in SECTIONS.items():
        one = {"$ref": f"#/$defs/{section.kind}"}
        definitions[section.kind] = _component_schema(section.kind, definitions)
        many = {"type": "array", "items": one, "minItems": int(section.required)}
        shape = one if not section.is_list else many if section.required else {"anyOf": [one, many, {"type": "null"}]}
        properties[name] = {**shape, "description": section.description}
    properties["training"] = _inlined(Training, definitions)
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


def _component_schema(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """`Name`, or `Name: value`, or `Name: {option: value, …}` for every component of a kind."""
    bare, named = [], {}
    for name, cls in components.classes(kind).items():
        options = _inlined(model(cls), definitions)
        for option in components.options(cls):
            if option.is_layers:
                options["properties"][option.name]["items"] = {"$ref": "#/$defs/layer"}
        forms = [options]
        if not any(option.required for option in components.options(cls)):
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


def _inlined(cls: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = cls.model_json_schema()
    definitions.update(schema.pop("$defs", {}))
    return schema


def load_all() -> None:
    """Import every module that defines components."""
    for module in ("data.plane", "data.own_files", "data.mnist", "data.augmentations"):
        importlib.import_module(f"tinynet.{module}")
    for module in ("layers", "losses", "optimizers", "schedules"):
        importlib.import_module(f"tinynet.nn.{module}")
