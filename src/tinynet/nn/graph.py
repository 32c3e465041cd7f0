"""The graph of a net: blocks written out, names given, who reads whom, and an order in which it can be computed."""

from __future__ import annotations

import heapq
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from tinynet.common.errors import ShapeError
from tinynet.common.suggestions import hint
from tinynet.nn.layer import Layer
from tinynet.nn.layers.block import Block

# Where a layer stands in the list of layers: (2,), or (2, "Block", "layers", 0) within a block.
Place = tuple[int | str, ...]
INPUT = "input"


class LayerError(ShapeError):
    """A layer that does not fit where it stands; `place` says where that is."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


@dataclass
class Scope:
    """A list of layers in which names are looked up: the net's own, or one copy of a block.

    Parameters
    ----------
    prefix
        Before the names of its layers: "stage.2." in the second copy of the block `stage`.
    feed
        What `input` means in it; None for the net's own input.
    owner
        The prefix of the copy whose parameters its layers share.
    outer
        The scope that the block stands in.
    layers
        By the names they have in it.
    read
        The names that are read in it, also by layers of its blocks.
    """

    prefix: str = ""
    feed: Name | None = None
    owner: str | None = None
    outer: Scope | None = None
    layers: dict[str, Layer] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Name:
    """A name, the scope in which it is to be looked up, and the layer that gives it: its place and name there."""

    scope: Scope
    text: str
    place: Place
    by: str


@dataclass(eq=False)
class Node:
    """A layer in the graph.

    Parameters
    ----------
    layer
        With its full name.
    place
        Where it stands.
    reads
        The names of its inputs, until they are found.
    refers
        The names of other layers that it needs to be set up before it, the one whose parameters it shares first; until
        they are found.
    sources
        The nodes of its inputs by number; -1 is the net's own input.
    partners
        Those that `refers` names.
    takes_any
        Whether its forward takes any number of inputs, as `*xs`.
    """

    layer: Layer
    place: Place
    reads: list[Name]
    refers: list[Name]
    sources: list[int] = field(default_factory=list)
    partners: list[int] = field(default_factory=list)
    takes_any: bool = False


class Graph:
    """The layers of a net, blocks written out, in the order of the list or, where one has to wait, as near as may be.

    Parameters
    ----------
    layers
        In any order.

    Raises
    ------
    LayerError
        For a cycle, an unknown name, one used twice, or an output that no layer reads.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.nodes: list[Node] = []
        # The end of each block, by the block's full name.
        self._ends: dict[str, Name] = {}
        # Layers whose outputs no layer beside them reads, and what to say if no other does; None if that is sure.
        self._loose: list[tuple[Name | None, LayerError]] = []
        self._lay(layers, Scope(), lambda index: (index,))
        self._index = {str(node.layer.name): index for index, node in enumerate(self.nodes)}
        for index, node in enumerate(self.nodes):
            node.sources = [self._find(name) for name in node.reads]
            node.partners = [self._find(name, layers_only=True) for name in node.refers]
            if index in node.partners:
                raise LayerError(node.place, f"{node.layer.name!r} cannot refer to itself. Name another layer.")
        read = {source for node in self.nodes for source in node.sources}
        loose = [error for name, error in self._loose if name is None or self._find(name) not in read]
        self._sort()
        if loose:
            raise loose[0]
        for node in self.nodes:
            _check_inputs(node)
            # What leads from scope to scope would be copied with the net, as deep as blocks repeat.
            node.reads, node.refers = [], []
        self._ends, self._loose = {}, []
        # Whether each layer reads the one before it, and nothing else.
        self.is_chain = all(n.sources == [index - 1] and not n.takes_any for index, n in enumerate(self.nodes))

    def _lay(self, layers: Sequence[Layer], scope: Scope, place: Callable[[int], Place]) -> Name:
        """Add the nodes of a list of layers, whose places go by their numbers; returns the name of its end."""
        _name(layers, scope, place)
        previous = INPUT
        for index, (local, layer) in enumerate(scope.layers.items()):
            given = (previous,) if layer.inputs is None else layer.inputs
            at = place(index)
            reads = [Name(scope, text, at, local) for text in ((given,) if isinstance(given, str) else given)]
            if not reads:
                raise LayerError(at, "inputs is empty. Name one layer or more, or leave it out for the layer before.")
            scope.read.update(name.text for name in reads)
            if isinstance(layer, Block):
                self._lay_block(layer, scope, reads, local, at)
            else:
                refers = [Name(scope, text, at, local) for text in (layer.share, *layer.refers()) if text is not None]
                if scope.owner is not None:
                    refers = [Name(Scope(), scope.owner + local, at, local), *refers[layer.share is not None :]]
                layer.name = scope.prefix + local
                self.nodes.append(Node(layer, at, reads, refers))
            previous = local
        return self._end(scope, place)

    def _lay_block(self, block: Block, scope: Scope, reads: list[Name], local: str, at: Place) -> None:
        if len(reads) > 1:
            given = ", ".join(name.text for name in reads)
            raise LayerError(at, f"takes one input, but gets {len(reads)}. Join them, as in `Concat: [{given}]`.")
        full, feed = scope.prefix + local, reads[0]
        try:
            written = block.written(scope.layers)
            copies = written.copies(len(self.nodes))
        except ShapeError as error:
            raise LayerError(at, str(error)) from None
        for number, layers in enumerate(copies, start=1):
            owner = scope.owner and f"{scope.owner}{local}.{number}."
            if block.share is not None:
                owner = f"{scope.prefix}{block.share}.{number}."
            copy = Scope(f"{full}.{number}.", feed, owner, scope)
            feed = self._lay(layers, copy, lambda index: (*at, "Block", "layers", index) if written is block else at)
            if INPUT not in copy.read:
                what = "none of its layers reads `input`, which is what the block is given."
                self._loose.append((None, LayerError(at, what)))
            scope.read.update(text for text in copy.read if text not in (*copy.layers, INPUT))
        self._ends[full] = feed

    def _end(self, scope: Scope, place: Callable[[int], Place]) -> Name:
        names = list(scope.layers)
        # Where every layer is read by another there is a circle, which sorting finds and spells out.
        *others, last = [name for name in names if name not in scope.read] or names[-1:]
        for name in others:
            at = place(names.index(name))
            ends = f"The {'block' if scope.prefix else 'net'} ends in {last!r}: join the two, as in "
            what = f"no layer reads the output of {name!r}. {ends}`Sum: [{name}, {last}]`, or remove the layer."
            self._loose.append((Name(scope, name, at, name), LayerError(at, what)))
        return Name(scope, last, place(names.index(last)), last)

    def _find(self, name: Name, layers_only: bool = False) -> int:
        """The number of the node that a name means; -1 for the net's input."""
        if name.text == INPUT and not layers_only:
            return -1 if name.scope.feed is None else self._find(name.scope.feed)
        known: list[str] = []
        scope: Scope | None = name.scope
        while scope is not None:
            full = scope.prefix + name.text
            if full in self._index:
                return self._index[full]
            if full in self._ends:
                if layers_only:
                    inside = next(other for other in self._index if other.startswith(f"{full}."))
                    raise LayerError(name.place, f"{name.text!r} is a block. Name a layer in it, as in {inside!r}.")
                return self._find(self._ends[full])
            known += [other for other in scope.layers if other not in (*known, name.by)]
            scope = scope.outer
        known += [] if layers_only else [INPUT]
        raise LayerError(name.place, f"there is no layer {name.text!r}. {hint(name.text, known, self._index)}")

    def _sort(self) -> None:
        """Put the nodes in an order in which each comes after those it needs."""
        before = {i: [j for j in (*node.sources, *node.partners) if j >= 0] for i, node in enumerate(self.nodes)}
        sorter = TopologicalSorter(before)
        try:
            sorter.prepare()
        except CycleError as error:
            raise self._circle(error.args[1]) from None
        order: list[int] = []
        ready: list[int] = []
        while sorter.is_active():
            for index in sorter.get_ready():
                heapq.heappush(ready, index)
            order.append(heapq.heappop(ready))
            sorter.done(order[-1])
        new = {old: position for position, old in enumerate(order)} | {-1: -1}
        self.nodes = [self.nodes[old] for old in order]
        for node in self.nodes:
            node.sources = [new[old] for old in node.sources]
            node.partners = [new[old] for old in node.partners]

    def _circle(self, found: list[int]) -> LayerError:
        """What is wrong with nodes each of which has to come before the next, the last being the first."""
        start = found.index(min(found))
        found = [*found[start:-1], *found[: start + 1]]
        names = " → ".join(str(self.nodes[i].layer.name) for i in found)
        for before, after in pairwise(found):
            if before not in self.nodes[after].sources:
                one, other = self.nodes[after], self.nodes[before].layer.name
                what = f"{one.layer.name!r} refers to {other!r}, which comes after it: {names}."
                return LayerError(one.place, f"{what} Let the later layer name the earlier one.")
        return LayerError(self.nodes[found[0]].place, f"the layers feed each other in a circle: {names}.")

    def ancestors(self, index: int) -> list[int]:
        """The nodes that a node's output depends on, itself left out, in their order."""
        found: set[int] = set()
        waiting = list(self.nodes[index].sources)
        while waiting:
            source = waiting.pop()
            if source >= 0 and source not in found:
                found.add(source)
                waiting += self.nodes[source].sources
        return sorted(found)


