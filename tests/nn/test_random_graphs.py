"""Random graphs of layers against PyTorch's autograd, in float64: branches, merges, shared layers, blocks."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from gradients import spaced

from tinynet.nn.layers.activations import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from tinynet.nn.layers.block import Block
from tinynet.nn.layers.convolution import Conv2d
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.merge import Concat, Identity, Multiply, Sum
from tinynet.nn.layers.normalization import BatchNorm, LayerNorm
from tinynet.nn.layers.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d, Upsample
from tinynet.nn.layers.shape import Flatten
from tinynet.nn.net import Net

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
# Graphs this small are slower on two.
torch.set_num_threads(1)
F = torch.nn.functional

GRAPHS = 400
TOLERANCE = 1e-9
ROWS = 3

ANYWHERE = [ReLU, LeakyReLU, Tanh, Sigmoid, GELU, Identity, BatchNorm, LayerNorm]
SHARABLE = (Linear, Conv2d, BatchNorm, LayerNorm)


@dataclass
class Entry:
    """One layer of a piece, as a config writes it.

    Parameters
    ----------
    inner
        What a block holds, if it does not only share.
    degree
        About how often the piece's input has been multiplied by itself, which is not to run away.
    """

    cls: type
    inputs: list
    shape: tuple
    options: dict = field(default_factory=dict)
    share: str | None = None
    trainable: bool = True
    inner: "Piece | None" = None
    degree: int = 1


@dataclass
class Piece:
    """A list of layers by name, each after those it reads, and the shapes of the piece's input and of its end."""

    given: tuple
    entries: dict = field(default_factory=dict)

    @property
    def end(self):
        return list(self.entries)[-1]

    @property
    def shape(self):
        return self.entries[self.end].shape

    @property
    def degree(self):
        return self.entries[self.end].degree

    def degrees(self, names):
        return [self.entries[name].degree if name in self.entries else 1 for name in names]


