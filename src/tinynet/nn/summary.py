"""A net in a table: its layers, what they give, and how many parameters they have."""

from __future__ import annotations

from collections.abc import Sequence

from tinynet.common.arrays import Shape
from tinynet.nn.graph import Graph


def summary(graph: Graph, input_shape: Shape, shapes: Sequence[Shape], parameters: int, trainable: int) -> str:
    """A table of the layers: name, kind, what it reads where that is not the layer before, output shape of one sample,
    count of parameters.

    Parameters
    ----------
    graph
        Of the layers.
    input_shape, shapes
        Of one sample: of the net's input, and of each layer's output.
    parameters, trainable
        Numbers in all parameters, and in those that training changes.
    """
    rows = [("name", "layer", "inputs", "output", "parameters"), ("input", "", "", str(input_shape), "")]
    for index, (node, shape) in enumerate(zip(graph.nodes, shapes, strict=True)):
        layer = node.layer
        names = ("input" if source < 0 else str(graph.nodes[source].layer.name) for source in node.sources)
        reads = "" if node.sources == [index - 1] else ", ".join(names)
        count = f"{sum(p.tensor.size for p in layer.parameters):,}"
        if layer.owner is not None and layer.parameters:
            count = f"those of {layer.owner.name}"
        elif layer.parameters and not layer.trainable:
            count += " (frozen)"
        rows.append((str(layer.name), type(layer).__name__, reads, str(shape), count))
    columns = [column for column in range(5) if column != 2 or not graph.is_chain]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(row[column].ljust(widths[column]) for column in columns).rstrip() for row in rows]
    return "\n".join([*lines, f"{parameters:,} parameters, {trainable:,} of them trainable"])
