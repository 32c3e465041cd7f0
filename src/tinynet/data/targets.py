"""Target codings: class indices as target vectors, and outputs back to class indices."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tinynet.common.arrays import Array

# A class may have a target vector with an entry for each class.
MAX_CLASSES = 10_000

Coding = Literal["sign", "one_hot", "signed_one_hot", "binary", "inputs"]


def width(coding: Coding, classes: int, outputs: int) -> int:
    """How long the target vectors are. One for each output where a class has its own, which may be spare ones."""
    match coding:
        case "sign":
            return 2
        case "binary":
            return 1
    return max(classes, outputs)


def encode(labels: Array, coding: Coding, classes: int) -> Array:
    """Target vectors (n, width) for class indices (n,).

    ==============  =====================================================================
    sign            (1, 1) for class 1, (-1, -1) for class 0                 [Feng, Sun and Wang]
    binary          (1) for class 1, (0) for class 0
    one_hot         1 at the class, 0 elsewhere
    signed_one_hot  1 at the class, -1 elsewhere
    ==============  =====================================================================
    """
    match coding:
        case "sign":
            return np.asarray(np.repeat(2.0 * labels[:, None] - 1.0, 2, axis=1))
        case "binary":
            return np.asarray(labels[:, None], dtype=float)
    low = -1.0 if coding == "signed_one_hot" else 0.0
    vectors = np.full((len(labels), classes), low)
    vectors[np.arange(len(labels)), labels] = 1.0
    return vectors


def decode(outputs: Array, coding: Coding, threshold: float) -> Array:
    """Class indices (n,) for outputs (n, width): by the sign of their sum, by the threshold, or by the largest."""
    match coding:
        case "sign":
            return np.asarray(outputs[..., 0] + outputs[..., 1] > 0, np.intp)
        case "binary":
            return np.asarray(outputs[..., 0] > threshold, np.intp)
    return np.asarray(outputs.argmax(axis=-1))
