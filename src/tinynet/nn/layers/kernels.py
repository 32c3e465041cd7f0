"""Convolutions over images: one product of matrices for each row of the output.

For a kernel of kH rows and kW columns, only its shifts along W are copied:

    cols[h, c, kw, ow, n] = x[h, c, ow + kw, n]

        row 0  [ C·kW lines of oW·N numbers ]  ┐
        row 1  [                            ]  │ output row 0 reads rows 0 … kH-1 as one matrix (kH·C·kW, oW·N)
        row 2  [                            ]  ┘ ┐
        row 3  [                            ]    │ output row 1 reads rows 1 … kH: the same memory, one row on
                                                 ┘
The kernel's shifts along H are that overlapping view, which costs nothing. `matmul` does the rest, and its result
(oH, O, oW, N) lies as images do (`images.py`). The plain form, as loops, is in `plain.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import add

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinynet.common.arrays import Array, Shape
from tinynet.nn.layers.images import by_axis, check_padded, output_arithmetic, output_size, to_memory


@dataclass(frozen=True)
class Geometry:
    """How a kernel goes over an image; pairs are (along H, along W).

    Parameters
    ----------
    kernel, stride, dilation
        Of the kernel.
    before, after
        Zeros above and left of the image, and below and right of it.
    groups
        Parts of the channels that do not see each other.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]
    groups: int

    def output(self, size: tuple[int, int]) -> tuple[int, int]:
        """The output's height and width for an image of this size, without its zeros."""
        axes = self._by_axis(size)
        check_padded(*(n + both for n, _, _, both, _ in axes))
        h, w = (output_size(*axis) for axis in axes)
        return h, w

    def arithmetic(self, size: Shape) -> str:
        """How `output` comes about."""
        h, w = (output_arithmetic(*axis) for axis in self._by_axis(size))
        return by_axis(h, w)

    def _by_axis(self, size: Sequence[int]) -> list[tuple[int, int, int, int, int]]:
        """Along H, then along W: size, kernel, stride, zeros on both sides together, dilation."""
        both = map(add, self.before, self.after)
        return list(zip(size, self.kernel, self.stride, both, self.dilation, strict=True))


def pad(x: Array, g: Geometry, value: float = 0) -> Array:
    """x (N, C, H, W) as (H, C, W, N), contiguous, with zeros or another value around it."""
    if not any(g.before + g.after):
        return to_memory(x)
    (top, left), (bottom, right) = g.before, g.after
    n, c, h, w = x.shape
    shape = (top + h + bottom, c, left + w + right, n)
    y: Array = np.full(shape, value, x.dtype) if value else np.zeros(shape, x.dtype)  # which is quicker
    y[top : top + h, :, left : left + w] = x.transpose(2, 1, 3, 0)
    return y


def crop(x: Array, g: Geometry) -> Array:
    """A padded x without its zeros."""
    (top, left), (bottom, right) = g.before, g.after
    return x[top : x.shape[0] - bottom, :, left : x.shape[2] - right]


def shifts(x: Array, g: Geometry, k: int, width: int) -> Array:
    """What column k of the kernel meets in a padded x, for each of `width` outputs: a view (H, C, width, N)."""
    start, stride = k * g.dilation[1], g.stride[1]
    return x[:, :, start : start + stride * (width - 1) + 1 : stride]


def windows(x: Array, g: Geometry, size: tuple[int, int]) -> Array:
    """What each output row reads of a padded x (H, C, W, N): (oH, groups, kH·C/groups·kW, oW·N)."""
    h, c, _, n = x.shape
    cols: Array = np.empty((h, c, g.kernel[1], size[1], n), x.dtype)
    for k in range(g.kernel[1]):
        cols[:, :, k] = shifts(x, g, k, size[1])
    return row_windows(cols.reshape(h, c, g.kernel[1], -1), g, size[0], g.stride[0])


def row_windows(rows: Array, g: Geometry, count: int, stride: int) -> Array:
    """kH rows of (H, C, k, M) from each stride-th on, as matrices (count, groups, kH·C/groups·k, M).

    A view for groups and dilation of 1, else `reshape` has to copy.
    """
    _, c, k, m = rows.shape
    row, channel, line, number = rows.strides
    part = c // g.groups
    view = as_strided(
        rows,
        (count, g.groups, g.kernel[0], part, k, m),
        (stride * row, part * channel, g.dilation[0] * row, channel, line, number),
    )
    return view.reshape(count, g.groups, g.kernel[0] * part * k, m)


def convolve(x: Array, w: Array, g: Geometry, size: tuple[int, int]) -> tuple[Array, Array]:
    """y (oH, O, oW, N) of a padded x for a kernel w (O, kH, C/groups, kW), and the windows it has read."""
    seen = windows(x, g, size)
    y = np.matmul(w.reshape(g.groups, w.shape[0] // g.groups, -1), seen)
    return y.reshape(size[0], w.shape[0], size[1], x.shape[3]), seen


def bias_gradient(dy: Array) -> Array:
    """db (O) = Σ over pixels and samples of dy (oH, O, oW, N)."""
    lines = dy.reshape(*dy.shape[:2], -1)
    # A product with ones takes a third of the time of dy.sum(axis=(0, 2, 3)).
    return np.asarray((lines @ np.ones(lines.shape[2], dy.dtype)).sum(axis=0))


def kernel_gradient(dy: Array, seen: Array, shape: Shape) -> Array:
    """dw (O, kH, C/groups, kW) = Σ over output rows of dy · windowsᵀ."""
    rows, groups, depth, numbers = seen.shape
    outputs = shape[0] // groups
    # OpenBLAS packs nothing, and is quicker, where a product has up to 1200 numbers: so a row of the kernel by itself.
    parts = shape[1] if depth * outputs / shape[1] <= 1200 < depth * outputs else 1
    seen = seen.reshape(rows, groups, parts, -1, numbers)
    # Transposed, windows · dyᵀ: the smaller factor turned over took half the time.
    turned = np.matmul(seen, dy.reshape(rows, groups, 1, outputs, numbers).swapaxes(-1, -2)).sum(axis=0)
    return np.asarray(turned.reshape(groups, depth, outputs).swapaxes(-1, -2)).reshape(shape)


def image_gradient(dy: Array, w: Array, g: Geometry, shape: Shape) -> Array:
    """dx of the padded shape (H, C, W, N) for dy (oH, O, oW, N).

    Row h of x meets row i of the kernel in output row (h - dilation i) / stride: the same product, over dy with zero
    rows for the strides and around it, with the kernel's rows upside down; then its columns are added back.
    """
    h, c, _, n = shape
    rows, outputs, width, _ = dy.shape
    reach = g.dilation[0] * (g.kernel[0] - 1)
    spread = np.zeros((h + reach, outputs, width, n), dy.dtype)
    spread[reach : reach + g.stride[0] * (rows - 1) + 1 : g.stride[0]] = dy
    seen = row_windows(spread.reshape(h + reach, outputs, 1, -1), g, h, 1)
    # (groups, C/groups·kW, kH·O/groups)
    turned = w[:, ::-1].reshape(g.groups, outputs // g.groups, g.kernel[0], -1).transpose(0, 3, 2, 1)
    cols = np.matmul(turned.reshape(g.groups, w.shape[2] * w.shape[3], -1), seen).reshape(h, c, g.kernel[1], width, n)
    dx: Array = np.zeros(shape, dy.dtype)
    for k in range(g.kernel[1]):
        shifts(dx, g, k, width)[...] += cols[:, :, k]
    return dx
