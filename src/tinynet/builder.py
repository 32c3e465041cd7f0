"""Config -> net, loss, optimizer and dataset."""

from __future__ import annotations

from dataclasses import dataclass

from tinynet.config import Config
from tinynet.core import Array
from tinynet.datasets.base import SPLITS, Data, Description, Split
from tinynet.datasets.targets import Coding, encode
from tinynet.errors import ConfigError, OptionError
from tinynet.fitting import coding_of, problems
from tinynet.losses import BinaryCrossEntropy, Loss
from tinynet.net import LayerError, Net
from tinynet.optimizers import Optimizer
from tinynet.schedules import Schedule


@dataclass
class Parts:
    """What a config describes, built.

    Parameters
    ----------
    config
        The config it was built from.
    net, loss, optimizer, schedules
        As the config names them.
    description
        What there is to know of the dataset without loading it.
    coding
        How classes are coded as outputs; None in a regression or where the targets are the inputs.
    data
        The splits, with targets as the loss takes them; None until they are needed.
    """

    config: Config
    net: Net
    loss: Loss
    optimizer: Optimizer
    schedules: list[Schedule]
    description: Description
    coding: Coding | None
    data: Data | None = None

    @property
    def dataset(self) -> Data:
        """The splits; loaded from their files at the first use, if the parts come from a checkpoint."""
        if self.data is None:
            data = self.config.dataset.make().load(self.config.seed, self.description)
            self.data = _prepared(data, self.config, self.coding, self.net)
        return self.data


def assemble(config: Config, known: Description | None = None) -> Parts:
    """Build the parts of a config.

    Parameters
    ----------
    config
        A checked config.
    known
        The description of the dataset from a checkpoint: nothing is then loaded.

    Raises
    ------
    ConfigError
        For layers, loss and dataset that do not fit each other, at their line.
    DataError
        If the dataset's files are missing or broken.
    """
    dataset, loss = config.dataset.make(), config.loss.make()
    data: Data | None = None
    if known is None:
        try:
            data = dataset.load(config.seed)
        except OptionError as error:
            raise config.error(("dataset", config.dataset.cls.__name__), str(error)) from None
        known = data.description
    description = known
    try:
        net = Net([spec.make() for spec in config.layers], description.input_shape, config.seed, config.dtype)
    except LayerError as error:
        name = config.layers[error.index].cls.__name__
        raise config.error(("layers", error.index, name), str(error)) from None
    found = problems(config, net, loss, description)
    if found:
        raise ConfigError(found)
    coding = coding_of(config, loss, net, description)
    loss.sample_rank = len(net.output_shape)
    if data is not None:
        data = _prepared(data, config, coding, net)
        _check_shares(data, config, loss)
    schedules = [spec.make() for spec in config.schedule]
    return Parts(config, net, loss, config.optimizer.make(), schedules, description, coding, data)


def _prepared(data: Data, config: Config, coding: Coding | None, net: Net) -> Data:
    """The data with the targets that the loss compares with, in the net's number type."""
    for name in SPLITS:
        part = data.split(name)
        if part is not None:
            targets: Array | None = part.targets
            if config.dataset.options["targets"] == "inputs":
                targets = part.x
            elif coding is not None and part.labels is not None:
                targets = encode(part.labels, coding, net.output_shape[0])
            x = part.x.astype(net.dtype)
            setattr(data, name, Split(x, part.labels, None if targets is None else targets.astype(net.dtype)))
    return data


def _check_shares(data: Data, config: Config, loss: Loss) -> None:
    """BinaryCrossEntropy is of shares: it has no smallest value for other targets."""
    if not isinstance(loss, BinaryCrossEntropy):
        return
    for part in filter(None, map(data.split, SPLITS)):
        assert part.targets is not None
        low, high = part.targets.min(), part.targets.max()
        if low < 0 or high > 1:
            where = f"but the data's go from {low:g} to {high:g}"
            raise config.error(("loss",), f"BinaryCrossEntropy needs targets from 0 to 1, {where}. Write MSE.")
