"""The same net in PyTorch, with the same parameters, the same loss, optimizer and learning rates."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from tinynet.check.layer import short_name
from tinynet.common.arrays import Array, Shape
from tinynet.common.components import Component
from tinynet.common.errors import TinynetError, UsageError
from tinynet.nn.layer import Layer
from tinynet.nn.layers import activations, convolution, dropout, linear, merge, normalization, pooling, shape
from tinynet.nn.layers.images import pair
from tinynet.nn.losses import L1, MSE, BinaryCrossEntropy, CrossEntropy, Huber, Loss
from tinynet.nn.optimizers import SGD, Adam, AdamW, Optimizer
from tinynet.nn.parameter import Parameter
from tinynet.nn.schedules import CosineLR, LinearWarmup, Schedule, StepLR
from tinynet.training.round import Round


class MissingTorchError(TinynetError):
    """PyTorch is not installed."""


def torch_module() -> Any:
    """PyTorch.

    Raises
    ------
    MissingTorchError
        If it is not installed.
    """
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError:
        hint = "Install it by `pip install torch`."
        raise MissingTorchError(f"PyTorch is not installed, so there is nothing to compare with. {hint}") from None


def tensor(array: Array) -> Any:
    """An array in PyTorch, copied."""
    return torch_module().tensor(np.ascontiguousarray(array))


def _batch_norm(nn: Any, layer: Any, sample: Shape) -> Any:
    kinds = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}
    return kinds[len(sample)](sample[0], eps=layer.eps, momentum=layer.momentum)


def _conv(nn: Any, layer: Any, sample: Shape) -> Any:
    padding = "same" if layer.padding == "same" else pair(layer.padding)
    sizes = pair(layer.kernel_size), pair(layer.stride), padding, pair(layer.dilation)
    return nn.Conv2d(sample[0], layer.out_channels, *sizes, layer.groups, layer.bias)


def _conv_transpose(nn: Any, layer: Any, sample: Shape) -> Any:
    sizes = pair(layer.kernel_size), pair(layer.stride), pair(layer.padding), pair(layer.output_padding)
    return nn.ConvTranspose2d(sample[0], layer.out_channels, *sizes, layer.groups, layer.bias, pair(layer.dilation))


def _window(pool: Any) -> tuple[Any, ...]:
    return pool.geometry.kernel, pool.geometry.stride, pool.geometry.before


def _dropout(nn: Any, layer: Any, sample: Shape) -> Any:
    """With the mask that the layer itself drew last."""
    return lambda x: x if layer.factor is None else x * tensor(layer.factor)


# For each layer its like in PyTorch, made from torch.nn, the layer, and the shape of a sample of its first input.
LAYERS: dict[type[Layer], Callable[[Any, Any, Shape], Any]] = {
    activations.ReLU: lambda nn, layer, sample: nn.ReLU(),
    activations.LeakyReLU: lambda nn, layer, sample: nn.LeakyReLU(layer.negative_slope),
    activations.Tanh: lambda nn, layer, sample: nn.Tanh(),
    activations.Sigmoid: lambda nn, layer, sample: nn.Sigmoid(),
    activations.GELU: lambda nn, layer, sample: nn.GELU(approximate="tanh"),
    activations.Softmax: lambda nn, layer, sample: nn.Softmax(dim=-1),
    convolution.Conv2d: _conv,
    convolution.ConvTranspose2d: _conv_transpose,
    dropout.Dropout: _dropout,
    dropout.Dropout2d: _dropout,
    linear.Linear: lambda nn, layer, sample: nn.Linear(sample[0], layer.out_features, bias=layer.bias),
    merge.Concat: lambda nn, layer, sample: lambda *xs: torch_module().cat(xs, dim=layer.axis + 1),
    merge.Identity: lambda nn, layer, sample: nn.Identity(),
    merge.Multiply: lambda nn, layer, sample: lambda *xs: reduce(operator.mul, xs),
    merge.Sum: lambda nn, layer, sample: lambda *xs: reduce(operator.add, xs),
    normalization.BatchNorm: _batch_norm,
    normalization.LayerNorm: lambda nn, layer, sample: nn.LayerNorm(sample, eps=layer.eps),
    pooling.AvgPool2d: lambda nn, layer, sample: nn.AvgPool2d(*_window(layer)),
    pooling.GlobalAvgPool2d: lambda nn, layer, sample: lambda x: x.mean(dim=(2, 3)),
    pooling.MaxPool2d: lambda nn, layer, sample: nn.MaxPool2d(*_window(layer), return_indices=True),
    pooling.MaxUnpool2d: lambda nn, layer, sample: nn.MaxUnpool2d(*_window(layer.source)),
    pooling.Upsample: lambda nn, layer, sample: nn.Upsample(scale_factor=layer.scale),
    shape.Flatten: lambda nn, layer, sample: nn.Flatten(),
    shape.Reshape: lambda nn, layer, sample: lambda x: x.reshape(len(x), *layer.shape),
}

LOSSES: dict[type[Loss], Callable[[Any, Any], Any]] = {
    MSE: lambda nn, loss: nn.MSELoss(),
    L1: lambda nn, loss: nn.L1Loss(),
    Huber: lambda nn, loss: nn.HuberLoss(delta=loss.delta),
    CrossEntropy: lambda nn, loss: nn.CrossEntropyLoss(),
    BinaryCrossEntropy: lambda nn, loss: nn.BCEWithLogitsLoss(),
}

# The options have the same names.
OPTIMIZERS: dict[type[Optimizer], tuple[str, ...]] = {
    SGD: ("lr", "momentum", "nesterov", "weight_decay"),
    Adam: ("lr", "betas", "eps", "weight_decay"),
    AdamW: ("lr", "betas", "eps", "weight_decay"),
}

# From torch.optim.lr_scheduler, the schedule, PyTorch's optimizer, and the epochs of the training.
SCHEDULES: dict[type[Schedule], Callable[[Any, Any, Any, int], Any]] = {
    StepLR: lambda kinds, schedule, optimizer, epochs: kinds.StepLR(optimizer, schedule.step_size, schedule.gamma),
    CosineLR: lambda kinds, schedule, optimizer, epochs: kinds.CosineAnnealingLR(optimizer, schedule.T_max or epochs),
    LinearWarmup: lambda kinds, schedule, optimizer, epochs: kinds.LinearLR(
        optimizer, 1 / schedule.epochs, total_iters=max(schedule.epochs - 1, 1)
    ),
}


class Twin:
    """What a config describes, in PyTorch, in float64.

    Parameters
    ----------
    one
        In float64; their parameters are copied.

    Raises
    ------
    UsageError
        If PyTorch has no such layer, loss, optimizer or schedule.
    MissingTorchError
        If PyTorch is not installed.
    """

    def __init__(self, one: Round) -> None:
        self.torch, self.one, self.net = torch_module(), one, one.net
        self._refuse_what_pytorch_lacks()
        # Each parameter or buffer, its tensor in PyTorch, and the layer that owns it.
        self.pairs: list[tuple[Parameter, Any, Layer]] = []
        self.modules: list[Any] = []
        for node in self.net.graph.nodes:
            source = node.sources[0]
            sample = self.net.input_shape if source < 0 else self.net.shapes[source]
            self.modules.append(self._module(node.layer, LAYERS[type(node.layer)](self.torch.nn, node.layer, sample)))
        self.loss = LOSSES[type(one.loss)](self.torch.nn, one.loss)
        self.trainable = [theirs for ours, theirs, _ in self.pairs if ours.trainable]
        self.optimizer: Any = None
        if self.trainable:
            self.optimizer = self._optimizer(self.trainable)
        self.outputs: list[Any] = []

    def _refuse_what_pytorch_lacks(self) -> None:
        one = self.one
        found: list[str] = []
        for node in self.net.graph.nodes:
            if type(node.layer) not in LAYERS:
                found.append(f"layer {node.layer.name} is {_of_kind(node.layer)}")
            elif isinstance(node.layer, pooling.MaxUnpool2d) and node.layer.source.overlap:
                found.append(f"layer {node.layer.name} reads a pool with windows that overlap")
            elif isinstance(node.layer, normalization.BatchNorm) and len(node.layer.inner) > 4:
                found.append(f"layer {node.layer.name} reads samples of more than four axes")
        known: tuple[tuple[str, Component, Any], ...] = (
            ("the loss", one.loss, LOSSES),
            ("the optimizer", one.optimizer, OPTIMIZERS),
            *(("a schedule", schedule, SCHEDULES) for schedule in one.schedules),
        )
        found += [f"{what} is {_of_kind(part)}" for what, part, table in known if type(part) not in table]
        if found:
            raise UsageError(
                f"PyTorch has nothing to compare with: {'; '.join(found)}. Without --torch the gradients are checked "
                "by central differences."
            )

    def _module(self, layer: Layer, module: Any) -> Any:
        """The module with the layer's parameters and buffers, or with those that it shares."""
        if not isinstance(module, self.torch.nn.Module):
            return module
        module.double()
        for own in (*layer.parameters, *layer.buffers):
            name = short_name(own)
            shared = next((theirs for ours, theirs, _ in self.pairs if ours is own), None)
            if shared is not None:
                setattr(module, name, shared)
                continue
            theirs = getattr(module, name)
            theirs.data.copy_(tensor(turned(layer, own.tensor, theirs.ndim)))
            self.pairs.append((own, theirs, layer))
        return module

    def _optimizer(self, parameters: Sequence[Any]) -> Any:
        ours = self.one.optimizer
        options = {name: getattr(ours, name) for name in OPTIMIZERS[type(ours)]}
        return getattr(self.torch.optim, type(ours).__name__)(parameters, **options)

    def rates(self, epochs: int) -> list[float]:
        """The learning rate of each epoch."""
        optimizer = self._optimizer([self.torch.zeros(1, requires_grad=True)])
        length = self.one.config.training.epochs
        kinds = self.torch.optim.lr_scheduler
        schedulers = [SCHEDULES[type(s)](kinds, s, optimizer, length) for s in self.one.schedules]
        found = []
        for _ in range(epochs):
            found.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            for scheduler in schedulers:
                scheduler.step()
        return found

    def forward(self, x: Any) -> Any:
        """The output for a batch; `outputs` keeps those of all layers, with their gradients after a backward."""
        self.outputs = []
        places: dict[Layer, Any] = {}
        for node, module in zip(self.net.graph.nodes, self.modules, strict=True):
            xs = [x if source < 0 else self.outputs[source] for source in node.sources]
            if isinstance(node.layer, pooling.MaxPool2d):
                y, places[node.layer] = module(*xs)
            elif isinstance(node.layer, pooling.MaxUnpool2d):
                y = module(*xs, places[node.layer.source], output_size=node.layer.source.input_shape[1:])
            else:
                y = module(*xs)
            if y.requires_grad:
                y.retain_grad()
            self.outputs.append(y)
        return self.outputs[-1]

    def backward(self, x: Array, target: Array) -> None:
        """The gradients of a batch."""
        for _, theirs, _ in self.pairs:
            theirs.grad = None
        self.loss(self.forward(tensor(x)), tensor(target)).backward()

    def update(self, rate: float) -> None:
        """One step of the optimizer."""
        limit = self.one.config.training.clip_norm
        if limit is not None:
            self.torch.nn.utils.clip_grad_norm_(self.trainable, limit)
        if self.optimizer is not None:
            self.optimizer.param_groups[0]["lr"] = rate
            self.optimizer.step()


def turned(layer: Layer, array: Array, axes: int) -> Array:
    """A parameter between the two: in PyTorch W of Linear is (out_features, in_features), and b (out_features)."""
    if not isinstance(layer, linear.Linear):
        return array
    return array.T if axes == 2 and array.ndim == 2 else array.reshape(array.shape[-1:] if axes == 1 else (1, -1))


def _of_kind(component: Component) -> str:
    kind = type(component).__name__
    return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"
