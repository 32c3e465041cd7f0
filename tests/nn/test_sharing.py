"""Shared and frozen parameters: one tensor however many layers use it, in the net, in training and in the file."""

import copy

import numpy as np
import pytest
from gradients import compare, numerical_gradient, spaced

import tinynet
from tinynet.common.errors import ShapeError
from tinynet.nn.graph import LayerError
from tinynet.nn.layers.activations import ReLU, Tanh
from tinynet.nn.layers.block import Block
from tinynet.nn.layers.convolution import Conv2d
from tinynet.nn.layers.dropout import Dropout
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.merge import Concat, Multiply, Sum
from tinynet.nn.layers.normalization import BatchNorm, LayerNorm
from tinynet.nn.layers.pooling import GlobalAvgPool2d, MaxPool2d
from tinynet.nn.layers.shape import Flatten
from tinynet.nn.losses import CrossEntropy
from tinynet.nn.net import Net
from tinynet.nn.optimizers import SGD, Adam, AdamW
from tinynet.training.workers import IMAGES, Pieces, replica


def towers(second=None, dtype="float64"):
    """Two towers with the same weights, on the two halves of a sample of four numbers, and a head."""
    select = [np.eye(4)[:, :2], np.eye(4)[:, 2:]]
    layers = [
        Linear(2, bias=False, trainable=False, name="left"),
        Linear(3, name="one"),
        Tanh(name="one_act"),
        Linear(2, bias=False, trainable=False, inputs="input", name="right"),
        second or Linear(3, name="other", share="one"),
        Tanh(name="other_act"),
        Concat(["one_act", "other_act"]),
        Linear(1, name="head"),
    ]
    net = Net(layers, (4,), dtype=dtype)
    for name, tensor in zip(("left.weight", "right.weight"), select, strict=True):
        next(p for p in net.parameters if p.name == name).tensor = tensor
    return net


# One tensor


def test_shared_parameters_are_the_same_objects_and_counted_once():
    net = towers()
    one, other = (next(layer for layer in net.layers if layer.name == name) for name in ("one", "other"))
    assert [a is b for a, b in zip(one.parameters, other.parameters, strict=True)] == [True, True]
    assert (other.owner, one.owner) == (one, None)
    assert [p.name for p in net.parameters] == [
        *("left.weight", "one.weight", "one.bias", "right.weight", "head.weight", "head.bias")
    ]
    assert net.vector.tensor.size == 6 + 3 + 6 + 1
    assert net.vector.all_tensors.size == 16 + 8 + 8
    assert "32 parameters, 16 of them trainable" in net.summary()
    assert "those of one" in net.summary()


def test_what_was_made_before_a_layer_counts_shared_parameters_once():
    net = Net([Linear(2, name="a"), Linear(2, share="a"), BatchNorm(), Tanh()], (2,))
    assert {layer.budget.numbers for layer in net.layers} == {net.vector.all_tensors.size}


def test_sharing_draws_no_numbers():
    plain = Net([Linear(3, name="a"), Linear(3, name="c")], (3,))
    shared = Net([Linear(3, name="a"), Linear(3, name="b", share="a"), Linear(3, name="c")], (3,))
    np.testing.assert_array_equal(plain.vector.all_tensors, shared.vector.all_tensors)


def test_the_gradient_is_the_sum_by_hand():
    # y = w (w x + b) + b: dw = (w x + b) + w x, db = w + 1, dx = w².
    net = Net([Linear(1, name="a"), Linear(1, share="a")], (1,), dtype="float64")
    weight, bias = net.parameters
    weight.tensor, bias.tensor = [[3]], [[5]]
    np.testing.assert_array_equal(net.forward([[2]]), [[3 * (3 * 2 + 5) + 5]])
    np.testing.assert_array_equal(net.backward(np.array([[10.0]])), [[90]])
    np.testing.assert_array_equal(weight.gradient, [[10 * ((3 * 2 + 5) + 3 * 2)]])
    np.testing.assert_array_equal(bias.gradient, [[10 * (3 + 1)]])
    net.update(SGD(lr=0.01))
    # Once, with the sum.
    np.testing.assert_allclose([weight.tensor[0, 0], bias.tensor[0, 0]], [3 - 1.7, 5 - 0.4], rtol=1e-14)
    assert not net.vector.gradient.any()


