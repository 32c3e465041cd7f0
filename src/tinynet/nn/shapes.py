"""The layers of a graph made ready one after another: shapes worked out, parameters drawn or shared."""

from __future__ import annotations

from math import prod
from typing import Any

from tinynet.common import memory
from tinynet.common.arrays import FLOAT32, Shape
from tinynet.common.errors import ShapeError
from tinynet.common.memory import Budget
from tinynet.nn.graph import Graph, LayerError, Node
from tinynet.nn.layer import Layer
from tinynet.nn.random import Clock, Stream


def set_up(graph: Graph, input_shape: Shape, seed: int, clock: Clock) -> list[Shape]:
    """Call `setup` of each layer with the shapes it is given; returns the shape of one sample of each one's output.

    Parameters
    ----------
    graph
        Its nodes in an order in which each comes after those it needs.
    input_shape
        Of one sample of the net's input.
    seed
        Where the layers' random numbers start.
    clock
        The net's.

    Raises
    ------
    LayerError
        If a layer cannot take what it is given, or cannot share what it is to share.
    """
    shapes = [input_shape]  # of the net's input, then of each layer's output
    budget = Budget()
    for node in graph.nodes:
        try:
            node.layer.budget = budget
            shapes.append(_set_up(node, graph, shapes, seed, clock))
        except ShapeError as error:
            raise LayerError(node.place, _explain(error, node, graph, shapes)) from None
        if not isinstance(shapes[-1], tuple):
            what = f"setup has to return the shape of its output, not {shapes[-1]!r}"
            raise LayerError(node.place, f"{node.layer.name}: {what}")
    return shapes[1:]


def _set_up(node: Node, graph: Graph, shapes: list[Shape], seed: int, clock: Clock) -> Shape:
    layer, name = node.layer, str(node.layer.name)
    layer.clock = clock
    layer.streams = [Stream(seed, "layer", name)]
    partners = [graph.nodes[index].layer for index in node.partners]
    if len(partners) > len(layer.refers()):
        layer.owner, *partners = partners
        _check_owner(layer)
    layer.link(*partners)
    setup: Any = layer.setup
    given = [shapes[source + 1] for source in node.sources]
    shape: Shape = setup(*given, rng=Stream(seed, "initialisation", name).at())
    lacking = memory.shortage(prod(shape) * FLOAT32) if isinstance(shape, tuple) else None
    if lacking:
        raise ShapeError(f"gives {shape} for one sample, which takes {lacking}. Make it smaller.")
    if layer.share is not None and not layer.parameters:
        raise ShapeError(f"a {type(layer).__name__} has no parameters to share. Remove `share`.")
    if layer.owner is not None and len(layer.parameters) < len(layer.owner.parameters):
        raise ShapeError(f"cannot share the parameters of {layer.owner.name!r}: that one has more of them.")
    return shape


def _check_owner(layer: Layer) -> None:
    """A layer shares with one of its kind, which alone says how the parameters begin and whether they learn."""
    owner = layer.owner
    assert owner is not None
    if type(owner) is not type(layer):
        kind = f"that is a {type(owner).__name__}, not a {type(layer).__name__}"
        raise ShapeError(f"cannot share the parameters of {owner.name!r}: {kind}.")
    if layer.share is not None and getattr(layer, "init", "uniform") != "uniform":
        raise ShapeError(f"shares the parameters of {owner.name!r}, which has the initial values. Remove init here.")
    if not layer.trainable and any(p.trainable for p in owner.parameters):
        raise ShapeError(f"shares the parameters of {owner.name!r}, so write `trainable: false` there.")


def _explain(error: ShapeError, node: Node, graph: Graph, shapes: list[Shape]) -> str:
    """The layer's message with the giver of each shape, and the shapes that lead up to it with their arithmetic."""
    plain = [str(shapes[source + 1]) for source in node.sources]
    told = [f"{shapes[source + 1]} from {_called(graph, source)}" for source in node.sources]
    text = str(error).replace(f"gets {' and '.join(plain)}.", f"gets {' and '.join(told)}.")
    steps = [f"input {shapes[0]}"]
    for index in graph.ancestors(len(shapes) - 1):
        layer = graph.nodes[index].layer
        how = layer.arithmetic()
        steps.append(f"{layer.name} {shapes[index + 1]}{f' [{how}]' if how else ''}")
    return f"{text} (shapes: {' → '.join(steps)})"


def _called(graph: Graph, index: int) -> str:
    """What gives a shape: the dataset (-1), a layer by its place in the config, or in a block by its name."""
    if index < 0:
        return "the dataset"
    node = graph.nodes[index]
    name, kind = str(node.layer.name), type(node.layer).__name__
    return f"{name} ({kind})" if "." in name else f"layers[{node.place[0]}] {kind}"
