"""Problems of the plane: their points, and what a net makes of every place among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tinynet.common.arrays import Array
from tinynet.data.dataset import Data, Description
from tinynet.data.loader import Split
from tinynet.data.plane import Plane
from tinynet.plots import style
from tinynet.plots.saved import Saved
from tinynet.training.evaluation import classify, outputs
from tinynet.training.experiment import Experiment

GRID = 400  # places along each axis of the decision regions
MARGIN = 0.05  # of the data's extent, around it
LISTED = 14  # classes in a legend
BORDERS = 30  # of rounds, drawn one by one
SHADE = 0.5  # the most of a class's colour where the rounds agree
LARGE = 5000  # points, beyond which an SVG or PDF holds them as pixels


def of_one_run(name: str, saved: Saved, whole: Saved | None = None) -> dict[str, Callable[[Figure], None]]:
    """The pictures of a run by the names of their files: none unless inputs are points; boundary needs classes.

    Parameters
    ----------
    name, saved
        Of the run, or of one of its rounds.
    whole
        With all rounds whose boundary is to be drawn, where there are several.

    Raises
    ------
    DataError
        If the dataset's files are missing or broken.
    """
    experiment = saved.experiment
    if experiment.description.input_shape != (2,):
        return {}
    data = experiment.dataset
    draw = partial(draw_data, name=saved.data_named(name), experiment=experiment)
    pictures: dict[str, Callable[[Figure], None]] = {"data": draw}
    if experiment.coding is not None and data.test.labels is not None:
        pictures["boundary"] = partial(draw_boundary, name=saved.named(name), saved=saved)
        if whole is not None and whole.rounds:
            pictures["boundary"] = partial(draw_agreement, name=whole.named(name), saved=whole)
    return pictures


def draw_data(figure: Figure, name: str, experiment: Experiment) -> None:
    """The training and the test points side by side, by class or by value."""
    data = experiment.dataset
    left, right, bottom, top = limits(experiment)
    if same_units(experiment):
        # As high as the two panels are at half the width.
        figure.set_size_inches(8, float(np.clip(1.8 + 3.3 * (top - bottom) / (right - left), 3.6, 6)))
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, split, title in zip(panels, (data.train, data.test), ("training", "test"), strict=True):
        _frame(axes, experiment)
        axes.set_title(f"{len(split)} {title} points")
    panels[1].set_ylabel("")
    if data.train.labels is None:
        _points_by_value(figure, panels, data)
    else:
        names = class_names(data.description)
        for axes, split in zip(panels, (data.train, data.test), strict=True):
            _points_by_class(axes, split, data.description, len(names))
        entries = _listed([(_class_entry(k), text) for k, text in enumerate(names)])
        style.legend_below(figure, entries, style.shortened(data.description.target or ""))
    figure.suptitle(style.titled(name, "the data"))
    style.settle(figure)


def draw_boundary(figure: Figure, name: str, saved: Saved) -> None:
    """The class that the net gives each place, and the test points, the wrong ones with a ring."""
    experiment, test = saved.experiment, saved.experiment.dataset.test
    description = experiment.dataset.description
    axes = figure.add_subplot()
    _frame(axes, experiment)
    axes.grid(visible=False)
    regions, extent = decision_regions(experiment)
    names = class_names(description, int(regions.max()) + 1)
    _paint(axes, regions, extent, len(names))
    _points_by_class(axes, test, description, len(names))
    wrong = mistakes(experiment, test)
    x = points(test, description)[wrong]
    (rings,) = axes.plot(x[:, 0], x[:, 1], "o", color=style.BLACK, markerfacecolor="none", zorder=4)
    count = int(wrong.sum())
    rings.set(markersize=max(7, 1.7 * point_size(len(test))), markeredgewidth=1.3 if count < 150 else 0.7)
    entries = _listed([(_class_entry(k), text) for k, text in enumerate(names)])
    target = "" if description.target is None else f" by {style.shortened(description.target, 14)}"
    style.legend_beside(axes, [*entries, (rings, f"wrong: {count} of {len(test)}")], f"test points{target}", handle=1)
    error = style.number("error", 100 * count / len(test))
    figure.suptitle(style.titled(name, f"test error {error} {saved.when}"))


def draw_agreement(figure: Figure, name: str, saved: Saved) -> None:
    """The class that most rounds give each place, paler where fewer do, with the border of each round.

    The border of the mean is where the mean of the nets' outputs changes its class.
    """
    nets = [one.experiment for one in saved.each]
    experiment, extent = nets[0], limits(nets[0])
    axes = figure.add_subplot()
    _frame(axes, experiment)
    axes.grid(visible=False)
    shares, regions, mean = agreement(nets)
    names = class_names(experiment.dataset.description, len(shares))
    _shade(axes, shares, extent)
    for each in regions:
        _draw_borders(axes, each, extent, colors="0.55", linewidths=0.8)
    _draw_borders(axes, mean, extent, colors=style.BLACK, linewidths=2.2)
    entries = _listed([(style.entry_of_area(_class_look(k)[0], SHADE), text) for k, text in enumerate(names)])
    entries.append((Line2D([], [], color="0.55", linewidth=1), "border of a round"))
    entries.append((Line2D([], [], color=style.BLACK, linewidth=2.2), "border of the mean"))
    style.legend_beside(axes, entries, "class of most rounds,\npale where few agree", handle=1.4)
    figure.suptitle(style.titled(name, f"test error {saved.error} {saved.when}"))


def points(split: Split, description: Description) -> Array:
    """The inputs (n, 2) of a split in the data's own units."""
    scaling = description.input_scaling
    return split.x if scaling is None else scaling.undo(split.x)