def test_two_towers_have_the_sum_of_the_gradients_of_two_apart():
    shared, apart = towers(), towers(Linear(3, name="other"))
    values = {p.name: p for p in shared.parameters}
    for parameter in apart.parameters:
        parameter.tensor = values[parameter.name.replace("other", "one")].tensor
    x, dy = spaced((5, 4)), spaced((5, 1), 1)
    np.testing.assert_array_equal(shared.forward(x), apart.forward(x))
    for to_input in (True, False):
        for net in (shared, apart):
            net.zero_grad()
            net.backward(dy, to_input)
        found = {p.name: p.gradient for p in apart.parameters}
        for kind in ("weight", "bias"):
            total = found[f"one.{kind}"] + found[f"other.{kind}"]
            np.testing.assert_allclose(values[f"one.{kind}"].gradient, total, rtol=1e-13)
            np.testing.assert_array_equal(values[f"head.{kind}"].gradient, found[f"head.{kind}"])


def test_the_gradients_by_central_differences():
    # Biases before a BatchNorm have no gradient to compare.
    layers = [Conv2d(2, 3, padding=1, bias=False, name="a"), BatchNorm(name="n"), Tanh()]
    layers += [Conv2d(2, 3, padding=1, bias=False, share="a")]
    layers += [BatchNorm(share="n"), Multiply(["batchnorm1", "tanh1"]), Flatten(), Linear(2)]
    net, x, dy = Net(layers, (2, 3, 3), dtype="float64"), spaced((4, 2, 3, 3)), spaced((4, 2), 1)

    def value():
        return net.forward(x, training=True)

    value()
    compare("dx", net.backward(dy), numerical_gradient(value, x, dy))
    assert len(net.parameters) == 5
    for parameter in net.parameters:
        compare(parameter.name, parameter.gradient, numerical_gradient(value, parameter.tensor, dy))


@pytest.mark.parametrize("make", [lambda: SGD(lr=0.1, momentum=0.9), lambda: Adam(lr=0.05), AdamW])
def test_two_towers_train_as_one(make):
    net, optimizer = towers(), make()
    x = spaced((30, 4))
    target = np.abs(x[:, :2] - x[:, 2:]).sum(1, keepdims=True)
    losses = []
    for _ in range(60):
        error = net.forward(x, training=True) - target
        losses.append(float((error**2).mean()))
        net.backward(2 * error / error.size, to_input=False)
        net.update(optimizer)
        one, other = (next(layer for layer in net.layers if layer.name == name) for name in ("one", "other"))
        assert one.weight.tensor is other.weight.tensor
    assert losses[-1] < losses[0]
    # Of two equal halves both towers give the same.
    net.forward(np.hstack([x[:, :2], x[:, :2]]))
    np.testing.assert_array_equal(one.y, other.y)


@pytest.mark.parametrize("turned", [False, True])
def test_layers_that_share_may_stand_in_any_order(turned):
    layers = [Linear(2, name="first", inputs="input"), Linear(2, name="second", inputs="first", share="first")]
    net = Net(layers[::-1] if turned else layers, (2,))
    assert [layer.name for layer in net.layers] == ["first", "second"]
    assert [p.name for p in net.parameters] == ["first.weight", "first.bias"]


def test_chains_of_shares():
    layers = [Linear(3, name="a"), Tanh(), Linear(3, name="b", share="a"), Linear(3, name="c", share="b")]
    net = Net([*layers, Linear(3, name="d", share="c")], (3,), dtype="float64")
    assert [p.name for p in net.parameters] == ["a.weight", "a.bias"]
    assert all(layer.parameters == net.layers[0].parameters for layer in net.layers if layer.parameters)
    assert [layer.owner and layer.owner.name for layer in net.layers] == [None, None, "a", "b", "c"]


