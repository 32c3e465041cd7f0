"""Blocks: a piece of a net written once; names, copies, what they read and share, and what a config does with them."""

import copy
import json
import pickle

import numpy as np
import pytest
import yaml
from gradients import built, spaced
from json_schema import conforms

import tinynet
from tinynet.common.errors import ConfigError, OptionError
from tinynet.config.config import from_json, parse
from tinynet.config.schema import json_schema
from tinynet.nn.graph import LayerError
from tinynet.nn.layers.activations import ReLU, Tanh
from tinynet.nn.layers.block import Block
from tinynet.nn.layers.convolution import Conv2d
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.merge import Concat, Identity, Sum
from tinynet.nn.layers.pooling import MaxPool2d, MaxUnpool2d
from tinynet.nn.net import Net
from tinynet.nn.optimizers import SGD
from tinynet.training.workers import replica

CONFIG = """\
name: blocks
dataset:
  Disk: {{train: 40, test: 20}}
loss: CrossEntropy
optimizer: {{SGD: {{lr: 0.1, momentum: 0.9}}}}
training: {{epochs: 2, batch_size: 16}}
layers:
{}
"""
RESIDUAL = """\
- Linear: {out_features: 4, name: stem}
- Block:
    name: stage
    repeat: 3
    layers:
      - Linear: 4
      - Tanh
      - Linear: {out_features: 4, name: last}
      - Sum: [input, last]
- Linear: 2
"""


def net_of(*layers, shape=(2,), dtype="float64"):
    return Net(layers, shape, dtype=dtype)


def names(net):
    return [layer.name for layer in net.layers]


# Names and copies


def test_names_begin_with_the_block_and_the_copy():
    net = net_of(Linear(3), Block([Linear(3), Tanh(), Linear(3, name="out")], repeat=2, name="stage"), Linear(2))
    inside = ["linear1", "tanh1", "out"]
    assert names(net) == ["linear1", *(f"stage.{i}.{name}" for i in (1, 2) for name in inside), "linear2"]
    assert [p.name for p in net.parameters][2:4] == ["stage.1.linear1.weight", "stage.1.linear1.bias"]
    # Each copy begins with numbers of its own.
    one, other = net.layers[1].parameters[0], net.layers[4].parameters[0]
    assert not np.isin(one.tensor, other.tensor).any()


def test_blocks_without_a_name_are_counted():
    net = net_of(Block([Tanh()]), Block([ReLU()], name="b"), Block([Tanh(), Block([Tanh()])]))
    assert names(net) == ["block1.1.tanh1", "b.1.relu1", "block2.1.tanh1", "block2.1.block1.1.tanh1"]


def test_nested_blocks_multiply():
    inner = Block([Linear(2), Tanh()], repeat=2, name="b")
    net = net_of(Block([inner, ReLU()], repeat=3, name="a"))
    assert names(net) == [
        name
        for i in (1, 2, 3)
        for name in (*(f"a.{i}.b.{j}.{layer}" for j in (1, 2) for layer in ("linear1", "tanh1")), f"a.{i}.relu1")
    ]
    assert net.graph.is_chain


def test_a_block_of_layers_in_a_row_is_a_chain_and_computes_as_one():
    block = net_of(Block([Linear(3), Tanh()], repeat=2, name="s"), Linear(2))
    plain = net_of(Linear(3), Tanh(), Linear(3), Tanh(), Linear(2))
    assert block.graph.is_chain
    plain.vector.tensor[:] = block.vector.tensor
    np.testing.assert_array_equal(block.forward(spaced((4, 2))), plain.forward(spaced((4, 2))))


def test_a_residual_block_is_its_equation():
    net = Net([built(layer) for layer in yaml.safe_load(RESIDUAL)], (3,), dtype="float64")
    values = {p.name: p.tensor for p in net.parameters}

    def linear(name, x):
        return x @ values[f"{name}.weight"] + values[f"{name}.bias"]

    x = spaced((5, 3))
    y = linear("stem", x)
    for i in (1, 2, 3):
        y = y + linear(f"stage.{i}.last", np.tanh(linear(f"stage.{i}.linear1", y)))
    np.testing.assert_allclose(net.forward(x), linear("linear1", y), rtol=1e-13)
    assert len(net.parameters) == 16


# What `input` and other names mean inside


