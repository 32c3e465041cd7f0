"""`tinynet eval`: the figures of a checkpoint, or of a run's best and last."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli.output import SPLITS, figure, json_option, print_json, table, tell
from tinynet.cli.plugins import plugin_option

if TYPE_CHECKING:
    from tinynet.training.experiment import Experiment


@click.command("eval")
@click.argument("target", metavar="CHECKPOINT|RUN", type=click.Path())
@click.option("--split", type=SPLITS, default="test", show_default=True, help="Which part of the data.")
@click.option("--round", "number", type=click.IntRange(min=0), help="One of several rounds, counted from 0.")
@json_option
@plugin_option
def command(target: str, split: str, number: int | None, as_json: bool) -> None:
    """Loss and error of a CHECKPOINT, or of the best and last of a RUN; up to 20 classes also one by one.

    Of several rounds: each, and their mean and deviation.
    """
    if not Path(target).is_dir():
        found = _evaluate(target, split, number)
        if as_json:
            print_json(found)
        else:
            tell(_text(found))
        return
    from tinynet.runs.run import Run, find_checkpoint

    find_checkpoint(target)
    run = Run.open(target)
    both = {
        which: _evaluate(str(path), split, number) if path.exists() else None
        for which, path in (("best", run.best_path), ("last", run.last_path))
    }
    if as_json:
        print_json(both)
    else:
        tell("\n\n".join(_text(found) for found in both.values() if found))


def _evaluate(path: str, split: str, number: int | None) -> dict[str, Any]:
    from tinynet.runs.run import find_checkpoint
    from tinynet.training import checkpoint as checkpoints
    from tinynet.training.experiment import restore

    file = find_checkpoint(path)
    checkpoint = checkpoints.read(file)
    experiment = restore(checkpoint, str(file))
    found = {"checkpoint": str(file), "epoch": checkpoint.epoch, "split": split}
    if number is not None or len(experiment.rounds) == 1:
        epochs = checkpoint.epochs
        return found | _figures(experiment.of_round(number or 0), split) | {"epoch": epochs[number or 0]}
    rounds = [
        {"round": k, "seed": experiment.rounds[k].config.seed, "epoch": epoch} | _figures(experiment.of_round(k), split)
        for k, epoch in enumerate(checkpoint.epochs)
    ]
    return found | _over(rounds) | {"per_round": rounds}


def _figures(experiment: Experiment, split: str) -> dict[str, Any]:
    from tinynet.training.evaluation import to_json

    start = perf_counter()
    figures = experiment.evaluate(split)
    seconds = perf_counter() - start
    return {**to_json(figures, experiment.description), "seconds": seconds}


def _over(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures over several rounds: means, the sum of the seconds, and the spread."""
    from tinynet.runs.statistics import SPREAD, over_rounds

    names = ("loss", "error", "errors", "r2", "mean_absolute_error", "commonest_error")
    trained = [row for row in rounds if row["epoch"]] or rounds
    spread = over_rounds([{name: row[name] for name in names if name in row} for row in trained])
    found = {"samples": rounds[0]["samples"], **spread["mean"], "seconds": sum(row["seconds"] for row in rounds)}
    return found | {which: spread[which] for which in SPREAD[1:]}


def _text(found: dict[str, Any]) -> str:
    if "per_round" in found:
        return _text_of_rounds(found)
    lines = [f"{found['checkpoint']} (epoch {found['epoch']}), {found['split']} split of {found['samples']:,} samples"]
    lines.append(f"loss {found['loss']:.4g}")
    if found["errors"] is None:
        lines.append(f"R² {figure('r2', found['r2'])}, mean absolute error {found['mean_absolute_error']:.4g}")
        return "\n".join(lines)
    commonest = f"always answering the commonest class: {found['commonest_error']:.1%}"
    lines.append(f"error {found['error']:.2%} ({found['errors']:,} of {found['samples']:,}; {commonest})")
    if "per_class" in found:
        rows = [["class", "samples", "errors", "error"]]
        rows += [
            [row["class"], str(row["samples"]), str(row["errors"]), figure("error", row["error"])]
            for row in found["per_class"]
        ]
        confusion = [["true \\ predicted", *found["classes"]]]
        confusion += [[n, *map(str, r)] for n, r in zip(found["classes"], found["confusion"], strict=True)]
        lines += ["", table(rows), "", table(confusion)]
    return "\n".join(lines)


def _text_of_rounds(found: dict[str, Any]) -> str:
    names = [name for name in ("loss", "error", "r2", "mean_absolute_error") if found.get(name) is not None]
    rows = [["round", "seed", "epoch", *(name.replace("_", " ") for name in names)]]
    for row in found["per_round"]:
        rows.append([*(str(row[name]) for name in ("round", "seed", "epoch")), *(figure(n, row[n]) for n in names)])
    rows.append(["mean", "", "", *(figure(name, found[name]) for name in names)])
    rows.append(["deviation", "", "", *(figure(name, found["standard_deviation"][name]) for name in names)])
    untrained = sum(row["epoch"] == 0 for row in found["per_round"])
    if 0 < untrained < len(found["per_round"]):
        rows[-2][0] = f"mean of the {len(found['per_round']) - untrained} trained"
    heading = f"{found['checkpoint']}, {found['split']} split of {found['samples']:,} samples"
    return f"{heading}\n{table(rows)}"
