"""Nets of dense layers in PyTorch, trained as its tutorials do and measured as in tinynet: a Record for each epoch.

Import it before NumPy: it asks all libraries for one thread, which is quickest for nets this small.
"""

import os

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"

import sys
import time
from functools import reduce
from pathlib import Path

try:
    import torch
except ModuleNotFoundError:
    sys.exit("PyTorch is not installed: pip install torch==2.13.0")

import numpy as np
import peers
from job import parts
from torch import nn

import tinynet
from tinynet.common.errors import UsageError
from tinynet.nn.random import Stream
from tinynet.training.record import Record

LAYERS = {"Linear", "ReLU", "Tanh", "Sigmoid", "Sum"}
LOSSES = {"MSE": nn.MSELoss, "CrossEntropy": nn.CrossEntropyLoss}
DTYPES = {"float32": torch.float32, "float64": torch.float64}
CODINGS = {"sign", "one_hot", "signed_one_hot"}
# Options of a training, at the values that the twin goes by.
PLAIN = {"shuffle": True, "clip_norm": None, "early_stopping": None, "evaluate_train": True}

torch.set_num_threads(1)


def load(name, *overrides):
    """The config of a name in configs/, or of a file.

    Raises
    ------
    UsageError
        If it is missing or wrong, or has parts without a twin here.
    """
    path = Path(name) if str(name).endswith(".yaml") else peers.CONFIGS / f"{name}.yaml"
    config = tinynet.load(path, *overrides)
    missing = [spec.cls.__name__ for spec in config.layers if spec.cls.__name__ not in LAYERS]
    missing += ["share" for spec in config.layers if spec.options["share"]]
    missing += ["init" for spec in config.layers if spec.options.get("init", "uniform") != "uniform"]
    missing += [config.loss.cls.__name__] if config.loss.cls.__name__ not in LOSSES else []
    missing += [name for name in ("augment", "schedule") if getattr(config, name)]
    missing += [f"training.{name}" for name, value in PLAIN.items() if getattr(config.training, name) != value]
    if missing:
        raise UsageError(f"{path}: the benchmarks of dense nets have no twin of {', '.join(sorted(set(missing)))}")
    return config


class Sum(nn.Module):
    def forward(self, *xs):
        return reduce(torch.add, xs)


class Graph(nn.Module):
    """Layers that read the outputs of any before them, by their numbers; 0 is the net's input."""

    def __init__(self, layers, sources):
        super().__init__()
        self.layers, self.sources = nn.ModuleList(layers), sources

    def forward(self, x):
        outputs = [x]
        for layer, sources in zip(self.layers, self.sources, strict=True):
            outputs.append(layer(*[outputs[i] for i in sources]))
        return outputs[-1]


def twin(net):
    """A net in PyTorch, with PyTorch's own initial values."""
    nodes = net.graph.nodes
    sources = [[source + 1 for source in node.sources] for node in nodes]
    shapes = [net.input_shape, *net.shapes]
    layers = [layer(node.layer, *shapes[reads[0]]) for node, reads in zip(nodes, sources, strict=True)]
    return (nn.Sequential(*layers) if net.graph.is_chain else Graph(layers, sources)).to(DTYPES[str(net.dtype)])


def layer(ours, inputs):
    """The twin of a layer with this count of inputs."""
    match type(ours).__name__:
        case "Linear":
            return nn.Linear(inputs, ours.out_features, bias=ours.bias)
        case "Sum":
            return Sum()
    return getattr(nn, type(ours).__name__)()


def shuffled_by(experiment):
    """tinynet's order of the rows in an epoch, as a function of the epoch."""
    count, seed = len(experiment.dataset.train), experiment.config.seed
    return lambda epoch: torch.from_numpy(Stream(seed, "shuffle").at(epoch).permutation(count))


