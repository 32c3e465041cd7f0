"""The gradient check: right for everything that comes with tinynet; for planted faults it names the culprit."""

import json
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from faulty import Assigns, NotAMean, NoTranspose, OtherShape, WrongAxis
from gradients import SAMPLE_SHAPES, example_layers, from_example

import tinynet
from tinynet.check.batch import in_float64, random_batch
from tinynet.check.differences import DIRECTIONS, ENTRIES, Differences, Settings
from tinynet.check.net import check, work
from tinynet.common import components
from tinynet.common.errors import ShapeError
from tinynet.nn.layer import Layer
from tinynet.nn.layers.activations import LeakyReLU, ReLU, Sigmoid, Tanh
from tinynet.nn.layers.convolution import Conv2d
from tinynet.nn.layers.dropout import Dropout
from tinynet.nn.layers.images import from_memory, to_memory
from tinynet.nn.layers.kernels import crop
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.merge import Multiply, Sum
from tinynet.nn.layers.normalization import BatchNorm
from tinynet.nn.layers.pooling import AvgPool2d, MaxPool2d
from tinynet.nn.layers.shape import Flatten
from tinynet.nn.losses import L1, MSE, CrossEntropy, Huber
from tinynet.nn.net import Net

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("**/*.yaml"))

LAYERS = components.classes("layer").values()
LOSSES = components.classes("loss").values()


def batch(net, loss, samples, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, *net.input_shape))
    if loss.takes_labels:
        return x, rng.integers(0, net.output_shape[0], samples)
    loss.sample_rank = len(net.output_shape)
    return x, rng.random((samples, *net.output_shape))


def checked(layers, shape=(6,), loss=None, samples=6, **settings):
    """The report on a net of these layers."""
    net, loss = Net(layers, shape, dtype="float64"), loss or MSE()
    return check(net, loss, *batch(net, loss, samples), Settings(**settings))


def culprits(report):
    """The names of the parts that are not right, each with what is said of it."""
    found = {}
    for part in report.parts:
        if not part.right:
            told = [*part.faults, *(text for tensor in part.tensors for text in tensor.faults)]
            wrong = [tensor.name for tensor in part.tensors if tensor.verdict != "right"]
            found[part.name] = (wrong, " ".join(told))
    return found


# What is right


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    """A data folder with nothing in it, which stays that way, and no network."""

    def refuse(*arguments, **options):
        raise AssertionError("the check downloads something")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    folder = tmp_path / "data"
    monkeypatch.setenv("TINYNET_DATA", str(folder))
    yield
    assert not folder.exists()


ONCE = [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] if p.stem == "residual" else []) for p in CONFIGS]


@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize("path", ONCE)
def test_a_config_is_right(path):
    """Five numbers of each tensor; the test below takes fifty."""
    parts = in_float64(tinynet.load(path))
    report = check(parts.net, parts.loss, *random_batch(parts, 4), Settings(entries=5))
    assert report.right, culprits(report)
    assert report.whole
    # Every parameter and input was compared alone; every parameter and the net's input through the whole net.
    assert all(tensor.alone for part in report.parts[1:] for tensor in part.tensors)
    assert sum(tensor.whole is not None for _, tensor in report.tensors) == len(parts.net.parameters) + 1


@pytest.mark.slow
@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_right_on_the_command_line(path, seed, cli):
    status, out, _ = cli("check", path, "--seed", seed)
    assert status == 0, out


@pytest.mark.parametrize("cls", LAYERS)
def test_a_layer_from_its_example_is_right(cls):
    taken = 0
    for shape in SAMPLE_SHAPES:
        try:
            report = checked(example_layers(cls), shape, entries=30)
        except ShapeError:
            continue
        assert report.right, culprits(report)
        taken += 1
    assert taken


@pytest.mark.parametrize("cls", LOSSES)
def test_a_loss_from_its_example_is_right(cls):
    assert checked([Linear(6), Tanh(), Linear(3)], loss=from_example(cls)).right
    if not cls.takes_labels:
        assert checked([Conv2d(2, 3), Tanh()], (1, 5, 5), from_example(cls)).right


