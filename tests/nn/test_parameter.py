"""Parameters, the vector they live in, and the streams of random numbers."""

from itertools import combinations

import numpy as np
import pytest

from tinynet.common.arrays import check_samples
from tinynet.common.errors import ShapeError
from tinynet.nn.parameter import FlatVector, Parameter
from tinynet.nn.random import Stream


def parameters():
    """Three parameters that hold 0 to 10, the second of them frozen."""
    return [
        Parameter("a", np.arange(4.0).reshape(2, 2)),
        Parameter("b", np.arange(4.0, 6).reshape(1, 2), trainable=False),
        Parameter("c", np.arange(6.0, 11)),
    ]


def test_assigning_copies_into_the_array_that_is_there():
    parameter = Parameter("w", np.zeros((2, 3)))
    tensor, gradient = parameter.tensor, parameter.gradient
    values = np.ones((2, 3))
    parameter.tensor, parameter.gradient = values, 2 * values
    values[:] = 7
    assert parameter.tensor is tensor
    assert parameter.gradient is gradient
    assert (tensor == 1).all()
    assert (gradient == 2).all()
    parameter.gradient += 1
    assert parameter.gradient is gradient
    assert (gradient == 3).all()


# (3,), (1, 3) and () could be broadcast.
@pytest.mark.parametrize("shape", [(3, 2), (3,), (1, 3), (), (1, 2, 3)])
@pytest.mark.parametrize("name", ["tensor", "gradient"])
def test_assigning_another_shape_fails(name, shape):
    parameter = Parameter("w", np.zeros((2, 3)))
    with pytest.raises(ShapeError) as caught:
        setattr(parameter, name, np.ones(shape))
    assert str(caught.value) == f"w has shape (2, 3), but is given {shape}"
    assert not getattr(parameter, name).any()


def test_a_parameter_shows_its_name_and_shape():
    assert repr(Parameter("linear1.weight", np.zeros((2, 3)))) == "Parameter(linear1.weight, shape=(2, 3))"


def test_vector_holds_the_trainable_first_each_in_order():
    a, b, c = parameters()
    vector = FlatVector([a, b, c], "float64")
    assert vector.all_tensors.tolist() == [0, 1, 2, 3, 6, 7, 8, 9, 10, 4, 5]
    assert vector.tensor.tolist() == [0, 1, 2, 3, 6, 7, 8, 9, 10]
    assert vector.gradient.shape == vector.tensor.shape
    for parameter in (a, b, c):
        assert np.shares_memory(parameter.tensor, vector.all_tensors)
        assert np.shares_memory(parameter.gradient, vector.all_gradients)
    assert (a.tensor.shape, b.tensor.shape, c.tensor.shape) == ((2, 2), (1, 2), (5,))


def test_vector_and_parameters_are_the_same_numbers():
    a, b, c = parameters()
    vector = FlatVector([a, b, c], "float64")
    vector.tensor *= 2
    assert a.tensor.tolist() == [[0, 2], [4, 6]]
    assert b.tensor.tolist() == [[4, 5]]
    c.tensor = np.zeros(5)
    c.gradient += 1
    assert vector.tensor[4:].tolist() == [0] * 5
    assert vector.gradient.tolist() == [0] * 4 + [1] * 5


def test_views_of_another_vector_laid_out_the_same():
    a, b, c = parameters()
    vector = FlatVector([a, b, c], "float64")
    other = vector.all_tensors + 100
    found = {parameter.name: view for parameter, view in vector.views(other)}
    for parameter in (a, b, c):
        np.testing.assert_array_equal(found[parameter.name], parameter.tensor + 100)
        assert np.shares_memory(found[parameter.name], other)


def test_axes_in_another_order_in_memory():
    values = np.arange(24.0).reshape(2, 3, 4)
    parameter = Parameter("w", values.copy(), order=(2, 0, 1))
    vector = FlatVector([parameter], "float64")
    np.testing.assert_array_equal(parameter.tensor, values)
    np.testing.assert_array_equal(vector.tensor, values.transpose(2, 0, 1).ravel())
    stacked = np.stack([vector.tensor, 2 * vector.tensor])
    np.testing.assert_array_equal(vector.views(stacked)[0][1], [values, 2 * values])


def test_vector_keeps_gradients_that_are_there():
    a, b, c = parameters()
    c.gradient += 3
    assert FlatVector([a, b, c], "float64").gradient.tolist() == [0] * 4 + [3] * 5


def test_vector_converts_to_its_dtype():
    a, b, c = parameters()
    vector = FlatVector([a, b, c], "float32")
    assert {x.dtype for x in (vector.tensor, vector.gradient, b.tensor, c.gradient)} == {np.dtype("float32")}


