"""The net: names, shapes, parameters, seeds, freezing, and what forward, backward and update do together."""

import copy
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from gradients import spaced

from tinynet.common import components
from tinynet.common.errors import OptionError, ShapeError
from tinynet.nn.graph import LayerError
from tinynet.nn.layer import Layer
from tinynet.nn.layers.activations import ReLU, Softmax, Tanh
from tinynet.nn.layers.dropout import Dropout
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.merge import Identity, Sum
from tinynet.nn.layers.shape import Flatten
from tinynet.nn.losses import MSE, CrossEntropy
from tinynet.nn.net import Net
from tinynet.nn.optimizers import SGD, Adam, AdamW
from tinynet.nn.random import Stream
from tinynet.training.workers import blame


def train_step(net, x, target, optimizer, loss=None):
    value, gradient = (loss or MSE())(net.forward(x, training=True), target)
    net.backward(gradient, to_input=False)
    net.update(optimizer)
    return value


# Names


def test_layers_are_called_after_their_class_and_count():
    net = Net([Linear(3), ReLU(), Linear(3), ReLU(), Linear(2)], (2,))
    assert [layer.name for layer in net.layers] == ["linear1", "relu1", "linear2", "relu2", "linear3"]


def test_names_that_are_given_stay():
    net = Net([Linear(3, name="stem"), ReLU(), Linear(2, name="Head-1_b")], (2,))
    assert [layer.name for layer in net.layers] == ["stem", "relu1", "Head-1_b"]
    assert [p.name for p in net.parameters] == ["stem.weight", "stem.bias", "Head-1_b.weight", "Head-1_b.bias"]


@pytest.mark.parametrize("name", ["a b", "a.b", "a/b", "1st", "-a", "layers[0]", "ü", "a\n"])
def test_bad_names(name):
    with pytest.raises(ShapeError, match="has to start with a letter") as caught:
        Net([ReLU(), ReLU(name=name)], (2,))
    assert repr(name) in str(caught.value)
    assert caught.value.place == (1,)


def test_a_name_has_at_most_100_letters():
    assert Net([ReLU(name="a" * 100)], (2,)).layers[0].name == "a" * 100
    with pytest.raises(LayerError, match="its name has 101 letters; a layer's has at most 100"):
        Net([ReLU(name="a" * 101)], (2,))


def test_two_layers_of_one_name():
    with pytest.raises(ShapeError, match="another layer called 'twin'") as caught:
        Net([ReLU(name="twin"), Tanh(), Linear(2, name="twin")], (2,))
    assert caught.value.place == (2,)


def test_one_layer_twice():
    layer = Linear(2)
    with pytest.raises(LayerError) as caught:
        Net([layer, layer], (2,))
    assert str(caught.value) == "layers[1] Linear belongs to a net already. Make a new one."
    assert caught.value.place == (1,)


def test_one_layer_in_two_nets():
    net = Net([Linear(2), Tanh()], (2,))
    before, name = net.vector.tensor.copy(), net.layers[1].name
    with pytest.raises(LayerError, match=r"layers\[1\] Tanh belongs to a net already\. Make a new one\."):
        Net([Linear(2), net.layers[1]], (2,))
    np.testing.assert_array_equal(net.vector.tensor, before)
    assert (net.layers[1].name, net.layers[1].clock) == (name, net.clock)


# Shapes


def test_shapes_follow_from_the_layer_before():
    net = Net([Flatten(), Linear(5), ReLU(), Linear(3)], (2, 4, 4))
    assert net.shapes == [(32,), (5,), (5,), (3,)]
    assert (net.input_shape, net.output_shape) == ((2, 4, 4), (3,))
    assert net.forward(np.zeros((7, 2, 4, 4))).shape == (7, 3)


def test_shape_error_names_the_giver_and_shows_the_shapes():
    with pytest.raises(LayerError) as caught:
        Net([ReLU(), Dropout(name="noise"), Linear(5), Tanh()], (16, 5, 5))
    assert str(caught.value) == (
        "needs a flat input, but gets (16, 5, 5) from layers[1] Dropout. Put Flatten before it. "
        "(shapes: input (16, 5, 5) → relu1 (16, 5, 5) → noise (16, 5, 5))"
    )
    assert caught.value.place == (2,)