@pytest.mark.parametrize("seed", range(20))
def test_random_nets_are_right(seed):
    """Each layer reads any two layers before it: sums, products, shared weights, dropout and normalisation."""
    rng = np.random.default_rng(seed)
    layers, names = [Linear(5, name="first")], ["first"]
    for index in range(int(rng.integers(2, 9))):
        name, (left, right) = f"layer{index}", rng.choice(names, 2)
        linear = [n for n in names if n.startswith("linear")]
        made = [
            Sum(inputs=(left, right), name=name),
            Multiply(inputs=(left, right), name=name),
            Linear(5, inputs=left, name=f"linear{index}"),
            Linear(5, inputs=left, name=name, share=rng.choice(linear) if linear else None),
            BatchNorm(inputs=left, name=name),
            Dropout(0.3, inputs=left, name=name),
            ReLU(inputs=left, name=name),
            Sigmoid(inputs=left, name=name),
        ][rng.integers(8)]
        layers.append(made)
        names.append(made.name)
    read = {n for layer in layers for n in ([layer.inputs] if isinstance(layer.inputs, str) else layer.inputs or [])}
    ends = [n for n in names if n not in read]
    layers.append(Sum(inputs=tuple(ends)) if len(ends) > 1 else Tanh(inputs=ends[0]))
    report = checked(layers, (3,), entries=10)
    assert report.right, culprits(report)


def test_a_check_leaves_running_statistics_and_gradients_as_they_were():
    net = Net([Linear(6), BatchNorm(momentum=1.0), Linear(3)], (6,), dtype="float64")
    for buffer in net.buffers:
        buffer.tensor[...] = np.arange(1, 7)
    assert check(net, MSE(), *batch(net, MSE(), 5), Settings()).right
    for buffer in net.buffers:
        np.testing.assert_array_equal(buffer.tensor, np.arange(1, 7))
    assert not net.vector.all_gradients.any()


def test_parameters_that_are_all_the_same_are_changed_first():
    """With a factor of 1 and a bias of 0 the two layers below look right."""

    class ForgetsItsFactor(BatchNorm, abstract=True):
        def backward(self, dy):
            dx = super().backward(dy)
            return dx / self.weight.tensor

    report = checked([ForgetsItsFactor(), Linear(3)])
    assert culprits(report)["forgetsitsfactor1"][0] == ["x"]


# Ten planted faults and more, in square layers with as many samples, where no shape gives them away


class TransposedGradient(Linear, abstract=True):
    def backward(self, dy):
        self.weight.gradient += dy.T @ self.x
        self.bias_.gradient += dy.sum(axis=0)
        return dy @ self.weight.tensor.T


class NoBias(Linear, abstract=True):
    def backward(self, dy):
        self.weight.gradient += self.x.T @ dy
        return dy @ self.weight.tensor.T


class OneBatchLate(Linear, abstract=True):
    last = None

    def forward(self, x, training=False):
        self.late, self.last = (x if self.last is None else self.last), x
        return super().forward(x, training)

    def backward(self, dy):
        self.weight.gradient += self.late.T @ dy
        self.bias_.gradient += dy.sum(axis=0)
        return dy @ self.weight.tensor.T


class FirstBatch(Linear, abstract=True):
    def forward(self, x, training=False):
        if not hasattr(self, "kept"):
            self.kept = x
        return super().forward(x, training)

    def backward(self, dy):
        self.weight.gradient += self.kept.T @ dy
        self.bias_.gradient += dy.sum(axis=0)
        return dy @ self.weight.tensor.T


class SlightlyWrong(Linear, abstract=True):
    def backward(self, dy):
        return (1 + 1e-5) * super().backward(dy)


class OneNumber(Linear, abstract=True):
    def backward(self, dy):
        dx = super().backward(dy)
        dx[2, 3] *= 1 + 5e-5
        return dx


class OtherSide(ReLU, abstract=True):
    def backward(self, dy):
        return dy * (self.x < 0)


class MaskOfDy(ReLU, abstract=True):
    def backward(self, dy):
        return dy * (dy > 0)


class Sign(Tanh, abstract=True):
    def backward(self, dy):
        return -super().backward(dy)


class Twice(Tanh, abstract=True):
    def backward(self, dy):
        return 2 * super().backward(dy)


class Unscaled(Dropout, abstract=True):
    def backward(self, dy):
        return dy * (self.factor > 0)


class MeanForSum(BatchNorm, abstract=True):
    def backward(self, dy):
        before = self.bias.gradient.copy()
        dx = super().backward(dy)
        self.bias.gradient = before + (self.bias.gradient - before) / len(dy)
        return dx


