"""Checks a config against the grammar: shorthand, overrides, options. Collects every problem, each at its line."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinynet.common import components
from tinynet.common.annotations import Options, converted
from tinynet.common.components import Component, Option, a, shown
from tinynet.common.errors import ConfigError, OptionError, readable
from tinynet.common.files import at_home
from tinynet.common.suggestions import suggestion
from tinynet.config.grammar import HEAD, KEYS, SECTIONS, Head, Training, full, load_all
from tinynet.config.messages import Source, example, in_example, several, unknown, unknown_component
from tinynet.config.overrides import OverrideError, find, parse
from tinynet.config.reader import FAULTY, Keys

MOST_PROBLEMS = 50  # that are told at once
DEEPEST = 20  # blocks in each other


@dataclass(frozen=True)
class Spec:
    """A component as a config names it: its class and all its options. `make` gives a new instance each time."""

    cls: type[Component]
    options: dict[str, Any]

    def make(self) -> Any:
        return self.cls(**{name: each(value, Spec.make) for name, value in self.options.items()})

    def to_json(self) -> dict[str, Any]:
        given = {name: value for name, value in self.options.items() if value is not None}
        return {self.cls.__name__: {name: each(value, Spec.to_json) for name, value in given.items()}}


def each(value: Any, change: Callable[[Spec], Any]) -> Any:
    """An option's value, with each component of a list changed."""
    if isinstance(value, (tuple, list)):
        return [change(item) if isinstance(item, Spec) else item for item in value]
    return value