def test_zero_grad_reaches_frozen_parameters_too():
    a, b, c = parameters()
    vector = FlatVector([a, b, c], "float64")
    vector.all_gradients[:] = 1
    vector.zero_grad()
    assert not any(p.gradient.any() for p in (a, b, c))


def test_vector_of_nothing():
    vector = FlatVector([], "float32")
    vector.zero_grad()
    assert vector.tensor.size == 0
    assert vector.clip_norm(1.0) == 0


def test_clip_norm_counts_all_trainable_gradients_as_one_vector():
    a, b, c = parameters()
    vector = FlatVector([a, b, c], "float64")
    a.gradient = [[3, 0], [0, 0]]
    b.gradient += 100
    c.gradient = [0, 0, 0, 0, 4]
    assert vector.clip_norm(1.0) == 5
    assert a.gradient[0, 0] == pytest.approx(3 / (5 + 1e-6), rel=1e-14)
    assert c.gradient[4] == pytest.approx(4 / (5 + 1e-6), rel=1e-14)
    assert (b.gradient == 100).all()


def test_clip_norm_of_a_norm_at_the_limit_is_pytorchs():
    vector = FlatVector(parameters(), "float64")
    vector.gradient[:2] = [3, 4]
    assert vector.clip_norm(5.0) == 5
    np.testing.assert_allclose(vector.gradient[:2], np.array([3, 4]) * (5 / (5 + 1e-6)), rtol=1e-14)
    # One and a half of that millionth further, nothing is to be done.
    vector.gradient[:2] = [3, 4]
    assert vector.clip_norm(5 + 1.5e-6) == 5
    assert vector.gradient[:2].tolist() == [3, 4]


def test_clip_norm_leaves_small_gradients():
    a, b, c = parameters()
    vector = FlatVector([a, b, c], "float64")
    a.gradient = [[3, 0], [0, 4]]
    before = vector.gradient.copy()
    assert vector.clip_norm(5.1) == 5
    np.testing.assert_array_equal(vector.gradient, before)


# Samples


def test_samples_of_no_axes_are_one_number_each():
    check_samples(np.zeros(3), ())
    for x in (np.zeros(()), np.zeros((3, 1))):
        with pytest.raises(ShapeError, match=r"the input has shape .*, but must be \(batch\)"):
            check_samples(x, ())


# Streams

KEYS = [(0, "layer", "dropout1"), (1, "layer", "dropout1"), (0, "shuffle", "dropout1"), (0, "layer", "dropout2")]
PLACES = [(0, 0), (1, 0), (0, 1), (1, 1), (2**40, 0)]


def draw(key, place, count=2000):
    return Stream(*key).at(*place).integers(0, 2**63, count)


def test_stream_is_a_function_of_its_arguments():
    one, other = Stream(0, "layer", "dropout1"), Stream(0, "layer", "dropout1")
    found = {place: one.at(*place).random(5) for place in PLACES}
    for place in reversed(PLACES):
        # An odd count of short numbers leaves half a word in the generator's buffer.
        other.at(7).random(3, dtype="float32")
        np.testing.assert_array_equal(other.at(*place).random(5), found[place])
        np.testing.assert_array_equal(other.at(*place).random(5), found[place])


def test_stream_has_no_part_in_the_global_state():
    expected = Stream(0, "data").at().random(3)
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    np.testing.assert_array_equal(Stream(0, "data").at().random(3), expected)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_streams_do_not_overlap():
    # Among 2000 · 20 numbers of 63 bits, no two are the same by chance.
    drawn = [draw(key, place) for key in KEYS for place in PLACES]
    for one, other in combinations(drawn, 2):
        assert not np.intersect1d(one, other).size


def test_streams_are_uncorrelated():
    drawn = np.array([Stream(*key).at(*place).random(20_000) for key in KEYS for place in PLACES])
    correlations = np.corrcoef(drawn) - np.eye(len(drawn))
    assert np.abs(correlations).max() < 5 / np.sqrt(20_000)


def test_seed_purpose_and_name_are_not_run_together():
    assert draw((1, "1"), (0, 0))[0] != draw((11, ""), (0, 0))[0]
    assert draw((0, "data", "x"), (0, 0))[0] != draw((0, "datax", ""), (0, 0))[0]


def test_equal_seeds_are_the_same_seed():
    # A seed from `np.arange(3)` is no int, but is equal to one.
    np.testing.assert_array_equal(draw((np.int64(3), "data"), (0, 0)), draw((3, "data"), (0, 0)))


def test_stream_is_the_same_in_every_version():
    # Or a checkpoint would not go on as it began.
    assert Stream(0, "data").at(2, 3).integers(0, 1000, 6).tolist() == [323, 710, 439, 405, 766, 677]