class ConstantStatistics(BatchNorm, abstract=True):
    def backward(self, dy):
        super().backward(dy)
        return dy * self.weight.tensor * self.scale


FLAT = [
    (NoTranspose, ["x"], "It is right with weight transposed: a transpose is missing."),
    (TransposedGradient, ["weight"], "The analytic gradient is the transpose of the numeric one."),
    (WrongAxis, ["bias"], ""),
    (Assigns, ["weight"], "backward assigns this gradient. Add to it: `gradient += …`."),
    (NoBias, ["bias"], "The analytic gradient is zero everywhere: backward does not compute it, or drops it."),
    (OneBatchLate, ["weight"], "backward uses what an earlier forward kept."),
    (FirstBatch, ["weight"], ""),
    (SlightlyWrong, ["x"], "The analytic gradient is 1.00001 times the numeric one."),
    (OneNumber, ["x"], "1 of 36 entries are wrong, the others right."),
    (OtherSide, ["x"], "a mask is turned."),
    (MaskOfDy, ["x"], "of 36 entries are wrong, the others right."),
    (Sign, ["x"], "The analytic gradient has the wrong sign."),
    (Twice, ["x"], "The analytic gradient is 2 times the numeric one."),
    (Unscaled, ["x"], "The analytic gradient is 0.5 times the numeric one."),
    (
        MeanForSum,
        ["bias"],
        "0.166667 times the numeric one, 1 through the samples of the batch: it is divided by 6",
    ),
    (ConstantStatistics, ["x"], ""),
]


@pytest.mark.parametrize("loss", [MSE, CrossEntropy])
@pytest.mark.parametrize(("cls", "tensors", "hint"), FLAT, ids=[cls.__name__ for cls, *_ in FLAT])
def test_a_fault_is_found_and_its_layer_named(cls, tensors, hint, loss):
    faulty = cls(6, name="culprit") if issubclass(cls, Linear) else cls(name="culprit")
    report = checked([Linear(6), faulty, Linear(6), Tanh(), Linear(6)], loss=loss())
    assert not report.right
    found = culprits(report)
    assert list(found) == ["culprit"]
    assert found["culprit"][0] == tensors
    assert hint in found["culprit"][1]


class ShiftedPool(MaxPool2d, abstract=True):
    def backward(self, dy):
        return np.roll(super().backward(dy), 1, axis=3)


class ShiftedMean(AvgPool2d, abstract=True):
    def backward(self, dy):
        return np.roll(super().backward(dy), -1, axis=2)


class EveryMaximum(MaxPool2d, abstract=True):
    """Gives dy to each of several equal maxima."""

    def backward(self, dy):
        dx = np.zeros(self.padded.shape)
        for slab, x in zip(self.slabs(dx), self.slabs(self.padded), strict=True):
            slab += to_memory(dy) * (x == to_memory(self.y))
        return from_memory(crop(dx, self.geometry))


class NoKernelFlip(Conv2d, abstract=True):
    def backward(self, dy):
        super().backward(dy)
        weight = self.weight.tensor.copy()
        self.weight.tensor = weight[:, :, ::-1]
        kept = [p.gradient.copy() for p in self.parameters]
        dx = super().backward(dy)
        for parameter, gradient in zip(self.parameters, kept, strict=True):
            parameter.gradient = gradient
        self.weight.tensor = weight
        return dx


IMAGES = [
    (lambda: ShiftedPool(2, name="culprit"), "shifted by 1 along axis 3."),
    (lambda: ShiftedPool(3, 2, name="culprit"), "shifted by 1 along axis 3."),
    (lambda: ShiftedMean(2, name="culprit"), "shifted by -1 along axis 2."),
    (lambda: EveryMaximum(2, name="culprit"), "at a tie"),
    (lambda: NoKernelFlip(3, 3, name="culprit"), ""),
]


@pytest.mark.parametrize(("make", "hint"), IMAGES)
def test_a_fault_in_images_is_found_and_its_layer_named(make, hint):
    # Behind a ReLU there are windows in which all numbers are 0.
    layers = [Conv2d(3, 3, name="before"), ReLU(), make(), Conv2d(2, 2, name="behind"), Flatten(), Linear(3)]
    found = culprits(checked(layers, (1, 9, 9)))
    assert list(found) == ["culprit"]
    assert found["culprit"][0] == ["x"]
    assert hint in found["culprit"][1]