def test_shape_error_of_the_first_layer_names_the_dataset():
    with pytest.raises(
        LayerError, match=r"gets \(28, 28\) from the dataset\. .*\(shapes: input \(28, 28\)\)"
    ) as caught:
        Net([Linear(5)], (28, 28))
    assert caught.value.place == (0,)


@pytest.mark.parametrize("shape", [(7, 3), (2,), (7, 2, 1), ()])
def test_input_of_another_shape(small_net, shape):
    with pytest.raises(ShapeError) as caught:
        small_net.forward(np.zeros(shape))
    assert f"the input has shape {shape}, but must be (batch, 2" in str(caught.value)


def test_height_is_not_width():
    net = Net([Flatten(), Linear(2)], (3, 4, 2))
    with pytest.raises(ShapeError, match=r"must be \(batch, 3, 4, 2\)"):
        net.forward(np.zeros((5, 3, 2, 4)))


@pytest.mark.parametrize("shape", [2, (0,), (-3,), (2.0,), ("2",), (2, 0), (2.0, 2)])
def test_an_input_shape_that_is_none(shape):
    with pytest.raises(ShapeError, match="input_shape must be whole numbers > 0, as in"):
        Net([Linear(2)], shape)


@pytest.mark.parametrize("dtype", ["int32", "float16", "complex64", bool, "nonsense", 7])
def test_refused_dtypes(dtype):
    with pytest.raises(OptionError, match=r"^dtype must be float32 or float64, not \S+$"):
        Net([Linear(2)], (2,), dtype=dtype)


@pytest.mark.parametrize("layer", [Linear, "ReLU", None])
def test_what_is_no_layer_is_refused(layer):
    with pytest.raises(LayerError) as caught:
        Net([ReLU(), layer], (2,))
    assert str(caught.value) == f"layers[1] is {layer!r}, not a layer. Write it as in Linear(25) or ReLU()."
    assert caught.value.place == (1,)


def test_the_name_of_the_input_is_taken():
    with pytest.raises(LayerError, match="the name 'input' is that of the net's own input"):
        Net([ReLU(), Linear(2, name="input")], (2,))


def test_a_net_needs_a_layer():
    with pytest.raises(ShapeError, match="at least one layer"):
        Net([], (2,))


# Parameters


def test_parameters_are_views_of_one_vector_in_the_order_of_the_layers(small_net):
    net = small_net
    names = ["linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias", "linear3.weight", "linear3.bias"]
    assert [p.name for p in net.parameters] == names
    assert [p.tensor.shape for p in net.parameters] == [(2, 5), (1, 5), (5, 4), (1, 4), (4, 2), (1, 2)]
    np.testing.assert_array_equal(np.concatenate([p.tensor.ravel() for p in net.parameters]), net.vector.tensor)
    net.vector.tensor[:] = np.arange(net.vector.tensor.size)
    net.vector.gradient[:] = -1
    assert net.parameters[1].tensor.tolist() == [[10, 11, 12, 13, 14]]
    assert all((p.gradient == -1).all() for p in net.parameters)


def test_the_layers_compute_with_the_vector(small_net, batch):
    before = small_net.forward(batch)
    small_net.vector.tensor *= 2
    assert not np.allclose(small_net.forward(batch), before)
    small_net.parameters[-2].tensor = np.zeros((4, 2))
    small_net.parameters[-1].tensor = [[5, 6]]
    assert small_net.forward(batch).tolist() == [[5, 6]] * 7
    assert small_net.vector.tensor[-2:].tolist() == [5, 6]


def test_dtype():
    assert Net([Linear(2)], (2,)).vector.tensor.dtype == "float32"
    assert Net([Linear(2)], (2,)).forward(np.zeros((1, 2))).dtype == "float32"
    assert Net([Linear(2)], (2,), dtype="float64").forward(np.zeros((1, 2), "float32")).dtype == "float64"
    assert Net([Linear(2)], (2,)).forward([[1, 2]]).shape == (1, 2)


