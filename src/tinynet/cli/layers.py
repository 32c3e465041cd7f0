"""`tinynet layers`: what a config can name, from the classes themselves."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

import click

from tinynet.cli.plugins import plugin_option

PLURALS = {
    "layer": "Layers",
    "loss": "Losses",
    "optimizer": "Optimizers",
    "schedule": "Schedules",
    "dataset": "Datasets",
    "augmentation": "Augmentations",
}


@click.command("layers")
@click.argument("name", required=False)
@plugin_option
def command(name: str | None) -> None:
    """List layers, losses and all else a config can name, with their equations; all of one, given its NAME.

    NAME may also be a section, such as `dataset`, or what holds options, such as `training` and `early_stopping`.
    """
    from tinynet.common import components
    from tinynet.common.errors import UsageError
    from tinynet.common.suggestions import suggestion
    from tinynet.config.grammar import GROUPS, HEAD, SECTIONS, Head, load_all

    load_all()
    kinds = {word: kind for kind in PLURALS for word in (kind, PLURALS[kind].lower())}
    kinds |= {key: section.kind for key, section in SECTIONS.items()}
    forms = {**GROUPS, ", ".join(HEAD): Head}
    if name is None:
        groups = _table("Options", forms)
        click.echo(
            "\n".join([*map(_kind, PLURALS), groups, "`tinynet layers NAME` shows shapes, options and an example."])
        )
    elif component := components.find(name):
        click.echo(_text(component, f"{name} ({component.kind})"))
    elif name.lower() in kinds:
        click.echo(_kind(kinds[name.lower()]).rstrip())
    elif form := Head if name in HEAD else GROUPS.get(name):
        click.echo(_text(form, name))
    else:
        known = [*(each for kind in components.KINDS for each in components.classes(kind)), *SECTIONS, *GROUPS]
        guess = suggestion(name, known)
        raise UsageError(
            f"there is no '{name}'. " + (f"Did you mean '{guess}'?" if guess else f"There are: {', '.join(known)}.")
        )


def _kind(kind: str) -> str:
    from tinynet.common import components

    return _table(PLURALS[kind], components.classes(kind))


def _table(heading: str, forms: Mapping[str, type]) -> str:
    """The first line of each one's docstring, which for a component is its equation."""
    from tinynet.common import components

    width = max(map(len, forms))
    rows = (f"  {name.ljust(width)}  {components.documentation(form).summary}" for name, form in forms.items())
    return "\n".join([heading, *rows, ""])


def _text(form: type, title: str) -> str:
    """All of a component, or of a group of options."""
    from tinynet.common import components
    from tinynet.config.grammar import GROUPS

    found = components.documentation(form)
    lines = [title, "", f"  {found.summary}"]
    body = re.sub(r"Raises\n-+\n(?:\S+\n(?:    .*\n?)+)+\n?", "", found.body).strip()
    if body:
        lines += ["", textwrap.indent(body, "  ")]
    lines += ["", "Options"] if components.options(form) else []
    for option in components.options(form):
        default = "required" if option.required else f"default {_yaml(option.default)}"
        lines.append(f"  {option.name}: {option.type_text} ({default})")
        more = f" `tinynet layers {option.name}` shows them." if option.form in GROUPS.values() else ""
        lines += textwrap.wrap(option.description + more, 96, initial_indent="      ", subsequent_indent="      ")
    example = found.example
    lines += ["", "Example", f"  {example[1:-1] if example.startswith('{') else example}"]
    return "\n".join(lines)


def _yaml(value: object) -> str:
    """A default as a config writes it."""
    import yaml

    value = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
