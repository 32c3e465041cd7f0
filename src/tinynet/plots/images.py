"""Datasets of images: some of them, those that the net gets most wrong, and what an autoencoder makes of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from tinynet.common.arrays import Array
from tinynet.data.loader import Loader, Split
from tinynet.plots import style, tiles
from tinynet.plots.saved import Saved
from tinynet.training.evaluation import IMAGE_CHUNK, classify
from tinynet.training.experiment import Experiment

ROW = 10  # samples of a class
ROWS = 10  # classes with a row of samples; of more classes there is one sample each
GRID = 40  # samples without classes, or of many
WORST = 24  # mistakes
BANDS = 2  # rows of inputs above a row of reconstructions
COLUMNS = 6  # of mistakes and of reconstructions


def of_one_run(name: str, saved: Saved, notes: list[str]) -> dict[str, Callable[[Figure], None]]:
    """The pictures of a run by the names of their files: none unless inputs are images (C, H, W).

    Raises
    ------
    DataError
        If the dataset's files are missing or broken.
    """
    experiment = saved.experiment
    if len(experiment.description.input_shape) != 3:
        return {}
    assert experiment.dataset  # a missing file is found here
    pictures: dict[str, Callable[[Figure], None]] = {}
    if experiment.coding is not None:
        if saved.figures.errors:
            pictures["mistakes"] = partial(draw_mistakes, name=saved.named(name), saved=saved)
        else:
            notes.append(f"mistakes is not drawn: all {saved.figures.samples:,} test images are classified rightly.")
    if experiment.config.dataset.options["targets"] == "inputs":
        pictures["reconstructions"] = partial(draw_reconstructions, name=saved.named(name), saved=saved)
    return pictures | {"samples": partial(draw_samples, name=saved.data_named(name), experiment=experiment)}


def draw_samples(figure: Figure, name: str, experiment: Experiment) -> None:
    """The first training images of each class in a row with its name; without classes, or of many, a grid."""
    data, description = experiment.dataset, experiment.dataset.description
    train, classes = data.train, description.classes
    what = f"the first of {len(train):,} training images"
    if train.labels is None or classes is None:
        places = {(k // ROW, k % ROW): k for k in range(min(len(train), GRID))}
        hung = tiles.wall(figure, 1 + max(row for row, _ in places), min(ROW, len(train)), _height(experiment))
    elif len(classes) <= ROWS:
        rows = [np.flatnonzero(train.labels == k)[:ROW] for k in range(len(classes))]
        places = {(k, column): int(index) for k, row in enumerate(rows) for column, index in enumerate(row)}
        names = [style.shortened(text, 14) for text in classes]
        columns = max(map(len, rows))
        hung = tiles.wall(figure, len(rows), columns, _height(experiment), left=0.3 + 0.12 * max(map(len, names)))
        hung.name_rows(names, range(len(names)))
        what = f"{columns} of each class, of {len(train):,} training images"
    else:
        found, first = np.unique(train.labels, return_index=True)
        columns = GRID // 5
        places = {divmod(k, columns): int(index) for k, index in enumerate(first[:GRID])}
        hung = tiles.wall(figure, 1 + max(row for row, _ in places), columns, _height(experiment), below=0.3)
        for (row, column), k in zip(places, found, strict=False):
            hung.caption(style.shortened(classes[k], 9), row, column)
        which = f"each of {len(found)}" if len(found) <= GRID else f"{GRID} of {len(found)}"
        what = f"a training image of {which} classes"
    shown = _pictures(experiment, train, np.array(list(places.values())))
    for place, picture in zip(places, shown, strict=True):
        hung.show(picture, *place)
    figure.suptitle(style.titled(name, what + tiles.channels(description)))
    style.settle(figure)


def draw_mistakes(figure: Figure, name: str, saved: Saved) -> None:
    """The test images of whose wrong class the net is surest, with true and predicted class and how sure it is."""
    experiment, test = saved.experiment, saved.experiment.dataset.test
    rows, predicted, sureness, likely = worst(experiment, test)
    assert test.labels is not None
    class_name = experiment.dataset.description.class_name
    pairs = [(class_name(int(test.labels[row])), class_name(int(k))) for row, k in zip(rows, predicted, strict=True)]
    short = max(len(text) for pair in pairs for text in pair) <= 4
    columns = min(COLUMNS if short else COLUMNS - 1, max(3, len(rows)))
    rows = rows[: WORST // COLUMNS * columns]
    height = -(-len(rows) // columns)
    hung = tiles.wall(figure, height, columns, _height(experiment), below=0.55 if short else 0.78)
    shown = _pictures(experiment, test, rows)
    for i, (pair, sure) in enumerate(zip(pairs[: len(rows)], sureness, strict=False)):
        true, wrong = (style.shortened(text, 11) for text in pair)
        words = f"{true} → {wrong}" if short else f"{true}\n→ {wrong}"
        place = divmod(i, columns)
        hung.show(shown[i], *place)
        hung.caption(f"{words}\n{percent(sure) if likely else f'by {sure:#.3g}'}", *place)
    figure.set_figheight(figure.get_figheight() + 0.4)
    measure = "probability of the predicted class" if likely else "by how much its output is ahead"
    hung.axes.set_xlabel(f"true → predicted class, {measure}")
    errors = saved.figures.errors or 0
    which = f"the {len(rows)} surest of {errors:,} errors" if errors > len(rows) else f"all {errors} errors"
    which = "the only error" if errors == 1 else which
    what = f"{which} in {len(test):,} test images{tiles.channels(experiment.description)}"
    figure.suptitle(style.titled(name, what))
    style.settle(figure)


def draw_reconstructions(figure: Figure, name: str, saved: Saved) -> None:
    """Test images, one of each class before a second one, and under each what the net makes of it."""
    experiment, test = saved.experiment, saved.experiment.dataset.test
    rows = one_of_each(test)[: BANDS * COLUMNS]
    columns = min(COLUMNS, len(rows))
    bands = -(-len(rows) // columns)
    hung = tiles.wall(figure, 2 * bands, columns, _height(experiment), left=1.6)
    inputs = _pictures(experiment, test, rows)
    outputs = tiles.pictures(reconstructed(experiment, test.x[rows]), tiles.limits(experiment.dataset))
    # The pairs stand closer than the bands.
    starts = [2 * band + tiles.GAP * band for band in range(bands)]
    for i, (before, after) in enumerate(zip(inputs, outputs, strict=True)):
        hung.show(before, starts[i // columns], i % columns)
        hung.show(after, starts[i // columns] + 1, i % columns)
    hung.name_rows(["input", "reconstruction"] * bands, [start + k for start in starts for k in (0, 1)])
    hung.axes.set_ylim((starts[-1] + 2) * hung.pitch, -0.01)
    loss = style.number("loss", saved.figures.loss)
    what = f"test loss {loss} {saved.when}{tiles.channels(experiment.description)}"
    figure.suptitle(style.titled(name, what))
    style.settle(figure)


def worst(experiment: Experiment, split: Split) -> tuple[Array, Array, Array, bool]:
    """The mistakes on a split of which the net is surest, the surest first.

    Returns
    -------
    The rows (n,), the classes predicted for them (n,), how sure the net is of these (n,), and whether that is a
    probability, or else by how much the outputs speak for the predicted class and not for the true one.
    """
    assert split.labels is not None
    with np.errstate(all="ignore"):
        chunks = [experiment.net.forward(x) for x, _, _ in Loader(split, IMAGE_CHUNK)]
        outputs = np.concatenate(chunks).astype(float)
        predicted = classify(experiment.rounds[0], outputs)
        rows = np.flatnonzero(predicted != split.labels)
        outputs, found, true = outputs[rows], predicted[rows], split.labels[rows]
        probabilities = experiment.loss.probabilities(outputs)
        each = np.arange(len(rows))
        if probabilities is not None:
            sureness = probabilities[each, found]
        elif experiment.coding in ("sign", "binary"):
            # One number speaks for class 1 above a border, and for class 0 below.
            border = 0.0 if experiment.coding == "sign" else experiment.loss.threshold
            sureness = np.abs((outputs.sum(axis=1) if experiment.coding == "sign" else outputs[:, 0]) - border)
        else:
            sureness = outputs[each, found] - outputs[each, true]
    order = np.argsort(-sureness, kind="stable")[:WORST]
    return rows[order], found[order], sureness[order], probabilities is not None


def reconstructed(experiment: Experiment, x: Array) -> Array:
    """What an autoencoder makes of inputs as a split holds them, in the dataset's own units."""
    return experiment.predict(tiles.in_units(x, experiment.dataset.description))


def one_of_each(split: Split) -> Array:
    """Row numbers: the first of each class, then the second of each, and so on; without classes as they stand."""
    if split.labels is None:
        return np.arange(len(split))
    nth = np.zeros(len(split), int)
    for k in np.unique(split.labels):
        own = split.labels == k
        nth[own] = np.arange(own.sum())
    return np.lexsort((split.labels, nth))


def percent(probability: float) -> str:
    """A probability with one decimal, and never rounded up to certainty."""
    return "> 99.9 %" if probability >= 0.9995 else f"{100 * probability:.1f} %"


def _pictures(experiment: Experiment, split: Split, rows: Array) -> Array:
    data = experiment.dataset
    return tiles.pictures(tiles.in_units(split.x[rows], data.description), tiles.limits(data))


def _height(experiment: Experiment) -> float:
    """Of an image, where its width is 1."""
    _, height, width = experiment.description.input_shape
    return height / width