class Overwrites(MSE, abstract=True):
    def __call__(self, predicted, target):
        predicted -= target
        return float(np.mean(predicted**2)), 2 / predicted.size * predicted


class FailingLoss(MSE, abstract=True):
    def __call__(self, predicted, target):
        raise ZeroDivisionError("nothing")


def test_a_fault_in_the_loss_is_found():
    found = culprits(checked([Linear(6), Tanh(), Linear(3)], loss=NotAMean()))
    told = "The analytic gradient is 6 times the numeric one, the samples of the batch: a 1/6 is missing."
    assert found == {"loss": (["prediction"], told)}
    assert "changes the prediction" in culprits(checked([Linear(3)], loss=Overwrites()))["loss"][1]
    assert culprits(checked([Linear(3)], loss=FailingLoss()))["loss"][1] == "it fails with ZeroDivisionError: nothing"


# What a layer has to keep to beside its gradients


class ChangesItsInput(ReLU, abstract=True):
    def forward(self, x, training=False):
        self.x = self.y = np.maximum(x, 0, out=x)
        return self.y


class ChangesDy(ReLU, abstract=True):
    def backward(self, dy):
        dy *= self.x > 0
        return dy


class ChangesY(Tanh, abstract=True):
    def backward(self, dy):
        self.y *= self.y
        return dy * (1 - self.y)


class Draws(Tanh, abstract=True):
    rng = np.random.default_rng(0)

    def forward(self, x, training=False):
        return super().forward(x + self.rng.random(x.shape))


class Forgets(Tanh, abstract=True):
    def backward(self, dy):
        super().backward(dy)


class ReturnsPair(Tanh, abstract=True):
    def backward(self, dy):
        return dy, dy


class Fails(Tanh, abstract=True):
    def backward(self, dy):
        return dy + np.zeros((2, 5, 7))


class FailsForward(Tanh, abstract=True):
    def forward(self, x, training=False):
        raise KeyError("x")


class OtherOutput(Tanh, abstract=True):
    def forward(self, x, training=False):
        return super().forward(x)[:, :-1]


class Single(Tanh, abstract=True):
    def forward(self, x, training=False):
        return super().forward(x).astype(np.float32)


class NoOutput(Tanh, abstract=True):
    def forward(self, x, training=False):
        super().forward(x)


class NotFinite(Tanh, abstract=True):
    def forward(self, x, training=False):
        return np.sqrt(super().forward(x))


class Trains(Linear, abstract=True):
    def forward(self, x, training=False):
        self.weight.tensor *= 0.9
        return super().forward(x)


CONTRACT = [
    (ChangesItsInput, "forward changes its input. Make a new array"),
    (ChangesDy, "backward changes dy, which others may read."),
    (ChangesY, "backward changes the output y, which others may read."),
    (Draws, "forward gives something else for the same input. Draw random numbers by self.random(shape)"),
    (OtherShape, "dx is an array (1, 6, 6), but x has the shape (6, 6)."),
    (Forgets, "dx is None, but x has the shape (6, 6)."),
    (ReturnsPair, "backward has to return dx, an array, not 2 values."),
    (Fails, "backward fails with ValueError: operands could not be broadcast"),
    (FailsForward, "forward fails with KeyError: 'x' (test_check.py:"),
    (OtherOutput, "forward gives the shape (6, 5), but by setup it is (6, 6)."),
    (Single, "forward has to return an array of the input's type, not float32 for an input in float64."),
    (NoOutput, "forward has to return an array of the input's type, not None."),
    (NotFinite, "forward gives NaN for random samples."),
    (lambda name: Trains(6, name=name), "forward changes its parameters, which is for the optimizer to do."),
]


@pytest.mark.parametrize(("make", "told"), CONTRACT)
def test_the_contract_of_a_layer(make, told):
    found = culprits(checked([Linear(6), make(name="culprit"), Linear(6), Tanh(), Linear(3)]))
    assert list(found) == ["culprit"]
    assert told in found["culprit"][1]


class OneOfTwo(Sum, abstract=True):
    def backward(self, dy):
        return (dy,)


class LeftTwice(Multiply, abstract=True):
    def backward(self, dy):
        return (dy * self.xs[1], dy * self.xs[1])


