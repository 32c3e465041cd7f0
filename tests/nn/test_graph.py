"""Graphs of layers: every mistake at its place, in YAML and in Python; order, names, and what flows along the edges."""

import copy
import itertools
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import yaml
from gradients import built, check_layer, compare, numerical_gradient, spaced

from tinynet.common import components
from tinynet.common.errors import ShapeError
from tinynet.nn.graph import LayerError
from tinynet.nn.layer import Layer
from tinynet.nn.layers.activations import ReLU, Tanh
from tinynet.nn.layers.dropout import Dropout
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.merge import Concat, Identity, Multiply, Sum
from tinynet.nn.layers.normalization import BatchNorm
from tinynet.nn.layers.pooling import MaxPool2d, MaxUnpool2d
from tinynet.nn.layers.shape import Flatten
from tinynet.nn.net import Net
from tinynet.nn.optimizers import SGD
from tinynet.training.workers import replica

CONFIG = """\
dataset: Disk
loss: MSE
optimizer: SGD
layers:
{}
"""


def net_of(layers, shape=(2,)):
    """The net of a list of layers in YAML."""
    return Net([built(layer) for layer in yaml.safe_load(layers)], shape, dtype="float64")


# Mistakes: what is written, the part of it that the problem stands at, the path and the message

CIRCLE = "the layers feed each other in a circle: "
TWO = "- Linear: {out_features: 2, name: left}\n- Linear: {out_features: 3, name: right, inputs: input}\n"
SHAPES = "(shapes: input (2,) → left (2,) → right (3,))"