def test_a_layer_beside_another_may_share_with_it():
    net = Net([Linear(3, name="a"), Linear(3, name="b", inputs="input", share="a"), Sum(["a", "b"])], (2,))
    x = spaced((4, 2)).astype("f4")
    np.testing.assert_array_equal(net.forward(x), 2 * net.layers[0].y)


@pytest.mark.parametrize(
    ("lender", "borrower"),
    [
        (Linear(4, init="zeros"), Linear(4)),
        (Conv2d(2, 3, padding=1), Conv2d(2, 3, padding=2, dilation=2)),
        (LayerNorm(), LayerNorm(eps=0.1)),
    ],
)
def test_options_that_leave_the_shapes_alone_may_differ(lender, borrower):
    lender.name, borrower.share = "lender", "lender"
    net = Net([lender, borrower], (4,) if isinstance(lender, Linear) else (2, 4, 4))
    assert borrower.parameters == lender.parameters
    assert len(net.parameters) == 2


# Statistics


def test_batchnorm_shares_its_statistics():
    net = Net([BatchNorm(name="a", momentum=0.25), ReLU(), BatchNorm(share="a", momentum=0.5)], (2,), dtype="float64")
    assert [p.name for p in net.parameters] == ["a.weight", "a.bias"]
    assert [b.name for b in net.buffers] == ["a.running_mean", "a.running_var"]
    x = spaced((6, 2))
    net.forward(x, training=True)
    first, second = x, net.layers[1].y
    mean = 0.75 * 0 + 0.25 * first.mean(0)
    mean = 0.5 * mean + 0.5 * second.mean(0)
    var = 0.75 * 1 + 0.25 * first.var(0, ddof=1)
    var = 0.5 * var + 0.5 * second.var(0, ddof=1)
    np.testing.assert_allclose(net.buffers[0].tensor, mean, rtol=1e-13)
    np.testing.assert_allclose(net.buffers[1].tensor, var, rtol=1e-13)
    # Both use them in evaluation.
    y = net.forward(x)
    hidden = np.maximum((x - mean) / np.sqrt(var + 1e-5), 0)
    np.testing.assert_allclose(y, (hidden - mean) / np.sqrt(var + 1e-5), rtol=1e-12)


# trainable


@pytest.mark.parametrize("borrower", [True, False])
def test_what_is_frozen_is_frozen_for_all(borrower):
    layers = [Linear(2, name="a", trainable=False), Tanh(), Linear(2, share="a", trainable=borrower), Linear(2)]
    net = Net(layers, (2,), dtype="float64")
    assert [p.trainable for p in net.parameters] == [False, False, True, True]
    before = net.vector.all_tensors.copy()
    x = spaced((5, 2))
    net.backward(net.forward(x), to_input=False)
    net.update(SGD(lr=0.1))
    moved = net.vector.all_tensors != before
    assert moved[:6].all()
    assert not moved[6:].any()


def test_a_frozen_branch_of_a_graph_stays():
    layers = [Linear(3, trainable=False, name="fixed"), Tanh(name="t"), Linear(3, inputs="input", name="learns")]
    net = Net([*layers, Multiply(["t", "learns"]), Linear(1)], (2,), dtype="float64")
    before, optimizer = {p.name: p.tensor.copy() for p in net.parameters}, Adam(lr=0.1, weight_decay=0.1)
    for _ in range(3):
        net.backward(net.forward(spaced((5, 2)), training=True), to_input=False)
        net.update(optimizer)
    for parameter in net.parameters:
        assert (parameter.tensor == before[parameter.name]).all() == parameter.name.startswith("fixed")


# Mistakes


