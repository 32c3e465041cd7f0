"""What every layer promises, and what each layer computes, against values worked by hand."""

from dataclasses import replace
from math import sqrt
from typing import get_args

import numpy as np
import pytest
from gradients import (
    AsOne,
    batch_for,
    example_layers,
    from_example,
    layer_from_example,
    names_of_inputs,
    on_every_shape,
    set_up,
    spaced,
)

from tinynet.common import components
from tinynet.common.errors import OptionError, ShapeError
from tinynet.nn.initial import Rule
from tinynet.nn.layer import Layer
from tinynet.nn.layers import plain
from tinynet.nn.layers.activations import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from tinynet.nn.layers.block import Block
from tinynet.nn.layers.convolution import Conv2d, ConvTranspose2d
from tinynet.nn.layers.dropout import Dropout
from tinynet.nn.layers.images import to_memory
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.merge import Concat
from tinynet.nn.layers.normalization import BatchNorm, LayerNorm
from tinynet.nn.layers.pooling import MaxPool2d, MaxUnpool2d, Upsample
from tinynet.nn.layers.shape import Flatten
from tinynet.nn.net import Net
from tinynet.nn.optimizers import SGD
from tinynet.nn.random import Stream
from tinynet.training.stacking import stacks

every_layer = pytest.mark.parametrize("cls", components.classes("layer").values())


def layers_and_batches(cls):
    """The layer of the example for each shape that it takes, and a batch for each of its inputs."""
    for layer, shape in on_every_shape(lambda: layer_from_example(cls)):
        yield layer, batch_for(layer, 3, shape)


@every_layer
def test_gradients_accumulate(cls):
    for layer, xs in layers_and_batches(cls):
        dy = spaced(layer.forward(*xs, training=True).shape, seed=1)
        layer.backward(dy)
        once = [parameter.gradient.copy() for parameter in layer.parameters]
        layer.backward(dy)
        for parameter, gradient in zip(layer.parameters, once, strict=True):
            assert gradient.any()
            np.testing.assert_allclose(parameter.gradient, 2 * gradient, rtol=1e-13)


@every_layer
@pytest.mark.parametrize("training", [False, True])
def test_forward_and_backward_change_no_array_they_are_given(cls, training):
    for layer, xs in layers_and_batches(cls):
        before = [x.copy() for x in xs]
        y = layer.forward(*xs, training=training)
        dy = spaced(y.shape, seed=1)
        y_before, dy_before = y.copy(), dy.copy()
        layer.backward(dy)
        for x, x_before in zip(xs, before, strict=True):
            np.testing.assert_array_equal(x, x_before)
        np.testing.assert_array_equal(y, y_before)
        np.testing.assert_array_equal(dy, dy_before)


@every_layer
def test_layer_keeps_its_input_and_output(cls):
    for layer, xs in layers_and_batches(cls):
        y = layer.forward(*xs)
        kept = layer.xs if len(xs) > 1 else (layer.x,)
        assert [id(x) for x in kept] == [id(x) for x in xs]
        assert layer.y is y


@every_layer
def test_call_is_forward(cls):
    for layer, xs in layers_and_batches(cls):
        for training in (False, True):
            np.testing.assert_array_equal(layer(*xs, training=training), layer.forward(*xs, training=training))


@every_layer
def test_setup_tells_the_shape_of_the_output(cls):
    for _, xs in layers_and_batches(cls):
        layer = layer_from_example(cls)
        shape = layer.setup(*[x.shape[1:] for x in xs], rng=np.random.default_rng(0))
        assert layer.forward(*xs).shape == (3, *shape)


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layer_keeps_the_dtype(cls, dtype):
    for _, shape in on_every_shape(lambda: layer_from_example(cls)):
        net = Net(example_layers(cls), shape, dtype=dtype)
        y = net.forward(spaced((3, *shape)), training=True)
        dx = net.backward(np.ones_like(y))
        assert {y.dtype, dx.dtype} == {np.dtype(dtype)}
        assert all(p.tensor.dtype == p.gradient.dtype == dtype for p in net.parameters)


@every_layer
def test_samples_do_not_mix_in_evaluation(cls):
    for layer, xs in layers_and_batches(cls):
        alone = np.concatenate([layer.forward(*[x[i : i + 1] for x in xs]) for i in range(len(xs[0]))])
        np.testing.assert_allclose(layer.forward(*xs), alone, rtol=1e-12)


