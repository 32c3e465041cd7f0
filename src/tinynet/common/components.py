"""Components: classes that a config can name. Their fields are their options, their docstrings the documentation."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from tinynet.common.annotations import LayersMarker, Options, PathMarker, entries, fits, in_words, without_numpy
from tinynet.common.errors import OptionError

LONGEST_VALUE = 400  # letters of one in a message
KINDS = ("dataset", "augmentation", "layer", "loss", "optimizer", "schedule")
REQUIRED: Any = dataclasses.MISSING

_classes: dict[str, dict[str, type[Component]]] = {kind: {} for kind in KINDS}
_options: dict[type, tuple[Option, ...]] = {}


class Component:
    """Anything that a config can name: a dataset, an augmentation, a layer, a loss, an optimizer or a schedule.

    A concrete subclass is registered under its own name when its class statement has run. Its dataclass fields are
    its options; values that do not fit their annotations are refused with `OptionError`.
    """

    kind: ClassVar[str]
    # For classes of a person's own; training/stacking.py lists tinynet's. Whether it takes an axis of rounds in front
    # of all others, and gives each round what it would give it alone. A class has to say so itself: what it derives
    # from does not count.
    stacks: ClassVar[bool] = False

    def __init_subclass__(cls, abstract: bool = False, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if abstract:
            return
        other = find(cls.__name__)
        # The same module again is a notebook's cell run twice.
        if other is not None and other.__module__ != cls.__module__:
            raise OptionError(
                f"there is {a(other.kind)} {cls.__name__} in {other.__module__}. Give yours another name."
            )
        _classes[cls.kind][cls.__name__] = cls

    def __post_init__(self) -> None:
        for option in options(type(self)):
            problem = mismatch(getattr(self, option.name), option.annotation)
            if problem:
                raise OptionError(f"{type(self).__name__}: {option.name} {problem}")


@dataclass(frozen=True)
class Option:
    """One option of a component, or of a group of options: a field of its class."""

    name: str
    annotation: Any
    default: Any
    description: str
    own: bool

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    @cached_property
    def is_path(self) -> bool:
        return any(isinstance(item, PathMarker) for item in getattr(self.annotation, "__metadata__", ()))

    @cached_property
    def is_layers(self) -> bool:
        return any(isinstance(item, LayersMarker) for item in getattr(self.annotation, "__metadata__", ()))

    @cached_property
    def form(self) -> Any:
        """The class of a mapping, with options of its own, that the value may be, among others; None without one."""
        return next(filter(is_form, (self.annotation, *typing.get_args(self.annotation))), None)

    @property
    def type_text(self) -> str:
        return in_words(self.annotation)


@dataclass(frozen=True)
class Documentation:
    """The docstring of a component, or of a group of options, in its parts."""

    summary: str
    body: str
    example: str


def classes(kind: str) -> dict[str, type[Component]]:
    """The components of a kind by name, in the order of their definition."""
    return _classes[kind]


def find(name: str) -> type[Component] | None:
    """The component of this name, of any kind."""
    return next((found[name] for found in _classes.values() if name in found), None)


def options(form: Any) -> tuple[Option, ...]:
    """The options of a component: its own first, in the order of its fields, then those all of its kind have.

    Also those of `Options`, such as the training's, and the entries of a TypedDict.
    """
    if form not in _options:
        found = _read_entries(form) if typing.is_typeddict(form) else _read_fields(form)
        _options[form] = tuple(sorted(found, key=lambda option: not option.own))
    return _options[form]


def _read_fields(cls: Any) -> Iterator[Option]:
    hints, described = typing.get_type_hints(cls, include_extras=True), _described(cls)
    own = {name for base in _own_classes(cls) for name in inspect.get_annotations(base)}
    for field in dataclasses.fields(cls):
        if field.init:
            factory: Any = field.default_factory
            default = without_numpy(field.default if factory is REQUIRED else factory())
            yield Option(field.name, hints[field.name], default, described.get(field.name, ""), field.name in own)


def _read_entries(form: Any) -> Iterator[Option]:
    described = _described(form)
    for name, annotation, required in entries(form):
        yield Option(name, annotation, REQUIRED if required else None, described.get(name, ""), True)


def _own_classes(cls: type) -> tuple[type, ...]:
    """The class and its bases, without those that all of its kind have."""
    common = (index for index, base in enumerate(cls.__mro__) if Component in base.__bases__)
    return cls.__mro__[: next(common, None)]


def is_form(annotation: Any) -> bool:
    """Whether an annotation is that of a mapping with options of its own."""
    return typing.is_typeddict(annotation) or (isinstance(annotation, type) and issubclass(annotation, Options))


def has_rules(cls: type[Component]) -> bool:
    """Whether a class may refuse options that fit one by one, in a `__post_init__` of its own."""
    return any("__post_init__" in vars(base) for base in _own_classes(cls))


def first_option(cls: type[Component]) -> Option | None:
    """The option that may be written bare, as in `Linear: 25`: the first of the component's own."""
    return next((option for option in options(cls) if option.own), None)