@pytest.mark.parametrize(
    ("layers", "place", "message"),
    [
        (
            [Linear(3, name="a"), Linear(3, share="a")],
            1,
            "cannot share the parameters of 'a': a.weight has the shape (2, 3), but here it is (3, 3). "
            "(shapes: input (2,) → a (3,))",
        ),
        (
            [Linear(2, name="a"), Linear(3, share="a")],
            1,
            "cannot share the parameters of 'a': a.weight has the shape (2, 2), but here it is (2, 3).",
        ),
        (
            [LayerNorm(name="a"), BatchNorm(share="a")],
            1,
            "cannot share the parameters of 'a': that is a LayerNorm, not a BatchNorm.",
        ),
        (
            [Linear(2, name="a"), Linear(2, share="a", bias=False)],
            1,
            "cannot share the parameters of 'a': that one has more of them.",
        ),
        (
            [Linear(2, name="a", bias=False), Linear(2, share="a")],
            1,
            "cannot share the parameters of 'a': that Linear has no bias.",
        ),
        ([Tanh(name="a"), Tanh(share="a")], 1, "a Tanh has no parameters to share. Remove `share`."),
        (
            [Linear(2, name="a"), Tanh(), Linear(2, share="a", trainable=False)],
            2,
            "shares the parameters of 'a', so write `trainable: false` there.",
        ),
        (
            [Linear(2, name="a"), Linear(2, share="a", init="he_normal")],
            1,
            "shares the parameters of 'a', which has the initial values. Remove init here.",
        ),
        ([Linear(2, name="left"), Linear(2, share="lefft")], 1, "there is no layer 'lefft'. Did you mean 'left'?"),
        ([Linear(2, name="left"), Linear(2, share="zzz")], 1, "there is no layer 'zzz'. There are: left."),
        ([Linear(2), Linear(2, share="input")], 1, "there is no layer 'input'. There are: linear1."),
        ([Linear(2), Linear(2, name="me", share="me")], 1, "'me' cannot refer to itself. Name another layer."),
        (
            [Linear(2, name="early", share="late"), Tanh(), Linear(2, name="late")],
            0,
            "'early' refers to 'late', which comes after it: early → tanh1 → late → early. "
            "Let the later layer name the earlier one.",
        ),
        (
            [Linear(2, name="a", share="b"), Linear(2, name="b", share="a")],
            0,
            "'a' refers to 'b', which comes after it: a → b → a.",
        ),
    ],
)
def test_mistakes(layers, place, message):
    with pytest.raises(LayerError) as caught:
        Net(layers, (2,))
    assert str(caught.value).startswith(message)
    assert caught.value.place == (place,)


def test_a_mistake_stands_at_its_line(problems, changed):
    text = changed({"  - ReLU\n  - Linear: 2\n": "  - ReLU\n  - Linear: {out_features: 5, share: linear1}\n"})
    (found,) = problems(text)
    assert found.startswith(
        "c.yaml:7:5: layers[2] Linear: cannot share the parameters of 'linear1': linear1.weight has "
    )


def test_a_parameter_that_the_owner_lacks_has_an_error():
    class More(Linear, abstract=True):
        def setup(self, shape, rng):
            if self.name == "b":
                self.parameter("scale", (1,), 1.0)
            return super().setup(shape, rng)

    with pytest.raises(ShapeError, match="cannot share the parameters of 'a': that More has no scale"):
        Net([More(2, name="a"), More(2, name="b", share="a")], (2,))


# Copies, replicas, workers


def shared_images_net(dtype="float32"):
    """A graph with shared convolutions, a block, dropout, for images of (1, 8, 8)."""
    layers = [
        Conv2d(3, 3, padding=1, name="stem"),
        Conv2d(3, 3, padding=1, name="a"),
        ReLU(name="act"),
        Conv2d(3, 3, padding=1, name="b", share="a"),
        Sum(["b", "stem"], name="join"),
        Block([Conv2d(3, 3, padding=1), Dropout(0.2, name="d"), Sum(["d", "input"])], repeat=2, name="stage"),
        Block(share="stage", name="again"),
        GlobalAvgPool2d(name="mean"),
        MaxPool2d(4, inputs="join"),
        Flatten(name="flat"),
        Concat(["mean", "flat"]),
        Linear(4, name="head"),
    ]
    return Net(layers, (1, 8, 8), seed=0, dtype=dtype)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.standard_normal((3 * IMAGES + 5, 1, 8, 8)), rng.integers(0, 4, 3 * IMAGES + 5)


