"""Losses: functions of (predicted, target) that return (value, gradient)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from tinynet.common.annotations import PositiveFloat
from tinynet.common.arrays import Array
from tinynet.common.components import Component
from tinynet.common.errors import ShapeError
from tinynet.nn.layers.activations import sigmoid, softmax


@dataclass(eq=False, kw_only=True)
class Loss(Component, abstract=True):
    """How far a prediction is from its target, and the gradient of that with respect to the prediction.

    predicted (..., batch, *sample). An axis before the batch axis is rounds: the value is then an array, one number a
    round, and each round's gradient is that of its own value. Neither argument is changed.
    `sample_rank` says how many axes a sample has: 1 at first; set it to 3 for images (C, H, W).
    """

    kind: ClassVar[str] = "loss"
    # The targets are class indices (batch,), not vectors like the prediction.
    takes_labels: ClassVar[bool] = False
    # With one output for two classes: the class is 1 where the output is above this.
    threshold: ClassVar[float] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sample_rank = 1

    @abstractmethod
    def __call__(self, predicted: Array, target: Array) -> tuple[Any, Array]:
        """The value and its gradient, in the shape of `predicted`.

        Raises
        ------
        ShapeError
            If the shapes do not belong together.
        """

    def probabilities(self, predicted: Array) -> Array | None:
        """What the outputs say as probabilities of the classes, or None where they do not."""
        return None

    def values(self, predicted: Array) -> Array:
        """The prediction as what the targets are: the outputs themselves, or what logits stand for."""
        return predicted

    def mean(self, terms: Array, count: int) -> Any:
        """Σ terms / count over each round: a number, or an array (rounds,)."""
        if terms.ndim <= self.sample_rank + 1:
            return float(np.add.reduce(terms, axis=None)) / count
        return terms.reshape(terms.shape[0], -1).sum(axis=-1).astype(float) / count

    def count(self, predicted: Array, target: Array) -> int:
        """N, the count of numbers in one round of the prediction, after a check that the target has the same shape."""
        # Broadcasting (n, 1) against (n,) would silently make an (n, n) loss.
        if predicted.shape != target.shape:
            raise ShapeError(f"the prediction has shape {predicted.shape}, but its target {target.shape}")
        if predicted.size == 0:
            raise ShapeError("the batch is empty")
        axes = self.sample_rank + 1
        return predicted.size if predicted.ndim == axes else prod(predicted.shape[-axes:])


@dataclass(eq=False)
class MSE(Loss):
    """L = 1/N Σ (ŷ - y)²

    Mean over all N numbers of the batch. dŷ = 2/N (ŷ - y). In the target's unit, squared.

    Source: Feng, Sun and Wang, eq. 11-12.

    Example: MSE
    """

    def __call__(self, predicted: Array, target: Array) -> tuple[Any, Array]:
        n = self.count(predicted, target)
        difference = predicted - target
        return self.mean(difference * difference, n), difference * (2 / n)


@dataclass(eq=False)
class L1(Loss):
    """L = 1/N Σ |ŷ - y|

    Mean over all N numbers of the batch. dŷ = 1/N sign(ŷ - y). In the target's unit.

    Example: L1
    """

    def __call__(self, predicted: Array, target: Array) -> tuple[Any, Array]:
        n = self.count(predicted, target)
        difference = predicted - target
        return self.mean(np.abs(difference), n), np.sign(difference) * (1 / n)


@dataclass(eq=False)
class Huber(Loss):
    """L = 1/N Σ h(ŷ - y),  h(d) = d²/2 where |d| <= delta, else delta (|d| - delta/2)

    Mean over all N numbers of the batch. dŷ = 1/N clip(ŷ - y, -delta, delta).

    Parameters
    ----------
    delta
        Where the square becomes a straight line, in the target's unit.

    Source: Huber 1964; PyTorch's HuberLoss.

    Example: {Huber: 1.0}
    """

    delta: PositiveFloat = 1.0

    def __call__(self, predicted: Array, target: Array) -> tuple[Any, Array]:
        n = self.count(predicted, target)
        difference = predicted - target
        clipped = np.clip(difference, -self.delta, self.delta)
        # clipped · (difference - clipped/2) is d²/2 inside and delta (|d| - delta/2) outside.
        return self.mean(clipped * (difference - 0.5 * clipped), n), clipped * (1 / n)


@dataclass(eq=False)
class CrossEntropy(Loss):
    """L = -1/n Σᵢ log softmax(ŷᵢ)[yᵢ]

    Mean over the n samples of the batch. ŷ (..., batch, classes) are logits: no Softmax before it. y (..., batch) are
    class indices. dŷ = 1/n (softmax(ŷ) - one_hot(y)). In nats.

    Example: CrossEntropy
    """

    takes_labels: ClassVar[bool] = True

    def __call__(self, predicted: Array, target: Array) -> tuple[Any, Array]:
        if predicted.shape[:-1] != target.shape:
            raise ShapeError(f"the logits have shape {predicted.shape}, but the class indices {target.shape}")
        n, classes = target.shape[-1], predicted.shape[-1]
        if target.dtype.kind not in "iu":
            raise ShapeError(f"class indices must be whole numbers, not {target.dtype}")
        if target.size == 0:
            raise ShapeError("the batch is empty")
        if not 0 <= target.min() <= target.max() < classes:
            raise ShapeError(f"class indices must be 0 to {classes - 1}, but go from {target.min()} to {target.max()}")
        # One row for each sample, and the place of its own class in the row.
        own = np.arange(target.size), target.reshape(-1)
        shifted = predicted - predicted.max(axis=-1, keepdims=True)
        exp = np.exp(shifted)
        total = exp.sum(axis=-1, keepdims=True)
        terms = np.log(total) - shifted.reshape(-1, classes)[own].reshape(total.shape)
        gradient = np.ascontiguousarray(exp / (total * n))
        gradient.reshape(-1, classes)[own] -= 1 / n
        return self.mean(terms, n), gradient

    def probabilities(self, predicted: Array) -> Array:
        return softmax(predicted)


@dataclass(eq=False)
class BinaryCrossEntropy(Loss):
    """L = 1/N Σ log(1 + exp(ŷ)) - y ŷ

    Mean over all N numbers of the batch. ŷ are logits: no Sigmoid before it. y are 0 or 1.
    dŷ = 1/N (σ(ŷ) - y), σ(z) = 1/(1 + e⁻ᶻ). In nats.

    Source: PyTorch's BCEWithLogitsLoss.

    Example: BinaryCrossEntropy
    """

    threshold: ClassVar[float] = 0.0

    def values(self, predicted: Array) -> Array:
        return sigmoid(predicted)

    def __call__(self, predicted: Array, target: Array) -> tuple[Any, Array]:
        n = self.count(predicted, target)
        # Not log(1 + exp(ŷ)) - y ŷ, in which a large ŷ loses all digits against y ŷ.
        terms = np.maximum(predicted, 0) - target * predicted + np.log1p(np.exp(-np.abs(predicted)))
        return self.mean(terms, n), (sigmoid(predicted) - target) * (1 / n)

    def probabilities(self, predicted: Array) -> Array:
        one = sigmoid(predicted)
        return np.concatenate([1 - one, one], axis=-1) if predicted.shape[-1] == 1 else one