# Seeds


def values(net):
    return {p.name: p.tensor.copy() for p in net.parameters}


def assert_same(one, other, names):
    for name in names:
        np.testing.assert_array_equal(one[name], other[name])


def test_same_seed_same_parameters():
    nets = [values(Net([Linear(5), Tanh(), Linear(3)], (2,), seed)) for seed in (3, 3, 4)]
    assert_same(nets[0], nets[1], nets[0])
    for name in nets[0]:
        assert not np.isin(nets[2][name], nets[0][name]).any()


def test_both_dtypes_start_from_the_same_draws():
    single, double = (Net([Linear(5)], (2,), dtype=dtype).vector.tensor for dtype in ("float32", "float64"))
    np.testing.assert_array_equal(single, double.astype("float32"))


def test_initial_values_are_a_function_of_seed_and_name():
    # The same in every version, or a published seed would give another net.
    net = Net([Linear(3, name="a")], (4,), seed=5, dtype="float64")
    stream = Stream(5, "initialisation", "a").at()
    for parameter in net.parameters:
        np.testing.assert_array_equal(parameter.tensor, stream.uniform(-0.5, 0.5, parameter.tensor.shape))


def test_the_seed_is_0_and_the_numbers_are_float32_unless_said_otherwise():
    one, other = Net([Linear(4)], (4,)), Net([Linear(4)], (4,), seed=0, dtype="float32")
    assert one.vector.tensor.dtype == "float32"
    np.testing.assert_array_equal(one.vector.tensor, other.vector.tensor)


def test_layers_of_one_size_start_differently():
    found = values(Net([Linear(4), Linear(4)], (4,)))
    assert not np.isin(found["linear1.weight"], found["linear2.weight"]).any()


def test_a_wider_layer_leaves_the_others_as_they_were():
    one = values(Net([Linear(5), Linear(4), Linear(3)], (2,)))
    other = values(Net([Linear(5), Linear(9), Linear(3)], (2,)))
    assert_same(one, other, ["linear1.weight", "linear1.bias"])


@pytest.mark.parametrize(("cls", "options"), [(Tanh, {}), (Dropout, {}), (Linear, {"out_features": 4})])
def test_an_inserted_layer_with_a_name_leaves_the_others_as_they_were(cls, options):
    one = Net([Linear(4), Dropout(), Linear(4)], (4,))
    other = Net([Linear(4), cls(**options, name="extra"), Dropout(), Linear(4)], (4,))
    others = [layer for layer in other.layers if layer.name != "extra"]
    # Each layer alone, as the values that reach it may differ.
    x = np.ones((50, 4), "float32")
    for before, after in zip(one.layers, others, strict=True):
        np.testing.assert_array_equal(before.forward(x, training=True), after.forward(x, training=True))


def test_a_training_repeats_to_the_last_bit(batch):
    found = []
    for _ in range(2):
        net = Net([Linear(20), ReLU(), Dropout(0.3), Linear(2)], (2,), seed=5)
        optimizer = Adam()
        losses = [train_step(net, batch, batch, optimizer) for _ in range(10)]
        found.append((losses, net.vector.tensor.tolist()))
    assert found[0] == found[1]


# Forward, backward, update


def test_forward_goes_through_all_layers(batch):
    net = Net([Linear(4), Tanh(), Linear(3)], (2,), dtype="float64")
    w1, b1, w2, b2 = (p.tensor for p in net.parameters)
    expected = np.tanh(batch @ w1 + b1) @ w2 + b2
    np.testing.assert_allclose(net.forward(batch), expected, rtol=1e-14)
    np.testing.assert_array_equal(net(batch), net.forward(batch))


def test_training_is_handed_to_every_layer():
    net = Net([Dropout(0.5), Tanh(), Dropout(0.5)], (50,))
    x = np.ones((20, 50))
    assert (net.forward(x) == np.tanh(np.float32(1))).all()
    assert (net(x) != 0).all()
    assert np.mean(net.forward(x, training=True) == 0) == pytest.approx(0.75, abs=0.06)
    np.testing.assert_array_equal(net(x, training=True), net.forward(x, training=True))


