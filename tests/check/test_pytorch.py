"""`tinynet check --torch`: all that comes with tinynet has its twin, and the first place that differs is named."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from gradients import SAMPLE_SHAPES, example_layers

import tinynet
from tinynet.check import pytorch
from tinynet.check.batch import in_float64, random_batch
from tinynet.check.parity import compare
from tinynet.common import components
from tinynet.common.errors import ShapeError
from tinynet.nn.layers.activations import ReLU, Tanh
from tinynet.nn.layers.block import Block
from tinynet.nn.layers.dropout import Dropout
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.normalization import BatchNorm
from tinynet.nn.layers.pooling import MaxPool2d
from tinynet.nn.losses import MSE, Huber
from tinynet.nn.net import Net
from tinynet.nn.optimizers import Adam
from tinynet.nn.schedules import StepLR

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("**/*.yaml"))


@pytest.fixture
def torch():
    found = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    # Nets this small are slower on two.
    found.set_num_threads(1)
    return found


GRAPH = """\
dataset: {Disk: {targets: sign}}
layers:
  - Linear: {out_features: 6, name: left}
  - Linear: {out_features: 6, name: right, inputs: input, share: left}
  - Dropout: 0.3
  - Concat: [left, dropout1]
  - LayerNorm
  - Block: {layers: [Linear: {out_features: 12, name: inner}, Tanh: {name: act}, Sum: [act, input]], repeat: 2}
  - Linear: {out_features: 12, name: frozen, trainable: false}
  - BatchNorm
  - Reshape: [3, 2, 2]
  - Upsample: 2
  - Conv2d: {out_channels: 4, kernel_size: 3, padding: same, groups: 1}
  - MaxPool2d: {kernel_size: 2, name: down}
  - MaxUnpool2d: down
  - ConvTranspose2d: {out_channels: 2, kernel_size: 3, stride: 2, padding: 1, output_padding: 1}
  - AvgPool2d: 2
  - Dropout2d: 0.4
  - GELU
  - GlobalAvgPool2d
  - LeakyReLU: 0.2
