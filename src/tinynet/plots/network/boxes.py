"""What the picture of a net is made of: a box for each layer, a frame for each copy of a block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinynet.nn.graph import Node
from tinynet.nn.net import Net
from tinynet.plots import style
from tinynet.plots.network.column import Item
from tinynet.plots.network.columns import Layout


@dataclass(eq=False)
class Box(Item):
    """A layer, or the net's input.

    Parameters
    ----------
    index
        Of its node; -1 is the input.
    name, kind, shape, note
        The words in it: top left, top right, bottom left, bottom right.
    look
        "input", "learns", "frozen", "joins" or "plain".
    """

    index: int = -1
    name: str = ""
    kind: str = ""
    shape: str = ""
    note: str = ""
    look: str = "input"


@dataclass(eq=False)
class Frame(Item):
    """A copy of a block, or one that stands for several alike.

    Parameters
    ----------
    name, note
        The words at its top, left and right.
    items
        What is in it; the first is where the block's input comes in.
    layout
        Of the items.
    """

    name: str = ""
    note: str = ""
    items: list[Item] = field(default_factory=list)
    layout: Layout | None = None


def parts_of(net: Net, drawn_once: int) -> list[Item]:
    """The boxes and frames of a net, by what they read, without places or sizes.

    Parameters
    ----------
    net
        To be drawn.
    drawn_once
        From so many layers on, equal copies of a block that follow each other are one frame.
    """
    parts = _Parts(net)
    if len(net.layers) >= drawn_once:
        parts.fold()
    return parts.level(list(range(len(net.layers))), "")


def prefixes(name: str) -> list[str]:
    """The copies of blocks that a layer stands in, outermost first: `a.1.b.2.conv` in `a.1` and `a.1.b.2`."""
    words = name.split(".")
    return [".".join(words[:stop]) for stop in range(2, len(words), 2)]


def shape_text(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "1"


class _Parts:
    def __init__(self, net: Net) -> None:
        self.net = net
        self.nodes = net.graph.nodes
        self.readers: dict[int, set[int]] = {i: set() for i in range(-1, len(self.nodes))}
        for i, node in enumerate(self.nodes):
            for source in node.sources:
                self.readers[source].add(i)
        self.members: dict[str, list[int]] = {}
        for i, layer in enumerate(net.layers):
            for prefix in prefixes(str(layer.name)):
                self.members.setdefault(prefix, []).append(i)
        # A frame has one way in and one out, which layers that read across its border would break.
        self.members = {p: found for p, found in self.members.items() if len(self._feeds(p)) == len(self._ends(p)) == 1}
        # Copies that another stands for, and of that one the number of the last copy.
        self.stands: dict[str, str] = {}
        self.lasts: dict[str, int] = {}

    def _feeds(self, prefix: str) -> set[int]:
        inside = set(self.members[prefix])
        return {source for i in inside for source in self.nodes[i].sources} - inside

    def _ends(self, prefix: str) -> set[int]:
        inside = set(self.members[prefix])
        return {i for i in inside if self.readers[i] - inside or i == len(self.nodes) - 1}

    def fold(self) -> None:
        """Let the first of equal copies that follow each other stand for all of them."""
        for prefix in self.members:
            base, _, number = prefix.rpartition(".")
            after = f"{base}.{int(number) + 1}"
            if after in self.members and self._ends(prefix) == self._feeds(after):
                (end,) = self._ends(prefix)
                if self.readers[end] <= set(self.members[after]) and self._form(prefix) == self._form(after):
                    first = self.stands.get(prefix, prefix)
                    self.stands[after], self.lasts[first] = first, int(number) + 1

    def _form(self, prefix: str) -> list[Any]:
        """What makes copies alike: the layers, what they read, their shapes and parameters."""
        inside = {i: number for number, i in enumerate(self.members[prefix])}
        found: list[Any] = []
        for i in inside:
            node, layer = self.nodes[i], self.nodes[i].layer
            sizes = [p.tensor.shape for p in layer.parameters]
            reads = [inside.get(source) for source in node.sources]
            owner = None if layer.owner is None else str(layer.owner.name).rpartition(".")[2]
            name = str(layer.name).removeprefix(prefix)
            found.append((name, type(layer), self.net.shapes[i], sizes, layer.trainable, reads, owner))
        return found

    def level(self, members: list[int], within: str) -> list[Item]:
        """The items of a frame, or of the whole net, that are not in a frame within it."""
        root = Box(0, 0, 0, name="input", shape=shape_text(self.net.input_shape)) if not within else Item(0, 0, 0)
        items: list[Item] = [root]
        number: dict[int, int] = {}
        frames: dict[str, int] = {}
        for i in members:
            inner = [p for p in prefixes(str(self.nodes[i].layer.name)) if p in self.members and len(p) > len(within)]
            if not inner:
                number[i] = len(items)
                items.append(self._box(i, within))
                continue
            prefix = self.stands.get(inner[0], inner[0])
            if prefix not in frames:
                frames[prefix] = len(items)
                items.append(self._frame(prefix))
            number[i] = frames[prefix]
        for i in members:
            item = items[number[i]]
            for source in (number.get(source, 0) for source in self.nodes[i].sources):
                if source != number[i] and (isinstance(item, Box) or source not in item.sources):
                    item.sources.append(source)
        return items

    def _frame(self, prefix: str) -> Frame:
        base, _, first = prefix.rpartition(".")
        name, note = prefix, ""
        if f"{base}.2" not in self.members and first == "1":
            name = base
        inside = self.members[prefix]
        if prefix in self.lasts:
            last = self.lasts[prefix]
            times = last - int(first) + 1
            others = any(p.startswith(f"{base}.") and p not in self.stands and p != prefix for p in self.members)
            name = f"{base}.{first} … {base}.{last}" if others else f"{base} × {times}"
            count = sum(_own(self.nodes[i]) for i in inside)
            note = f"{times} × {count:,} parameters" if count else ""
        return Frame(0, 0, 0, name=name, note=note, items=self.level(inside, prefix))

    def _box(self, i: int, within: str) -> Box:
        node = self.nodes[i]
        layer = node.layer
        count, note, look = _own(node), "", "plain"
        if layer.parameters:
            look = "learns" if any(p.trainable for p in layer.parameters) else "frozen"
            note = f"{count:,} parameter{'s' * (count != 1)}"
        elif len(node.sources) > 1:
            look = "joins"
        if layer.owner is not None and layer.parameters:
            note = f"those of {style.shortened(str(layer.owner.name), 20)}"
        elif layer.refers():
            note = f"uses {style.shortened(', '.join(layer.refers()), 20)}"
        name = str(layer.name).removeprefix(f"{within}.")
        return Box(
            0, 0, 0, index=i, name=style.shortened(name, 22), kind=style.shortened(type(layer).__name__, 20),
            shape=shape_text(self.net.shapes[i]), note=note, look=look,
        )  # fmt: skip


def _own(node: Node) -> int:
    """The parameters that a layer does not share with one before it."""
    return 0 if node.layer.owner is not None else sum(p.tensor.size for p in node.layer.parameters)


def every_box(items: Sequence[Item]) -> Iterator[Box]:
    """All boxes, those in frames too, but for the input."""
    for item in items:
        if isinstance(item, Frame):
            yield from every_box(item.items)
        elif isinstance(item, Box) and item.index >= 0:
            yield item
