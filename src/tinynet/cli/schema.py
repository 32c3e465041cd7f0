"""`tinynet schema`: the grammar of configs as JSON Schema."""

from __future__ import annotations

import json

import click

from tinynet.cli.plugins import plugin_option


@click.command("schema")
@plugin_option
def command() -> None:
    """Print the JSON Schema of config files, for the completion of editors."""
    from tinynet.config.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