def test_which_layers_are_not_tried_alone():
    examples = {cls.__name__: layer_from_example(cls) for cls in components.classes("layer").values()}
    assert {name for name, layer in examples.items() if isinstance(layer, AsOne)} == {"Block", "MaxUnpool2d"}
    assert {name for name, layer in examples.items() if names_of_inputs(layer)} == {"Sum", "Multiply", "Concat"}


@pytest.mark.parametrize("cls", [ReLU, LeakyReLU, Tanh, Sigmoid, GELU, Softmax, Linear, Flatten])
def test_each_of_three_rounds_is_as_it_is_alone(cls):
    x, dy_seed = spaced((3, 5, 4)), 1
    together = set_up(from_example(cls), (4,), rounds=3)
    y = together.forward(x, training=True)
    dy = spaced(y.shape, dy_seed)
    dx = together.backward(dy)
    for r in range(3):
        alone = set_up(from_example(cls), (4,))
        for parameter, stacked in zip(alone.parameters, together.parameters, strict=True):
            parameter.tensor = stacked.tensor[r]
        np.testing.assert_array_equal(alone.forward(x[r], training=True), y[r])
        np.testing.assert_array_equal(alone.backward(dy[r]), dx[r])
        for parameter, stacked in zip(alone.parameters, together.parameters, strict=True):
            np.testing.assert_array_equal(parameter.gradient, stacked.gradient[r])


# Linear


def test_linear_by_hand():
    layer = set_up(Linear(2), (3,))
    weight, bias = layer.parameters
    assert (weight.tensor.shape, bias.tensor.shape) == ((3, 2), (1, 2))
    weight.tensor = [[1, 2], [3, 4], [5, 6]]
    bias.tensor = [[10, 20]]
    x = np.array([[1.0, 0, 0], [1, 1, 1]])
    np.testing.assert_array_equal(layer.forward(x), [[11, 22], [19, 32]])
    dx = layer.backward(np.array([[1.0, 0], [0, 2]]))
    np.testing.assert_array_equal(dx, [[1, 3, 5], [4, 8, 12]])
    np.testing.assert_array_equal(weight.gradient, [[1, 2], [0, 2], [0, 2]])
    np.testing.assert_array_equal(bias.gradient, [[1, 2]])


def test_linear_takes_batches_of_any_size_one_after_another():
    layer = set_up(Linear(3), (2,))
    for size in (3, 5, 3, 2, 1):
        layer.bias_.gradient = np.zeros((1, 3))
        layer.forward(np.ones((size, 2)))
        layer.backward(np.full((size, 3), 2.0))
        np.testing.assert_array_equal(layer.bias_.gradient, [[2 * size] * 3])


def test_linear_without_bias_has_one_parameter():
    layer = set_up(Linear(2, bias=False), (3,))
    assert [p.name for p in layer.parameters] == ["None.weight"]
    np.testing.assert_array_equal(layer.forward(np.zeros((4, 3))), np.zeros((4, 2)))


def test_linear_gives_no_dx_where_none_is_needed():
    layer = set_up(Linear(2), (3,))
    layer.needs_dx = False
    layer.forward(np.ones((4, 3)))
    assert layer.backward(np.ones((4, 2))) is None
    assert layer.weight.gradient.any()


def test_linear_refuses_images():
    with pytest.raises(ShapeError, match=r"needs a flat input, but gets \(3, 4, 2\)\. Put Flatten before it\."):
        Linear(5).setup((3, 4, 2), np.random.default_rng(0))


FAN_IN, FAN_OUT = 400, 900
UNIFORM_BOUNDS = {
    "uniform": 1 / sqrt(FAN_IN),
    "xavier_uniform": sqrt(6 / (FAN_IN + FAN_OUT)),
    "he_uniform": sqrt(6 / FAN_IN),
    "kaiming_uniform": sqrt(6 / FAN_IN),
}
DEVIATIONS = {
    "xavier_normal": sqrt(2 / (FAN_IN + FAN_OUT)),
    "he_normal": sqrt(2 / FAN_IN),
    "kaiming_normal": sqrt(2 / FAN_IN),
}