loss: MSE
optimizer: SGD
training: {epochs: 20, batch_size: 4}
"""


@pytest.fixture
def parts(write):
    """The parts of the graph, or of another config, with overrides."""

    def make(*overrides, text=GRAPH):
        return in_float64(tinynet.load(write(text), *overrides))

    return make


def compared(parts, **options):
    return compare(parts, lambda step: random_batch(parts, 5, f"check {step}"), **options)


def test_everything_registered_has_its_twin():
    def own(kind):
        # Other tests register classes of their own.
        return {cls for cls in components.classes(kind).values() if cls.__module__.startswith("tinynet.")}

    assert set(pytorch.LAYERS) == own("layer") - {Block}
    assert set(pytorch.LOSSES) == own("loss")
    assert set(pytorch.OPTIMIZERS) == own("optimizer")
    assert set(pytorch.SCHEDULES) == own("schedule")
    for cls, names in pytorch.OPTIMIZERS.items():
        assert set(names) == {option.name for option in components.options(cls)}


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_the_same(path, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path / "data"))
    parts = in_float64(tinynet.load(path))
    found = compared(parts)
    assert found.first is None
    steps = {line.where for line in found.lines if line.kind == "step"}
    assert steps == {layer.name for layer in parts.net.layers if layer.parameters and layer.owner is None}
    assert all(line.what.endswith("after step 10") for line in found.lines if line.kind == "step")
    assert not (tmp_path / "data").exists()


OPTIMIZERS = [
    "SGD",
    "{SGD: {lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.1}}",
    "{Adam: {lr: 0.01, betas: [0.5, 0.9], weight_decay: 0.1}}",
    "{AdamW: {lr: 0.01, eps: 0.001}}",
]
SCHEDULES = ["StepLR: {step_size: 2, gamma: 0.7}", "CosineLR: 6", "CosineLR", "LinearWarmup: 5", "LinearWarmup: 1"]


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", ["MSE", "L1", "Huber: 0.3"])
def test_a_graph_with_shared_and_frozen_layers(parts, optimizer, loss):
    made = parts(f"optimizer={optimizer}", f"loss={{{loss}}}" if ":" in loss else f"loss={loss}")
    found = compared(made)
    assert found.first is None
    assert found.masks
    kinds = {line.kind for line in found.lines}
    assert kinds == {"output", "back", "gradient", "rate", "step"}
    assert len([line for line in found.lines if line.kind == "output"]) == len(made.net.layers) + 1


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("loss", ["CrossEntropy", "BinaryCrossEntropy"])
def test_losses_of_classes(parts, loss):
    targets = "dataset.Disk.targets=one_hot"
    assert compared(parts(f"loss={loss}", targets)).first is None


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("schedules", [*[[s] for s in SCHEDULES], SCHEDULES[:2], [SCHEDULES[0], SCHEDULES[3]]])
def test_schedules_and_clipping(parts, schedules):
    text = f"[{', '.join(schedules)}]"
    made = parts(f"schedule={text}", "training.clip_norm=0.05", "optimizer.SGD.lr=0.5")
    before = made.net.vector.tensor.copy()
    assert compared(made).first is None
    assert np.abs(made.net.vector.tensor - before).max() > 1e-3


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("cls", list(components.classes("layer").values()))
def test_a_layer_from_its_example_is_the_same(cls, parts):
    made, taken = parts(), 0
    for shape in SAMPLE_SHAPES:
        try:
            made.net = Net(example_layers(cls), shape, dtype="float64")
        except ShapeError:
            continue
        taken += 1
        rng = np.random.default_rng(0)
        for parameter in made.net.parameters:
            parameter.tensor += rng.uniform(-0.5, 0.5, parameter.tensor.shape)
        made.loss.sample_rank = len(made.net.output_shape)
        made.optimizer = Adam(lr=0.01)

        def batch(step, made=made, shape=shape):
            rng = np.random.default_rng(step)
            return rng.standard_normal((5, *shape)), rng.standard_normal((5, *made.net.output_shape))

        assert compare(made, batch).first is None
    assert taken


# What differs


class Half(Tanh, abstract=True):
    def forward(self, x, training=False):
        self.y = super().forward(x) / 2
        return self.y


class Twice(Tanh, abstract=True):
    def backward(self, dy):
        return 2 * super().backward(dy)


class NoBias(Linear, abstract=True):
    def backward(self, dy):
        before = self.bias_.gradient.copy()
        dx = super().backward(dy)
        self.bias_.gradient = before
        return dx


class OtherMomentum(BatchNorm, abstract=True):
    def forward(self, x, training=False):
        y = super().forward(x, training)
        self.running_var.tensor *= 1.001
        return y


class SumOfSquares(MSE, abstract=True):
    def __call__(self, predicted, target):
        value, gradient = super().__call__(predicted, target)
        return 2 * value, gradient


class TwiceTheGradient(MSE, abstract=True):
    def __call__(self, predicted, target):
        value, gradient = super().__call__(predicted, target)
        return value, 2 * gradient


def impatient(optimizer, tensor, gradient):
    """Counts a step too many from the third on."""
    optimizer.steps += optimizer.steps == 2
    optimizer.update(tensor, gradient)


class Late(StepLR, abstract=True):
    def factor(self, epoch, epochs):
        return super().factor(epoch - 1, epochs)


FAULTS = {
    "output": ("layer", Half, ("second", "output")),
    "dx": ("layer", Twice, ("first", "the gradient of its output")),
    "bias": ("layer", NoBias, ("second", "the gradient of its bias")),
    "statistics": ("layer", OtherMomentum, ("second", "its running_var after step 1")),
    "value": ("loss", SumOfSquares, ("loss", "value")),
    "gradient": ("loss", TwiceTheGradient, ("third", "the gradient of its output")),
    "optimizer": ("optimizer", impatient, ("first", "its weight after step 3")),
    "schedule": ("schedule", Late, ("learning rate", "of 20 epochs")),
}


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("name", FAULTS)
def test_the_first_place_that_differs_is_named(name, parts, monkeypatch):
    what, cls, place = FAULTS[name]
    made = parts()
    middle = Tanh(name="second")
    if what == "layer":
        middle = cls(4, name="second") if issubclass(cls, Linear) else cls(name="second")
        monkeypatch.setitem(pytorch.LAYERS, cls, pytorch.LAYERS[cls.__mro__[1]])
    elif what == "loss":
        made.loss = cls()
        monkeypatch.setitem(pytorch.LOSSES, cls, pytorch.LOSSES[MSE])
    elif what == "schedule":
        made.schedules = [cls(2)]
        monkeypatch.setitem(pytorch.SCHEDULES, cls, pytorch.SCHEDULES[StepLR])
    else:
        made.optimizer = Adam(lr=0.01)
        monkeypatch.setattr(Adam, "step", cls)
    layers = [Linear(4, name="first"), middle, Linear(2, name="third")]
    made.net = Net(layers, (2,), dtype="float64")
    first = compared(made).first
    assert (first.where, first.what) == place
    assert first.error > 1e-4


@pytest.mark.usefixtures("torch")
def test_a_parameter_that_was_changed_is_noticed(parts, monkeypatch):
    """A weight of Linear that is not turned has another shape, or in a square layer other values."""
    monkeypatch.setattr(pytorch, "turned", lambda layer, array, axes: array.reshape(-1) if axes == 1 else array)
    made = parts()
    made.net = Net([Linear(2, name="square")], (2,), dtype="float64")
    assert compared(made).first.where == "square"


@pytest.mark.usefixtures("torch")
def test_a_tighter_tolerance(parts):
    found = compared(parts(), tolerance=1e-18)
    assert found.first is not None
    assert found.first.error < 1e-12


@pytest.mark.usefixtures("torch")
def test_rounding_errors_are_no_gradients(parts):
    """A bias before BatchNorm has the gradient 0; Adam would make a whole step of its rounding error."""
    made = parts()
    made.net = Net([Linear(8, name="before"), BatchNorm(), ReLU(), Linear(2)], (2,), dtype="float64")
    made.optimizer = Adam(lr=0.1, eps=1e-20)
    found = compared(made)
    assert found.first is None
    assert found.idle == ["before.bias"]


# The command


@pytest.mark.usefixtures("torch")
def test_the_command(write, cli):
    config = write(GRAPH)
    status, out, err = cli("check", config, "--torch")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "c: 4 random samples in float64, seed 0"
    assert lines[3].split() == ["output", "gradient", "of", "output", "of", "parameters", "after", "10", "steps"]
    assert lines[4].startswith("left ")
    assert "The masks of Dropout are copied." in lines
    assert any(line.startswith("PyTorch gives the same outputs, loss, gradients and learning rates") for line in lines)


@pytest.mark.usefixtures("torch")
def test_json(write, cli, monkeypatch):
    config = write(GRAPH)
    status, out, _ = cli("check", config, "--torch", "--json", "--samples", 3)
    found = json.loads(out)
    assert (status, found["right"], found["first_difference"], found["samples"], found["steps"]) == (
        0,
        True,
        None,
        3,
        10,
    )
    assert found["comparisons"][0]["where"] == "left"
    monkeypatch.setattr(Tanh, "backward", lambda self, dy: dy)
    status, out, _ = cli("check", config, "--torch", "--json")
    found = json.loads(out)
    assert (status, found["right"], found["first_difference"]["what"]) == (1, False, "the gradient of its output")
    assert found["first_difference"]["where"] == "block1.2.inner"
    status, out, _ = cli("check", config, "--torch")
    assert status == 1
    assert "DIFFERENT from PyTorch, first in block1.2.inner, the gradient of its output: relative difference" in out


def test_without_pytorch(write, changed, cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    status, out, err = cli("check", write(changed()), "--torch")
    assert (status, out) == (1, "")
    assert err == (
        "Error: PyTorch is not installed, so there is nothing to compare with. Install it by `pip install torch`.\n"
    )


class Mine(Dropout, abstract=True):
    pass


class MyLoss(Huber, abstract=True):
    pass


@pytest.mark.usefixtures("torch")
def test_what_pytorch_lacks_is_named(parts):
    made = parts()
    layers = [MaxPool2d(3, 1, name="pool"), tinynet.MaxUnpool2d("pool", name="up"), Mine(name="own")]
    made.net, made.loss = Net(layers, (1, 5, 5), dtype="float64"), MyLoss()
    with pytest.raises(tinynet.UsageError) as caught:
        compared(made)
    assert str(caught.value) == (
        "PyTorch has nothing to compare with: layer up reads a pool with windows that overlap; layer own is a Mine; "
        "the loss is a MyLoss. Without --torch the gradients are checked by central differences."
    )
