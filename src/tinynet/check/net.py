"""A whole net: its layers and its loss one by one, then the gradients of the loss through all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tinynet.check.differences import DIRECTIONS, Differences, Settings
from tinynet.check.findings import Part, Report, Tensor
from tinynet.check.hints import hint
from tinynet.check.layer import BrokenLayerError, call, call_back, check_layer, part_of, same
from tinynet.common.arrays import Array, Shape
from tinynet.nn.losses import Loss
from tinynet.nn.net import Net
from tinynet.nn.parameter import Parameter
from tinynet.nn.walk import back_through


def check(net: Net, loss: Loss, x: Array, target: Array, settings: Settings) -> Report:
    """Compare the gradient of every parameter and of every input with central differences.

    Parameters
    ----------
    net
        In float64. Its constant parameters are changed: a bias of 0 or a factor of 1 would hide mistakes.
    loss
        Of its outputs.
    x, target
        A batch.
    settings
        How to check.
    """
    with np.errstate(all="ignore"):  # NaN and infinity are found as wrong gradients
        return NetCheck(net, loss, x, target, settings).run()


# Batches on which a gradient of the whole net is compared before it is called wrong.
ATTEMPTS = 3


@dataclass
class Job:
    """A gradient of the whole net to compare: whose it is, and which layers' outputs change with it."""

    name: str
    tensor: Tensor
    array: Array
    gradient: Callable[[], Array]
    after: list[bool]


def work(net: Net, samples: int, entries: int | None) -> int:
    """How many derivatives a check compares."""
    reads = [source for node in net.graph.nodes for source in node.sources]
    shapes = [net.input_shape, net.output_shape, *(net.input_shape if s < 0 else net.shapes[s] for s in reads)]
    sizes = [samples * int(np.prod(shape)) for shape in shapes]
    sizes += [p.tensor.size for p in net.parameters]
    sizes += [p.tensor.size for layer in net.layers for p in layer.parameters]
    return sum(DIRECTIONS + (size if entries is None else min(size, entries)) for size in sizes)