def initial(rule):
    """W and b of a large layer."""
    return [p.tensor for p in Net([Linear(FAN_OUT, init=rule)], (FAN_IN,), dtype="float64").parameters]


def check_uniform(values, bound):
    """Within the bounds, up to them, and with the variance of a uniform distribution."""
    assert bound * (1 - 10 / values.size) < np.abs(values).max() <= bound
    assert abs(values.mean()) < 4 * bound / sqrt(3 * values.size)
    # The standard error of the variance is 0.9/√n of it.
    assert np.var(values) == pytest.approx(bound**2 / 3, rel=4 * 0.9 / sqrt(values.size))


@pytest.mark.parametrize("rule", UNIFORM_BOUNDS)
def test_uniform_initial_weights(rule):
    check_uniform(initial(rule)[0], UNIFORM_BOUNDS[rule])


@pytest.mark.parametrize("rule", DEVIATIONS)
def test_normal_initial_weights(rule):
    weight, deviation = initial(rule)[0], DEVIATIONS[rule]
    assert abs(weight.mean()) < 4 * deviation / sqrt(weight.size)
    assert weight.std() == pytest.approx(deviation, rel=4 / sqrt(2 * weight.size))
    # What tells it from a uniform distribution of the same deviation, which would have 57.7 %.
    assert np.mean(np.abs(weight) < deviation) == pytest.approx(0.6827, abs=0.004)


def test_initial_bias():
    for rule in get_args(Rule):
        bias = initial(rule)[1]
        if rule == "uniform":
            check_uniform(bias, 1 / sqrt(FAN_IN))
        else:
            assert not bias.any()


def test_zeros_and_every_rule():
    assert not initial("zeros")[0].any()
    assert set(get_args(Rule)) == {*UNIFORM_BOUNDS, *DEVIATIONS, "zeros"}


# With fan_in 64 and fan_out 128, as PyTorch counts them: both of them with the pixels of the kernel, one of the groups.
@pytest.mark.parametrize(
    ("layer", "channels"), [(Conv2d(64, (2, 4), groups=4), 32), (ConvTranspose2d(32, (2, 4), groups=4), 64)]
)
@pytest.mark.parametrize("rule", ["uniform", "xavier_uniform"])
def test_initial_weights_of_kernels(layer, channels, rule):
    layer = type(layer)(layer.out_channels, layer.kernel_size, groups=layer.groups, init=rule)
    weight, bias = (p.tensor for p in Net([layer], (channels, 5, 5), dtype="float64").parameters)
    assert weight.size == 64 * 64
    check_uniform(weight, {"uniform": 1 / 8, "xavier_uniform": sqrt(6 / (64 + 128))}[rule])
    assert (np.abs(bias) <= (1 / 8 if rule == "uniform" else 0)).all()


def test_every_weight_of_a_file_has_to_be_finite(tmp_path):
    np.savez(tmp_path / "start.npz", w=[[1.0, 2.0], [3.0, np.nan]])
    with pytest.raises(ShapeError, match="holds NaN or infinity"):
        Net([Linear(2, init={"file": str(tmp_path / "start.npz"), "key": "w"})], (2,))


@pytest.mark.parametrize(("inputs", "hint"), [(3, ""), (4, " It holds the transpose; save its `.T`.")])
def test_weights_of_a_file_in_another_shape(tmp_path, inputs, hint):
    path = tmp_path / "start.npz"
    np.savez(path, w=np.ones((2, 4)))
    with pytest.raises(ShapeError) as caught:
        Linear(2, init={"file": str(path), "key": "w"}).setup((inputs,), np.random.default_rng(0))
    assert str(caught.value) == f"init: w of {path} has the shape (2, 4), but here it is ({inputs}, 2).{hint}"


def test_weight_and_bias_are_different_draws():
    weight, bias = initial("uniform")
    assert not np.isin(bias, weight).any()


# Activations


@pytest.mark.parametrize(
    ("layer", "x", "y", "dx"),
    [
        (ReLU(), [-2, 0, 3], [0, 0, 3], [0, 0, 1]),
        (LeakyReLU(0.1), [-2, 0, 3], [-0.2, 0, 3], [0.1, 0.1, 1]),
        (Tanh(), [0, np.log(2)], [0, 0.6], [1, 0.64]),
        (Sigmoid(), [0, np.log(3), -np.log(3)], [0.5, 0.75, 0.25], [0.25, 0.1875, 0.1875]),
        (GELU(), [0, 1, -1], [0, 0.8411919906, -0.1588080094], [0.5, 1.0829640838, -0.0829640838]),
    ],
)
def test_activation_by_hand(layer, x, y, dx):
    x = np.array([x], float)
    np.testing.assert_allclose(layer.forward(x), [y], rtol=1e-9)
    np.testing.assert_allclose(layer.backward(np.ones_like(x)), [dx], rtol=1e-9)


