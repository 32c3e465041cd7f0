"""`tinynet explain`: what it says of shapes, counts and equations, and the numbers of a sample, there and back."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

import tinynet
from tinynet.cli.pages import COLUMNS, Code, Markdown, Page
from tinynet.common import components
from tinynet.data import mnist
from tinynet.data.own_files import CSV
from tinynet.explain.equations import Equations, written
from tinynet.explain.network import explain
from tinynet.explain.trace import Numbers, trace
from tinynet.nn.layers.convolution import Conv2d, ConvTranspose2d
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.merge import Sum
from tinynet.nn.layers.pooling import MaxPool2d
from tinynet.nn.losses import MSE
from tinynet.nn.net import Net
from tinynet.nn.walk import back_through, forward_through
from tinynet.training.builder import build_round, describe

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
LENET = ROOT / "configs" / "mnist-lenet.yaml"

# Two numbers in, one out; every weight is 0.5 and every bias 0, so that all can be worked out by hand.
BY_HAND = """\
name: hand
dataset: {NPZ: hand.npz}
layers:
  - Linear: {out_features: 2, init: 0.5, name: first}
  - ReLU
  - Linear: {out_features: 1, init: 0.5, name: last}
loss: MSE
optimizer: {SGD: 0.1}
"""

# Everything that a graph can have: a block used twice, parameters shared and frozen, sums and products.
GRAPH = """\
name: tangle
dataset: {NPZ: images.npz}
layers:
  - Conv2d: {out_channels: 4, kernel_size: 3, padding: 1, name: stem, bias: false}
  - BatchNorm
  - ReLU: {name: active}
  - Block:
      name: stage
      repeat: 2
      layers:
        - Conv2d: {out_channels: 4, kernel_size: 3, padding: same, name: conv}
        - ReLU
        - Sum: [relu1, input]
  - Block: {name: again, share: stage}
  - MaxPool2d: {kernel_size: 2, name: down}
  - MaxUnpool2d: down
  - Concat: [maxunpool2d1, active]
  - ConvTranspose2d: {out_channels: 3, kernel_size: 2, stride: 2, trainable: false}
  - GlobalAvgPool2d
  - Linear: {out_features: 6, name: twin1}
  - Linear: {out_features: 6, share: twin1, inputs: globalavgpool2d1, name: twin2}
  - Multiply: [twin1, twin2]
  - Dropout: 0.5
  - Linear: 3