def test_input_is_the_input_of_the_copy():
    # x → 2x → 4x → 8x, and beside it 3x.
    net = net_of(Block([Sum(["input", "input"])], repeat=3, name="b"), Sum(["input"] * 3), Sum(["b", "sum1"]))
    x = spaced((4, 2))
    np.testing.assert_allclose(net.forward(x), 11 * x, rtol=1e-14)
    np.testing.assert_allclose(net.backward(x), 11 * x, rtol=1e-14)


def test_input_of_a_nested_block_is_that_of_its_own_block():
    inner = Block([Sum(["input", "input"], name="two")], name="inner", inputs="act")
    net = net_of(
        Block([ReLU(name="act"), inner, Sum(["inner", "input"])], name="outer", inputs="t"),
        Tanh(name="t", inputs="input"),
    )
    x = spaced((4, 2))
    np.testing.assert_allclose(net.forward(x), 2 * np.maximum(np.tanh(x), 0) + np.tanh(x), rtol=1e-14)


def test_names_inside_hide_those_outside():
    net = net_of(Tanh(name="a"), Block([Linear(2, name="a"), Sum(["a", "input"])], name="b"), Sum(["a", "b"]))
    nodes = net.graph.nodes
    assert [[names(net)[i] for i in node.sources] for node in nodes[2:]] == [["b.1.a", "a"], ["a", "b.1.sum1"]]


def test_a_layer_inside_may_read_one_outside():
    for order in (0, 1):
        layers = [Linear(2, name="stem", inputs="input"), Tanh(name="act", inputs="input")]
        layers.insert(2 * order, Block([Sum(["input", "stem"])], repeat=2, name="b", inputs="act"))
        net = net_of(*layers)
        x = spaced((4, 2))
        weight, bias = (p.tensor for p in net.parameters)
        np.testing.assert_allclose(net.forward(x), np.tanh(x) + 2 * (x @ weight + bias), rtol=1e-13)


def test_a_layer_outside_may_read_one_inside_and_the_end_by_the_blocks_name():
    net = net_of(Block([Tanh(name="t"), ReLU()], repeat=2, name="b"), Concat(["b.1.t", "b", "b.2.relu1"]))
    x = spaced((4, 2))
    first = np.tanh(x)
    end = np.maximum(np.tanh(np.maximum(first, 0)), 0)
    np.testing.assert_allclose(net.forward(x), np.concatenate([first, end, end], 1), rtol=1e-14)


def test_an_output_inside_may_be_used_outside_only():
    net = net_of(Block([Linear(3, name="side"), Tanh(inputs="input")], name="b"), Concat(["b.1.side", "b"]))
    assert names(net) == ["b.1.side", "b.1.tanh1", "concat1"]


def test_a_pool_and_its_unpool_inside():
    inside = [MaxPool2d(2, name="down"), Conv2d(1, 1), MaxUnpool2d("down")]
    net = net_of(Block(inside, repeat=2, name="b"), shape=(1, 4, 4))
    unpools = [layer for layer in net.layers if isinstance(layer, MaxUnpool2d)]
    assert [layer.source.name for layer in unpools] == ["b.1.down", "b.2.down"]
    net = net_of(Block(inside, name="b"), Block(share="b", name="c"), shape=(1, 4, 4))
    assert [net.layers[i].source.name for i in (2, 5)] == ["b.1.down", "c.1.down"]
    net = net_of(MaxPool2d(2, name="down"), Block([Conv2d(1, 1), MaxUnpool2d("down")]), shape=(1, 4, 4))
    assert net.layers[-1].source.name == "down"


def test_the_layers_of_a_block_may_stand_in_any_order():
    inside = [Sum(["input", "late"]), Tanh(name="late", inputs="early"), Linear(2, name="early", inputs="input")]
    assert names(net_of(Block(inside, name="b"))) == ["b.1.early", "b.1.late", "b.1.sum1"]


def test_a_layer_outside_may_share_with_one_inside():
    net = net_of(Block([Linear(2), Tanh()], repeat=2, name="b"), Linear(2, share="b.2.linear1"))
    assert net.layers[-1].owner is net.layers[2]
    assert len(net.parameters) == 4


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), replica])
def test_long_blocks_can_be_copied(copied):
    inside = [Linear(2, name="side"), Tanh(inputs="input", name="t"), Sum(["t", "input"])]
    net = net_of(Block(inside, repeat=150, name="b"), Sum(["b", *(f"b.{i}.side" for i in range(1, 151))]))
    other, x = copied(net), spaced((4, 2))
    np.testing.assert_array_equal(other.forward(x), net.forward(x))
    np.testing.assert_array_equal(other.backward(x), net.backward(x))


