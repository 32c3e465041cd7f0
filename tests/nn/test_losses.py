"""Losses against values worked by hand, at the edges of their range, and with rounds."""

import numpy as np
import pytest
from gradients import from_example, loss_case

from tinynet.common import components
from tinynet.common.errors import OptionError, ShapeError
from tinynet.nn.losses import L1, MSE, BinaryCrossEntropy, CrossEntropy, Huber

LOSSES = components.classes("loss").values()
every_loss = pytest.mark.parametrize("cls", LOSSES)
LOG2 = np.log(2)


@pytest.mark.parametrize(
    ("loss", "predicted", "target", "value", "gradient"),
    [
        (MSE(), [[1, 2], [3, 6]], [[1, 1], [1, 2]], 21 / 4, [[0, 0.5], [1, 2]]),
        (L1(), [[1, 2], [3, 6]], [[1, 1], [4, 2]], 6 / 4, [[0, 0.25], [-0.25, 0.25]]),
        (Huber(), [[1, 1.5], [3, 6]], [[1, 1], [4, 2]], (0.125 + 0.5 + 3.5) / 4, [[0, 0.125], [-0.25, 0.25]]),
        (Huber(2.0), [[1, 2], [3, 6]], [[1, 1], [4, 2]], (0.5 + 0.5 + 6) / 4, [[0, 0.25], [-0.25, 0.5]]),
        (CrossEntropy(), [[0, 0], [0, np.log(3)]], [0, 0], 1.5 * LOG2, [[-0.25, 0.25], [-0.375, 0.375]]),
        (BinaryCrossEntropy(), [[0], [np.log(3)]], [[1], [0]], 1.5 * LOG2, [[-0.25], [0.375]]),
    ],
)
def test_by_hand(loss, predicted, target, value, gradient):
    found = loss(np.array(predicted, float), np.array(target))
    assert found[0] == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-14)


def test_mse_divides_by_all_numbers_and_not_by_the_rows():
    predicted, target = np.ones((10, 4)), np.zeros((10, 4))
    value, gradient = MSE()(predicted, target)
    assert value == 1
    np.testing.assert_allclose(gradient, np.full((10, 4), 2 / 40))


@every_loss
def test_twice_the_same_batch_is_the_same_loss(cls):
    # It is a mean, not a sum.
    loss = from_example(cls)
    predicted, target = loss_case(loss, (5, 3))
    twice, _ = loss(np.concatenate([predicted, predicted]), np.concatenate([target, target]))
    assert twice == pytest.approx(loss(predicted, target)[0], rel=1e-14)


@every_loss
def test_neither_argument_is_changed(cls):
    loss = from_example(cls)
    predicted, target = loss_case(loss, (5, 3))
    before = predicted.copy(), target.copy()
    _, gradient = loss(predicted, target)
    gradient += 1
    np.testing.assert_array_equal(predicted, before[0])
    np.testing.assert_array_equal(target, before[1])


@every_loss
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_is_a_number_and_the_gradient_keeps_the_dtype(cls, dtype):
    loss = from_example(cls)
    predicted, target = loss_case(loss, (5, 3))
    value, gradient = loss(predicted.astype(dtype), target if loss.takes_labels else target.astype(dtype))
    assert type(value) is float
    assert gradient.dtype == dtype
    assert gradient.shape == (5, 3)


# With labels, a prediction is one row of logits a sample, and never an image.
FLAT = [(cls, 1, (4, 5, 3)) for cls in LOSSES]
IMAGES = [(cls, 3, (4, 5, 3, 2, 2)) for cls in LOSSES if not cls.takes_labels]