def test_softmax_by_hand():
    layer = Softmax()
    y = layer.forward(np.log([[1.0, 2, 5], [1, 1, 2]]))
    np.testing.assert_allclose(y, [[0.125, 0.25, 0.625], [0.25, 0.25, 0.5]], rtol=1e-15)
    # dx_i = y_i (dy_i - Σ dy_j y_j), and not dy.
    dx = layer.backward(np.array([[1.0, 0, 0], [3, 3, 3]]))
    np.testing.assert_allclose(dx, [[0.109375, -0.03125, -0.078125], [0, 0, 0]], atol=1e-15)


@pytest.mark.parametrize("cls", [ReLU, LeakyReLU, Tanh, Sigmoid, GELU, Softmax])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_inputs_do_not_overflow(cls, dtype):
    x = np.array([[1000, -1000, 0], [-1000, -1000, -1000]], dtype)
    layer = cls()
    assert np.isfinite(layer.forward(x)).all()
    assert np.isfinite(layer.backward(np.ones_like(x))).all()


# Batches of many numbers go another way; the size and the type of the last one must not stay.
@pytest.mark.parametrize("shapes", [[(60, 100), (80, 100), (50, 100)], [(100, 60), (60, 100)]])
def test_relu_of_many_numbers_of_any_shape_and_type(shapes):
    layer = ReLU()
    for dtype in ("float64", "float32", "float64"):
        for shape in (*shapes, shapes[-1], shapes[0]):
            x, dy = spaced(shape).astype(dtype), spaced(shape, 1).astype(dtype)
            y, dx = layer.forward(x), layer.backward(dy)
            assert (y.dtype, dx.dtype) == (dtype, dtype)
            np.testing.assert_array_equal(y, np.where(x > 0, x, 0))
            np.testing.assert_array_equal(dx, np.where(x > 0, dy, 0))


@pytest.mark.parametrize("layer", [Sigmoid(), Tanh()])
def test_saturated_values_are_exact(layer):
    y = layer.forward(np.array([1000.0, -1000.0]))
    assert y.tolist() == ([1, 0] if isinstance(layer, Sigmoid) else [1, -1])


# Flatten


def test_flatten_by_hand():
    layer = set_up(Flatten(), (3, 4, 2))
    x = np.arange(2 * 3 * 4 * 2.0).reshape(2, 3, 4, 2)
    y = layer.forward(x)
    np.testing.assert_array_equal(y, np.arange(48.0).reshape(2, 24))
    np.testing.assert_array_equal(layer.backward(y), x)
    # Two rounds of one sample each.
    assert layer.forward(x[:, None]).shape == (2, 1, 24)


def test_flatten_gives_the_order_of_the_indices_whatever_the_memory():
    x = np.arange(48.0).reshape(2, 3, 4, 2)
    batch_last = np.ascontiguousarray(x.transpose(2, 1, 3, 0)).transpose(3, 1, 0, 2)
    np.testing.assert_array_equal(batch_last, x)
    layer = set_up(Flatten(), (3, 4, 2))
    np.testing.assert_array_equal(layer.forward(batch_last), x.reshape(2, 24))
    np.testing.assert_array_equal(layer.backward(x.reshape(2, 24)), x)


# Images


def test_same_padding_of_a_kernel_that_is_no_square():
    # One row of zeros above and two below; none on the left, one on the right.
    same = Net([Conv2d(2, (4, 2), padding="same")], (3, 6, 5), dtype="float64")
    other = Net([Conv2d(2, (4, 2))], (3, 9, 6), dtype="float64")
    other.vector.tensor[:] = same.vector.tensor
    x = spaced((2, 3, 6, 5))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 1)))
    assert same.output_shape == (2, 6, 5)
    np.testing.assert_array_equal(same.forward(x), other.forward(padded))