def test_layers_with_several_inputs():
    def two(layer):
        return [Linear(4, name="a"), Linear(4, name="b", inputs="input"), layer, Tanh()]

    found = culprits(checked(two(OneOfTwo(inputs=("a", "b"), name="culprit"))))
    assert found["culprit"][1] == "backward has to return 2 arrays, one for each input, not 1 values."
    found = culprits(checked(two(LeftTwice(inputs=("a", "b"), name="culprit"))))
    assert list(found) == ["culprit"]
    assert found["culprit"][0] == ["x (b)"]


class RemembersInItsClass(Tanh, abstract=True):
    memory: ClassVar = {}

    def forward(self, x, training=False):
        self.memory["y"] = super().forward(x)
        return self.y

    def backward(self, dy):
        return dy * (1 - self.memory["y"] ** 2)


def test_a_layer_that_is_right_alone_but_not_in_the_net_is_named():
    assert checked([Linear(6), RemembersInItsClass(), Linear(3)]).right
    layers = [Linear(6), RemembersInItsClass(name="culprit"), Linear(6), RemembersInItsClass(name="last"), Linear(3)]
    report = checked(layers)
    assert report.whole
    found = culprits(report)
    assert list(found) == ["input", "linear1", "culprit"]
    assert "Keep what it needs in self, not in the class or the module." in found["culprit"][1]


class Follows(Linear, abstract=True):
    """Its running statistic takes part in training, as in no layer of tinynet."""

    def setup(self, shape, rng):
        self.running = self.buffer("running", shape, 1.0)
        return super().setup(shape, rng)

    def forward(self, x, training=False):
        y = super().forward(x * self.running.tensor)
        self.used = self.running.tensor.copy()
        self.running.tensor += 0.1 * x.mean(axis=0)
        return y

    def backward(self, dy):
        return super().backward(dy) * self.used


def test_running_statistics_do_not_drift_within_a_check():
    report = checked([Linear(6), Follows(6), Tanh(), Linear(3)])
    assert report.right, culprits(report)


class Borrows(Tanh, abstract=True):
    """Reads another layer's output past the graph, so that no gradient comes back to it."""

    def refers(self):
        return ("lender",)

    def link(self, *layers):
        (self.lender,) = layers

    def forward(self, x, training=False):
        return super().forward(x + self.lender.y)


def test_a_gradient_that_does_not_come_back_through_the_graph_is_missed():
    stem, lender = Linear(6, name="stem"), Linear(6, name="lender", inputs="input")
    report = checked([stem, lender, Borrows(inputs="stem"), Sum(inputs=("borrows1", "lender"))])
    assert report.whole
    assert list(culprits(report)) == ["input", "lender"]


# Kinks


def compared(function, x, gradient, **settings):
    return Differences(lambda: np.array(function(x)), x, 1.0, Settings(**settings)).compare(gradient, "test")


def test_a_kink_is_no_fault_and_is_counted():
    x = np.array([0.0, 1.0, -1.0, 0.0, 0.5, -2.0])
    for slope in (0.0, 0.3, 1.0):
        gradient = np.where(x == 0, slope, x > 0)
        found = compared(lambda x: np.maximum(x, 0).sum(), x, gradient)
        assert found.verdict == "right"
        assert sum(probe.verdict == "kink" for probe in found.probes if probe.index is not None) == 2
        assert len(found.entries) == 4


@pytest.mark.parametrize("slope", [-0.01, 1.01, 5.0])
def test_no_wrong_gradient_hides_at_a_kink(slope):
    """At 0 any slope from 0 to 1 is as good as another, but no other."""
    x = np.array([0.0, 1.0, -1.0, 2.0, 0.5, -2.0])
    found = compared(lambda x: np.maximum(x, 0).sum(), x, np.where(x == 0, slope, x > 0))
    assert found.verdict == "wrong"
    assert found.worst.index == (0,)


@pytest.mark.parametrize("near", [1e-4, 1e-5, 1e-6, 3e-7, 1e-7, 5e-8, 1e-8, 1e-12])
def test_a_kink_nearby_makes_no_right_gradient_wrong_and_no_wrong_one_right(near):
    x = np.array([near, -near, 1.0, -1.0, 0.5, -2.0])
    assert compared(lambda x: np.maximum(x, 0).sum(), x, (x > 0) * 1.0).verdict == "right"
    assert compared(lambda x: np.maximum(x, 0).sum(), x, (x < 0) * 1.0).verdict == "wrong"