MISTAKES = {
    "circle": (
        """\
- Linear: {out_features: 2, name: a, inputs: c}
- ReLU: {name: b}
- Tanh: {name: c}
- Linear: 2
""",
        "Linear: {out",
        "layers[0] Linear",
        f"{CIRCLE}a → b → c → a.",
    ),
    "circle of two, beside others": (
        """\
- Linear: {out_features: 2, name: stem}
- Sum: {inputs: [stem, back], name: sum}
- ReLU: {name: back}
- Sum: [back, stem]
""",
        "Sum: {",
        "layers[1] Sum",
        f"{CIRCLE}sum → back → sum.",
    ),
    "circle that begins with a later layer": (
        "- Linear: {out_features: 2, name: stem}\n- ReLU: {name: a, inputs: b}\n- Sum: {inputs: [stem, a], name: b}\n",
        "ReLU",
        "layers[1] ReLU",
        f"{CIRCLE}a → b → a.",
    ),
    "circle of all": (
        "- ReLU: {name: a, inputs: b}\n- ReLU: {name: b, inputs: a}\n",
        "ReLU: {name: a",
        "layers[0] ReLU",
        f"{CIRCLE}a → b → a.",
    ),
    "itself": ("- Linear: 2\n- ReLU: {name: loop, inputs: loop}\n", "ReLU", "layers[1] ReLU", f"{CIRCLE}loop → loop."),
    "misspelt name": (
        "- Linear: {out_features: 2, name: stem}\n- ReLU: {inputs: stme}\n",
        "ReLU",
        "layers[1] ReLU",
        "there is no layer 'stme'. Did you mean 'stem'?",
    ),
    "misspelt input": (
        "- Linear: {out_features: 2, inputs: Input}\n",
        "Linear",
        "layers[0] Linear",
        "there is no layer 'Input'. Did you mean 'input'?",
    ),
    "misspelt automatic name": (
        "- Linear: 2\n- Linear: 2\n- Sum: [linear_1, linear2]\n",
        "Sum",
        "layers[2] Sum",
        "there is no layer 'linear_1'. Did you mean 'linear1'?",
    ),
    "unknown name": (
        "- Linear: 2\n- ReLU: {name: active}\n- Sum: [active, zzz]\n",
        "Sum",
        "layers[2] Sum",
        "there is no layer 'zzz'. There are: linear1, active, input.",
    ),
    "name twice": (
        "- ReLU: {name: a}\n- Tanh: {name: b}\n- Linear: {out_features: 2, name: a}\n",
        "Linear",
        "layers[2] Linear",
        "there is another layer called 'a'. Give each its own name.",
    ),
    "automatic name taken": (
        "- Linear: {out_features: 2, name: linear2}\n- Linear: 2\n- Linear: 3\n",
        "Linear: 3",
        "layers[2] Linear",
        "there is another layer called 'linear2'. Give each its own name.",
    ),
    "the input's name": (
        "- Linear: 2\n- ReLU: {name: input}\n",
        "ReLU",
        "layers[1] ReLU",
        "the name 'input' is that of the net's own input. Choose another.",
    ),
    "an output that nobody uses": (
        "- Linear: {out_features: 2, name: idle}\n- Linear: {out_features: 2, inputs: input}\n- ReLU\n",
        "Linear: {out_features: 2, name",
        "layers[0] Linear",
        "no layer reads the output of 'idle'. The net ends in 'relu1': join the two, as in `Sum: [idle, relu1]`, "
        "or remove the layer.",
    ),
    "two ends": (
        "- Linear: {out_features: 2, name: stem}\n- Tanh: {name: one}\n- ReLU: {name: other, inputs: stem}\n",
        "Tanh",
        "layers[1] Tanh",
        "no layer reads the output of 'one'. The net ends in 'other': join the two, as in `Sum: [one, other]`, "
        "or remove the layer.",
    ),
    "no inputs": (
        "- Linear: 2\n- ReLU: {inputs: []}\n",
        "ReLU",
        "layers[1] ReLU",
        "inputs is empty. Name one layer or more, or leave it out for the layer before.",
    ),
    "no inputs of a sum": ("- Linear: 2\n- Sum: []\n", "Sum", "layers[1] Sum", "inputs is empty. Name one layer"),
    "two inputs for one": (
        TWO + "- ReLU: {inputs: [left, right]}\n",
        "ReLU",
        "layers[2] ReLU",
        "takes one input, but gets 2: left, right. Join them before it, as in `Sum: [left, right]`.",
    ),
    "a sum of the layer before": (
        "- Linear: 2\n- Sum\n",
        "Sum",
        "layers[1] Sum",
        "needs two inputs or more. Name them, as in `Sum: {inputs: [left, right]}`. "
        "(shapes: input (2,) → linear1 (2,))",
    ),
    "a product of one": ("- Multiply: input\n", "Multiply", "layers[0] Multiply", "needs two inputs or more."),
    "a sum of two shapes": (
        TWO + "- Sum: [left, right]\n",
        "Sum",
        "layers[2] Sum",
        f"needs inputs of one shape, but gets (2,) from layers[0] Linear and (3,) from layers[1] Linear. {SHAPES}",
    ),
    "a sum of three, the second of another shape": (
        TWO + "- Sum: [left, right, left]\n",
        "Sum",
        "layers[2] Sum",
        "needs inputs of one shape, but gets (2,) from layers[0] Linear and (3,) from layers[1] Linear and (2,) from ",
    ),
    "a product with the input": (
        "- Linear: 3\n- Multiply: [input, linear1]\n",
        "Multiply",
        "layers[1] Multiply",
        "needs inputs of one shape, but gets (2,) from the dataset and (3,) from layers[0] Linear. "
        "(shapes: input (2,) → linear1 (3,))",
    ),
    "no such axis": (
        TWO + "- Concat: {inputs: [left, right], axis: 1}\n",
        "Concat",
        "layers[2] Concat",
        "has no axis 1 to join along: gets (2,) from layers[0] Linear and (3,) from layers[1] Linear. " + SHAPES,
    ),
    "another axis differs": (
        TWO + "- Reshape: {shape: [1, 2], inputs: left, name: l}\n- Reshape: {shape: [1, 3], inputs: right, name: r}\n"
        "- Concat: [l, r]\n",
        "Concat",
        "layers[4] Concat",
        "needs inputs that differ along axis 0 only, but gets (1, 2) from layers[2] Reshape and (1, 3) from "
        "layers[3] Reshape. (shapes: input (2,) → left (2,) → right (3,) → l (1, 2) [2 = 1 · 2] → r (1, 3) "
        "[3 = 1 · 3])",
    ),
    "the second of three differs along another axis": (
        TWO + "- Reshape: {shape: [1, 2], inputs: left, name: l}\n- Reshape: {shape: [1, 3], inputs: right, name: r}\n"
        "- Concat: [l, r, l]\n",
        "Concat",
        "layers[4] Concat",
        "needs inputs that differ along axis 0 only, but gets (1, 2) from layers[2] Reshape and (1, 3) from ",
    ),
    "other ranks": (
        TWO + "- Reshape: {shape: [1, 3], name: r}\n- Concat: [left, r]\n",
        "Concat",
        "layers[3] Concat",
        "needs inputs that differ along axis 0 only, but gets (2,) from layers[0] Linear and (1, 3)",
    ),
    "a layer after a branch": (
        TWO + "- Reshape: {shape: [3, 1], name: r}\n- Linear: 2\n- Sum: [left, linear1]\n",
        "Linear: 2\n",
        "layers[3] Linear",
        "needs a flat input, but gets (3, 1) from layers[2] Reshape. Put Flatten before it. "
        "(shapes: input (2,) → right (3,) → r (3, 1) [3 = 3 · 1])",
    ),
    "a pool that comes after": (
        "- MaxUnpool2d: {pool: down, inputs: input}\n- MaxPool2d: {kernel_size: 1, name: down}\n",
        "MaxUnpool2d",
        "layers[0] MaxUnpool2d",
        "'maxunpool2d1' refers to 'down', which comes after it: maxunpool2d1 → down → maxunpool2d1. "
        "Let the later layer name the earlier one.",
    ),
    "the input is no pool": ("- MaxUnpool2d: input\n", "MaxU", "layers[0] MaxUnpool2d", "there is no layer 'input'."),
}