@pytest.mark.parametrize(("cls", "sample_rank", "shape"), FLAT + IMAGES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_round_is_as_it_is_alone(cls, sample_rank, shape, dtype):
    loss = from_example(cls)
    loss.sample_rank = sample_rank
    predicted, target = loss_case(loss, shape)
    predicted = predicted.astype(dtype)
    target = target if loss.takes_labels else target.astype(dtype)
    values, gradient = loss(predicted, target)
    assert values.shape == (4,)
    for r in range(4):
        value, gradient_alone = loss(predicted[r], target[r])
        # To the last bit: stacked rounds and single ones have to give the same figures. A float32 is equal to a float
        # that rounds to it, so compare floats.
        assert float(values[r]) == value
        np.testing.assert_array_equal(gradient[r], gradient_alone)


@every_loss
def test_at_first_samples_are_flat_and_what_is_before_the_batch_is_rounds(cls):
    loss = from_example(cls)
    assert loss.sample_rank == 1
    assert loss(*loss_case(loss, (4, 5, 3)))[0].shape == (4,)


@pytest.mark.parametrize("cls", [cls for cls in LOSSES if not cls.takes_labels])
def test_images_are_not_rounds(cls):
    flat, images = from_example(cls), from_example(cls)
    images.sample_rank = 3
    predicted, target = loss_case(images, (5, 3, 2, 2))
    value, gradient = images(predicted, target)
    expected, expected_gradient = flat(predicted.reshape(5, 12), target.reshape(5, 12))
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(gradient.reshape(5, 12), expected_gradient, rtol=1e-14)


@every_loss
@pytest.mark.parametrize(
    ("predicted", "target"),
    [((5, 1), (5,)), ((5,), (5, 1)), ((5, 3), (3, 5)), ((5, 3), (4, 3)), ((5, 3), (1, 3)), ((2, 5, 3), (5, 3))],
)
def test_shapes_that_do_not_belong_together(cls, predicted, target):
    loss = from_example(cls)
    given, expected = np.zeros(predicted), np.zeros(target, int if loss.takes_labels else float)
    if loss.takes_labels and predicted[:-1] == target:
        # One class is no use, but is no mistake of shape.
        assert loss(given, expected)[0] == 0
        return
    with pytest.raises(ShapeError) as caught:
        loss(given, expected)
    assert f"{predicted}" in str(caught.value)
    assert f"{target}" in str(caught.value)


@pytest.mark.parametrize("n", [128, 129, 300])
@pytest.mark.parametrize("label_type", ["uint8", "int8", "int64"])
def test_cross_entropy_past_128_rows(n, label_type):
    # An index made in the labels' own type would wrap around at 128 or 256.
    rng = np.random.default_rng(n)
    logits, labels = rng.normal(size=(n, 5)), rng.integers(0, 5, n)
    value, gradient = CrossEntropy()(logits, labels.astype(label_type))
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert value == pytest.approx(-np.log([softmax[i, labels[i]] for i in range(n)]).sum() / n, rel=1e-12)
    np.testing.assert_allclose(gradient, (softmax - np.eye(5)[labels]) / n, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_of_large_logits(dtype):
    # Warnings are errors here, so an overflow would show.
    logits = np.array([[1000, -1000], [1000, -1000]], dtype)
    value, gradient = CrossEntropy()(logits, np.array([0, 1]))
    assert value == 1000
    np.testing.assert_array_equal(gradient, [[0, 0], [0.5, -0.5]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_of_large_logits(dtype):
    logits = np.array([[1000], [-1000], [1000], [-1000]], dtype)
    value, gradient = BinaryCrossEntropy()(logits, np.array([[1], [0], [0], [1]], dtype))
    assert value == 500
    np.testing.assert_array_equal(gradient, [[0], [0], [0.25], [-0.25]])


def test_cross_entropy_takes_no_label_below_0():
    with pytest.raises(ShapeError, match="class indices must be 0 to 2, but go from -1 to 2"):
        CrossEntropy()(np.zeros((3, 3)), np.array([0, -1, 2]))


def test_cross_entropy_takes_no_label_past_the_last_class():
    with pytest.raises(ShapeError, match="0 to 2"):
        CrossEntropy()(np.zeros((2, 3)), np.array([0, 3]))


@pytest.mark.parametrize("shift", [0, 1000])
def test_probabilities_of_cross_entropy(shift):
    found = CrossEntropy().probabilities(np.log([[1.0, 3], [1, 1]]) + shift)
    np.testing.assert_allclose(found, [[0.25, 0.75], [0.5, 0.5]], rtol=1e-12)


def test_probabilities_of_binary_cross_entropy():
    logits = np.array([[np.log(3)], [-1000], [1000]])
    found = BinaryCrossEntropy().probabilities(logits)
    np.testing.assert_allclose(found, [[0.25, 0.75], [1, 0], [0, 1]], rtol=1e-14)
    np.testing.assert_array_equal(BinaryCrossEntropy().probabilities(np.stack([logits, logits])), [found, found])
    # Several outputs are as many questions, each with its own answer.
    np.testing.assert_allclose(BinaryCrossEntropy().probabilities(np.log([[3.0, 1]])), [[0.75, 0.5]])


@pytest.mark.parametrize("loss", [MSE(), L1(), Huber()])
def test_other_losses_know_no_probabilities(loss):
    assert loss.probabilities(np.ones((2, 2))) is None


def test_the_class_is_one_above_the_threshold():
    assert BinaryCrossEntropy().threshold == 0
    assert MSE().threshold == 0.5


@pytest.mark.parametrize("delta", [0, -1.0, "1", float("inf")])
def test_refused_deltas(delta):
    with pytest.raises(OptionError, match="Huber: delta must be a number > 0, not "):
        Huber(delta)


@pytest.mark.parametrize("z", [10, 20, -30])
@pytest.mark.parametrize("y", [0, 1])
def test_binary_cross_entropy_keeps_its_digits_in_float32(z, y):
    # log(1 + exp(z)) - y z in float64, without the cancellation; e^-30 is far below float32's last digit of 30.
    exact = np.log1p(np.exp(-abs(z))) + (abs(z) if (z > 0) != (y == 1) else 0)
    value, gradient = BinaryCrossEntropy()(np.array([[z]], "float32"), np.array([[y]], "float32"))
    assert value == pytest.approx(exact, rel=1e-6, abs=0)
    assert gradient[0, 0] == pytest.approx(1 / (1 + np.exp(-float(z))) - y, rel=1e-6, abs=6e-8)


@pytest.mark.parametrize("labels", [np.array([True, False]), np.array([0.0, 1.0]), np.array([0.5, 1.0])])
def test_cross_entropy_takes_whole_numbers_only(labels):
    with pytest.raises(ShapeError, match=rf"^class indices must be whole numbers, not {labels.dtype}$"):
        CrossEntropy()(np.zeros((2, 3)), labels)


@every_loss
@pytest.mark.parametrize("rounds", [(), (4,)])
def test_an_empty_batch_is_refused(cls, rounds):
    loss = from_example(cls)
    target = np.zeros((*rounds, 0), int) if loss.takes_labels else np.zeros((*rounds, 0, 3))
    with pytest.raises(ShapeError, match=r"^the batch is empty$"):
        loss(np.zeros((*rounds, 0, 3)), target)
