"""Comparing runs: what differs, figures and paired differences as worked out by hand, and what cannot be compared."""

from __future__ import annotations

import json
from math import sqrt

import pytest

import tinynet
from tinynet import plots
from tinynet.common.components import written
from tinynet.common.errors import CheckpointError, UsageError
from tinynet.config.config import config_difference
from tinynet.config.grammar import load_all
from tinynet.runs import metrics
from tinynet.runs.compare import compare
from tinynet.runs.run import Run
from tinynet.runs.statistics import interval, student_t, within
from tinynet.training.experiment import build
from tinynet.training.record import Record


@pytest.fixture
def run_of(write, changed, tmp_path):
    """A run with these test errors, epoch by epoch of each round; test losses are ten times as large."""

    def made(name, *errors, parts=(), overrides=(), status="finished", validation=None):
        text = changed(parts).replace("name: small", f"name: {name}")
        experiment = build(tinynet.load(write(text), f"training.rounds={len(errors)}", *overrides))
        run = Run.create(experiment, tmp_path / "runs", [])
        records = [
            Record(k, epoch, test_error=error, test_loss=10 * error, train_loss=5 * error, seconds=0.5 * epoch)
            for k, own in enumerate(errors)
            for epoch, error in enumerate(own)
        ]
        for record, value in zip(records, validation or (), strict=False):
            record.validation_loss = value
        metrics.write(run.folder, records)
        run.save(run.capture(experiment), experiment.config)
        run.write_meta(status=status)
        return run

    return made


# P(|T| ≤ t) = 0.95, from the table in every textbook.
TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228} | {
    14: 2.145, 19: 2.093, 24: 2.064, 29: 2.045, 40: 2.021, 60: 2.000, 120: 1.980, 999: 1.962,
}  # fmt: skip


@pytest.mark.parametrize(("freedom", "expected"), TABLE.items())
def test_students_t_is_that_of_the_table(freedom, expected):
    assert student_t(freedom) == pytest.approx(expected, abs=5.1e-4)
    assert within(student_t(freedom), freedom) == pytest.approx(0.95, abs=1e-12)


def test_students_t_at_other_confidence():
    assert student_t(9, 0.99) == pytest.approx(3.250, abs=5e-4)
    assert student_t(5, 0.90) == pytest.approx(2.015, abs=5e-4)
    assert student_t(1, 0.5) == pytest.approx(1.0)  # the quartile of the Cauchy distribution
    assert student_t(2, 0.5) == pytest.approx(sqrt(2 / 3))


def test_interval_by_hand():
    # mean 2, s = 1, t of 2 degrees 4.303
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2, 2 - 4.3027 / sqrt(3), 2 + 4.3027 / sqrt(3)), abs=1e-4)
    assert interval([5.0]) == (5.0, None, None)
    assert interval([4.0, 4.0]) == (4.0, 4.0, 4.0)


def test_figures_and_differences_by_hand(run_of):
    a = run_of("a", [0.5, 0.4], [0.5, 0.3], [0.5, 0.2])
    b = run_of("b", [0.5, 0.3], [0.5, 0.1], [0.5, 0.3])
    found = compare([a, b])
    first, second = found.to_json()["runs"]
    assert (first["seeds"], first["rounds"], first["parameters"]) == ([0, 1, 2], 3, 2 * 5 + 5 + 5 * 2 + 2)
    error = first["last"]["test_error"]
    assert error["mean"] == pytest.approx(0.3)
    assert error["standard_deviation"] == pytest.approx(0.1)
    assert error["per_round"] == [0.4, 0.3, 0.2]
    assert second["last"]["test_loss"]["mean"] == pytest.approx(7 / 3)
    assert first["last"]["seconds"] == {"mean": 0.5, "standard_deviation": 0.0, "per_round": [0.5] * 3}
    assert "best" not in first, "a training loss of during the epoch chooses none"
    # The differences are -0.1, -0.2 and +0.1: mean -2/30, s = √(7/300).
    (pairs,) = found.differences
    mean, half = -2 / 30, 4.302653 * sqrt(7 / 300) / sqrt(3)
    one = pairs["last"]["test_error"]
    assert one.seeds == [0, 1, 2]
    assert (one.mean, one.low, one.high) == pytest.approx((mean, mean - half, mean + half), abs=1e-6)
    assert pairs["last"]["test_loss"].high == pytest.approx(10 * (mean + half), abs=1e-5)
    assert found.notes == []
    assert found.config == {}


