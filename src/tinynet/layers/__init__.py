"""The layers. Each is one class in one file; importing this package registers them all."""

from tinynet.layers import activations, dropout, linear, shape
from tinynet.layers.base import Layer

__all__ = ["Layer", "activations", "dropout", "linear", "shape"]
