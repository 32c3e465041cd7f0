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

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinynet.core import Array, Shape
from tinynet.errors import ShapeError
from tinynet.images import Size, from_memory, image_shape, output_size, pair, to_memory
from tinynet.layers.base import Layer
from tinynet.layers.linear import Rule, initial_values
from tinynet.registry import NonNegativeInt, PositiveInt

Margin = NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt]


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
        h, w = (
            output_size(size[i], self.kernel[i], self.stride[i], self.before[i] + self.after[i], self.dilation[i])
            for i in (0, 1)
        )
        return h, w


def pad(x: Array, g: Geometry) -> Array:
    """x (H, C, W, N) with the zeros around it."""
    if not any(g.before + g.after):
        return x
    (top, left), (bottom, right) = g.before, g.after
    h, c, w, n = x.shape
    y: Array = np.zeros((top + h + bottom, c, left + w + right, n), x.dtype)
    y[top : top + h, :, left : left + w] = x
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


def kernel_gradient(dy: Array, seen: Array, shape: Shape) -> Array:
    """dw (O, kH, C/groups, kW) = Σ over output rows of dy · windowsᵀ."""
    rows, groups, _, numbers = seen.shape
    # Transposed, windows · dyᵀ: the smaller factor turned over took half the time.
    turned = np.matmul(seen, dy.reshape(rows, groups, -1, numbers).swapaxes(-1, -2)).sum(axis=0)
    return np.asarray(turned.swapaxes(-1, -2)).reshape(shape)


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