def test_best_is_that_of_the_smallest_validation_loss_of_each_round(run_of):
    parts = {"test: 20": "test: 20, validation: 0.25"}
    losses = [3.0, 1.0, 2.0, 3.0, 2.0, 2.0]
    run = run_of("a", [0.5, 0.4, 0.1], [0.5, 0.3, 0.2], parts=parts, validation=losses)
    best = compare([run, run_of("b", [0.5], [0.5])]).runs[0].figures["best"]
    assert best["epoch"] == {0: 1, 1: 1}, "the first of equal ones"
    assert best["test_error"] == {0: 0.4, 1: 0.3}


def test_best_and_last_are_those_of_the_summary(train_run):
    parts = {"batch_size: 16": "batch_size: 16\n  evaluate_train: true"}
    run, _ = train_run(parts, "training.rounds=3", "training.epochs=6", "optimizer.SGD.lr=2.0")
    other, _ = train_run(parts, "training.rounds=3", "training.epochs=6")
    found = compare([run, other]).to_json()["runs"]
    for one, folder in zip(found, (run.folder, other.folder), strict=True):
        summary = json.loads((folder / "summary.json").read_text())
        for which in ("last", "best"):
            for name in ("epoch", "test_error", "test_loss", "train_error", "train_loss"):
                assert one[which][name]["mean"] == pytest.approx(summary[which][name])
                each = [row[which][name] for row in summary["per_round"]]
                assert one[which][name]["per_round"] == pytest.approx(each)
        assert one["last"]["test_error"]["standard_deviation"] == pytest.approx(
            summary["standard_deviation"]["test_error"]
        )


def test_only_seeds_of_both_are_paired(run_of):
    a = run_of("a", [0.1], [0.2], [0.3])
    b = run_of("b", [0.5], [0.5], [0.5], overrides=["seed=1"])
    (pairs,) = compare([a, b]).differences
    one = pairs["last"]["test_error"]
    assert one.seeds == [1, 2]  # 0.5 - 0.2 and 0.5 - 0.3
    half = 12.7062 * (0.1 / sqrt(2)) / sqrt(2)
    assert (one.mean, one.low, one.high) == pytest.approx((0.25, 0.25 - half, 0.25 + half), abs=1e-5)


def test_runs_of_one_round_have_no_interval(run_of):
    found = compare([run_of("a", [0.3]), run_of("b", [0.1])])
    one = found.differences[0]["last"]["test_error"]
    assert (one.seeds, one.low, one.high) == ([0], None, None)
    assert one.mean == pytest.approx(-0.2)
    assert found.runs[0].to_json()["last"]["test_error"]["standard_deviation"] is None
    assert found.notes == [
        "b and a have one seed in common, 0: a difference of one pair has no interval. Train both with --rounds."
    ]


def test_no_seed_in_common(run_of):
    found = compare([run_of("a", [0.3]), run_of("b", [0.1], overrides=["seed=7"])])
    assert found.differences == [{}]
    assert found.notes == ["b and a have no seed in common, so they are not paired."]
    assert found.config == {"seed": [0, 7]}


def test_what_differs(run_of):
    a = run_of("a", [0.1])
    b = run_of("b", [0.1], overrides=["optimizer.SGD.lr=0.03", "layers[0].Linear.out_features=9", "training.epochs=7"])
    c = run_of("c", [0.1], parts={"SGD: {lr: 0.1}": "Adam: {lr: 0.1}", "  - ReLU\n": ""})
    assert compare([a, b]).config == {
        "layers[0].Linear.out_features": [5, 9],
        "optimizer.SGD.lr": [0.1, 0.03],
        "training.epochs": [2, 7],
    }
    found = compare([a, c]).config
    assert list(found) == ["layers", "optimizer"]
    assert [written(value) for value in found["optimizer"]] == ["SGD: 0.1", "Adam: 0.1"]
    assert [written(value) for value in found["layers"]] == ["[Linear: 5, ReLU, Linear: 2]", "[Linear: 5, Linear: 2]"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([{"a": {"x": 1}}, {"a": {"x": 1}}], {}),
        ([{"a": {"x": 1}}, {"a": {"x": 2}}], {("a", "x"): [1, 2]}),
        ([{"a": {"x": 1}}, {"a": {"x": 1, "y": 2}}], {("a", "y"): [None, 2]}),
        ([{"s": [{"A": {}}]}, {}], {("s",): [[{"A": {}}], None]}),
        ([{"s": [1, 2]}, {"s": [1, 3]}], {("s",): [[1, 2], [1, 3]]}),
        ([{"s": [{"A": {"x": 1}}, {"B": {}}]}, {"s": [{"A": {"x": 5}}, {"B": {}}]}], {("s", 0, "A", "x"): [1, 5]}),
        ([{"s": [{"A": {}}]}, {"s": [{"A": {}}, {"A": {}}]}], {("s",): [[{"A": {}}], [{"A": {}}, {"A": {}}]]}),
        ([{"o": {"A": {"x": 1}}}, {"o": {"B": {"x": 1}}}], {("o",): [{"A": {"x": 1}}, {"B": {"x": 1}}]}),
        ([{"o": {"A": {"x": 1}}}] * 2 + [{"o": {"A": {"x": 3}}}], {("o", "A", "x"): [1, 1, 3]}),
    ],
)
def test_paths_of_differences(values, expected):
    assert dict(config_difference(values)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (0.1, "0.1"),
        ([0.5, 0.5], "[0.5, 0.5]"),
        ({"Linear": {"out_features": 25, "bias": True, "init": "uniform", "trainable": True}}, "Linear: 25"),
        ({"Linear": {"out_features": 25, "bias": False}}, "Linear: {out_features: 25, bias: false}"),
        ({"Linear": {"bias": False}}, "Linear: {bias: false}"),
        ({"ReLU": {"trainable": True}}, "ReLU"),
        ({"Disk": {"center": [0.5, 0.5], "train": 7}}, "Disk: 7"),
        ({"patience": 3, "monitor": "train_loss"}, "{patience: 3, monitor: train_loss}"),
        ({"Nobodys": {"x": 1}}, "Nobodys: {x: 1}"),
    ],
)
def test_values_as_a_person_writes_them(value, expected):
    load_all()
    assert written(value) == expected


