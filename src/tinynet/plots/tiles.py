"""Images as tiles of one picture: their pixels as lightness or colour, side by side in rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tinynet.common.arrays import Array
from tinynet.data.dataset import Data, Description

GAP = 0.08  # between two tiles, as a share of a tile's width
ROUNDING = 1e-3  # by which numbers of 0 to 1 may miss it after they were standardised and back


@dataclass
class Wall:
    """Tiles in rows, each of width 1; `pitch` is the way from one row to the next.

    Parameters
    ----------
    axes
        What they hang in.
    height
        Of a tile, where its width is 1.
    pitch
        From the top of a row to the top of the next, with the room for a caption.
    """

    axes: Axes
    height: float
    pitch: float

    def show(
        self, picture: Array, row: float, column: int, cmap: str = "gray", vmin: float = 0, vmax: float = 1
    ) -> None:
        """A picture (H, W) or (H, W, 3) at a place, in a frame that shows where it ends."""
        left, top = column * (1 + GAP), row * self.pitch
        extent = (left, left + 1, top + self.height, top)
        self.axes.imshow(picture, cmap, extent=extent, vmin=vmin, vmax=vmax)
        self.axes.add_patch(Rectangle((left, top), 1, self.height, fill=False, edgecolor="0.7", linewidth=0.6))

    def caption(self, text: str, row: int, column: int, size: float = 13) -> None:
        """Words under a tile."""
        place = (column * (1 + GAP) + 0.5, row * self.pitch + self.height)
        self.axes.annotate(
            text, place, (0, -3), textcoords="offset points", ha="center", va="top", fontsize=size, linespacing=1.1
        )

    def name_rows(self, names: Iterable[str], rows: Iterable[float]) -> None:
        """Words to the left of rows."""
        self.axes.set_yticks([row * self.pitch + self.height / 2 for row in rows], list(names))


def wall(figure: Figure, rows: int, columns: int, height: float, below: float = 0, left: float = 0) -> Wall:
    """An empty wall in a figure made as high as its rows need.

    Parameters
    ----------
    figure
        8 inches wide, or less where there are few columns.
    rows, columns
        How many tiles there are to be.
    height
        Of a tile, where its width is 1.
    below
        Inches under each row for its captions.
    left
        Inches for the names of the rows.
    """
    axes = figure.add_subplot()
    width = columns * (1 + GAP) - GAP
    inch = min((7.7 - left) / width, 1.5)  # of a tile's width
    pitch = height + max(GAP, below / inch)
    total = rows * pitch - (0 if below else GAP)
    figure.set_size_inches(8, max(2.4, total * inch + 0.9))
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_aspect("equal")
    axes.set(xlim=(-0.01, width + 0.01), ylim=(total + 0.01, -0.01), autoscale_on=False)
    return Wall(axes, height, pitch)


def limits(data: Data) -> tuple[float, float]:
    """(dark, bright): 0 and 1 where all training images lie in between, else the lowest and the highest number."""
    description, x = data.description, data.train.x
    if description.pixels:
        return 0.0, 1.0
    # Undoing keeps the order in each column, so that the extremes need no copy of all images.
    ends = in_units(np.stack([x.min(axis=0), x.max(axis=0)]), description)
    low, high = float(ends.min()), float(ends.max())
    return (0.0, 1.0) if (low >= -ROUNDING and high <= 1 + ROUNDING) or low == high else (low, high)


def in_units(x: Array, description: Description) -> Array:
    """Images (n, C, H, W) as the dataset has them, bytes as numbers of 0 to 1."""
    if description.pixels:
        return np.asarray(x / 255)
    scaling = description.input_scaling
    return x if scaling is None else scaling.undo(x)


def pictures(images: Array, ends: tuple[float, float]) -> Array:
    """Images (n, C, H, W) as what is shown, from 0 to 1: (n, H, W, 3) in colour of three channels, else (n, H, W)."""
    low, high = ends
    light = np.clip((images - low) / (high - low), 0, 1)
    return np.asarray(light.transpose(0, 2, 3, 1) if images.shape[1] == 3 else light.mean(axis=1))


def channels(description: Description) -> str:
    """What is said of images that are shown as the mean over their channels."""
    count = description.input_shape[0]
    return "" if count in (1, 3) else f" (mean of {count} channels)"
