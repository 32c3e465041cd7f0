"""`tinynet data`: downloads MNIST and Fashion-MNIST, and shows where they are."""

from __future__ import annotations

from pathlib import Path

import click

from tinynet.cli.output import counted, quoted
from tinynet.cli.progress import downloads_shown
from tinynet.common.files import data_folder

# The keys of download.SOURCES, which would import NumPy.
NAMES = ("mnist", "fashion-mnist")


@click.group("data")
def command() -> None:
    """Get datasets, and see where they are."""


@command.command("get")
@click.argument("name", type=click.Choice(NAMES, case_sensitive=False))
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, file_okay=False),
    metavar="FOLDER",
    help="Copy the files from this folder instead of downloading them.",
)
def get(name: str, source: str | None) -> None:
    """Download a dataset into the data folder, unless it is there. Every file is verified."""
    from tinynet.data.download import fetch, missing, take

    folder = data_folder() / name
    if not missing(name, folder):
        click.echo(f"{name} is complete in {folder}")
        return
    if source is not None:
        came = take(name, Path(source), folder)
    else:
        with downloads_shown():
            came = fetch(name, folder)
    done = "Copied" if source is not None else "Downloaded"
    click.echo(f"{done} and verified {counted(len(came), 'file')}; {name} is complete in {folder}")


@command.command("path")
def path() -> None:
    """Print the data folder: TINYNET_DATA, or the user's cache folder."""
    click.echo(data_folder())


@command.command("list")
def show() -> None:
    """List the datasets: whether they are complete, how large, and where."""
    from tinynet.data.download import SOURCES, locate, missing

    for name, source in SOURCES.items():
        folder = data_folder() / name
        absent = missing(name, folder)
        if len(absent) == len(source.files):
            click.echo(f"{name}: missing; `tinynet data get {name}` puts it into {quoted(folder)}")
            continue
        found = [path for file in source.files if (path := locate(folder, file))]
        size = sum(path.stat().st_size for path in found) / 1e6
        state = f"lacks {', '.join(absent)}" if absent else "complete"
        click.echo(f"{name}: {state}, {size:.1f} MB in {quoted(folder)}")