def test_other_datasets_are_not_comparable(run_of):
    a, b = run_of("a", [0.1], [0.2]), run_of("b", [0.1], [0.2], parts={"Disk:": "Moons:"})
    c = run_of("c", [0.1], [0.2], overrides=["dataset.Disk.radius=0.2"])
    found = compare([a, b, c])
    assert found.differences == [None, None]
    assert found.notes == [f"{name} has another dataset than a: their figures are not comparable." for name in "bc"]
    assert found.to_json()["differences"] == {"b": None, "c": None}


def test_other_datasets_with_the_same_options_are_not_comparable(run_of):
    runs = [run_of(name, [0.1], [0.2], parts={"Disk: {": f"{name}: {{noise: 0.1, "}) for name in ("Moons", "XOR")]
    assert compare(runs).differences == [None]


def test_more_data_of_the_same_kind_are_comparable(run_of):
    a, b = run_of("a", [0.1], [0.2]), run_of("b", [0.1], [0.2], overrides=["dataset.Disk.train=80"])
    found = compare([a, b])
    assert found.notes == []
    assert found.config == {"dataset.Disk.train": [40, 80]}
    assert found.differences[0]["last"]["test_error"].seeds == [0, 1]


def test_a_file_that_has_changed_is_said(run_of):
    a, b = run_of("a", [0.1], [0.2]), run_of("b", [0.1], [0.2])
    b.write_meta(data_sha256="0" * 64)
    (note,) = compare([a, b]).notes
    assert "b was trained on other data than a" in note


def test_other_losses_are_not_comparable(run_of):
    a = run_of("a", [0.1], [0.2])
    b = run_of("b", [0.1], [0.2], parts={"CrossEntropy": "MSE"})
    c = run_of("c", [0.1], [0.2], parts={"CrossEntropy": "MSE", "test: 20": "test: 20, targets: sign"})
    kinds = "The losses are of different kinds (a CrossEntropy, b MSE): they are not comparable."
    assert compare([a, b]).notes == [kinds]
    assert "b MSE, c MSE" in compare([b, c]).notes[0]


def test_training_figures_measured_otherwise_are_said(run_of):
    a, b = run_of("a", [0.1], [0.2]), run_of("b", [0.1], [0.2], overrides=["training.evaluate_train=true"])
    (note,) = compare([a, b]).notes
    assert note.startswith("The training figures of a are means over the epoch's batches")


def test_a_round_under_way_is_left_out(run_of):
    a = run_of("a", [0.5, 0.4, 0.3, 0.2], [0.5, 0.4])
    b = run_of("b", [0.5, 0.4, 0.3, 0.2], [0.5, 0.4], status="interrupted")
    found = compare([a, b])
    assert list(found.runs[0].rounds) == [0, 1], "of a finished run every round counts, at its own last epoch"
    assert list(found.runs[1].rounds) == [0]
    assert found.notes[0] == "b is not finished (status: interrupted); 1 of its 2 rounds are compared."


def test_what_cannot_be_compared(run_of, tmp_path):
    a, empty = run_of("a", [0.1]), run_of("empty", [0.1], status="running")
    metrics.write(empty.folder, [])
    with pytest.raises(UsageError, match="one run alone"):
        compare([a])
    with pytest.raises(UsageError, match="a: this run is named twice"):
        compare([a, Run.open(tmp_path / "runs" / "empty" / ".." / "a")])
    with pytest.raises(UsageError, match=r"empty: this run has no figures yet \(status: running\)"):
        compare([a, empty])
    (a.folder / "resolved.yaml").unlink()
    with pytest.raises(CheckpointError, match=r"resolved\.yaml: is missing"):
        compare([a, run_of("b", [0.1])])