def test_a_convolution_in_groups_of_several_channels_is_its_plain_form():
    net = Net([Conv2d(4, 2, groups=2)], (6, 4, 3), dtype="float64")
    x, (weight, bias) = spaced((2, 6, 4, 3)), (p.tensor for p in net.parameters)
    expected = plain.conv2d(x, weight, bias, (1, 1), (0, 0), (1, 1), 2)
    np.testing.assert_allclose(net.forward(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", [(0, 1), (2, 1)])
def test_transposed_convolution_with_padding_is_its_plain_form(padding):
    net = Net([ConvTranspose2d(2, (3, 2), (2, 3), padding)], (3, 5, 4), dtype="float64")
    x, (weight, bias) = spaced((2, 3, 5, 4)), (p.tensor for p in net.parameters)
    expected = plain.conv_transpose2d(x, weight, bias, (2, 3), padding, (0, 0))
    np.testing.assert_allclose(net.forward(x), expected, rtol=1e-12, atol=1e-12)


def test_a_transposed_convolution_may_leave_one_pixel():
    net = Net([ConvTranspose2d(1, 3, padding=1, bias=False)], (1, 1, 1), dtype="float64")
    assert net.output_shape == (1, 1, 1)
    np.testing.assert_array_equal(net.forward(np.full((1, 1, 1, 1), 2.0)), 2 * net.parameters[0].tensor[:, :, 1:2, 1:2])


def test_upsample_tells_its_shape_along_both_axes():
    assert Net([Upsample((2, 3))], (1, 4, 5)).output_shape == (1, 8, 15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda axes: ConvTranspose2d(4, 1, axes((2, 3)), output_padding=axes((2, 0))), r"\(.*\) must be less"),
        (lambda axes: ConvTranspose2d(4, 1, padding=axes((4, 1))), "leaves nothing of the output"),
        (lambda axes: MaxPool2d(3, padding=axes((2, 1))), r"padding \(.*\) is more than half of the kernel 3"),
    ],
)
@pytest.mark.parametrize("turned", [False, True], ids=["along H", "along W"])
def test_one_axis_that_does_not_fit_is_enough(make, message, turned):
    # Of 8 pixels, a padding of 4 leaves none.
    with pytest.raises(ShapeError, match=message):
        Net([make(lambda pair: pair[::-1] if turned else pair)], (2, 8, 8))


@pytest.mark.parametrize(("channels", "outputs"), [(3, 4), (4, 3)])
@pytest.mark.parametrize("cls", [Conv2d, ConvTranspose2d])
def test_groups_divide_both_counts_of_channels(cls, channels, outputs):
    with pytest.raises(ShapeError, match=f"groups 2 must divide the channels: {channels} in, {outputs} out"):
        Net([cls(outputs, 3, groups=2)], (channels, 8, 8))


# Norms


@pytest.mark.parametrize(("cls", "axis"), [(BatchNorm, 0), (LayerNorm, 1)])
def test_at_first_a_norm_gives_mean_0_and_variance_1(cls, axis):
    y = Net([cls()], (6,), dtype="float64").forward(spaced((5, 6)), training=True)
    np.testing.assert_allclose(y.mean(axis), 0, atol=1e-14)
    np.testing.assert_allclose(y.var(axis), 1, rtol=1e-4)


@pytest.mark.parametrize(("samples", "variance"), [(1, 0), (2, 2), (3, 4)])
def test_the_running_variance_of_few_samples(samples, variance):
    # That of 0, 2 and 4 with m - 1; of a single number it is 0, not 0/0.
    layer = set_up(BatchNorm(momentum=0.25), (1,))
    y = layer.forward(2 * np.arange(samples)[:, None].astype(float), training=True)
    assert np.isfinite(y).all()
    assert layer.running_var.tensor == pytest.approx(0.75 + 0.25 * variance, rel=1e-14)
    assert layer.running_mean.tensor == pytest.approx(0.25 * (samples - 1), rel=1e-14)


# Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_keeps_its_share_and_the_mean(p):
    x = np.ones((400, 500))
    y = Dropout(p).forward(x, training=True)
    error = sqrt(p * (1 - p) / x.size)
    assert np.mean(y != 0) == pytest.approx(1 - p, abs=4 * error)
    assert y.mean() == pytest.approx(1, abs=4 * error / (1 - p))
    np.testing.assert_allclose(y[y != 0], 1 / (1 - p), rtol=1e-15)
    # Rows and columns are not dropped as a whole.
    for axis in (0, 1):
        assert np.ptp(np.mean(y != 0, axis)) < 12 * sqrt(p * (1 - p) / 400)


