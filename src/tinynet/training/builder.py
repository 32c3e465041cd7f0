"""Config -> a round: net, loss, optimizer and dataset, with all that has to fit."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TypeVar

import numpy as np

from tinynet.common import components, memory
from tinynet.common.errors import ConfigError, OptionError
from tinynet.config.checking import Spec, each
from tinynet.config.config import Config
from tinynet.data.dataset import SPLITS, Data, Dataset, Description
from tinynet.nn.graph import LayerError
from tinynet.nn.initial import Stored
from tinynet.nn.layers.shape import Flatten, Reshape
from tinynet.nn.losses import BinaryCrossEntropy, Loss
from tinynet.nn.net import Net
from tinynet.nn.optimizers import Optimizer
from tinynet.training.consistency import coding_of, problems
from tinynet.training.round import Round, prepared
from tinynet.training.workers import Pieces

T = TypeVar("T")


def build_round(config: Config, known: Description | None = None, restored: bool = False) -> Round:
    """Build one round of a config.

    Parameters
    ----------
    config
        A checked config, with the seed of this round.
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
        data = prepared(data, config, coding, net)
        _check_shares(data, config, loss)
    schedules = [spec.make() for spec in config.schedule]
    augmentations = [spec.make() for spec in config.augment]
    return Round(config, net, loss, optimizer, schedules, augmentations, known, coding, data)


def describe(config: Config) -> Description:
    """What the dataset's class says of it, for `build_round`: no data are loaded, but for a person's own file."""
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


def generated(config: Config) -> bool:
    """Whether the samples are drawn by the seed, anew for each round."""
    return bool(getattr(config.dataset.cls, "generated", False))


def check_rounds(config: Config, first: Round) -> None:
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
    if generated(config):
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