@pytest.mark.parametrize("last", [Tanh, Softmax, Flatten, lambda: Dropout(0.5), lambda: Linear(4)])
@pytest.mark.parametrize("training", [False, True])
def test_neither_loss_nor_backward_changes_the_output(last, training):
    for loss, target in ((MSE(), np.ones((7, 4))), (CrossEntropy(), np.arange(7) % 4)):
        net = Net([Linear(4), last()], (2,), dtype="float64")
        y = net.forward(spaced((7, 2)), training)
        before = y.copy()
        _, gradient = loss(y, target)
        gradient_before = gradient.copy()
        net.backward(gradient)
        np.testing.assert_array_equal(y, before)
        np.testing.assert_array_equal(gradient, gradient_before)


def test_forward_leaves_its_input(small_net, batch):
    before = batch.copy()
    small_net.backward(np.ones_like(small_net.forward(batch)))
    np.testing.assert_array_equal(batch, before)


@pytest.mark.parametrize("shape", [(7, 3), (6, 2), (2,), (1, 2), (7, 1), ()])
def test_a_gradient_of_another_shape_is_refused(small_net, batch, shape):
    small_net.forward(batch)
    with pytest.raises(ShapeError) as caught:
        small_net.backward(np.ones(shape))
    assert str(caught.value) == f"the gradient has shape {shape}, the last output (7, 2). Call forward first."
    assert not small_net.vector.gradient.any()


@pytest.mark.parametrize("shape", [(7, 2), (1,)])
def test_backward_before_forward_is_refused(small_net, shape):
    with pytest.raises(ShapeError, match=r"Call forward first\."):
        small_net.backward(np.ones(shape))


def test_gradients_accumulate_until_they_are_zeroed(small_net, batch):
    dy = spaced((7, 2), seed=1)
    small_net.forward(batch)
    small_net.backward(dy)
    once = small_net.vector.gradient.copy()
    assert once.any()
    small_net.backward(dy)
    np.testing.assert_allclose(small_net.vector.gradient, 2 * once, rtol=1e-14)
    small_net.zero_grad()
    assert not small_net.vector.gradient.any()


@pytest.mark.parametrize("make", [lambda: SGD(lr=0.1), Adam, AdamW])
def test_update_steps_and_then_zeroes_the_gradients(small_net, batch, make):
    optimizer = make()
    before = small_net.vector.tensor.copy()
    small_net.forward(batch)
    small_net.backward(np.ones((7, 2)))
    gradient = small_net.vector.gradient.copy()
    small_net.update(optimizer)
    assert not small_net.vector.gradient.any()
    assert small_net.clock.step == 1
    moved = small_net.vector.tensor - before
    assert (moved[gradient != 0] != 0).all()
    if isinstance(optimizer, SGD):
        np.testing.assert_allclose(moved, -0.1 * gradient, rtol=1e-9)


def test_training_lowers_the_loss(small_net, batch):
    target = np.sin(batch)
    optimizer = SGD(lr=0.1)
    losses = [train_step(small_net, batch, target, optimizer) for _ in range(200)]
    assert losses[-1] < 0.1 * losses[0]


def test_backward_without_the_input_gives_the_same_gradients(small_net, batch):
    dy = spaced((7, 2), seed=1)
    small_net.forward(batch)
    dx = small_net.backward(dy)
    gradient = small_net.vector.gradient.copy()
    small_net.zero_grad()
    assert small_net.backward(dy, to_input=False) is None
    np.testing.assert_array_equal(small_net.vector.gradient, gradient)
    # And the other way round: nothing of it stays.
    np.testing.assert_array_equal(small_net.backward(dy), dx)


def never(dy):
    raise AssertionError("its backward is of no use")


