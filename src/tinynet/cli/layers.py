"""`tinynet layers`: what a config can name, from the classes themselves."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import click

from tinynet.cli.plugins import plugin_option

if TYPE_CHECKING:
    from tinynet.common.components import Component

PLURALS = {
    "dataset": "Datasets",
    "augmentation": "Augmentations",
    "layer": "Layers",
    "loss": "Losses",
    "optimizer": "Optimizers",
    "schedule": "Schedules",
}


@click.command("layers")
@click.argument("name", required=False)
@plugin_option
def command(name: str | None) -> None:
    """List layers, losses and all else a config can name, with their equations; all of one, given its NAME."""
    from tinynet.common import components
    from tinynet.common.errors import UsageError
    from tinynet.common.suggestions import suggestion
    from tinynet.config.grammar import load_all

    load_all()
    if name is None:
        for kind in ("layer", "loss", "optimizer", "schedule", "dataset", "augmentation"):
            found = components.classes(kind)
            width = max(map(len, found))
            click.echo(f"{PLURALS[kind]}")
            for each, cls in found.items():
                click.echo(f"  {each.ljust(width)}  {components.documentation(cls).summary}")
            click.echo()
        click.echo("`tinynet layers NAME` shows shapes, options and an example.")
        return
    component = components.find(name)
    if component is None:
        known = [each for kind in components.KINDS for each in components.classes(kind)]
        guess = suggestion(name, known)
        raise UsageError(
            f"there is no '{name}'. " + (f"Did you mean '{guess}'?" if guess else f"There are: {', '.join(known)}.")
        )
    click.echo(_text(component))


def _text(component: type[Component]) -> str:
    from tinynet.common import components

    found = components.documentation(component)
    lines = [f"{component.__name__} ({component.kind})", "", f"  {found.summary}"]
    body = re.sub(r"Raises\n-+\n(?:\S+\n(?:    .*\n?)+)+\n?", "", found.body).strip()
    if body:
        lines += ["", textwrap.indent(body, "  ")]
    lines += ["", "Options"] if components.options(component) else []
    for option in components.options(component):
        default = "required" if option.required else f"default {_yaml(option.default)}"
        lines.append(f"  {option.name}: {option.type_text} ({default})")
        lines += textwrap.wrap(option.description, 96, initial_indent="      ", subsequent_indent="      ")
    example = found.example
    lines += ["", "Example", f"  {example[1:-1] if example.startswith('{') else example}"]
    return "\n".join(lines)


def _yaml(value: object) -> str:
    """A default as a config writes it."""
    import yaml

    value = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
