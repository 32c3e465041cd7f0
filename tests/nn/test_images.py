"""The layers of images: against PyTorch, against the plain forms, in any order of memory, and from end to end."""

import itertools

import numpy as np
import pytest
from gradients import shapes_at_random

import tinynet
from tinynet.common.errors import ShapeError
from tinynet.nn.layers import plain
from tinynet.nn.layers.convolution import Conv2d, ConvTranspose2d
from tinynet.nn.layers.dropout import Dropout2d
from tinynet.nn.layers.images import from_memory
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.normalization import BatchNorm, LayerNorm
from tinynet.nn.layers.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d, Upsample
from tinynet.nn.layers.shape import Flatten, Reshape
from tinynet.nn.net import Net

SMALL = [(3, 2), (1, 1), (0, 1), (1, 1), 1], [(2, 3), (2, 1), (1, 0), (1, 2), 2], [(1, 2), (3, 2), (1, 1), (2, 1), 1]


@pytest.fixture
def twin():
    """Compares a layer with PyTorch's, with the same parameters: outputs, dx and gradients within 1e-9."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")

    def compare(layer, other, shape, training=True):
        net = Net([layer], shape, seed=0, dtype="float64")
        other = other.double().train(training)
        pairs = list(zip(net.parameters, other.parameters(), strict=True))
        rng = np.random.default_rng(1)
        for mine, theirs in pairs:
            mine.tensor = rng.standard_normal(mine.tensor.shape)
            theirs.data = torch.tensor(mine.tensor.copy())
        x = rng.standard_normal((3, *shape))
        x_other = torch.tensor(x, requires_grad=True)
        y, y_other = net.forward(x, training), other(x_other)
        dy = rng.standard_normal(y.shape)
        dx = net.backward(dy)
        y_other.backward(torch.tensor(dy))
        found = [(y, y_other.detach()), (dx, x_other.grad)]
        for mine, theirs in [*found, *((p.gradient, q.grad) for p, q in pairs)]:
            np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-9, atol=1e-9)
        return net, other

    return compare


@pytest.mark.parametrize("options", list(shapes_at_random(40)))
def test_convolutions_are_pytorchs(twin, options):
    nn = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with").nn
    groups, channels, outputs, kernel, stride, padding, dilation, extra, size, bias = options
    layer = Conv2d(outputs, kernel, stride, padding, dilation, groups, bias)
    twin(layer, nn.Conv2d(channels, outputs, kernel, stride, padding, dilation, groups, bias), (channels, *size))
    if all((size[i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + extra[i] >= 2 * padding[i] for i in (0, 1)):
        layer = ConvTranspose2d(outputs, kernel, stride, padding, extra, dilation, groups, bias)
        other = nn.ConvTranspose2d(channels, outputs, kernel, stride, padding, extra, groups, bias, dilation)
        twin(layer, other, (channels, *size))


@pytest.mark.parametrize(("kernel", "dilation"), list(itertools.product([1, 2, 3, 4], [1, 2])))
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_padding_is_pytorchs(twin, kernel, dilation):
    nn = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with").nn
    other = nn.Conv2d(3, 4, kernel, padding="same", dilation=dilation)
    net, _ = twin(Conv2d(4, kernel, padding="same", dilation=dilation), other, (3, 9, 7))
    assert net.output_shape == (4, 9, 7)


@pytest.mark.parametrize("options", list(shapes_at_random(25)))
def test_pooling_and_normalisation_are_pytorchs(twin, options):
    nn = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with").nn
    _, channels, _, kernel, stride, padding, _, _, size, _ = options
    shape, padding = (channels, *size), tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    twin(MaxPool2d(kernel, stride, padding), nn.MaxPool2d(kernel, stride, padding), shape)
    twin(AvgPool2d(kernel, stride, padding), nn.AvgPool2d(kernel, stride, padding), shape)
    twin(Upsample(stride), nn.Upsample(scale_factor=stride), shape)
    twin(GlobalAvgPool2d(), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), shape)
    twin(LayerNorm(), nn.LayerNorm(shape), shape)
    for training in (True, False):
        net, other = twin(BatchNorm(), nn.BatchNorm2d(channels), shape, training)
        np.testing.assert_allclose(net.layers[0].running_mean.tensor, other.running_mean.numpy(), rtol=1e-6)
        np.testing.assert_allclose(net.layers[0].running_var.tensor, other.running_var.numpy(), rtol=1e-6)
        twin(BatchNorm(), nn.BatchNorm1d(channels), (channels,), training)


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), SMALL)
def test_convolution_is_its_plain_form(kernel, stride, padding, dilation, groups):
    net = Net([Conv2d(4, kernel, stride, padding, dilation, groups)], (2, 6, 5), dtype="float64")
    x = np.random.default_rng(0).standard_normal((3, 2, 6, 5))
    weight, bias = (p.tensor for p in net.parameters)
    np.testing.assert_allclose(
        net.forward(x), plain.conv2d(x, weight, bias, stride, padding, dilation, groups), rtol=1e-12, atol=1e-12
    )


def test_transposed_convolution_and_pooling_are_their_plain_forms():
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4))
    net = Net([ConvTranspose2d(2, (3, 2), (2, 3), (1, 0), (1, 2))], (3, 5, 4), dtype="float64")
    weight, bias = (p.tensor for p in net.parameters)
    expected = plain.conv_transpose2d(x, weight, bias, (2, 3), (1, 0), (1, 2))
    np.testing.assert_allclose(net.forward(x), expected, rtol=1e-12, atol=1e-12)
    net = Net([MaxPool2d((3, 2), (2, 1))], (3, 5, 4), dtype="float64")
    np.testing.assert_array_equal(net.forward(x), plain.max_pool2d(x, (3, 2), (2, 1)))


def test_a_convolution_by_hand():
    net = Net([Conv2d(1, 2, bias=False)], (1, 2, 3), dtype="float64")
    net.parameters[0].tensor = np.array([[[[1.0, 2], [3, 4]]]])
    x = np.array([[[[1.0, 0, 2], [0, 1, 1]]]])
    np.testing.assert_array_equal(net.forward(x), [[[[5, 11]]]])
    np.testing.assert_array_equal(net.backward(np.array([[[[1.0, 10]]]])), [[[[1, 12, 20], [3, 34, 40]]]])


def test_a_tie_goes_to_the_first_maximum():
    net = Net([MaxPool2d(2)], (1, 2, 2), dtype="float64")
    net.forward(np.ones((1, 1, 2, 2)))
    np.testing.assert_array_equal(net.backward(np.full((1, 1, 1, 1), 5.0)), [[[[5, 0], [0, 0]]]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Conv2d(4, 3),
        lambda: ConvTranspose2d(4, 3, 2),
        lambda: MaxPool2d(2),
        lambda: AvgPool2d(2),
        GlobalAvgPool2d,
        Upsample,
        BatchNorm,
        LayerNorm,
        lambda: Dropout2d(0.5),
        lambda: tinynet.Dropout(0.5),
        tinynet.ReLU,
        Flatten,
        lambda: Reshape([6, 2, 10]),
    ],
)
def test_any_order_of_memory_gives_the_same_values(make):
    found = []
    for order in ("batch first", "batch last"):
        net = Net([make()], (3, 8, 5), seed=0)
        x = np.random.default_rng(0).standard_normal((2, 3, 8, 5)).astype(np.float32)
        if order == "batch last":
            x = from_memory(np.ascontiguousarray(x.transpose(2, 1, 3, 0)))
        y = net.forward(x, training=True)
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
        found.append((y, net.backward(dy), *(p.gradient for p in net.parameters)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        (
            [Conv2d(4, 5)],
            (1, 3, 9),
            r"over 5 pixels, more than the image has: \(3 \+ 2·0 − 5\) / 1 \+ 1 = −1. Make the kernel smaller\.",
        ),
        ([MaxPool2d(7, 2, 1)], (1, 9, 4), r"more than the padded image has: ⌊\(4 \+ 2·1 − 7\) / 2⌋ \+ 1 = 0\."),
        ([Conv2d(4, 3)], (7,), r"needs images \(channels, height, width\), but gets \(7,\) from the dataset"),
        ([Conv2d(4, 3, groups=2)], (3, 8, 8), "groups 2 must divide the channels: 3 in, 4 out"),
        ([Conv2d(4, 3, stride=2, padding="same")], (3, 8, 8), "padding: same needs stride 1, not 2"),
        ([MaxPool2d(2, padding=2)], (3, 8, 8), "padding 2 is more than half of the kernel 2"),
        ([ConvTranspose2d(4, 2, 2, output_padding=2)], (3, 8, 8), "output_padding 2 must be less than the stride"),
        ([ConvTranspose2d(4, 2, padding=5)], (3, 2, 2), r"nothing of the output: \(2 − 1\)·1 − 2·5 \+ 2 = −7"),
        ([Reshape([4, 4])], (3, 8, 8), r"3 · 8 · 8 = 192 is not 4 · 4 = 16"),
        ([Reshape([4, 4])], (7,), r"but 7 is not 4 · 4 = 16"),
    ],
)
def test_what_does_not_fit_is_explained(layers, shape, message):
    with pytest.raises(ShapeError, match=message):
        Net(layers, shape)


def test_a_channel_is_dropped_as_a_whole():
    net = Net([Dropout2d(0.5)], (8, 3, 3))
    y = net.forward(np.ones((50, 8, 3, 3)), training=True)
    assert set(np.unique(y)) == {0, 2}
    assert (y == y[:, :, :1, :1]).all()
    assert 0.4 < (y > 0).mean() < 0.6
    np.testing.assert_array_equal(net.forward(np.ones((2, 8, 3, 3))), 1)


def test_running_means_travel_in_the_checkpoint_and_are_no_parameters(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 6, 6), dtype=np.uint8), np.arange(40) % 2
    x[y == 1] //= 2
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x[:10], y_test=y[:10])
    text = """
