"""Errors and times over dataset sizes, learning rates, batch sizes and epochs, beside PyTorch (Bian, Dankl, Mercan).

python benchmarks/sweep.py --out FOLDER [--config CONFIG] [--rounds 5] [--axes size lr batch epochs] [--set PATH=VALUE]

One option is changed at a time, the rest is the config's. Both sides have the same data and initial parameters in each
round, and shuffling of their own; they take turns. Training is the time in training batches, testing that of loss and
error on the test split. FOLDER gets sweep.md with the tables, and a picture for each option.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import dense
import numpy as np
import peers

import tinynet
from tinynet.common.errors import DivergedError
from tinynet.plots import style
from tinynet.training.evaluation import quick_figures

SIDES = ("tinynet", "PyTorch")
LOOKS = {"tinynet": ("-", "o"), "PyTorch": ("--", "s")}
# In words, the option, and the values.
AXES = {
    "size": ("training points", "dataset.{dataset}.train", (100, 300, 1000, 3000)),
    "lr": ("learning rate", "optimizer.{optimizer}.lr", (0.01, 0.03, 0.1, 0.3)),
    "batch": ("batch size", "training.batch_size", (5, 10, 20, 50, 100)),
    "epochs": ("epochs", "training.epochs", (10, 25, 50, 100)),
}
TESTS = 15


@dataclass
class Trial:
    """One training.

    Parameters
    ----------
    curve
        (epochs + 1, 5): train loss, train error, test loss, test error, seconds in batches; NaN from where the
        training diverged.
    testing
        Seconds for loss and error on the test split.
    commonest
        The test error of always answering the commonest class.
    """

    curve: np.ndarray
    testing: float
    commonest: float

    @classmethod
    def of(cls, config, training, test, commonest):
        curve = np.full((config.training.epochs + 1, 5), np.nan)
        try:
            for r in training:
                curve[r.epoch] = r.train_loss, r.train_error, r.test_loss, r.test_error, r.seconds
        except DivergedError:
            pass
        curve[~np.isfinite(curve[:, 0])] = np.nan  # PyTorch goes on
        times = []
        for _ in range(TESTS):
            start = time.perf_counter()
            with np.errstate(all="ignore"):
                test()
            times.append(time.perf_counter() - start)
        return cls(curve, median(times), commonest)

    @property
    def last(self):
        return self.curve[-1]


def both(config):
    """{side: the trial of one round}"""
    ours, theirs = tinynet.build(config), dense.PyTorch(tinynet.build(config))
    theirs.copy(ours.net)
    commonest = ours.evaluate().commonest_error
    return {
        "tinynet": Trial.of(config, ours.train(), lambda: quick_figures(ours, ours.dataset.test), commonest),
        "PyTorch": Trial.of(config, theirs.train(), lambda: theirs.figures(theirs.test_split), commonest),
    }


def trials(config):
    """{side: a trial for each round}"""
    rounds = [both(config.of_round(number)) for number in range(config.training.rounds)]
    return {side: [one[side] for one in rounds] for side in SIDES}


def swept(load, path, values):
    """{value: {side: trials}} of an option."""
    if path != "training.epochs":
        return {value: trials(load(f"{path}={value}")) for value in values}
    longest = trials(load(f"{path}={max(values)}"))
    # The first epochs of a long training are those of a short one.
    return {
        value: {side: [replace(t, curve=t.curve[: value + 1]) for t in found] for side, found in longest.items()}
        for value in values
    }


def figure(found, column):
    """An error over the rounds: mean ± deviation, and how many rounds diverged."""
    values = [trial.last[column] for trial in found if np.isfinite(trial.last[column])]
    cells = [dense.spread(values)] if values else []
    if len(values) < len(found):
        cells.append(f"{len(found) - len(values)} diverged")
    return ", ".join(cells)


def table(words, found):
    """The lines of an option's table."""
    yield peers.header(words, "side", "train error", "test error", "commonest class", "training", "testing")
    for value, sides in found.items():
        for side, done in sides.items():
            seconds = [trial.last[4] for trial in done if np.isfinite(trial.last[4])]
            training = f"{median(seconds):.3f} s" if seconds else "–"
            testing = f"{1000 * median(trial.testing for trial in done):.2f} ms"
            commonest = f"{100 * np.mean([trial.commonest for trial in done]):.1f} %"
            yield peers.row([value, side, figure(done, 1), figure(done, 3), commonest, training, testing])
    yield ""


