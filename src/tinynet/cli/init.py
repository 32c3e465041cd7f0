"""`tinynet init`: writes a commented config to start from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from tinynet.cli.output import quoted

STARTERS = ("disk", "spirals", "csv", "npz")


@click.command("init")
@click.argument("kind", type=click.Choice(STARTERS), default="disk")
@click.option("--out", type=click.Path(), help="File to write, instead of KIND.yaml.")
def command(kind: str, out: str | None) -> None:
    """Write a commented config to start from, KIND.yaml; never over an existing file.

    \b
    disk     a classification of points in the plane (the default)
    spirals  a harder one, with cross-entropy and Adam
    csv      your own table
    npz      your own arrays
    """
    from tinynet.common.errors import UsageError

    path = Path(out or f"{kind}.yaml")
    text = (resources.files("tinynet.cli") / "starters" / f"{kind}.yaml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path}: this file exists. Name another one with --out.") from None
    click.echo(f"Wrote {path}. Next: tinynet train {quoted(path)}")
