"""Starting from another run: which of its parameters a net takes, which begin anew, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from tinynet.common.components import a
from tinynet.common.errors import ConfigError
from tinynet.common.suggestions import suggestion
from tinynet.config.checking import Spec
from tinynet.config.config import Config
from tinynet.data.table import listed
from tinynet.nn.layer import Layer
from tinynet.nn.layers.block import Block
from tinynet.nn.net import Net
from tinynet.nn.parameter import Parameter
from tinynet.training.checkpoint import of_run
from tinynet.training.consistency import Problem
from tinynet.training.rescaling import owner, rescale, scaling_problems
from tinynet.training.round import Round

AT = ("training", "start_from")
Pairs = dict[str, tuple[Layer, Layer]]


@dataclass
class Start:
    """What a net took from another run.

    Parameters
    ----------
    checkpoint, epoch
        The file, and the epoch it is of.
    taken, anew
        The layers whose parameters come from it, and the others with parameters of their own.
    left
        The run's layers whose parameters no layer took.
    notes
        All of it in sentences.
    """

    checkpoint: str
    epoch: int
    taken: list[str]
    anew: list[str]
    left: list[str]
    notes: list[str]


def find_start(config: Config) -> str:
    """The checkpoint's file that `start_from` names, by itself or by its run's folder.

    Raises
    ------
    ConfigError
        If there is none.
    """
    assert config.training.start_from is not None
    path = Path(config.training.start_from.checkpoint)
    found = of_run(path) if path.is_dir() else path
    if found is None:
        raise config.error(AT, f"{path}: this folder holds no checkpoints/best.npz or last.npz of a run.")
    if not found.exists():
        folder = Path(config.source.file).absolute().parent
        here = path.relative_to(folder).absolute() if path.is_relative_to(folder) else path
        hint = f" Did you mean {here}?" if here.exists() else ""
        raise config.error(AT, f"{path}: no such file. A relative path is relative to the config's folder.{hint}")
    return str(found)


def start(one: Round, old: Round, file: str, epoch: int) -> Start:
    """Give a net the parameters of another run, and its data the scaling that these are used to.

    Layers are the same where a person gave them the same name. Names such as `linear1` count only where all layers of
    both nets are the same in name and kind, because a layer that is put in between shifts them. A layer's running
    statistics come along with its parameters. Where a layer that reads the inputs is taken, so is their
    standardisation; where one that gives the outputs is taken, that of the targets.

    Parameters
    ----------
    one
        Not trained yet. Its net, config, description and data change.
    old
        The other run's, as `restore` gives them.
    file, epoch
        The checkpoint they are from, and the epoch it is of.

    Raises
    ------
    ConfigError
        If a layer differs in kind or shape, `fresh` names one that is not there, nothing can be taken, or the data are
        scaled in one run and not in the other.
    """
    fresh = _fresh(one.config, one.net)
    theirs = {str(layer.name): layer for layer in old.net.layers}
    common = set(theirs) if _kinds(one.net) == _kinds(old.net) else _given(one) & _given(old)
    own = {str(layer.name): layer for layer in _owners(one.net)}
    pairs = {name: (layer, theirs[name]) for name, layer in own.items() if name in common - fresh}
    found = Start(file, epoch, list(pairs), [name for name in own if name not in pairs], [], [])
    used = {owner(layer) for _, layer in pairs.values()}
    found.left = [str(layer.name) for layer in _owners(old.net) if layer.name not in used]
    problems: list[Problem] = (
        [] if pairs else [(AT, f"takes nothing from {file}: {_why_nothing(one.net, old.net, common & set(own))}")]
    )
    problems += _differences(one, pairs, file)
    _raise(one.config, problems or [*scaling_problems(one, old, found.taken, file)])
    for layer, other in pairs.values():
        values = _tensors(other)
        for name, parameter in _tensors(layer).items():
            parameter.tensor = values[name].tensor
    found.notes = [*_notes(one, old, found), *rescale(one, old, found.taken)]
    return found


def _raise(config: Config, problems: Sequence[Problem]) -> None:
    if problems:
        raise ConfigError([config.source.problem(keys, message) for keys, message in problems])


def _kinds(net: Net) -> list[tuple[str, str, str]]:
    """For each layer its name, its kind, and what it reads where that is not the layer before."""
    found = []
    for index, node in enumerate(net.graph.nodes):
        sources = ("input" if source < 0 else str(net.layers[source].name) for source in node.sources)
        reads = "" if node.sources == [index - 1] else f" of {listed(list(sources))}"
        found.append((str(node.layer.name), type(node.layer).__name__, reads))
    return found


def _tensors(layer: Layer) -> dict[str, Parameter]:
    """Parameters and running statistics by their names in the layer."""
    return {each.name.rpartition(".")[2]: each for each in (*layer.parameters, *layer.buffers)}


def _owners(net: Net) -> Iterator[Layer]:
    """The layers with parameters of their own."""
    return (layer for layer in net.layers if layer.owner is None and _tensors(layer))


def _given(one: Round) -> set[str]:
    """The layers to whose names a person gave every part but the numbers: `stage.1.conv1` of `stage` and `conv1`."""
    found: set[str] = set()
    for node in one.net.graph.nodes:
        specs = _specs(one.config, node.place)
        named = all(spec.options["name"] is not None for spec in specs)
        if specs[-1].cls is Block:
            # A copy of another block's layers, which has the names in it from there.
            named = named and node.layer.owner is not None and node.layer.owner.name in found
        if named:
            found.add(str(node.layer.name))
    return found


def _specs(config: Config, place: tuple[int | str, ...]) -> list[Spec]:
    """What the config says of a layer, after what it says of the blocks that it stands in."""
    found = [config.layers[int(place[0])]]
    for index in place[3::3]:
        found.append(found[-1].options["layers"][index])
    return found


def _fresh(config: Config, net: Net) -> set[str]:
    """The layers that `fresh` names, one by one or as a block.

    Raises
    ------
    ConfigError
        If there is no such layer, or it has the parameters of another.
    """
    assert config.training.start_from is not None
    found: set[str] = set()
    problems: list[Problem] = []
    names = [str(layer.name).split(".") for layer in net.layers]
    known = dict.fromkeys(".".join(parts[:length]) for parts in names for length in range(1, len(parts) + 1))
    for index, name in enumerate(config.training.start_from.fresh):
        at = (*AT, "fresh", index)
        layers = [layer for layer in net.layers if f"{layer.name}.".startswith(f"{name}.")]
        owners = dict.fromkeys(owner(layer) for layer in layers if layer.owner is not None)
        if name not in known:
            guess = suggestion(name, known)
            hint = f"Did you mean {guess!r}?" if guess else f"There are: {listed(known)}."
            problems.append((at, f"there is no layer {name!r}. {hint}"))
        elif owners and not any(layer.owner is None and _tensors(layer) for layer in layers):
            problems.append((at, f"{name!r} uses the parameters of {listed(owners)}. Write that."))
        found.update(str(layer.name) for layer in layers)
    _raise(config, problems)
    return found


def _differences(one: Round, pairs: Pairs, file: str) -> list[Problem]:
    """The layers of one name that differ in kind, in the shape of a parameter, or in what a number can be."""
    assert one.config.training.start_from is not None
    found = []
    for name, (layer, other) in pairs.items():
        here, there = _described(layer), _described(other)
        largest = max((float(np.abs(p.tensor).max(initial=0)) for p in _tensors(other).values()), default=0.0)
        if here != there:
            found.append((name, f"{name!r} is {here} here, but {there} in {file}."))
        elif largest > float(np.finfo(one.net.dtype).max):
            found.append((name, f"{name!r} holds {largest:.3g} in {file}, too large for {one.net.dtype}."))
    fresh = ", ".join([*one.config.training.start_from.fresh, *(name for name, _ in found)])
    return [(AT, f"{text} To begin anew with it, write `fresh: [{fresh}]` beside `checkpoint`.") for _, text in found]


def _described(layer: Layer) -> str:
    """`a Linear with weight (784, 10), bias (1, 10)`"""
    tensors = ", ".join(f"{name} {parameter.tensor.shape}" for name, parameter in _tensors(layer).items())
    return f"{a(type(layer).__name__)} with {tensors or 'no parameters'}"


def _why_nothing(net: Net, old: Net, common: set[str]) -> str:
    """Why there is no layer to take parameters for, given those that are the same in both nets."""
    if common:
        return "every layer that is the same there is fresh. Remove start_from, or name fewer."
    if _kinds(net) == _kinds(old):
        return "this net has no parameters."
    return (
        f"the layers are not all the same ({_first_difference(net, old)}), so only names that a person gave count, and "
        "no layer with parameters was given the same one in both. Leave the layers as they are there, or give names in "
        "both, as in `Linear: {out_features: 25, name: stem}`."
    )


def _first_difference(net: Net, old: Net) -> str:
    """`the first to differ is relu1 (ReLU), there tanh1 (Tanh)`"""
    both = zip_longest(_kinds(net), _kinds(old))
    here, there = next(pair for pair in both if pair[0] != pair[1])
    said = [f"{each[0]} ({each[1]}{each[2]})" if each else "none" for each in (here, there)]
    return f"the first to differ is {said[0]}, there {said[1]}"


def _notes(one: Round, old: Round, found: Start) -> Iterator[str]:
    """What was taken and what was not."""
    net = one.net
    tensors = [p for layer in _owners(net) if layer.name in found.taken for p in layer.parameters]
    what = listed(found.taken) if found.anew else f"all {len(found.taken)} layers with parameters"
    count = sum(p.tensor.size for p in tensors)
    yield f"Starts from {found.checkpoint}, epoch {found.epoch}: {what} ({count:,} parameters)."
    statistics = [str(layer.name) for layer in _owners(net) if layer.buffers and layer.name in found.taken]
    if statistics:
        yield f"The running statistics of {listed(statistics)} come along."
    if found.anew:
        yield f"These begin anew: {listed(found.anew)}."
    if _kinds(net) != _kinds(old.net):
        difference = _first_difference(net, old.net)
        yield f"The layers are not all the same ({difference}), so only names that a person gave in both count."
    if found.left:
        yield f"Left there: {listed(found.left)}."