def test_dropout_in_evaluation_is_the_identity():
    layer, x = Dropout(0.5), spaced((4, 5))
    layer.forward(x, training=True)
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)


def test_dropout_of_none_and_of_all():
    x = spaced((4, 5))
    np.testing.assert_array_equal(Dropout(0.0).forward(x, training=True), x)
    layer = Dropout(1.0)
    assert not layer.forward(x, training=True).any()
    assert not layer.backward(x).any()


def test_dropout_mask_is_a_function_of_seed_name_step_and_piece():
    x = np.ones((8, 50))

    def net(seed=0, name="dropout1"):
        return Net([Dropout(0.5, name=name)], (50,), seed)

    one = net()
    y = one.forward(x, training=True)
    np.testing.assert_array_equal(one.forward(x, training=True), y)
    np.testing.assert_array_equal(net().forward(x, training=True), y)
    for other in (net(seed=1), net(name="another")):
        assert np.mean(other.forward(x, training=True) == y) < 0.6
    one.clock.piece = 1
    assert np.mean(one.forward(x, training=True) == y) < 0.6
    one.clock.piece = 0
    one.update(SGD())
    assert np.mean(one.forward(x, training=True) == y) < 0.6
    one.clock.step = 0
    np.testing.assert_array_equal(one.forward(x, training=True), y)


def test_dropout_mask_is_the_same_in_both_dtypes():
    masks = [Net([Dropout(0.5)], (50,), dtype=d).forward(np.ones((8, 50)), training=True) for d in ("f4", "f8")]
    np.testing.assert_array_equal(*masks)


def test_random_numbers_of_a_layer_are_those_of_its_stream():
    # Or a resumed training would go on with other masks than it began with.
    net = Net([Dropout(0.5, name="d")], (50,), seed=3)
    net.clock.step, net.clock.piece = 2, 1
    expected = Stream(3, "layer", "d").at(2, 1).random((8, 50), dtype="float32")
    np.testing.assert_array_equal(net.layers[0].random((8, 50)), expected)


def test_a_mask_of_images_lies_in_memory_as_they_do():
    found = Net([Dropout(0.5)], (3, 4, 5)).layers[0].draw((2, 3, 4, 5))
    assert found.shape == (2, 3, 4, 5)
    assert to_memory(found).flags.c_contiguous
    assert not found.flags.c_contiguous


def test_dropout_passes_the_gradient_where_it_passed_the_value():
    layer, x = Dropout(0.5), np.ones((8, 50))
    y = layer.forward(x, training=True)
    np.testing.assert_array_equal(layer.backward(x), y)


# Options


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(-5), "Linear: out_features must be a whole number > 0, not -5"),
        (lambda: Linear(0), "Linear: out_features must be a whole number > 0, not 0"),
        (lambda: Linear("5"), "Linear: out_features must be a whole number > 0, not '5'"),
        (lambda: Linear(True), "Linear: out_features must be a whole number > 0, not true"),
        (lambda: Linear(2.5), "Linear: out_features must be a whole number > 0, not 2.5"),
        (lambda: Linear(5, bias="no"), "Linear: bias must be true or false, not 'no'"),
        (lambda: Linear(5, bias=1), "Linear: bias must be true or false, not 1"),
        (lambda: Linear(5, init="orthogonal"), "'zeros', not 'orthogonal'"),
        (lambda: Linear(5, name=3), "Linear: name must be a text or null, not 3"),
        (lambda: Linear(5, trainable=None), "Linear: trainable must be true or false, not null"),
        (lambda: Dropout(1.5), "Dropout: p must be a number >= 0 and <= 1, not 1.5"),
        (lambda: Dropout(-0.1), "Dropout: p must be a number >= 0 and <= 1, not -0.1"),
        (lambda: Dropout(float("nan")), "Dropout: p must be a number >= 0 and <= 1, not nan"),
        (lambda: LeakyReLU(-1), "LeakyReLU: negative_slope must be a number >= 0, not -1"),
    ],
)
def test_refused_options(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value).endswith(message)


