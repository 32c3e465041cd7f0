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
        # Copies: a layer that changes what it is given is shown as it was.
        xs = [np.copy(x if source < 0 else found[source], order="K") for source in node.sources]
        forward: Any = node.layer.forward
        found.append(np.copy(forward(*xs, training=False), order="K"))
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
        dxs: Any = layer.backward(np.copy(known[index], order="K"))
        given.insert(0, tuple(dxs) if isinstance(dxs, (tuple, list)) else (dxs,))
        for source, dx in zip(net.graph.nodes[index].sources, given[0], strict=True):
            known[source] = dx if known[source] is None else known[source] + dx
    return known, given