def documentation(cls: type) -> Documentation:
    """The first line (the equation), the text without the options' section, and the example of a docstring."""
    text = inspect.cleandoc(cls.__dict__.get("__doc__") or cls.__name__)
    if text.startswith(f"{cls.__name__}("):
        text = cls.__name__  # what a dataclass without a docstring gets is its signature
    example = re.search(r"^Example: (.+)$", text, re.MULTILINE)
    text = re.sub(r"^Example: .+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^Parameters\n-+\n(?:\S+\n(?:    .*\n?)+)+", "", text, flags=re.MULTILINE)
    summary, _, body = text.partition("\n")
    body = re.sub(r"\n{3,}", "\n\n", body).strip()
    return Documentation(summary.strip(), body, example[1] if example else cls.__name__)


def mismatch(value: Any, annotation: Any) -> str | None:
    """What is wrong with a value, as the end of a sentence that begins with the option's name; None if it fits."""
    return None if fits(value, annotation) else misfit(value, annotation)


def misfit(value: Any, annotation: Any) -> str:
    """As `mismatch`, of a value that does not fit."""
    return f"must be {in_words(annotation)}, not {shown(value)}"


def check_types(thing: Any) -> None:
    """Raise ValueError if a field of a dataclass, as read from a file, is not what its annotation says."""
    for name, annotation in typing.get_type_hints(type(thing)).items():
        problem = mismatch(getattr(thing, name), annotation)
        if problem:
            raise ValueError(f"{name} {problem}")


def a(kind: str) -> str:
    """The kind with its article."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def shown(value: Any) -> str:
    """A value as a config writes it, and a long one in short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return shortened(repr(value))


def shortened(text: str) -> str:
    """A text of at most LONGEST_VALUE letters, or the begin of a longer one."""
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE // 2]}…"


def is_component(value: Any) -> bool:
    """Whether a value of a resolved config is a component: {name: {option: value, …}}."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), dict)


def written(value: Any, as_text: Callable[[Any], str] = str, everything: bool = False) -> str:
    """A value of a resolved config as a person writes it, on one line: `[3, 5]`, `SGD: {lr: 0.1, momentum: 0.9}`.

    Of a component without the options left at their defaults, or with `everything` with all of its own.
    """
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(written(item, as_text) for item in value)}]"
    if not isinstance(value, dict):
        return shown(value) if value is None or isinstance(value, bool) else as_text(value)
    start = ""
    if is_component(value):
        ((name, given),) = value.items()
        known = {option.name: option for option in options(cls)} if (cls := find(name)) else {}
        left = {n for n, o in known.items() if n in given and written(given[n]) == written(o.default)}
        left -= {n for n in left if everything and known[n].own}
        value = {n: v for n, v in given.items() if n not in left}
        if not value:
            return str(name)
        start = f"{name}: "
        if list(value) == [n for n, o in known.items() if o.own][:1]:
            return start + written(value.popitem()[1], as_text)
    return f"{start}{{{', '.join(f'{n}: {written(v, as_text)}' for n, v in value.items())}}}"


def _described(cls: type) -> dict[str, str]:
    """Option name -> description, from the numpydoc `Parameters` sections of the class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        section = re.search(r"^Parameters\n-+\n((?:\S+\n(?:    .*\n?)+)+)", text + "\n", re.MULTILINE)
        if section:
            for name, lines in re.findall(r"^(\S+)\n((?:    .*\n?)+)", section[1], re.MULTILINE):
                found[name] = " ".join(lines.split())
    return found
