"""Every gradient against central differences, and the checker against gradients known to be wrong."""

from typing import get_args

import numpy as np
import pytest
from faulty import Assigns, NotAMean, NoTranspose, OtherShape, WrongAxis
from gradients import (
    STEP,
    batch_for,
    check_layer,
    check_loss,
    compare,
    from_example,
    layer_from_example,
    loss_case,
    numerical_gradient,
    on_every_shape,
    set_up,
    spaced,
)

from tinynet.common import components
from tinynet.nn.initial import Rule
from tinynet.nn.layers.activations import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from tinynet.nn.layers.dropout import Dropout
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.shape import Flatten
from tinynet.nn.losses import CrossEntropy, Huber
from tinynet.nn.net import Net

LAYERS = components.classes("layer").values()
LOSSES = components.classes("loss").values()

VARIANTS = [
    (Linear, {"out_features": 1}),
    (Linear, {"out_features": 4, "bias": False}),
    *[(Linear, {"out_features": 4, "init": rule}) for rule in get_args(Rule)],
    *[(Dropout, {"p": p}) for p in (0.0, 0.2, 0.9, 1.0)],
    *[(LeakyReLU, {"negative_slope": slope}) for slope in (0.0, 0.3, 2.0)],
]


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("cls", LAYERS)
def test_layer_from_its_example(cls, training):
    for layer, shape in on_every_shape(lambda: layer_from_example(cls)):
        # Two rows would be too few: BatchNorm makes them 1 and -1, whatever they are.
        check_layer(layer, *batch_for(layer, 4, shape), training=training)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("cls", "options"), VARIANTS)
def test_layer_with_other_options(cls, options, training):
    for layer, shape in on_every_shape(lambda: cls(**options)):
        check_layer(layer, *batch_for(layer, 2, shape), training=training)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("cls", [Linear, ReLU, LeakyReLU, Tanh, Sigmoid, GELU, Softmax, Dropout, Flatten])
def test_layer_with_rounds(cls, training):
    layer = set_up(from_example(cls), (4,), rounds=3)
    check_layer(layer, spaced((3, 5, 4)), training=training)


@pytest.mark.parametrize("rounds", [(), (3,)], ids=["one round", "three rounds"])
def test_flatten_of_images(rounds):
    check_layer(set_up(Flatten(), (3, 4, 2)), spaced((*rounds, 2, 3, 4, 2)))


@pytest.mark.parametrize("n", [1, 2, 9])
def test_linear_with_any_number_of_rows(n):
    check_layer(set_up(Linear(3), (4,)), spaced((n, 4)))


@pytest.mark.parametrize("cls", LOSSES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (6, 3), (130, 2)])
def test_loss_from_its_example(cls, shape):
    check_loss(from_example(cls), shape)


@pytest.mark.parametrize("cls", LOSSES)
def test_loss_with_rounds(cls):
    check_loss(from_example(cls), (3, 5, 2))


@pytest.mark.parametrize("cls", [cls for cls in LOSSES if not cls.takes_labels])
@pytest.mark.parametrize("shape", [(5, 3, 2, 2), (4, 5, 3, 2, 2)], ids=["one round", "four rounds"])
def test_loss_of_images(cls, shape):
    loss = from_example(cls)
    loss.sample_rank = 3
    check_loss(loss, shape)


@pytest.mark.parametrize("delta", [0.3, 1.5])
def test_huber_with_other_deltas(delta):
    check_loss(Huber(delta), (6, 3))


def test_whole_net():
    layers = [Flatten(), Linear(7), Tanh(), Dropout(0.3), Linear(6), GELU(), Linear(3)]
    net = Net(layers, input_shape=(2, 3), dtype="float64")
    x, loss = spaced((4, 2, 3)), CrossEntropy()
    _, labels = loss_case(loss, (4, 3))

    def value():
        return loss(net.forward(x, training=True), labels)[0]

    _, gradient = loss(net.forward(x, training=True), labels)
    compare("dx", net.backward(gradient), numerical_gradient(value, x))
    for parameter in net.parameters:
        compare(parameter.name, parameter.gradient, numerical_gradient(value, parameter.tensor))


# The faults below are in square layers with as many rows, where no shape gives them away.


class SlightlyWrong(Linear, abstract=True):
    def backward(self, dy):
        return 1.001 * super().backward(dy)


class SlightlyWrongWeight(Linear, abstract=True):
    def backward(self, dy):
        self.weight.gradient += 0.001 * self.x.T @ dy
        return super().backward(dy)


class OneElementWrong(Tanh, abstract=True):
    def backward(self, dy):
        dx = super().backward(dy)
        dx[-1, -1] *= 1.001
        return dx


class NoTransposeOfX(Linear, abstract=True):
    def backward(self, dy):
        self.weight.gradient += self.x @ dy
        self.bias_.gradient += dy.sum(axis=0)
        return dy @ self.weight.tensor.T


class MeanForSum(Linear, abstract=True):
    def backward(self, dy):
        self.weight.gradient += self.x.T @ dy
        self.bias_.gradient += dy.mean(axis=0)
        return dy @ self.weight.tensor.T


class AssignsBias(Linear, abstract=True):
    def backward(self, dy):
        self.weight.gradient += self.x.T @ dy
        self.bias_.gradient = dy.sum(axis=0, keepdims=True)
        return dy @ self.weight.tensor.T


class PassesOn(Softmax, abstract=True):
    def backward(self, dy):
        return dy


FAULTS = [
    (lambda: SlightlyWrong(4), "dx has a relative error of 1.0e-03"),
    (lambda: SlightlyWrongWeight(4), "weight has a relative error of 1.0e-03"),
    (OneElementWrong, "dx has"),
    (lambda: NoTranspose(4), "dx has"),
    (lambda: NoTransposeOfX(4), "weight has"),
    (lambda: WrongAxis(4), "bias has"),
    (lambda: MeanForSum(4), "bias has"),
    (lambda: Assigns(4), "weight has"),
    (lambda: AssignsBias(4), "bias has"),
    (PassesOn, "dx has"),
]


@pytest.mark.parametrize(("make", "message"), FAULTS)
def test_checker_catches(make, message):
    layer = set_up(make(), (4,))
    with pytest.raises(AssertionError, match=message):
        check_layer(layer, spaced((4, 4)))


def test_checker_catches_dx_of_another_shape():
    with pytest.raises(AssertionError, match=r"dx has shape \(1, 2, 3\), not \(2, 3\)"):
        check_layer(OtherShape(), spaced((2, 3)))


def test_checker_catches_a_loss_gradient_n_times_too_large():
    with pytest.raises(AssertionError, match="relative error of 5"):
        check_loss(NotAMean(), (6, 3))


def test_faulty_layers_are_not_registered():
    assert not {"SlightlyWrong", "NoTranspose", "OtherShape", "NotAMean"} & {
        name for kind in components.KINDS for name in components.classes(kind)
    }


def test_inputs_stay_away_from_kinks():
    x = np.sort(np.append(spaced((2, 3, 8, 7)).ravel(), 0))
    assert np.diff(x).min() > 100 * STEP