every_mistake = pytest.mark.parametrize(("layers", "at", "path", "message"), MISTAKES.values(), ids=MISTAKES)


def place(text, part):
    """line:column of the first occurrence of a part of the text, as an editor counts."""
    before = text[: text.index(part)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


@every_mistake
def test_a_mistake_is_one_line_at_its_place_in_the_file(problems, layers, at, path, message):
    text = CONFIG.format(layers)
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"c.yaml:{place(text, at)}: {path}: {message}"), found[0]


@every_mistake
def test_a_mistake_in_python_has_the_same_words_and_the_place(layers, at, path, message):
    with pytest.raises(LayerError) as caught:
        net_of(layers)
    assert str(caught.value).startswith(message)
    index, name = caught.value.place[0], path.split()[-1]
    assert path == f"layers[{index}] {name}"
    assert list(yaml.safe_load(layers)[index]) == [name] or yaml.safe_load(layers)[index] == name


@pytest.mark.parametrize("inputs", [3, "[a, 3]", "{a: b}", "true", "[[a]]"])
def test_inputs_are_names(problems, inputs):
    found = problems(CONFIG.format(f"- Linear: 2\n- ReLU: {{inputs: {inputs}}}\n"))
    assert len(found) == 1, found
    assert found[0].startswith("c.yaml:6:10: layers[1].ReLU.inputs: must be a text or [a text, ...] or null, not ")