# trainable


def test_a_frozen_block_is_frozen_inside():
    inner = Block([Linear(2, name="deep")], name="inner")
    net = net_of(Block([Linear(2), inner], repeat=2, name="b", trainable=False), Linear(2))
    assert [p.name for p in net.parameters if p.trainable] == ["linear1.weight", "linear1.bias"]
    before, x = net.vector.all_tensors.copy(), spaced((4, 2))
    for _ in range(3):
        net.backward(net.forward(x), to_input=False)
        net.update(SGD(lr=0.1, momentum=0.5)) if net.clock.step == 0 else net.zero_grad()
    moved = net.vector.all_tensors != before
    assert moved[:6].all()
    assert not moved[6:].any()


def test_a_frozen_layer_of_a_block_stays_alone():
    net = net_of(Block([Linear(2, trainable=False), Linear(2)], repeat=2))
    assert [p.trainable for p in net.parameters] == [False, False, True, True] * 2


# share


def parameters(net):
    return {p.name: p.tensor.size for p in net.parameters}


def test_a_block_shares_all_of_another():
    stage = [Linear(2, name="a"), Tanh(), Linear(2, name="b", bias=False)]
    net = net_of(Block(stage, repeat=2, name="stage"), Block(share="stage", name="again"), Linear(3))
    inside = [("a.weight", 4), ("a.bias", 2), ("b.weight", 4)]
    expected = {f"stage.{i}.{name}": size for i in (1, 2) for name, size in inside}
    assert parameters(net) == expected | {"linear1.weight": 6, "linear1.bias": 3}
    assert names(net)[6:12] == [f"again.{i}.{name}" for i in (1, 2) for name in ("a", "tanh1", "b")]
    net.forward(spaced((4, 2)))
    first = Net([Block(stage, repeat=2)], (2,), dtype="float64")
    for mine, theirs in zip(first.parameters, net.parameters, strict=False):
        mine.tensor = theirs.tensor
    np.testing.assert_allclose(net.layers[11].y, first(first(spaced((4, 2)))), rtol=1e-13)


def test_a_block_shares_with_layers_of_its_own():
    lender = Block([Linear(2, name="a"), Tanh(), Linear(2, name="b")], name="stage")
    borrower = Block([ReLU(name="tanh1"), Linear(2, name="b")], share="stage", name="again")
    with pytest.raises(
        LayerError, match=r"cannot share the parameters of 'stage\.1\.tanh1': that is a Tanh, not a ReLU"
    ):
        net_of(lender, borrower)
    lender = Block([Linear(2, name="a"), Tanh(), Linear(2, name="b")], name="stage")
    borrower = Block([Linear(2, name="b"), Tanh()], share="stage", name="again")
    net = net_of(lender, borrower)
    assert net.layers[3].parameters == net.layers[2].parameters
    assert len(net.parameters) == 4


def test_chains_of_blocks_that_share():
    for order in (0, 1):
        blocks = [
            Block([Linear(2)], repeat=2, name="a"),
            Block(share="a", name="b"),
            Block(share="b", name="c", repeat=2),
        ]
        net = net_of(*blocks) if order == 0 else net_of(blocks[0], Tanh(), *blocks[1:])
        assert len(net.parameters) == 4
        assert names(net)[-2:] == ["c.1.linear1", "c.2.linear1"]
        assert net.layers[-1].parameters[0] is net.layers[1].parameters[0]


def test_a_block_within_a_shared_block_and_a_share_within():
    inner = Block([Linear(2)], repeat=2, name="inner")
    stage = [inner, Linear(2, name="own"), Linear(2, name="twin", share="own"), Block(share="inner", name="more")]
    net = net_of(Block(stage, repeat=2, name="s"), Block(share="s", name="t"))
    assert list(parameters(net)) == [
        f"s.{i}.{name}.{kind}"
        for i in (1, 2)
        for name in ("inner.1.linear1", "inner.2.linear1", "own")
        for kind in ("weight", "bias")
    ]
    users = {}
    for layer in net.layers:
        users.setdefault(layer.parameters[0].name, []).append(layer.name)
    assert users["s.2.own.weight"] == ["s.2.own", "s.2.twin", "t.2.own", "t.2.twin"]
    assert users["s.1.inner.2.linear1.weight"] == [
        *("s.1.inner.2.linear1", "s.1.more.2.linear1", "t.1.inner.2.linear1", "t.1.more.2.linear1")
    ]


