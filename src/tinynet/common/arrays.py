"""The names of arrays and shapes, and the check of a batch."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from tinynet.common.errors import ShapeError

Array = npt.NDArray[Any]


Shape = tuple[int, ...]


FLOAT32, FLOAT64 = 4, 8  # bytes of a number


def check_samples(x: Array, shape: Shape) -> None:
    """Raise ShapeError if x is not (batch, *shape)."""
    if x.ndim == 0 or x.shape[1:] != shape:
        wanted = ", ".join(map(str, ("batch", *shape)))
        raise ShapeError(f"the input has shape {x.shape}, but must be ({wanted})")
