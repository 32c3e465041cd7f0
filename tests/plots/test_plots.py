"""The pictures show what was measured: curves, best epochs, mistakes and borders are where the figures say."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from pictures import load, texts

import tinynet
from tinynet.common.errors import DivergedError, UsageError
from tinynet.plots import curves, draw, plane, style
from tinynet.runs import metrics
from tinynet.runs.run import Run


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A regression in the plane, in units far from 0 and 1: price = 100 · area + age."""
    rng = np.random.default_rng(0)
    area, age = rng.uniform(50, 60, 40), rng.uniform(1900, 2000, 40)
    rows = [f"{a:.3f},{b:.3f},{100 * a + b:.4f}" for a, b in zip(area, age, strict=True)]
    file = tmp_path / "houses.csv"
    file.write_text("\n".join(["area_[$m^2$],year,price_$", *rows]) + "\n", encoding="utf-8")
    return file


DISK = {"Disk": {"train": 80, "test": 60}}


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def column(run: Run, name: str) -> list[tuple[int, float]]:
    """(epoch, value) of metrics.csv where the cell is not empty, read without tinynet."""
    with (run.folder / "metrics.csv").open(newline="") as file:
        return [(int(row["epoch"]), float(row[name])) for row in csv.DictReader(file) if row[name]]


def test_files_of_a_classification_in_the_plane(train):
    run = train(DISK)
    paths = draw([run])
    assert names(paths) == ["loss.png", "error.png", "data.png", "boundary.png", "network.png"]
    for path in paths:
        assert path.parent == run.folder / "plots"
        assert imread(path)[..., :3].std() > 0.05, f"{path} is blank"


def test_files_of_a_regression(train, table):
    run = train({"CSV": {"path": str(table), "column": "price_$", "standardize": True}}, "MSE", outputs=1, lr=1e-9)
    assert names(draw([run])) == ["loss.png", "data.png", "network.png"]


def test_no_picture_of_data_outside_of_the_plane(train, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 3)), np.arange(20) % 2
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert names(draw([train({"NPZ": str(tmp_path / "data.npz")})])) == ["loss.png", "error.png", "network.png"]


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["png", "svg", "pdf"])
def test_the_same_run_gives_the_same_bytes(train, file_format):
    run = train(DISK, epochs=1)
    first = [path.read_bytes() for path in draw([run], file_format)]
    assert [path.read_bytes() for path in draw([run], file_format)] == first
    magic = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[file_format]
    assert all(content.startswith(magic) for content in first)


def test_unknown_format_and_no_run(train):
    with pytest.raises(UsageError, match="png, svg, pdf"):
        draw([train(DISK, epochs=1)], "gif")
    with pytest.raises(UsageError, match="no run"):
        draw([])


@pytest.mark.parametrize(("quantity", "scale"), [("loss", 1), ("error", 100)])
@pytest.mark.parametrize("evaluate_train", [True, False])
def test_curves_are_the_columns_of_metrics_csv(train, figure, quantity, scale, evaluate_train):
    run = train({"Disk": {"train": 80, "test": 60, "validation": 0.25}}, evaluate_train=evaluate_train)
    curves.draw_run(figure, run, run.records(), quantity, load(run))
    lines = figure.axes[0].get_lines()
    for line, split in zip(lines[:3], ("train", "validation", "test"), strict=True):
        expected = np.array(column(run, f"{split}_{quantity}")) * [1, scale]
        np.testing.assert_allclose(line.get_xydata(), expected, rtol=1e-12)
    train_name = "train" if evaluate_train else "train, during the epoch"
    assert {train_name, "validation", "test"} < set(texts(figure))


def test_best_epoch_is_that_of_the_smallest_validation_loss(train, figure):
    run = train({"Moons": {"train": 60, "test": 60, "noise": 0.3, "validation": 0.5}}, epochs=12, lr=2.0)
    losses = dict(column(run, "validation_loss"))
    best = min(losses, key=losses.__getitem__)
    assert best not in (0, 12), "the training is to have its best epoch inside"
    curves.draw_run(figure, run, run.records(), "loss", load(run))
    assert list(figure.axes[0].get_lines()[-1].get_xdata()) == [best, best]
    assert f"best epoch: {best}" in texts(figure)


