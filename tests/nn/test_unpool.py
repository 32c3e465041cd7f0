"""MaxUnpool2d: by hand, against PyTorch and its plain form, by central differences, and what it refuses."""

import copy
import random

import numpy as np
import pytest
from gradients import compare, numerical_gradient, spaced

import tinynet
from tinynet.common.errors import ShapeError
from tinynet.nn.layers import plain
from tinynet.nn.layers.activations import ReLU
from tinynet.nn.layers.convolution import Conv2d
from tinynet.nn.layers.pooling import MaxPool2d, MaxUnpool2d
from tinynet.nn.net import Net


def pools(count):
    """(kernel, stride, padding, image size), seeded; half of them without overlap."""
    rng = random.Random(0)
    for index in range(count):
        kernel = (rng.randint(1, 3), rng.randint(1, 3))
        stride = tuple(rng.randint(k if index % 2 else 1, 4) for k in kernel)
        yield kernel, stride, tuple(rng.randint(0, k // 2) for k in kernel), (rng.randint(5, 9), rng.randint(5, 9))


def linked(kernel, stride, padding, size):
    """An unpool, ready behind its pool, and what the pool gave for a batch without ties."""
    pool, unpool = MaxPool2d(kernel, stride, padding), MaxUnpool2d("pool")
    rng = np.random.default_rng(0)
    shape = pool.setup((2, *size), rng)
    unpool.link(pool)
    assert unpool.setup(shape, rng) == (2, *size)
    return unpool, pool.forward(spaced((3, 2, *size)))


def test_by_hand():
    net = Net([MaxPool2d(2, name="down"), MaxUnpool2d("down")], (1, 3, 4), dtype="float64")
    # The last row is in no window.
    x = np.array([[[[1.0, 9, 4, 4], [3, 2, 4, 4], [50, 60, 70, 80]]]])
    np.testing.assert_array_equal(net.forward(x), [[[[0, 9, 4, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]])
    dy = np.arange(12.0).reshape(1, 1, 3, 4)
    unpool = net.layers[1]
    np.testing.assert_array_equal(unpool.backward(dy), [[[[1, 2]]]])
    np.testing.assert_array_equal(unpool.forward(np.array([[[[-5.0, 7]]]])), [[[[0, -5, 7, 0], [0] * 4, [0] * 4]]])


def test_of_overlapping_windows_the_last_gives_the_number():
    unpool, _ = linked((1, 2), (1, 1), (0, 0), (1, 3))
    unpool.source.forward(np.array([[[[1.0, 9, 2]], [[1, 9, 2]]]]))
    y = unpool.forward(np.array([[[[5.0, 6]], [[7, 8]]]]))
    np.testing.assert_array_equal(y, [[[[0, 6, 0]], [[0, 8, 0]]]])
    dy = np.array([[[[1.0, 2, 3]], [[4, 5, 6]]]])
    np.testing.assert_array_equal(unpool.backward(dy), [[[[0, 2]], [[0, 5]]]])
    np.testing.assert_array_equal(dy.ravel(), [1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("options", list(pools(40)))
def test_it_is_pytorchs(options):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    kernel, stride, padding, size = options
    rng = np.random.default_rng(1)
    net = Net([MaxPool2d(kernel, stride, padding, name="down"), MaxUnpool2d("down")], (2, *size), dtype="float64")
    image = rng.standard_normal((3, 2, *size))
    net.forward(image)
    _, places = torch.nn.MaxPool2d(kernel, stride, padding, return_indices=True)(torch.tensor(image))
    x = rng.standard_normal(tuple(places.shape))
    other = torch.tensor(x, requires_grad=True)
    # PyTorch writes one number after the other here, so that the last of several stays.
    y_other = torch.nn.MaxUnpool2d(kernel, stride, padding)(other, places, output_size=list(size))
    y = net.layers[1].forward(x)
    np.testing.assert_array_equal(y, y_other.detach().numpy())
    if all(s >= k for s, k in zip(stride, kernel, strict=True)):
        # With overlap its backward gives dy to all of them, also to those that were written over.
        dy = rng.standard_normal(y.shape)
        y_other.backward(torch.tensor(dy))
        np.testing.assert_array_equal(net.layers[1].backward(dy), other.grad.numpy())


@pytest.mark.parametrize("options", list(pools(12)))
def test_gradient_by_central_differences(options):
    unpool, y = linked(*options)
    x = spaced(y.shape, seed=3)
    dy = np.random.default_rng(2).standard_normal(unpool.forward(x).shape)
    dx = unpool.backward(dy)
    compare("MaxUnpool2d: dx", dx, numerical_gradient(lambda: unpool.forward(x), x, dy))


@pytest.mark.parametrize(("kernel", "stride"), [((2, 2), (2, 2)), ((3, 2), (2, 1)), ((2, 1), (3, 2))])
def test_it_is_its_plain_form(kernel, stride):
    unpool, y = linked(kernel, stride, (0, 0), (7, 6))
    x = spaced(y.shape, seed=3)
    image = unpool.source.x
    np.testing.assert_array_equal(unpool.forward(x), plain.max_unpool2d(x, image, kernel, stride))


def test_a_copied_net_uses_its_own_pool():
    net = Net([MaxPool2d(2, name="down"), MaxUnpool2d("down")], (1, 4, 4), dtype="float64")
    other = copy.deepcopy(net)
    x = spaced((2, 1, 4, 4))
    y = net.forward(x)
    other.forward(-x)
    np.testing.assert_array_equal(net.layers[1].forward(net.layers[0].y), y)
    assert other.layers[1].source is other.layers[0]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([MaxUnpool2d("down")], r"there is no layer 'down'\. There are: none\."),
        ([MaxPool2d(2, name="down"), MaxUnpool2d("dwon")], r"there is no layer 'dwon'\. Did you mean 'down'\?"),
        ([MaxPool2d(2), ReLU(), MaxUnpool2d("xyz")], r"There are: maxpool2d1, relu1\."),
        ([MaxUnpool2d("later"), MaxPool2d(2, name="later")], "comes after it: maxunpool2d1 → later → maxunpool2d1"),
        ([ReLU(), MaxUnpool2d("relu1")], r"'relu1' is a ReLU\. Name a MaxPool2d\."),
        (
            [MaxPool2d(2), Conv2d(3, 1), MaxUnpool2d("maxpool2d1")],
            r"needs \(1, 4, 3\), the shape of what 'maxpool2d1' gives, but gets \(3, 4, 3\) from layers\[1\] Conv2d",
        ),
    ],
)
def test_what_is_refused(layers, message):
    with pytest.raises(ShapeError, match=message):
        Net(layers, (1, 8, 6))


AUTOENCODER = """\
dataset: {NPZ: {path: d.npz, targets: inputs}}
layers:
  - MaxPool2d: {kernel_size: 2, name: down}
  - Conv2d: {out_channels: 1, kernel_size: 3, padding: same}
  - MaxUnpool2d: down
  - Conv2d: {out_channels: 1, kernel_size: 3, padding: same}
loss: MSE
optimizer: {SGD: {lr: 0.1}}
training: {epochs: 20, batch_size: 5}
"""


@pytest.fixture
def autoencoder(write, tmp_path):
    x = np.random.default_rng(0).random((20, 1, 6, 4))
    np.savez(tmp_path / "d.npz", x_train=x, y_train=np.arange(20) % 2, x_test=x, y_test=np.arange(20) % 2)

    def load(old="", new=""):
        assert old in AUTOENCODER
        return tinynet.load(write(AUTOENCODER.replace(old, new)))

    return load


def test_an_autoencoder_trains_with_it(autoencoder):
    records = list(tinynet.build(autoencoder()).train())
    assert records[-1].test_loss < 0.5 * records[0].test_loss


def test_the_problem_stands_at_its_line(autoencoder):
    config = autoencoder("MaxUnpool2d: down", "MaxUnpool2d: donw")
    with pytest.raises(tinynet.ConfigError, match=r"c\.yaml:5:\d+: layers\[2\] MaxUnpool2d: .* Did you mean 'down'\?"):
        tinynet.build(config)
