"""Runs side by side: what differs between their configs, their figures, and the differences paired by seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tinynet.common.errors import CheckpointError, TinynetError, UsageError
from tinynet.config.config import Config, config_difference, load
from tinynet.config.messages import dotted
from tinynet.runs.counting import counted, round_count
from tinynet.runs.run import Run
from tinynet.runs.statistics import CONFIDENCE, by_round, interval, sample
from tinynet.training import checkpoint as checkpoints
from tinynet.training.experiment import restore
from tinynet.training.record import Record

FIGURES = ("test_error", "test_loss", "validation_error", "validation_loss", "train_error", "train_loss")
WHICH = ("last", "best")
# Options of a dataset that change how much of it is used, or how: the samples stay of the same kind.
SAME_KIND = {"train", "test", "validation", "standardize", "standardize_targets", "targets"}


@dataclass
class Compared:
    """One of the runs.

    Parameters
    ----------
    name
        Of its folder, with as much of the path as tells it from the others.
    run, config
        The run and its resolved config.
    rounds
        The records of each round that counts, by its seed.
    """

    name: str
    run: Run
    config: Config
    rounds: dict[int, list[Record]]

    @cached_property
    def figures(self) -> dict[str, dict[str, dict[int, float]]]:
        """Under last and best each figure that was measured, with the epoch and the seconds until then, by seed."""
        last = {seed: records[-1] for seed, records in self.rounds.items()}
        best = {seed: best_of(records, self.config) for seed, records in self.rounds.items()}
        known = {seed: record for seed, record in best.items() if record is not None}
        return {"last": _columns(last)} | ({"best": _columns(known)} if len(known) == len(best) else {})

    @cached_property
    def parameters(self) -> int | None:
        """How many numbers the net learns or has frozen; None where there is no checkpoint to be read."""
        try:
            found, config = checkpoints.read(self.run.last_path), None
            if self.config.training.rounds > 1:
                found, config = checkpoints.of_round(found, 0), self.config.of_round(0)
            net = restore(found, str(self.run.last_path), config).net
        except TinynetError:
            return None
        return sum(parameter.tensor.size for parameter in net.parameters)

    def to_json(self) -> dict[str, Any]:
        return {
            "run": str(self.run.folder),
            "name": self.name,
            "status": self.run.meta.get("status"),
            "rounds": round_count(self.run),
            "seeds": list(self.rounds),
            "parameters": self.parameters,
            **{
                which: {name: _over_seeds(list(values.values())) for name, values in columns.items()}
                for which, columns in self.figures.items()
            },
        }


@dataclass
class Paired:
    """The difference of a figure between two runs, over the seeds that both have.

    Parameters
    ----------
    seeds
        Of both.
    mean
        Of the run's figure less the baseline's.
    low, high
        The confidence interval of the mean by Student's t; None of one seed.
    """

    seeds: list[int]
    mean: float
    low: float | None = None
    high: float | None = None


@dataclass
class Comparison:
    """Several runs, of which the first is the baseline.

    Parameters
    ----------
    runs
        As given.
    config
        What differs between the resolved configs: path -> value of each run, None where it has no such option.
    differences
        For each run after the first: last and best -> figure -> the paired difference. None for a run on other data.
    notes
        What is to be borne in mind, in sentences.
    """

    runs: list[Compared]
    config: dict[str, list[Any]]
    differences: list[dict[str, dict[str, Paired]] | None] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        pairs = zip(self.runs[1:], self.differences, strict=True)
        return {
            "runs": [one.to_json() for one in self.runs],
            "config": self.config,
            "baseline": self.runs[0].name,
            "confidence": CONFIDENCE,
            "differences": {
                one.name: found and {w: {n: vars(p) for n, p in columns.items()} for w, columns in found.items()}
                for one, found in pairs
            },
            "notes": self.notes,
        }


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare runs with the first of them.

    Raises
    ------
    UsageError
        If there are fewer than two, or one is there twice, or has no figures yet.
    CheckpointError
        If the files of one are missing or broken.
    """
    if len(runs) < 2:
        raise UsageError("one run alone has nothing to be compared with. Name two or more.")
    folders = [run.folder.resolve() for run in runs]
    for run, folder in zip(runs, folders, strict=True):
        if folders.count(folder) > 1:
            raise UsageError(f"{run.folder}: this run is named twice. Name each run once.")
    found = [_compared(name, run) for name, run in zip(folder_names(runs), runs, strict=True)]
    first = found[0]
    differences = [paired(first, other) if _same_kind(first.config, other.config) else None for other in found[1:]]
    trees = [{k: v for k, v in one.config.to_json().items() if k != "name"} for one in found]
    config = {dotted(keys): values for keys, values in config_difference(trees)}
    return Comparison(found, config, differences, [*_notes(found), *_unpaired(found, differences)])


def folder_names(runs: Sequence[Run]) -> list[str]:
    """The names of the run folders, with as much of their paths as tells them apart."""
    paths = [run.folder.absolute() for run in runs]
    names: list[str] = []
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(set(paths)):
            break
    return names