def test_a_frozen_block_may_be_shared_by_a_frozen_block_or_not():
    for trainable in (False, True):
        net = net_of(Block([Linear(2)], name="a", trainable=False), Block(share="a", trainable=trainable), Linear(2))
        assert [p.trainable for p in net.parameters] == [False, False, True, True]


def test_layers_of_blocks_within_blocks_are_counted(monkeypatch):
    def make():
        inner = Block([Tanh(), ReLU()], repeat=2)
        return net_of(Linear(2), Block([Linear(2), inner], repeat=2, name="b"), Linear(2))

    monkeypatch.setattr("tinynet.nn.layers.block.MOST_LAYERS", 11)
    assert len(make().layers) == 12  # a layer that is in no block has a line of its own
    monkeypatch.setattr("tinynet.nn.layers.block.MOST_LAYERS", 10)
    with pytest.raises(LayerError) as caught:
        make()
    assert str(caught.value) == "makes it 11 layers, but a net has at most 10. Repeat it less."
    assert caught.value.place == (1,)


def test_a_layer_of_a_sharing_block_is_linked_with_what_it_refers_to_alone():
    class Tied(Linear, abstract=True):
        def refers(self):
            return ("other",)

        def link(self, *layers):
            self.linked = [layer.name for layer in layers]

    inside = [Linear(2, name="other"), Tied(2, name="own"), Tied(2, name="twin", share="own")]
    net = net_of(Block(inside, name="s"), Block(share="s", name="t"))
    assert [layer.linked for layer in net.layers if isinstance(layer, Tied)] == [
        *[["s.1.other"]] * 2,
        *[["t.1.other"]] * 2,
    ]
    assert len(net.parameters) == 4


# Mistakes


