"""What the pictures take from a run's checkpoint: the net, its data, and the epoch it is of; round by round."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from tinynet.common.errors import TinynetError
from tinynet.plots.style import of_round, of_rounds, spread
from tinynet.runs.run import Run
from tinynet.runs.statistics import deviation, mean
from tinynet.training import checkpoint as checkpoints
from tinynet.training.evaluation import Figures
from tinynet.training.experiment import Experiment, restore


@dataclass
class Saved:
    """A checkpoint of a run, or one round of it.

    Parameters
    ----------
    experiment
        With the parameters of the checkpoint; of several rounds those of the first.
    epoch
        After which they were saved.
    is_best
        Whether it is the best epoch, or else the last.
    rounds
        Each of several rounds by its number; empty where there is one only.
    number
        Which of several rounds this is.
    """

    experiment: Experiment
    epoch: int
    is_best: bool
    rounds: dict[int, Saved] = field(default_factory=dict)
    number: int | None = None

    @cached_property
    def figures(self) -> Figures:
        """Those of the test split."""
        return self.experiment.evaluate("test")

    @property
    def when(self) -> str:
        """Of which epoch the figures are: "at epoch 7 (best)", "at the best epoch of each"."""
        which = "best" if self.is_best else "last"
        return f"at the {which} epoch of each" if self.rounds else f"at epoch {self.epoch} ({which})"

    @property
    def each(self) -> list[Saved]:
        """The rounds, or itself where there is one only."""
        return list(self.rounds.values()) or [self]

    @property
    def error(self) -> str:
        """The test error in words: "4.3 %", or "4.3 ± 1.2 %" over the rounds."""
        shares = 100 * np.array([one.figures.error for one in self.each], float)
        return spread("error", float(mean(shares)), float(deviation(shares)))

    def named(self, name: str) -> str:
        """A run's name in a title, with what rounds these are where it has several."""
        if self.rounds:
            return of_rounds(name, len(self.rounds), len(self.experiment.rounds))
        return of_round(name, self.number)

    def data_named(self, name: str) -> str:
        """The same for a picture of the data alone, which all rounds share unless each draws its own."""
        return self.named(name) if getattr(self.experiment.config.dataset.cls, "generated", False) else name

    def only(self, numbers: set[int]) -> Saved:
        """These rounds, or the first where none of them is there; of a single round itself."""
        rounds = {k: one for k, one in self.rounds.items() if k in numbers}
        if len(rounds) > 1:
            return replace(self, rounds=rounds)
        return next(iter({**rounds, **self.rounds}.values()), self)


def saved_by(run: Run, notes: list[str]) -> Saved | None:
    """The best checkpoint, or the last where there is no best one; None, and a note, where neither can be read."""
    is_best = run.best_path.exists()
    path = run.best_path if is_best else run.last_path
    if not path.exists():
        notes.append(f"{run.folder}: has no checkpoint yet, so only its curves are drawn.")
        return None
    try:
        checkpoint = checkpoints.read(path)
        experiment = restore(checkpoint, str(path))
        rounds = {k: Saved(experiment.of_round(k), e, is_best, number=k) for k, e in enumerate(checkpoint.epochs)}
        return Saved(experiment, checkpoint.epoch, is_best, rounds if len(rounds) > 1 else {})
    except TinynetError as error:
        notes.append(f"{str(error).removesuffix('.')}. Only the curves are drawn.")
        return None
