"""How layers say where a shape comes from: the text is the formula, its numbers come out, and errors show it."""

import re
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from gradients import shapes_at_random

from tinynet.common.errors import ShapeError
from tinynet.nn.layers.activations import ReLU
from tinynet.nn.layers.convolution import Conv2d, ConvTranspose2d
from tinynet.nn.layers.images import output_arithmetic, transposed_arithmetic
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.pooling import AvgPool2d, MaxPool2d, MaxUnpool2d, Upsample
from tinynet.nn.layers.shape import Flatten, Reshape
from tinynet.nn.net import Net


def worked_out(text):
    """What the left side gives, in exact fractions, and the number on the right; ⌊ ⌋ has to change something."""
    left, right = text.translate(str.maketrans({"·": "*", "−": "-"})).split(" = ")
    inside = re.search("⌊(.*)⌋", left)
    code = re.sub(r"(\d+)", r"Fraction(\1)", left.replace("⌊", "floor(").replace("⌋", ")"))
    if inside:
        assert eval(re.sub(r"(\d+)", r"Fraction(\1)", inside[1])).denominator > 1
    return eval(code, {"Fraction": Fraction, "floor": floor}), int(right)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((28, 5, 1, 0), "(28 + 2·0 − 5) / 1 + 1 = 24"),
        ((28, 5, 2, 0), "⌊(28 + 2·0 − 5) / 2⌋ + 1 = 12"),
        ((28, 4, 1, 3), "(28 + 1 + 2 − 4) / 1 + 1 = 28"),
        ((28, 5, 1, 0, 2), "(28 + 2·0 − 2·(5 − 1) − 1) / 1 + 1 = 20"),
        ((3, 5, 1, 0), "(3 + 2·0 − 5) / 1 + 1 = −1"),
        ((2, 7, 3, 2), "(2 + 2·1 − 7) / 3 + 1 = 0"),
        ((2, 8, 3, 2), "⌊(2 + 2·1 − 8) / 3⌋ + 1 = −1"),
    ],
)
def test_the_text_of_a_size(numbers, text):
    assert output_arithmetic(*numbers) == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((12, 4, 2, 1, 0), "(12 − 1)·2 − 2·1 + 4 = 24"),
        ((12, 4, 2, 1, 1), "(12 − 1)·2 − 2·1 + 4 + 1 = 25"),
        ((12, 4, 2, 1, 1, 3), "(12 − 1)·2 − 2·1 + 3·(4 − 1) + 1 + 1 = 31"),
    ],
)
def test_the_text_of_a_transposed_size(numbers, text):
    assert transposed_arithmetic(*numbers) == text


@pytest.mark.parametrize("options", list(shapes_at_random(40)))
def test_the_numbers_come_out_as_the_shape(options):
    groups, channels, outputs, kernel, stride, padding, dilation, extra, size, _ = options
    shape, margin = (channels, *size), tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    layers = [
        Conv2d(outputs, kernel, stride, padding, dilation, groups),
        Conv2d(outputs, kernel, padding="same", dilation=dilation, groups=groups),
        MaxPool2d(kernel, stride, margin),
        AvgPool2d(kernel, None, margin),
    ]
    if all((size[i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + extra[i] >= 2 * padding[i] for i in (0, 1)):
        layers.append(ConvTranspose2d(outputs, kernel, stride, padding, extra, dilation, groups))
    for layer in layers:
        _, *sizes = Net([layer], shape).output_shape
        texts = re.fullmatch("H: (.*), W: (.*)", layer.arithmetic())
        texts = texts.groups() if texts else [layer.arithmetic()] * 2
        assert [worked_out(text) for text in texts] == [(size, size) for size in sizes]


def test_height_and_width_are_told_apart_where_they_differ():
    layer = Conv2d(1, (5, 3))
    Net([layer], (1, 28, 20))
    assert layer.arithmetic() == "H: (28 + 2·0 − 5) / 1 + 1 = 24, W: (20 + 2·0 − 3) / 1 + 1 = 18"


def test_the_layers_without_a_kernel():
    layers = [MaxPool2d(2, name="down"), MaxUnpool2d("down"), ReLU(), Reshape([8, 18]), Flatten(), Flatten()]
    layers += [Reshape([4, 36]), Reshape([144]), Reshape([1, 12, 12]), Upsample(2), Flatten(), Linear(3)]
    Net(layers, (4, 6, 6))
    assert [layer.arithmetic() for layer in layers] == [
        "(6 + 2·0 − 2) / 2 + 1 = 3",
        "the input of down",
        "",
        "4 · 6 · 6 = 144 = 8 · 18",
        "8 · 18 = 144",
        "",
        "144 = 4 · 36",
        "4 · 36 = 144",
        "144 = 1 · 12 · 12",
        "",
        "1 · 24 · 24 = 576",
        "",
    ]


def test_an_error_shows_where_the_shape_comes_from():
    layers = [Conv2d(6, 5), ReLU(), MaxPool2d(2), Conv2d(16, 4, padding="same"), MaxPool2d(3), Linear(120)]
    with pytest.raises(ShapeError) as caught:
        Net(layers, (1, 28, 28))
    assert str(caught.value) == (
        "needs a flat input, but gets (16, 4, 4) from layers[4] MaxPool2d. Put Flatten before it. "
        "(shapes: input (1, 28, 28) "
        "→ conv2d1 (6, 24, 24) [(28 + 2·0 − 5) / 1 + 1 = 24] "
        "→ relu1 (6, 24, 24) "
        "→ maxpool2d1 (6, 12, 12) [(24 + 2·0 − 2) / 2 + 1 = 12] "
        "→ conv2d2 (16, 12, 12) [(12 + 1 + 2 − 4) / 1 + 1 = 12] "
        "→ maxpool2d2 (16, 4, 4) [(12 + 2·0 − 3) / 3 + 1 = 4])"
    )


def test_an_error_of_a_kernel_has_its_own_arithmetic_and_the_shapes_before():
    with pytest.raises(ShapeError) as caught:
        Net([Flatten(), Reshape([1, 4, 4]), Conv2d(2, 5, 2)], (16,))
    assert str(caught.value) == (
        "its kernel reaches over 5 pixels, more than the image has: ⌊(4 + 2·0 − 5) / 2⌋ + 1 = 0. "
        "Make the kernel smaller. (shapes: input (16,) → flatten1 (16,) → reshape1 (1, 4, 4) [16 = 1 · 4 · 4])"
    )


def test_a_config_shows_it_behind_the_place(write, changed, cli):
    layers = {"Linear: 5": "Conv2d: {out_channels: 2, kernel_size: 3}", "ReLU": "MaxPool2d: 2"}
    path = write(changed(layers | {"Disk: {train: 40, test: 20}": "NPZ: i.npz"}))
    images, labels = np.zeros((4, 6, 6)), np.array([0, 1, 0, 1])
    np.savez(path.parent / "i.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    status, out, err = cli("train", path)
    assert (status, out) == (2, "")
    assert err == (
        f"{path}:7:5: layers[2] Linear: needs a flat input, but gets (2, 2, 2) from layers[1] MaxPool2d. "
        "Put Flatten before it. (shapes: input (1, 6, 6) → conv2d1 (2, 4, 4) [(6 + 2·0 − 3) / 1 + 1 = 4] "
        "→ maxpool2d1 (2, 2, 2) [(4 + 2·0 − 2) / 2 + 1 = 2])\n"
    )