@pytest.mark.parametrize("near", [1e-4, 1e-5, 1e-6])
def test_no_wrong_gradient_hides_near_a_kink(near):
    """The smallest steps do not reach the kink, so that only one slope is right."""
    x = np.array([near, 0.9, 1.0, -1.0, 0.5, -2.0])
    gradient = (x > 0) * 1.0
    gradient[0] = 0.9
    found = compared(lambda x: np.maximum(x, 0).sum(), x, gradient)
    assert found.verdict == "wrong"
    assert found.worst.index == (0,)


def test_kinks_that_cancel_on_one_batch_are_no_fault():
    """relu(x - 1) - relu(1 - x) is x - 1: at 1 it shows no kink, yet both parts give it the slope 0."""
    net = Net([Linear(2), ReLU(), Linear(1, bias=False)], (1,), dtype="float64")
    weight, bias, end = net.parameters
    weight.tensor, bias.tensor, end.tensor = np.array([[1.0, -1.0]]), np.array([[-1.0, 1.0]]), np.array([[1.0], [-1.0]])
    x = np.array([[1.0], [2.0], [3.0], [-1.0], [0.5], [-2.0]])
    report = check(net, MSE(), x, np.full((6, 1), 5.0), Settings())
    assert report.right, culprits(report)


def test_a_tensor_with_hardly_anything_but_kinks_is_not_called_right():
    x = np.zeros(200)
    x[:5] = 1
    found = compared(lambda x: np.maximum(x, 0).sum(), x, (x > 0) * 1.0)
    assert found.verdict == "unclear"
    assert found.count("kink") >= 195
    x[:20] = 1
    assert compared(lambda x: np.maximum(x, 0).sum(), x, (x > 0) * 1.0).verdict == "right"


def test_numbers_are_drawn_in_place_of_kinks():
    x = np.zeros(1000)
    x[::2] = 1
    found = compared(lambda x: np.maximum(x, 0).sum(), x, (x > 0) * 1.0)
    assert len(found.entries) == ENTRIES
    assert found.count("kink") > 20


def test_a_smooth_function_with_a_strong_curve_has_no_kinks():
    x = np.linspace(-1, 1, 7)
    found = compared(lambda x: np.sin(300 * x).sum(), x, 300 * np.cos(300 * x))
    assert found.verdict == "right"
    assert found.count("kink") == 0
    assert compared(lambda x: np.sin(300 * x).sum(), x, 300.01 * np.cos(300 * x)).verdict == "wrong"


def test_what_rounding_hides_is_not_called_wrong():
    x = np.linspace(-1, 1, 7)
    gradient = np.cos(x)
    assert compared(lambda x: np.sin(x).sum() + 1e6, x, gradient, tolerance=1e-12).verdict == "unclear"
    assert compared(lambda x: np.sin(x).sum(), x, gradient).verdict == "right"
    assert compared(lambda x: np.sin(x).sum(), x, 1.00001 * gradient).verdict == "wrong"


def test_kinks_of_layers_and_losses():
    """Dropout puts zeros before a ReLU and ties before a pool; L1 and Huber have kinks or joints of their own."""
    report = checked([Linear(30), Dropout(0.5), ReLU(), Dropout(0.5), LeakyReLU(), Linear(6)])
    assert report.right, culprits(report)
    assert sum(found.count("kink") for found in report.comparisons) > 50
    for loss in (L1(), Huber(0.05)):
        layers = [Conv2d(4, 3, padding=1), ReLU(), MaxPool2d(3, 2, 1), ReLU(), MaxPool2d(2, 1), Flatten(), Linear(2)]
        report = checked(layers, (2, 8, 8), loss, entries=20)
        assert report.right, culprits(report)
    zero = np.zeros((4, 3))
    assert compared(lambda p: L1()(p, zero)[0], zero.copy(), L1()(zero, zero)[1]).verdict == "right"


# How much is compared


