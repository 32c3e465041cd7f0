"""A net's forward and backward layer by layer, with all that comes by; `Net` does the same and is quicker."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.common.arrays import Array
from tinynet.nn.net import Net


def forward_through(net: Net, x: Array) -> list[Array]:
    """The outputs of all layers, as in evaluation."""
    found: list[Array] = []
    for node in net.graph.nodes:
        found.append(np.copy(node.layer(*(x if source < 0 else found[source] for source in node.sources)), order="K"))
    return found


def back_through(net: Net, gradient: Array) -> tuple[list[Array], list[tuple[Array, ...]]]:
    """The way back after a forward.

    Returns
    -------
    The gradients of the layers' outputs, and last that of the net's input; and what each layer's backward gave.
    """
    known: list[Any] = [None] * (len(net.layers) + 1)
    known[-2] = gradient
    given: list[tuple[Array, ...]] = []
    for index in range(len(net.layers) - 1, -1, -1):
        layer = net.layers[index]
        layer.needs_dx = True
        dxs: Any = layer.backward(known[index])
        given.insert(0, dxs if isinstance(dxs, tuple) else (dxs,))
        for source, dx in zip(net.graph.nodes[index].sources, given[0], strict=True):
            known[source] = dx if known[source] is None else known[source] + dx
    return known, given
