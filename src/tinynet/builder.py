"""Config -> net, loss, optimizer and dataset, with every check that needs more than one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinynet.config import Config
from tinynet.core import Array
from tinynet.datasets.base import SPLITS, Data, Description, Split
from tinynet.datasets.targets import Coding, encode, width
from tinynet.errors import ConfigError, OptionError
from tinynet.layers.linear import Linear
from tinynet.losses import BinaryCrossEntropy, CrossEntropy, Loss
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
    coding = _coding(dataset.targets, loss, net, description)
    problems = _problems(config, net, loss, coding, description, dataset.targets)
    if problems:
        raise ConfigError(problems)
    loss.sample_rank = len(net.output_shape)
    if data is not None:
        data = _prepared(data, config, coding, net)
    schedules = [spec.make() for spec in config.schedule]
    return Parts(config, net, loss, config.optimizer.make(), schedules, description, coding, data)


def _coding(chosen: Coding | None, loss: Loss, net: Net, description: Description) -> Coding | None:
    if description.classes is None or chosen == "inputs":
        return None
    if chosen is None:
        return "binary" if isinstance(loss, BinaryCrossEntropy) and net.output_shape == (1,) else "one_hot"
    return chosen


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


def _problems(
    config: Config, net: Net, loss: Loss, coding: Coding | None, description: Description, chosen: Coding | None
) -> list[str]:
    """What does not fit together, each as a line with its place."""
    found: list[str] = []

    def report(keys: tuple[Any, ...], message: str) -> None:
        found.append(config.source.problem(keys, message))

    kind, dataset, last = type(loss).__name__, config.dataset.cls.__name__, len(config.layers) - 1
    last_name = config.layers[last].cls.__name__
    classes = None if description.classes is None else len(description.classes)
    targets_at = ("dataset", dataset, "targets")
    if classes is None and chosen not in (None, "inputs"):
        report(targets_at, f"'{chosen}' is for classes, but the dataset's targets are numbers. Remove it.")
    if classes is not None and classes != 2 and coding in ("sign", "binary"):
        report(targets_at, f"'{coding}' is for two classes, but the dataset has {classes}. Write one_hot.")
    if isinstance(loss, CrossEntropy) and (classes is None or chosen not in (None, "one_hot")):
        if classes is None:
            report(
                ("loss",), "CrossEntropy compares with class indices, but the dataset's targets are numbers. Write MSE."
            )
        else:
            report(targets_at, f"CrossEntropy compares with class indices, not with '{chosen}' vectors. Remove it.")
    if isinstance(loss, BinaryCrossEntropy) and coding in ("sign", "signed_one_hot"):
        report(targets_at, f"BinaryCrossEntropy needs targets 0 and 1. Write binary or one_hot, not {coding}.")
    inside = {CrossEntropy: "Softmax", BinaryCrossEntropy: "Sigmoid"}.get(type(loss))
    if inside is not None and last_name in ("Softmax", "Sigmoid"):
        report(("layers", last, last_name), f"{kind} takes logits and has its own {inside}. Remove this layer.")
    wanted = _wanted_shape(net, coding, description, chosen)
    if not found and wanted != net.output_shape:
        what = f"the targets ({coding or chosen or 'the numbers to predict'}) have"
        if coding is not None and coding not in ("sign", "binary"):
            what = f"the dataset has {classes} classes, so it must be at least"
        # Activations keep the width, so it is the last Linear's.
        linear = any(isinstance(layer, Linear) and layer.out_features == net.output_shape[-1] for layer in net.layers)
        hint = (
            f" Make the last Linear {wanted[0]} wide." if len(wanted) == len(net.output_shape) == 1 and linear else ""
        )
        report(("layers", last, last_name), f"gives an output of {net.output_shape}, but {what} {wanted}.{hint}")
    stopping, training = config.training.early_stopping, config.training
    if stopping is not None:
        at = ("training", "early_stopping", "monitor")
        if stopping.monitor.startswith("validation") and not config.dataset.options["validation"]:
            report(at, f"there is no validation split. Write `dataset: {{{dataset}: {{validation: 0.1}}}}`.")
        if stopping.monitor.startswith("train") and not training.evaluate_train:
            report(at, f"{stopping.monitor} has to be measured after each epoch. Write `evaluate_train: true`.")
        if stopping.monitor.endswith("error") and coding is None:
            report(at, "there are no classes, so there is no error. Watch a loss.")
    return found


def _wanted_shape(net: Net, coding: Coding | None, description: Description, chosen: Coding | None) -> tuple[int, ...]:
    if chosen == "inputs":
        return description.input_shape
    if coding is not None:
        assert description.classes is not None
        outputs = net.output_shape[0] if len(net.output_shape) == 1 else 0
        return (width(coding, len(description.classes), outputs),)
    return description.target_shape or net.output_shape