class PyTorch:
    """The training of an experiment in PyTorch, on the same data.

    Parameters
    ----------
    experiment
        One round.
    order
        The order of the rows in an epoch, as a function of the epoch; by default PyTorch's own.

    Raises
    ------
    UsageError
        If the targets are no classes, or coded in another way.
    """

    def __init__(self, experiment, order=None):
        config = experiment.config
        if experiment.coding not in CODINGS:
            known = ", ".join(sorted(CODINGS))
            raise UsageError(f"{config.source.file}: the benchmarks of dense nets have a twin for targets: {known}")
        torch.manual_seed(config.seed)
        self.config, self.coding = config, experiment.coding
        self.takes_labels = experiment.loss.takes_labels
        self.train_split, self.test_split = map(self._tensors, (experiment.dataset.train, experiment.dataset.test))
        self.net = twin(experiment.net)
        self.criterion = LOSSES[config.loss.cls.__name__]()
        ((kind, options),) = parts([config.optimizer.to_json()])
        self.optimizer = getattr(torch.optim, kind)(self.net.parameters(), **options)
        self.order = order or (lambda epoch: torch.randperm(len(self.train_split[0])))

    @classmethod
    def beside(cls, experiment):
        """As above, from the parameters of the experiment and over its batches."""
        found = cls(experiment, shuffled_by(experiment))
        found.copy(experiment.net)
        return found

    def copy(self, net):
        """Take the parameters of tinynet's net."""
        with torch.no_grad():
            for theirs, ours in zip(self.net.parameters(), net.parameters, strict=True):
                # tinynet's weight is (in, out), its bias (1, out); PyTorch's are (out, in) and (out,).
                theirs.copy_(torch.from_numpy(ours.tensor.T if theirs.ndim == 2 else ours.tensor[0]))

    def _tensors(self, split):
        """(inputs, what the loss compares with, class indices)"""
        x, labels = torch.from_numpy(split.x), torch.from_numpy(split.labels)
        return x, labels if self.takes_labels else torch.from_numpy(split.targets), labels

    def train(self):
        """Yields a record after each epoch, the first for the untrained net."""
        yield self.measure(0, 0.0)
        seconds = 0.0
        for epoch in range(self.config.training.epochs):
            start = time.perf_counter()
            self.epoch(self.order(epoch))
            seconds += time.perf_counter() - start
            yield self.measure(epoch + 1, seconds)

    def epoch(self, order):
        x, y, _ = self.train_split
        size, x, y = self.config.training.batch_size, x[order], y[order]
        for i in range(0, len(x), size):
            self.optimizer.zero_grad()
            loss = self.criterion(self.net(x[i : i + size]), y[i : i + size])
            loss.backward()
            self.optimizer.step()

    def measure(self, epoch, seconds):
        train, test = self.figures(self.train_split), self.figures(self.test_split)
        return Record(0, epoch, *train, None, None, *test, seconds=seconds)

    def figures(self, split):
        """(loss, error) of a split."""
        x, y, labels = split
        with torch.no_grad():
            outputs = self.net(x)
            wrong = decoded(outputs, self.coding) != labels
            return self.criterion(outputs, y).item(), wrong.double().mean().item()


def decoded(outputs, coding):
    """The class indices that outputs (..., width) stand for."""
    return outputs.sum(dim=-1) > 0 if coding == "sign" else outputs.argmax(dim=-1)


def timed(training):
    """(the records of all epochs, the seconds of the whole training with the figures after each epoch)"""
    start = time.perf_counter()
    records = list(training)
    return records, time.perf_counter() - start


def spread(values, digits=1, unit=" %", scale=100):
    """Mean ± sample deviation, in percent unless another unit and scale are given."""
    values = np.array(values)
    mean, deviation = scale * values.mean(), scale * values.std(ddof=1) if len(values) > 1 else 0.0
    return f"{mean:.{digits}f}{unit} ± {deviation:.{digits}f}"


def write(lines, out):
    """Print lines as they come; at the end write them all, where a file is named."""
    text = ""
    for line in lines:
        print(line, flush=True)
        text += f"{line}\n"
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")


def introduction(more=""):
    """The first line: the machine and the versions."""
    return f"{peers.introduction(peers.installed(['PyTorch']))}; one thread{more}.\n"


def add_overrides(parser):
    """The option --set."""
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="PATH=VALUE", help="as in train"
    )


def add_out(parser):
    """The option --out."""
    parser.add_argument("--out", type=Path, metavar="TABLE.md", help="where to write the tables, as Markdown")