class NetCheck:
    """The check of a net on one batch; see `check`."""

    def __init__(self, net: Net, loss: Loss, x: Array, target: Array, settings: Settings) -> None:
        self.net, self.loss, self.settings = net, loss, settings
        self.x, self.target = x.copy(), target.copy()
        self.nodes = net.graph.nodes
        self.saved = [(buffer, buffer.tensor.copy()) for buffer in net.buffers]
        self.outputs: list[Array] = []
        self.start = Part("input", "", None, [Tensor("x", x.shape)])
        self.parts = [part_of(n.layer, n.place, [self._input(s) for s in n.sources]) for n in self.nodes]
        self.end = Part("loss", type(loss).__name__, None, [Tensor("prediction", (len(x), *net.output_shape))])

    def _input(self, source: int) -> tuple[str, Shape]:
        """The name and shape of what a layer reads."""
        if source < 0:
            return "input", (len(self.x), *self.net.input_shape)
        return str(self.nodes[source].layer.name), (len(self.x), *self.net.shapes[source])

    def run(self) -> Report:
        for parameter in self.net.parameters:
            _vary(parameter, self.settings.rng(parameter.name))
        complete = self._each_layer()
        if complete:
            self._loss()
        whole = complete and not any(part.wrong for part in (*self.parts, self.end))
        if whole:
            self._whole()
            if any(part.wrong for part in (self.start, *self.parts)):
                self._blame()
        self._restore()
        self.net.zero_grad()
        return Report([self.start, *self.parts, self.end], whole)

    def _restore(self) -> None:
        """Running statistics as they were: they must not differ from one forward pass to the next."""
        for buffer, values in self.saved:
            buffer.tensor[...] = values

    def _each_layer(self) -> bool:
        """Check the layers one by one; whether the forward pass comes to its end."""
        try:
            # Another batch comes first, so that a layer that keeps its first input is found.
            self._forward(0.9 * self.x[::-1])
            self.outputs = self._forward(self.x)
        except BrokenLayerError:
            return False
        for node, part in zip(self.nodes, self.parts, strict=True):
            check_layer(node.layer, self._read(node.sources), part, self.settings)
            try:
                self._forward(self.x)  # a layer may read the memory of another, such as that of a pool
            except BrokenLayerError:
                return False
        return True

    def _read(self, sources: Sequence[int]) -> list[Array]:
        return [self.x if source < 0 else self.outputs[source] for source in sources]

    def _forward(self, x: Array) -> list[Array]:
        """The outputs of all layers; a layer that fails gets the fault, and BrokenLayerError is raised."""
        self._restore()
        found: list[Array] = []
        for node, part, shape in zip(self.nodes, self.parts, self.net.shapes, strict=True):
            try:
                # Copies, so that a layer that changes its input leaves the others' alone.
                y = call(node.layer, [np.copy(x if s < 0 else found[s], order="K") for s in node.sources])
                if y.shape != (len(x), *shape):
                    raise BrokenLayerError(f"forward gives the shape {y.shape}, but by setup it is {(len(x), *shape)}.")
                if not np.isfinite(y).all():
                    what = "NaN" if np.isnan(y).any() else "infinity"
                    raise BrokenLayerError(f"forward gives {what} for random samples.")
            except BrokenLayerError as error:
                part.faults.append(str(error))
                raise
            found.append(np.copy(y, order="K"))
        return found

    def _loss(self) -> None:
        """Check the loss by itself."""
        part, tensor, predicted = self.end, self.end.tensors[0], self.outputs[-1].copy()
        before, target = predicted.copy(), self.target.copy()
        try:
            _, gradient = self.loss(predicted, self.target)
            if not (np.array_equal(predicted, before) and np.array_equal(self.target, target)):
                part.faults.append("it changes the prediction or the target, which others read.")
            if gradient.shape != predicted.shape:
                raise BrokenLayerError(
                    f"its gradient has the shape {gradient.shape}, but the prediction {predicted.shape}."
                )
            found = Differences(lambda: np.array(self.loss(predicted, self.target)[0]), predicted, 1.0, self.settings)
            tensor.alone = found.compare(gradient, "loss")
        except BrokenLayerError as error:
            part.faults.append(str(error))
        except Exception as error:  # a person's own loss may raise anything
            part.faults.append(f"it fails with {type(error).__name__}: {error}")
        if tensor.alone is not None and tensor.alone.verdict == "wrong":
            counts = {"the samples of the batch": len(predicted), "the numbers of the prediction": predicted.size}
            tensor.faults += filter(None, [hint(tensor.alone, counts)])

    def _whole(self) -> None:
        """Check the gradients of the loss through the net.

        By chance one of the many kinks may be nearer than the smallest step, and a right gradient look wrong. So what
        differs is compared again on other batches, on which a wrong gradient is as wrong.
        """
        dx = np.empty(0)
        jobs = [Job("input.x", self.start.tensors[0], self.x, lambda: dx, self._after([-1]))]
        jobs += [self._job(parameter) for parameter in self.net.parameters]
        for attempt in range(ATTEMPTS):
            if attempt > 0:
                self.x *= 1 + 0.01 * self.settings.rng(f"batch {attempt}").standard_normal(self.x.shape)
            self._forward(0.9 * self.x[::-1])
            self._restore()
            self.net.zero_grad()
            _, gradient = self.loss(self.net.forward(self.x, training=True), self.target)
            found = self.net.backward(gradient)
            assert found is not None
            dx = found
            gradients = [job.gradient().copy() for job in jobs]
            largest = max(float(np.abs(gradient).max(initial=0)) for gradient in gradients)
            self.outputs = self._forward(self.x)
            for job, gradient in zip(jobs, gradients, strict=True):
                if job.tensor.whole is None or job.tensor.whole.verdict != "right":
                    differences = Differences(self._value(job.after), job.array, 1.0, self.settings, largest)
                    job.tensor.whole = differences.compare(gradient, f"whole {job.name}")

    def _job(self, parameter: Parameter) -> Job:
        """The comparison of a parameter, whose findings go to the layer that owns it."""
        users = [i for i, n in enumerate(self.nodes) if any(p is parameter for p in n.layer.parameters)]
        owner = next(i for i in users if self.nodes[i].layer.owner is None)
        node = self.nodes[owner]
        position = next(i for i, p in enumerate(node.layer.parameters) if p is parameter)
        tensor = self.parts[owner].tensors[len(node.sources) + position]
        return Job(parameter.name, tensor, parameter.tensor, lambda: parameter.gradient, self._after(users))

    def _after(self, changed: Sequence[int]) -> list[bool]:
        """For each layer, whether its output changes with those of some layers, or with the net's input (-1)."""
        found: list[bool] = []
        for index, node in enumerate(self.nodes):
            reads = (*node.sources, *node.partners)
            found.append(index in changed or any(s in changed if s < 0 else found[s] for s in reads))
        return found

    def _value(self, after: Sequence[bool]) -> Callable[[], Array]:
        """The loss as a function that computes only those layers anew whose outputs may have changed."""

        def value() -> Array:
            self._restore()
            found: list[Array] = []
            for node, kept, changed in zip(self.nodes, self.outputs, after, strict=True):
                xs = [self.x if s < 0 else found[s] for s in node.sources]
                found.append(call(node.layer, xs) if changed else kept)
            return np.array(self.loss(found[-1], self.target)[0])

        return value

    def _blame(self) -> None:
        """Each layer is right alone, but the net is not: find the one whose backward is another within the net."""
        self.outputs = self._forward(self.x)
        dys, dxs = back_through(self.net, self.loss(self.outputs[-1], self.target)[1])
        for node, part, dy, given in reversed(list(zip(self.nodes, self.parts, dys, dxs, strict=False))):
            self._restore()
            call(node.layer, self._read(node.sources))
            alone = call_back(node.layer, dy, len(node.sources))
            if not all(isinstance(dx, np.ndarray) and same(dx, other) for dx, other in zip(alone, given, strict=True)):
                part.faults.append(
                    "backward is right by itself, but not after the forward of the other layers. Keep what it needs in "
                    "self, not in the class or the module."
                )
                return


def _vary(parameter: Parameter, rng: np.random.Generator) -> None:
    """Give a parameter whose numbers are all the same different ones, about as large as a layer can take."""
    tensor = parameter.tensor
    if tensor.size and np.ptp(tensor) == 0:
        spread = 0.5 * np.sqrt(tensor.shape[-1] / tensor.size) if tensor.ndim else 0.5
        tensor += rng.uniform(-spread, spread, tensor.shape)