@pytest.mark.parametrize(
    ("layers", "place", "message"),
    [
        ([Block()], (0,), "holds no layers. Write them as in `Block: {layers: [Linear: 25, ReLU]}`."),
        (
            [Block([Tanh()], inputs=["input", "input"])],
            (0,),
            "takes one input, but gets 2. Join them, as in `Concat: [input, input]`.",
        ),
        (
            [Block([Linear(2), Linear(2, name="x", inputs="input")], name="st")],
            (0, "Block", "layers", 0),
            "no layer reads the output of 'linear1'. The block ends in 'x': join the two, as in `Sum: [linear1, x]`, ",
        ),
        (
            [Linear(2), Block([Sum(["linear1", "linear1"])], name="st")],
            (1,),
            "none of its layers reads `input`, which is what the block is given.",
        ),
        (
            [Linear(2, name="l"), Block([Block([Tanh()], inputs="l")], name="st", inputs="input")],
            (1,),
            "none of its layers reads `input`, which is what the block is given.",
        ),
        (
            [Linear(2, name="a"), Block([Tanh(name="a"), ReLU(name="b"), Sum(["a", "b"])], inputs="input")],
            (0,),
            "no layer reads the output of 'a'. The net ends in 'block1': join the two, as in ",
        ),
        (
            [Linear(2, name="a"), Block([Identity(), Sum(["identity1", "a"])], name="b"), Linear(3), Block(share="b")],
            (3,),
            "needs inputs of one shape, but gets (3,) from block1.1.identity1 (Identity) and (2,) from layers[0] ",
        ),
        (
            [Block([Linear(2, name="a"), Block([Tanh(inputs="b")]), Linear(2, name="b")], name="st")],
            (0, "Block", "layers", 1, "Block", "layers", 0),
            "the layers feed each other in a circle: st.1.block1.1.tanh1 → st.1.b → st.1.block1.1.tanh1.",
        ),
        (
            [Block([Linear(2, inputs="st")], name="st")],
            (0, "Block", "layers", 0),
            "the layers feed each other in a circle: st.1.linear1 → st.1.linear1.",
        ),
        (
            [Linear(2, name="stem"), Block([Tanh(), Block([Sum(["stm", "input"])])])],
            (1, "Block", "layers", 1, "Block", "layers", 0),
            "there is no layer 'stm'. Did you mean 'stem'?",
        ),
        (
            [Linear(2, name="zzz"), Block([Tanh(), Sum(["q", "input"])], name="b")],
            (1, "Block", "layers", 1),
            "there is no layer 'q'. There are: tanh1, zzz, b, input.",
        ),
        ([Linear(2), Block([Tanh()], inputs="lienar1")], (1,), "there is no layer 'lienar1'. Did you mean 'linear1'?"),
        (
            [Block([Tanh(name="t"), ReLU()], name="stage"), Sum(["stage", "stage.1.s"])],
            (1,),
            "there is no layer 'stage.1.s'. Did you mean 'stage.1.t'?",
        ),
        (
            [Block([Tanh(name="t"), ReLU(name="t")], name="stage")],
            (0, "Block", "layers", 1),
            "there is another layer called 't'. Give each its own name.",
        ),
        (
            [Linear(3), Block([Linear(2, name="n"), Sum(["n", "input"])], name="s")],
            (1, "Block", "layers", 1),
            "needs inputs of one shape, but gets (2,) from s.1.n (Linear) and (3,) from layers[0] Linear. (shapes: ",
        ),
        (
            [Block([Linear(3, name="n"), Sum(["input", "input", "n"])], repeat=2, name="s")],
            (0, "Block", "layers", 1),
            "needs inputs of one shape, but gets (2,) from the dataset and (2,) from the dataset and (3,) from s.1.n",
        ),
        ([Block(["ReLU"])], (0, "Block", "layers", 0), "layers[0] is 'ReLU', not a layer. Write it as in Linear(25)"),
        ([Block([ReLU])], (0, "Block", "layers", 0), "layers[0] is <class "),
        (
            [Block([Linear(2)], name="stage"), Block(share="stge")],
            (1,),
            "there is no block 'stge' to share with. Did you mean 'stage'?",
        ),
        (
            [Linear(2, name="lin"), Block(share="lin")],
            (1,),
            "there is no block 'lin' to share with. There are: none.",
        ),
        ([Tanh(), Block(share="me", name="me")], (1,), "there is no block 'me' to share with. There are: none."),
        ([Block(share="b", name="a"), Block(share="a", name="b")], (0,), "there is no block 'a' to share with."),
        (
            [Block(share="left", name="me"), Block(share="right", name="left"), Block(share="left", name="right")],
            (0,),
            "there is no block 'left' to share with. There are: none.",
        ),
        (
            [Block([Linear(2)], repeat=2, name="a"), Block(share="a", repeat=3)],
            (1,),
            "has as many copies as 'a', whose parameters it shares. Remove `repeat`.",
        ),
        (
            [Block([Linear(2)], name="a"), Block(share="a", trainable=False)],
            (1,),
            "shares the parameters of 'a', so write `trainable: false` there.",
        ),
        (
            [Block([Linear(3)], name="a"), Block(share="a", name="b")],
            (1,),
            "cannot share the parameters of 'a.1.linear1': a.1.linear1.weight has the shape (2, 3), but here it is "
            "(3, 3). (shapes: input (2,) → a.1.linear1 (3,))",
        ),
        (
            [Block([Linear(2)], name="a"), Block([Linear(2)], share="a", repeat=2)],
            (1, "Block", "layers", 0),
            "there is no layer 'a.2.linear1'. Did you mean 'a.1.linear1'?",
        ),
        (
            [Linear(2), Block([Linear(2)], name="a"), Linear(2, share="a")],
            (2,),
            "'a' is a block. Name a layer in it, as in 'a.1.linear1'.",
        ),
        (
            [Block(share="b", name="a"), Tanh(), Block([Linear(2)], name="b")],
            (0,),
            "'a.1.linear1' refers to 'b.1.linear1', which comes after it: a.1.linear1 → tanh1 → b.1.linear1 → "
            "a.1.linear1. Let the later layer name the earlier one.",
        ),
    ],
)
def test_mistakes(layers, place, message):
    with pytest.raises(LayerError) as caught:
        Net(layers, (2,))
    assert str(caught.value).startswith(message)
    assert caught.value.place == place


def test_layers_of_a_block_are_a_list():
    with pytest.raises(OptionError, match="Block: layers must be a list of layers, not "):
        Block(Linear(2))
    with pytest.raises(OptionError, match="Block: repeat must be a whole number > 0, not 0"):
        Block([Linear(2)], repeat=0)


def test_a_class_in_a_block_is_left_as_it_was():
    with pytest.raises(LayerError):
        net_of(Block([ReLU], trainable=False))
    assert ReLU.trainable is True


# In a config


