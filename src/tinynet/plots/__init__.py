"""The pictures of runs: curves, data, decision regions, mistakes, filters, the net. Nothing else imports Matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tinynet.common.errors import TinynetError, UsageError
from tinynet.plots import confusion, curves, filters, images, plane, style
from tinynet.plots.network import drawing
from tinynet.plots.saved import saved_by
from tinynet.runs.counting import counted, round_count
from tinynet.runs.run import Run
from tinynet.runs.statistics import by_round


def draw(
    runs: Sequence[Run],
    file_format: str = "png",
    show: bool = False,
    notes: list[str] | None = None,
    number: int | None = None,
) -> list[Path]:
    """Draw one run, or several over each other (loss-overlay, error-overlay).

    Of one run: loss and error; data and boundary in the plane; confusion of 3 to 20 classes; and of images mistakes,
    reconstructions (of an autoencoder), filters and samples. Each only where it applies. And the network, of every run.

    Of several rounds, loss, error, boundary and confusion show all; the others are of the first.

    Parameters
    ----------
    runs
        The pictures go into the `plots` folder of the first.
    file_format
        png, svg or pdf.
    show
        Whether to open them in windows as well.
    notes
        Takes a sentence for each picture that cannot be drawn, and why; without a list it is a Python warning.
    number
        Which of several rounds to draw by itself, from 0, in all pictures.

    Returns
    -------
    The files, in that order.

    Raises
    ------
    CheckpointError
        If a run's metrics.csv is missing or broken.
    UsageError
        If there is no run, no such format, or no such round.
    """
    if file_format not in style.FORMATS:
        raise UsageError(f"{file_format!r} is no format of pictures. Choose one of {', '.join(style.FORMATS)}.")
    if not runs:
        raise UsageError("there is no run to draw")
    if number is not None:
        _check_round(runs, number)
    found: list[str] = []
    pictures = _of_one(runs[0], number, found) if len(runs) == 1 else _of_many(runs, found)
    folder = runs[0].folder / "plots"
    folder.mkdir(exist_ok=True)
    paths, figures = [], []
    with style.applied():
        for name, fill in pictures.items():
            figure = style.new_figure(show)
            fill(figure)
            paths.append(folder / f"{name}.{file_format}")
            style.save(figure, paths[-1])
            if show:
                figures.append(figure)
    if figures:
        found += style.show_all(figures)
    if notes is None:
        for note in found:
            warnings.warn(note, stacklevel=2)
    else:
        notes += found
    return paths


def _check_round(runs: Sequence[Run], number: int) -> None:
    """Raise UsageError unless there is one run, which has this round."""
    if len(runs) > 1:
        raise UsageError("a round is drawn of one run, and several are laid over each other. Name one run.")
    last = round_count(runs[0]) - 1
    if not 0 <= number <= last:
        there = f"The rounds are 0 to {last}." if last else "There is one round only, 0."
        raise UsageError(f"{runs[0].folder}: there is no round {number}. {there}")


def _of_one(run: Run, number: int | None, notes: list[str]) -> dict[str, Callable[[Figure], None]]:
    saved, missing = saved_by(run, notes), list[str]()
    # All rounds, or the one that is asked for; and one, for what cannot show several.
    whole = one = saved
    if saved is not None and saved.rounds:
        one = saved.rounds[number or 0]
        whole = one if number is not None else saved.only({r.round for r in run.records() if r.epoch > 0})
    pictures = curves.of_one_run(run, whole, number)
    if not pictures:
        which = "" if number is None else f" of round {number}"
        notes.append(f"{run.folder}: no epoch{which} was measured yet, so there are no curves.")
    elif number is None:
        notes += _rounds_left_out(run)
    if whole is not None and one is not None:
        name = run.meta["name"]
        try:
            pictures |= plane.of_one_run(name, one, whole)
            pictures |= confusion.of_one_run(name, whole, missing)
            pictures |= images.of_one_run(name, one, missing)
        except TinynetError as error:
            notes.append(f"{run.folder}: what needs its data is not drawn: {error}")
        pictures |= filters.of_one_run(name, one, missing)
        pictures |= drawing.of_one_run(name, one, missing)
        notes += [f"{run.folder}: {note}" for note in missing]
    return pictures


def _rounds_left_out(run: Run) -> list[str]:
    """What is said of a round that the means are without."""
    records = run.records()
    left_out = by_round(records).keys() - by_round(counted(run, records)).keys()
    behind = [f"{number} (epoch {by_round(records)[number][-1].epoch})" for number in sorted(left_out)]
    return [f"{run.folder}: the means are without round {', '.join(behind)}, which is under way."] if behind else []


def _of_many(runs: Sequence[Run], notes: list[str]) -> dict[str, Callable[[Figure], None]]:
    pictures = curves.of_many_runs(runs, [saved_by(run, notes) for run in runs], notes)
    if not pictures:
        notes.append("In none of these runs was an epoch measured yet, so there are no curves.")
    for run in runs:
        notes += _rounds_left_out(run)
    return pictures
