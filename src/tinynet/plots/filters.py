"""What the first convolution looks for: its kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from tinynet.nn.layers.convolution import Conv2d
from tinynet.plots import style, tiles
from tinynet.plots.saved import Saved

MOST = 64  # kernels
COLUMNS = 8
CHANNEL_ROWS, LONGEST_ROW = 4, 16  # input channels that get a row each, and kernels in it
# Blue below 0, white at 0, red above: the colour-blind see it too.
COLORS = "RdBu_r"


def of_one_run(name: str, saved: Saved, notes: list[str]) -> dict[str, Callable[[Figure], None]]:
    """The picture of a run by the name of its file: none unless inputs are images."""
    if len(saved.experiment.description.input_shape) != 3:
        return {}
    layer = next((layer for layer in saved.experiment.net.layers if isinstance(layer, Conv2d)), None)
    if layer is None:
        notes.append("filters is not drawn: the net has no Conv2d.")
        return {}
    return {"filters": partial(draw_filters, name=saved.named(name), layer=layer, saved=saved)}


def draw_filters(figure: Figure, name: str, layer: Conv2d, saved: Saved) -> None:
    """The kernels of a convolution, all on one scale, on which 0 is white.

    A few input channels get a row each. Of more, or of more kernels than a row holds, the mean over them is drawn.
    """
    weight = np.asarray(layer.weight.tensor, float)  # (out_channels, C/groups, kH, kW)
    count, inputs, height, width = weight.shape
    apart = 1 < inputs <= CHANNEL_ROWS and count <= LONGEST_ROW
    columns = count if apart else min(COLUMNS, count)
    names = [f"channel {c + 1}" for c in range(inputs)] if apart else []
    kernels = weight.swapaxes(0, 1).reshape(-1, height, width) if apart else weight[:MOST].mean(axis=1)
    rows, top = -(-len(kernels) // columns), float(np.abs(kernels).max()) or 1.0
    hung = tiles.wall(figure, rows, columns, height / width, 0 if apart else 0.3, left=2.2 if apart else 1.2)
    for i, kernel in enumerate(kernels):
        row, column = divmod(i, columns)
        hung.show(kernel, row, column, COLORS, -top, top)
        if not apart:
            hung.caption(f"{i + 1}", row, column)
    hung.name_rows(names, range(len(names)))
    how = "weight" if apart or inputs == 1 else f"weight, mean of\n{inputs} input channels"
    figure.colorbar(ScalarMappable(Normalize(-top, top), COLORS), ax=hung.axes, label=how, aspect=18)
    which = f"the {count} filters" if apart or count <= MOST else f"the first {MOST} of {count} filters"
    figure.suptitle(style.titled(name, f"{which} of {layer.name}, {height} × {width}, {saved.when}"))
    style.settle(figure)
