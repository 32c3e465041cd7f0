"""Conv2d and ConvTranspose2d; `kernels.py` has the products of matrices that they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from tinynet.common.annotations import NonNegativeInt, PositiveInt
from tinynet.common.arrays import Array, Shape
from tinynet.common.errors import ShapeError
from tinynet.nn.initial import Init, check_init, initial_bias, initial_values
from tinynet.nn.layer import Layer
from tinynet.nn.layers.images import (
    Size,
    by_axis,
    check_padded,
    from_memory,
    image_shape,
    pair,
    to_memory,
    transposed_arithmetic,
)
from tinynet.nn.layers.kernels import Geometry, bias_gradient, convolve, crop, image_gradient, kernel_gradient, pad

Margin = NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt]


def _check_groups(groups: int, channels: int, outputs: int) -> None:
    if channels % groups or outputs % groups:
        raise ShapeError(f"groups {groups} must divide the channels: {channels} in, {outputs} out")


@dataclass(eq=False)
class Conv2d(Layer):
    """y[n, o, i, j] = b[o] + Σ over c, k, l of w[o, c, k, l] x[n, c, i + k, j + l]

    x (N, C, H, W), w (out_channels, C/groups, kH, kW), b (out_channels), y (N, out_channels, oH, oW).
    With stride s, padding p and dilation d: x[n, c, s i + d k - p, s j + d l - p], zero outside of the image, in y and
    in dw; dx then gathers w dy from every y that x went into; oH = ⌊(H + 2p - d (kH - 1) - 1) / s⌋ + 1.
    dw[o, c, k, l] = Σ over n, i, j of dy[n, o, i, j] x[n, c, i + k, j + l],
    db[o] = Σ over n, i, j of dy[n, o, i, j],
    dx[n, c, r, q] = Σ over o, k, l of w[o, c, k, l] dy[n, o, r - k, q - l].

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
        Rule for the initial w, a number, or a file, as for Linear; fan_in = C/groups · kH · kW.

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
    init: Init = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_init(self.init, self.bias)

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        c, h, w = image_shape(shape)
        _check_groups(self.groups, c, self.out_channels)
        self.geometry = self._geometry()
        self.input_size, self.size = (h, w), self.geometry.output((h, w))
        kernel = self.geometry.kernel
        fan_in, fan_out = c // self.groups * prod(kernel), self.out_channels // self.groups * prod(kernel)
        rule = initial_values(self.init, fan_in, fan_out, rng)
        self.weight = self.parameter("weight", (self.out_channels, c // self.groups, *kernel), rule, (0, 2, 1, 3))
        if self.bias:
            self.bias_ = self.parameter("bias", (self.out_channels,), initial_bias(self.init, fan_in, rng))
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

    def arithmetic(self) -> str:
        return self.geometry.arithmetic(self.input_size)

    def multiply_adds(self) -> int:
        """oH · oW · out_channels · C/groups · kH · kW: each weight once for each pixel of the output."""
        return self.weight.tensor.size * prod(self.size)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        image = pad(x, self.geometry)
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
            self.bias_.gradient += bias_gradient(dy)
        if not self.needs_dx:
            return None
        return from_memory(crop(image_gradient(dy, w, self.geometry, self.padded_shape), self.geometry))


@dataclass(eq=False)
class ConvTranspose2d(Layer):
    """y[n, o, s i + k - p, s j + l - p] = b[o] + Σ over c, i, j, k, l of w[c, o, k, l] x[n, c, i, j]

    The transpose of Conv2d: its forward is the way back through a convolution, and the other way round.
    x (N, C, H, W), w (C, out_channels/groups, kH, kW), b (out_channels), y (N, out_channels, oH, oW) with
    oH = (H - 1) s - 2p + d (kH - 1) + output_padding + 1.
    dw[c, o, k, l] = Σ over n, i, j of x[n, c, i, j] dy[n, o, s i + k - p, s j + l - p],
    db[o] = Σ over n, i, j of dy[n, o, i, j],
    dx[n, c, i, j] = Σ over o, k, l of w[c, o, k, l] dy[n, o, s i + k - p, s j + l - p].

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
        Rule for the initial w, a number, or a file, as for Linear; fan_in = out_channels/groups · kH · kW, as in
        PyTorch.

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
    init: Init = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_init(self.init, self.bias)

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        c, h, w = image_shape(shape)
        _check_groups(self.groups, c, self.out_channels)
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
            raise ShapeError(f"its padding {self.padding} leaves nothing of the output: {self.arithmetic()}")
        check_padded(*full)
        self.output = (full[0], self.out_channels, full[1])
        part = self.out_channels // self.groups
        fan_in, fan_out = part * prod(kernel), c // self.groups * prod(kernel)
        rule = initial_values(self.init, fan_in, fan_out, rng)
        self.weight = self.parameter("weight", (c, part, *kernel), rule, (0, 2, 1, 3))
        if self.bias:
            self.bias_ = self.parameter("bias", (self.out_channels,), initial_bias(self.init, fan_in, rng))
        return (self.out_channels, oh, ow)

    def arithmetic(self) -> str:
        g, extra = self.geometry, pair(self.output_padding)
        h, w = (
            transposed_arithmetic(self.size[i], g.kernel[i], g.stride[i], g.before[i], extra[i], g.dilation[i])
            for i in (0, 1)
        )
        return by_axis(h, w)

    def multiply_adds(self) -> int:
        """H · W · C · out_channels/groups · kH · kW: each weight once for each pixel of the input."""
        return self.weight.tensor.size * prod(self.size)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        w = self.weight.tensor.transpose(0, 2, 1, 3)
        y = crop(image_gradient(to_memory(x), w, self.geometry, (*self.output, x.shape[0])), self.geometry)
        if self.bias:
            y = y + self.bias_.tensor[:, None, None]
        self.y = from_memory(y)
        return self.y

    def backward(self, dy: Array) -> Array:
        w = self.weight.tensor.transpose(0, 2, 1, 3)
        dx, seen = convolve(pad(dy, self.geometry), w, self.geometry, self.size)
        self.weight.gradient += kernel_gradient(to_memory(self.x), seen, w.shape).transpose(0, 2, 1, 3)
        if self.bias:
            self.bias_.gradient += bias_gradient(to_memory(dy))
        return from_memory(dx)
