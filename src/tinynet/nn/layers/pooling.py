"""Pooling of images, and its ways back up. A kernel's elements are slabs: each a view of all windows at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import numpy as np

from tinynet.common.arrays import Array, Shape
from tinynet.common.errors import ShapeError
from tinynet.nn.layer import Layer
from tinynet.nn.layers.convolution import Margin
from tinynet.nn.layers.images import Size, from_memory, image_shape, pair, to_memory
from tinynet.nn.layers.kernels import Geometry, crop, pad


@dataclass(eq=False)
class _Pool(Layer, abstract=True):
    """What MaxPool2d and AvgPool2d share: windows over each channel by itself.

    Parameters
    ----------
    kernel_size
        Of the window: a number, or [height, width].
    stride
        Pixels between two windows; by default the kernel's size.
    padding
        Pixels on each side, at most half of the kernel: a number, or [along H, along W].
    """

    kernel_size: Size
    stride: Size | None = None
    padding: Margin = 0

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        c, h, w = image_shape(shape)
        kernel, margin = pair(self.kernel_size), pair(self.padding)
        stride = kernel if self.stride is None else pair(self.stride)
        if any(2 * margin[i] > kernel[i] for i in (0, 1)):
            raise ShapeError(f"padding {self.padding} is more than half of the kernel {self.kernel_size}")
        self.geometry = Geometry(kernel, stride, (1, 1), margin, margin, 1)
        self.size = self.geometry.output((h, w))
        self.overlap = any(stride[i] < kernel[i] for i in (0, 1))
        self.input_shape, self.output_shape = shape, (c, *self.size)
        return self.output_shape

    def arithmetic(self) -> str:
        return self.geometry.arithmetic(self.input_shape[1:])

    def slabs(self, x: Array) -> Iterator[Array]:
        """For each element of the kernel, row by row, what it meets in a padded x: views (oH, C, oW, N)."""
        (kh, kw), (sh, sw), (oh, ow) = self.geometry.kernel, self.geometry.stride, self.size
        for i in range(kh):
            for j in range(kw):
                yield x[i : i + sh * (oh - 1) + 1 : sh, :, j : j + sw * (ow - 1) + 1 : sw]


@dataclass(eq=False)
class MaxPool2d(_Pool):
    """y[n, c, i, j] = max over k, l of x[n, c, s i + k - p, s j + l - p]

    x (N, C, H, W), y (N, C, oH, oW), oH = ⌊(H + 2p - kH) / s⌋ + 1. Outside of the image x is -∞.
    dx: each dy goes to the maximum of its window, to the first one of several, as in PyTorch.

    Raises
    ------
    ShapeError
        If a sample is no image, or the kernel is larger than it.

    Example: {MaxPool2d: 2}
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.padded = pad(x, self.geometry, -np.inf)
        first, *others = self.slabs(self.padded)
        y = first.copy()
        for slab in others:
            np.maximum(y, slab, out=y)
        self.y = from_memory(y)
        return self.y

    def masks(self) -> Iterator[Array]:
        """For each slab of the last input, where it holds the first maximum of its window."""
        y = to_memory(self.y)
        free = np.ones(y.shape, bool)
        for slab in self.slabs(self.padded):
            mask = slab == y
            mask &= free
            free ^= mask
            yield mask

    def backward(self, dy: Array) -> Array:
        dy = to_memory(dy)
        dx = np.zeros(self.padded.shape, dy.dtype)
        for slab, mask in zip(self.slabs(dx), self.masks(), strict=True):
            if self.overlap:
                slab += dy * mask
            else:
                np.multiply(dy, mask, out=slab)
        return from_memory(crop(dx, self.geometry))


