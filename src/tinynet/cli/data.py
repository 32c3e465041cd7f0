"""`tinynet data`: downloads MNIST and Fashion-MNIST, and shows where they are."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import click

from tinynet.cli.output import counted, quoted, say
from tinynet.files import data_folder

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
    """Download a dataset into the data folder, unless it is there; every file is verified."""
    from tinynet.datasets.download import fetch, missing, take

    folder = data_folder() / name
    if not missing(name, folder):
        click.echo(f"{name} is complete in {folder}")
        return
    if source is not None:
        came = take(name, Path(source), folder)
    else:
        say(f"Downloading {name} to {folder}")
        with Bar() as bar:
            came = fetch(name, folder, bar.show)
    done = "Copied" if source is not None else "Downloaded"
    click.echo(f"{done} and verified {counted(len(came), 'file')}; {name} is complete in {folder}")


@command.command("path")
def path() -> None:
    """Print the data folder: TINYNET_DATA, or the user's cache folder."""
    click.echo(data_folder())


@command.command("list")
def show() -> None:
    """List the datasets: whether they are complete, how large, and where."""
    from tinynet.datasets.download import SOURCES, locate, missing

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


class Bar:
    """Shows a download on stderr, on a terminal only: a bar for each file."""

    def __init__(self) -> None:
        self.file = ""
        self.bar: Any = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def show(self, file: str, done: int, total: int | None) -> None:
        """Take note that `done` bytes of the `total` of a file have come."""
        if not sys.stderr.isatty():
            return
        if self.bar is None or file != self.file or total != self.bar.total:
            from tqdm import tqdm

            self.__exit__()
            # tqdm itself shows nothing on a terminal that does not tell its size.
            size = shutil.get_terminal_size()
            self.file = file
            self.bar = tqdm(desc=file, total=total, unit="B", unit_scale=True, ncols=size.columns - 1, nrows=size.lines)
        self.bar.update(done - self.bar.n)
