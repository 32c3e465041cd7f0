"""The run folder: its files to the letter, runs that are never overwritten, interruption and resuming."""

import csv
import json
import math
import re
import signal
import time
from dataclasses import dataclass

import numpy as np
import pytest

import tinynet
from tinynet.common import components, interrupts
from tinynet.common.errors import CheckpointError, DataError, DivergedError, UsageError
from tinynet.nn.optimizers import Optimizer
from tinynet.runs.resume import resume
from tinynet.runs.run import Run, find_checkpoint
from tinynet.training.checkpoint import capture, read
from tinynet.training.experiment import restore

HEADING = (
    "round,epoch,train_loss,train_error,validation_loss,validation_error,test_loss,test_error,learning_rate,seconds"
)


def rows(run_folder):
    """The rows of metrics.csv without the seconds, which no two runs share."""
    with (run_folder / "metrics.csv").open(newline="") as file:
        return [row[:-1] for row in csv.reader(file)]


def parameter_bytes(path):
    """The bytes of all arrays of a checkpoint but for its metadata."""
    return {name: array.tobytes() for name, array in read(path).arrays.items()}


# The files


def test_the_files_of_a_run(train_run):
    run, _ = train_run({}, "training.evaluate_train=true")
    found = sorted(str(path.relative_to(run.folder)) for path in run.folder.rglob("*"))
    assert found == [
        ".lock",
        "checkpoints",
        "checkpoints/best.npz",
        "checkpoints/last.npz",
        "config.yaml",
        "meta.json",
        "metrics.csv",
        "plots",
        "resolved.yaml",
        "summary.json",
    ]


def test_metrics_to_the_letter(train_run):
    run, experiment = train_run()
    lines = (run.folder / "metrics.csv").read_text().split("\n")
    assert lines[0] == HEADING
    assert len(lines) == 5
    assert lines[4] == ""
    records = experiment.rounds[0].progress.records
    # Nothing is measured on a validation split, nor on the training split before the first epoch: empty cells.
    assert re.fullmatch(r"0,0,,,,,[^,]+,[^,]+,,0\.0", lines[1])
    for line, record in zip(lines[2:4], records[1:], strict=True):
        cells = line.split(",")
        assert cells[:2] == ["0", str(record.epoch)]
        assert cells[4:6] == ["", ""]
        # Every figure is written with all its digits.
        assert [float(cells[i]) for i in (2, 3, 6, 7, 8)] == [
            record.train_loss,
            record.train_error,
            record.test_loss,
            record.test_error,
            0.1,
        ]
        assert float(cells[9]) == pytest.approx(record.seconds, abs=1e-6)


def test_the_errors_of_a_regression_are_empty_cells(train_run):
    run, _ = train_run({"test: 20": "test: 20, targets: inputs", "loss: CrossEntropy": "loss: MSE"})
    for row in rows(run.folder)[1:]:
        assert [row[3], row[5], row[7]] == ["", "", ""]
        assert row[6] != ""


def test_records_are_read_back(train_run):
    run, experiment = train_run({"test: 20": "test: 20, validation: 0.2"})
    found, expected = run.records(), experiment.rounds[0].progress.records
    for one, other in zip(found, expected, strict=True):
        assert {**vars(one), "seconds": 0} == {**vars(other), "seconds": 0}


def test_meta_tells_how_the_run_came_about(train_run):
    run, _ = train_run({}, "seed=4")
    meta = json.loads((run.folder / "meta.json").read_text())
    assert {
        "versions",
        "blas",
        "command",
        "git_commit",
        "seeds",
        "data_sha256",
        "status",
        "started",
        "finished",
    } <= set(meta)
    assert (meta["status"], meta["seeds"], meta["name"]) == ("finished", [4], "small")
    assert meta["command"] == ["tinynet", "train"]
    assert {"tinynet", "python", "numpy"} <= set(meta["versions"])
    assert meta["versions"]["numpy"] == np.__version__
    assert re.fullmatch(r"[0-9a-f]{64}", meta["data_sha256"])
    assert meta["started"] <= meta["finished"]


