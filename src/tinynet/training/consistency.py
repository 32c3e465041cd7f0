"""What has to fit together in a config: dataset and targets, loss, the last layer, early stopping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tinynet.common.arrays import Shape
from tinynet.config.config import Config
from tinynet.config.reader import Keys
from tinynet.data.dataset import Description
from tinynet.data.targets import Coding, width
from tinynet.nn.layers.linear import Linear
from tinynet.nn.losses import BinaryCrossEntropy, CrossEntropy, Huber, Loss
from tinynet.nn.net import Net

Problem = tuple[Keys, str]


def coding_of(config: Config, loss: Loss, net: Net, description: Description) -> Coding | None:
    """How classes are coded as outputs: as the config chooses, or as the loss takes them; None without classes."""
    chosen: Coding | None = config.dataset.options["targets"]
    if description.classes is None or chosen == "inputs":
        return None
    if chosen is None:
        return "binary" if isinstance(loss, BinaryCrossEntropy) and net.output_shape == (1,) else "one_hot"
    return chosen


def problems(config: Config, net: Net, loss: Loss, description: Description, notes: Sequence[str] = ()) -> list[str]:
    """What does not fit, each as a line with its place.

    Parameters
    ----------
    config, net, loss, description
        What has to fit.
    notes
        What the dataset has taken its file for, which may be the reason.
    """
    coding = coding_of(config, loss, net, description)
    found = [*_targets(config, loss, coding, description)]
    if not found:
        found += _output(config, net, coding, description)
    found = [(at, " ".join([message, *(f"({note})" for note in notes)])) for at, message in found]
    found += _augmentations(config, description)
    found += [*_last_layer(config, net, loss), *_early_stopping(config, coding), *_scaled_targets(config, loss)]
    return [config.source.problem(keys, message) for keys, message in found]


def _targets(config: Config, loss: Loss, coding: Coding | None, description: Description) -> Iterator[Problem]:
    """The dataset's targets, those the config chooses, and those the loss takes."""
    classes, chosen = description.classes, config.dataset.options["targets"]
    at = ("dataset", config.dataset.cls.__name__, "targets")
    if classes is None and chosen not in (None, "inputs"):
        yield at, f"'{chosen}' is for classes, but the dataset's targets are numbers. Remove it."
    if classes is not None and len(classes) != 2 and coding in ("sign", "binary"):
        yield at, f"'{coding}' is for two classes, but the dataset has {len(classes)}. Write one_hot."
    if loss.takes_labels:
        takes = f"{type(loss).__name__} compares with class indices"
        if classes is None:
            yield ("loss",), f"{takes}, but the targets are numbers. Write MSE."
        elif chosen not in (None, "one_hot"):
            yield at, f"{takes}, not with '{chosen}' vectors. Remove it."
    if isinstance(loss, BinaryCrossEntropy) and coding in ("sign", "signed_one_hot"):
        yield at, f"BinaryCrossEntropy needs targets 0 and 1. Write binary or one_hot, not {coding}."


def _augmentations(config: Config, description: Description) -> Iterator[Problem]:
    """Only images can be shifted or turned."""
    shape = description.input_shape
    if config.augment and len(shape) != 3:
        yield ("augment",), f"needs images (channels, height, width), but a sample has the shape {shape}. Remove it."


def _last_layer(config: Config, net: Net, loss: Loss) -> Iterator[Problem]:
    """No second Softmax or Sigmoid before a loss that has its own."""
    logits = {CrossEntropy: "Softmax", BinaryCrossEntropy: "Sigmoid"}
    inside = next((own for kind, own in logits.items() if isinstance(loss, kind)), None)
    nodes = net.graph.nodes
    end = nodes[-1]
    # Through what changes no number.
    while type(end.layer).__name__ in ("Identity", "Flatten", "Reshape") and end.sources[0] >= 0:
        end = nodes[end.sources[0]]
    if inside is not None and type(end.layer).__name__ in ("Softmax", "Sigmoid"):
        reason = f"{type(loss).__name__} takes logits and has its own {inside}"
        yield config.layer_keys(end.place), f"{reason}. Remove this layer."


def _output(config: Config, net: Net, coding: Coding | None, description: Description) -> Iterator[Problem]:
    """The output's shape is that of the targets."""
    wanted, given = _target_shape(config, net, coding, description), net.output_shape
    if wanted == given:
        return
    if coding in ("one_hot", "signed_one_hot"):
        count = len(description.classes or [])
        what = f"the dataset has {'1 class' if count == 1 else f'{count} classes'}, so it must be at least"
    else:
        what = f"the targets ({coding or config.dataset.options['targets'] or 'the numbers to predict'}) have"
    # Activations keep the width, so it is the last Linear's.
    linear = any(isinstance(layer, Linear) and (layer.out_features,) == given for layer in net.layers)
    hint = f" Make the last Linear {wanted[0]} wide." if linear and len(wanted) == 1 else ""
    yield config.layer_keys(net.graph.nodes[-1].place), f"gives an output of {given}, but {what} {wanted}.{hint}"


def _target_shape(config: Config, net: Net, coding: Coding | None, description: Description) -> Shape:
    if config.dataset.options["targets"] == "inputs":
        return description.input_shape
    if coding is not None:
        outputs = net.output_shape[0] if len(net.output_shape) == 1 else 0
        return (width(coding, len(description.classes or []), outputs),)
    return net.output_shape if description.target_shape is None else description.target_shape


def _scaled_targets(config: Config, loss: Loss) -> Iterator[Problem]:
    """Standardised targets are given back in their own unit, which not every loss can follow."""
    if not config.dataset.options.get("standardize_targets"):
        return
    at = ("dataset", config.dataset.cls.__name__, "standardize_targets")
    if config.dataset.options["targets"] == "inputs":
        yield at, "the targets are the inputs, which `standardize` scales. Remove it."
    if isinstance(loss, Huber):
        yield at, "Huber's delta is in the target's own unit. Remove this, or write MSE or L1."


def _early_stopping(config: Config, coding: Coding | None) -> Iterator[Problem]:
    """The figure to watch is one that is measured after each epoch."""
    stopping = config.training.early_stopping
    if stopping is None:
        return
    at = ("training", "early_stopping", "monitor")
    if stopping.monitor.startswith("validation") and not config.dataset.options["validation"]:
        example = f"`dataset: {{{config.dataset.cls.__name__}: {{validation: 0.1}}}}`"
        yield at, f"there is no validation split. Write {example}."
    if stopping.monitor.startswith("train") and not config.training.evaluate_train:
        yield at, f"{stopping.monitor} has to be measured after each epoch. Write `evaluate_train: true`."
    if stopping.monitor.endswith("error") and coding is None:
        yield at, "there are no classes, so there is no error. Watch a loss."