def test_a_problem_of_the_end_stands_at_the_end_not_at_the_last_line(problems):
    head, stem = (
        "Linear: {out_features: 7, name: head, inputs: stem}",
        "Linear: {out_features: 3, name: stem, inputs: input}",
    )
    text = CONFIG.format(f"- {head}\n- {stem}").replace("Disk", "{Disk: {targets: sign}}")
    (found,) = problems(text)
    assert found.startswith("c.yaml:5:3: layers[0] Linear: gives an output of (7,), but ")
    text = CONFIG.format(f"- Softmax: {{inputs: head}}\n- {head}\n- {stem}").replace("MSE", "CrossEntropy")
    (found,) = problems(text)
    assert found.startswith("c.yaml:5:3: layers[0] Softmax: CrossEntropy takes logits")


# Any order

DIAMOND = [
    "Linear: {out_features: 3, name: stem, inputs: input}",
    "Tanh: {name: left, inputs: stem}",
    "Linear: {out_features: 3, name: right, inputs: stem}",
    "Sum: {inputs: [left, right], name: join}",
    "Linear: {out_features: 2, name: head, inputs: join}",
]


def test_layers_stand_in_any_order():
    x, found = spaced((4, 2)), set()
    for order in itertools.permutations(DIAMOND):
        net = net_of("\n".join(f"- {layer}" for layer in order))
        y = net.forward(x)
        dx = net.backward(spaced(y.shape, 1))
        gradients = {p.name: p.gradient.tobytes() for p in net.parameters}
        found.add((y.tobytes(), dx.tobytes(), *sorted(gradients.items())))
        assert (net.layers[0].name, net.layers[-1].name, net.output_shape) == ("stem", "head", (2,))
    assert len(found) == 1


def test_the_order_of_the_file_stays_where_it_can():
    net = Net([ReLU(), Linear(3), Tanh(inputs="input", name="side"), Linear(3), Sum(["linear1", "linear2"])], (3,))
    assert [layer.name for layer in net.layers] == ["relu1", "linear1", "side", "linear2", "sum1"]
    late = [ReLU(name="a", inputs="late"), Tanh(name="b", inputs="input"), Tanh(name="late"), Sum(["a", "b", "late"])]
    net = Net(late, (3,))
    assert [layer.name for layer in net.layers] == ["b", "late", "a", "sum1"]
    assert [node.place for node in net.graph.nodes] == [(1,), (2,), (0,), (3,)]


def test_without_inputs_a_layer_reads_the_one_before_it_in_the_file():
    net = Net([Tanh(inputs="z"), Linear(2), Linear(3, name="z", inputs="input")], (2,))
    assert [layer.name for layer in net.layers] == ["z", "tanh1", "linear1"]
    assert [node.sources for node in net.graph.nodes] == [[-1], [0], [1]]
    assert net.graph.is_chain


def test_one_name_may_stand_in_a_list():
    net = Net([Linear(3, inputs=["input"]), Tanh(inputs=("linear1",))], (2,))
    assert net.graph.is_chain
    assert net.forward(np.ones((4, 2))).shape == (4, 3)


@pytest.mark.parametrize(
    ("layers", "is_chain"),
    [
        ([Linear(2), Tanh(), Linear(2)], True),
        ([Linear(2), Tanh(inputs="linear1"), Linear(2)], True),
        ([Linear(2), Sum(["input", "linear1"])], False),
        ([Linear(2), Sum(["linear1", "linear1"])], False),
    ],
)
def test_which_graphs_are_chains(layers, is_chain):
    assert Net(layers, (2,)).graph.is_chain == is_chain


# Along the edges, by hand

X = np.array([[1.0, 2], [-3, 4]])
DY = np.array([[10.0, 20], [30, 40]])


def run(layers, x=X, dy=DY):
    """Output and gradient of the input."""
    net = Net(layers, x.shape[1:], dtype="float64")
    y = net.forward(x)
    return y, net.backward(np.broadcast_to(dy, y.shape) if dy.shape != y.shape else dy)