class Grower:
    """Grows pieces at random."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.count = 0

    def chance(self, share):
        return self.rng.random() < share

    def one(self, found):
        return list(found)[self.rng.integers(len(found))]

    def piece(self, shape, steps, outer=None, level=0):
        piece = Piece(shape)
        for _ in range(steps):
            shapes = self.visible(piece, outer)
            kinds = [self.unary] * 8 + [self.merge] * 4 + [self.shared] * 4 + [self.block] * (2 if level < 2 else 0)
            entry = None
            while entry is None:
                entry = self.one(kinds)(piece, shapes, level)
                if entry is not None and not self.is_small(piece, entry):
                    entry = None
            entry.trainable = entry.share is not None or self.chance(0.9)
            self.add(piece, entry)
        self.join(piece)
        return piece

    def is_small(self, piece, entry):
        return np.prod(entry.shape) <= 150 and max(entry.shape) <= 12 and self.degree(piece, entry) <= 3

    def degree(self, piece, entry):
        degrees, written = piece.degrees(entry.inputs), entry
        if entry.cls is Block:
            while not written.inner:
                written = piece.entries[written.share]
            return degrees[0] * written.inner.degree ** written.options["repeat"]
        bounded = entry.cls in (Tanh, Sigmoid, Softmax, LayerNorm)
        return 1 if bounded else sum(degrees) if entry.cls is Multiply else max(degrees)

    def add(self, piece, entry):
        self.count += 1
        entry.degree = self.degree(piece, entry)
        piece.entries[f"n{self.count}"] = entry

    def visible(self, piece, outer):
        """The shapes of what a layer may read by name: in a block, now and then, also what is outside of it."""
        shapes = {"input": piece.given} | {name: entry.shape for name, entry in piece.entries.items()}
        return (outer if outer and piece.entries and self.chance(0.15) else {}) | shapes

    def source(self, shapes):
        """Mostly the last layer, so that graphs become deep."""
        return list(shapes)[-1] if self.chance(0.75) else self.one(shapes)

    def unary(self, piece, shapes, level):
        source = self.source(shapes)
        shape = shapes[source]
        if len(shape) == 1:
            if self.chance(0.5):
                size = int(self.rng.integers(2, 5))
                return Entry(Linear, [source], (size,), {"out_features": size, "bias": self.chance(0.8)})
            return Entry(self.one([*ANYWHERE, Softmax]), [source], shape)
        cls = self.one([*ANYWHERE, *[Conv2d] * 6, MaxPool2d, AvgPool2d, GlobalAvgPool2d, Upsample, Flatten])
        channels, height, width = shape
        if cls is Conv2d:
            channels, kernel = int(self.rng.integers(1, 4)), min(int(self.rng.integers(1, 4)), height, width)
            options = {"out_channels": channels, "kernel_size": kernel}
            if self.chance(0.6):
                return Entry(cls, [source], (channels, height, width), options | {"padding": "same"})
            return Entry(cls, [source], (channels, height - kernel + 1, width - kernel + 1), options)
        if cls in (MaxPool2d, AvgPool2d):
            size = min(2, height, width)
            return Entry(cls, [source], (channels, height // size, width // size), {"kernel_size": size})
        if cls is GlobalAvgPool2d:
            return Entry(cls, [source], (channels,))
        if cls is Upsample:
            return Entry(cls, [source], (channels, 2 * height, 2 * width), {"scale_factor": 2})
        return Entry(cls, [source], (channels * height * width,) if cls is Flatten else shape)

    def merge(self, piece, shapes, level):
        cls, source = self.one([Sum, Multiply, Concat]), self.source(shapes)
        shape, count = shapes[source], int(self.rng.integers(1, 3))
        if cls is not Concat:
            fit = [name for name in shapes if shapes[name] == shape]
            return Entry(cls, [source, *(self.one(fit) for _ in range(count))], shape)
        axis = int(self.rng.integers(len(shape)))
        rest = [other[:axis] + other[axis + 1 :] for other in shapes.values()]
        mine = shape[:axis] + shape[axis + 1 :]
        fit = [n for n, other in zip(shapes, rest, strict=True) if other == mine and len(shapes[n]) == len(shape)]
        inputs = [source, *(self.one(fit) for _ in range(count))]
        size = sum(shapes[name][axis] for name in inputs)
        return Entry(cls, inputs, (*shape[:axis], size, *shape[axis + 1 :]), {"axis": axis})

    def shared(self, piece, shapes, level):
        """A layer or a block that uses the parameters of one before it, which may do so itself."""
        others = [name for name, entry in piece.entries.items() if entry.cls in (*SHARABLE, Block)]
        if not others:
            return None
        name = self.one(others)
        lender = piece.entries[name]
        taken = (self.visible(piece, None) | shapes)[lender.inputs[0]] if lender.inputs[0] in shapes else None
        fit = [source for source in shapes if shapes[source] == taken]
        if not fit:
            return None
        entry = Entry(lender.cls, [self.one(fit)], lender.shape, dict(lender.options), share=name)
        if lender.cls is Block and self.chance(0.5):
            entry.options = {}
        else:
            entry.inner = lender.inner
        return entry if lender.cls is not Block or entry.inner or not entry.options else None

    def block(self, piece, shapes, level):
        source = self.source(shapes)
        inner = self.piece(shapes[source], int(self.rng.integers(1, 4)), shapes, level + 1)
        repeat = int(self.rng.integers(1, 4)) if inner.shape == inner.given else 1
        return Entry(Block, [source], inner.shape, {"repeat": repeat}, inner=inner)

    def join(self, piece):
        """One end for a piece that has several."""
        read = names_read(piece)
        ends = {name: entry.shape for name, entry in piece.entries.items() if name not in read}
        if len(ends) == 1:
            name = next(iter(ends))
            piece.entries[name] = piece.entries.pop(name)  # the last
        elif len(set(ends.values())) == 1:
            self.add(piece, Entry(Sum, list(ends), next(iter(ends.values()))))
        else:
            flat = []
            for name, shape in ends.items():
                flat.append(name)
                if len(shape) > 1:
                    self.add(piece, Entry(Flatten, [name], (int(np.prod(shape)),)))
                    flat[-1] = piece.end
            self.add(piece, Entry(Concat, flat, (sum(int(np.prod(shape)) for shape in ends.values()),)))


def names_read(piece):
    """What the layers of a piece read, those in its blocks too."""
    read = set()
    for entry in piece.entries.values():
        read.update(entry.inputs)
        if entry.inner:
            read |= names_read(entry.inner)
    return read


def layers_of(piece, rng):
    """The layers as one writes them: half of the lists in order, with what the layer before gives left unsaid."""
    names, shuffled = list(piece.entries), rng.random() < 0.5
    if shuffled:
        rng.shuffle(names)
    layers = []
    for before, name in pairwise(["input", *names]):
        entry = piece.entries[name]
        options = entry.options | {"name": name, "share": entry.share, "trainable": entry.trainable}
        if shuffled or entry.inputs != [before]:
            options["inputs"] = entry.inputs[0] if len(entry.inputs) == 1 and rng.random() < 0.5 else entry.inputs
        if entry.inner:
            options["layers"] = layers_of(entry.inner, rng)
        layers.append(entry.cls(**options))
    return layers


class Twin:
    """A piece in PyTorch, each layer computed when its name is first read: no graph, no order, no sharing objects.

    Parameters
    ----------
    tensors
        The parameters and buffers by the names that the net gives them.
    lender
        The twin whose parameters it uses.
    """

    def __init__(self, piece, tensors, training, feed, prefix="", lender=None, outer=None):
        self.piece, self.tensors, self.training, self.feed = piece, tensors, training, feed
        self.prefix, self.lender, self.outer = prefix, lender, outer
        self.values, self.blocks = {}, {}

    def end(self):
        return self.value(self.piece.end)

    def value(self, name):
        if name == "input":
            return self.feed()
        if name not in self.piece.entries:
            return self.outer.value(name)
        if name not in self.values:
            entry = self.piece.entries[name]
            if entry.cls is Block:
                self.values[name] = self.copies(name)[-1].end()
            else:
                self.values[name] = self.computed(name, entry, *map(self.value, entry.inputs))
                if self.values[name].requires_grad:
                    self.values[name].retain_grad()
        return self.values[name]

    def largest_gradient(self):
        """Of any layer's output."""
        inner = [copy.largest_gradient() for copies in self.blocks.values() for copy in copies]
        return max(inner + [float(y.grad.abs().max()) for y in self.values.values() if y.grad is not None], default=0.0)

    def copies(self, name):
        """The twins of a block's copies."""
        if name not in self.blocks:
            entry, lenders = self.piece.entries[name], None
            if entry.share:
                lenders = self.copies(entry.share)
            elif self.lender:
                lenders = self.lender.copies(name)
            inner = entry.inner or lenders[0].piece
            count = entry.options["repeat"] if entry.inner else len(lenders)
            found, feed = [], lambda: self.value(entry.inputs[0])
            for i in range(count):
                place, lender = f"{self.prefix}{name}.{i + 1}.", lenders[i] if lenders else None
                found.append(Twin(inner, self.tensors, self.training, feed, place, lender, self))
                feed = found[-1].end
            self.blocks[name] = found
        return self.blocks[name]

    def owner(self, name):
        """The full name of the layer whose parameters a layer uses."""
        if self.lender:
            return self.lender.owner(name)
        share = self.piece.entries[name].share
        return self.owner(share) if share else self.prefix + name

    def computed(self, name, entry, *xs):
        def parameter(key):
            return self.tensors[f"{self.owner(name)}.{key}"]

        x, options, cls = xs[0], entry.options, entry.cls
        if cls is Linear:
            y = x @ parameter("weight")
            return y + parameter("bias") if options["bias"] else y
        if cls is Conv2d:
            both = options["kernel_size"] - 1 if "padding" in options else 0
            return F.conv2d(F.pad(x, (both // 2, both - both // 2) * 2), parameter("weight"), parameter("bias"))
        if cls is BatchNorm:
            statistics = [parameter(key).clone() for key in ("running_mean", "running_var")]
            return F.batch_norm(x, *statistics, parameter("weight"), parameter("bias"), self.training)
        if cls is LayerNorm:
            return F.layer_norm(x, x.shape[1:], parameter("weight"), parameter("bias"))
        if cls is Sum:
            return torch.stack(xs).sum(0)
        if cls is Multiply:
            return torch.stack(xs).prod(0)
        if cls is Concat:
            return torch.cat(xs, dim=options.get("axis", 0) + 1)
        return FUNCTIONS[cls](x)


FUNCTIONS = {
    Identity: lambda x: x,
    ReLU: torch.relu,
    LeakyReLU: lambda x: F.leaky_relu(x, 0.01),
    Tanh: torch.tanh,
    Sigmoid: torch.sigmoid,
    GELU: lambda x: F.gelu(x, approximate="tanh"),
    Softmax: lambda x: torch.softmax(x, dim=-1),
    Flatten: lambda x: x.flatten(1),
    MaxPool2d: lambda x: F.max_pool2d(x, min(2, *x.shape[2:])),
    AvgPool2d: lambda x: F.avg_pool2d(x, min(2, *x.shape[2:])),
    GlobalAvgPool2d: lambda x: x.mean(dim=(2, 3)),
    Upsample: lambda x: F.interpolate(x, scale_factor=2.0),
}


def grown(seed):
    """A piece of some ten layers before blocks are written out, for flat samples or for images."""
    grower = Grower(seed)
    shape = (2, 4, 4) if seed % 3 == 0 else (int(grower.rng.integers(2, 5)),)
    return grower.piece(shape, int(grower.rng.integers(4, 15))), grower.rng


def net_of(piece, rng):
    """The net of a piece, with factors and biases that hide nothing."""
    net = Net(layers_of(piece, rng), piece.given, seed=int(rng.integers(100)), dtype="float64")
    for parameter in net.parameters:
        parameter.tensor += rng.uniform(-0.5, 0.5, parameter.tensor.shape)
    for buffer in net.buffers:
        buffer.tensor += rng.uniform(0, 0.5, buffer.tensor.shape)
    return net


def assert_same(what, ours, theirs, on_the_way=0.0):
    """Within the tolerance, relative to the largest number or to 1, and to the rounding of numbers on the way."""
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape, what
    error = np.abs(ours - theirs).max(initial=0)
    allowed = TOLERANCE * max(1, np.abs(theirs).max(initial=0)) + 1e-14 * on_the_way
    assert error <= allowed, f"{what} differs by {error:.1e}"


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_outputs_and_gradients(seed):
    piece, rng = grown(seed)
    net, training = net_of(piece, rng), seed % 2 == 0
    assert net.output_shape == piece.shape
    tensors = {p.name: torch.tensor(p.tensor, requires_grad=True) for p in net.parameters}
    tensors |= {b.name: torch.tensor(b.tensor) for b in net.buffers}
    x = spaced((ROWS, *piece.given), seed)
    torch_x = torch.tensor(x, requires_grad=True)
    twin = Twin(piece, tensors, training, lambda: torch_x)
    expected = twin.end()
    y = net.forward(x, training)
    assert_same("y", y, expected)
    dy = spaced(y.shape, seed + 1)
    expected.backward(torch.tensor(dy))
    largest = twin.largest_gradient()
    for to_input in (True, False):
        net.zero_grad()
        dx = net.backward(dy, to_input)
        if to_input:
            assert_same("dx", dx, torch_x.grad, largest)
        else:
            assert dx is None
        for parameter in net.parameters:
            if parameter.trainable or to_input:
                assert_same(parameter.name, parameter.gradient, tensors[parameter.name].grad, largest)


def depth(net):
    """Layers on the longest way from the input to the end."""
    found = []
    for node in net.graph.nodes:
        found.append(1 + max([found[source] for source in node.sources if source >= 0], default=0))
    return found[-1]


def test_the_graphs_hold_everything():
    kinds, depths, chains, features = Counter(), Counter(), 0, Counter()
    for seed in range(0, GRAPHS, 4):
        piece, rng = grown(seed)
        net = net_of(piece, rng)
        kinds.update({type(layer) for layer in net.layers})
        depths[depth(net)] += 1
        chains += net.graph.is_chain
        nodes = net.graph.nodes
        readers = Counter(source for node in nodes for source in set(node.sources))
        features["read by several"] += max(readers.values()) > 1
        features["input read by several"] += readers[-1] > 1
        features["the same input twice"] += any(len(set(n.sources)) < len(n.sources) for n in nodes)
        features["shared"] += any(n.layer.owner is not None for n in nodes)
        features["chain of shares"] += any(n.layer.owner is not None and n.layer.owner.owner is not None for n in nodes)
        features["block"] += any("." in n.layer.name for n in nodes)
        features["nested block"] += any(n.layer.name.count(".") > 2 for n in nodes)
        features["shared in a block"] += any("." in n.layer.name and n.layer.owner is not None for n in nodes)
        features["frozen"] += any(not p.trainable for p in net.parameters)
        features["other order"] += any(
            a.place > b.place for a, b in pairwise(nodes) if len(a.place) == len(b.place) == 1
        )
    assert set(kinds) == {*ANYWHERE, *FUNCTIONS, Linear, Conv2d, Softmax, Sum, Multiply, Concat}
    assert min(kinds.values()) >= 3, kinds
    assert len(features) == 10
    assert min(features.values()) >= 10, features
    assert sum(depths[d] for d in depths if d >= 12) >= 10, depths
    assert chains <= 5