def best_of(records: Sequence[Record], config: Config) -> Record | None:
    """The record of the best epoch, chosen as in training: by the validation loss, else the measured training loss."""
    for name in ("validation_loss", "train_loss"):
        measured = [record for record in records if record[name] is not None]
        if measured and (name == "validation_loss" or config.training.evaluate_train):
            return min(measured, key=lambda record: float(record[name]))
    return None


def _over_seeds(values: list[float]) -> dict[str, Any]:
    mean, deviation = sample(values)
    return {"mean": mean, "standard_deviation": deviation, "per_round": values}


def paired(baseline: Compared, other: Compared) -> dict[str, dict[str, Paired]]:
    """other - baseline for each figure that both have for a seed of both."""
    found: dict[str, dict[str, Paired]] = {}
    for which in WHICH:
        ours, theirs = other.figures.get(which, {}), baseline.figures.get(which, {})
        for name in [name for name in FIGURES if name in ours and name in theirs]:
            seeds = [seed for seed in ours[name] if seed in theirs[name]]
            if seeds:
                numbers = [ours[name][seed] - theirs[name][seed] for seed in seeds]
                found.setdefault(which, {})[name] = Paired(seeds, *interval(numbers))
    return found


def _compared(name: str, run: Run) -> Compared:
    file = run.folder / "resolved.yaml"
    if not file.is_file():
        raise CheckpointError(f"{file}: is missing")
    config, records = load(file), run.records()
    if not records:
        status = run.meta.get("status")
        raise UsageError(f"{run.folder}: this run has no figures yet (status: {status}). Compare it after an epoch.")
    rounds = by_round(counted(run, records))
    return Compared(name, run, config, {config.seed + number: own for number, own in rounds.items()})


def _columns(records: dict[int, Record]) -> dict[str, dict[int, float]]:
    """Each figure that all of these records have, by seed."""
    names = ("epoch", *FIGURES, "seconds")
    found = {name: {seed: record[name] for seed, record in records.items()} for name in names}
    return {name: values for name, values in found.items() if values and None not in values.values()}


def _same_kind(first: Config, second: Config) -> bool:
    """Whether two configs draw their samples from one source, be it more or fewer of them."""
    options = [{n: v for n, v in c.dataset.options.items() if n not in SAME_KIND} for c in (first, second)]
    return first.dataset.cls is second.dataset.cls and options[0] == options[1]


def _notes(runs: Sequence[Compared]) -> Iterator[str]:
    """What makes runs less comparable than they look."""
    first = runs[0]
    for one in runs:
        status, total = one.run.meta.get("status"), round_count(one.run)
        if status != "finished":
            count = f"; {len(one.rounds)} of its {total} rounds are compared" if len(one.rounds) < total else ""
            yield f"{one.name} is not finished (status: {status}){count}."
    for other in runs[1:]:
        if not _same_kind(first.config, other.config):
            yield f"{other.name} has another dataset than {first.name}: their figures are not comparable."
        elif _changed(first, other):
            yield (
                f"{other.name} was trained on other data than {first.name}, though their configs name the same: a file "
                "has changed in between. Their figures are not comparable."
            )
    during = [one.name for one in runs if not one.config.training.evaluate_train]
    if 0 < len(during) < len(runs):
        yield (
            f"The training figures of {', '.join(during)} are means over the epoch's batches, those of the others are "
            "measured after it (evaluate_train): they are not comparable."
        )
    if any(_measure(one.config) != _measure(first.config) for one in runs):
        kinds = ", ".join(f"{one.name} {_measure(one.config)[0]}" for one in runs)
        yield f"The losses are of different kinds ({kinds}): they are not comparable."


def _changed(first: Compared, other: Compared) -> bool:
    """Whether runs that should have the same data have not; the digest is of the data as net and loss take them."""
    sections = ("seed", "dtype", "dataset", "layers", "loss")
    same = all(getattr(first.config, name) == getattr(other.config, name) for name in sections)
    return same and first.run.meta.get("data_sha256") != other.run.meta.get("data_sha256")


def _measure(config: Config) -> tuple[str, Any, Any]:
    """What a loss is of: its name, its options, and the target vectors it compares with."""
    loss = config.loss
    return loss.cls.__name__, loss.options, None if loss.make().takes_labels else config.dataset.options["targets"]


def _unpaired(runs: Sequence[Compared], differences: Sequence[dict[str, dict[str, Paired]] | None]) -> Iterator[str]:
    """Which runs cannot be paired with the first, or have no interval."""
    for other, found in zip(runs[1:], differences, strict=True):
        seeds = [seed for seed in other.rounds if seed in runs[0].rounds]
        if found is not None and not seeds:
            yield f"{other.name} and {runs[0].name} have no seed in common, so they are not paired."
        elif found is not None and len(seeds) == 1:
            yield (
                f"{other.name} and {runs[0].name} have one seed in common, {seeds[0]}: a difference of one pair has no "
                "interval. Train both with --rounds."
            )