def draw(path, words, found, config):
    """Test error, times, and the loss over the epochs, for each value of an option."""
    with style.applied():
        picture = style.new_figure(show=False)
        picture.set_size_inches(17, 6)
        errors, times, losses = picture.subplots(1, 3)
        for i, side in enumerate(SIDES):
            draw_side(errors, times, found, side, i)
        commonest = [100 * np.mean([trial.commonest for trial in sides[SIDES[0]]]) for sides in found.values()]
        errors.plot(list(found), commonest, color=style.QUIET, linestyle=":", label="always the commonest class")
        errors.set(ylabel="test error (%)", ylim=(0, None))
        style.log_axis(times, 1e4)
        times.set(ylabel="seconds (training above, testing below)")
        for axes in (errors, times):
            axes.set(xlabel=words, xscale="log")
            axes.set_xticks(list(found), [f"{value:g}" for value in found])
            axes.minorticks_off()
        picture.legend(*errors.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        curves(losses, words, found)
        picture.suptitle(f"{config.name}: {words}; {config.training.rounds} rounds, mean ± deviation")
        style.save(picture, path)


def draw_side(errors, times, found, side, i):
    """The points of a side, the i-th, with their deviations."""
    values = np.array(list(found)) * (0.98 + 0.04 * i)  # beside those of the other side
    dashes, marker = LOOKS[side]
    look = {"color": style.LINE_COLORS[i], "linestyle": dashes, "marker": marker}
    last = np.array([[trial.last for trial in sides[side]] for sides in found.values()])
    percent = 100 * last[:, :, 3]
    deviation = percent.std(axis=1, ddof=1) if percent.shape[1] > 1 else 0
    errors.errorbar(values, percent.mean(axis=1), deviation, capsize=4, label=side, **look)
    times.plot(values, np.median(last[:, :, 4], axis=1), **look)
    times.plot(values, [median(trial.testing for trial in sides[side]) for sides in found.values()], **look)


def curves(axes, words, found):
    """The mean test loss against the epoch; solid for tinynet, dashed for PyTorch."""
    # The curves of fewer epochs are parts of the longest.
    shown = {max(found): found[max(found)]} if words == "epochs" else found
    entries, lowest, highest = [], [], []
    for i, (value, sides) in enumerate(shown.items()):
        for side in SIDES:
            mean = np.mean([trial.curve[:, 2] for trial in sides[side]], axis=0)
            (line,) = axes.plot(mean, color=style.LINE_COLORS[i], linestyle=LOOKS[side][0])
            lowest.append(np.nanmin(mean))
            highest.append(np.nanmax(mean))
            if side == SIDES[0]:
                entries.append((line, f"{value:g}"))
    style.log_axis(axes, max(highest) / min(lowest))
    style.epoch_axis(axes, len(mean) - 1)
    axes.set_ylabel("mean test loss (PyTorch dashed)")
    if len(entries) > 1:
        axes.legend(*zip(*entries, strict=True), title=words, alignment="left")


def lines(config, load, names, folder):
    """All that the script prints; the pictures are drawn on the way."""
    yield dense.introduction(f"; `{config.name}`, {config.training.rounds} rounds")
    kinds = {"dataset": config.dataset.cls.__name__, "optimizer": config.optimizer.cls.__name__}
    for name in names:
        words, path, values = AXES[name]
        found = swept(load, path.format(**kinds), values)
        yield from table(words, found)
        draw(folder / f"{name}.png", words, found, config)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write tables and pictures")
    parser.add_argument("--config", default="papers/bian-dankl-mercan", help="a name in configs/, or a file")
    parser.add_argument("--rounds", type=peers.count, default=5)
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES), help="the options to change")
    dense.add_overrides(parser)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    def load(*overrides):
        return dense.load(options.config, *options.overrides, f"training.rounds={options.rounds}", *overrides)

    dense.write(lines(load(), load, options.axes, options.out), options.out / "sweep.md")


if __name__ == "__main__":
    peers.run(main)