every_component = pytest.mark.parametrize(
    "cls", [cls for kind in ("layer", "loss", "optimizer", "schedule") for cls in components.classes(kind).values()]
)


@every_component
def test_every_option_is_checked(cls):
    for option in components.options(cls):
        with pytest.raises(OptionError, match=f"{cls.__name__}: {option.name} must be "):
            replace(from_example(cls), **{option.name: object()})


DEFAULTS = [
    (LeakyReLU(), "negative_slope=0.01"),
    (Dropout(), "p=0.5"),
    (Linear(5), "out_features=5, bias=True, init='uniform'"),
    (
        Conv2d(4, 3),
        "out_channels=4, kernel_size=3, stride=1, padding=0, dilation=1, groups=1, bias=True, init='uniform'",
    ),
    (
        ConvTranspose2d(4, 3),
        "out_channels=4, kernel_size=3, stride=1, padding=0, output_padding=0, dilation=1, groups=1, bias=True, "
        "init='uniform'",
    ),
    (BatchNorm(), "eps=1e-05, momentum=0.1"),
    (LayerNorm(), "eps=1e-05"),
    (MaxPool2d(2), "kernel_size=2, stride=None, padding=0"),
    (MaxUnpool2d("down"), "pool='down'"),
    (Upsample(), "scale_factor=2"),
    (Concat(["a", "b"]), "axis=0"),
    (Block([]), "layers=[], repeat=1"),
]


@pytest.mark.parametrize(("layer", "options"), DEFAULTS)
def test_defaults_and_that_a_layer_shows_its_options_alone(layer, options):
    inputs = "['a', 'b']" if isinstance(layer, Concat) else "None"
    expected = f"{type(layer).__name__}(name=None, inputs={inputs}, share=None, trainable=True, {options})"
    assert repr(layer) == expected


@every_component
def test_components_compare_by_identity(cls):
    one, other = from_example(cls), from_example(cls)
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_which_components_stack():
    # Of the others, rounds run one after another.
    found = {kind: {n for n, c in components.classes(kind).items() if stacks(c)} for kind in components.KINDS}
    merges = {"Sum", "Multiply", "Concat"}
    activations = {"ReLU", "LeakyReLU", "Tanh", "Sigmoid", "GELU", "Softmax"}
    assert found["layer"] == {"Linear", "Dropout", "Identity", "Flatten", *merges, *activations}
    assert found["loss"] == set(components.classes("loss"))
    assert found["optimizer"] == set(components.classes("optimizer"))


@pytest.mark.parametrize("values", [1, True, np.ones(2, "float32"), lambda shape: np.ones(shape, int)])
def test_a_parameter_is_made_of_floats_and_can_be_changed(values):
    tensor = ReLU().parameter("scale", (2,), values).tensor
    tensor += 0.5
    assert tensor.tolist() == [1.5, 1.5]
    assert tensor.dtype == "float64"


def test_names_of_parameters():
    # A checkpoint finds its numbers by them.
    layers = [Conv2d(4, 3, name="a"), ConvTranspose2d(4, 3, name="b"), BatchNorm(name="c"), LayerNorm(name="d")]
    net = Net([*layers, Flatten(), Linear(2, name="e")], (1, 5, 5))
    assert [p.name for p in net.parameters] == [f"{name}.{what}" for name in "abcde" for what in ("weight", "bias")]
    assert [p.name for p in net.buffers] == ["c.running_mean", "c.running_var"]


def test_two_parameters_of_one_name():
    class Doubled(Linear, abstract=True):
        def setup(self, shape, rng):
            self.parameter("weight", (2,), 0.0) if self.name == "parameter" else self.buffer("weight", (2,), 0.0)
            return super().setup(shape, rng)

    for name in ("parameter", "buffer"):
        with pytest.raises(ShapeError, match="has two parameters called 'weight'"):
            Net([Doubled(2, name=name)], (2,))


def test_a_layer_without_forward_or_backward_says_so():
    class Unfinished(Layer, abstract=True):
        pass

    with pytest.raises(NotImplementedError, match="Unfinished has no forward"):
        Unfinished().forward(np.ones((1, 2)))
    with pytest.raises(NotImplementedError, match="Unfinished has no backward"):
        Unfinished().backward(np.ones((1, 2)))