def places(text, *parts):
    """line:column of parts of the text, each the first after the one before."""
    start, found = 0, []
    for part in parts:
        start = text.index(part, start)
        found.append(f"{text.count(chr(10), 0, start) + 1}:{start - text.rfind(chr(10), 0, start)}")
    return found


@pytest.mark.parametrize("bare", [False, True], ids=["layers:", "bare"])
def test_problems_inside_stand_at_their_lines(problems, bare):
    inside = "      - Linear: five\n      - Tanhh\n      - Block: [{Dropout: {rate: 1}}, ReLU: 3]\n      - 7\n"
    text = CONFIG.format(f"- Block:\n{inside}" if bare else f"- Block:\n    layers:\n{inside}")
    found = problems(text)
    parts = places(text, "five", "Tanhh", "rate", "ReLU", "7")
    # The first stands at its key.
    parts[0] = places(text, "Linear")[0]
    inner = "layers[0].Block.layers"
    assert [line.split(": ")[0] for line in found] == [f"c.yaml:{part}" for part in parts]
    for line, message in zip(
        found,
        [
            f"{inner}[0].Linear.out_features: must be a whole number > 0, not 'five'",
            f"{inner}[1]: 'Tanhh' is no layer. Did you mean 'Tanh'?",
            f"{inner}[2].Block.layers[0].Dropout.rate: no such option. Did you mean 'p'?",
            f"{inner}[2].Block.layers[1]: ReLU takes no value, but gets 3. Write `ReLU`.",
            f"{inner}[3]: must be the name of a layer, as in `Linear: 25`, not 7",
        ],
        strict=True,
    ):
        assert message in line


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            "Block: {layers: Linear}",
            "layers[0].Block.layers: must be a list of layers, as in `layers: [Linear: 25, ReLU]`",
        ),
        ("Block: Tanh", "layers[0].Block.layers: must be a list of layers, as in `layers: [Linear: 25, ReLU]`"),
        ("Block: {layers: {Linear: 2}}", "layers[0].Block.layers: must be a list of layers"),
        ("Block: {layers: }", "layers[0].Block.layers: must be a list of layers"),
        ("Block: {layers: !!set {a}}", "the tag tag:yaml.org,2002:set is not used here. Remove it."),
        ("Block: {layers: [Tanh], repeat: 0}", "layers[0].Block.repeat: must be a whole number > 0, not 0"),
        ("Block: {layer: [Tanh]}", "layers[0].Block.layer: no such option. Did you mean 'layers'?"),
        ("Block: {layers: [MSE]}", "layers[0].Block.layers[0]: 'MSE' is a loss, not a layer"),
        ("Block", "layers[0] Block: holds no layers."),
        ("Block: []", "layers[0] Block: holds no layers."),
        ("Block: {share: x}", "layers[0] Block: there is no block 'x' to share with."),
        ("Block: [Tanh: {inputs: t}]", "layers[0].Block.layers[0].Tanh: there is no layer 't'. There are: block1, "),
    ],
)
def test_a_wrong_block_is_one_line(problems, block, message):
    found = problems(CONFIG.format(f"- {block}\n- Linear: 2\n"))
    assert len(found) == 1, found
    assert found[0].startswith("c.yaml:8:")
    assert message in found[0]


def test_a_shape_that_does_not_fit_inside_stands_at_its_line(problems):
    text = CONFIG.format(RESIDUAL.replace("out_features: 4, name: last", "out_features: 5, name: last"))
    (found,) = problems(text)
    assert found.startswith(
        f"c.yaml:{places(text, 'Sum')[0]}: layers[1].Block.layers[3].Sum: needs inputs of one shape, "
    )
    assert "but gets (4,) from layers[0] Linear and (5,) from stage.1.last (Linear). (shapes: input (2,) → " in found


def test_a_problem_deep_inside_stands_at_its_line(problems):
    text = CONFIG.format("""\
- Block:
  - Tanh
  - Block:
      layers:
        - Tanh
        - Block: {repeat: 2, layers: [ReLU, Linear: {out_features: 2, inputs: tahn1}]}
- Linear: 2
""")
    assert problems(text) == [
        f"c.yaml:{places(text, 'Linear:')[0]}: layers[0].Block.layers[1].Block.layers[1].Block.layers[1].Linear: "
        "there is no layer 'tahn1'. Did you mean 'tanh1'?"
    ]


@pytest.fixture
def load(write):
    return lambda layers, *overrides: tinynet.load(write(CONFIG.format(layers)), *overrides)


