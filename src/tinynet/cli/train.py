"""`tinynet train`: trains a config, or goes on with a run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli.output import (
    BLAS_THREADS,
    counted,
    figures_table,
    json_option,
    leave_stdout,
    print_json,
    quoted,
    say,
    seed_option,
    set_option,
    tell,
)
from tinynet.cli.plugins import as_given, plugin_option
from tinynet.cli.progress import Progress, downloads_shown
from tinynet.common import interrupts
from tinynet.common.errors import CheckpointError, DivergedError, RunError
from tinynet.common.files import at_home, read_json

if TYPE_CHECKING:
    from tinynet.runs.run import Run
    from tinynet.training.experiment import Experiment

_ASKED = f"{__name__}.asked"  # the key, among what click keeps of a command, of whether --blas-threads was given


def _ask_blas(ctx: click.Context, parameter: click.Parameter, threads: int | None) -> None:
    """Have NumPy's BLAS use this many threads: it reads the variables when it is imported, after the options."""
    if threads is not None:
        ctx.meta[_ASKED] = True
        os.environ.update(dict.fromkeys(BLAS_THREADS, str(threads)))


def _ask_blas_as_before(ctx: click.Context, parameter: click.Parameter, run: str | None) -> str | None:
    """Have BLAS use as many threads as when the run was begun: the last digits depend on them."""
    if run is not None and _ASKED not in ctx.meta:
        with suppress(CheckpointError):  # which is told when the run is opened
            blas = (read_json(Path(run) / "meta.json") or {}).get("blas")
            threads = blas.get("threads") if isinstance(blas, dict) else None
            if isinstance(threads, str) and threads.isdecimal():
                os.environ.update(dict.fromkeys(BLAS_THREADS, threads))
    return run


