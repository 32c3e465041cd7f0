"""Normalisation: of each feature over the batch, and of each sample over its features."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from tinynet.common.annotations import PositiveFloat, Probability
from tinynet.common.arrays import Array, Shape
from tinynet.nn.layer import Layer


@dataclass(eq=False)
class BatchNorm(Layer):
    """y = w x̂ + b,  x̂ = (x - μ) / √(σ² + eps)

    For flat samples x (N, F), w and b (F): μ and σ² of each feature over the batch. For images x (N, C, H, W), w and b
    (C): of each channel over batch and pixels. In evaluation the running mean and variance are used, which training
    follows: r ← (1 - momentum) r + momentum · new, the new variance taken with m - 1, m numbers in each mean.
    dx = w/√(σ² + eps) · (dy - mean(dy) - x̂ mean(dy x̂)),  dw = Σ dy x̂,  db = Σ dy.

    Parameters
    ----------
    eps
        Keeps the quotient finite.
    momentum
        Share of the new mean and variance in the running ones.

    Source: Ioffe and Szegedy 2015; PyTorch's BatchNorm1d and BatchNorm2d.

    Example: BatchNorm
    """

    eps: PositiveFloat = 1e-5
    momentum: Probability = 0.1

    mixes_samples = True

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        features = shape[:1]
        # A factor of a channel stands before the pixels.
        self.inner = (features[0], *(1 for _ in shape[1:]))
        self.axes = (0, *range(2, len(shape) + 1))
        self.pixels = prod(shape[1:])
        self.weight = self.parameter("weight", features, 1.0)
        self.bias = self.parameter("bias", features, 0.0)
        self.running_mean = self.buffer("running_mean", features, 0.0)
        self.running_var = self.buffer("running_var", features, 1.0)
        return shape

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x, self.trains = x, training
        if training:
            m = x.shape[0] * self.pixels
            mean = x.mean(axis=self.axes)
            centred = x - mean.reshape(self.inner)
            var = (centred * centred).mean(axis=self.axes)
            self.running_mean.tensor += self.momentum * (mean - self.running_mean.tensor)
            self.running_var.tensor += self.momentum * (var * (m / max(m - 1, 1)) - self.running_var.tensor)
        else:
            centred, var = x - self.running_mean.tensor.reshape(self.inner), self.running_var.tensor
        self.scale = 1 / np.sqrt(var + self.eps)
        self.normal = centred * self.scale.reshape(self.inner)
        self.y = self.normal * self.weight.tensor.reshape(self.inner) + self.bias.tensor.reshape(self.inner)
        return self.y

    def backward(self, dy: Array) -> Array:
        m = dy.shape[0] * self.pixels
        dw, db = (dy * self.normal).sum(axis=self.axes), dy.sum(axis=self.axes)
        self.weight.gradient += dw
        self.bias.gradient += db
        factor = (self.weight.tensor * self.scale).reshape(self.inner)
        if not self.trains:
            return np.asarray(dy * factor)
        dx: Array = factor * (dy - (db / m).reshape(self.inner) - self.normal * (dw / m).reshape(self.inner))
        return dx


@dataclass(eq=False)
class LayerNorm(Layer):
    """y = w x̂ + b,  x̂ = (x - μ) / √(σ² + eps)

    μ and σ² of each sample over all its numbers. x, y (N, *sample), w and b (*sample).
    dx = (g - mean(g) - x̂ mean(g x̂)) / √(σ² + eps) with g = dy w,  dw = Σ dy x̂,  db = Σ dy over the batch.

    Parameters
    ----------
    eps
        Keeps the quotient finite.

    Source: Ba, Kiros and Hinton 2016; PyTorch's LayerNorm over the whole sample.

    Example: LayerNorm
    """

    eps: PositiveFloat = 1e-5

    def setup(self, shape: Shape, rng: np.random.Generator) -> Shape:
        self.axes = tuple(range(-len(shape), 0))
        self.weight = self.parameter("weight", shape, 1.0)
        self.bias = self.parameter("bias", shape, 0.0)
        return shape

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        centred = x - x.mean(axis=self.axes, keepdims=True)
        self.scale = 1 / np.sqrt((centred * centred).mean(axis=self.axes, keepdims=True) + self.eps)
        self.normal = centred * self.scale
        self.y = self.normal * self.weight.tensor + self.bias.tensor
        return self.y

    def backward(self, dy: Array) -> Array:
        self.weight.gradient += (dy * self.normal).sum(axis=0)
        self.bias.gradient += dy.sum(axis=0)
        g = dy * self.weight.tensor
        along = (g * self.normal).mean(axis=self.axes, keepdims=True)
        dx: Array = self.scale * (g - g.mean(axis=self.axes, keepdims=True) - self.normal * along)
        return dx
