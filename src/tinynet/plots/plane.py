"""Problems of the plane: their points, and what a net makes of every place among them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tinynet.core import Array
from tinynet.datasets.base import Data, Description, Split
from tinynet.datasets.plane import Plane
from tinynet.evaluation import classify, outputs
from tinynet.experiment import Experiment
from tinynet.plots import style
from tinynet.plots.saved import Saved

GRID = 400  # places along each axis of the decision regions
MARGIN = 0.05  # of the data's extent, around it
LISTED = 16  # classes in a legend
LARGE = 5000  # points, beyond which an SVG or PDF holds them as pixels


def of_one_run(name: str, saved: Saved) -> dict[str, Callable[[Figure], None]]:
    """The pictures of a run by the names of their files: none unless inputs are points; boundary needs classes.

    Raises
    ------
    DataError
        If the dataset's files are missing or broken.
    """
    experiment = saved.experiment
    if experiment.description.input_shape != (2,):
        return {}
    data = experiment.dataset
    pictures: dict[str, Callable[[Figure], None]] = {"data": partial(draw_data, name=name, experiment=experiment)}
    if experiment.coding is not None and data.test.labels is not None:
        pictures["boundary"] = partial(draw_boundary, name=name, saved=saved)
    return pictures


def draw_data(figure: Figure, name: str, experiment: Experiment) -> None:
    """The training and the test points side by side, by class or by value."""
    data = experiment.dataset
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, split, title in ((left, data.train, "training"), (right, data.test, "test")):
        axes.set_title(f"{len(split)} {title} points")
        _frame(axes, experiment)
    right.set_ylabel("")
    if data.train.labels is not None:
        names = class_names(data)
        handles = _points_by_class(left, points(data.train, data.description), data.train.labels, names)
        if data.test.labels is not None:
            _points_by_class(right, points(data.test, data.description), data.test.labels, names)
        handles, names = _listed(handles, names)
        columns = max(1, min(8, 52 // (4 + max(map(len, names)))))
        figure.legend(handles, names, loc="outside lower center", ncols=columns, title=_legend_title(data.description))
    else:
        _points_by_value(figure, (left, right), data)
    figure.suptitle(style.titled(name, "the data"))


def draw_boundary(figure: Figure, name: str, saved: Saved) -> None:
    """The class that the net gives each place, and the test points, the wrong ones with a ring."""
    experiment = saved.experiment
    data = experiment.dataset
    assert data.test.labels is not None
    axes = figure.add_subplot()
    _frame(axes, experiment)
    axes.grid(visible=False)
    regions, extent = decision_regions(experiment)
    names = class_names(data, int(regions.max()) + 1)
    _paint(axes, regions, extent, len(names))
    x, wrong = points(data.test, data.description), mistakes(experiment, data.test)
    handles = _points_by_class(axes, x, data.test.labels, names)
    handles, names = _listed(handles, names)
    ring = {"marker": "o", "markerfacecolor": "none", "markeredgecolor": style.BLACK, "linestyle": "none"}
    size = 1.9 * point_size(len(x))
    handles += axes.plot(*x[wrong].T, **ring, markersize=max(size, 8), markeredgewidth=1.2, zorder=4)
    count, samples = int(wrong.sum()), len(wrong)
    labels = [*names, f"wrong: {count} of {samples}"]
    style.legend_beside(axes, handles, labels, _legend_title(data.description, "test points: "))
    epoch = f"best epoch, {saved.epoch}" if saved.is_best else f"last epoch, {saved.epoch}"
    figure.suptitle(style.titled(name, f"test error {style.number('error', 100 * count / samples)} ({epoch})"))


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


def decision_regions(experiment: Experiment) -> tuple[Array, tuple[float, float, float, float]]:
    """Class indices (GRID, GRID) over the plane, first row at the bottom, and (left, right, bottom, top)."""
    left, right, bottom, top = extent = limits(experiment)
    middle = (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(left + (right - left) * middle, bottom + (top - bottom) * middle)
    with np.errstate(all="ignore"):
        predicted = experiment.outputs(np.stack([x.ravel(), y.ravel()], axis=1))
    return classify(experiment, predicted).reshape(GRID, GRID), extent


def mistakes(experiment: Experiment, split: Split) -> Array:
    """Whether the net is wrong (n,) for each sample of a split; as many as `evaluate` counts."""
    return np.asarray(classify(experiment, outputs(experiment, split.x)) != split.labels)


def class_names(data: Data, count: int = 0) -> list[str]:
    """The names of the classes, short; of at least `count`, as a net may have more outputs than there are classes."""
    names = data.description.classes or []
    return [style.shortened(name, 20) for name in [*names, *map(str, range(len(names), count))]]


def point_size(count: int) -> float:
    """Diameter of a point, smaller where there are many."""
    return float(np.clip(140 / np.sqrt(count), 2.5, 8))


def _frame(axes: Axes, experiment: Experiment) -> None:
    """Labels, limits and aspect: a generator's two coordinates have the same unit, two columns of a table need not."""
    columns = experiment.description.columns or ["x1", "x2"]
    axes.set_xlabel(style.shortened(columns[0]))
    axes.set_ylabel(style.shortened(columns[1]))
    left, right, bottom, top = limits(experiment)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.locator_params(nbins=5)
    if issubclass(experiment.config.dataset.cls, Plane):
        axes.set_aspect("equal")


