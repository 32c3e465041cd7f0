"""What the tests of the pictures ask of a run and of a figure."""

from __future__ import annotations

from matplotlib.figure import Figure

from tinynet.plots.saved import Saved, saved_by
from tinynet.runs.run import Run


def load(run: Run) -> Saved:
    """What the pictures take from the run's checkpoint."""
    saved = saved_by(run, [])
    assert saved is not None
    return saved


def texts(figure: Figure) -> list[str]:
    """The entries of the legend."""
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts() if text.get_text()]
