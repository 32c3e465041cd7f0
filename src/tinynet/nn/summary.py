"""A net in a table: its layers, what they give, and how many parameters they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinynet.nn.net import Net


def summary(net: Net) -> str:
    """A table of the layers: name, kind, what it reads where that is not the layer before, output shape of one sample,
    count of parameters."""
    rows = [("name", "layer", "inputs", "output", "parameters"), ("input", "", "", str(net.input_shape), "")]
    for index, (node, shape) in enumerate(zip(net.graph.nodes, net.shapes, strict=True)):
        layer = node.layer
        names = ("input" if source < 0 else str(net.layers[source].name) for source in node.sources)
        reads = "" if node.sources == [index - 1] else ", ".join(names)
        count = f"{sum(p.tensor.size for p in layer.parameters):,}"
        if layer.owner is not None and layer.parameters:
            count = f"those of {layer.owner.name}"
        elif layer.parameters and not layer.trainable:
            count += " (frozen)"
        rows.append((str(layer.name), type(layer).__name__, reads, str(shape), count))
    columns = [column for column in range(5) if column != 2 or not net.graph.is_chain]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(row[column].ljust(widths[column]) for column in columns).rstrip() for row in rows]
    everything, learning = sum(p.tensor.size for p in net.parameters), net.vector.tensor.size
    return "\n".join([*lines, f"{everything:,} parameters, {learning:,} of them trainable"])