def test_the_data_s_digest_follows_the_data(make):
    digests = [make({}, f"seed={seed}").dataset.sha256() for seed in (0, 1, 0)]
    assert digests[0] == digests[2] != digests[1]


def test_the_summary(train_run):
    run, experiment = train_run(
        {}, "training.evaluate_train=true", "optimizer.SGD.lr=1.5", "training.epochs=8", "seed=2"
    )
    summary, records = json.loads((run.folder / "summary.json").read_text()), experiment.rounds[0].progress.records
    best_epoch = experiment.rounds[0].progress.best_epoch
    assert 0 < best_epoch < 8
    assert (summary["status"], summary["epochs"], summary["rounds"]) == ("finished", 8, 1)
    for which, epoch in (("last", 8), ("best", best_epoch)):
        assert summary[which]["epoch"] == epoch
        for name in ("train_loss", "train_error", "test_loss", "test_error", "validation_loss"):
            assert summary[which][name] == records[epoch][name]
    assert summary["test_loss"] == summary["mean"]["test_loss"] == records[8].test_loss
    labels = experiment.dataset.test.labels
    commonest = np.bincount(experiment.dataset.train.labels).argmax()
    assert summary["last"]["test_commonest_error"] == np.mean(labels != commonest)


def test_the_summary_of_a_regression_holds_its_figures(train_run):
    run, experiment = train_run({"test: 20": "test: 20, targets: inputs", "loss: CrossEntropy": "loss: MSE"})
    last = json.loads((run.folder / "summary.json").read_text())["last"]
    figures = experiment.evaluate()
    assert (last["test_r2"], last["test_mean_absolute_error"]) == (figures.r2, figures.mean_absolute_error)
    assert last["test_error"] is None


def test_the_config_is_kept_as_it_was_given(train_run, changed):
    parts = {"name: small": "# a comment\nname: small   # and another"}
    run, _ = train_run(parts, "seed=3")
    assert (run.folder / "config.yaml").read_text() == changed(parts)


@pytest.mark.parametrize("name", ["small", "08", "1e3", "0o17", "no", "1.5", "null", "a b", "ü", "2026-01-01", "1_0"])
def test_the_resolved_config_trains_the_same_run_again(train_run, tmp_path, name):
    run, experiment = train_run(
        {"name: small": f"name: '{name}'", "- ReLU": "- Dropout: 0.2"}, "seed=3", "optimizer.SGD.momentum=0.9"
    )
    assert run.folder == tmp_path / "runs" / name
    config = tinynet.load(run.folder / "resolved.yaml")
    assert (config.name, config.seed, config.optimizer.options["momentum"]) == (name, 3, 0.9)
    again = tinynet.build(config)
    list(again.train())
    assert again.net.vector.all_tensors.tobytes() == experiment.net.vector.all_tensors.tobytes()


def test_the_resolved_config_has_absolute_paths(train_run, tmp_path):
    x = np.random.default_rng(0).random((20, 2))
    np.savez(tmp_path / "d.npz", x_train=x, y_train=np.arange(20) % 2, x_test=x, y_test=np.arange(20) % 2)
    run, experiment = train_run({"Disk: {train: 40, test: 20}": "NPZ: d.npz"})
    config = tinynet.load(run.folder / "resolved.yaml")
    assert config.dataset.options["path"] == str(tmp_path / "d.npz")
    again = tinynet.build(config)
    list(again.train())
    assert again.net.vector.all_tensors.tobytes() == experiment.net.vector.all_tensors.tobytes()


def test_runs_are_never_overwritten(train_run, tmp_path):
    folders, contents = [], []
    for _ in range(3):
        run, _ = train_run()
        folders.append(run.folder)
        contents.append((run.folder / "meta.json").read_text())
    assert [folder.name for folder in folders] == ["small", "small-2", "small-3"]
    assert [(folder / "meta.json").read_text() for folder in folders] == contents


