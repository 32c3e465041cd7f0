"""What all tests share."""

import pytest
from gradients import spaced

from tinynet.layers.activations import ReLU, Tanh
from tinynet.layers.linear import Linear
from tinynet.net import Net


@pytest.fixture
def small_net() -> Net:
    """Two inputs, two outputs, a kink in between, in float64."""
    return Net([Linear(5), ReLU(), Linear(4), Tanh(), Linear(2)], input_shape=(2,), seed=0, dtype="float64")


@pytest.fixture
def batch():
    """Seven samples of two numbers."""
    return spaced((7, 2))
