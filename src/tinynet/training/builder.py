"""Config -> net, loss, optimizer and dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Self, TypeVar

import numpy as np

from tinynet.common import components, memory
from tinynet.common.arrays import FLOAT64, Array
from tinynet.common.errors import ChangedDataError, ConfigError, OptionError
from tinynet.config.checking import Spec, each
from tinynet.config.config import Config
from tinynet.data.augmentations import Augmentation
from tinynet.data.dataset import SPLITS, Data, Dataset, Description
from tinynet.data.loader import Split
from tinynet.data.targets import Coding, encode
from tinynet.nn.graph import LayerError
from tinynet.nn.initial import Stored
from tinynet.nn.layers.shape import Flatten, Reshape
from tinynet.nn.losses import BinaryCrossEntropy, Loss
from tinynet.nn.net import Net
from tinynet.nn.optimizers import Optimizer
from tinynet.nn.schedules import Schedule
from tinynet.training.consistency import coding_of, problems
from tinynet.training.workers import Pieces

T = TypeVar("T")


@dataclass
class Parts:
    """What a config describes, built.

    Parameters
    ----------
    config
        The config it was built from.
    net, loss, optimizer, schedules, augmentations
        As the config names them.
    description
        What there is to know of the dataset without loading it.
    coding
        How classes are coded as outputs; None in a regression or where the targets are the inputs.
    data
        The splits, with targets as the loss takes them; None until they are needed.
    data_sha256
        The digest that the splits must have, from a checkpoint.
    first
        The round whose data these are, where they come from a file and there are several rounds.
    """

    config: Config
    net: Net
    loss: Loss
    optimizer: Optimizer
    schedules: list[Schedule]
    augmentations: list[Augmentation]
    description: Description
    coding: Coding | None
    data: Data | None = None
    data_sha256: str | None = None
    first: Parts | None = None

    @property
    def dataset(self) -> Data:
        """The splits; loaded from their files at the first use, if the parts come from a checkpoint.

        Raises
        ------
        DataError
            If a file is missing or broken; ChangedDataError if it has changed since the training.
        """
        if self.data is None and self.first is not None:
            self.data = self.first.dataset
        if self.data is None:
            data = self.config.dataset.make().load(self.config.seed, self.description)
            data = _prepared(data, self.config, self.coding, self.net)
            if self.data_sha256 not in (None, data.sha256()):
                raise ChangedDataError(
                    "the dataset is not the one of the training: its file has changed. Put the old one back, or train "
                    "anew. `tinynet predict` uses the net on any file."
                )
            self.data = data
        return self.data

    def digest(self) -> str:
        """The digest of the splits."""
        if self.data_sha256 is None:
            self.data_sha256 = self.dataset.sha256()
        return self.data_sha256

    @classmethod
    def of(cls, config: Config, known: Description | None = None, restored: bool = False) -> Self:
        """Build the parts of a config.

        Parameters
        ----------
        config
            A checked config.
        known
            The description of the dataset from a checkpoint: nothing is then loaded.
        restored
            Whether a checkpoint gives the parameters, so that no layer needs the file of its `init`.

        Raises
        ------
        ConfigError
            For layers, loss and dataset that do not fit each other, at their line.
        DataError
            If the dataset's files are missing or broken.
        """
        data: Data | None = None
        if known is None:
            data = _load(config)
            known = data.description
        loss: Loss = config.loss.make()
        try:
            specs = [_without_file(spec) for spec in config.layers] if restored else config.layers
            net = Net([spec.make() for spec in specs], known.input_shape, config.seed, config.dtype)
        except LayerError as error:
            raise config.error(config.layer_keys(error.place), str(error)) from None
        _check_initial(config, net)
        found = problems(config, net, loss, known, data.notes if data else [])
        if found:
            raise ConfigError(found)
        loss.sample_rank = len(net.output_shape)
        coding = coding_of(config, loss, net, known)
        optimizer: Optimizer = config.optimizer.make()
        if data is not None:
            _check_batch(len(data.train), config, net, loss, optimizer)
            data = _prepared(data, config, coding, net)
            _check_shares(data, config, loss)
        schedules = [spec.make() for spec in config.schedule]
        augmentations = [spec.make() for spec in config.augment]
        return cls(config, net, loss, optimizer, schedules, augmentations, known, coding, data)


def describe(config: Config) -> Description:
    """What the dataset's class says of it, for `Parts.of`: no data are loaded, but for a person's own file."""
    return _ask(config, lambda dataset: dataset.describe(config.seed))


def _without_file(spec: Spec) -> Spec:
    """A layer, or a block of them, without initial values from a file."""
    values = {name: each(value, _without_file) for name, value in spec.options.items()}
    files = [option.name for option in components.options(spec.cls) if option.form is Stored]
    return Spec(spec.cls, values | {name: "zeros" for name in files if isinstance(values[name], dict)})


def _load(config: Config) -> Data:
    return _ask(config, lambda dataset: dataset.load(config.seed))


def _ask(config: Config, question: Callable[[Dataset], T]) -> T:
    try:
        return question(config.dataset.make())
    except OptionError as error:
        raise config.error(("dataset", config.dataset.cls.__name__), str(error)) from None


def _prepared(data: Data, config: Config, coding: Coding | None, net: Net) -> Data:
    """The data with the targets that the loss compares with, in the net's number type."""
    data = replace(data)
    for name in SPLITS:
        part = data.split(name)
        if part is not None:
            targets: Array | None = part.targets
            if coding is not None and part.labels is not None:
                lacking = memory.shortage(len(part) * prod(net.output_shape) * FLOAT64)
                if lacking:
                    at = ("dataset", config.dataset.cls.__name__)
                    raise config.error(at, f"its {len(part):,} target vectors take {lacking}. Take fewer samples.")
                targets = encode(part.labels, coding, net.output_shape[0])
            x = _converted(part.x, net, config, "inputs")
            if targets is part.x:
                targets = x
            elif targets is not None:
                targets = _converted(targets, net, config, "targets")
            setattr(data, name, Split(x, part.labels, targets, part.scaling))
    return data