def limits(experiment: Experiment) -> tuple[float, float, float, float]:
    """(left, right, bottom, top) of all training and test points, with a margin around them."""
    data = experiment.dataset
    x = np.concatenate([points(split, data.description) for split in (data.train, data.test)]).astype(float)
    low, high = x.min(axis=0), x.max(axis=0)
    margin = np.where(high > low, MARGIN * (high - low), 0.5)
    (left, bottom), (right, top) = low - margin, high + margin
    return float(left), float(right), float(bottom), float(top)


def same_units(experiment: Experiment) -> bool:
    """Whether both axes have one unit: a generator's coordinates do, two columns of a table need not."""
    return issubclass(experiment.config.dataset.cls, Plane)


def decision_regions(experiment: Experiment) -> tuple[Array, tuple[float, float, float, float]]:
    """Class indices (GRID, GRID) over the plane, first row at the bottom, and (left, right, bottom, top)."""
    extent = limits(experiment)
    return classify(experiment.rounds[0], _outputs_over(extent, experiment)).reshape(GRID, GRID), extent


def agreement(nets: Sequence[Experiment]) -> tuple[Array, list[Array], Array]:
    """What several nets make of the plane that the first one's points are in, as `decision_regions` does of one.

    Returns
    -------
    The share of the nets that give each place each class (classes, GRID, GRID); the classes of the first nets, each
    (GRID, GRID); and those of the mean of all nets' outputs (GRID, GRID).
    """
    votes: dict[int, Array] = {}
    regions: list[Array] = []
    total = np.zeros(())
    for net in nets:
        outputs = _outputs_over(limits(nets[0]), net)
        found = classify(net.rounds[0], outputs).reshape(GRID, GRID)
        for k in np.unique(found):
            votes[k] = votes.get(k, 0) + (found == k)
        regions += [found] * (len(regions) < BORDERS)
        total = total + outputs
    mean = classify(nets[0].rounds[0], total / len(nets)).reshape(GRID, GRID)
    none = np.zeros((GRID, GRID))
    count = 1 + max(*votes, int(mean.max()))
    return np.stack([votes.get(k, none) for k in range(count)]) / len(nets), regions, mean


def mistakes(experiment: Experiment, split: Split) -> Array:
    """Whether the net is wrong (n,) for each sample of a split; as many as `evaluate` counts."""
    return np.asarray(classify(experiment.rounds[0], outputs(experiment.rounds[0], split.x)) != split.labels)


def class_names(description: Description, count: int = 0) -> list[str]:
    """The names of the classes, short; of at least `count`, as a net may have more outputs than there are classes."""
    names = description.classes or []
    names = [*names, *map(str, range(len(names), count))]
    # A number alone says nothing; under the name of a column it does.
    return [style.shortened(text, 20) if description.target else f"class {text}" for text in names]


def point_size(count: int) -> float:
    """Diameter of a point, smaller where there are many."""
    return float(np.clip(140 / np.sqrt(count), 2.5, 8))