@dataclass(eq=False)
class Conv2d(Layer):
    """y[n, o, i, j] = b[o] + Σ over c, k, l of w[o, c, k, l] x[n, c, i + k, j + l]

    x (N, C, H, W), w (out_channels, C/groups, kH, kW), b (out_channels), y (N, out_channels, oH, oW).
    With stride s, padding p and dilation d: x[n, c, s i + d k - p, s j + d l - p], zero outside of the image, and
    oH = ⌊(H + 2p - d (kH - 1) - 1) / s⌋ + 1.

    Parameters
    ----------
    out_channels
        Channels of the output.
    kernel_size
        Of the kernel: a number, or [height, width].
    stride
        Pixels between two outputs: a number, or [along H, along W].
    padding
        Zeros on each side: a number, [along H, along W], or same, which keeps the size (stride 1).
    dilation
        Pixels between two elements of the kernel.
    groups
        Parts of the channels that do not see each other.
    bias
        Whether to add b.
    init
        Rule for the initial w, as for Linear; fan_in = C/groups · kH · kW.

    Raises
    ------
    ShapeError
        If a sample is no image, the kernel is larger than it, or groups do not divide the channels.

    Source: LeCun et al. 1998; PyTorch's Conv2d.

    Example: {Conv2d: {out_channels: 4, kernel_size: 3, padding: 1}}
    """

    out_channels: PositiveInt
    kernel_size: Size
    stride: Size = 1
    padding: Margin | Literal["same"] = 0
    dilation: Size = 1
    groups: PositiveInt = 1
    bias: bool = True
    init: Rule = "uniform"

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        c, h, w = image_shape(shape)
        if c % self.groups or self.out_channels % self.groups:
            raise ShapeError(f"groups {self.groups} must divide the channels: {c} in, {self.out_channels} out")
        self.geometry = self._geometry()
        self.size = self.geometry.output((h, w))
        kernel = self.geometry.kernel
        fan_in, fan_out = c // self.groups * prod(kernel), self.out_channels // self.groups * prod(kernel)
        rule = initial_values(self.init, fan_in, fan_out, rng)
        self.weight = self.parameter("weight", (self.out_channels, c // self.groups, *kernel), rule, (0, 2, 1, 3))
        if self.bias:
            zeros: Rule = "uniform" if self.init == "uniform" else "zeros"
            self.bias_ = self.parameter("bias", (self.out_channels,), initial_values(zeros, fan_in, fan_out, rng))
        return (self.out_channels, *self.size)

    def _geometry(self) -> Geometry:
        kernel, stride, dilation = pair(self.kernel_size), pair(self.stride), pair(self.dilation)
        if self.padding == "same":
            if stride != (1, 1):
                raise ShapeError(f"padding: same needs stride 1, not {self.stride}")
            both = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
            before = (both[0] // 2, both[1] // 2)
            return Geometry(kernel, stride, dilation, before, (both[0] - before[0], both[1] - before[1]), self.groups)
        margin = pair(self.padding)
        return Geometry(kernel, stride, dilation, margin, margin, self.groups)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        image = pad(to_memory(x), self.geometry)
        self.padded_shape = image.shape
        y, self.seen = convolve(image, self.weight.tensor.transpose(0, 2, 1, 3), self.geometry, self.size)
        if self.bias:
            y += self.bias_.tensor[:, None, None]
        self.y = from_memory(y)
        return self.y

    def backward(self, dy: Array) -> Array | None:
        dy, w = to_memory(dy), self.weight.tensor.transpose(0, 2, 1, 3)
        self.weight.gradient += kernel_gradient(dy, self.seen, w.shape).transpose(0, 2, 1, 3)
        if self.bias:
            self.bias_.gradient += dy.sum(axis=(0, 2, 3))
        if not self.needs_dx:
            return None
        return from_memory(crop(image_gradient(dy, w, self.geometry, self.padded_shape), self.geometry))


@dataclass(eq=False)
class ConvTranspose2d(Layer):
    """y[n, o, s i + k - p, s j + l - p] = b[o] + Σ over c, i, j, k, l of w[c, o, k, l] x[n, c, i, j]

    The transpose of Conv2d: its forward is the way back through a convolution, and the other way round.
    x (N, C, H, W), w (C, out_channels/groups, kH, kW), b (out_channels), y (N, out_channels, oH, oW) with
    oH = (H - 1) s - 2p + d (kH - 1) + output_padding + 1.

    Parameters
    ----------
    out_channels
        Channels of the output.
    kernel_size
        Of the kernel: a number, or [height, width].
    stride
        Pixels between the places where two inputs are laid down.
    padding
        Pixels cut off on each side.
    output_padding
        Pixels added below and right, less than the stride or the dilation.
    dilation
        Pixels between two elements of the kernel.
    groups
        Parts of the channels that do not see each other.
    bias
        Whether to add b.
    init
        Rule for the initial w, as for Linear; fan_in = out_channels/groups · kH · kW, as in PyTorch.

    Raises
    ------
    ShapeError
        If a sample is no image, nothing is left of it, or groups do not divide the channels.

    Source: PyTorch's ConvTranspose2d.

    Example: {ConvTranspose2d: {out_channels: 4, kernel_size: 3, stride: 2}}
    """

    out_channels: PositiveInt
    kernel_size: Size
    stride: Size = 1
    padding: Margin = 0
    output_padding: Margin = 0
    dilation: Size = 1
    groups: PositiveInt = 1
    bias: bool = True
    init: Rule = "uniform"

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        c, h, w = image_shape(shape)
        if c % self.groups or self.out_channels % self.groups:
            raise ShapeError(f"groups {self.groups} must divide the channels: {c} in, {self.out_channels} out")
        kernel, stride, dilation = pair(self.kernel_size), pair(self.stride), pair(self.dilation)
        margin, extra = pair(self.padding), pair(self.output_padding)
        if any(extra[i] >= max(stride[i], dilation[i]) for i in (0, 1)):
            raise ShapeError(f"output_padding {self.output_padding} must be less than the stride or the dilation")
        # The convolution that this is the transpose of goes from y to x.
        self.geometry = Geometry(kernel, stride, dilation, margin, margin, self.groups)
        self.size = (h, w)
        full = [(self.size[i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + extra[i] + 1 for i in (0, 1)]
        oh, ow = full[0] - 2 * margin[0], full[1] - 2 * margin[1]
        if oh < 1 or ow < 1:
            raise ShapeError(f"its padding {self.padding} leaves nothing of the output: {oh} x {ow} pixels")
        self.output = (full[0], self.out_channels, full[1])
        part = self.out_channels // self.groups
        fan_in, fan_out = part * prod(kernel), c // self.groups * prod(kernel)
        rule = initial_values(self.init, fan_in, fan_out, rng)
        self.weight = self.parameter("weight", (c, part, *kernel), rule, (0, 2, 1, 3))
        if self.bias:
            zeros: Rule = "uniform" if self.init == "uniform" else "zeros"
            self.bias_ = self.parameter("bias", (self.out_channels,), initial_values(zeros, fan_in, fan_out, rng))
        return (self.out_channels, oh, ow)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        w = self.weight.tensor.transpose(0, 2, 1, 3)
        y = crop(image_gradient(to_memory(x), w, self.geometry, (*self.output, x.shape[0])), self.geometry)
        if self.bias:
            y = y + self.bias_.tensor[:, None, None]
        self.y = from_memory(y)
        return self.y

    def backward(self, dy: Array) -> Array:
        dy, w = to_memory(dy), self.weight.tensor.transpose(0, 2, 1, 3)
        dx, seen = convolve(pad(dy, self.geometry), w, self.geometry, self.size)
        self.weight.gradient += kernel_gradient(to_memory(self.x), seen, w.shape).transpose(0, 2, 1, 3)
        if self.bias:
            self.bias_.gradient += dy.sum(axis=(0, 2, 3))
        return from_memory(dx)
