"""`tinynet eval`: the figures of a checkpoint, or of a run's best and last."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import click

from tinynet.cli.output import print_json
from tinynet.cli.plugins import plugin_option


@click.command("eval")
@click.argument("target", metavar="CHECKPOINT|RUN", type=click.Path())
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="Which part of the data.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@plugin_option
def command(target: str, split: str, as_json: bool) -> None:
    """Loss and error of a CHECKPOINT, or of the best and last of a RUN; up to 20 classes also one by one."""
    if not Path(target).is_dir():
        found = _evaluate(target, split)
        if as_json:
            print_json(found)
        else:
            click.echo(_text(found))
        return
    from tinynet.run import Run, find_checkpoint

    find_checkpoint(target)
    run = Run.open(target)
    both = {
        which: _evaluate(str(path), split) if path.exists() else None
        for which, path in (("best", run.best_path), ("last", run.last_path))
    }
    if as_json:
        print_json(both)
    else:
        click.echo("\n\n".join(_text(found) for found in both.values() if found))


def _evaluate(path: str, split: str) -> dict[str, Any]:
    from tinynet import checkpoint as checkpoints
    from tinynet.evaluation import to_json
    from tinynet.experiment import restore
    from tinynet.run import find_checkpoint

    file = find_checkpoint(path)
    checkpoint = checkpoints.read(file)
    experiment = restore(checkpoint, str(file))
    start = perf_counter()
    figures = experiment.evaluate(split)
    seconds = perf_counter() - start
    found = to_json(figures, experiment.description)
    return {"checkpoint": str(file), "epoch": checkpoint.epoch, "split": split, **found, "seconds": seconds}


def _text(found: dict[str, Any]) -> str:
    from tinynet.cli.tables import figure, table

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