@pytest.mark.parametrize(("entries", "wanted"), [(7, 7), (None, 600), (1000, 600)])
def test_as_many_numbers_are_compared_as_asked_for(entries, wanted):
    net, done = Net([Linear(30), Tanh(), Linear(3)], (20,), dtype="float64"), []
    report = check(net, MSE(), *batch(net, MSE(), 4), Settings(entries=entries, notice=done.append))
    weight = {f"{part.name}.{tensor.name}": tensor for part, tensor in report.tensors}["linear1.weight"]
    for found in (weight.alone, weight.whole):
        indices = [probe.index for probe in found.probes if probe.index is not None]
        assert len(indices) == len(set(indices)) == wanted
        assert len(found.probes) == wanted + DIRECTIONS
    assert sum(done) == work(net, 4, entries) == sum(len(found.probes) for found in report.comparisons)


def test_the_result_is_a_function_of_the_seed():
    def errors(seed):
        return [found.error for found in checked([Linear(6), Tanh(), Linear(3)], seed=seed).comparisons]

    assert errors(1) == errors(1) != errors(2)


@pytest.mark.parametrize(
    ("dataset", "loss", "inside", "dtype"),
    [
        ("{Disk: {targets: sign}}", "MSE", {-1.0, 1.0}, float),
        ("{Disk: {targets: binary}}", "BinaryCrossEntropy", {0.0, 1.0}, float),
        ("Disk", "CrossEntropy", {0, 1}, int),
    ],
)
def test_random_targets_are_those_of_the_config(write, dataset, loss, inside, dtype):
    width = 1 if "binary" in dataset else 2
    text = f"dataset: {dataset}\nlayers: [Linear: {width}]\nloss: {loss}\noptimizer: SGD\n"
    parts = in_float64(tinynet.load(write(text)))
    x, target = random_batch(parts, 40)
    assert x.shape == (40, 2)
    assert set(target.ravel().tolist()) == inside
    assert np.issubdtype(target.dtype, np.integer if dtype is int else np.floating)
    parts.loss(parts.net.forward(x), target)


def test_random_targets_of_a_regression_and_of_an_autoencoder(tmp_path, write):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", **{f"{n}_{s}": rng.random((9, 3)) for n in "xy" for s in ("train", "test")})
    text = "dataset: {NPZ: {path: d.npz}}\nlayers: [Linear: 3]\nloss: MSE\noptimizer: SGD\n"
    parts = in_float64(tinynet.load(write(text)))
    x, target = random_batch(parts, 500)
    assert target.shape == (500, 3)
    assert abs(target.std() - 1) < 0.1
    for loss, low in (("MSE", -10), ("BinaryCrossEntropy", 0)):
        parts = in_float64(tinynet.load(write(text), "dataset.NPZ.targets=inputs", f"loss={loss}"))
        x, target = random_batch(parts, 100)
        np.testing.assert_array_equal(x, target)
        assert low <= x.min()
        assert (x.min() < 0) == (low < 0)


# The command


PLUGIN = '''\
import numpy as np

import tinynet


class Swish(tinynet.Layer):
    """y = x / (1 + e^-x)"""

    def forward(self, x, training=False):
        self.s = 1 / (1 + np.exp(-x))
        self.y = x * self.s
        return self.y

    def backward(self, dy):
        return dy * (self.s + self.y * (1 - self.s))
'''


@pytest.fixture
def plugin(write, request):
    """Writes a plugin with the layer Swish, parts of it replaced; it is forgotten after the test."""
    names = []

    def make(*replacement):
        components.classes("layer").pop("Swish", None)
        names.append(f"layers_of_{request.node.name}_{len(names)}")
        return write(PLUGIN.replace(*replacement) if replacement else PLUGIN, f"{names[-1]}.py")

    yield make
    components.classes("layer").pop("Swish", None)
    for name in names:
        sys.modules.pop(name, None)


def test_the_table_and_the_sentence(write, changed, cli):
    status, out, err = cli("check", write(changed()))
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "small: 4 random samples in float64, seed 0"
    assert "|analytic - numeric| / max(|analytic|, |numeric|, 1 % of the largest gradient)" in lines[1]
    assert lines[3].split() == ["gradient", "of", "shape", "alone", "whole", "net", "kinks"]
    names = "input.x linear1.x linear1.weight linear1.bias relu1.x linear2.x linear2.weight linear2.bias"
    rows = {line.split()[0]: line.split() for line in lines[4:13]}
    assert list(rows) == [*names.split(), "loss.prediction"]
    assert all(row[-1] == "ok" for row in rows.values())
    assert rows["linear1.weight"][1:3] == ["(2,", "5)"]
    assert len(rows["linear1.weight"]) == 6
    assert lines[14].startswith("All 9 gradients are right: the largest relative error is ")


