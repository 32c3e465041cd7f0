"""The pictures of runs: curves, data, decision regions, mistakes, filters, the net. Nothing else imports Matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tinynet.errors import TinynetError, UsageError
from tinynet.plots import confusion, curves, filters, images, network, plane, style
from tinynet.plots.saved import saved_by
from tinynet.run import Run


def draw(
    runs: Sequence[Run], file_format: str = "png", show: bool = False, notes: list[str] | None = None
) -> list[Path]:
    """Draw one run, or several over each other (loss-overlay, error-overlay).

    Of one run: loss and error; data and boundary in the plane; confusion of 3 to 20 classes; and of images mistakes,
    reconstructions (of an autoencoder), filters and samples. Each only where it applies. And the network, of every run.

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

    Returns
    -------
    The files, in that order.

    Raises
    ------
    CheckpointError
        If a run's metrics.csv is missing or broken.
    UsageError
        If there is no run, or no such format.
    """
    if file_format not in style.FORMATS:
        raise UsageError(f"{file_format!r} is no format of pictures. Choose one of {', '.join(style.FORMATS)}.")
    if not runs:
        raise UsageError("there is no run to draw")
    found: list[str] = []
    pictures = _of_one(runs[0], found) if len(runs) == 1 else _of_many(runs, found)
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


def _of_one(run: Run, notes: list[str]) -> dict[str, Callable[[Figure], None]]:
    saved, missing = saved_by(run, notes), list[str]()
    pictures = curves.of_one_run(run, saved)
    if not pictures:
        notes.append(f"{run.folder}: no epoch was measured yet, so there are no curves.")
    if saved is not None:
        name = run.meta["name"]
        try:
            pictures |= plane.of_one_run(name, saved)
            pictures |= confusion.of_one_run(name, saved, missing)
            pictures |= images.of_one_run(name, saved, missing)
        except TinynetError as error:
            notes.append(f"{run.folder}: what needs its data is not drawn: {error}")
        pictures |= filters.of_one_run(name, saved, missing)
        pictures |= network.of_one_run(name, saved, missing)
        notes += [f"{run.folder}: {note}" for note in missing]
    return pictures


def _of_many(runs: Sequence[Run], notes: list[str]) -> dict[str, Callable[[Figure], None]]:
    pictures = curves.of_many_runs(runs, [saved_by(run, notes) for run in runs], notes)
    if not pictures:
        notes.append("In none of these runs was an epoch measured yet, so there are no curves.")
    return pictures