@pytest.mark.parametrize(
    ("layers", "y", "dx"),
    [
        ([Sum(["input", "input"])], 2 * X, 2 * DY),
        ([Sum(["input"] * 5)], 5 * X, 5 * DY),
        ([Multiply(["input", "input"])], X**2, 2 * X * DY),
        ([Multiply(["input"] * 3)], X**3, 3 * X**2 * DY),
        ([ReLU(), Sum(["relu1", "input"])], [[2, 4], [-3, 8]], [[20, 40], [30, 80]]),
        ([ReLU(), Multiply(["relu1", "input", "relu1"])], [[1, 8], [0, 64]], [[30, 240], [0, 1920]]),
        ([Identity(name="a"), Identity(inputs="input", name="b"), Sum(["a", "b", "input"])], 3 * X, 3 * DY),
    ],
    ids=["sum of two", "sum of five", "square", "cube", "beside it", "product", "three branches"],
)
def test_a_layer_that_reads_the_same_again(layers, y, dx):
    found = run(layers)
    np.testing.assert_allclose(found[0], y, rtol=1e-14)
    np.testing.assert_allclose(found[1], dx, rtol=1e-14)


def test_concat_puts_one_behind_the_other_and_its_gradient_apart():
    net = Net([ReLU(name="r"), Concat(["input", "r", "input"])], (2,), dtype="float64")
    np.testing.assert_array_equal(net.forward(X), [[1, 2, 1, 2, 1, 2], [-3, 4, 0, 4, -3, 4]])
    dx = net.backward(np.array([[1.0, 2, 10, 20, 100, 200], [1, 2, 10, 20, 100, 200]]))
    np.testing.assert_array_equal(dx, [[111, 222], [101, 222]])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concat_along_any_axis_of_images(axis):
    shapes = [[2, 3, 4] for _ in range(3)]
    for size, shape in zip((1, 5, 2), shapes, strict=True):
        shape[axis] = size
    xs, layer = [spaced((3, *shape), seed) for seed, shape in enumerate(shapes)], Concat(["a", "b", "c"], axis=axis)
    shape = layer.setup(*map(tuple, shapes), rng=np.random.default_rng(0))
    y = layer.forward(*xs)
    np.testing.assert_array_equal(y, np.concatenate(xs, axis + 1))
    assert (y.shape, layer.arithmetic()) == ((3, *shape), "1 + 5 + 2 = 8")
    check_layer(layer, *xs)


@pytest.mark.parametrize("cls", [Sum, Multiply])
def test_merges_of_many(cls):
    xs, layer = [spaced((3, 2, 2), seed) for seed in range(4)], cls(["a", "b", "c", "d"])
    xs[1][0] = 0  # where a quotient y / x would fail
    assert layer.setup(*[(2, 2)] * 4, rng=np.random.default_rng(0)) == (2, 2)
    expected = sum(xs) if cls is Sum else np.prod(xs, axis=0)
    np.testing.assert_allclose(layer.forward(*xs), expected, rtol=1e-13)
    check_layer(layer, *xs)


def test_gradients_add_up_where_an_output_is_read_by_many():
    layers = [Linear(1, name="w"), Identity(name="a"), Identity(name="b", inputs="w"), Sum(["w", "a", "b", "w"])]
    net = Net(layers, (1,), dtype="float64")
    weight, bias = net.parameters
    weight.tensor, bias.tensor = [[3]], [[1]]
    np.testing.assert_array_equal(net.forward([[2], [5]]), [[28], [64]])
    dx = net.backward(np.array([[1.0], [10]]))
    # Each way to the output carries dy, and there are four of them.
    np.testing.assert_array_equal(dx, [[12], [120]])
    np.testing.assert_array_equal(weight.gradient, [[4 * (1 * 2 + 10 * 5)]])
    np.testing.assert_array_equal(bias.gradient, [[44]])


