"""`tinynet explain`: a network in words and numbers, layer by layer."""

from __future__ import annotations

from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli.output import SPLITS, counted, json_option, print_json, set_option, tell
from tinynet.cli.pages import Code, Markdown, Page, Rows
from tinynet.cli.plugins import plugin_option
from tinynet.cli.progress import downloads_shown
from tinynet.cli.trace import write_trace

if TYPE_CHECKING:
    from tinynet.explain.network import Explanation, LayerEntry, ParameterEntry
    from tinynet.training.round import Round

LEGEND = (
    "Forward, a layer takes x and gives y; on the way back it takes dy, gives dx, and adds up the gradients of its "
    "parameters. dy is short for ∂L/∂y, the gradient of the loss L with respect to y; dx, dW and their like as well. N "
    "is the number of samples in a batch."
)
SYMBOLS = {
    "loss": "ŷ is the output of the net, y the target.",
    "optimizer": "θ is every parameter, g = ∂L/∂θ its gradient.",
}
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@click.command("explain")
@click.argument("target", metavar="CONFIG|RUN", type=click.Path())
@click.option("--layer", metavar="NAME", help="Only this layer, in full, or those of this block: stage or stage.1.")
@click.option("--sample", type=click.IntRange(min=0), metavar="N", help="Follow sample N of the data; 0 is the first.")
@click.option("--split", type=SPLITS, help="Of the sample; by default test.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="Of the page.",
)
@json_option
@set_option
@plugin_option
def command(
    target: str,
    layer: str | None,
    sample: int | None,
    split: str | None,
    file_format: str,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Explain the network of a CONFIG, or of a RUN or checkpoint.

    Layer by layer: where its input comes from and where its output goes, the shapes and how they come about, the
    parameters, the multiply-adds, and the equations forward and backward. With --sample also the real numbers of that
    sample on its way through, the loss, and the gradients on the way back; without it no data files are opened.
    """
    if split is not None and sample is None:
        raise click.UsageError("--split says where a sample is from. Add --sample 0, or leave --split out.")
    if as_json and file_format == "markdown":
        raise click.UsageError("--json and --format markdown cannot go together. Leave one of them out.")
    from tinynet.explain.network import explain

    with downloads_shown(as_json):
        one, parameters_are = _open(target, overrides, sample is not None)
        found = explain(one, layer, sample, split or "test", parameters_are)
    if as_json:
        print_json(asdict(found))
        return
    page = Markdown() if file_format == "markdown" else Page()
    _write(page, found, layer is not None)
    tell(str(page))


def _open(target: str, overrides: tuple[str, ...], with_data: bool) -> tuple[Round, str]:
    """The network of a config, or of a checkpoint or run; and what its parameters are."""
    from tinynet.config.config import load
    from tinynet.training.builder import build_round, describe
    from tinynet.training.experiment import build, restore

    if not (Path(target).is_dir() or target.endswith(".npz")):
        config = load(target, *overrides)
        if not with_data:
            return build_round(config, describe(config)), ""
        experiment = build(config)
        taken = f", with those taken from {experiment.started.checkpoint}" if experiment.started else ""
        return experiment.rounds[0], f"the initial ones of seed {config.seed}{taken}"
    if overrides:
        raise click.UsageError(f"--set changes a config, but {target} is trained already. Leave --set out.")
    from tinynet.runs.run import find_checkpoint
    from tinynet.training import checkpoint as checkpoints

    file = find_checkpoint(target)
    checkpoint = checkpoints.read(file)
    return restore(checkpoint, str(file)).rounds[0], f"those of epoch {checkpoint.epoch} in {file}"


def _write(page: Page, found: Explanation, in_full: bool) -> None:
    """The page: all of the net, or with `in_full` all there is to say of the chosen layers."""
    page.heading(found.name, 1)
    if not in_full:
        page.fields(_summary(found))
        page.table(_overview(found), 2 if found.is_chain else 3)
        page.heading("Layer by layer", 2)
    page.text(LEGEND)
    met: set[str] = set()
    for layer in found.layers:
        page.heading(f"{layer.number}. {layer.name}", 3)
        page.fields(_layer(layer, in_full or layer.kind not in met))
        if in_full and layer.plain:
            page.text("As plain loops, to be read; the code that runs is quicker:")
            page.block(layer.plain.splitlines(), "python")
        met.add(layer.kind)
    if found.trace is not None:
        write_trace(page, found, found.trace, in_full)
    if not in_full:
        page.heading("In all", 2)
        page.text(_closing(found))


def _summary(found: Explanation) -> Rows:
    totals = found.totals
    rows: Rows = []
    for section, pieces in found.pieces.items():
        items: list[str] = []
        for piece in pieces:
            said = piece.equations
            # The first line of a dataset may be prose.
            items += [Code(piece.written), *map(str if section == "dataset" else Code, said.forward)]
            items += [*map(Code, said.backward)]
            items += [f"{SYMBOLS[section]} {said.notes}".rstrip()] if section in SYMBOLS else []
        if items:
            rows.append((section, items))
        if section == "dataset":
            rows.append(("input", [f"{found.input_shape}, {counted(prod(found.input_shape), 'number')}"]))
            rows.append(("targets", [found.targets]))
    trainable = "all of them" if totals.trainable == totals.parameters else f"{totals.trainable:,} of them"
    rows.append(("training", [f"{counted(found.epochs, 'epoch')} in batches of {found.batch_size}"]))
    rows.append(("parameters", [f"{totals.parameters:,}, {trainable} trainable; {found.dtype}"]))
    rows.append(("multiply-adds", [f"{totals.multiply_adds:,} for one sample, forward"]))
    return rows


def _overview(found: Explanation) -> list[list[str]]:
    """A row for each layer; in a graph with the numbers of the layers it reads."""
    numbers = {"input": 0} | {layer.name: layer.number for layer in found.layers}
    rows = [["layer", "kind", "reads", "output", "parameters", "mult-adds"]]
    rows.append(["0 input", "", "", str(found.input_shape), "", ""])
    for layer in found.layers:
        reads = ", ".join(str(numbers[name]) for name in layer.reads)
        owners = {p.owner for p in layer.parameters} - {layer.name}
        held = f"as in {', '.join(str(numbers[name]) for name in owners)}" if owners else f"{layer.own_parameters:,}"
        name = f"{layer.number} {layer.name}"
        rows.append([name, layer.kind, reads, str(layer.shape), held, f"{layer.multiply_adds:,}"])
    rows.append(["all", "", "", "", f"{found.totals.parameters:,}", f"{found.totals.multiply_adds:,}"])
    return [row[:2] + row[3:] for row in rows] if found.is_chain else rows


def _layer(layer: LayerEntry, with_notes: bool) -> Rows:
    said, feeds = layer.equations, ", ".join(layer.feeds)
    rows: Rows = [
        ("kind", [Code(layer.written)]),
        ("reads", [", ".join(layer.reads)]),
        ("feeds", [feeds if len(layer.feeds) == 1 else f"{feeds}; their dx add up to the dy of this layer"]),
    ]
    if layer.needs:
        rows.append(("needs", [", ".join(layer.needs)]))
    shapes = f"{' and '.join(map(str, layer.given))} → {layer.shape}"
    rows.append(("shape", [shapes, *filter(None, [layer.arithmetic])]))
    if layer.parameters:
        total = sum(parameter.count for parameter in layer.parameters)
        rows.append(("parameters", [f"{total:,}", *map(_parameter, layer.parameters)]))
    if layer.buffers:
        rows.append(("keeps", [f"{', '.join(layer.buffers)} (no parameters: training does not learn them)"]))
    if layer.multiply_adds:
        rows.append(("multiply-adds", [_multiply_adds(layer)]))
    rows.append(("forward", _codes(said.forward) or ["not given: it is the first line of the class's docstring"]))
    rows.append(("backward", _codes(said.backward) or ["not given: it is what the docstring says from `dx =` on"]))
    rows.append(("where", [Code(_where(layer))]))
    if with_notes and said.notes:
        rows.append(("in general", [f"{said.notes}{f' ({said.source})' if said.source else ''}"]))
    return rows


def _codes(equations: list[str]) -> list[str]:
    return [Code(equation) for equation in equations]


def _parameter(parameter: ParameterEntry) -> str:
    product = "·".join(map(str, parameter.shape))
    count = f"{product} = {parameter.count:,}" if len(parameter.shape) > 1 else f"{parameter.count:,}"
    symbol = f"{parameter.symbol} = " if parameter.symbol else ""
    shared = f", shared with {', '.join(parameter.shared_with)}" if parameter.shared_with else ""
    return f"{symbol}{parameter.name}: {count}{shared}{'' if parameter.trainable else ', frozen'}"


def _multiply_adds(layer: LayerEntry) -> str:
    """Their number, and how it comes about where each number of the first parameter takes part equally often."""
    weights = layer.parameters[0].count if layer.parameters else 0
    if not weights or layer.multiply_adds % weights:
        return f"{layer.multiply_adds:,}"
    places = layer.multiply_adds // weights
    how = "one for each weight" if places == 1 else f"{weights:,} weights at {places:,} places"
    return f"{layer.multiply_adds:,}, {how}"


def _where(layer: LayerEntry) -> str:
    """The symbols of the equation with their shapes: `x (N, 2), W (2, 25), b (1, 25), y (N, 25)`."""
    several = len(layer.given) > 1
    found: list[tuple[str, tuple[Any, ...]]] = []
    for i, shape in enumerate(layer.given, start=1):
        found.append((f"x{str(i).translate(SUBSCRIPTS)}" if several else "x", ("N", *shape)))
    found += [(parameter.symbol, parameter.shape) for parameter in layer.parameters if parameter.symbol]
    found.append(("y", ("N", *layer.shape)))
    return ", ".join(f"{symbol} ({', '.join(map(str, shape))})" for symbol, shape in found)


def _closing(found: Explanation) -> str:
    totals, layers = found.totals, {layer.name: layer for layer in found.layers}
    if not totals.parameters:
        return "The net has no parameters: there is nothing to train."
    each = layers[totals.most_parameters[0]].own_parameters
    text = _share("parameters", totals.most_parameters, each, totals.parameters)
    if totals.multiply_adds:
        each = layers[totals.most_multiply_adds[0]].multiply_adds
        text += f" {_share('multiply-adds', totals.most_multiply_adds, each, totals.multiply_adds)}"
        text += " The way back takes about twice as many: for dx, and for the gradients of the weights."
    return text


def _share(what: str, names: list[str], each: int, total: int) -> str:
    """`linear2 has the most parameters: 650 of 1,427, or 46 %.`"""
    if len(names) == 1:
        return f"{names[0]} has the most {what}: {each:,} of {total:,}, or {each / total:.0%}."
    several = f"{len(names)} layers" if len(names) > 2 else " and ".join(names)
    return f"{several} have the most {what}: each {each:,} of {total:,}, or {each / total:.0%}."