def same(one, other):
    return all(getattr(one, name) == getattr(other, name) for name in vars(one) if name != "source")


SHARING = """\
- Linear: {out_features: 4, name: stem}
- Block: {layers: [Linear: 4, {Block: [ReLU, Linear: 4]}], name: s, repeat: 2}
- Block: {share: s, inputs: s}
- Linear: 2
"""


@pytest.mark.parametrize("layers", [RESIDUAL, SHARING])
def test_the_resolved_config_of_blocks(load, layers):
    config = load(layers)
    resolved = config.to_json()
    again = parse(yaml.safe_dump(resolved, sort_keys=False), "elsewhere/d.yaml")
    assert same(config, again)
    assert same(config, from_json(json.loads(json.dumps(resolved)), "a checkpoint"))
    if layers == RESIDUAL:
        block = resolved["layers"][1]["Block"]
        assert (block["name"], block["repeat"], block["trainable"]) == ("stage", 3, True)
        assert block["layers"][1] == {"Tanh": {"trainable": True}}
        assert block["layers"][3] == {"Sum": {"inputs": ["input", "last"], "trainable": True}}
    one, other = (tinynet.build(each).net for each in (config, again))
    assert names(one) == names(other)
    np.testing.assert_array_equal(one.vector.all_tensors, other.vector.all_tensors)


@pytest.mark.parametrize("layers", [RESIDUAL, SHARING])
def test_a_run_of_blocks_and_its_checkpoint(write, cli, layers, tmp_path):
    write(CONFIG.format(layers))
    assert cli("train", "c.yaml", "--quiet", "--name", "r")[0] == 0
    run = tmp_path / "runs" / "r"
    assert same(tinynet.load(run / "resolved.yaml"), tinynet.load("c.yaml", "name=r"))
    experiment = tinynet.load_checkpoint(run / "checkpoints" / "last.npz")
    with np.load(run / "checkpoints" / "last.npz") as arrays:
        stored = {key.removeprefix("parameters/"): arrays[key] for key in arrays if key.startswith("parameters/")}
    assert set(stored) == {p.name for p in experiment.net.parameters}
    for parameter in experiment.net.parameters:
        np.testing.assert_array_equal(parameter.tensor, stored[parameter.name])
    anew = tinynet.build(tinynet.load(run / "resolved.yaml"))
    list(anew.train())
    np.testing.assert_array_equal(anew.net.vector.all_tensors, experiment.net.vector.all_tensors)
    # Two epochs and two more are four at once.
    assert cli("train", "--resume", str(run), "--set", "training.epochs=4", "--quiet")[0] == 0
    whole = tinynet.build(tinynet.load(run / "resolved.yaml", "training.epochs=4"))
    list(whole.train())
    resumed = tinynet.load_checkpoint(run / "checkpoints" / "last.npz")
    np.testing.assert_array_equal(whole.net.vector.all_tensors, resumed.net.vector.all_tensors)


@pytest.mark.parametrize(
    ("override", "path", "option", "value"),
    [
        ("layers[1].Block.repeat=5", (), "repeat", 5),
        ("layers[1].Block.layers[0].Linear.out_features=9", (0,), "out_features", 9),
        ("layers[1].Block.layers[0].Linear=9", (0,), "out_features", 9),
        ("layers[1].Block.layers[0]=Linear: 9", (0,), "out_features", 9),
        ("layers[1].Block.layers[1]=Identity", (1,), "name", None),
        ("layers[1].Block.layers[1].Tanh.name=bend", (1,), "name", "bend"),
        ("layers[1].Block.layers[3].Sum.inputs=[last, input, input]", (3,), "inputs", ("last", "input", "input")),
        ("layers[1].Block.layers=[Tanh, Linear: 3]", (1,), "out_features", 3),
        ("layers[1].Block=[Tanh, Linear: 3]", (1,), "out_features", 3),
        ("layers[1]=Block: [Tanh, Linear: 3]", (1,), "out_features", 3),
    ],
)
def test_set_reaches_into_a_block(load, override, path, option, value):
    spec = load(RESIDUAL, override).layers[1]
    for index in path:
        spec = spec.options["layers"][index]
    assert spec.options[option] == value
    if "Identity" in override:
        assert spec.cls is Identity


