"""Layers and a loss with wrong gradients, for both checks of gradients to find.

As abstract classes they are registered nowhere, so no other test meets them.
"""

from tinynet.nn.layers.activations import Tanh
from tinynet.nn.layers.linear import Linear
from tinynet.nn.losses import MSE


class NoTranspose(Linear, abstract=True):
    def backward(self, dy):
        super().backward(dy)
        return dy @ self.weight.tensor


class WrongAxis(Linear, abstract=True):
    def backward(self, dy):
        self.weight.gradient += self.x.T @ dy
        self.bias_.gradient += dy.sum(axis=1)
        return dy @ self.weight.tensor.T


class Assigns(Linear, abstract=True):
    def backward(self, dy):
        self.weight.gradient = self.x.T @ dy
        self.bias_.gradient += dy.sum(axis=0)
        return dy @ self.weight.tensor.T


class OtherShape(Tanh, abstract=True):
    def backward(self, dy):
        return super().backward(dy)[None]


class NotAMean(MSE, abstract=True):
    def __call__(self, predicted, target):
        value, gradient = super().__call__(predicted, target)
        return value, gradient * len(predicted)