def test_no_best_epoch_where_none_was_chosen(train, figure):
    run = train(DISK, evaluate_train=False)
    curves.draw_run(figure, run, run.records(), "loss", load(run))
    assert not [text for text in texts(figure) if "best" in text]


def test_title_has_the_final_figure(train, figure):
    run = train(DISK)
    error = column(run, "test_error")[-1][1]
    curves.draw_run(figure, run, run.records(), "error", load(run))
    assert figure.get_suptitle() == f"small: test error {100 * error:.1f} % after 4 epochs"


def test_line_of_the_commonest_class(train, figure):
    run = train({"Gaussians": {"train": 80, "test": 60, "classes": 4}}, outputs=4)
    curves.draw_run(figure, run, run.records(), "error", None)
    assert "always the commonest class" in texts(figure)
    assert list(figure.axes[0].get_lines()[-1].get_ydata()) == [75, 75]


@pytest.mark.parametrize(("largest", "scale"), [(19, "linear"), (21, "log")])
def test_log_axis_from_a_span_of_20(train, figure, largest, scale):
    run = train(DISK, epochs=1)
    records = run.records()
    for record, value in zip(records, (1.0 * largest, 1.0), strict=True):
        record.train_loss = record.test_loss = value
    curves.draw_run(figure, run, records, "loss", load(run))
    axes = figure.axes[0]
    assert axes.get_yscale() == scale
    assert ("log scale" in axes.get_ylabel()) == (scale == "log")


def test_labels_have_units(train, table):
    classes = train(DISK, "MSE")
    nats = train(DISK, epochs=1)
    numbers = train({"CSV": {"path": str(table), "column": "price_$"}}, "MSE", outputs=1, lr=1e-12)
    assert curves.loss_label([load(classes)], log=False) == "loss (MSE)"
    assert curves.loss_label([load(nats)], log=True) == "loss (CrossEntropy, nats, log scale)"
    assert curves.loss_label([load(numbers)], log=False) == "loss (MSE)\nin (price_$)²"
    assert curves.loss_label([load(classes), load(nats)], log=False) == "loss (of different kinds)\nin different units"
    assert curves.loss_label([None], log=False) == "loss"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_values_that_are_missing_or_not_finite(train, bad):
    run = train(DISK)
    records = run.records()
    records[2].test_loss = bad
    records[-1].test_loss = bad
    metrics.write(run.folder, records)
    epochs, values = curves.curve(run.records(), "loss", "test")
    assert list(epochs) == ([0, 1, 3] if bad is None else [0, 1, 2, 3, 4])
    assert np.isnan(values).sum() == (0 if bad is None else 2)
    assert curves.outcome(run, records, "loss").endswith("after 3 epochs")
    assert names(draw([run]))[:2] == ["loss.png", "error.png"]


def test_only_the_untrained_net(train):
    run = train(DISK, stop=(0, 0))
    assert len(run.records()) == 1
    assert curves.outcome(run, run.records(), "loss").endswith("before training (interrupted)")
    assert names(draw([run])) == ["loss.png", "error.png", "data.png", "boundary.png", "network.png"]


def test_a_diverged_run(train, tmp_path):
    with pytest.raises(DivergedError):
        train(DISK, "MSE", lr=1e30, name="wild")
    run = Run.open(tmp_path / "runs" / "wild")
    assert names(draw([run])) == ["loss.png", "error.png", "data.png", "boundary.png", "network.png"]
    assert curves.outcome(run, run.records(), "loss").endswith("(diverged)")


def test_no_record_and_no_checkpoint_yet(train):
    run = train(DISK, epochs=1)
    metrics.write(run.folder, [])
    run.best_path.unlink()
    run.last_path.unlink()
    notes: list[str] = []
    assert draw([run], notes=notes) == []
    assert any("no checkpoint" in note for note in notes)
    assert any("no epoch was measured" in note for note in notes)


def test_curves_remain_when_the_data_are_gone(train, table):
    run = train({"CSV": {"path": str(table), "column": "price_$"}}, "MSE", outputs=1, lr=1e-12)
    table.unlink()
    notes: list[str] = []
    assert names(draw([run], notes=notes)) == ["loss.png", "network.png"]
    assert len(notes) == 1
    assert "houses.csv: no such file" in notes[0]
    with pytest.warns(UserWarning, match="no such file"):
        draw([run])


