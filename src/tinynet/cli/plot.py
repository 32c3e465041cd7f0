"""`tinynet plot`: the pictures of runs."""

from __future__ import annotations

import click

from tinynet.cli.output import say
from tinynet.cli.plugins import plugin_option


@click.command("plot")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["png", "svg", "pdf"]),
    default="png",
    show_default=True,
    help="Of the files.",
)
@click.option("--round", "number", type=click.IntRange(min=0), help="Draw one of several rounds, counted from 0.")
@click.option("--show", is_flag=True, help="Open them in windows as well.")
@plugin_option
def command(runs: tuple[str, ...], file_format: str, number: int | None, show: bool) -> None:
    """Draw the curves of a RUN into RUN/plots, and what there is to see of its data; print the paths.

    In the plane that is the points and the decision regions; for classes the confusion matrix; for images samples, the
    worst mistakes, the first filters, or an autoencoder's reconstructions. And of every run the network itself, as a
    graph of its layers with their shapes and parameters.

    A RUN of several rounds is drawn with all of them: each in grey, their mean in colour, a band for the standard
    deviation; the regions pale where the rounds disagree. What can show one round only shows the first.

    Several runs are laid over each other in one picture, in the first one's folder.
    """
    from tinynet.plots import draw
    from tinynet.runs.run import Run

    notes: list[str] = []
    for path in draw([Run.open(run) for run in runs], file_format, show, notes, number):
        click.echo(path)
    for note in notes:
        say(note)