@dataclass(eq=False)
class MaxUnpool2d(Layer):
    """y[n, c, r, q] = x[n, c, i, j] where the pool's window (i, j) had its maximum at (r, q), and 0 elsewhere

    x (N, C, oH, oW) in the shape of the pool's output, y (N, C, H, W) in that of its input.
    Where overlapping windows had the same maximum, the last of them gives y.
    dx: each x gets the dy of the place it went to, or 0 where another x took that place.

    Parameters
    ----------
    pool
        The name of the MaxPool2d.

    Raises
    ------
    ShapeError
        If there is no such pool, or the input has another shape than its output.

    Source: Zeiler and Fergus 2014; PyTorch's MaxUnpool2d.

    Example: {MaxUnpool2d: maxpool2d1}
    """

    pool: str
    source: MaxPool2d = field(init=False, repr=False)

    def refers(self) -> tuple[str, ...]:
        return (self.pool,)

    def link(self, *layers: Layer) -> None:
        (found,) = layers
        if not isinstance(found, MaxPool2d):
            raise ShapeError(f"{self.pool!r} is a {type(found).__name__}. Name a MaxPool2d.")
        self.source = found

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        if shape != self.source.output_shape:
            wanted = self.source.output_shape
            raise ShapeError(f"needs {wanted}, the shape of what {self.pool!r} gives, but gets {shape}.")
        return self.source.input_shape

    def arithmetic(self) -> str:
        return f"the input of {self.pool}"

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.masks = list(self.source.masks())
        y = np.zeros(self.source.padded.shape, x.dtype)
        # Of the windows that a pixel is in, the last one meets it with the first element of the kernel.
        for slab, mask in reversed(list(zip(self.source.slabs(y), self.masks, strict=True))):
            np.copyto(slab, to_memory(x), where=mask)
        self.y = from_memory(crop(y, self.source.geometry))
        return self.y

    def backward(self, dy: Array) -> Array:
        left = pad(dy, self.source.geometry)
        if self.source.overlap:
            left = left.copy()
        dx = np.zeros(to_memory(self.x).shape, dy.dtype)
        for slab, mask in zip(self.source.slabs(left), self.masks, strict=True):
            np.copyto(dx, slab, where=mask)
            if self.source.overlap:
                np.copyto(slab, 0, where=mask)
        return from_memory(dx)


@dataclass(eq=False)
class AvgPool2d(_Pool):
    """y[n, c, i, j] = 1/(kH kW) Σ over k, l of x[n, c, s i + k - p, s j + l - p]

    x (N, C, H, W), y (N, C, oH, oW), oH = ⌊(H + 2p - kH) / s⌋ + 1. Outside of the image x is 0, and counts.
    dx: each dy goes in equal parts to its window.

    Raises
    ------
    ShapeError
        If a sample is no image, or the kernel is larger than it.

    Source: PyTorch's AvgPool2d.

    Example: {AvgPool2d: 2}
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        padded = pad(x, self.geometry)
        self.padded_shape = padded.shape
        first, *others = self.slabs(padded)
        y = first.copy()
        for slab in others:
            y += slab
        y *= 1 / prod(self.geometry.kernel)
        self.y = from_memory(y)
        return self.y

    def backward(self, dy: Array) -> Array:
        part = to_memory(dy) * (1 / prod(self.geometry.kernel))
        dx = np.zeros(self.padded_shape, dy.dtype)
        for slab in self.slabs(dx):
            slab += part
        return from_memory(crop(dx, self.geometry))


@dataclass(eq=False)
class GlobalAvgPool2d(Layer):
    """y[n, c] = 1/(H W) Σ over i, j of x[n, c, i, j]

    x (N, C, H, W), y (N, C). dx = dy / (H W) for every pixel of the channel.

    Raises
    ------
    ShapeError
        If a sample is no image.

    Source: Lin, Chen and Yan 2014.

    Example: GlobalAvgPool2d
    """

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        c, h, w = image_shape(shape)
        self.pixels = h * w
        return (c,)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = x.sum(axis=(2, 3)) * (1 / self.pixels)
        return self.y

    def backward(self, dy: Array) -> Array:
        n, c, h, w = self.x.shape
        dx = np.empty((h, c, w, n), dy.dtype)
        dx[...] = dy.T[:, None] * (1 / self.pixels)
        return from_memory(dx)


@dataclass(eq=False)
class Upsample(Layer):
    """y[n, c, i, j] = x[n, c, ⌊i/s⌋, ⌊j/s⌋]

    Nearest neighbour: x (N, C, H, W), y (N, C, s H, s W). dx: the sum of dy over the pixels of each x.

    Parameters
    ----------
    scale_factor
        Times that each pixel is repeated: a number, or [along H, along W].

    Raises
    ------
    ShapeError
        If a sample is no image.

    Example: {Upsample: 2}
    """

    scale_factor: Size = 2

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        c, h, w = image_shape(shape)
        self.scale = pair(self.scale_factor)
        return (c, h * self.scale[0], w * self.scale[1])

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = from_memory(to_memory(x).repeat(self.scale[0], axis=0).repeat(self.scale[1], axis=2))
        return self.y

    def backward(self, dy: Array) -> Array:
        h, c, w, n = to_memory(self.x).shape
        dx: Array = to_memory(dy).reshape(h, self.scale[0], c, w, self.scale[1], n).sum(axis=(1, 4))
        return from_memory(dx)