class Checker:
    """Collects the problems of one config."""

    def __init__(self, source: Source, folder: Path) -> None:
        load_all()
        self.source, self.folder = source, folder
        self.found: list[tuple[int, int, str]] = []

    def report(self, keys: Keys, message: str) -> None:
        self.found.append((*self.source.place(keys), self.source.problem(keys, message)))

    def check(self, raw: dict[str, Any], overrides: Sequence[str], default_name: str) -> dict[str, Any]:
        """The fields of a `Config` but for its source; raises ConfigError with every problem."""
        whole, parts = self.read_overrides(overrides)
        tree = self.expand({**raw, **whole})
        for text, keys, value in parts:
            self.override(tree, text, keys, value)
        head = self.group(Head, {key: tree[key] for key in HEAD if key in tree}, ())
        specs = {name: self.specs(name, tree.get(name)) for name in SECTIONS}
        training = self.group(Training, tree.get("training", {}), ("training",))
        name = default_name if tree.get("name") is None else tree["name"]
        if isinstance(name, str) and safe_name(name) != name:
            self.report(("name",), f"{name!r} cannot be a folder's name. Write {safe_name(name)!r}.")
        if self.found:
            raise ConfigError(self.problems())
        for spec in specs["schedule"]:
            # A length that follows from the training is written out, so that a run resumed for longer keeps it.
            if spec.options.get("T_max", 0) is None:
                spec.options["T_max"] = training.epochs
        return {"name": name, "seed": head.seed, "dtype": head.dtype, "training": training, **specs}

    def problems(self) -> list[str]:
        """What was reported, in the order of the lines, one line each."""
        told = list(dict.fromkeys(message for *_, message in sorted(self.found)))
        more = len(told) - MOST_PROBLEMS
        rest = [f"{self.source.file}: {more:,} more problems, not shown."] if more > 0 else []
        return told[:MOST_PROBLEMS] + rest

    def read_overrides(self, overrides: Sequence[str]) -> tuple[dict[str, Any], list[tuple[str, Keys, Any]]]:
        """The sections that `--set` gives as a whole, and the (text, path, value) of what comes after within one."""
        whole: dict[str, Any] = {}
        parts: list[tuple[str, Keys, Any]] = []
        for text in overrides:
            try:
                keys, value = parse(text)
            except OverrideError as error:
                self.found.append((0, 0, readable(f"--set {text}: {error}")))
                continue
            self.source.overrides[keys] = text
            if len(keys) == 1:
                # What was said of this section before, by the file or by --set, no longer counts.
                whole[str(keys[0])] = value
                parts = [part for part in parts if part[1][0] != keys[0]]
            else:
                parts.append((text, keys, value))
        return whole, parts

    def override(self, tree: dict[str, Any], text: str, keys: Keys, value: Any) -> None:
        """Put the value of one `--set` into the expanded tree."""
        try:
            slot = find(tree, keys)
        except OverrideError as error:
            self.found.append((0, 0, readable(f"--set {text}: {error}")))
            return
        if slot is None:
            return
        if slot.kind is not None:
            value = (self.expand_layers if slot.is_list else self.expand_component)(slot.kind, value, keys)
        slot.holder[slot.key] = value
        if keys[0] == "training":
            tree["training"] = full(tree["training"])

    def expand(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The tree with every component in its long form, {name: {option: value}}; None where that failed."""
        tree: dict[str, Any] = {}
        for key, value in raw.items():
            if key not in KEYS:
                self.report((key,), unknown("section", key, KEYS))
            elif key in SECTIONS:
                tree[key] = self.expand_section(key, value)
            elif key == "training":
                tree[key] = full(self.mapping(value, (key,), Training))
            else:
                tree[key] = value
        guessed = {suggestion(key, KEYS) for key in raw if key not in KEYS}
        for key, section in SECTIONS.items():
            if section.required and key not in raw and key not in guessed:
                self.report((), f"'{key}' is missing. {section.description} For example `{example(key)}`.")
        return tree

    def expand_section(self, key: str, value: Any) -> Any:
        if not SECTIONS[key].is_list:
            return self.expand_component(SECTIONS[key].kind, value, (key,))
        if value is FAULTY:
            return []
        if not isinstance(value, list):
            if SECTIONS[key].required:
                self.report((key,), "must be a list: each on a line of its own that begins with '- '")
                return []
            return [] if value is None else [self.expand_component(SECTIONS[key].kind, value, (key,))]
        if not value and SECTIONS[key].required:
            self.report((key,), f"is empty. For example `{example(key)}`.")
        return [self.expand_component(SECTIONS[key].kind, item, (key, i)) for i, item in enumerate(value)]

    def expand_component(self, kind: str, value: Any, keys: Keys) -> dict[str, Any] | None:
        """{name: {option: value}} for `Name`, `Name: value` or `Name: {…}`; None and a report for anything else."""
        known = components.classes(kind)
        if isinstance(value, str):
            value = {value: None}
        if value is FAULTY:
            return None
        if not isinstance(value, dict) or not value:
            self.report(keys, f"must be the name of {a(kind)}, as in `{example(kind)}`, not {shown(value)}")
            return None
        name, bare = next(iter(value.items()))
        if len(value) > 1:
            self.report(keys, several(value, known))
            return None
        if name not in known:
            self.report(keys, unknown_component(kind, name, typed=bool(self.source.text)))
            return None
        if bare is None:
            return {name: {}}
        if isinstance(bare, dict):
            return {name: self.expand_inner(known[name], bare, (*keys, name))}
        first = components.first_option(known[name])
        if first is None:
            self.report(keys, f"{name} takes no value, but gets {shown(bare)}. Write `{name}`.")
            return None
        if first.is_layers:
            self.source.lengthen((*keys, name), first.name)
        return {name: self.expand_inner(known[name], {first.name: bare}, (*keys, name))}

    def expand_inner(self, cls: type[Component], options: dict[str, Any], keys: Keys) -> dict[str, Any]:
        """The options, with the layers that one of them lists (Block) in their long form."""
        found = dict(options)
        for name in (option.name for option in components.options(cls) if option.is_layers):
            if name in found:
                found[name] = self.expand_layers("layer", found[name], (*keys, name))
        return found

    def expand_layers(self, kind: str, value: Any, keys: Keys) -> list[Any]:
        """A list of layers within a layer, each in its long form."""
        if not isinstance(value, list):
            if value is not FAULTY:
                self.report(keys, f"must be a list of layers, as in `{keys[-1]}: [Linear: 25, ReLU]`")
            return []
        if keys.count("layers") > DEEPEST + 1:
            self.report(keys, f"blocks are nested over {DEEPEST} deep. Write them one after another.")
            return []
        return [self.expand_component(kind, item, (*keys, i)) for i, item in enumerate(value)]

    def mapping(self, value: Any, keys: Keys, form: type[Options]) -> dict[str, Any]:
        if value is not None and value is not FAULTY and not isinstance(value, dict):
            inside = components.documentation(form).example
            self.report(keys, f"must hold options, as in `{keys[-1]}: {inside}`, not {shown(value)}")
        return dict(value) if isinstance(value, dict) else {}

    def specs(self, section: str, found: Any) -> Any:
        """The component of a section, or the list of them."""
        kind = SECTIONS[section].kind
        if not SECTIONS[section].is_list:
            return self.spec(kind, found, (section,))
        at: list[Keys] = [(section, index) for index in range(len(found or ()))]
        if len(at) == 1 and at[0] not in self.source.marks:
            at = [(section,)]  # `schedule: CosineLR`, not a list
        return [self.spec(kind, item, keys) for item, keys in zip(found or (), at, strict=True)]

    def spec(self, kind: str, item: dict[str, Any] | None, keys: Keys) -> Spec | None:
        if item is None:
            return None  # missing or faulty, which is reported already
        ((name, options),) = item.items()
        cls = components.classes(kind)[name]
        keys = (*keys, name)
        values = self.options(cls, options, keys)
        if values is None:
            return None
        spec = Spec(cls, values)
        if components.has_rules(cls):
            try:
                spec.make()
            except OptionError as error:
                self.report(keys, str(error).removeprefix(f"{cls.__name__}: "))
                return None
        return spec

    def group(self, form: Any, given: dict[str, Any], keys: Keys) -> Any:
        """The options of a mapping as what their class makes of them; FAULTY if there are problems."""
        values = self.options(form, given, keys)
        return FAULTY if values is None else form(**values)

    def options(self, form: Any, given: dict[str, Any], keys: Keys) -> dict[str, Any] | None:
        """The options that a class takes, with their defaults; None, and a report of each problem, if there are any."""
        known = {option.name: option for option in components.options(form)}
        extra = [name for name in given if name not in known]
        for name in extra:
            self.report((*keys, name), unknown("option", name, list(known)))
        values: dict[str, Any] = {}
        for name, option in known.items():
            at = (*keys, name)
            if name in given:
                values[name] = self.value(option, given[name], at)
            elif option.required:
                values[name] = FAULTY
                if not any(suggestion(other, [name]) for other in extra):
                    self.report(at, f"is missing. {keys[-1]} needs it{in_example(form)}.")
            elif not typing.is_typeddict(form):
                values[name] = self.value(option, deepcopy(option.default), at)
        faulty = extra or any(value is FAULTY for value in values.values())
        return None if faulty else values

    def value(self, option: Option, value: Any, keys: Keys) -> Any:
        """The value of an option as its class takes it, paths absolute; FAULTY, and a report, if it does not fit."""
        if value is FAULTY:
            return FAULTY
        if option.is_layers:
            inner = [self.spec("layer", item, (*keys, i)) for i, item in enumerate(value)]
            return FAULTY if None in inner else inner
        if option.form and isinstance(value, dict):
            return self.group(option.form, value, keys)
        try:
            found = converted(value, option.annotation)
        except ValueError:
            if option.form and issubclass(option.form, Options):
                self.mapping(value, keys, option.form)
            else:
                self.report(keys, components.misfit(value, option.annotation))
            return FAULTY
        return self.absolute(found) if option.is_path else found

    def absolute(self, path: str) -> str:
        return str(self.folder / at_home(path))


def safe_name(name: str) -> str:
    """The name, or the one nearest to it, that can be a folder's on any system."""
    return re.sub(r"[^\w .+-]", "-", name)[:100].strip(" .") or "run"