dataset: {NPZ: {path: d.npz, standardize: true}}
layers: [{Conv2d: [3, 3]}, BatchNorm, ReLU, {MaxPool2d: 2}, Flatten, {Linear: 2}]
loss: CrossEntropy
optimizer: {Adam: 0.01}
training: {epochs: 8, batch_size: 8, evaluate_train: true}
""".replace("{Conv2d: [3, 3]}", "{Conv2d: {out_channels: 3, kernel_size: 3}}")
    (tmp_path / "c.yaml").write_text(text)
    experiment = tinynet.build(tinynet.load(tmp_path / "c.yaml"))
    *_, last = experiment.train()
    assert last.train_error < 0.2  # the classes differ in their brightness
    from tinynet.training.checkpoint import capture

    capture(experiment.rounds[0]).save(tmp_path / "last.npz")
    again = tinynet.load_checkpoint(tmp_path / "last.npz")
    assert [p.name for p in again.net.parameters if "norm" in p.name] == ["batchnorm1.weight", "batchnorm1.bias"]
    np.testing.assert_array_equal(again.net.buffers[0].tensor, experiment.net.buffers[0].tensor)
    assert not np.allclose(again.net.buffers[0].tensor, 0)
    # Bytes, and numbers of 0 to 1, are the same images.
    images = x[:, None]
    np.testing.assert_array_equal(again.predict(images), experiment.predict(images / 255))
    assert again.evaluate("train").error == last.train_error


def test_bytes_are_numbers_of_0_to_1(make, tmp_path):
    x = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3) * 10
    np.savez(tmp_path / "d.npz", x_train=x, y_train=[0, 1], x_test=x, y_test=[0, 1])
    layers = {"  - Linear: 5\n": "  - Flatten\n  - Linear: 5\n"}
    experiment = make({"Disk: {train: 40, test: 20}": "NPZ: d.npz", **layers})
    loader = tinynet.Loader(experiment.dataset.train, 2)
    np.testing.assert_allclose(next(iter(loader))[0], x[:, None] / 255, rtol=1e-6)
    assert experiment.dataset.train.x.dtype == np.uint8


def test_an_autoencoder_of_images_compares_with_what_it_was_given(make, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", x_train=x, y_train=np.zeros(20, int), x_test=x, y_test=np.zeros(20, int))
    parts = {
        "Disk: {train: 40, test: 20}": "NPZ: {path: d.npz, targets: inputs}",
        "  - Linear: 5\n  - ReLU\n  - Linear: 2\n": "  - Conv2d: {out_channels: 1, kernel_size: 3, padding: same}\n",
        "CrossEntropy": "MSE",
    }
    experiment = make(parts)
    first, *_ = experiment.train()
    y = experiment.net.forward(x[:, None] / 255)
    # After training, on the figures of the last epoch.
    last = experiment.rounds[0].progress.records[-1]
    np.testing.assert_allclose(last.test_loss, np.mean((y - x[:, None] / 255) ** 2), rtol=1e-4)
    assert last.test_loss < first.test_loss


def test_a_linear_layer_after_images_names_flatten():
    with pytest.raises(ShapeError, match="Put Flatten before it"):
        Net([Conv2d(2, 3), Linear(2)], (1, 5, 5))