def test_what_stands_before_the_first_layer_that_learns_is_skipped(monkeypatch, batch):
    net = Net([Linear(5, trainable=False), Tanh(), Linear(2), Tanh()], (2,), dtype="float64")
    dy = spaced((7, 2), seed=1)
    net.forward(batch)
    assert net.backward(dy) is not None
    gradient = net.vector.gradient.copy()
    net.zero_grad()
    for layer in net.layers[:2]:
        monkeypatch.setattr(layer, "backward", never)
    assert net.backward(dy, to_input=False) is None
    np.testing.assert_array_equal(net.vector.gradient, gradient)
    with pytest.raises(AssertionError, match="of no use"):
        net.backward(dy)


def test_the_first_layer_that_learns_makes_no_dx(batch):
    net = Net([Tanh(), Linear(2), Linear(2)], (2,))
    net.forward(batch)
    for to_input, needed in ((False, [False, True]), (True, [True, True])):
        net.backward(np.ones((7, 2), "float32"), to_input)
        assert [layer.needs_dx for layer in net.layers[1:]] == needed


@pytest.mark.parametrize("layers", [lambda: [Tanh()], lambda: [Linear(2, trainable=False), Tanh()]])
def test_a_net_without_anything_to_learn(layers, batch):
    net = Net(layers(), (2,), dtype="float64")
    net.forward(batch)
    assert net.backward(np.ones((7, 2)), to_input=False) is None
    assert net.backward(np.ones((7, 2))).shape == (7, 2)
    net.update(SGD())


# Copies


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_a_copy_trains_like_the_original_and_apart_from_it(batch, copied):
    net = Net([Linear(5, trainable=False), Tanh(), Dropout(0.3), Linear(2)], (2,), dtype="float64")
    train_step(net, batch, np.sin(batch), SGD(lr=0.1))
    other, before = copied(net), net.vector.all_tensors.copy()
    found = []
    for each in (other, net):
        optimizer = Adam(lr=0.1)
        found.append([train_step(each, batch, np.sin(batch), optimizer) for _ in range(5)])
        assert np.any(each.vector.all_tensors != before)
        assert all(np.shares_memory(p.tensor, each.vector.all_tensors) for p in each.parameters)
        assert each.clock.step == 6
        if each is other:
            np.testing.assert_array_equal(net.vector.all_tensors, before)
    assert found[0] == found[1]
    assert other.vector.all_tensors.tobytes() == net.vector.all_tensors.tobytes()


# A person's own layers


@pytest.fixture
def own_layers(monkeypatch):
    """Two layers that forget to call their base: one in __post_init__, one in __init__."""
    for name in ("Scale", "Offset"):
        monkeypatch.setitem(components.classes("layer"), name, None)

    @dataclass(eq=False)
    class Scale(Layer):
        """y = factor x"""

        factor: float = 2.0

        def __post_init__(self):
            self.twice = 2 * self.factor

        def forward(self, x, training=False):
            self.x, self.y = x, self.twice * x
            return self.y

        def backward(self, dy):
            return self.twice * dy

    class Offset(Layer):
        """y = x + b"""

        def __init__(self, start):
            self.start = start

        def setup(self, shape, rng):
            self.bias = self.parameter("bias", shape, self.start)
            return shape

        def forward(self, x, training=False):
            self.x, self.y = x, x + self.bias.tensor
            return self.y

        def backward(self, dy):
            self.bias.gradient += dy.sum(axis=0)
            return dy

    return Scale(1.5), Offset(0.25)


def test_own_layers_that_do_not_call_their_base_work_in_a_net(own_layers, batch):
    net = Net([Linear(2), *own_layers], (2,), dtype="float64")
    weight, bias = (p.tensor for p in net.parameters[:2])
    np.testing.assert_allclose(net(batch), 3 * (batch @ weight + bias) + 0.25, rtol=1e-14)
    assert [p.name for p in net.parameters] == ["linear1.weight", "linear1.bias", "offset1.bias"]
    optimizer = SGD(lr=0.02)
    losses = [train_step(net, batch, np.sin(batch), optimizer) for _ in range(50)]
    assert losses[-1] < losses[0] / 2


# Frozen layers