def test_the_figure_of_bigoni_and_ripamonti_by_central_differences():
    layers = [Linear(5), Tanh(), Linear(4, name="n2"), Tanh(name="last")]
    layers += [Linear(4, name="beside", inputs="input"), Sum(["last", "beside"], name="sum")]
    net, x, dy = Net(layers, (3,), dtype="float64"), spaced((6, 3)), spaced((6, 4), 1)
    net.forward(x)
    compare("dx", net.backward(dy), numerical_gradient(lambda: net.forward(x), x, dy))
    for parameter in net.parameters:
        expected = numerical_gradient(lambda: net.forward(x), parameter.tensor, dy)
        compare(parameter.name, parameter.gradient, expected)


def test_backward_adds_to_the_gradients_and_leaves_what_it_is_given():
    net = net_of("\n".join(f"- {layer}" for layer in DIAMOND))
    x = spaced((4, 2))
    dy, before = spaced((4, 2), 1), spaced((4, 2), 1)
    y = net.forward(x)
    kept = [y.copy(), *(layer.y.copy() for layer in net.layers)]
    net.backward(dy)
    once = net.vector.gradient.copy()
    net.backward(dy)
    np.testing.assert_allclose(net.vector.gradient, 2 * once, rtol=1e-14)
    np.testing.assert_array_equal(dy, before)
    for array, old in zip([y, *(layer.y for layer in net.layers)], kept, strict=True):
        np.testing.assert_array_equal(array, old)


# What training leaves out


def test_a_gradient_without_the_input_is_the_same():
    # `first` gives no dx where it learns first; the sum gives one for the input all the same.
    for branch in ("input", "linear"):
        layers = [Linear(2, name="first"), Linear(2, name="linear", inputs="input"), Tanh(inputs="first", name="act")]
        layers += [Sum(["act", branch, "linear"]), Concat(["sum1", "input", "first"])]
        net = Net(layers, (2,), dtype="float64")
        dy = spaced(net.forward(X).shape, 1)
        assert net.backward(dy).shape == X.shape
        whole = net.vector.gradient.copy()
        net.zero_grad()
        net.forward(X)
        assert net.backward(dy, to_input=False) is None
        np.testing.assert_array_equal(net.vector.gradient, whole)


def never(dy):
    raise AssertionError("its backward is of no use")


@pytest.mark.parametrize("first", [True, False], ids=["before what learns", "after it"])
def test_a_branch_that_does_not_learn_is_left_out(monkeypatch, first):
    fixed = [Linear(2, trainable=False, inputs="input", name="fixed"), Tanh(name="t")]
    learns = [Linear(2, inputs="input", name="learns")]
    layers = [*fixed, *learns] if first else [*learns, *fixed]
    net = Net([*layers, Sum(["t", "learns", "input"]), Linear(2)], (2,), dtype="float64")
    net.forward(X)
    net.backward(DY)
    gradient = net.vector.gradient.copy()
    net.zero_grad()
    for layer in fixed:
        monkeypatch.setattr(layer, "backward", never)
    net.backward(DY, to_input=False)
    np.testing.assert_array_equal(net.vector.gradient, gradient)
    assert [layer.needs_dx for layer in learns] == [False]
    with pytest.raises(AssertionError, match="of no use"):
        net.backward(DY)


def test_a_graph_trains():
    layers = [Linear(8), Tanh(name="a"), Linear(8, inputs="input"), Multiply(["a", "linear2"]), Linear(1)]
    net, optimizer, x = Net(layers, (2,), dtype="float64"), SGD(lr=0.3), spaced((20, 2))
    target = x[:, :1] * x[:, 1:]
    losses = []
    for _ in range(300):
        error = net.forward(x, training=True) - target
        losses.append(float((error**2).mean()))
        net.backward(2 * error / error.size, to_input=False)
        net.update(optimizer)
    assert losses[-1] < losses[0] / 50


