"""A net walked layer by layer gives what the net gives, and all that lies between."""

import numpy as np

from tinynet.nn.layers.activations import Tanh
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.merge import Multiply, Sum
from tinynet.nn.net import Net
from tinynet.nn.walk import back_through, forward_through


def test_a_walk_through_a_graph_is_the_net_s_own_pass():
    """With an output that three layers read, one of them twice."""
    layers = [
        Linear(4, name="stem"),
        Tanh(name="left"),
        Multiply(inputs=("stem", "stem"), name="right"),
        Sum(inputs=("left", "right", "stem")),
        Linear(2),
    ]
    net = Net(layers, (3,), dtype="float64")
    rng = np.random.default_rng(0)
    x, gradient = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    outputs = forward_through(net, x)
    np.testing.assert_array_equal(outputs[-1], net.forward(x))
    np.testing.assert_array_equal(outputs[1], np.tanh(outputs[0]))
    dx = net.backward(gradient)
    expected = net.vector.all_gradients.copy()
    net.zero_grad()
    dys, given = back_through(net, gradient)
    np.testing.assert_allclose(dys[-1], dx, rtol=1e-14)
    np.testing.assert_allclose(net.vector.all_gradients, expected, rtol=1e-14)
    assert [len(dxs) for dxs in given] == [1, 1, 2, 3, 1]
    dleft, dright, dstem = given[3]
    np.testing.assert_allclose(dys[0], dleft * (1 - outputs[1] ** 2) + 2 * dright * outputs[0] + dstem, rtol=1e-14)


def test_the_way_back_goes_to_the_input_after_a_training_step_that_did_not():
    net = Net([Linear(2)], (3,), dtype="float64")
    gradient = np.ones_like(net.forward(np.ones((4, 3))))
    assert net.backward(gradient, to_input=False) is None
    dys, _ = back_through(net, gradient)
    assert dys[-1].shape == (4, 3)