def test_a_run_may_not_be_kept_in_a_file(make, tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(UsageError, match="this is a file"):
        Run.create(make(), tmp_path / "runs", [])


def strict(text):
    """The value of a JSON text; NaN and Infinity are none."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_within_an_epoch_the_figures_of_a_regression_that_no_record_holds_are_null(make, tmp_path, monkeypatch):
    monkeypatch.setattr(tinynet.runs.run, "WATCH_SECONDS", 0)
    experiment = make({"test: 20": "test: 20, targets: inputs", "loss: CrossEntropy": "loss: MSE"})
    run, one = Run.create(experiment, tmp_path / "runs", []), experiment.rounds[0]

    def stop(record):
        run.stop = record is None and one.progress.epoch == 1

    assert run.train(experiment, stop) == "interrupted"
    assert one.progress.batch == 1
    last = strict((run.folder / "summary.json").read_text())["last"]
    assert (last["epoch"], last["test_loss"]) == (1, one.progress.records[1].test_loss)
    assert (last["test_r2"], last["test_mean_absolute_error"]) == (None, None)
    again, resumed = resume(run.folder, [])
    again.train(resumed, lambda record: None)
    assert strict((run.folder / "summary.json").read_text())["last"]["test_r2"] == resumed.evaluate().r2 is not None


# Finding checkpoints and runs


def test_a_run_in_place_of_a_checkpoint_is_its_best_or_its_last(train_run):
    run, _ = train_run()
    assert find_checkpoint(run.folder) == run.last_path
    run, _ = train_run({}, "training.evaluate_train=true")
    assert find_checkpoint(run.folder) == run.best_path
    assert find_checkpoint(run.last_path) == run.last_path


def test_a_run_that_is_not_there(tmp_path, train_run, monkeypatch):
    run, _ = train_run()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"Did you mean runs/small\?"):
        find_checkpoint("small")
    with pytest.raises(UsageError, match="no such"):
        find_checkpoint("other")
    with pytest.raises(UsageError, match=r"no meta\.json"):
        find_checkpoint(tmp_path)
    for text in ("{", "", "[1]", "null", "3", '"a"'):
        (run.folder / "meta.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"small: meta\.json is broken"):
            Run.open(run.folder)


def test_broken_metrics_are_told(train_run):
    run, _ = train_run()
    (run.folder / "metrics.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CheckpointError, match=r"metrics\.csv is broken: it has no round"):
        run.records()


# Going on


HARD = {
    "SGD: {lr: 0.1}": "Adam: 0.02",
    "- ReLU": "- Dropout: 0.3\n  - Tanh",
    "test: 20": "test: 20, validation: 0.25, standardize: true",
    "training:": "schedule: [LinearWarmup: 3, CosineLR]\ntraining:\n  early_stopping: {patience: 6}",
}
TRAININGS = {
    "momentum": {"SGD: {lr: 0.1}": "SGD: {lr: 0.1, momentum: 0.9, nesterov: true}"},
    "adam, schedule, dropout, early stopping": HARD,
    "measured after": {"batch_size: 16": "batch_size: 7\n  evaluate_train: true\n  clip_norm: 0.1"},
}


@pytest.mark.parametrize("stop_after", [1, 2, 4, 5, 9, 14, 23])
@pytest.mark.parametrize("parts", TRAININGS.values(), ids=TRAININGS)
def test_a_training_stopped_at_any_step_ends_as_one_never_stopped(make, tmp_path, parts, stop_after):
    whole, stopped = make(parts, "training.epochs=10"), make(parts, "training.epochs=10")
    expected = list(whole.train())
    steps = stopped.training.steps()
    for _ in range(stop_after):
        next(steps)
    path = tmp_path / "last.npz"
    stopped.training.settle()
    capture(stopped.rounds[0]).save(path)
    again = tinynet.load_checkpoint(path)
    assert again.rounds[0].progress.batch == stopped.rounds[0].progress.batch
    list(again.train())
    assert again.net.vector.all_tensors.tobytes() == whole.net.vector.all_tensors.tobytes()
    for name, vector in whole.optimizer.state.items():
        assert again.optimizer.state[name].tobytes() == vector.tobytes()
    figures = [{**vars(record), "seconds": 0} for record in again.rounds[0].progress.records]
    assert figures == [{**vars(record), "seconds": 0} for record in expected]
    one, other = again.rounds[0].progress, whole.rounds[0].progress
    assert (one.best_epoch, one.best_loss, one.watched, one.waited, one.stopped_early) == (
        other.best_epoch, other.best_loss, other.watched, other.waited, other.stopped_early
    )  # fmt: skip
    if other.best_epoch is not None:
        assert again.rounds[0].best_parameters.tobytes() == whole.rounds[0].best_parameters.tobytes()


def test_the_stops_above_are_within_epochs_and_at_their_ends(make):
    experiment, positions = make(HARD), []
    for _, _ in zip(range(4), experiment.training.steps(), strict=False):
        experiment.training.settle()
        progress = experiment.rounds[0].progress
        positions.append((progress.epoch, progress.batch))
    # 30 rows in batches of 16.
    assert positions == [(0, 0), (0, 1), (0, 2), (1, 0)]


def test_a_stop_within_an_epoch_keeps_its_partial_sums(make, tmp_path):
    experiment = make({"batch_size: 16": "batch_size: 7"})
    steps = experiment.training.steps()
    for _ in range(4):
        next(steps)
    experiment.training.settle()
    capture(experiment.rounds[0]).save(tmp_path / "c.npz")
    progress = read(tmp_path / "c.npz").metadata["progress"]
    assert (progress["epoch"], progress["batch"], progress["samples"]) == (0, 3, 21)
    assert progress["loss_sum"] > 0


@pytest.fixture
def interrupt(start, tmp_path):
    """Starts a training in runs/small, sends it a signal after a few epochs: (exit status, stdout, stderr)."""

    def send(path, number):
        process = start("train", path)
        metrics = tmp_path / "runs" / "small" / "metrics.csv"
        give_up = time.monotonic() + 30
        while not metrics.exists() or metrics.read_text().count("\n") < 5:
            assert time.monotonic() < give_up
            time.sleep(0.005)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    return send


def test_ctrl_c_saves_and_the_printed_command_ends_as_a_run_never_stopped(
    start, command, interrupt, write, changed, tmp_path
):
    path = write(
        changed(HARD | {"epochs: 2": "epochs: 250", "patience: 6": "patience: 999", "train: 40": "train: 400"})
    )
    whole = start("train", path, "--runs", "whole", "--quiet")
    status, out, err = interrupt(path, signal.SIGINT)
    assert status == 130, err
    assert "Traceback" not in out + err
    run = Run.open(tmp_path / "runs" / "small")
    assert run.meta["status"] == "interrupted"
    done = read(run.last_path).epoch
    assert 3 <= done < 250
    # The file has the epochs of the checkpoint: none is missing, none is too many.
    assert len(rows(run.folder)) == done + 2
    printed = re.search(r"^  tinynet (train --resume \S+)$", err, re.MULTILINE)[1].split()
    status, out, err = command(*printed)
    assert status == 0, err
    assert Run.open(run.folder).meta["status"] == "finished"
    whole.communicate(timeout=60)
    never_stopped = Run(tmp_path / "whole" / "small")
    assert rows(run.folder) == rows(never_stopped.folder)
    assert len(rows(run.folder)) == 252
    assert parameter_bytes(run.last_path) == parameter_bytes(never_stopped.last_path)
    assert parameter_bytes(run.best_path) == parameter_bytes(never_stopped.best_path)


def test_a_termination_saves_as_well(interrupt, write, changed, tmp_path):
    status, out, err = interrupt(write(changed({"epochs: 2": "epochs: 1000000"})), signal.SIGTERM)
    assert status == 143, err
    assert "Traceback" not in out + err
    assert "tinynet train --resume runs/small" in err
    run = Run.open(tmp_path / "runs" / "small")
    assert run.meta["status"] == "interrupted"
    assert len(rows(run.folder)) == read(run.last_path).epoch + 2


def test_the_first_signal_is_noted_and_the_second_stops_at_once():
    told = []
    with interrupts.deferred() as signals:
        signal.raise_signal(signal.SIGINT)
        signals.tell(lambda: told.append("stop"))
        assert (signals.caught, told) == ([signal.SIGINT], ["stop"])
        with pytest.raises(interrupts.Interrupted) as raised:
            signal.raise_signal(signal.SIGTERM)
    assert raised.value.exit_status == 143
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("parts", [HARD, TRAININGS["momentum"]], ids=["adam", "momentum"])
def test_an_interrupted_run_resumed_is_a_run_never_stopped(make, train_run, tmp_path, parts):
    overrides = ("training.epochs=12",)
    whole, _ = train_run(parts, *overrides)
    experiment = make(parts, *overrides)
    run = Run.create(experiment, tmp_path / "runs", [])

    def stop_in_epoch_3(record):
        run.stop = record is not None and record.epoch == 3

    assert run.train(experiment, stop_in_epoch_3) == "interrupted"
    assert json.loads((run.folder / "meta.json").read_text())["status"] == "interrupted"
    assert 3 <= read(run.last_path).epoch < 12
    again, resumed = resume(run.folder, [])
    assert again.train(resumed, lambda record: None) == "finished"
    assert rows(run.folder) == rows(whole.folder)
    assert parameter_bytes(run.last_path) == parameter_bytes(whole.last_path)
    if whole.best_path.exists():
        assert parameter_bytes(run.best_path) == parameter_bytes(whole.best_path)
    assert again.summary["epochs"] == len(rows(whole.folder)) - 2


def test_rows_after_the_checkpoint_are_written_again_not_twice(make, train_run):
    # A kill between two saves: metrics.csv has more epochs than last.npz.
    run, experiment = train_run({}, "training.epochs=6")
    whole = rows(run.folder)
    halfway = make({}, "training.epochs=6")
    for record in halfway.train():
        if record.epoch == 3:
            break
    run.save([capture(halfway.rounds[0])], halfway.config)
    again, resumed = resume(run.folder, [])
    again.train(resumed, lambda record: None)
    assert rows(run.folder) == whole
    assert resumed.net.vector.all_tensors.tobytes() == experiment.net.vector.all_tensors.tobytes()


def test_a_kill_loses_at_most_what_came_after_the_last_save(make, tmp_path):
    experiment = make({}, "training.epochs=5", "training.checkpoint_seconds=0")
    run = Run.create(experiment, tmp_path / "runs", [])

    def fail(record):
        if record is not None and record.epoch == 3:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        run.train(experiment, fail)
    saved = restore(read(run.last_path), "last.npz")
    # The save after the last batch stands: what is lost is the measuring of epoch 3.
    assert (saved.rounds[0].progress.epoch, saved.rounds[0].progress.samples) == (2, 40)


def test_more_epochs_for_a_finished_run(make, train_run):
    run, _ = train_run({"SGD: {lr: 0.1}": "SGD: {lr: 0.1, momentum: 0.9}"})
    longer, _ = train_run({"SGD: {lr: 0.1}": "SGD: {lr: 0.1, momentum: 0.9}"}, "training.epochs=5")
    again, resumed = resume(run.folder, ["training.epochs=5"])
    assert again.train(resumed, lambda record: None) == "finished"
    assert rows(run.folder) == rows(longer.folder)
    assert parameter_bytes(run.last_path) == parameter_bytes(longer.last_path)
    # What trains the same run again has the new end.
    assert tinynet.load(run.folder / "resolved.yaml").training.epochs == 5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.SGD.lr=3", r"would change:\n  optimizer\.SGD\.lr: 0\.1 -> 3\.0\n"),
        ("seed=1", r"would change:\n  seed: 0 -> 1\n"),
        ("training.batch_size=3", r"\n  training\.batch_size: 16 -> 3\nLeave it, or train \S+resolved.yaml anew"),
        ("layers[0].Linear.out_features=3", r"\n  layers\[0\]\.Linear\.out_features: \d+ -> 3\n"),
        ("training.rounds=2", "the number of rounds cannot change"),
        ("training.epochs=1", "the run has done 2 already"),
        ("training.epochs=0", r"training\.epochs: must be a whole number > 0"),
        ("nonsense", "PATH=VALUE"),
    ],
)
def test_a_resumed_run_stays_the_same_experiment(train_run, override, message):
    run, _ = train_run()
    with pytest.raises(UsageError, match=message):
        resume(run.folder, [override])


def test_a_run_whose_learning_rate_has_come_to_0_gets_no_more_epochs(train_run):
    run, _ = train_run({"training:": "schedule: CosineLR\ntraining:"})
    before = (run.folder / "resolved.yaml").read_text()
    with pytest.raises(UsageError) as caught:
        resume(run.folder, ["training.epochs=5"])
    assert str(caught.value) == (
        "training.epochs=5: the schedule has brought the learning rate to 0 by then, so more epochs change nothing. "
        "Train the config anew with that many."
    )
    assert (run.folder / "resolved.yaml").read_text() == before


def test_a_run_whose_learning_rate_comes_to_0_goes_on_to_its_own_end(make, tmp_path):
    experiment = make({"training:": "schedule: {CosineLR: 2}\ntraining:"}, "training.epochs=4")
    run = Run.create(experiment, tmp_path / "runs", [])
    run.train(experiment, lambda record: setattr(run, "stop", record is not None and record.epoch == 1))
    for overrides in ([], ["training.checkpoint_seconds=1"], ["training.epochs=4"]):
        assert not resume(run.folder, overrides)[1].training.finished


def test_a_run_whose_learning_rate_is_still_above_0_gets_more_epochs(train_run):
    parts = {"training:": "schedule: {StepLR: 1}\ntraining:"}
    run, _ = train_run(parts)
    again, resumed = resume(run.folder, ["training.epochs=4"])
    assert again.train(resumed, lambda record: None) == "finished"
    assert rows(run.folder) == rows(train_run(parts, "training.epochs=4")[0].folder)


@pytest.fixture
def uncounted(monkeypatch):
    """An optimizer that does not count its steps."""
    monkeypatch.setitem(components.classes("optimizer"), "Uncounted", None)

    @dataclass(eq=False)
    class Uncounted(Optimizer):
        """θ ← θ - lr g"""

        lr: float = 0.1

        def step(self, tensor, gradient):
            tensor -= self.learning_rate * gradient


@pytest.mark.usefixtures("uncounted")
def test_the_net_s_own_count_goes_on_with_an_optimizer_that_does_not_count(make, tmp_path):
    # The masks of dropout follow from it.
    parts = {"SGD: {lr: 0.1}": "Uncounted", "- ReLU": "- Dropout: 0.5"}
    whole, stopped = make(parts), make(parts)
    list(whole.train())
    for record in stopped.train():
        if record.epoch == 1:
            break
    assert (stopped.net.clock.step, stopped.optimizer.steps) == (3, 0)
    capture(stopped.rounds[0]).save(tmp_path / "last.npz")
    again = tinynet.load_checkpoint(tmp_path / "last.npz")
    assert again.net.clock.step == 3
    list(again.train())
    assert again.net.vector.all_tensors.tobytes() == whole.net.vector.all_tensors.tobytes()


def test_a_file_that_has_changed_since_the_training_is_refused(train_run, tmp_path):
    lines = [f"{a:.3f},{b:.3f},{'cat' if a > b else 'dog'}" for a, b in np.random.default_rng(0).random((40, 2))]
    path = tmp_path / "t.csv"
    path.write_text("a,b,kind\n" + "\n".join(lines) + "\n")
    run, experiment = train_run({"Disk: {train: 40, test: 20}": "CSV: {path: t.csv, column: kind}"})
    assert tinynet.load_checkpoint(run.last_path).evaluate().loss == experiment.evaluate().loss
    before, x = path.read_text(), np.array([[0.25, 0.5]])
    path.write_text(before.replace("cat", "cow"))
    tinynet.load_checkpoint(run.last_path).evaluate()  # the names of the classes are those of the checkpoint
    path.write_text(before.replace(lines[7], "0.001" + lines[7][5:]))
    again = tinynet.load_checkpoint(run.last_path)

    def resumed():
        return resume(run.folder, ["training.epochs=3"])

    for refused in (lambda: again.dataset, again.evaluate, resumed):
        with pytest.raises(DataError) as caught:
            refused()
        assert str(caught.value) == (
            "the dataset is not the one of the training: its file has changed. Put the old one back, or train anew. "
            "`tinynet predict` uses the net on any file."
        ) + (" `--resume --force` goes on with the new one." if refused is resumed else "")
    np.testing.assert_array_equal(again.predict(x), experiment.predict(x))
    path.write_text(before)
    assert again.evaluate().loss == experiment.evaluate().loss


def test_metrics_are_the_same_bytes_after_resuming_but_for_the_seconds(make, train_run, tmp_path):
    parts = {"test: 20": "test: 20, validation: 0.2"}
    whole, _ = train_run(parts, "training.epochs=4")
    experiment = make(parts, "training.epochs=4")
    run = Run.create(experiment, tmp_path / "runs", [])
    run.train(experiment, lambda record: setattr(run, "stop", record is not None and record.epoch == 2))
    again, resumed = resume(run.folder, [])
    again.train(resumed, lambda record: None)
    found = [(folder / "metrics.csv").read_bytes() for folder in (whole.folder, run.folder)]
    one, other = (re.sub(rb",[^,]*\n", b",\n", text) for text in found)
    assert one == other
    assert one.count(b"\n") == 6
    assert b"\r" not in b"".join(found)


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(make, train_run, tmp_path):
    run = Run.create(make(), tmp_path / "runs", [])
    with pytest.raises(UsageError, match="no checkpoint yet"):
        find_checkpoint(run.folder)
    again, anew = resume(run.folder, [])
    assert again.train(anew, lambda record: None) == "finished"
    assert parameter_bytes(run.last_path) == parameter_bytes(train_run()[0].last_path)


def test_a_run_goes_on_after_its_folder_was_moved(make, tmp_path):
    experiment = make({}, "training.epochs=4")
    run = Run.create(experiment, tmp_path / "runs", [])
    run.train(experiment, lambda record: setattr(run, "stop", record is not None and record.epoch == 1))
    run.folder.rename(tmp_path / "moved")
    again, resumed = resume(tmp_path / "moved", [])
    assert again.train(resumed, lambda record: None) == "finished"


# Divergence


def test_a_diverged_run_keeps_its_last_finite_epoch(make, tmp_path):
    experiment = make({}, "training.epochs=6")
    run = Run.create(experiment, tmp_path / "runs", [])
    finite = []

    def break_it(record):
        if record is not None and record.epoch == 2:
            finite.append(experiment.net.vector.all_tensors.copy())
            experiment.net.parameters[0].tensor[:] = np.nan

    with pytest.raises(DivergedError, match="epoch 3"):
        run.train(experiment, break_it)
    assert json.loads((run.folder / "meta.json").read_text())["status"] == "diverged"
    saved = read(run.last_path)
    assert saved.epoch == 2
    again = restore(saved, "last.npz")
    np.testing.assert_array_equal(again.net.vector.all_tensors, finite[0])
    assert len(rows(run.folder)) == 4


def test_a_run_that_diverges_in_its_measurement_says_the_same_epoch_everywhere(make, tmp_path, monkeypatch):
    monkeypatch.setattr(tinynet.runs.run, "WATCH_SECONDS", 0)
    experiment = make({}, "training.epochs=6")
    run, progress = Run.create(experiment, tmp_path / "runs", []), experiment.rounds[0].progress

    def break_it(record):
        # After the last batch of the third epoch.
        experiment.training.settle()
        if record is None and (progress.epoch, progress.batch) == (2, 3):
            experiment.net.parameters[0].tensor[:] = np.nan

    with pytest.raises(DivergedError, match="diverged in epoch 3: a parameter became NaN or infinite"):
        run.train(experiment, break_it)
    summary = run.summary
    assert (progress.epoch, summary["epochs"], summary["last"]["epoch"], read(run.last_path).epoch) == (2, 2, 2, 2)
    assert [row[1] for row in rows(run.folder)[1:]] == ["0", "1", "2"]
    assert len(progress.records) == 3


def test_a_diverged_regression_has_all_figures_of_its_last_good_epoch(make, tmp_path):
    experiment = make({"test: 20": "test: 20, targets: inputs", "loss: CrossEntropy": "loss: MSE"}, "training.epochs=6")
    run, figures = Run.create(experiment, tmp_path / "runs", []), []

    def break_it(record):
        if record is not None and record.epoch == 2:
            figures.append(experiment.evaluate())
            experiment.net.parameters[0].tensor[:] = np.nan

    with pytest.raises(DivergedError, match="epoch 3"):
        run.train(experiment, break_it)
    last = run.summary["last"]
    assert (last["epoch"], last["test_r2"], last["test_loss"]) == (2, figures[0].r2, figures[0].loss)


def test_a_run_that_diverges_at_once_has_no_figures_and_valid_json(command, write, changed, tmp_path):
    x = np.linspace(-1, 1, 20)[:, None]
    np.savez(tmp_path / "big.npz", x_train=x, y_train=1e30 * x, x_test=x, y_test=1e30 * x)
    path = write(
        changed(
            {"Disk: {train: 40, test: 20}": "NPZ: big.npz", "loss: CrossEntropy": "loss: MSE", "Linear: 2": "Linear: 1"}
        )
    )
    status, out, err = command("train", path, "--json")
    assert status == 3
    assert "the training diverged in epoch 0: test_loss became inf. " in err
    assert "Nothing was trained yet: the data's numbers are too large. Try standardize: true, or dtype: float64." in err
    folder = tmp_path / "runs" / "small"
    for text in (out, (folder / "summary.json").read_text(), (folder / "meta.json").read_text()):
        assert strict(text)["status"] == "diverged"
    assert len(rows(folder)) == 1


def test_a_diverged_run_at_the_command_line(command, write, changed, tmp_path):
    path = write(
        changed({"loss: CrossEntropy": "loss: MSE", "SGD: {lr: 0.1}": "SGD: {lr: 1e12}", "epochs: 2": "epochs: 50"})
    )
    status, out, err = command("train", path, "--json")
    assert status == 3, err
    assert "Traceback" not in err
    assert re.search(r"diverged in epoch \d+: .* The largest output is that of linear2, up to ", err)
    assert json.loads(out)["status"] == "diverged"
    folder = tmp_path / "runs" / "small"
    assert json.loads((folder / "meta.json").read_text())["status"] == "diverged"
    for values in read(folder / "checkpoints" / "last.npz").arrays.values():
        assert np.isfinite(values).all()
    for row in rows(folder)[1:]:
        assert all(math.isfinite(float(cell)) for cell in row if cell)


def test_a_run_is_saved_before_its_status_is_told(make, tmp_path, monkeypatch):
    experiment = make()
    run = Run.create(experiment, tmp_path / "runs", [])
    assert json.loads((run.folder / "meta.json").read_text())["status"] == "running"
    saved = []
    monkeypatch.setattr(run, "write_meta", lambda **changes: saved.append(run.last_path.exists()))
    run.train(experiment, lambda record: None)
    assert saved == [False, True]  # as running, and as finished
