"""How far a training or a download is: a bar on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from tinynet.cli.output import figure, say
from tinynet.runs.metrics import MEASURED

if TYPE_CHECKING:
    from tinynet.training.experiment import Experiment
    from tinynet.training.record import Record

LINE_SECONDS = 2.0
BAR_SECONDS = 0.05


class Progress:
    """Shows records as they come: on a terminal a bar, elsewhere a line at most every two seconds, and the last."""

    def __init__(self, experiment: Experiment, quiet: bool) -> None:
        self.training, self.quiet = experiment.training, quiet
        self.epochs = experiment.config.training.epochs
        self.bar: Any = None
        self.shown = -LINE_SECONDS
        # The newest record of each round.
        self.newest: dict[int, Record] = {}

    def __enter__(self) -> Progress:
        if not self.quiet and sys.stderr.isatty():
            self.bar = _bar(
                total=self.epochs,
                initial=self.training.epochs,
                bar_format="{l_bar}{bar}| {n:.1f}/{total} epochs [{elapsed}<{remaining}{postfix}]",
            )
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def show(self, record: Record | None) -> None:
        """Take note of a record, or of a moment in an epoch."""
        if record is not None:
            self.newest[record.round] = record
        if record is not None and self._waits(record):
            return
        last = record is not None and self.training.finished
        if self.quiet or not (last or monotonic() - self.shown >= (BAR_SECONDS if self.bar else LINE_SECONDS)):
            return
        if self.bar is not None:
            self.bar.n = self.training.epochs
            if record is not None:
                self.bar.set_postfix_str(self._figures(record, ("test_loss", "test_error")), refresh=False)
            self.bar.refresh()
        elif record is not None:
            one_by_one = len(self.training.rounds) > 1 and not self.training.stacked
            which = f"round {record.round}, " if one_by_one else ""
            say(f"{which}epoch {record.epoch}/{self.epochs}: {self._figures(record, MEASURED)}")
        else:
            return
        self.shown = monotonic()

    def _waits(self, record: Record) -> bool:
        """Whether other rounds, trained at the same time, have records of this epoch too that are still to come."""
        rounds = self.training.rounds
        if len(rounds) == 1 or not self.training.stacked:
            return False
        newest = [self.newest.get(number) for number in range(len(rounds))]
        return any(
            (own is None or own.epoch < record.epoch)
            and one.progress.epoch >= record.epoch
            and bool(one.progress.records)
            for one, own in zip(rounds, newest, strict=True)
        )

    def _figures(self, record: Record, names: tuple[str, ...]) -> str:
        """Figures as text: of rounds that are trained at the same time the mean, else of the round under way."""
        from tinynet.runs.statistics import over_rounds

        shown = self.newest.values() if self.training.stacked else [record]
        mean = over_rounds([vars(each) for each in shown])["mean"]
        return ", ".join(f"{n.replace('_', ' ')} {figure(n, mean[n])}" for n in names if mean[n] is not None)


@contextmanager
def downloads_shown(quiet: bool = False) -> Iterator[None]:
    """Shows what is downloaded within it: a line for each dataset, and on a terminal a bar for each file."""
    from tinynet.data.download import watched

    if quiet:
        yield
        return
    shown = _Downloads()
    try:
        with watched(shown.show):
            yield
    finally:
        shown.close()


class _Downloads:
    def __init__(self) -> None:
        self.path = Path()
        self.bar: Any = None

    def show(self, path: Path, done: int, total: int | None) -> None:
        """Take note that `done` bytes of the `total` of a file have come."""
        if path.parent != self.path.parent:
            say(f"Downloading {path.parent.name} to {path.parent}")
        if done and sys.stderr.isatty():
            if self.bar is None or path != self.path or total != self.bar.total:
                self.close()
                self.bar = _bar(desc=path.name, total=total, unit="B", unit_scale=True)
            self.bar.update(done - self.bar.n)
        self.path = path

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _bar(**options: Any) -> Any:
    from tqdm import tqdm

    # tqdm itself shows nothing on a terminal that does not tell its size.
    size = shutil.get_terminal_size()
    return tqdm(ncols=size.columns - 1, nrows=size.lines, **options)