loss: CrossEntropy
optimizer: {Adam: 0.01}
schedule: [{LinearWarmup: 2}, CosineLR]
"""


@pytest.fixture
def hand(write, tmp_path):
    """The config of BY_HAND; its test sample 1 is (3, -1) with the target 2."""
    x, y = np.array([[0.0, 0.0], [3.0, -1.0]]), np.array([0.5, 2.0])
    np.savez(tmp_path / "hand.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return write(BY_HAND)


@pytest.fixture
def graph(write, tmp_path):
    """The config of GRAPH, over images of 8 × 6 pixels at random."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (12, 2, 8, 6)).astype(np.uint8), np.arange(12) % 3
    np.savez(tmp_path / "images.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return write(GRAPH)


@pytest.fixture
def page(cli):
    """The text that `tinynet explain` prints."""

    def read(*arguments):
        status, out, err = cli("explain", *arguments)
        assert (status, err) == (0, "")
        return out

    return read


@pytest.fixture
def found(page):
    """The JSON that `tinynet explain` prints, with the layers by name."""

    def read(*arguments):
        out = page(*arguments, "--json")
        assert out.count("\n") == 1
        explanation = json.loads(out)
        explanation["by_name"] = {layer["name"]: layer for layer in explanation["layers"]}
        return explanation

    return read


def too_wide(text):
    return [line for line in text.splitlines() if len(line) > COLUMNS]


def fields(text, layer):
    """The fields of a layer in the text, each with its lines."""
    part = re.search(rf"^\d+\. {re.escape(layer)}\n\n((?:  .*\n)+)", text, re.MULTILINE)[1]
    entries = re.findall(r"^  (\S.*?)  +(.*\n(?:   .*\n)*)", part, re.MULTILINE)
    return {label: [line.strip() for line in lines.splitlines()] for label, lines in entries}


# Without a sample


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_explained_in_80_columns_without_opening_data(path, page, monkeypatch):
    def fail(*arguments):
        raise AssertionError("data were asked for")

    monkeypatch.setenv("TINYNET_DATA", "/nonexistent")
    for cls in components.classes("dataset").values():
        if issubclass(cls, mnist.IDX):
            monkeypatch.setattr(cls, "read", fail)
    net = build_round(config := tinynet.load(path), describe(config)).net
    text = page(path)
    assert too_wide(text) == []
    for layer, shape in zip(net.layers, net.shapes, strict=True):
        own = fields(text, layer.name)
        assert own["shape"][0].endswith(f"→ {shape}")
        assert "not given" not in " ".join(own["forward"] + own["backward"])
    assert f"{sum(p.tensor.size for p in net.parameters):,}" in text
    for line in (config.loss.cls.__name__, config.optimizer.cls.__name__, config.dataset.cls.__name__):
        assert line in text
    # Every sentence of the equations stands in it, however it is wrapped.
    for cls in (config.loss.cls, config.optimizer.cls, *map(type, net.layers)):
        said = Equations.of(cls)
        for equation in (*said.forward, *said.backward):
            assert "".join(equation.split()) in "".join(text.split())


def test_lenet_by_hand(found):
    """LeCun et al. 1998, with the sizes worked out on paper."""
    lenet = found(LENET)
    counted = [
        (layer["kind"], tuple(layer["shape"]), sum(p["count"] for p in layer["parameters"]), layer["multiply_adds"])
        for layer in lenet["layers"]
        if layer["parameters"]
    ]
    assert counted == [
        ("Conv2d", (6, 28, 28), 6 * 25 + 6, 28 * 28 * 6 * 25),
        ("Conv2d", (16, 10, 10), 16 * 6 * 25 + 16, 10 * 10 * 16 * 6 * 25),
        ("Linear", (120,), 400 * 120 + 120, 400 * 120),
        ("Linear", (84,), 120 * 84 + 84, 120 * 84),
        ("Linear", (10,), 84 * 10 + 10, 84 * 10),
    ]
    assert lenet["totals"] == {
        "layers": 12,
        "parameters": 61706,
        "trainable": 61706,
        "multiply_adds": 416520,
        "most_parameters": ["linear1"],
        "most_multiply_adds": ["conv2d2"],
    }
    assert lenet["by_name"]["conv2d1"]["arithmetic"] == "(28 + 2·2 − 5) / 1 + 1 = 28"
    names = [layer["name"] for layer in lenet["layers"]]
    assert [layer["reads"] for layer in lenet["layers"]] == [[name] for name in ["input", *names[:-1]]]
    assert [layer["feeds"] for layer in lenet["layers"]] == [[name] for name in [*names[1:], "loss"]]


def test_the_entry_of_a_layer(page):
    assert fields(page(LENET), "conv2d1") == {
        "kind": ["Conv2d: {out_channels: 6, kernel_size: 5, padding: 2}"],
        "reads": ["input"],
        "feeds": ["relu1"],
        "shape": ["(1, 28, 28) → (6, 28, 28)", "(28 + 2·2 − 5) / 1 + 1 = 28"],
        "parameters": ["156", "w = conv2d1.weight: 6·1·5·5 = 150", "b = conv2d1.bias: 6"],
        "multiply-adds": ["117,600, 150 weights at 784 places"],
        "forward": ["y[n, o, i, j] = b[o] + Σ over c, k, l of w[o, c, k, l]", "x[n, c, i + k, j + l]"],
        "backward": [
            "dw[o, c, k, l] = Σ over n, i, j of dy[n, o, i, j]",
            "x[n, c, i + k, j + l]",
            "db[o] = Σ over n, i, j of dy[n, o, i, j]",
            "dx[n, c, r, q] = Σ over o, k, l of w[o, c, k, l]",
            "dy[n, o, r - k, q - l]",
        ],
        "where": ["x (N, 1, 28, 28), w (6, 1, 5, 5), b (6), y (N, 6, 28, 28)"],
        "in general": fields(page(LENET), "conv2d1")["in general"],
    }


def test_what_holds_in_general_is_said_once_for_each_kind(page):
    text = page(LENET)
    assert "in general" in fields(text, "linear1")
    assert "in general" not in fields(text, "linear2")


def test_the_summary_names_the_settings(page, write, changed):
    text = page(write(changed({"loss: CrossEntropy": "loss: MSE\nschedule: CosineLR", "20}": "20, targets: sign}"})))
    for line in (
        "targets        2 classes as sign vectors: 0 is (-1, -1), 1 is (1, 1)",
        "optimizer      SGD: {lr: 0.1, momentum: 0, nesterov: false, weight_decay: 0}",
        "schedule       CosineLR: 2",
        "training       2 epochs in batches of 16",
        "parameters     27, all of them trainable; float32",
        "multiply-adds  20 for one sample, forward",
        "linear1 has the most parameters: 15 of 27, or 56%. linear1 and linear2 have the",
    ):
        assert line in text, line
    assert "dŷ = 2/N (ŷ - y)" in text


def test_a_graph_says_who_reads_whom(graph, found, page):
    tangle = found(graph)["by_name"]
    assert tangle["active"]["feeds"] == ["stage.1.conv", "stage.1.sum1", "concat1"]
    assert tangle["stage.2.sum1"]["reads"] == ["stage.2.relu1", "stage.1.sum1"]
    assert tangle["stage.2.sum1"]["given"] == [[4, 8, 6], [4, 8, 6]]
    assert tangle["maxunpool2d1"]["needs"] == ["down"]
    assert tangle["twin2"]["needs"] == []
    text = page(graph)
    assert too_wide(text) == []
    assert fields(text, "concat1")["where"] == ["x₁ (N, 4, 8, 6), x₂ (N, 4, 8, 6), y (N, 8, 8, 6)"]
    assert "their dx add up to the dy of" in " ".join(fields(text, "active")["feeds"])
    assert re.search(r"^18 concat1 +Concat +17, 3 +\(8, 8, 6\) +0 +0$", text, re.MULTILINE)
    assert fields(text, "stem")["where"] == ["x (N, 2, 8, 6), w (4, 2, 3, 3), y (N, 4, 8, 6)"]
    assert fields(text, "batchnorm1")["keeps"][0].startswith("running_mean, running_var")


def test_shared_and_frozen_parameters_are_named(graph, found, page):
    tangle = found(graph)
    (weight, _) = tangle["by_name"]["again.2.conv"]["parameters"]
    assert (weight["name"], weight["owner"]) == ("stage.2.conv.weight", "stage.2.conv")
    assert weight["shared_with"] == ["stage.2.conv"]
    assert tangle["by_name"]["stage.2.conv"]["parameters"][0]["shared_with"] == ["again.2.conv"]
    frozen = tangle["by_name"]["convtranspose2d1"]["parameters"]
    assert [parameter["trainable"] for parameter in frozen] == [False, False]
    totals, config = tangle["totals"], tinynet.load(graph)
    net = build_round(config, describe(config)).net
    assert totals["parameters"] == sum(p.tensor.size for p in net.parameters)
    assert totals["trainable"] == totals["parameters"] - (8 * 3 * 4 + 3)
    assert totals["most_parameters"] == ["stage.1.conv", "stage.2.conv"]
    text = page(graph)
    assert fields(text, "twin2")["parameters"][1] == "W = twin1.weight: 3·6 = 18, shared with twin1"
    assert fields(text, "convtranspose2d1")["parameters"][2] == "b = convtranspose2d1.bias: 3, frozen"
    assert re.search(r"^21 twin1 +Linear +20 +\(6,\) +24 +18$", text, re.MULTILINE)
    assert re.search(r"^22 twin2 +Linear +20 +\(6,\) +as in 21 +18$", text, re.MULTILINE)


# Equations


@pytest.mark.parametrize("cls", [cls for name, cls in components.classes("layer").items() if name != "Block"])
def test_every_layer_gives_its_equations_in_both_directions(cls):
    if not cls.__module__.startswith("tinynet"):
        pytest.skip("a layer of another test")
    said = Equations.of(cls)
    assert all("=" in equation for equation in said.forward[:1])
    assert said.backward
    assert all(re.match(r"d\w+(\[[\w, ]+\])?( =|:) ", equation) for equation in said.backward)
    assert not re.search(r"\bdx\w* (=|is)|Raises|---", said.notes)


def test_equations_of_a_docstring():
    class Whole:
        """y = u x,  u = 1/c

        x of any shape. db[i] = Σ dy, over all,
        dx = dy u. With c
        the constant.

        Raises
        ------
        ShapeError
            Never.

        Source: somewhere.

        Example: Whole
        """

    said = Equations.of(Whole)
    assert said.forward == ["y = u x", "u = 1/c"]
    assert said.backward == ["db[i] = Σ dy, over all", "dx = dy u"]
    assert (said.notes, said.source) == ("x of any shape. With c the constant.", "somewhere")


def test_a_layer_without_docstring_is_explained_too(write, changed, page):
    plugin = write(
        "import tinynet\n\n\nclass Bare(tinynet.Layer):\n    def forward(self, x, training=False):\n"
        "        return 2 * x\n\n    def backward(self, dy):\n        return 2 * dy\n",
        "bare_layer.py",
    )
    text = page(write(changed({"ReLU": "Bare"})), "--plugin", plugin, "--sample", 0)
    assert fields(text, "bare1")["backward"] == ["not given: it is what the docstring says from `dx =` on"]
    assert re.search(r"^bare1: y \(5,\): -?\d", text, re.MULTILINE)  # though it does not keep its y


@pytest.mark.parametrize(
    ("component", "everything", "text"),
    [
        (Linear(25), False, "Linear: 25"),
        (Linear(25, init="zeros", name="a"), False, "Linear: {out_features: 25, init: zeros}"),
        (Linear(2, trainable=False), False, "Linear: {out_features: 2, trainable: false}"),
        (MaxPool2d((2, 3)), False, "MaxPool2d: [2, 3]"),
        (Sum(("a", "b"), name="c"), False, "Sum: [a, b]"),
        (MSE(), True, "MSE"),
        (tinynet.Adam(lr=0.01), False, "Adam: 0.01"),
        (CSV("/a/b/t.csv", "kind"), False, "CSV: {path: t.csv, column: kind}"),
    ],
)
def test_a_component_as_a_config_writes_it(component, everything, text):
    assert written(component, everything) == text
    assert isinstance(yaml.safe_load(text), str | dict)


@pytest.mark.parametrize(
    ("layer", "shape", "loops"),
    [
        # out, channels/groups, kernel, and the pixels of the output, or for the transpose of the input
        (Conv2d(6, 3, stride=2, padding=1, groups=2), (4, 9, 9), (6, 2, 3, 3, 5, 5)),
        (Conv2d(5, (1, 4), dilation=2), (3, 6, 9), (5, 3, 1, 4, 6, 3)),
        (ConvTranspose2d(6, 3, stride=2, groups=2), (4, 5, 7), (4, 3, 3, 3, 5, 7)),
        (Linear(7), (4,), (7, 4)),
        (MaxPool2d(2), (4, 6, 6), (0,)),
    ],
)
def test_multiply_adds_are_the_turns_of_the_loops(layer, shape, loops):
    Net([layer], shape)
    assert layer.multiply_adds() == np.prod(loops)


# The plain form


@pytest.mark.parametrize("options", [{"stride": 2, "padding": 1, "groups": 2}, {"dilation": 2}])
def test_the_plain_form_that_is_shown_runs_and_is_the_layer(options):
    layer = Conv2d(4, 3, **options)
    net = Net([layer], (4, 7, 8), dtype="float64")
    config = tinynet.load(LENET)
    code = explain(build_round(config, describe(config)), "conv2d1").layers[0].plain
    assert max(map(len, code.splitlines())) <= COLUMNS - 4
    names = {"np": np}
    exec(code, names)
    x = np.random.default_rng(0).normal(size=(2, 4, 7, 8))
    g = layer.geometry
    weights = (layer.weight.tensor, layer.bias_.tensor)
    expected = names["conv2d"](x, *weights, g.stride, g.before, g.dilation, g.groups)
    np.testing.assert_allclose(net.forward(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", ["stem", "convtranspose2d1", "down", "maxunpool2d1"])
def test_a_layer_alone_shows_its_plain_form(graph, page, layer):
    text = page(graph, "--layer", layer)
    assert too_wide(text) == []
    assert "As plain loops" in text
    assert "    for " in text
    assert "in general" in fields(text, layer)
    assert "As plain loops" not in page(graph, "--layer", "twin1")


# One layer


def test_a_layer_or_a_block_alone(graph, found, page):
    for name, layers in (
        ("stage.1", ["stage.1.conv", "stage.1.relu1", "stage.1.sum1"]),
        ("again", [f"again.{i}.{local}" for i in (1, 2) for local in ("conv", "relu1", "sum1")]),
        ("twin1", ["twin1"]),
    ):
        alone = found(graph, "--layer", name, "--sample", 0)
        assert list(alone["by_name"]) == layers
        assert [passage["layer"] for passage in alone["trace"]["passages"]] == layers
    assert re.findall(r"^\d+\. (.*)$", page(graph, "--layer", "stage.2"), re.MULTILINE) == [
        "stage.2.conv",
        "stage.2.relu1",
        "stage.2.sum1",
    ]


# With a sample


def test_a_sample_by_hand(hand, found):
    """x = (3, -1), every weight 0.5: 1 twice, ReLU keeps it, ŷ = 1; L = (1 - 2)² = 1, dŷ = 2 (1 - 2) = -2."""
    seen = found(hand, "--sample", 1)["trace"]
    first, relu, last = seen["passages"]
    assert (seen["x"]["values"], seen["target"]["values"]) == ([3, -1], [2])
    assert (first["x"][0]["values"], first["y"]["values"], relu["y"]["values"]) == ([3, -1], [1, 1], [1, 1])
    assert (last["y"]["values"], seen["loss"], last["dy"]["values"]) == ([1], 1, [-2])
    weight, bias = last["parameters"]
    assert (weight["value"]["values"], bias["value"]["values"]) == ([[0.5], [0.5]], [[0]])
    assert (weight["gradient"]["values"], bias["gradient"]["values"]) == ([[-2], [-2]], [[-2]])
    assert last["dx"][0]["values"] == relu["dy"]["values"] == first["dy"]["values"] == [-1, -1]
    assert first["parameters"][0]["gradient"]["values"] == [[-3, -3], [1, 1]]
    assert seen["dx"]["values"] == [-1, -1]
    assert seen["true"] is seen["answer"] is seen["probabilities"] is None


def test_the_page_shows_the_sample_by_hand(hand, page):
    text = page(hand, "--sample", 1)
    order = [
        "input: x (2,): 3, -1",
        "first: W (2, 2)\n\n    0.5 0.5\n    0.5 0.5\n",
        "first: y (2,): 1, 1",
        "relu1: y (2,): 1, 1",
        "last: y (1,): 1",
        "value          L = 1\n",
        "target         2\n",
        "last: dy (1,): -2",
        "last: dW (2, 1)\n\n    -2\n    -2\n",
        "relu1: dy (2,): -1, -1",
        "first: dW (2, 2)\n\n    -3 -3\n     1  1\n",
        "input: dx (2,): -1, -1",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "parameters are the initial ones of seed 0" in " ".join(text.split())


def test_the_numbers_are_those_of_the_net(graph):
    """Against the net itself, and for what many layers read against the sum of what each sends back."""
    experiment = tinynet.build(tinynet.load(graph, "dtype=float64"))
    seen = trace(experiment, 5, "train")
    net, split = experiment.net, experiment.dataset.train
    x = split.x[5:6] / 255
    predicted = net.forward(x)
    loss, gradient = experiment.loss(predicted, split.labels[5:6])
    dx = net.backward(gradient)
    by_name = {passage.layer: passage for passage in seen.passages}
    assert seen.loss == pytest.approx(loss, rel=1e-6)
    assert (seen.dx.minimum, seen.dx.mean) == pytest.approx((dx.min(), dx.mean()), rel=1e-5)
    for layer in net.layers:
        passage = by_name[layer.name]
        assert (passage.y.shape, passage.y.maximum) == (layer.y.shape[1:], pytest.approx(layer.y.max(), rel=1e-5))
        for learned, parameter in zip(passage.parameters, layer.parameters, strict=True):
            assert learned.gradient.mean == pytest.approx(parameter.gradient.mean(), rel=1e-4)
    sent = by_name["stage.1.conv"].dx[0], by_name["stage.1.sum1"].dx[1], by_name["concat1"].dx[1]
    assert by_name["active"].dy.mean == pytest.approx(sum(part.mean for part in sent))


def test_dropout_passes_all_in_the_page_of_a_sample(graph, found):
    seen = {passage["layer"]: passage for passage in found(graph, "--sample", 0)["trace"]["passages"]}
    assert seen["dropout1"]["y"]["values"] == seen["multiply1"]["y"]["values"]


def test_a_net_is_left_as_it_was(graph):
    experiment = tinynet.build(tinynet.load(graph))
    before = experiment.net.vector.all_tensors.copy()
    trace(experiment, 0)
    assert not experiment.net.vector.all_gradients.any()
    np.testing.assert_array_equal(experiment.net.vector.all_tensors, before)
    assert not any({"forward", "backward"} & set(vars(layer)) for layer in experiment.net.layers)


def test_classes_and_probabilities(graph, found, page):
    seen = found(graph, "--sample", 7, "--split", "train")["trace"]
    assert (seen["split"], seen["sample"], seen["true"]) == ("train", 7, "1")
    shares = seen["probabilities"]
    assert list(shares) == ["0", "1", "2"]
    assert sum(shares.values()) == pytest.approx(1)
    assert seen["answer"] == max(shares, key=shares.get)
    assert seen["loss"] == pytest.approx(-np.log(shares["1"]), rel=1e-6)
    text = page(graph, "--sample", 7, "--split", "train")
    assert f"class          1; the net says {seen['answer']}, which is " in text
    assert too_wide(text) == []


def test_standardised_targets_are_said_to_be(write, tmp_path, page):
    rng = np.random.default_rng(0)
    rows = "\n".join(f"{a:.3f},{b:.3f},{a + 100 * b:.3f}" for a, b in rng.random((20, 2)))
    write(f"a,b,size\n{rows}\n", "t.csv")
    path = write(
        "dataset: {CSV: {path: t.csv, column: size, standardize: true, standardize_targets: true}}\n"
        "layers: [{Linear: 1}]\nloss: MSE\noptimizer: SGD\n"
    )
    assert re.search(r"value +L = [\d.e-]+, in standardised units$", page(path, "--sample", 0), re.MULTILINE)


def test_overflow_is_shown(write, changed, page, found):
    path = write(
        changed({"Linear: 5": "Linear: {out_features: 60, init: 1e+30}", "ReLU": "Multiply: [linear1, linear1]"})
    )
    assert "multiply1: y (60,): holds NaN or infinity" in page(path, "--sample", 0)
    assert found(path, "--sample", 0)["trace"]["loss"] is None


def test_a_run_is_explained_with_what_it_learned(train_run, found, page, cli):
    run, _ = train_run({}, "training.evaluate_train=true")
    for target in (run.folder, run.last_path):
        seen = found(target, "--sample", 3)
        trained = tinynet.load_checkpoint(run.best_path if target == run.folder else run.last_path)
        weight = seen["trace"]["passages"][0]["parameters"][0]["value"]["values"]
        np.testing.assert_array_equal(weight, trained.net.layers[0].weight.tensor)
    assert f"thoseofepoch2in{run.last_path}" in "".join(page(run.last_path, "--sample", 3).split())
    status, out, err = cli("explain", run.folder, "--set", "seed=1")
    assert (status, out) == (2, "")
    assert "--set changes a config" in err


def test_a_net_that_starts_from_a_run_is_explained_with_its_parameters(train_run, write, changed, found, page):
    run, _ = train_run()
    path = write(changed({"epochs: 2": f"epochs: 2\n  start_from: {run.last_path}"}))
    weight = found(path, "--sample", 0)["trace"]["passages"][0]["parameters"][0]["value"]["values"]
    np.testing.assert_array_equal(weight, tinynet.load_checkpoint(run.last_path).net.layers[0].weight.tensor)
    assert f"withthosetakenfrom{run.last_path}" in "".join(page(path, "--sample", 0).split())


def test_a_checkpoint_without_a_sample_needs_no_data(graph, cli, tmp_path, page):
    status, _, err = cli("train", graph, "--set", "training.epochs=1", "--quiet")
    assert status == 0, err
    (tmp_path / "images.npz").unlink()
    assert "stage.1.conv" in page(tmp_path / "runs" / "tangle")


# What a person types


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--layer", "linaer1"], 2, "Error: there is no layer 'linaer1'. Did you mean 'linear1'?"),
        (["--layer", "xyz"], 2, "Error: there is no layer 'xyz'. There are: linear1, relu1, linear2."),
        (["--layer", "linear"], 2, "Did you mean 'linear"),
        (["--sample", "20"], 2, "Error: there is no sample 20: those of the test split are 0 to 19"),
        (["--sample", "40", "--split", "train"], 2, "those of the train split are 0 to 39"),
        (["--sample", "-1"], 2, "--sample"),
        (["--sample", "0", "--split", "validation"], 2, "there is no validation split: `validation: 0.1`"),
        (["--split", "train"], 2, "--split says where a sample is from. Add --sample 0"),
        (["--json", "--format", "markdown"], 2, "--json and --format markdown cannot go together"),
        (
            ["--set", "optimizer.SGD.learning_rate=1"],
            2,
            "optimizer.SGD.learning_rate: no such option. Did you mean 'lr'?",
        ),
        (["--set", "layers[0].Linear.out_features=0"], 2, "out_features"),
    ],
)
def test_what_is_wrong_is_answered(cli, write, changed, arguments, status, message):
    found, out, err = cli("explain", write(changed()), *arguments)
    assert (found, out) == (status, "")
    assert message in err
    assert "Traceback" not in err


def test_the_suggestion_for_a_block(graph, cli):
    for given, meant in (("stag", "stage"), ("stage.1.", "stage.1"), ("stage.1.cnv", "stage.1.conv")):
        status, out, err = cli("explain", graph, "--layer", given)
        assert (status, out) == (2, "")
        assert f"Did you mean '{meant}" in err


def test_a_bad_config_is_answered_at_its_line(cli, write, changed):
    status, out, err = cli("explain", write(changed({"- ReLU": "- relu"})))
    assert (status, out) == (2, "")
    assert "c.yaml:6:5: layers[1]: 'relu' is no layer. Did you mean 'ReLU'?" in err
    status, out, err = cli("explain", "missing.yaml")
    assert (status, out) == (2, "")
    assert "missing.yaml: there is no such file" in err


def test_set_changes_the_network(page, write, changed):
    assert "(2,) → (7,)" in page(write(changed()), "--set", "layers[0].Linear.out_features=7")


# Pages


def cells(line):
    return re.split(r"(?<!\\)\|", line)[1:-1]


@pytest.mark.parametrize("arguments", [[], ["--sample", 1], ["--layer", "stage.1.conv", "--sample", 1]])
def test_markdown_is_well_formed(graph, page, arguments):
    text = page(graph, "--format", "markdown", *arguments)
    assert text.startswith("# tangle\n")
    outside = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "```" not in outside
    for table in re.findall(r"(?:^\|.*\n)+", outside, re.MULTILINE):
        heading, rule, *rows = table.splitlines()
        assert set(rule) <= set("|-: ")
        assert {len(cells(row)) for row in (heading, rule, *rows)} == {len(cells(heading))}
        assert rows
    assert all(
        line.startswith(("#", "|")) or "█" not in line for line in outside.splitlines() if "smallest" not in line
    )
    assert "| forward | `" in text


def test_markdown_says_the_same_as_the_text(graph, page):
    text, markdown = page(graph), page(graph, "--format", "markdown")
    plain = re.sub(r"[`\\|#]|---:?", "", markdown)
    words = "".join(text.split()).replace("═", "").replace("─", "")
    # The text cuts long names in the table of the layers; in the layers' own entries all stands in both.
    assert words[words.index("Layerbylayer") :].replace("`", "").replace("|", "") in "".join(plain.split())


def test_bars_and_stars_do_not_break_markdown():
    page = Markdown()
    page.fields([("loss", [Code("L = |a|"), "x (N, *sample), |a| < b"]), ("none", [Code("")])])
    assert str(page).splitlines() == [
        "| loss | `L = \\|a\\|` |",
        "| --- | --- |",
        "|  | x (N, \\*sample), \\|a\\| \\< b |",
        "| none |  |",
    ]


def test_text_is_broken_at_80_columns_but_not_within_brackets():
    page = Page()
    page.fields([("label", ["y = " + "a + " * 12 + "x[n, c, i + k, j + l] and more"])])
    page.text("word " * 40)
    page.heading("long " * 30, 1)
    page.table([["name" * 30, "kind", "1,000"], ["a", "b" * 50, "2"]], 2)
    assert too_wide(str(page)) == []
    assert "x[n, c, i + k, j + l]" in str(page)
    assert "…" in str(page)


# Sketches


def test_small_arrays_are_whole_and_large_ones_are_not():
    assert Numbers.of(np.arange(50.0)).values == list(range(50))
    large = Numbers.of(np.arange(-1.0, 50))
    assert large.values is None
    assert (large.minimum, large.maximum, large.mean, large.zeros) == (-1, 49, 24, pytest.approx(1 / 51))


def test_the_sketch_of_a_vector_is_bars():
    assert Numbers.of(np.arange(8.0)).sketch == ["▁▂▃▄▅▆▇█"]
    assert Numbers.of(np.repeat(np.arange(8.0), 100)).sketch == ["".join(c * 9 for c in "▁▂▃▄▅▆▇█")]
    assert Numbers.of(-np.arange(8.0), by_size=True).sketch == ["▁▂▃▄▅▆▇█"]
    assert Numbers.of(-np.arange(8.0)).sketch == ["█▇▆▅▄▃▂▁"]


def test_the_sketch_of_an_image_keeps_its_form():
    image = np.zeros((1, 28, 28))
    image[0, 14:, :14] = 1
    lines = Numbers.of(image).sketch
    assert lines == ["│" + " " * 28 + "│"] * 7 + ["│" + "█" * 14 + " " * 14 + "│"] * 7
    wide = Numbers.of(np.arange(64 * 256.0).reshape(1, 64, 256)).sketch
    assert (len(wide), len(wide[0])) == (9, 74)  # 256 / 72 pixels a character, twice that in a line


def test_the_sketch_of_channels_stands_side_by_side():
    channels = np.zeros((6, 28, 28))
    channels[1] = 1
    found = Numbers.of(channels)
    assert found.sketch == ["│" + " " * 14 + "│" + "█" * 14 + "│" + (" " * 14 + "│") * 2] * 7
    assert found.sketched == "the first 4 of 6"
    kernels = Numbers.of(np.arange(54.0).reshape(3, 2, 3, 3))
    assert kernels.sketch[0].count("│") == 7
    assert kernels.sketched == ""


def test_the_sketch_of_a_matrix_has_few_lines():
    lines = Numbers.of(np.random.default_rng(0).normal(size=(784, 128))).sketch
    assert len(lines) == 7
    assert all(len(line) == 74 for line in lines)


@pytest.mark.parametrize("array", [np.zeros((3, 9, 9)), np.ones(60), np.array([np.nan] * 60), np.array(3.0)])
def test_there_is_no_sketch_of_what_does_not_vary(array):
    found = Numbers.of(array)
    assert found.sketch == []
    assert np.isnan(found.mean) == np.isnan(array).any()


def test_the_documentation_shows_what_is_printed(page):
    text = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\$ tinynet explain disk.yaml\n(.*?)^\.\.\.$", text, re.MULTILINE | re.DOTALL)[0]
    assert shown.strip() in page(ROOT / "configs" / "disk.yaml")


def test_a_layer_whose_forward_has_no_default_and_works_in_place_is_shown_as_it_is():
    @dataclasses.dataclass(eq=False)
    class Cut(tinynet.Layer, abstract=True):
        """y = max(x, 0), in place"""

        def forward(self, x, training):
            np.maximum(x, 0, out=x)
            self.y = x
            return x

        def backward(self, dy):
            dy *= self.y > 0
            return [dy]

    net = Net([Linear(5), Cut(), Linear(2)], (2,), dtype="float64")
    x = np.array([[0.3, -0.7]])
    outputs = forward_through(net, x)
    assert (outputs[0] < 0).any()
    np.testing.assert_array_equal(outputs[1], np.maximum(outputs[0], 0))
    dys, dxs = back_through(net, np.ones((1, 2)))
    np.testing.assert_array_equal(dxs[1][0], dys[1] * (outputs[1] > 0))
    assert (dys[1] != dxs[1][0]).any()