def _frame(axes: Axes, experiment: Experiment) -> None:
    """Labels, limits and aspect."""
    columns = experiment.description.columns or ["x1", "x2"]
    axes.set_xlabel(style.shortened(columns[0]))
    axes.set_ylabel(style.shortened(columns[1]))
    left, right, bottom, top = limits(experiment)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.locator_params(nbins=5, steps=[1, 2, 5, 10])
    if same_units(experiment):
        axes.set_aspect("equal")


def _class_look(k: int) -> tuple[str, str]:
    """Colour and marker of class k."""
    return style.CLASS_COLORS[k % len(style.CLASS_COLORS)], style.MARKERS[k % len(style.MARKERS)]


def _class_entry(k: int) -> Line2D:
    return style.entry_of_points(*_class_look(k))


def _points_by_class(axes: Axes, split: Split, description: Description, count: int) -> None:
    """The points of each class with its colour and its marker."""
    x, size = points(split, description), point_size(len(split))
    for k in range(count):
        color, marker = _class_look(k)
        (drawn,) = axes.plot(*x[split.labels == k].T, linestyle="none", color=color, marker=marker, markersize=size)
        drawn.set(markeredgecolor="white", markeredgewidth=0.06 * size, zorder=3, rasterized=len(x) > LARGE)


def _points_by_value(figure: Figure, panels: Array, data: Data) -> None:
    """The points with a colour for the number that is to be predicted; in one colour where it is several."""
    description = data.description
    single = description.target_shape is not None and prod(description.target_shape) == 1
    drawn = []
    for axes, split in zip(panels, (data.train, data.test), strict=True):
        x = points(split, description)
        drawn.append(axes.scatter(x[:, 0], x[:, 1], s=point_size(len(x)) ** 2, zorder=3, rasterized=len(x) > LARGE))
        drawn[-1].set(edgecolor="0.4", linewidth=0.4)
        if single and split.targets is not None:
            scaling = description.target_scaling
            drawn[-1].set_array((split.targets if scaling is None else scaling.undo(split.targets)).ravel())
    if single:
        values = np.concatenate([np.asarray(one.get_array()) for one in drawn])
        for one in drawn:
            one.set_clim(values.min(), values.max())
        figure.colorbar(drawn[0], ax=panels, label=style.shortened(description.target or "target"))


def _outputs_over(extent: tuple[float, float, float, float], experiment: Experiment) -> Array:
    """A net's outputs (GRID², k) over the plane, row by row from the bottom."""
    left, right, bottom, top = extent
    middle = (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(left + (right - left) * middle, bottom + (top - bottom) * middle)
    with np.errstate(all="ignore"):
        return experiment.outputs(np.stack([x.ravel(), y.ravel()], axis=1))


def _paint(axes: Axes, regions: Array, extent: tuple[float, float, float, float], count: int) -> None:
    """A light tint for each class, and a line where they meet."""
    tints = np.stack([style.lightened(_class_look(k)[0]) for k in range(count)])
    axes.imshow(tints[regions], extent=extent, origin="lower", aspect=axes.get_aspect(), interpolation="nearest")
    _draw_borders(axes, regions, extent, colors=style.QUIET, linewidths=1)


def _shade(axes: Axes, shares: Array, extent: tuple[float, float, float, float]) -> None:
    """The tint of the class with the largest share (classes, GRID, GRID) at each place, white where it leads by 0."""
    colors = np.stack([1 - style.lightened(_class_look(k)[0], SHADE) for k in range(len(shares))])
    ordered = np.sort(shares, axis=0)
    lead = ordered[-1] - (ordered[-2] if len(ordered) > 1 else 0)
    tints = 1 - lead[..., None] * colors[shares.argmax(axis=0)]
    axes.imshow(tints, extent=extent, origin="lower", aspect=axes.get_aspect(), interpolation="nearest")


def _draw_borders(axes: Axes, regions: Array, extent: tuple[float, float, float, float], **line: Any) -> None:
    """A line where classes (GRID, GRID) meet."""
    left, right, bottom, top = extent
    middle = (np.arange(GRID) + 0.5) / GRID
    x, y = left + (right - left) * middle, bottom + (top - bottom) * middle
    for k in np.unique(regions)[1:]:
        axes.contour(x, y, (regions == k).astype(float), levels=[0.5], **line)


def _listed(entries: list[style.Entry]) -> list[style.Entry]:
    """As many classes as a legend has room for, and how many more there are."""
    if len(entries) <= LISTED:
        return entries
    return [*entries[: LISTED - 1], (Line2D([], [], linestyle="none"), f"and {len(entries) - LISTED + 1} more")]
