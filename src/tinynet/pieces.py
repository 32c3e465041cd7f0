"""A batch in pieces: worker threads run them on replicas of the net, with the same result for any number of workers.

A piece of 32 images stays in the processor's cache, and NumPy lets other threads run while it computes. Each piece has
a replica of the net that shares its parameters and has gradients and memories of its own. The gradients are added in
the order of the pieces, and the cut follows from the config alone, so that 1, 2 or 4 workers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import numpy as np

from tinynet.core import Array
from tinynet.losses import Loss
from tinynet.net import Net

IMAGES = 32  # samples in a piece


class Pieces:
    """Forward and backward over a batch, piece by piece.

    Parameters
    ----------
    net
        Takes the first piece itself, and in the end the gradients of all.
    loss
        Of a piece it counts by the piece's share of the batch.
    """

    def __init__(self, net: Net, loss: Loss) -> None:
        self.nets, self.loss = [net], loss
        # Dense nets are too small to gain; a layer that mixes the samples of a batch has to see all of them.
        mixes = any(getattr(layer, "mixes_samples", False) for layer in net.layers)
        self.size = IMAGES if len(net.input_shape) == 3 and not mixes else None
        self.workers = 1
        self.pool: ThreadPoolExecutor | None = None

    def run(self, x: Array, target: Array) -> tuple[float, Array]:
        """The loss and the outputs of a batch; adds its gradients to those of the net."""
        net = self.nets[0]
        if self.size is None or len(x) <= self.size:
            predicted = net.forward(x, training=True)
            value, gradient = self.loss(predicted, target)
            net.backward(gradient, to_input=False)
            return value, predicted
        count = -(-len(x) // self.size)
        while len(self.nets) < count:
            self.nets.append(net.replica())
        found = self._map(lambda index: self._piece(index, x, target), count)
        for other in self.nets[1:count]:
            net.vector.all_gradients += other.vector.all_gradients
            other.zero_grad()
        return sum(value for value, _ in found), np.concatenate([predicted for _, predicted in found])

    def _piece(self, index: int, x: Array, target: Array) -> tuple[float, Array]:
        """The loss of one piece, times its share of the batch, and its outputs."""
        assert self.size is not None
        net, part = self.nets[index], slice(index * self.size, (index + 1) * self.size)
        net.clock.step, net.clock.piece = self.nets[0].clock.step, index
        predicted = net.forward(x[part], training=True)
        value, gradient = self.loss(predicted, target[part])
        share = len(predicted) / len(x)
        net.backward(gradient * share, to_input=False)
        return value * share, predicted

    def _map(self, piece: Callable[[int], tuple[float, Array]], count: int) -> list[tuple[float, Array]]:
        if self.workers == 1:
            return [piece(index) for index in range(count)]
        if self.pool is None:
            self.pool = ThreadPoolExecutor(self.workers, thread_name_prefix="tinynet")
        # NumPy's warnings are set by context, and a thread has one of its own.
        return [job.result() for job in [self.pool.submit(copy_context().run, piece, i) for i in range(count)]]

    def blame(self) -> str:
        """As `Net.blame`, for the first piece that holds NaN or infinity, or else for the first piece."""
        sentences = [net.blame() for net in self.nets]
        return next((sentence for sentence in sentences if "NaN" in sentence), sentences[0])