# Copies


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), replica])
def test_a_copy_of_a_graph_computes_the_same_and_apart(copied):
    net = net_of("\n".join(f"- {layer}" for layer in reversed(DIAMOND)))
    other = copied(net)
    x, dy = spaced((4, 2)), spaced((4, 2), 1)
    y = net.forward(x)
    outputs = [layer.y for layer in net.layers]
    np.testing.assert_array_equal(other.forward(x), y)
    other.forward(-x)
    assert all(layer.y is y for layer, y in zip(net.layers, outputs, strict=True))
    net.backward(dy)
    assert not other.vector.gradient.any()
    other.forward(x)
    other.backward(dy)
    np.testing.assert_array_equal(other.vector.gradient, net.vector.gradient)
    assert not set(map(id, other.layers)) & set(map(id, net.layers))


# A pool that a layer refers to


def test_an_unpool_in_any_order_beside_its_pool():
    layers = [
        MaxUnpool2d("down", inputs="mid"),
        Tanh(name="mid", inputs="down"),
        MaxPool2d(2, name="down", inputs="input"),
    ]
    net, chain = Net(layers, (1, 4, 4)), Net([MaxPool2d(2), Tanh(), MaxUnpool2d("maxpool2d1")], (1, 4, 4))
    x = spaced((3, 1, 4, 4))
    np.testing.assert_array_equal(net.forward(x), chain.forward(x))
    np.testing.assert_array_equal(net.backward(x.astype("f4")), chain.backward(x.astype("f4")))
    assert [layer.name for layer in net.layers] == ["down", "mid", "maxunpool2d1"]
    assert [node.partners for node in net.graph.nodes] == [[], [], [0]]


# Looking at it


def test_the_summary_of_a_graph():
    layers = [Linear(4, name="stem"), Linear(4, name="twin", inputs="input", share="stem"), Sum(["stem", "twin"])]
    net = Net([*layers, Sum(["sum1", "twin"]), BatchNorm(trainable=False), Linear(3)], (2,))
    assert net.summary().splitlines() == [
        "name        layer      inputs      output  parameters",
        "input                              (2,)",
        "stem        Linear                 (4,)    12",
        "twin        Linear     input       (4,)    those of stem",
        "sum1        Sum        stem, twin  (4,)    0",
        "sum2        Sum        sum1, twin  (4,)    0",
        "batchnorm1  BatchNorm              (4,)    8 (frozen)",
        "linear1     Linear                 (3,)    15",
        "35 parameters, 27 of them trainable",
    ]


@pytest.mark.parametrize("names", [["flat", "input"], ["input", "flat"]])
def test_one_input_without_the_axis_to_join_along_is_enough(names):
    with pytest.raises(LayerError, match=r"has no axis 1 to join along: gets \(.*\) from .* and \(.*\) from "):
        Net([Flatten(name="flat"), Concat(names, axis=1)], (2, 3))


def test_of_several_layers_that_nobody_reads_the_first_is_told():
    with pytest.raises(LayerError, match="no layer reads the output of 'a'") as caught:
        Net([*[Tanh(name=name, inputs="input") for name in "abc"]], (2,))
    assert caught.value.place == (0,)


def test_ancestors():
    net = net_of("\n".join(f"- {layer}" for layer in DIAMOND))
    assert [net.graph.ancestors(index) for index in range(5)] == [[], [0], [0], [0, 1, 2], [0, 1, 2, 3]]


def test_ancestors_come_in_their_order():
    # Numbers in a set are not in order by themselves: 8 would come before 1.
    names = [f"t{index}" for index in range(9)]
    net = Net([*[Tanh(name=name, inputs="input") for name in names], Sum(["t8", "t1"]), Sum([*names, "sum1"])], (2,))
    assert net.graph.ancestors(9) == [1, 8]


# A person's own layers