def _name(layers: Sequence[Layer], scope: Scope, place: Callable[[int], Place]) -> None:
    """Give each layer its name in the scope: its own, or its class and count."""
    counts: dict[str, int] = {}
    for index, layer in enumerate(layers):
        at = place(index)
        if not isinstance(layer, Layer):
            raise LayerError(at, f"layers[{index}] is {layer!r}, not a layer. Write it as in Linear(25) or ReLU().")
        if layer.taken:
            raise LayerError(at, f"layers[{index}] {type(layer).__name__} belongs to a net already. Make a new one.")
        layer.taken = True
        if layer.name is None:
            kind = type(layer).__name__.lower()
            counts[kind] = counts.get(kind, 0) + 1
            layer.name = f"{kind}{counts[kind]}"
        if not re.fullmatch(r"[A-Za-z_][\w-]*", layer.name):
            rule = "has to start with a letter and hold only letters, digits, _ and -"
            raise LayerError(at, f"the name {layer.name!r} {rule}")
        if len(layer.name) > 100:  # with the names of the blocks around it, it has to fit into a checkpoint
            raise LayerError(at, f"its name has {len(layer.name):,} letters; a layer's has at most 100.")
        if layer.name == INPUT:
            raise LayerError(at, "the name 'input' is that of the net's own input. Choose another.")
        if layer.name in scope.layers:
            raise LayerError(at, f"there is another layer called {layer.name!r}. Give each its own name.")
        scope.layers[layer.name] = layer


def _check_inputs(node: Node) -> None:
    """The layer takes as many inputs as it is given."""
    signature = inspect.signature(node.layer.forward)
    taken = [p for p in signature.parameters.values() if p.name != "training" and p.kind is not p.KEYWORD_ONLY]
    node.takes_any = any(p.kind is p.VAR_POSITIONAL for p in taken)
    if node.takes_any or len(taken) == len(node.sources):
        return
    given = ", ".join(name.text for name in node.reads)
    if len(taken) == 1:
        what = f"takes one input, but gets {len(node.sources)}: {given}."
        raise LayerError(node.place, f"{what} Join them before it, as in `Sum: [{given}]`.")
    names = ", ".join(p.name for p in taken)
    raise LayerError(node.place, f"takes {len(taken)} inputs ({names}), but gets {len(node.sources)}: {given}.")
