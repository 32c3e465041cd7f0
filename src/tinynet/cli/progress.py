"""How far a training is: a bar on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from tinynet.cli.tables import figure

if TYPE_CHECKING:
    from tinynet.learner import Learner, Record

LINE_SECONDS = 2.0


class Progress:
    """Shows records as they come. Without a terminal, a line for an epoch at most every two seconds, and the last."""

    def __init__(self, learner: Learner, quiet: bool) -> None:
        self.learner, self.quiet = learner, quiet
        self.bar: Any = None
        self.shown = -LINE_SECONDS

    def __enter__(self) -> Progress:
        if not self.quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(
                total=self.learner.options.epochs,
                initial=self.learner.progress.epoch,
                unit="epoch",
                bar_format="{l_bar}{bar}| {n:.1f}/{total} epochs [{elapsed}<{remaining}{postfix}]",
                ascii=None,
            )
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def show(self, record: Record | None) -> None:
        """Take note of a record, or of a moment in an epoch."""
        if self.bar is not None:
            progress, batches = self.learner.progress, self.batches
            self.bar.n = progress.epoch + progress.batch / batches
            if record is not None:
                self.bar.set_postfix_str(_figures(record, ("test_loss", "test_error")), refresh=False)
            self.bar.refresh()
        elif record is not None and not self.quiet:
            last = record.epoch == self.learner.options.epochs or self.learner.finished
            if last or monotonic() - self.shown >= LINE_SECONDS:
                self.shown = monotonic()
                names = ("train_loss", "train_error", "validation_loss", "validation_error", "test_loss", "test_error")
                print(f"epoch {record.epoch}/{self.learner.options.epochs}: {_figures(record, names)}", file=sys.stderr)

    @property
    def batches(self) -> int:
        return -(-len(self.learner.parts.dataset.train) // self.learner.options.batch_size)


def _figures(record: Record, names: tuple[str, ...]) -> str:
    return ", ".join(f"{n.replace('_', ' ')} {figure(n, record[n])}" for n in names if record[n] is not None)
