"""A network explained, as data: its layers with shapes, parameters and equations, and a sample on its way through."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tinynet.common.arrays import Shape
from tinynet.common.components import Component
from tinynet.common.errors import UsageError
from tinynet.common.suggestions import suggestion
from tinynet.data.targets import encode
from tinynet.explain.equations import Equations, written
from tinynet.explain.trace import Trace, trace
from tinynet.nn.graph import INPUT
from tinynet.nn.layer import Layer
from tinynet.nn.layers import plain
from tinynet.nn.net import Net
from tinynet.nn.parameter import Parameter
from tinynet.training.round import Round


@dataclass
class Piece:
    """A component beside the layers, such as the loss: as a config writes it, and its equations."""

    written: str
    equations: Equations


@dataclass
class ParameterEntry:
    """A parameter of a layer.

    Parameters
    ----------
    name, owner, shape, count, trainable
        `owner` is the layer that it is named after, `count` how many numbers it holds.
    symbol
        What the layer's equation calls it, or "".
    shared_with
        The other layers that use it.
    """

    name: str
    owner: str
    symbol: str
    shape: Shape
    count: int
    trainable: bool
    shared_with: list[str]


@dataclass
class LayerEntry:
    """A layer.

    Parameters
    ----------
    number, name, kind, written
        Its place in the order of the forward pass, from 1 on; its name, its class, and how a config writes it.
    reads, feeds, needs
        The names of the layers it reads (`input` for the net's), of those that read it (`loss` for the last), and of
        others that it refers to.
    given, shape, arithmetic
        The shapes of its inputs and of its output, for one sample, and how the one follows from the other.
    parameters, buffers
        What it learns, and the names of what it keeps beside.
    multiply_adds
        Of its forward, for one sample.
    equations, plain
        Those of its docstring, and for a fast layer the plain form as Python.
    """

    number: int
    name: str
    kind: str
    written: str
    reads: list[str]
    feeds: list[str]
    needs: list[str]
    given: list[Shape]
    shape: Shape
    arithmetic: str
    parameters: list[ParameterEntry]
    buffers: list[str]
    multiply_adds: int
    equations: Equations
    plain: str

    @property
    def own_parameters(self) -> int:
        """How many numbers its parameters hold, those of another layer not counted."""
        return sum(parameter.count for parameter in self.parameters if parameter.owner == self.name)


@dataclass
class Totals:
    """Of the net; `most_parameters` and `most_multiply_adds` name the layers that have the most of them."""

    layers: int
    parameters: int
    trainable: int
    multiply_adds: int
    most_parameters: list[str]
    most_multiply_adds: list[str]


@dataclass
class Explanation:
    """All there is to say of a network. `pieces` are the config's components beside the layers, by section."""

    name: str
    input_shape: Shape
    targets: str
    pieces: dict[str, list[Piece]]
    epochs: int
    batch_size: int
    dtype: str
    parameters_are: str
    is_chain: bool
    layers: list[LayerEntry]
    totals: Totals
    trace: Trace | None = None


def explain(
    one: Round,
    layer: str | None = None,
    sample: int | None = None,
    split: str = "test",
    parameters_are: str = "the initial ones",
) -> Explanation:
    """Explain a network.

    Parameters
    ----------
    one
        The network. Data are needed, and loaded, only for a sample.
    layer
        The name of the only layer to explain, or of a block or one copy of it; by default all.
    sample
        The number of a sample to follow through the net, from 0 on; by default none.
    split
        Where it is from.
    parameters_are
        What to say of the net's parameters.

    Raises
    ------
    UsageError
        If there is no such layer, split or sample.
    """
    net, config = one.net, one.config
    entries = [_layer(net, index) for index in range(len(net.layers))]
    chosen = _chosen(entries, layer)
    sections: dict[str, Sequence[Component]] = {
        "dataset": [config.dataset.make()],
        "augment": one.augmentations,
        "loss": [one.loss],
        "optimizer": [one.optimizer],
        "schedule": one.schedules,
    }
    found = Explanation(
        name=config.name,
        input_shape=net.input_shape,
        targets=_targets(one),
        pieces={
            section: [Piece(written(component, True), Equations.of(type(component))) for component in components]
            for section, components in sections.items()
        },
        epochs=config.training.epochs,
        batch_size=config.training.batch_size,
        dtype=str(net.dtype),
        parameters_are=parameters_are,
        is_chain=net.graph.is_chain,
        layers=chosen,
        totals=_totals(net, entries),
    )
    if sample is not None:
        found.trace = trace(one, sample, split)
        names = {entry.name for entry in chosen}
        found.trace.passages = [passage for passage in found.trace.passages if passage.layer in names]
    return found


def _targets(one: Round) -> str:
    """What the loss compares outputs with."""
    known, chosen = one.description, one.config.dataset.options["targets"]
    if chosen == "inputs":
        return "the sample itself"
    if known.classes is None:
        return "numbers" if known.target_shape is None else f"numbers {known.target_shape}"
    count = len(known.classes)
    names = ", ".join(known.classes[:10]) + (", …" if count > 10 else "")
    if one.loss.takes_labels or one.coding is None:
        return f"{count} classes ({names}) as class indices"
    if count > 3:
        return f"{count} classes ({names}) as {one.coding} vectors"
    vectors = encode(np.arange(count), one.coding, one.net.output_shape[0]).tolist()
    shown = [f"{name} is ({', '.join(f'{number:g}' for number in vectors[i])})" for i, name in enumerate(known.classes)]
    return f"{count} classes as {one.coding} vectors: {', '.join(shown)}"


def _layer(net: Net, index: int) -> LayerEntry:
    node, nodes = net.graph.nodes[index], net.graph.nodes
    layer, kind = node.layer, type(node.layer)
    equations = Equations.of(kind)
    readers = [str(other.layer.name) for other in nodes if index in other.sources]
    partners = [str(nodes[i].layer.name) for i in node.partners if nodes[i].layer is not layer.owner]
    return LayerEntry(
        number=index + 1,
        name=str(layer.name),
        kind=kind.__name__,
        written=written(layer),
        reads=[INPUT if source < 0 else str(nodes[source].layer.name) for source in node.sources],
        feeds=readers or ["loss"],
        needs=partners,
        given=[net.input_shape if source < 0 else net.shapes[source] for source in node.sources],
        shape=net.shapes[index],
        arithmetic=layer.arithmetic(),
        parameters=[_parameter(net, layer, parameter, equations) for parameter in layer.parameters],
        buffers=[buffer.name.rpartition(".")[2] for buffer in layer.buffers],
        multiply_adds=layer.multiply_adds(),
        equations=equations,
        plain=_plain_form(kind),
    )


def _parameter(net: Net, layer: Layer, parameter: Parameter, equations: Equations) -> ParameterEntry:
    owner, _, own = parameter.name.rpartition(".")
    text = " ".join(equations.forward)
    users = [other for other in net.layers if any(p is parameter for p in other.parameters)]
    return ParameterEntry(
        name=parameter.name,
        owner=owner,
        symbol=next((letter for letter in (own[0].upper(), own[0]) if re.search(rf"\b{letter}\b", text)), ""),
        shape=parameter.tensor.shape,
        count=parameter.tensor.size,
        trainable=parameter.trainable,
        shared_with=[str(other.name) for other in users if other is not layer],
    )


def _plain_form(kind: type[Layer]) -> str:
    """The source of a fast layer's plain form, without its docstring and types; "" where there is none."""
    function = getattr(plain, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower(), None)
    if function is None:
        return ""
    source = re.sub(r' *""".*?"""\n', "", inspect.getsource(function), count=1, flags=re.DOTALL)
    return re.sub(r": (?:Array|Pair|int)(?=[,) ])| -> Array", "", source).rstrip()


def _chosen(entries: list[LayerEntry], name: str | None) -> list[LayerEntry]:
    """The layers of this name, or of the block or copy of a block of this name."""
    if name is None:
        return entries
    found = [entry for entry in entries if entry.name == name or entry.name.startswith(f"{name}.")]
    if not found:
        # "stage.2.conv1" is in "stage.2", which is in "stage".
        blocks = {".".join(e.name.split(".")[:i]): None for e in entries for i in range(1, e.name.count(".") + 1)}
        known = [*(entry.name for entry in entries), *blocks]
        guess = suggestion(name, known)
        meant = f"Did you mean '{guess}'?" if guess else f"There are: {', '.join(known)}."
        raise UsageError(f"there is no layer '{name}'. {meant}")
    return found


def _totals(net: Net, entries: list[LayerEntry]) -> Totals:
    def most(count: Callable[[LayerEntry], int]) -> list[str]:
        largest = max(map(count, entries))
        return [entry.name for entry in entries if 0 < count(entry) == largest]

    return Totals(
        len(entries),
        sum(p.tensor.size for p in net.parameters),
        net.vector.tensor.size,
        sum(entry.multiply_adds for entry in entries),
        most(lambda entry: entry.own_parameters),
        most(lambda entry: entry.multiply_adds),
    )