def _check_batch(samples: int, config: Config, net: Net, loss: Loss, optimizer: Optimizer) -> None:
    """Refuse a batch whose layers' outputs have no room beside the parameters, before data are made ready for it."""
    samples = min(samples, config.training.batch_size)
    piece = Pieces(net, loss).size or samples
    # Flatten and Reshape give a view of what they get.
    shapes = [s for layer, s in zip(net.layers, net.shapes, strict=True) if not isinstance(layer, (Flatten, Reshape))]
    outputs = min(piece, samples) * sum(map(prod, shapes))
    vectors = 2 + len(optimizer.state_names) + (-(-samples // piece) if samples > piece else 0)
    lacking = memory.shortage((outputs + vectors * net.vector.all_tensors.size) * net.dtype.itemsize)
    if lacking:
        what = f"training on batches of {samples:,} takes {lacking}. Make it smaller, or the layers."
        raise config.error(("training", "batch_size"), what)


def check_rounds(config: Config, first: Parts) -> None:
    """Refuse more rounds than have room: each has a net of its own, and data of its own where they are generated.

    Parameters
    ----------
    config
        Of all rounds.
    first
        The first of them, built.
    """
    vector = first.net.vector.all_tensors
    size = (2 + len(first.optimizer.state_names)) * vector.nbytes
    if getattr(config.dataset.cls, "generated", False):
        for part in filter(None, map(first.dataset.split, SPLITS)):
            size += sum(array.nbytes for array in (part.x, part.labels, part.targets) if array is not None)
    lacking = memory.shortage(config.training.rounds * size)
    if lacking:
        raise config.error(("training", "rounds"), f"{config.training.rounds} rounds take {lacking}. Make fewer.")


def _check_initial(config: Config, net: Net) -> None:
    """Refuse initial values that are no numbers in the net's type."""
    for node in net.graph.nodes:
        for parameter in node.layer.parameters:
            if not np.isfinite(parameter.tensor).all():
                what = f"its initial {parameter.name.rpartition('.')[2]} is too large for {net.dtype}. Make it smaller."
                raise config.error(config.layer_keys(node.place), what)


def _converted(values: Array, net: Net, config: Config, what: str) -> Array:
    if values.dtype == np.uint8:
        return values  # the loader turns bytes into numbers, batch by batch
    with np.errstate(over="ignore"):
        found: Array = values.astype(net.dtype)
    if not np.isfinite(found).all():
        most = f"{np.abs(values).max():.3g}"
        at = ("dataset", config.dataset.cls.__name__)
        raise config.error(at, f"its {what} go up to {most}, too large for {net.dtype}. Scale them in the file.")
    return found


def _check_shares(data: Data, config: Config, loss: Loss) -> None:
    """BinaryCrossEntropy is of shares: it has no smallest value for other targets."""
    if not isinstance(loss, BinaryCrossEntropy):
        return
    for part in filter(None, map(data.split, SPLITS)):
        assert part.targets is not None
        if part.targets.dtype == np.uint8 and part.scaling is None:
            continue  # bytes, which the loader makes numbers of 0 to 1
        low, high = part.targets.min(), part.targets.max()
        if low < 0 or high > 1:
            where = f"but the data's go from {low:g} to {high:g}"
            raise config.error(("loss",), f"BinaryCrossEntropy needs targets from 0 to 1, {where}. Write MSE.")
