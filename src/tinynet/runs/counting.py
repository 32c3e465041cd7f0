"""Which rounds of a run its means are over."""

from __future__ import annotations

from collections.abc import Sequence

from tinynet.common.errors import CheckpointError
from tinynet.runs.run import Run
from tinynet.runs.statistics import by_round
from tinynet.training import checkpoint as checkpoints
from tinynet.training.record import Record


def round_count(run: Run) -> int:
    """How many rounds a run has, those that have not begun included."""
    return max(1, len(run.meta.get("seeds") or []))


def ended(run: Run) -> set[int]:
    """The rounds that have no epoch left, as far as last.npz knows."""
    if run.meta.get("status") == "finished":
        return set(range(round_count(run)))
    try:
        metadata = checkpoints.read(run.last_path).metadata
        epochs = metadata["config"]["training"]["epochs"]
        progress = [own["progress"] for own in metadata.get("per_round", [metadata])]
        return {k for k, own in enumerate(progress) if own["stopped_early"] or own["epoch"] >= epochs}
    except (CheckpointError, KeyError, TypeError):
        return set()


def counted(run: Run, records: Sequence[Record]) -> list[Record]:
    """The records of the rounds that a mean is over: all but those still under way and behind the others.

    Rounds that are trained at once are under way together; of those trained one after another only the last is, whose
    figures are those of another epoch than the others'.
    """
    rounds = by_round(records)
    last = max((own[-1].epoch for own in rounds.values()), default=0)
    behind = {k for k, own in rounds.items() if own[-1].epoch < last - 1}
    left_out = behind - ended(run) if behind else set()
    return [record for record in records if record.round not in left_out]
