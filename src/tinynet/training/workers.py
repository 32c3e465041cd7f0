"""A batch in pieces: worker threads run them on replicas of the net, with the same result for any number of workers.

A piece of 32 images stays in the processor's cache, and NumPy lets other threads run while it computes. Each worker has
a replica of the net that shares its parameters and has gradients and memories of its own. The gradients are added in
the order of the pieces, and the cut follows from the config alone, so that 1, 2 or 4 workers give the same bytes.
"""

from __future__ import annotations

import copy
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
    workers
        Threads.
    """

    def __init__(self, net: Net, loss: Loss, workers: int = 1) -> None:
        self.net, self.loss, self.workers = net, loss, workers
        # Products of dense layers lose by being cut; a layer that mixes the samples of a batch has to see all of them.
        mixes = any(getattr(layer, "mixes_samples", False) for layer in net.layers)
        images = any(len(shape) == 3 for shape in net.shapes)
        self.size = IMAGES if images and not mixes else None
        self.pool: ThreadPoolExecutor | None = None
        self.idle: SimpleQueue[Net] = SimpleQueue()
        self.gradients = np.empty((0, 0))
        self.batch: tuple[Array, Array] | None = None
        # The inputs of the last batch, cut or not, for `blame`.
        self.last: Array | None = None

    def cuts(self, x: Array) -> bool:
        """Whether a batch is to be cut: it has more samples than a piece."""
        return self.size is not None and len(x) > self.size

    def run(self, x: Array, target: Array) -> tuple[float, Array]:
        """The loss and the outputs of a batch; adds its gradients to those of the net."""
        assert self.size is not None
        self.batch = x, target
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
                self.idle.put(replica(self.net))
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
        except RuntimeError:  # the system gives no thread: a piece that was begun has to end, and is done again here
            self.pool.shutdown(cancel_futures=True)
            self.workers = 1
            return self._map(count)
        else:
            return [job.result() for job in jobs]
        finally:
            sys.setswitchinterval(usual)

    def _piece(self, index: int) -> tuple[float, Array]:
        """The loss of one piece, times its share of the batch, and its outputs."""
        assert self.size is not None
        assert self.batch is not None
        (x, target), part = self.batch, slice(index * self.size, (index + 1) * self.size)
        net = self.idle.get()
        try:
            net.clock.step, net.clock.piece = self.net.clock.step, index
            predicted = net.forward(x[part], training=True)
            value, gradient = self.loss(predicted, target[part])
            share = len(predicted) / len(x)
            net.backward(gradient * share, to_input=False)
            self.gradients[index] = net.vector.all_gradients
            return value * share, predicted
        finally:  # also where the work is broken off: the next batch needs it
            net.zero_grad()
            self.idle.put(net)

    def blame(self, net: Net) -> str:
        """As `blame`, for the first piece of the last batch that holds NaN or infinity, or else for the last."""
        sentence = blame(net)
        if self.size is None or self.last is None or "NaN" in sentence:
            return sentence
        # A worker's replica remembers only its last piece.
        with np.errstate(all="ignore"):
            for index, start in enumerate(range(0, len(self.last), self.size)):
                net.clock.piece = index
                net.forward(self.last[start : start + self.size], training=True)
                sentence = blame(net)
                if "NaN" in sentence:
                    break
        net.clock.piece = 0
        return sentence


def replica(net: Net) -> Net:
    """A copy of a net that shares its parameters, but has gradients and memories of its own."""
    found = copy.deepcopy(net)
    for mine, theirs in zip((*net.parameters, *net.buffers), (*found.parameters, *found.buffers), strict=True):
        theirs.share(mine)
    return found


def blame(net: Net) -> str:
    """The first layer whose parameters, or else whose last output, hold NaN or infinity, as a sentence.

    Where all are finite, it is the layer with the largest output.
    """
    for layer in net.layers:
        if not all(np.isfinite(p.tensor).all() for p in layer.parameters):
            return f"The first layer with NaN or infinity is {layer.name} (its parameters)."
        if not np.isfinite(layer.y).all():
            return f"The first layer with NaN or infinity is {layer.name} (its output)."
    largest = max(net.layers, key=lambda layer: float(np.abs(layer.y).max(initial=0)))
    return f"The largest output is that of {largest.name}, up to {np.abs(largest.y).max(initial=0):.3g}."