def test_the_culprit_is_named_with_its_line(write, changed, cli, plugin):
    config = write(changed({"- ReLU": "- Swish"}))
    assert cli("check", config, "--plugin", plugin())[0] == 0
    status, out, err = cli("check", config, "--plugin", plugin(" + self.y * (1 - self.s)", " - self.s * 3"))
    assert (status, err) == (1, "")
    row = next(line for line in out.splitlines() if line.startswith("swish1.x"))
    assert row.endswith("WRONG")
    told = next(line for line in out.splitlines() if line.startswith(str(config)))
    assert told.startswith(f"{config}:6:5: layers[1] Swish: swish1.x: its gradient is wrong at [")
    assert "analytic" in told
    assert "numeric" in told
    assert "relative error" in told
    assert "Of 9 gradients 1 is wrong. The net as a whole is checked when no layer is wrong." in out


def test_json(write, changed, cli):
    config = write(changed())
    status, out, err = cli("check", config, "--json", "--samples", 3, "--seed", 5)
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert found["config"] == str(config)
    assert (found["samples"], found["seed"], found["tolerance"], found["right"]) == (3, 5, 1e-6, True)
    assert found["whole_net_checked"] is True
    first, second = found["gradients"][:2]
    assert (first["layer"], first["tensor"], first["shape"], first["alone"]) == ("input", "x", [3, 2], None)
    assert (second["layer"], second["kind"], second["verdict"]) == ("linear1", "Linear", "right")
    assert second["alone"]["entries"] == 6
    assert len(second["alone"]["worst"]["index"]) == 2
    assert found["derivatives"] > 100


def test_json_of_a_fault(write, changed, cli, plugin):
    config = write(changed({"- ReLU": "- Swish"}))
    file = plugin("return dy * (self.s + self.y * (1 - self.s))", "return dy.sum(0)")
    status, out, _ = cli("check", config, "--plugin", file, "--json")
    found = json.loads(out)
    assert (status, found["right"], found["whole_net_checked"]) == (1, False, False)
    (wrong,) = [row for row in found["gradients"] if row["verdict"] == "wrong"]
    assert (wrong["layer"], wrong["kind"], wrong["alone"]) == ("swish1", "Swish", None)
    assert wrong["faults"] == ["dx is an array (5,), but x has the shape (4, 5)."]


def test_every_number_and_other_options(write, changed, cli):
    config = write(changed({"Linear: 5": "Linear: 40"}))
    status, out, err = cli("check", config, "--all", "--json", "--set", "loss=MSE", "--set", "optimizer.SGD.lr=1")
    found = json.loads(out)
    assert status == 0
    weight = next(row for row in found["gradients"] if row["tensor"] == "weight")
    assert weight["whole"]["entries"] == 80
    assert found["gradients"][-1]["kind"] == "MSE"
    assert err == f"{found['derivatives']:,} derivatives, with two forward passes or more for each.\n"


def test_a_tolerance_beyond_what_differences_can_tell(write, changed, cli):
    status, out, _ = cli("check", write(changed()), "--tolerance", "1e-13")
    assert status == 1
    assert "are lost in rounding. Try --samples 8, another --seed, or a larger --tolerance." in out
    assert "WRONG" not in out
    assert " cannot be judged.\n" in out
    assert "whole" not in out.splitlines()[-2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing.yaml"], "nothing.yaml: there is no such file."),
        (["c.yaml", "--samples", "0"], "--samples"),
        (["c.yaml", "--tolerance", "0"], "--tolerance"),
        (["c.yaml", "--all", "--torch"], "--all goes with the check by differences"),
        (["c.yaml", "--set", "loss=Nope"], "'Nope' is no loss"),
        (["c.yaml", "--set", "layers[2].Linear.out_features=1"], "must be at least (2,)"),
    ],
)
def test_what_cannot_be_checked(arguments, told, write, changed, cli):
    write(changed())
    status, out, err = cli("check", *arguments)
    assert (status, out) == (2, "")
    assert told in err


def test_the_classes_above_are_not_registered():
    assert not {cls.__name__ for cls, *_ in FLAT} & set(components.classes("layer"))
    assert issubclass(NoTranspose, Layer)