@pytest.fixture
def own(monkeypatch):
    """A layer with two named inputs, one with any number of them, and one that compares as its fields do."""
    for name in ("Gate", "Mean", "Scale"):
        monkeypatch.setitem(components.classes("layer"), name, None)

    class Gate(Layer):
        def setup(self, value, gate, rng):
            return value

        def forward(self, value, gate, training=False):
            self.x, self.gate, self.y = value, gate, value * gate
            return self.y

        def backward(self, dy):
            return dy * self.gate, dy * self.x

    class Mean(Layer):
        def setup(self, *shapes, rng):
            return shapes[0]

        def forward(self, *xs, training=False):
            self.xs, self.training, self.y = xs, training, sum(xs) / len(xs)
            return self.y

        def backward(self, dy):
            return (dy / len(self.xs),) * len(self.xs)

    @dataclass
    class Scale(Layer):
        factor: float = 2.0

        def forward(self, x, training=False):
            self.x, self.y = x, self.factor * x
            return self.y

        def backward(self, dy):
            return self.factor * dy

    return Gate, Mean, Scale


def test_own_layers_with_several_inputs(own):
    gate, mean, _ = own
    y, dx = run([Tanh(name="t"), gate(inputs=["input", "t"])])
    np.testing.assert_allclose(y, X * np.tanh(X), rtol=1e-14)
    np.testing.assert_allclose(dx, DY * (np.tanh(X) + X * (1 - np.tanh(X) ** 2)), rtol=1e-14)
    for inputs in (["input"], ["input", "input"], ["input"] * 3):
        y, dx = run([mean(inputs=inputs)])
        np.testing.assert_allclose(y, X, rtol=1e-14)
        np.testing.assert_allclose(dx, DY, rtol=1e-14)
    y, _ = run([ReLU(), mean(), Linear(2), mean(inputs=["linear1", "relu1"])])
    assert y.shape == X.shape


@pytest.mark.parametrize("inputs", [["input"], ["input", "input"]])
def test_training_is_handed_to_every_layer_of_a_graph(own, inputs):
    net = Net([own[1](inputs=inputs), Dropout(0.5), Sum(["dropout1", "input"])], (50,))
    x = np.ones((20, 50), "f4")
    for training in (True, False):
        y = net.forward(x, training)
        assert net.layers[0].training is training
        assert np.mean(y == 2) == (0 if training else 1)


def test_an_own_layer_with_the_wrong_number_of_inputs(own):
    with pytest.raises(LayerError) as caught:
        Net([ReLU(), own[0]()], (2,))
    assert str(caught.value) == "takes 2 inputs (value, gate), but gets 1: relu1."
    assert caught.value.place == (1,)
    with pytest.raises(LayerError, match=r"takes 2 inputs \(value, gate\), but gets 3: a, input, a\."):
        Net([ReLU(name="a"), own[0](inputs=["a", "input", "a"])], (2,))


def test_an_own_layer_with_a_first_input_and_others():
    class Weighted(Layer, abstract=True):
        def setup(self, first, *others, rng):
            return first

        def forward(self, first, *others, training=False):
            self.y = first * sum(others)
            return self.y

    for count in (1, 2, 3):
        net = Net([Tanh(name="t"), Weighted(inputs=["t", *["input"] * count])], (2,), dtype="float64")
        np.testing.assert_allclose(net.forward(X), count * X * np.tanh(X), rtol=1e-14)


@pytest.mark.parametrize("before", [0, 2])
def test_a_setup_that_gives_no_shape(before):
    class Shapeless(Layer, abstract=True):
        def setup(self, shape, rng):
            return list(shape)

    with pytest.raises(LayerError) as caught:
        Net([*[Tanh() for _ in range(before)], Shapeless(name="own"), Tanh()], (2,))
    assert str(caught.value) == "own: setup has to return the shape of its output, not [2]"
    assert caught.value.place == (before,)


def test_layers_are_not_compared(own):
    # They compare as their fields do: equal, or, with arrays in them, not at all.
    net = Net([own[2](name="a"), own[2](name="b", inputs="input"), Sum(["a", "b"])], (2,))
    assert net.forward(X).tolist() == (4 * X).tolist()
    with pytest.raises(ShapeError, match="needs a flat input"):
        Net([own[2](), own[2](), Linear(2)], (2, 2))