def test_replicas_share_all_tensors_and_no_gradients(images):
    net = shared_images_net("float64")
    twin = replica(net)
    x, dy = images[0][:7], spaced((7, 4))
    names = [p.name for p in net.parameters]
    assert [p.name for p in twin.parameters] == names
    assert all(np.shares_memory(p.tensor, net.vector.all_tensors) for p in twin.parameters)
    np.testing.assert_array_equal(twin.forward(x), net.forward(x))
    twin.backward(dy)
    assert not net.vector.gradient.any()
    net.backward(dy)
    np.testing.assert_array_equal(twin.vector.gradient, net.vector.gradient)
    net.vector.tensor += 0.1
    np.testing.assert_array_equal(twin.forward(x), net.forward(x))
    # Within the replica, too, layers share.
    users = {layer.name: layer for layer in twin.layers}
    assert users["again.2.conv2d1"].parameters == users["stage.2.conv2d1"].parameters
    assert users["b"].owner is users["a"]


def test_a_copy_keeps_what_is_shared_shared(images):
    net = shared_images_net("float64")
    other = copy.deepcopy(net)
    assert other.vector.all_tensors.size == net.vector.all_tensors.size
    for layer, mine in zip(other.layers, net.layers, strict=True):
        assert [p.name for p in layer.parameters] == [p.name for p in mine.parameters]
        assert all(np.shares_memory(p.tensor, other.vector.all_tensors) for p in layer.parameters)
    other.vector.tensor += 1
    assert not np.array_equal(other.forward(images[0][:3]), net.forward(images[0][:3]))


def test_pieces_of_a_graph_add_up_to_the_whole_batch(images):
    (x, y), whole, cut = images, shared_images_net("float64"), shared_images_net("float64")
    for net in (whole, cut):
        for layer in net.layers:
            if isinstance(layer, Dropout):
                layer.p = 0.0  # each piece has masks of its own
    value, gradient = CrossEntropy()(whole.forward(x, training=True), y)
    whole.backward(gradient, to_input=False)
    found, _ = Pieces(cut, CrossEntropy()).run(x, y)
    assert found == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(cut.vector.gradient, whole.vector.gradient, rtol=1e-9, atol=1e-12)


def test_one_two_and_four_workers_give_the_same_bytes(images):
    found = []
    for workers in (1, 2, 4):
        net, optimizer = shared_images_net(), SGD(lr=0.1, momentum=0.9)
        pieces = Pieces(net, CrossEntropy())
        pieces.workers = workers
        values = []
        for _ in range(4):
            values.append(pieces.run(*images)[0])
            net.update(optimizer)
        found.append((values, net.vector.all_tensors.tobytes()))
    assert found[0] == found[1] == found[2]
    assert len(set(found[0][0])) == 4


# The file

CONFIG = {
    "  - ReLU\n  - Linear: 2\n": """\
  - ReLU: {name: act}
  - BatchNorm: {name: norm}
  - Linear: {out_features: 5, name: again}
  - BatchNorm: {share: norm}
  - Linear: {out_features: 5, name: third, share: again}
  - Sum: [third, act]
  - Linear: {out_features: 2, name: head, trainable: false}
"""
}


def test_a_checkpoint_holds_each_parameter_once_and_gives_it_back_to_all(train_run):
    run, experiment = train_run(CONFIG)
    with np.load(run.last_path) as arrays:
        stored = sorted(key for key in arrays if key.startswith("parameters/"))
    kinds = {"linear1": 2, "again": 2, "head": 2, "norm": 4}
    assert {name: sum(key.startswith(f"parameters/{name}.") for key in stored) for name in kinds} == kinds
    assert len(stored) == 10
    restored = tinynet.load_checkpoint(run.last_path)
    x = spaced((6, 2)).astype("f4")
    np.testing.assert_array_equal(restored.net.forward(x), experiment.net.forward(x))
    layers = {layer.name: layer for layer in restored.net.layers}
    assert layers["third"].weight is layers["again"].weight
    assert layers["batchnorm1"].running_mean is layers["norm"].running_mean
    # It trains on as the one that was never saved.
    for each in (experiment, restored):
        each.rounds[0].config.training.epochs = 3
        list(each.train())
    np.testing.assert_array_equal(restored.net.vector.all_tensors, experiment.net.vector.all_tensors)