def test_set_reaches_into_a_block_within_a_block(load):
    path = "layers[1].Block.layers[1].Block.layers"
    config = load(SHARING, f"{path}[1].Linear.bias=false", f"{path}[0]=Tanh")
    inner = config.layers[1].options["layers"][1].options["layers"]
    assert (inner[0].cls, inner[1].options["bias"]) == (Tanh, False)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "layers[1].Block.layers[0].Linear.out_featurs=9",
            "layers[1].Block.layers[0].Linear.out_featurs: no such option.",
        ),
        (
            "layers[1].Block.layers[0].Linear.out_features=x",
            "layers[1].Block.layers[0].Linear.out_features: must be a ",
        ),
        ("layers[1].Block.layers[4]=Tanh", "the config has layers[1].Block.layers[0] to layers[1].Block.layers[3]."),
        ("layers[1].Block.layers[9].Linear.bias=true", "the config has layers[1].Block.layers[0] to "),
        ("layers[1].Block.layers[0].Tanh.name=x", "layers[1].Block.layers[0] is Linear here, not Tanh. Write "),
        ("layers[1].Block.layers[0]=Tanhh", "layers[1].Block.layers[0]: 'Tanhh' is no layer. Did you mean 'Tanh'?"),
        ("layers[1].Block.layers[0].bias=true", "Write `layers[1].Block.layers[0].Linear.bias=…`."),
        ("layers[1].Block.layers=Tanh", "layers[1].Block.layers: must be a list of layers, as in "),
        ("layers[1].Block.layers=[Tanhh]", "layers[1].Block.layers[0]: 'Tanhh' is no layer. Did you mean 'Tanh'?"),
        ("layers[1].Block.layers.x=3", "the config has layers[1].Block.layers[0] to "),
        ("layers[1].Block.repeat.x=3", "'layers[1].Block.repeat' holds one value. Write `layers[1].Block.repeat=…`."),
        ("layers[2].Block.layers[0]=Tanh", "layers[2] is Linear here, not Block."),
        ("layers[1].Block.layers[0].Linear.bias.x=1", "'layers[1].Block.layers[0].Linear.bias' holds one value."),
    ],
)
def test_a_bad_override_of_a_block_is_one_line(problems, override, message):
    (found,) = problems(CONFIG.format(RESIDUAL), override)
    assert found.startswith(f"--set {override}: ")
    assert message in found


def test_set_gives_layers_to_a_block_that_has_none(load):
    config = load("- Block: {name: b, repeat: 2}\n- Linear: 2\n", "layers[0].Block.layers=[Tanh]")
    assert names(tinynet.build(config).net) == ["b.1.tanh1", "b.2.tanh1", "linear1"]
    with pytest.raises(ConfigError, match=r"the config has no layers\[0\]\.Block\.layers\. Write "):
        load("- Block: {name: b, repeat: 2}\n- Linear: 2\n", "layers[0].Block.layers[0]=Tanh")


@pytest.mark.parametrize(
    "block",
    [
        "Block: [Tanh, Linear: 3]",
        "Block: {layers: [Tanh, {Linear: 3}], repeat: 2, name: b, inputs: input}",
        "Block: {layers: [{Block: [Tanh]}, {Block: {layers: [ReLU]}}]}",
        "Block: {layers: [Tanh, Sum: [input, tanh1]]}",
        "Block: {share: b}",
        "Block: {share: b, inputs: [b], trainable: false}",
        "Block: {layers: [], share: b}",
        "Block",
    ],
)
def test_the_schema_takes_what_the_checker_takes(load, block):
    layers, schema = f"- {block}\n- Linear: 2\n", json_schema()
    assert load(layers).layers[0].cls is Block
    assert conforms(yaml.safe_load(CONFIG.format(layers)), schema, schema)


@pytest.mark.parametrize(
    "block",
    [
        "Block: {layers: Linear}",
        "Block: Tanh",
        "Block: {layers: [MSE]}",
        "Block: {layers: [Tanh: 3]}",
        "Block: [{Block: [{Linear: 0}]}]",
        "Block: {layers: [Tanh], repeat: 0}",
        "Block: {layers: [Sum: [3]]}",
        "Block: {layer: [Tanh]}",
    ],
)
def test_the_schema_refuses_what_the_checker_refuses(load, block):
    layers, schema = f"- {block}\n- Linear: 2\n", json_schema()
    with pytest.raises(ConfigError):
        load(layers)
    assert not conforms(yaml.safe_load(CONFIG.format(layers)), schema, schema)
