"""The pictures of several rounds: each round, the mean and the deviation are where metrics.csv and the nets say."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pictures import load, texts

import tinynet
from tinynet.cli import execute
from tinynet.common.errors import UsageError
from tinynet.plots import confusion, curves, draw, plane, series, style
from tinynet.runs import metrics
from tinynet.runs.counting import counted, ended
from tinynet.runs.resume import resume
from tinynet.runs.run import Run
from tinynet.runs.statistics import by_round, course, decimals, deviation, mean, rounded
from tinynet.training.experiment import build
from tinynet.training.record import Record

ROUNDS = 3
DISK = {"Disk": {"train": 60, "test": 50}}
GREY = to_hex(style.FAINT)


@pytest.fixture
def train(train):
    """As the fixture of all tests, in rounds, on points in a disk."""

    def trained(dataset=DISK, **options) -> Run:
        return train(dataset, **{"rounds": ROUNDS, **options})

    return trained


@pytest.fixture
def by_hand(train):
    """A run whose metrics.csv is replaced by test errors, and losses ten times as large, of each round."""

    def made(*errors, status="finished", **options) -> Run:
        run = train(epochs=1, rounds=options.pop("rounds", len(errors)), **options)
        metrics.write(
            run.folder,
            [
                Record(k, epoch, test_loss=10 * error, test_error=error, train_loss=5 * error, train_error=error / 2)
                for k, own in enumerate(errors)
                for epoch, error in enumerate(own)
            ],
        )
        run.write_meta(status=status)
        return run

    return made


def columns(run: Run, name: str) -> list[list[float]]:
    """A column of metrics.csv, round by round, read without tinynet."""
    found: dict[str, list[float]] = {}
    with (run.folder / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["round"], []).append(float(row[name]))
    return list(found.values())


def names(paths: list[Path]) -> list[str]:
    """The pictures but for the network, which every run has."""
    return [path.name for path in paths if path.stem != "network"]


def lines(figure: Figure, color: str):
    return [line for line in figure.axes[0].get_lines() if to_hex(line.get_color()) == color.lower()]


def band(figure: Figure, i: int, epochs: int):
    """(low, high) of the i-th band, epoch by epoch."""
    x, y = figure.axes[0].collections[i].get_paths()[0].vertices.T
    return [[y[x == epoch].min() for epoch in range(epochs)], [y[x == epoch].max() for epoch in range(epochs)]]


def test_losses_have_each_round_in_grey_and_their_mean_in_colour(train, figure):
    run = train()
    curves.draw_rounds(figure, run, run.records(), "loss", load(run))
    each, test = np.array(columns(run, "train_loss")), np.array(columns(run, "test_loss"))
    assert each.shape == (ROUNDS, 5)
    np.testing.assert_allclose([line.get_ydata() for line in lines(figure, GREY)], each)
    (mean,) = lines(figure, style.BLUE)
    np.testing.assert_allclose(mean.get_ydata(), each.mean(axis=0))
    np.testing.assert_allclose(lines(figure, style.VERMILLION)[0].get_ydata(), test.mean(axis=0))
    assert texts(figure) == ["train, mean", "train, each round", "test, mean"]
    assert mean.get_zorder() > lines(figure, GREY)[0].get_zorder()
    last = test[:, -1]
    what = " ± ".join(rounded(last.mean(), last.std(ddof=1)))
    assert figure.get_suptitle() == f"small, 3 rounds: test loss {what} after 4 epochs"


def test_errors_have_bands_of_one_standard_deviation(train, figure):
    run = train()
    curves.draw_rounds(figure, run, run.records(), "error", load(run))
    assert not lines(figure, GREY)
    for i, split in enumerate(("train", "test")):
        errors = 100 * np.array(columns(run, f"{split}_error"))
        mean, deviation = errors.mean(axis=0), errors.std(axis=0, ddof=1)
        np.testing.assert_allclose(lines(figure, curves.SPLIT_LOOKS[split][0])[0].get_ydata(), mean)
        expected = [np.maximum(mean - deviation, 0), np.minimum(mean + deviation, 100)]
        np.testing.assert_allclose(band(figure, i, 5), expected)
    assert texts(figure) == ["train", "always the commonest class", "test", "mean ± deviation"]
    low, high = figure.axes[0].get_ylim()
    assert low <= 0
    assert high >= np.max(band(figure, 1, 5)), "the bands are to be in the picture"


def test_no_band_leaves_the_range_of_errors(by_hand, figure):
    run = by_hand([0.0, 0.9], [0.1, 1.0], [0.5, 1.0])
    curves.draw_rounds(figure, run, run.records(), "error", None)
    low, high = band(figure, 1, 2)
    assert low[0] == 0
    assert high[1] == 100


def test_a_round_that_stopped_early_counts_on_with_its_last_figure(by_hand, figure):
    run = by_hand([0.5, 0.2], [0.4, 0.3, 0.1])
    curves.draw_rounds(figure, run, run.records(), "error", None)
    np.testing.assert_allclose(lines(figure, style.VERMILLION)[0].get_ydata(), [45, 25, 15])
    assert figure.get_suptitle() == "small, 2 rounds:\ntest error 15.0 ± 7.1 % after 1 to 2 epochs"
    losses = Figure()
    curves.draw_rounds(losses, run, run.records(), "loss", None)
    short, long = lines(losses, GREY)
    assert list(short.get_xdata()) == [0, 1]
    assert (short.get_markevery(), long.get_markevery()) == ([1], []), "the end of the shorter one has a dot"


def test_early_stopping_gives_the_mean_of_the_summary(train):
    early = {"monitor": "train_loss", "patience": 3}
    run = train(epochs=40, early_stopping=early)
    ends = [len(own) - 1 for own in columns(run, "test_error")]
    assert len(set(ends)) > 1, "the rounds are to end at different epochs"
    summary = json.loads((run.folder / "summary.json").read_text())
    found = course(run.records(), "test_loss")
    assert mean(found)[-1] == pytest.approx(summary["mean"]["test_loss"])
    assert deviation(found)[-1] == pytest.approx(summary["standard_deviation"]["test_loss"])


def test_of_rounds_one_by_one_the_one_under_way_is_in_no_mean(train, figure):
    run = train(stacked=False, stop=(1, 2))
    assert [len(own) for own in columns(run, "test_error")] == [5, 3]
    notes: list[str] = []
    assert names(draw([run], notes=notes)) == ["loss.png", "error.png", "data.png", "boundary.png"]
    assert notes == [f"{run.folder}: the means are without round 1 (epoch 2), which is under way."]
    curves.draw_rounds(figure, run, run.records(), "loss", load(run))
    assert len(lines(figure, GREY)) == 2, "both that have begun are shown"
    np.testing.assert_allclose(lines(figure, style.BLUE)[0].get_ydata(), columns(run, "train_loss")[0])
    assert figure.get_suptitle().startswith("small, 1 of 3 rounds:\ntest loss ")
    assert figure.get_suptitle().endswith("after 4 epochs (interrupted)")
    assert "±" not in figure.get_suptitle()


def test_of_rounds_at_once_all_count_wherever_they_were_stopped(train):
    run = train(stop=(1, 2))
    ends = [len(own) - 1 for own in columns(run, "test_error")]
    assert ends == [2, 2, 2]
    assert counted(run, run.records()) == run.records()


def test_in_a_run_that_is_not_finished_early_stopped_rounds_still_count(train):
    early = {"monitor": "train_loss", "patience": 3}
    whole = [len(own) - 1 for own in columns(train(epochs=40, early_stopping=early), "test_error")]
    last = max(whole)
    assert min(whole) < last - 2
    run = train(epochs=40, early_stopping=early, stop=(whole.index(last), last - 1))
    assert run.meta["status"] == "interrupted"
    stopped = {k for k, end in enumerate(whole) if end < last - 1}
    assert stopped <= ended(run) < set(range(ROUNDS))
    assert by_round(counted(run, run.records())).keys() == set(range(ROUNDS))
    run.last_path.unlink()
    assert by_round(counted(run, run.records())).keys() == set(range(ROUNDS)) - stopped


def test_a_resumed_run_draws_as_one_never_stopped(train):
    whole, run = train(stacked=False), train(stacked=False, stop=(1, 2))
    again, experiment = resume(run.folder, [])
    again.train(experiment, lambda record: None)
    for first, second in zip(draw([whole]), draw([again]), strict=True):
        # But for the folder, which no picture names, all is the same.
        assert first.read_bytes() == second.read_bytes()


def test_only_the_untrained_nets(train):
    run = train(stop=(ROUNDS - 1, 0))
    assert names(draw([run])) == ["loss.png", "error.png", "data.png", "boundary.png"]
    one = train(stacked=False, stop=(0, 0))
    assert len(one.records()) == 1
    assert names(draw([one])) == ["loss.png", "error.png", "data.png", "boundary.png"]


@pytest.mark.parametrize("bad", [None, float("nan")])
def test_figures_that_are_missing_leave_a_gap(by_hand, figure, bad):
    run = by_hand([0.5, 0.4, 0.3], [0.5, 0.2, 0.1])
    records = run.records()
    records[1].test_error = bad
    records[0].train_error = records[3].train_error = None
    curves.draw_rounds(figure, run, records, "error", None)
    np.testing.assert_allclose(lines(figure, style.VERMILLION)[0].get_ydata(), [50, np.nan, 20])
    assert list(lines(figure, style.BLUE)[0].get_xdata()) == [1, 2]


def test_agreement_is_what_the_rounds_predict(train, figure):
    # Points far from 0 and 1, standardised by each round's own training split.
    run = train({"Moons": {"train": 60, "test": 50, "noise": 0.3, "standardize": True}})
    saved = load(run)
    nets = [one.experiment for one in saved.rounds.values()]
    shares, regions, mean = plane.agreement(nets)
    left, right, bottom, top = plane.limits(nets[0])
    rng = np.random.default_rng(0)
    for row, column in rng.integers(0, plane.GRID, (30, 2)):
        place = [
            left + (right - left) * (column + 0.5) / plane.GRID,
            bottom + (top - bottom) * (row + 0.5) / plane.GRID,
        ]
        said = [int(net.predict([place])[0]) for net in nets]
        assert [int(each[row, column]) for each in regions] == said
        np.testing.assert_allclose(shares[:, row, column], [said.count(0) / ROUNDS, said.count(1) / ROUNDS])
        outputs = np.mean([net.outputs([place])[0] for net in nets], axis=0)
        assert mean[row, column] == outputs.argmax()
    assert np.any((shares > 0) & (shares < 1)), "the rounds are to disagree somewhere"
    plane.draw_agreement(figure, saved.named("small"), saved)
    pixels = np.asarray(figure.axes[0].get_images()[0].get_array())
    lead = np.abs(shares[1] - shares[0])
    paleness = pixels.min(axis=2)
    full, split = lead == 1, lead < 0.5
    assert paleness[split].min() > paleness[full].max()
    blue, orange = (style.lightened(color, plane.SHADE) for color in style.CLASS_COLORS[:2])
    np.testing.assert_allclose(pixels[shares[0] == 1], np.broadcast_to(blue, (int((shares[0] == 1).sum()), 3)))
    np.testing.assert_allclose(pixels[shares[1] == 1], np.broadcast_to(orange, (int((shares[1] == 1).sum()), 3)))
    errors = 100 * np.array([net.evaluate().error for net in nets])
    what = " ± ".join(rounded(errors.mean(), errors.std(ddof=1)))
    assert figure.get_suptitle() == f"small, 3 rounds:\ntest error {what} % at the best epoch of each"
    assert texts(figure) == ["class 0", "class 1", "border of a round", "border of the mean"]


def test_two_rounds_that_say_the_opposite_leave_the_plane_white(train, figure):
    run = train(rounds=2, epochs=1)
    saved = load(run)
    for one, bias in zip(saved.rounds.values(), ([9.0, -9.0], [-9.0, 9.0]), strict=True):
        weight, out = one.experiment.net.parameters[-2:]
        weight.tensor = np.zeros_like(weight.tensor)
        out.tensor = np.broadcast_to(bias, out.tensor.shape)
    plane.draw_agreement(figure, "small", saved)
    assert (np.asarray(figure.axes[0].get_images()[0].get_array()) == 1).all()


def test_rounds_that_have_not_begun_are_in_no_picture_of_the_nets(train, figure):
    run = train({"Gaussians": {"train": 60, "test": 50, "classes": 3}}, stacked=False, stop=(1, 2), outputs=3)
    saved = load(run)
    assert not saved.is_best
    assert len(saved.rounds) == ROUNDS
    whole = saved.only({0, 1})
    assert list(whole.rounds) == [0, 1]
    assert whole.named("small") == "small, 2 of 3 rounds"
    errors = [saved.rounds[k].experiment.evaluate() for k in (0, 1)]
    confusion.draw_confusion(figure, whole.named("small"), whole)
    np.testing.assert_array_equal(confusion.counts_of(whole), errors[0].confusion + errors[1].confusion)
    assert figure.axes[0].get_xlabel() == "predicted class (counts of 2 rounds together)"
    alone = saved.only({1})
    assert (alone.number, alone.rounds, alone.named("small")) == (1, {}, "small, round 1")
    assert saved.only(set()).number == 0


def test_confusion_adds_the_rounds(train):
    run = train({"Gaussians": {"train": 60, "test": 50, "classes": 3}}, outputs=4)
    assert names(draw([run])) == ["loss.png", "error.png", "data.png", "boundary.png", "confusion.png"]
    saved = load(run)
    counts = np.zeros((4, 4), int)
    for one in saved.rounds.values():
        own = one.experiment.evaluate().confusion
        counts[: len(own), : len(own)] += own
    np.testing.assert_array_equal(confusion.counts_of(saved)[:3, :3], counts[:3, :3])
    assert confusion.counts_of(saved).sum() == 50 * ROUNDS


def titles(monkeypatch, run: Run, **options) -> dict[str, str]:
    """The titles of all pictures of a run, by the names of their files."""
    found = {}
    monkeypatch.setattr(style, "save", lambda figure, path: found.update({path.stem: figure.get_suptitle()}))
    draw([run], **options)
    return found


def test_what_shows_one_round_says_which(train, monkeypatch):
    found = titles(monkeypatch, train())
    assert found["data"] == "small, round 0: the data"
    assert [found[name].startswith("small, 3 rounds:") for name in ("loss", "error", "boundary")] == [True] * 3


def test_a_round_that_was_not_trained_yet_is_in_no_boundary(train, monkeypatch):
    run = train(stacked=False, stop=(1, 0))
    assert titles(monkeypatch, run, notes=[])["boundary"].startswith("small, round 0: test error")


def test_the_commonest_class_of_one_round_is_that_of_its_own_data(train):
    run = train()
    errors = [one.experiment.evaluate().commonest_error for one in load(run).rounds.values()]
    assert len(set(errors)) > 1
    assert [series.commonest_error(run, k) for k in range(ROUNDS)] == errors
    assert series.commonest_error(run) == pytest.approx(np.mean(errors))
    (run.folder / "summary.json").unlink()
    assert series.commonest_error(run, 0) is None


@pytest.mark.parametrize("number", [0, 2])
def test_one_round_by_itself(train, monkeypatch, figure, number):
    run = train()
    found = titles(monkeypatch, run, number=number)
    assert list(found) == ["loss", "error", "data", "boundary", "network"]
    del found["network"]  # which is the same in all rounds
    assert all(title.startswith(f"small, round {number}:") for title in found.values())
    one = load(run).rounds[number]
    pictures = curves.of_one_run(run, one, number)
    pictures["loss"](figure)
    (line,) = lines(figure, style.VERMILLION)
    np.testing.assert_allclose(line.get_ydata(), columns(run, "test_loss")[number])
    losses = columns(run, "train_loss")[number]
    assert f"best epoch: {losses.index(min(losses))}" in texts(figure)
    error = style.number("error", 100 * one.experiment.evaluate().error)
    assert found["boundary"] == f"small, round {number}: test error {error} at epoch {one.epoch} (best)"


def test_a_round_is_drawn_as_its_seed_alone(train, monkeypatch, tmp_path):
    run = train()
    alone = build(tinynet.load(tmp_path / "c.yaml", "seed=2", "training.rounds=1"))
    single = Run.create(alone, tmp_path / "runs", ["test"])
    single.train(alone, lambda record: None)
    together = titles(monkeypatch, run, number=2)
    assert {k: v.replace(", round 2", "") for k, v in together.items()} == titles(monkeypatch, single)


def test_no_such_round(train):
    run, one = train(), train(rounds=1)
    with pytest.raises(UsageError, match=r"there is no round 3. The rounds are 0 to 2\."):
        draw([run], number=3)
    with pytest.raises(UsageError, match="there is no round -1"):
        draw([run], number=-1)
    with pytest.raises(UsageError, match=r"there is no round 1. There is one round only, 0\."):
        draw([one], number=1)
    with pytest.raises(UsageError, match="Name one run"):
        draw([run, one], number=0)
    assert names(draw([one], number=0)) == ["loss.png", "error.png", "data.png", "boundary.png"]


def test_a_round_that_has_not_begun(train):
    run = train(stacked=False, stop=(1, 2))
    notes: list[str] = []
    assert names(draw([run], notes=notes, number=2)) == ["data.png", "boundary.png"]
    assert notes == [f"{run.folder}: no epoch of round 2 was measured yet, so there are no curves."]


def test_a_round_that_is_done_is_not_interrupted(train):
    run = train(stacked=False, stop=(1, 2))
    done, cut = (by_round(run.records())[k] for k in (0, 1))
    assert curves.outcome(run, done, "loss", 0).endswith("after 4 epochs")
    assert curves.outcome(run, cut, "loss", 1).endswith("after 2 epochs (interrupted)")


def test_overlay_has_means_in_bands_beside_single_runs(by_hand, figure):
    runs = [by_hand([0.5, 0.2], [0.3, 0.1], name="a"), by_hand([0.4, 0.25], name="b")]
    records = {run.folder.name: counted(run, run.records()) for run in runs}
    curves.draw_overlay(figure, records, "error", [None, None])
    first, second = figure.axes[0].get_lines()
    np.testing.assert_allclose(first.get_ydata(), [40, 15])
    np.testing.assert_allclose(second.get_ydata(), [40, 25])
    mean, half = np.array([40, 15]), np.array([20, 10]) / np.sqrt(2)
    np.testing.assert_allclose(band(figure, 0, 2), [mean - half, mean + half])
    assert len(figure.axes[0].collections) == 1, "one round has no band"
    assert texts(figure) == ["15.0 ± 7.1 %  a", "25.0 %  b"]
    assert figure.get_suptitle() == "Test error of 2 runs\nmean ± deviation over their rounds"
    assert names(draw(runs)) == ["loss-overlay.png", "error-overlay.png"]


def test_overlay_names_the_rounds_that_all_have(by_hand, figure):
    runs = [by_hand([0.5, 0.2], [0.3, 0.1], name=name) for name in "abcd"]
    curves.draw_overlay(figure, {run.folder.name: run.records() for run in runs}, "loss", [None] * 4)
    assert figure.get_suptitle() == "Test loss of 4 runs\nmean ± deviation of 2 rounds each"
    assert texts(figure)[0] == "1.50 ± 0.71  a"


def test_a_band_on_a_logarithmic_axis_ends_at_the_smallest_loss(by_hand, figure):
    run = by_hand([0.9, 0.5], [0.9, 0.001], [0.9, 0.001])
    curves.draw_overlay(figure, {"a": run.records()}, "loss", [None])
    assert figure.axes[0].get_yscale() == "log"
    assert band(figure, 0, 2)[0][1] == pytest.approx(0.01)


def test_overlay_says_which_round_it_leaves_out(train):
    run, other = train(stacked=False, stop=(1, 2)), train(name="other")
    notes: list[str] = []
    draw([run, other], notes=notes)
    assert notes == [f"{run.folder}: the means are without round 1 (epoch 2), which is under way."]


def test_command_line(train, tmp_path, capsys):
    run = train()
    assert execute(["plot", str(run.folder), "--round", "1", "--format", "svg"]) == 0
    assert [Path(line).name for line in capsys.readouterr().out.split()] == [
        "loss.svg", "error.svg", "data.svg", "boundary.svg", "network.svg"
    ]  # fmt: skip
    assert execute(["plot", str(run.folder), "--round", "3"]) == 2
    assert "there is no round 3. The rounds are 0 to 2." in capsys.readouterr().err
    assert execute(["plot", str(run.folder), "--round", "-1"]) == 2


def test_data_of_a_file_are_those_of_all_rounds(train, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.random((40, 2))
    y = (x[:, 0] > x[:, 1]).astype(int)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert titles(monkeypatch, train({"NPZ": str(tmp_path / "data.npz")}))["data"] == "small: the data"


def test_regression_has_the_loss_of_each_round(train, tmp_path, figure):
    rng = np.random.default_rng(0)
    x = rng.random((40, 2))
    np.savez(tmp_path / "data.npz", x_train=x, y_train=x.sum(axis=1) / 3, x_test=x, y_test=x.sum(axis=1) / 3)
    run = train({"NPZ": str(tmp_path / "data.npz")}, loss="MSE", outputs=1)
    assert names(draw([run])) == ["loss.png", "data.png"]
    curves.draw_rounds(figure, run, run.records(), "loss", load(run))
    assert len(lines(figure, GREY)) == ROUNDS


@pytest.mark.parametrize(
    ("mean", "deviation", "expected"),
    [
        (4.89, 3.106, ("4.9", "3.1")),
        (0.1473, 0.08826, ("0.147", "0.088")),
        (0.79, 0.0204, ("0.790", "0.020")),
        (48.2, 12.3, ("48", "12")),
        (12345.6, 321.4, ("12346", "321")),
        (5.0, 0.0, ("5", "0")),
        (1.234e-6, 2e-7, ("1.234e-06", "2e-07")),
    ],
)
def test_a_mean_is_rounded_as_its_deviation_is(mean, deviation, expected):
    assert rounded(mean, deviation) == expected


def test_decimals_show_two_digits():
    assert [decimals(value) for value in (0.0123, 0.99, 1.0, 9.9, 10, 1234)] == [3, 2, 1, 1, 0, 0]
