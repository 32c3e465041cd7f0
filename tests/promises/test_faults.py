"""What goes wrong around a training: one clear message, the right exit status, and earlier files whole."""

import json
import os
import re
import resource
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet.common import files, interrupts
from tinynet.common.errors import RunError
from tinynet.runs import run
from tinynet.runs.resume import resume
from tinynet.runs.run import Run
from tinynet.training.checkpoint import read

LONG = {"epochs: 2": "epochs: 1000000"}
pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and signals of POSIX systems")


@pytest.fixture
def training(start, write, changed, tmp_path):
    """Starts a long training in runs/small, and waits until it has been saved."""

    def begin(parts=(), **options):
        process = start(
            "train", write(changed({**LONG, **dict(parts)})), "--set=training.checkpoint_seconds=0", **options
        )
        wait_for(tmp_path / "runs" / "small" / "checkpoints" / "last.npz", process)
        return process

    return begin


def wait_for(path, process):
    give_up = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.002)


def limited(which, amount):
    """For Popen: a process with a limit of the system."""
    return {"preexec_fn": lambda: resource.setrlimit(which, (amount, amount))}


def status_of(folder):
    return json.loads((folder / "meta.json").read_text())["status"]


def test_a_file_that_cannot_grow_stops_the_training(training, command, tmp_path):
    # As on a full disk: the records of all epochs make last.npz grow.
    process = training(**limited(resource.RLIMIT_FSIZE, 40_000))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-3:] == [
        "To go on, once what follows is mended:",
        "  tinynet train --resume runs/small",
        "Error: runs/small: cannot be written (File too large). What was saved there before is whole.",
    ]
    folder = tmp_path / "runs" / "small"
    done = read(folder / "checkpoints" / "last.npz").epoch
    assert done > 10
    assert status_of(folder) == "interrupted"
    assert not list(folder.rglob("*.part"))
    assert command("train", "--resume", folder, f"--set=training.epochs={done + 5}")[0] == 0
    assert len(Run.open(folder).records()) == done + 6


def test_a_folder_deleted_while_training(training, tmp_path):
    process = training()
    (tmp_path / "runs").rename(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone", ignore_errors=True)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-1] == (
        "Error: runs/small: the run's folder is gone, deleted or moved, so nothing more can be saved."
    )
    assert "--resume" not in err


def test_a_folder_that_takes_no_run(make, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "write_text", full)
    with pytest.raises(RunError) as caught:
        Run.create(make(), tmp_path / "runs", [])
    assert str(caught.value) == f"{tmp_path / 'runs'}: no run can be kept there (No space left on device)."
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_full_disk_leaves_the_checkpoint_before(make, tmp_path, monkeypatch):
    experiment = make()
    one = Run.create(experiment, tmp_path / "runs", [])
    one.train(experiment, lambda record: None)
    before = one.last_path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match=r"cannot be written \(No space left on device\)\. What was saved there before"):
        one.save(Run.capture(experiment), experiment.config)
    assert one.last_path.read_bytes() == before
    assert [path.name for path in sorted(one.last_path.parent.iterdir())] == ["last.npz"]


def test_few_open_files_are_enough(command, write, changed):
    status, _, err = command("train", write(changed()), **limited(resource.RLIMIT_NOFILE, 12))
    assert status == 0, err


def test_too_little_memory_is_one_sentence(command, write, changed):
    # NumPy itself does not fit in.
    status, out, err = command("train", write(changed()), **limited(resource.RLIMIT_AS, 2**26))
    assert (status, out) == (1, "")
    assert "memory" in err.lower()
    assert err.count("\n") == 1


def test_memory_that_ends_while_training(make, tmp_path):
    experiment = make(LONG)
    one = Run.create(experiment, tmp_path / "runs", [])

    def end(record):
        if record is not None and record.epoch == 3:
            raise MemoryError

    with pytest.raises(MemoryError):
        one.train(experiment, end)
    assert status_of(one.folder) == "interrupted"
    again, resumed = resume(one.folder, ["training.epochs=4"])
    assert again.train(resumed, lambda record: None) == "finished"


