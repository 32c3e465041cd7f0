"""A batch in pieces: worker threads run them on replicas of the net, with the same result for any number of workers.

A piece of 32 images stays in the processor's cache, and NumPy lets other threads run while it computes. Each worker has
a replica of the net that shares its parameters and has gradients and memories of its own. The gradients are added in
the order of the pieces, and the cut follows from the config alone, so that 1, 2 or 4 workers give the same bytes.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from queue import SimpleQueue

import numpy as np

from tinynet.common.arrays import Array
from tinynet.nn.losses import Loss
from tinynet.nn.net import Net

IMAGES = 32  # samples in a piece


class Pieces:
    """Forward and backward over a batch, piece by piece.

    Parameters
    ----------
    net
        Gets the sum of the gradients.
    loss
        Of a piece it counts by the piece's share of the batch.
    """

    def __init__(self, net: Net, loss: Loss) -> None:
        self.net, self.loss = net, loss
        # Products of dense layers lose by being cut; a layer that mixes the samples of a batch has to see all of them.
        mixes = any(getattr(layer, "mixes_samples", False) for layer in net.layers)
        images = any(len(shape) == 3 for shape in net.shapes)
        self.size = IMAGES if images and not mixes else None
        self.workers = 1
        self.pool: ThreadPoolExecutor | None = None
        self.idle: SimpleQueue[Net] = SimpleQueue()
        self.gradients = np.empty((0, 0))
        self.batch: tuple[Array, Array] | None = None

    def run(self, x: Array, target: Array) -> tuple[float, Array]:
        """The loss and the outputs of a batch; adds its gradients to those of the net."""
        self.batch = x, target
        if self.size is None or len(x) <= self.size:
            predicted = self.net.forward(x, training=True)
            value, gradient = self.loss(predicted, target)
            self.net.backward(gradient, to_input=False)
            return value, predicted
        count = -(-len(x) // self.size)
        found = self._map(count)
        for gradients in self.gradients[:count]:
            self.net.vector.all_gradients += gradients
        return sum(value for value, _ in found), np.concatenate([predicted for _, predicted in found])

    def _map(self, count: int) -> list[tuple[float, Array]]:
        """What `_piece` gives for each piece; its gradients are in `self.gradients`."""
        if self.pool is None:
            self.pool = ThreadPoolExecutor(self.workers, thread_name_prefix="tinynet")
            for _ in range(self.workers):
                self.idle.put(self.net.replica())
        if len(self.gradients) < count:
            self.gradients = np.empty((count, *self.net.vector.all_gradients.shape), self.net.dtype)
        if self.workers == 1:
            return [self._piece(index) for index in range(count)]
        # NumPy's warnings are set by context, and a thread has one of its own.
        usual = sys.getswitchinterval()
        # After this time a thread asks for Python's lock; with the usual 5 ms LeNet took up to a tenth longer.
        sys.setswitchinterval(1e-4)
        try:
            jobs = [self.pool.submit(copy_context().run, self._piece, index) for index in range(count)]
            return [job.result() for job in jobs]
        finally:
            sys.setswitchinterval(usual)

    def _piece(self, index: int) -> tuple[float, Array]:
        """The loss of one piece, times its share of the batch, and its outputs."""
        assert self.size is not None
        assert self.batch is not None
        (x, target), part = self.batch, slice(index * self.size, (index + 1) * self.size)
        net = self.idle.get()
        net.clock.step, net.clock.piece = self.net.clock.step, index
        predicted = net.forward(x[part], training=True)
        value, gradient = self.loss(predicted, target[part])
        share = len(predicted) / len(x)
        net.backward(gradient * share, to_input=False)
        self.gradients[index] = net.vector.all_gradients
        net.zero_grad()
        self.idle.put(net)
        return value * share, predicted

    def blame(self) -> str:
        """As `Net.blame`, for the first piece of the last batch that holds NaN or infinity, or else for the last."""
        sentence = self.net.blame()
        if self.size is None or "NaN" in sentence or self.batch is None:
            return sentence
        # A worker's replica remembers only its last piece.
        with np.errstate(all="ignore"):
            for index, start in enumerate(range(0, len(self.batch[0]), self.size)):
                self.net.clock.piece = index
                self.net.forward(self.batch[0][start : start + self.size], training=True)
                sentence = self.net.blame()
                if "NaN" in sentence:
                    break
        self.net.clock.piece = 0
        return sentence
