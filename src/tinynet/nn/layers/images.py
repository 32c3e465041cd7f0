"""Images: PyTorch's shapes, over memory in the order that NumPy is quick with.

A batch of images has the shape (N, C, H, W) everywhere. In memory it lies batch-last, in the order (H, C, W, N): the
N numbers of one pixel stand side by side, so that whatever a layer does to a pixel it does to a whole row of numbers.
`to_memory` gives a layer that view, free of copying where the order is right; `from_memory` hands it back.
"""

from __future__ import annotations

import numpy as np

from tinynet.common import memory
from tinynet.common.annotations import PositiveInt
from tinynet.common.arrays import FLOAT32, Array, Shape
from tinynet.common.errors import ShapeError

Size = PositiveInt | tuple[PositiveInt, PositiveInt]


def to_memory(x: Array) -> Array:
    """x (N, C, H, W) as a contiguous array (H, C, W, N)."""
    return np.ascontiguousarray(x.transpose(2, 1, 3, 0))


def from_memory(y: Array) -> Array:
    """y (H, C, W, N) as a view (N, C, H, W)."""
    return y.transpose(3, 1, 0, 2)


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """A number as (along H, along W)."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def image_shape(shape: Shape) -> tuple[int, int, int]:
    """(C, H, W); raises ShapeError if a sample is no image."""
    if len(shape) != 3:
        raise ShapeError(f"needs images (channels, height, width), but gets {shape}. Put Reshape before it.")
    return shape[0], shape[1], shape[2]


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """⌊(size + padding - dilation (kernel - 1) - 1) / stride⌋ + 1, padding counted on both sides together.

    Raises
    ------
    ShapeError
        If the kernel is larger than the padded image; it shows the arithmetic.
    """
    reach = dilation * (kernel - 1) + 1
    if size + padding < reach:
        image = "padded image" if padding else "image"
        arithmetic = output_arithmetic(size, kernel, stride, padding, dilation)
        raise ShapeError(
            f"its kernel reaches over {reach} pixels, more than the {image} has: {arithmetic}. Make the kernel smaller."
        )
    return (size + padding - reach) // stride + 1


def check_padded(h: int, w: int) -> None:
    """Raise ShapeError if an image of this size, zeros around it included, has no room in memory."""
    lacking = memory.shortage(h * w * FLOAT32)
    if lacking:
        raise ShapeError(f"its padded image of {h:,} × {w:,} pixels takes {lacking}. Make it smaller.")


def output_arithmetic(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> str:
    """How `output_size` comes about: `(28 + 2·0 − 5) / 1 + 1 = 24`, with ⌊ ⌋ around a quotient that is not whole.

    An odd padding is shown as its two sides, the one below or right larger by one.
    """
    before, odd = divmod(padding, 2)
    sides = f"{before} + {before + 1}" if odd else f"2·{before}"
    reach = f"{kernel}" if dilation == 1 else f"{dilation}·({kernel} − 1) − 1"
    whole, rest = divmod(size + padding - dilation * (kernel - 1) - 1, stride)
    quotient = f"({size} + {sides} − {reach}) / {stride}"
    return _signed(f"{f'⌊{quotient}⌋' if rest else quotient} + 1 = {whole + 1}")


def transposed_arithmetic(size: int, kernel: int, stride: int, padding: int, extra: int, dilation: int = 1) -> str:
    """How the size behind a transposed convolution comes about: `(12 − 1)·2 − 2·1 + 4 = 24`; padding is of one side."""
    reach = f"{kernel}" if dilation == 1 else f"{dilation}·({kernel} − 1) + 1"
    added = f" + {extra}" if extra else ""
    result = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + extra
    return _signed(f"({size} − 1)·{stride} − 2·{padding} + {reach}{added} = {result}")


def by_axis(h: str, w: str) -> str:
    """The texts for H and W as one, said once if they are the same."""
    return h if h == w else f"H: {h}, W: {w}"


def _signed(text: str) -> str:
    return text.replace("-", "−")
