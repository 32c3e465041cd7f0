"""The net of a config in PyTorch, trained as its tutorials do: images in one tensor, an order for each epoch."""

import time

import torch
from job import check, parts, read, standardizing
from torch import nn
from torch.nn import functional


class PyTorch:
    def __init__(self, job):
        torch.set_num_threads(job["threads"])
        config = job["config"]
        torch.manual_seed(config["seed"])
        self.job, self.loss = job, nn.CrossEntropyLoss()
        self.x, self.labels = map(torch.from_numpy, read(job))
        self.size, self.clip = config["training"]["batch_size"], config["training"].get("clip_norm")
        scaling = standardizing(job)
        self.scaling = scaling and [torch.from_numpy(values) for values in scaling]
        self.augment = list(parts(config.get("augment", ())))
        self.net = net(config["layers"], self.x[:2])
        check(job, sum(p.numel() for p in self.net.parameters()))
        ((kind, options),) = parts([config["optimizer"]])
        self.lr = options["lr"]
        self.optimizer = getattr(torch.optim, kind)(self.net.parameters(), **options)

    def batches(self, count):
        self._steps(torch.randperm(len(self.x))[: count * self.size])

    def training(self):
        """(seconds in batches, test error)"""
        seconds = 0.0
        for factor in self.job["factors"]:
            self.optimizer.param_groups[0]["lr"] = self.lr * factor
            start = time.perf_counter()
            self._steps(torch.randperm(len(self.x)))
            seconds += time.perf_counter() - start
        self.net.eval()
        with torch.no_grad():
            pairs = zip(*(values.split(1000) for values in map(torch.from_numpy, read(self.job, "test_"))), strict=True)
            wrong = [self.net(self._scaled(x)).argmax(1) != labels for x, labels in pairs]
        return seconds, torch.cat(wrong).double().mean().item()

    def _steps(self, order):
        for rows in order.split(self.size):
            x = augmented(self.x[rows], self.augment) if self.augment else self.x[rows]
            self.optimizer.zero_grad()
            self.loss(self.net(self._scaled(x)), self.labels[rows]).backward()
            if self.clip is not None:
                nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
            self.optimizer.step()

    def _scaled(self, x):
        return x if self.scaling is None else (x - self.scaling[0]) / self.scaling[1]


def net(layers, sample):
    """The layers of a resolved config, with PyTorch's own initial values, for inputs like a sample."""
    found = []
    with torch.no_grad():
        for kind, options in parts(layers):
            found.append(layer(kind, options, sample.shape).eval())
            sample = found[-1](sample)
    return nn.Sequential(*found).train()


def layer(kind, options, shape):
    """The twin of a layer that gets this shape; most have the name and the options of PyTorch's."""
    match kind:
        case "Linear" | "Conv2d":
            return getattr(nn, kind)(shape[1], **options)
        case "BatchNorm":
            return (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(shape[1], **options)
        case "GlobalAvgPool2d":
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case "GELU":
            return nn.GELU("tanh")
    return getattr(nn, kind)(**options)


def augmented(x, augment):
    """Square images with Shift, Rotate and Zoom, as one map of pixels to where they come from, another for each."""
    n, size = len(x), x.shape[-1]
    matrix = torch.eye(3).repeat(n, 1, 1)
    for kind, options in augment:
        step = torch.eye(3).repeat(n, 1, 1)
        if kind == "Shift":
            pixels = options["pixels"]
            step[:, :2, 2] = torch.randint(-pixels, pixels + 1, (n, 2)) * (2 / size)  # an image is 2 wide
        elif kind == "Rotate":
            angle = torch.empty(n).uniform_(-1, 1) * torch.pi / 180 * options["degrees"]
            step[:, 0, 0] = step[:, 1, 1] = angle.cos()
            step[:, 1, 0], step[:, 0, 1] = angle.sin(), -angle.sin()
        elif kind == "Zoom":
            factor = torch.empty(n).uniform_(1 - options["share"], 1 + options["share"])
            step[:, 0, 0] = step[:, 1, 1] = 1 / factor
        matrix = matrix @ step
    places = functional.affine_grid(matrix[:, :2], x.shape, align_corners=False)
    return functional.grid_sample(x, places, align_corners=False)