@click.command("train")
@click.argument("config", required=False, type=click.Path())
@set_option
@click.option("--name", help="Name of the run, instead of the config's.")
@seed_option
@click.option(
    "--runs", type=click.Path(), envvar="TINYNET_RUNS", default="runs", show_default=True, help="Folder of the runs."
)
@click.option("--rounds", type=click.IntRange(min=1), help="Independent trainings, instead of the config's.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Threads for images, or processes for rounds; by default one for each core.",
)
@click.option(
    "--blas-threads",
    type=click.IntRange(min=1),
    callback=_ask_blas,
    expose_value=False,
    help="Threads for each product of matrices, for large dense nets; the last digits then depend on their number.",
)
@click.option(
    "--resume",
    type=click.Path(),
    metavar="RUN",
    callback=_ask_blas_as_before,
    help="Go on with a run where it stopped.",
)
@click.option("--force", is_flag=True, help="With --resume: go on although options or data have changed.")
@click.option("--dry-run", is_flag=True, help="Build, run one batch forward and backward, show the layers.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
@plugin_option
def command(
    config: str | None,
    overrides: tuple[str, ...],
    name: str | None,
    seed: int | None,
    runs: str,
    rounds: int | None,
    workers: int | None,
    resume: str | None,
    force: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Train the network of a CONFIG file; everything is kept in a new folder under runs/.

    `--resume RUN` goes on where a run was stopped, and with `--set training.epochs=N` further than it was to go.
    """
    from tinynet.runs.provenance import command_line
    from tinynet.runs.run import Run

    changes = list(overrides)
    changes += [f"name={json.dumps(name)}"] if name is not None else []
    changes += [f"seed={seed}"] if seed is not None else []
    changes += [f"training.rounds={rounds}"] if rounds is not None else []
    if (config is None) == (resume is None):
        raise click.UsageError("name a config file, as in `tinynet train disk.yaml`, or a run with --resume, not both")
    if force and resume is None:
        raise click.UsageError("--force goes with --resume RUN")
    if dry_run and resume is not None:
        raise click.UsageError("--dry-run goes with a config, not with --resume")
    given = click.get_current_context().get_parameter_source("runs") is click.core.ParameterSource.COMMANDLINE
    if given and resume is not None:
        raise click.UsageError("--runs goes with a config; a resumed run stays in its folder")
    if resume is not None:
        from tinynet.runs.resume import resume as open_run

        with downloads_shown(quiet):
            run, experiment = open_run(resume, changes, force, command_line())
        if experiment.training.finished and run.meta["status"] == "finished":
            return _already_finished(run, experiment, as_json)
        words = "".join(f" --set {quoted(change)}" for change in changes) + (" --force" if force else "")
        return _train(lambda: run, experiment, workers, quiet, as_json, words)

    from tinynet.config.config import load
    from tinynet.training.experiment import build

    assert config is not None
    with downloads_shown(quiet):
        experiment = build(load(config, *changes))
    if dry_run:
        return _dry_run(experiment, as_json)
    folder = at_home(runs)
    return _train(lambda: Run.create(experiment, folder, command_line()), experiment, workers, quiet, as_json)


def _introduce(run: Run, experiment: Experiment) -> None:
    data = experiment.dataset
    sizes = [f"{len(part):,} {name}" for name in ("train", "validation", "test") if (part := data.split(name))]
    nothing = "No layer has parameters to train: every epoch will be like the first."
    for line in (
        *data.notes,
        *([] if experiment.net.vector.tensor.size else [nothing]),
        *(experiment.started.notes if experiment.started else ()),
        f"{run.folder}: {', '.join(sizes)} samples; {experiment.net.vector.tensor.size:,} parameters",
    ):
        say(line)


def _train(
    open_run: Callable[[], Run],
    experiment: Experiment,
    workers: int | None,
    quiet: bool,
    as_json: bool,
    changes: str = "",
) -> int:
    """Train in a run's folder, and tell what came of it; `changes` are the words that would change it again."""
    experiment.training.workers = workers or os.cpu_count() or 1
    with interrupts.deferred() as signals:
        run = open_run()
        signals.tell(lambda: setattr(run, "stop", True))
        again = f"  tinynet train --resume {quoted(run.folder)}{as_given()}"
        if not quiet:
            _introduce(run, experiment)
        try:
            with Progress(experiment, quiet) as progress:
                status = run.train(experiment, progress.show)
        except DivergedError:
            if as_json:
                print_json({"run": str(run.folder), **run.summary})
            optimizer = experiment.optimizer
            change = f"--force --set optimizer.{type(optimizer).__name__}.lr={optimizer.lr / 10:g}"
            say(f"The last good checkpoint is {run.last_path}. To go on from it with a smaller rate:\n{again} {change}")
            raise
        except RunError:
            if run.folder.is_dir():
                say(f"To go on, once what follows is mended:\n{again}{changes}")
            raise
        except interrupts.Interrupted:
            say(f"Stopped at once. To go on from the last checkpoint:\n{again}")
            raise
    try:
        if as_json:
            print_json({"run": str(run.folder), **run.summary})
        else:
            _report(run, experiment, run.summary)
    except OSError:
        if status != "interrupted":
            raise
        leave_stdout()  # of a terminal that was closed
    if status == "interrupted":
        say(f"Interrupted. To go on:\n{again}")
        return interrupts.Interrupted(signals.caught[0]).exit_status
    return 0


def _report(run: Run, experiment: Experiment, summary: dict[str, Any]) -> None:
    """The final figures: a row for the best and the last epoch, then the folder and the next command."""
    rows = {which: summary[which] for which in ("best", "last") if summary[which] is not None}
    if summary["rounds"] > 1:
        rows = {name: row for which in rows for name, row in _spread(summary, which).items()}
    tell(figures_table(rows))
    commonest = summary["last"].get("test_commonest_error")
    if commonest is not None:
        tell(f"Always answering the commonest class would give a test error of {commonest:.1%}.")
    early = " (stopped early)" if _stopped_early(experiment) else ""
    rounds = f"{counted(summary['rounds'], 'round')} of " if summary["rounds"] > 1 else ""
    tell(f"{rounds}{counted(summary['epochs'], 'epoch')}{early} in {summary['seconds']:.2f} s of training")
    tell(f"Run: {run.folder}")
    tell(f"Next: tinynet plot {quoted(run.folder)}{as_given()}")


def _spread(summary: dict[str, Any], which: str) -> dict[str, Any]:
    """The means over the rounds, and under them the standard deviations."""
    from tinynet.runs.statistics import over_rounds

    spread = over_rounds([row[which] for row in summary["per_round"]])
    return {
        f"{which}, mean of {summary['rounds']}": spread["mean"],
        f"{which}, deviation": spread["standard_deviation"],
    }


def _already_finished(run: Run, experiment: Experiment, as_json: bool) -> int:
    from tinynet.runs.summary import figures_of

    if as_json:
        print_json({"run": str(run.folder), **figures_of(experiment, "finished")})
    elif _stopped_early(experiment):
        done = max(one.progress.epoch for one in experiment.rounds)
        tell(
            f"{run.folder} is finished: early stopping ended it after {counted(done, 'epoch')}. "
            f"To train further, train {run.folder / 'resolved.yaml'} anew with a larger patience."
        )
    else:
        epochs = experiment.config.training.epochs
        tell(
            f"{run.folder} is finished: it has done {counted(epochs, 'epoch')}. To train further:\n"
            f"  tinynet train --resume {quoted(run.folder)}{as_given()} --set training.epochs={2 * epochs}"
        )
    return 0


def _stopped_early(experiment: Experiment) -> bool:
    return any(one.progress.stopped_early for one in experiment.rounds)


def _dry_run(experiment: Experiment, as_json: bool) -> int:
    """One batch forward and backward; shows the layers. Nothing is updated or written."""
    from tinynet.data.loader import Loader
    from tinynet.training.evaluation import compare_with

    net = experiment.net
    x, labels, targets = next(iter(Loader(experiment.dataset.train, experiment.config.training.batch_size)))
    value, gradient = experiment.loss(
        net.forward(x, training=True), compare_with(experiment.rounds[0], labels, targets)
    )
    net.backward(gradient)
    if as_json:
        layers = [
            {"name": layer.name, "layer": type(layer).__name__, "output": list(shape)}
            | {"parameters": sum(p.tensor.size for p in layer.parameters)}
            for layer, shape in zip(net.layers, net.shapes, strict=True)
        ]
        print_json({"layers": layers, "parameters": net.vector.all_tensors.size, "batch_loss": value})
    else:
        tell(net.summary())
        for note in (*experiment.dataset.notes, *(experiment.started.notes if experiment.started else ())):
            tell(note)
        tell(f"One batch of {len(x)} went forward and backward: loss {value:.4g}. Nothing was written.")
    return 0