def _points_by_class(axes: Axes, x: Array, labels: Array, names: list[str]) -> list[Line2D]:
    """The points of each class with its colour and its marker; one handle for each class, of a size to be seen."""
    look: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "white"}
    handles = []
    for k in range(len(names)):
        look["color"] = style.CLASS_COLORS[k % len(style.CLASS_COLORS)]
        look["marker"] = style.MARKERS[k % len(style.MARKERS)]
        own = x[labels == k]
        size = point_size(len(x))
        axes.plot(*own.T, **look, markersize=size, markeredgewidth=0.06 * size, rasterized=len(own) > LARGE, zorder=3)
        handles.append(Line2D([], [], **look, markersize=10, markeredgewidth=0.5))
    return handles


def _points_by_value(figure: Figure, panels: tuple[Axes, Axes], data: Data) -> None:
    """The points with a colour for the number that is to be predicted; in one colour where it is several."""
    description, splits = data.description, (data.train, data.test)
    if description.target_shape is None or prod(description.target_shape) != 1:
        for axes, split in zip(panels, splits, strict=True):
            axes.plot(*points(split, description).T, "o", color=style.BLUE, markersize=point_size(len(split)))
        return
    scaling = description.target_scaling
    raw = [split.targets for split in splits if split.targets is not None]
    values = [(v if scaling is None else scaling.undo(v)).ravel() for v in raw]
    low, high = min(v.min() for v in values), max(v.max() for v in values)
    for axes, split, value in zip(panels, splits, values, strict=True):
        x, size = points(split, description), point_size(len(split)) ** 2
        drawn = axes.scatter(*x.T, c=value, s=size, vmin=low, vmax=high, zorder=3, rasterized=len(x) > LARGE)
    figure.colorbar(drawn, ax=panels, label=style.shortened(description.target or "target"))


def _paint(axes: Axes, regions: Array, extent: tuple[float, float, float, float], count: int) -> None:
    """A light tint for each class, and a line where they meet."""
    colors = style.CLASS_COLORS
    tints = np.stack([style.lightened(colors[k % len(colors)]) for k in range(count)])
    axes.imshow(tints[regions], extent=extent, origin="lower", aspect=axes.get_aspect(), interpolation="nearest")
    left, right, bottom, top = extent
    middle = (np.arange(GRID) + 0.5) / GRID
    x, y = left + (right - left) * middle, bottom + (top - bottom) * middle
    for k in np.unique(regions)[1:]:
        axes.contour(x, y, (regions == k).astype(float), levels=[0.5], colors=style.QUIET, linewidths=1)


def _listed(handles: list[Line2D], names: list[str]) -> tuple[list[Line2D], list[str]]:
    """As many classes as a legend has room for, and how many more there are."""
    if len(names) <= LISTED:
        return handles, names
    rest = Line2D([], [], linestyle="none")
    return [*handles[: LISTED - 1], rest], [*names[: LISTED - 1], f"and {len(names) - LISTED + 1} more"]


def _legend_title(description: Description, before: str = "") -> str:
    return before + style.shortened(description.target or "class", 20)
