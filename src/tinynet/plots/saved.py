"""What the pictures take from a run's checkpoint: the net, its data, and the epoch it is of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from tinynet import checkpoint as checkpoints
from tinynet.errors import TinynetError
from tinynet.evaluation import Figures
from tinynet.experiment import Experiment, restore
from tinynet.run import Run


@dataclass
class Saved:
    """A checkpoint of a run.

    Parameters
    ----------
    experiment
        With the parameters of the checkpoint.
    epoch
        After which they were saved.
    is_best
        Whether it is the best epoch, or else the last.
    """

    experiment: Experiment
    epoch: int
    is_best: bool

    @cached_property
    def figures(self) -> Figures:
        """Those of the test split."""
        return self.experiment.evaluate("test")

    @property
    def when(self) -> str:
        """Of which epoch the figures are: "at epoch 7 (best)"."""
        return f"at epoch {self.epoch} ({'best' if self.is_best else 'last'})"


def saved_by(run: Run, notes: list[str]) -> Saved | None:
    """The best checkpoint, or the last where there is no best one; None, and a note, where neither can be read."""
    is_best = run.best_path.exists()
    path = run.best_path if is_best else run.last_path
    if not path.exists():
        notes.append(f"{run.folder}: has no checkpoint yet, so only its curves are drawn.")
        return None
    try:
        checkpoint = checkpoints.read(path)
        return Saved(restore(checkpoint, str(path)), checkpoint.epoch, is_best)
    except TinynetError as error:
        notes.append(f"{str(error).removesuffix('.')}. Only the curves are drawn.")
        return None