@pytest.mark.parametrize(
    "make", [lambda: SGD(lr=0.1, momentum=0.9, weight_decay=0.1), lambda: Adam(weight_decay=0.1), AdamW]
)
@pytest.mark.parametrize("frozen", [0, 2, 4])
def test_frozen_layers_stay(make, frozen, batch):
    layers = [Linear(5), Tanh(), Linear(4), Tanh(), Linear(2)]
    layers[frozen].trainable = False
    net = Net(layers, (2,), dtype="float64")
    before, optimizer = values(net), make()
    for _ in range(3):
        train_step(net, batch, np.sin(batch), optimizer)
    for layer in layers:
        for parameter in layer.parameters:
            same = np.array_equal(parameter.tensor, before[parameter.name])
            assert same == (layer is layers[frozen])


def test_frozen_parameters_come_after_the_others():
    net = Net([Linear(5, trainable=False), Linear(2)], (3,))
    assert [p.name for p in net.parameters] == ["linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"]
    order = [net.parameters[i].tensor.ravel() for i in (2, 3, 0, 1)]
    np.testing.assert_array_equal(net.vector.all_tensors, np.concatenate(order))
    assert net.vector.tensor.size == 12


def test_freezing_changes_no_initial_value():
    one = values(Net([Linear(5), Linear(2)], (3,)))
    other = values(Net([Linear(5, trainable=False), Linear(2)], (3,)))
    assert_same(one, other, one)


# Looking at a net


def test_summary():
    net = Net([Flatten(name="flat"), Linear(100, trainable=False), ReLU(), Linear(3)], (2, 8, 8))
    assert net.summary().splitlines() == [
        "name     layer    output     parameters",
        "input             (2, 8, 8)",
        "flat     Flatten  (128,)     0",
        "linear1  Linear   (100,)     12,900 (frozen)",
        "relu1    ReLU     (100,)     0",
        "linear2  Linear   (3,)       303",
        "13,203 parameters, 303 of them trainable",
    ]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_blame_names_the_first_layer_that_is_not_finite(small_net, batch, wrong):
    small_net.forward(batch)
    small_net.layers[4].y[1, 1] = small_net.layers[3].y[2, 1] = wrong
    assert blame(small_net) == "The first layer with NaN or infinity is tanh1 (its output)."
    small_net.layers[2].parameters[1].tensor[0, 0] = wrong
    assert blame(small_net) == "The first layer with NaN or infinity is linear2 (its parameters)."


def test_blame_of_finite_numbers_is_the_largest_output(small_net, batch):
    small_net.forward(batch)
    small_net.layers[2].y[3, 1] = -1234.5
    assert blame(small_net) == "The largest output is that of linear2, up to 1.23e+03."


def test_blame_before_the_first_output(small_net):
    assert blame(small_net) == "The largest output is that of linear1, up to 0."


def test_blame_of_small_numbers_is_the_largest_of_them_too(small_net, batch):
    small_net.forward(batch)
    for layer in small_net.layers:
        layer.y[...] = 0.25
    small_net.layers[2].y[3, 1] = -0.5
    assert blame(small_net) == "The largest output is that of linear2, up to 0.5."


def test_an_option_error_is_a_value_error():
    # So that a person's own `except ValueError` holds.
    with pytest.raises(ValueError, match="out_features") as caught:
        Net([Linear(-5)], (2,))
    assert caught.type is OptionError


def test_a_last_layer_that_keeps_nothing_is_fine(batch):
    @dataclass(eq=False)
    class Twice(Layer, abstract=True):
        """y = 2 x"""

        def forward(self, x, training=False):
            return 2 * x

        def backward(self, dy):
            return 2 * dy

    for layers in ([Twice()], [Linear(3, name="a"), Identity(name="b"), Sum(("a", "b")), Twice()]):
        net = Net(layers, (2,), dtype="float64")
        y = net.forward(batch)
        assert net.backward(np.ones_like(y)).shape == batch.shape
        with pytest.raises(ShapeError, match=r"the gradient has shape \(1, 1\), the last output .* Call forward first"):
            net.backward(np.ones((1, 1)))
