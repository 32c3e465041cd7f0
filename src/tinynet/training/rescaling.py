"""The scaling of its data that a net needs which starts from the parameters of another run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tinynet.common.arrays import Shape
from tinynet.config.checking import Spec
from tinynet.data.loader import Scaling
from tinynet.data.table import listed
from tinynet.nn.layer import Layer
from tinynet.nn.net import Net
from tinynet.training.consistency import Problem
from tinynet.training.round import Round


def owner(layer: Layer) -> str:
    """The name of the layer whose parameters it uses, mostly its own."""
    return str(layer.name) if layer.owner is None else owner(layer.owner)


def _readers(net: Net) -> list[str]:
    """The layers with parameters that see the inputs as the dataset gives them."""
    raw, found = {-1}, []
    for index, node in enumerate(net.graph.nodes):
        if not raw.isdisjoint(node.sources):
            if node.layer.parameters:
                found.append(owner(node.layer))
            else:
                raw.add(index)
    return found


def _givers(net: Net) -> list[str]:
    """The layers with parameters that give the outputs, as they are or through others without parameters."""
    waiting, seen, found = [len(net.layers) - 1], {-1}, []
    while waiting:
        index = waiting.pop()
        if index not in seen:
            seen.add(index)
            if net.layers[index].parameters:
                found.append(owner(net.layers[index]))
            else:
                waiting += net.graph.nodes[index].sources
    return found


def _taken(names: list[str], taken: Sequence[str]) -> str:
    """Those of the layers that are taken, as a text."""
    return listed(dict.fromkeys(name for name in names if name in taken))


def _predicts(one: Round) -> bool:
    """Whether targets of their own, not classes or the inputs, are what the net predicts."""
    return one.description.classes is None and one.config.dataset.options["targets"] != "inputs"


def scaling_problems(one: Round, old: Round, taken: Sequence[str], file: str) -> Iterator[Problem]:
    """Where layers that are taken would see other numbers than those they were trained on."""
    options, theirs = one.config.dataset.options, old.description
    at = ("dataset", one.config.dataset.cls.__name__)
    readers, givers = _taken(_readers(one.net), taken), _taken(_givers(one.net), taken)
    if readers and options["standardize"] and theirs.input_scaling is None:
        reason = f"the inputs of {file} were not standardised, and {readers} from there takes them"
        yield (*at, "standardize"), f"{reason}. Remove this, or write {readers} under `fresh`."
    if readers and not _fits(theirs.input_scaling, one.net.input_shape):
        reason = f"{file} standardises inputs of the shape {theirs.input_shape}, but here it is {one.net.input_shape}"
        yield ("training", "start_from"), f"{reason}. Write {readers} under `fresh`."
    if givers and _predicts(one) and bool(options.get("standardize_targets")) != bool(theirs.target_scaling):
        were, do = ("were", "Write `standardize_targets: true`") if theirs.target_scaling else ("were not", "Remove it")
        reason = f"the targets of {file} {were} standardised, and {givers} from there gives them"
        yield (*at, "standardize_targets"), f"{reason}. {do}, or write {givers} under `fresh`."


def _fits(scaling: Scaling | None, shape: Shape) -> bool:
    """Whether the scaling is one for samples of this shape."""
    try:
        return scaling is None or np.broadcast_shapes(scaling.mean.shape, shape) == shape
    except ValueError:
        return False


def rescale(one: Round, old: Round, taken: Sequence[str]) -> list[str]:
    """Scale the data as those of the other run, where layers are taken that are used to it; returns what to say of it,
    and of inputs or classes with other names."""
    mine, theirs, notes = one.description, old.description, []
    readers, givers = _taken(_readers(one.net), taken), _taken(_givers(one.net), taken)
    input_scaling = theirs.input_scaling if readers else None
    target_scaling = theirs.target_scaling if givers and _predicts(one) else None
    if input_scaling is not None:
        notes.append("Inputs are standardised as in that run, not by this training split.")
    if target_scaling is not None:
        notes.append("Targets are standardised as in that run, not by this training split.")
    if notes:
        options = one.config.dataset.options | ({"standardize": True} if input_scaling else {})
        one.config = replace(one.config, dataset=Spec(one.config.dataset.cls, options))
        one.description = replace(
            mine,
            input_scaling=input_scaling or mine.input_scaling,
            target_scaling=target_scaling or mine.target_scaling,
        )
        one.data = None  # to be loaded anew, with this scaling
        one.description = one.dataset.description
    if readers and mine.columns and theirs.columns and mine.columns != theirs.columns:
        notes.append(f"The inputs of {readers} were {listed(theirs.columns)}; here they are {listed(mine.columns)}.")
    if givers and mine.classes and theirs.classes and mine.classes != theirs.classes:
        notes.append(f"The classes of {givers} were {listed(theirs.classes)}; here they are {listed(mine.classes)}.")
    return notes