def test_trainings_of_one_name_at_once_have_a_folder_each(start, write, changed, tmp_path):
    path = write(changed())
    processes = [start("train", path) for _ in range(4)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    found = sorted(folder.name for folder in (tmp_path / "runs").iterdir())
    assert found == ["small", "small-2", "small-3", "small-4"]
    assert len({(tmp_path / "runs" / name / "metrics.csv").read_text().count("\n") for name in found}) == 1


def test_a_run_is_trained_by_one_process_at_a_time(training, command, tmp_path):
    process = training()
    status, out, err = command("train", "--resume", tmp_path / "runs" / "small")
    assert (status, out) == (2, "")
    assert "runs/small: another process is training this run. Wait for it, or stop it." in err
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert files.is_held(tmp_path / "runs" / "small") is False


def test_a_run_of_another_format(command, train_run, change_metadata):
    one, _ = train_run()
    for path in (one.last_path, one.best_path):
        if path.exists():
            change_metadata(path, lambda metadata: metadata.update(format=1, tinynet="0.0.9"))
    for words in (("train", "--resume", one.folder), ("eval", one.folder), ("predict", one.last_path, "0.1,0.2")):
        status, out, err = command(*words)
        assert (status, out) == (1 if words[0] != "predict" else status, "")
        assert "has format 1" in err or words[0] == "predict"
    assert "Use the tinynet that wrote it ('0.0.9'), or train anew." in err


def test_a_clock_that_jumps_changes_nothing(make, train_run, tmp_path, monkeypatch):
    one, _ = train_run()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(run, "now", lambda: "1970-01-01T00:00:00+00:00")
    experiment = make()
    other = Run.create(experiment, tmp_path / "other", [])
    other.train(experiment, lambda record: None)
    assert other.meta["finished"] == "1970-01-01T00:00:00+00:00"
    for record, same in zip(other.records(), one.records(), strict=True):
        assert (record.seconds >= 0, record.test_loss) == (True, same.test_loss)


# Interrupts


def wait_for_handlers(process):
    """Until the process answers SIGTERM itself, which Python alone does not: on a busy machine its start takes long."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        time.sleep(0.1)
        return
    while process.poll() is None:
        (caught,) = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigCgt")]
        if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("number", interrupts.SIGNALS)
@pytest.mark.parametrize("moment", range(6))
def test_a_signal_at_any_moment(start, write, changed, tmp_path, number, moment):
    process = start("train", write(changed(LONG)), "--set=training.checkpoint_seconds=0")
    # From the first lines of the command to the middle of the training.
    wait_for_handlers(process)
    time.sleep(0.15 * moment)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (128 + number, -number), err
    if process.returncode > 0:
        assert "Traceback" not in err
        assert err.splitlines()[-1] in ("Interrupted.", "  tinynet train --resume runs/small")
    folder = tmp_path / "runs" / "small"
    if folder.exists():
        assert status_of(folder) == "interrupted"
        assert "tinynet train --resume runs/small" in err
        assert not list(folder.rglob("*.part"))
        assert read(folder / "checkpoints" / "last.npz").metadata["progress"]["records"]


def test_two_signals_stop_at_once_and_leave_whole_files(training, command, tmp_path):
    process = training()
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, 143)
    assert "Traceback" not in err
    assert "tinynet train --resume runs/small" in err
    folder = tmp_path / "runs" / "small"
    done = read(folder / "checkpoints" / "last.npz").epoch
    assert status_of(folder) in ("interrupted", "running")
    assert command("train", "--resume", folder, f"--set=training.epochs={done + 2}")[0] == 0


def test_a_signal_that_the_caller_ignores_is_ignored(start, write, changed, tmp_path):
    # As nohup and a shell's `&` have it.
    process = start(
        "train", write(changed({"epochs: 2": "epochs: 2000"})), preexec_fn=lambda: signal.signal(1, signal.SIG_IGN)
    )
    wait_for(tmp_path / "runs" / "small" / "metrics.csv", process)
    process.send_signal(1)
    process.communicate(timeout=60)
    assert process.returncode == 0


# Divergence


def test_what_a_divergence_suggests_works(command, write, changed):
    path = write(changed({"lr: 0.1": "lr: 1e30", "epochs: 2": "epochs: 5"}))
    status, _, err = command("train", path)
    assert status == 3
    advice = re.search(r"Try a smaller learning rate \((\S+), now 1e\+30\), or (training\.clip_norm): 1\.", err)
    option, clip = advice.groups()
    assert command("train", path, "--set", f"{option}=0.1")[0] == 0
    # A rate that diverges by steep gradients alone: the clip is enough.
    steep = write(
        "dataset: {Disk: {train: 40, test: 20, targets: sign}}\nlayers: [Linear: 5, Linear: 2]\nloss: MSE\n"
        "optimizer: {SGD: 5}\ntraining: {epochs: 50, batch_size: 10}\n",
        "steep.yaml",
    )
    status, _, err = command("train", steep)
    assert status == 3, err
    assert command("train", steep, "--set", f"{clip}=1")[0] == 0
    # And from the last good checkpoint on.
    status, _, err = command("train", "--resume", "runs/steep", "--force", "--set", f"{option}=0.01")
    assert status == 0, err


# Going on as another experiment


def test_force_changes_the_learning_rate_from_here_on(make, train_run):
    one, _ = train_run({"SGD: {lr: 0.1}": "SGD: {lr: 0.1, momentum: 0.9}"}, "training.epochs=3")
    again, resumed = resume(one.folder, ["optimizer.SGD.lr=0.01", "training.epochs=5"], force=True)
    assert again.train(resumed, lambda record: None) == "finished"
    by_hand = make({"SGD: {lr: 0.1}": "SGD: {lr: 0.1, momentum: 0.9}"}, "training.epochs=5")
    for record in by_hand.train():
        if record.epoch == 3:
            by_hand.optimizer.lr = 0.01
    assert resumed.net.vector.all_tensors.tobytes() == by_hand.net.vector.all_tensors.tobytes()
    assert again.meta["resumed"][0]["changed"] == {"optimizer.SGD.lr": [0.1, 0.01]}
    assert tinynet.load(one.folder / "resolved.yaml").optimizer.options["lr"] == 0.01
    # Which is the experiment from now on: no force is needed any more.
    assert resume(one.folder, ["training.epochs=6"])[1].optimizer.lr == 0.01


@pytest.mark.parametrize(
    "changes",
    [
        ["optimizer=Adam"],
        ["optimizer.SGD.momentum=0.9"],
        ["loss=L1"],
        ["training.batch_size=7"],
        ["training.evaluate_train=true"],
        ["dataset.Disk.train=33", "dataset.Disk.validation=0.2"],
        ["training.early_stopping={monitor: train_loss, patience: 1}", "training.evaluate_train=true"],
        ["seed=5"],
        ["dtype=float64"],
    ],
)
@pytest.mark.parametrize("rounds", [1, 2])
def test_force_lets_all_else_change(make, tmp_path, changes, rounds):
    experiment = make({}, f"training.rounds={rounds}", "training.epochs=4")
    one = Run.create(experiment, tmp_path / "runs", [])
    seen = []

    def stop(record):
        seen.append(record)
        one.stop = len(seen) == 2 * rounds + 1

    assert one.train(experiment, stop) == "interrupted"
    again, resumed = resume(one.folder, changes, force=True)
    assert again.train(resumed, lambda record: None) == "finished"
    assert np.isfinite(resumed.net.vector.all_tensors).all()
    assert {record.epoch for record in again.records()} >= {0, 1, 2}


def test_an_edit_of_resolved_yaml_is_a_change(train_run):
    one, _ = train_run()
    path = one.folder / "resolved.yaml"
    path.write_text(path.read_text().replace("lr: 0.1", "lr: 0.2"))
    with pytest.raises(tinynet.UsageError, match=r"optimizer\.SGD\.lr: 0\.1 -> 0\.2"):
        resume(one.folder, ["training.epochs=4"])
    assert resume(one.folder, ["training.epochs=4"], force=True)[1].optimizer.lr == 0.2


def test_data_may_move_as_long_as_they_are_the_same(train_run, tmp_path):
    lines = [f"{a:.3f},{b:.3f},{'cat' if a > b else 'dog'}" for a, b in np.random.default_rng(0).random((40, 2))]
    (tmp_path / "t.csv").write_text("a,b,kind\n" + "\n".join(lines) + "\n")
    one, _ = train_run({"Disk: {train: 40, test: 20}": "CSV: {path: t.csv, column: kind}"})
    (tmp_path / "t.csv").rename(tmp_path / "moved.csv")
    moved = [f"dataset.CSV.path={tmp_path / 'moved.csv'}", "training.epochs=3"]
    again, resumed = resume(one.folder, moved)
    assert again.train(resumed, lambda record: None) == "finished"
    (tmp_path / "moved.csv").write_text("a,b,kind\n" + "\n".join(lines[::-1]) + "\n")
    with pytest.raises(tinynet.DataError, match="`--resume --force` goes on with the new one"):
        resume(one.folder, ["training.epochs=5"])
    again, resumed = resume(one.folder, ["training.epochs=5"], force=True)
    assert again.train(resumed, lambda record: None) == "finished"
    assert again.meta["resumed"][1]["changed"] == {"dataset": ["as before", "other samples"]}


def test_force_and_dry_run_have_their_places(cli, write, changed, train_run):
    assert "--force goes with --resume RUN" in cli("train", write(changed()), "--force")[2]
    one, _ = train_run()
    assert "--dry-run goes with a config" in cli("train", "--resume", one.folder, "--dry-run")[2]


def test_a_run_cannot_end_before_the_epoch_it_is_in(make, tmp_path):
    experiment = make({}, "training.epochs=4")
    one = Run.create(experiment, tmp_path / "runs", [])
    one.train(experiment, lambda record: setattr(one, "stop", record is not None and record.epoch == 2))
    progress = experiment.rounds[0].progress
    while progress.batch == 0:
        next(experiment.training.steps())
    one.save(Run.capture(experiment), experiment.config)
    with pytest.raises(tinynet.UsageError, match=r"training\.epochs=2: the run is in epoch 3 already"):
        resume(one.folder, ["training.epochs=2"])
    again, resumed = resume(one.folder, ["training.epochs=3"])
    assert again.train(resumed, lambda record: None) == "finished"


def test_a_run_without_its_checkpoint_stays_the_same_experiment(make, train_run, tmp_path):
    fresh = Run.create(make(), tmp_path / "runs", [])
    with pytest.raises(tinynet.UsageError, match=r"would change:\n  optimizer\.SGD\.lr"):
        resume(fresh.folder, ["optimizer.SGD.lr=3"])
    fresh.write_meta(data_sha256="other")
    with pytest.raises(tinynet.DataError, match="the data have changed since the run began"):
        resume(fresh.folder, [])
    one, _ = train_run()
    one.last_path.unlink()
    before = (one.folder / "metrics.csv").read_bytes()
    with pytest.raises(tinynet.CheckpointError, match=r"last\.npz: is missing, so the run cannot go on\. Train"):
        resume(one.folder, [])
    assert (one.folder / "metrics.csv").read_bytes() == before


def test_what_force_makes_meaningless_is_put_aside(make, train_run):
    one, _ = train_run({"batch_size: 16": "batch_size: 16\n  evaluate_train: true"})
    best = one.best_path.read_bytes()
    again, resumed = resume(one.folder, ["training.evaluate_train=false", "training.epochs=3"], force=True)
    again.train(resumed, lambda record: None)
    assert again.summary["best"] is None
    assert not one.best_path.exists()
    assert one.best_path.with_name("best-before-3.npz").read_bytes() == best
    # Another net begins its own search.
    two, _ = train_run({"batch_size: 16": "batch_size: 16\n  evaluate_train: true"})
    again, resumed = resume(two.folder, ["layers[1]=Tanh", "training.epochs=3"], force=True)
    again.train(resumed, lambda record: None)
    assert again.summary["best"]["epoch"] == 3


@pytest.mark.parametrize("rounds", [1, 2])
def test_forced_standardising_scales_the_data(make, tmp_path, rounds):
    experiment = make({}, f"training.rounds={rounds}")
    one = Run.create(experiment, tmp_path / "runs", [])
    one.train(experiment, lambda record: None)
    again, resumed = resume(one.folder, ["dataset.Disk.standardize=true", "training.epochs=3", "seed=7"], force=True)
    for number, each in enumerate(resumed.rounds):
        np.testing.assert_allclose(each.dataset.train.x.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_array_equal(
            each.dataset.train.x, make({}, "dataset.Disk.standardize=true", f"seed={7 + number}").dataset.train.x
        )
    assert again.train(resumed, lambda record: None) == "finished"
    assert again.meta["seeds"] == [7, 8][:rounds]
    assert resume(one.folder, [])[1].training.finished


def test_a_folder_half_made_by_a_killed_process_is_cleared_later(make, tmp_path):
    runs = tmp_path / "runs"
    old, new, mine = (runs / name for name in (f".a.{'0' * 16}.part", f".b.{'1' * 16}.part", ".mine.part"))
    for folder in (old, new, mine):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    os.utime(mine, (0, 0))
    Run.create(make(), runs, [])
    assert sorted(path.name for path in runs.iterdir()) == [new.name, mine.name, "small"]


@pytest.mark.parametrize(
    "row", ["0,-5,,,,,,,,1", "0,1000000000000000000000,,,,,,,,1", "0,1,1e308,,,,,,,1", "x", "0,1\x00,,,,,,,,"]
)
def test_rows_of_metrics_that_no_training_leaves(train_run, row):
    one, _ = train_run()
    with (one.folder / "metrics.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(tinynet.CheckpointError, match=r"metrics\.csv is broken: "):
        one.records()


def test_a_pipe_is_no_file_of_a_run(train_run):
    one, _ = train_run()
    for name in ("metrics.csv", "resolved.yaml"):
        (one.folder / name).unlink()
        os.mkfifo(one.folder / name)
    with pytest.raises(tinynet.CheckpointError, match="it is no file"):
        one.records()
    assert resume(one.folder, [])[1].training.finished


def test_a_run_that_another_process_has_gone_on_with_is_read_anew(train_run):
    one, _ = train_run()
    slow = resume(one.folder, ["training.epochs=3"])
    quick, resumed = resume(one.folder, ["training.epochs=9"])
    assert quick.train(resumed, lambda record: None) == "finished"
    with pytest.raises(tinynet.UsageError, match="another process has gone on with this run meanwhile"):
        slow[0].train(slow[1], lambda record: None)
    assert len(one.records()) == 10


def test_nothing_is_written_into_another_run_of_the_same_name(make, tmp_path):
    experiment = make({}, "training.epochs=9")
    one = Run.create(experiment, tmp_path / "runs", [])

    def replace(record):
        if record is not None and record.epoch == 2:
            one.folder.rename(tmp_path / "moved")
            other = make()
            Run.create(other, tmp_path / "runs", []).train(other, lambda record: None)

    with pytest.raises(RunError, match="the run's folder is gone, deleted or moved"):
        one.train(experiment, replace)
    assert len(Run.open(tmp_path / "runs" / "small").records()) == 3
    again, resumed = resume(tmp_path / "moved", [])
    assert again.train(resumed, lambda record: None) == "finished"


def test_a_resumed_run_asks_blas_for_as_many_threads_as_before(cli, train_run, monkeypatch):
    one, _ = train_run()
    one.write_meta(blas={"threads": "3"})
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    cli("train", "--resume", one.folder)
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
    cli("train", "--blas-threads", 2, "--resume", one.folder)
    assert os.environ["OPENBLAS_NUM_THREADS"] == "2"


def test_a_picture_or_a_table_that_cannot_be_written_leaves_the_one_before(cli, train_run, tmp_path, monkeypatch):
    one, _ = train_run()
    assert cli("plot", one.folder)[0] == 0
    before = {path: path.read_bytes() for path in (one.folder / "plots").iterdir()}

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "replace", full)
    status, _, err = cli("plot", one.folder)
    assert (status, "No space left on device" in err, ".png" in err) == (1, True, True)
    (tmp_path / "p.csv").write_text("x1,x2\n0.1,0.2\n")
    status, _, err = cli("predict", one.last_path, "p.csv", "--out", "out.csv")
    assert (status, err) == (1, "Error: out.csv: No space left on device\n")
    assert not (tmp_path / "out.csv").exists()
    assert {path: path.read_bytes() for path in (one.folder / "plots").iterdir()} == before


def test_a_home_that_is_not_there(cli, write, changed):
    write(changed())
    for words in (
        ["train", "c.yaml", "--runs", "~no-one/r"],
        ["runs", "~no-one"],
        ["layers", "--plugin", "~no-one/p.py"],
    ):
        status, _, err = cli(*words)
        assert (status, "there is no such home folder" in err) == (2, True), err


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("epoch", float("inf")),
        ("step", float("inf")),
        ("step", "x"),
        ("optimizer_steps", float("nan")),
        ("description.classes", [1, 2]),
        ("description.classes", {"a": 1}),
        ("description.columns", 5),
        ("description.commonest", "x"),
        ("description.input_shape", [-1.5]),
        ("description.input_scaling", {"mean": [0, 0], "deviation": [1, float("nan")]}),
        ("progress.epoch", 1.5),
        ("progress.records", [[0]]),
        ("config", []),
        ("config.training.epochs", float("inf")),
    ],
)
def test_metadata_of_wrong_types(command, train_run, change_metadata, path, value):
    one, _ = train_run()

    def change(metadata):
        *keys, last = path.split(".")
        for key in keys:
            metadata = metadata[key]
        metadata[last] = value

    change_metadata(one.last_path, change)
    with pytest.raises(tinynet.CheckpointError, match=r"broken|does not fit"):
        tinynet.load_checkpoint(one.last_path)
    with pytest.raises(tinynet.CheckpointError, match=r"broken|does not fit"):
        resume(one.folder, [])


def test_metadata_nested_too_deep(train_run, rewrite_npz):
    one, _ = train_run()
    rewrite_npz(one.last_path, lambda arrays: arrays.update(metadata=np.array("[" * 100_000)))
    with pytest.raises(tinynet.CheckpointError, match="metadata is broken"):
        read(one.last_path)


def test_forced_data_with_another_class(train_run, tmp_path):
    lines = [f"{a:.3f},{b:.3f},{'cat' if a > b else 'dog'}" for a, b in np.random.default_rng(0).random((40, 2))]
    (tmp_path / "t.csv").write_text("a,b,kind\n" + "\n".join(lines) + "\n")
    one, _ = train_run({"Disk: {train: 40, test: 20}": "CSV: {path: t.csv, column: kind}", "Linear: 2": "Linear: 3"})
    lines = [line.replace("cat", "ape") if k % 3 else line for k, line in enumerate(lines)]
    (tmp_path / "t.csv").write_text("a,b,kind\n" + "\n".join(lines) + "\n")
    again, resumed = resume(one.folder, ["training.epochs=3"], force=True)
    assert again.train(resumed, lambda record: None) == "finished"
    assert resumed.description.classes == ["ape", "cat", "dog"]


def test_a_divergence_advises_what_is_not_there_yet(command, write, changed):
    path = write(changed({"lr: 0.1": "lr: 1e30", "epochs: 2": "epochs: 5\n  clip_norm: 1e9"}))
    status, _, err = command("train", path)
    assert status == 3
    assert "clip_norm: 1" not in err
    (printed,) = re.findall(
        r"^  tinynet (train --resume runs/small --force --set optimizer.SGD.lr=1e\+29)$", err, re.MULTILINE
    )
    assert command(*printed.split())[0] == 3


def test_runs_does_not_go_with_resume(cli, train_run):
    one, _ = train_run()
    assert "--runs goes with a config" in cli("train", "--resume", one.folder, "--runs", "other")[2]