def test_mistakes_are_those_of_evaluate(train, figure):
    run = train({"Moons": {"train": 60, "test": 90, "standardize": True}})
    saved = load(run)
    evaluated = saved.experiment.evaluate("test")
    assert evaluated.errors, "there are to be mistakes"
    plane.draw_boundary(figure, "small", saved)
    rings = figure.axes[0].get_lines()[-1]
    assert len(rings.get_xdata()) == evaluated.errors
    assert f"wrong: {evaluated.errors} of 90" in texts(figure)
    best = min(column(run, "train_loss"), key=lambda pair: pair[1])[0]
    assert figure.get_suptitle() == f"small: test error {100 * evaluated.error:.1f} % at epoch {best} (best)"


def test_boundary_is_not_mirrored_turned_or_scaled(train, figure, tmp_path):
    # One class in a corner of a table whose columns differ in unit and sign: x1 in 100..200, x2 in -3..-1.
    rng = np.random.default_rng(0)
    x = rng.uniform([100, -3], [200, -1], (300, 2))
    y = ((x[:, 0] > 170) & (x[:, 1] < -2)).astype(int)
    np.savez(tmp_path / "corner.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    run = train({"NPZ": {"path": str(tmp_path / "corner.npz"), "standardize": True}}, epochs=40, lr=0.3)
    saved = load(run)
    plane.draw_boundary(figure, "corner", saved)
    axes = figure.axes[0]
    (image,) = axes.get_images()
    left, right, bottom, top = image.get_extent()
    tints = [style.lightened(color) for color in style.CLASS_COLORS[:2]]

    def painted(px: float, py: float) -> int:
        pixels = np.asarray(image.get_array())
        assert image.origin == "lower"
        row = int((py - bottom) / (top - bottom) * len(pixels))
        return int(np.allclose(pixels[row, int((px - left) / (right - left) * pixels.shape[1])], tints[1]))

    assert painted(195, -2.8) == 1
    assert [painted(105, -2.8), painted(105, -1.2), painted(195, -1.2)] == [0, 0, 0]
    places = x[:50]
    agree = np.mean([painted(*place) == k for place, k in zip(places, saved.experiment.predict(places), strict=True)])
    assert agree > 0.95, "the picture is to be what predict says"
    assert axes.get_xlim() == pytest.approx((left, right))
    assert axes.get_ylim() == pytest.approx((bottom, top))


def test_points_are_in_the_datas_own_units(train, figure, table):
    run = train({"CSV": {"path": str(table), "column": "price_$", "standardize": True, "standardize_targets": True}},
                "MSE", outputs=1)  # fmt: skip
    plane.draw_data(figure, "houses", load(run).experiment)
    left, right, bar = figure.axes
    for axes, count in ((left, 32), (right, 8)):
        (drawn,) = axes.collections
        x, values = np.asarray(drawn.get_offsets()), np.asarray(drawn.get_array())
        assert len(x) == count
        np.testing.assert_allclose(values, 100 * x[:, 0] + x[:, 1], rtol=1e-5)
    assert (left.get_xlabel(), left.get_ylabel(), bar.get_ylabel()) == ("area_[$m^2$]", "year", "price_$")


def test_points_by_class(train, figure):
    run = train({"Spirals": {"train": 80, "test": 60, "classes": 3}}, outputs=3)
    experiment = load(run).experiment
    plane.draw_data(figure, "spirals", experiment)
    for axes, split in zip(figure.axes, (experiment.dataset.train, experiment.dataset.test), strict=True):
        for k, line in enumerate(axes.get_lines()):
            np.testing.assert_array_equal(line.get_xydata(), split.x[split.labels == k])
        assert len(axes.get_lines()) == 3
        assert axes.get_aspect() == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["class 0", "class 1", "class 2"]


def test_many_classes_have_looks_of_their_own():
    assert len({plane._class_look(k) for k in range(110)}) == 110
    assert len({style.line_look(k) for k in range(100)}) == 100
    assert len(plane._listed([(plane._class_entry(k), str(k)) for k in range(45)])) == plane.LISTED


def test_ten_classes_and_spare_outputs(train):
    run = train({"Gaussians": {"train": 80, "test": 60, "classes": 10}}, outputs=12, epochs=1)
    assert names(draw([run]))[2:] == ["data.png", "boundary.png", "confusion.png", "network.png"]


def test_overlay_has_a_curve_and_an_entry_for_each_run(train, figure):
    runs = [train(DISK, lr=0.1 * (k + 1)) for k in range(5)]
    assert names(draw(runs)) == ["loss-overlay.png", "error-overlay.png"]
    assert not list((runs[1].folder / "plots").iterdir())
    records = {run.folder.name: run.records() for run in runs}
    curves.draw_overlay(figure, records, "error", [load(run) for run in runs])
    for run, line, text in zip(runs, figure.axes[0].get_lines(), texts(figure), strict=True):
        expected = np.array(column(run, "test_error")) * [1, 100]
        np.testing.assert_allclose(line.get_xydata(), expected, rtol=1e-12)
        assert text.strip(style.DIGIT_SPACE) == f"{expected[-1, 1]:.1f} %  {run.folder.name}"


def test_overlay_takes_another_split_where_test_is_not_measured(train, figure):
    run = train(DISK)
    records = run.records()
    for record in records:
        record.test_loss = None
    curves.draw_overlay(figure, {"a": run.records(), "b": records}, "loss", [None, None])
    np.testing.assert_allclose(figure.axes[0].get_lines()[1].get_ydata(), [v for _, v in column(run, "train_loss")])
    assert texts(figure)[1].endswith("b (train)")


def test_overlay_says_which_run_it_leaves_out(train, table):
    numbers = train({"CSV": {"path": str(table), "column": "price_$"}}, "MSE", name="numbers", outputs=1, lr=1e-12)
    notes: list[str] = []
    assert names(draw([train(DISK), numbers], notes=notes)) == ["loss-overlay.png", "error-overlay.png"]
    assert notes == ["numbers: has no error measured, so it is not in error-overlay."]


def test_runs_with_one_name_are_told_apart(tmp_path):
    paths = [tmp_path / "a" / "disk", tmp_path / "b" / "disk", tmp_path / "b" / "moons"]
    assert curves.folder_names([Run(path) for path in paths]) == ["a/disk", "b/disk", "b/moons"]
    assert curves.folder_names([Run(path) for path in paths[1:]]) == ["disk", "moons"]


def test_names_that_matplotlib_would_read_as_mathematics(train):
    runs = [train(DISK, name="_a_b", epochs=1), train(DISK, name="x", epochs=1)]
    runs[1].write_meta(name="_$\\frac{$ $$ 中文 " + "long " * 40)
    records = {run.meta["name"]: run.records() for run in runs}
    with style.applied():
        figure = Figure()
        curves.draw_overlay(figure, records, "loss", [None, None])
    assert len(texts(figure)) == 2
    assert len(draw([runs[1]])) == 5
    assert len(draw(runs)) == 2


@pytest.mark.slow
def test_a_persons_settings_change_nothing_and_stay_as_they_were(train):
    run = train(DISK, epochs=1)
    plain = draw([run])[0].read_bytes()
    with matplotlib.rc_context({"font.size": 3, "axes.facecolor": "black", "lines.marker": "x"}):
        before = dict(matplotlib.rcParams)
        assert draw([run])[0].read_bytes() == plain
        assert dict(matplotlib.rcParams) == before


@pytest.mark.slow
def test_pyplot_is_imported_to_show_only(train):
    run = train(DISK, epochs=1)
    code = (
        "import sys; from pathlib import Path; from tinynet.runs.run import Run; from tinynet.plots import draw; "
        f"notes = []; paths = draw([Run.open({str(run.folder)!r})], show=%s, notes=notes); "
        "print(len(paths), 'matplotlib.pyplot' in sys.modules, len(notes))"
    )
    for show, expected in ((False, "5 False 0"), (True, "5 True 1")):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code % show],
            capture_output=True,
            text=True,
            env={"MPLBACKEND": "agg", "PYTHONPATH": str(Path(tinynet.__file__).parents[1])},
        )
        assert done.stdout.strip() == expected, done.stderr