def test_without_a_checkpoint_the_parameters_are_not_known(run_of):
    a, b = run_of("a", [0.1], [0.1]), run_of("b", [0.1])
    a.last_path.unlink()
    b.last_path.write_bytes(b"broken")
    assert [one.parameters for one in compare([a, b]).runs] == [None, None]


@pytest.fixture
def two(run_of):
    run_of("a", [0.5, 0.4], [0.5, 0.3], [0.5, 0.2])
    run_of("b", [0.5, 0.3], [0.5, 0.1], [0.5, 0.3], overrides=["optimizer.SGD.lr=0.03"])


def test_command_as_text(cli, two):
    status, out, err = cli("compare", "runs/a", "runs/b")
    assert (status, err) == (0, "")
    rows = [" ".join(line.split()) for line in out.splitlines()]
    for row in (
        "optimizer.SGD.lr 0.1 0.03",
        "rounds 3 3",
        "last test error 30 ± 10 % 23 ± 12 %",
        "last test loss 3.0 ± 1.0 2.3 ± 1.2",
        "last test error -7 [-45, +31]",
    ):
        assert row in rows
    assert "b (3 seeds)" in out
    assert out.splitlines()[-2:] == ["runs/a/plots/loss-overlay.png", "runs/a/plots/error-overlay.png"]


def test_command_as_json(cli, two):
    status, out, err = cli("compare", "runs/a", "runs/b", "--json")
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert found["config"] == {"optimizer.SGD.lr": [0.1, 0.03]}
    assert (found["baseline"], found["confidence"], found["notes"]) == ("a", 0.95, [])
    one = found["differences"]["b"]["last"]["test_error"]
    assert one["seeds"] == [0, 1, 2]
    assert one["mean"] == pytest.approx(-2 / 30)
    assert found["plots"] == ["runs/a/plots/loss-overlay.png", "runs/a/plots/error-overlay.png"]


def test_command_as_markdown(cli, two, run_of):
    status, out, _ = cli("compare", "runs/a", "runs/b", "--markdown")
    assert status == 0
    tables = [part.splitlines() for part in out.split("\n\n") if part.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert table[1].startswith("| --- | ---: |")
        assert len({line.count("|") for line in table}) == 1
    assert "| last test error | 30 ± 10 % | 23 ± 12 % |" in out
    assert "![runs/a/plots/loss-overlay.png](runs/a/plots/loss-overlay.png)" in out


def test_the_same_config(cli, run_of):
    run_of("a", [0.5])
    run_of("a", [0.4])
    _, out, _ = cli("compare", "runs/a", "runs/a-2")
    assert out.startswith("The configs are the same.\n\nFigures:\n")
    assert "one seed in common" in out


def test_long_values_stand_on_lines_of_their_own(cli, run_of):
    run_of("a", [0.5])
    run_of("b", [0.5], parts={"  - ReLU\n": "  - ReLU\n  - Linear: {out_features: 6, bias: false}\n"})
    _, out, _ = cli("compare", "runs/a", "runs/b")
    assert "layers\n  a: [Linear: 5, ReLU, Linear: 2]\n  b: [Linear: 5, ReLU, Linear: {out" in out


def test_an_option_that_a_run_has_not_is_a_dash(cli, run_of):
    run_of("a", [0.5])
    run_of("b", [0.5], overrides=["training.clip_norm=1"])
    _, out, _ = cli("compare", "runs/a", "runs/b")
    assert "training.clip_norm  -  1.0\n" in out


def test_commands_that_are_wrong(cli, run_of):
    run_of("a", [0.5])
    for arguments, words in (
        (["a", "runs/a"], "a: there is no such run folder. Did you mean runs/a?"),
        (["runs/a", "runs/c"], "runs/c: there is no such run folder"),
        (["runs/a"], "Name two or more"),
        (["runs/a", "runs/a/"], "named twice"),
        (["runs/a", "runs/a", "--json", "--markdown"], "Give one of them"),
        ([], "Missing argument"),
    ):
        status, out, err = cli("compare", *arguments)
        assert (status, out) == (2, "")
        assert words in err


def test_figures_are_given_where_no_picture_can_be_drawn(cli, two, monkeypatch):
    def fail(*_, **__):
        raise PermissionError(13, "Permission denied", "runs/a/plots")

    monkeypatch.setattr(plots, "draw", fail)
    status, out, _ = cli("compare", "runs/a", "runs/b")
    assert status == 0
    assert "last test error" in out
    assert out.endswith("The curves are not drawn: runs/a/plots: Permission denied.\n")
