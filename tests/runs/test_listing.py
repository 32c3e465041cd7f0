"""`tinynet runs`: what the list says of every kind of run, running, stopped, broken or hostile ones among them."""

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from tinynet.cli.output import width
from tinynet.cli.runs import _ago, _cut, _duration
from tinynet.common import files
from tinynet.common.errors import CheckpointError, UsageError
from tinynet.common.files import held
from tinynet.runs.listing import FIGURES, MEASURED, _plugins, is_training, list_runs, read
from tinynet.runs.run import Run
from tinynet.training.record import COLUMNS

NOTHING = dict.fromkeys(COLUMNS, "")


@pytest.fixture
def make_run(tmp_path):
    """Writes the text files of a run: its meta.json with changes, the rows of metrics.csv, and a summary."""

    def made(name="one", rows=(), summary=None, epochs=50, rounds=1, **meta):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        known = {"name": "c", "status": "finished", "started": ago(0), "finished": ago(0), "seeds": list(range(rounds))}
        (folder / "meta.json").write_text(json.dumps({**known, **meta}))
        (folder / "resolved.yaml").write_text(f"name: c\ntraining: {{epochs: {epochs}, batch_size: 10}}\n")
        lines = [",".join(str({**NOTHING, "seconds": 0.0, **row}[column]) for column in COLUMNS) for row in rows]
        (folder / "metrics.csv").write_text("\n".join([",".join(COLUMNS), *lines, ""]))
        if summary is not None:
            given = {"status": "finished", "epochs": 0, "seconds": 0.0} | dict.fromkeys(MEASURED) | summary
            (folder / "summary.json").write_text(json.dumps(given))
        return folder

    return made


def ago(seconds):
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds")


def epoch(number, error=0.5, round=0, **more):
    return {"round": round, "epoch": number, "test_error": error, "test_loss": 10 * error, **more}


GONE = object()


def change(path, **changes):
    """Changes values of a JSON file, or takes them away."""
    found = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in found.items() if value is not GONE}))


def cells(line):
    """The cells of a line of the table, which stand two blanks apart at least."""
    return [cell.strip() for cell in line.split("  ") if cell]


# What real trainings leave


def test_a_finished_run_is_shown_with_the_figures_of_its_summary(train_run, cli):
    run, _ = train_run({}, "training.evaluate_train=true")
    last = json.loads((run.folder / "summary.json").read_text())
    status, out, err = cli("runs")
    assert (status, err) == (0, "")
    upper, heading, row = out.splitlines()
    assert upper.split() == ["train", "train", "test", "test"]
    assert heading.split() == ["run", "status", "epoch", "loss", "error", "loss", "error", "time", "started"]
    shown = [f"{last['train_loss']:.4g}", f"{last['train_error']:.1%}", f"{last['test_loss']:.4g}"]
    shown += [f"{last['test_error']:.1%}", f"{last['seconds']:.2f} s", "just now"]
    assert cells(row) == ["small", "finished", "2/2", *shown]


def test_the_json_holds_what_the_summary_and_the_meta_do(train_run, cli):
    run, _ = train_run({}, "training.evaluate_train=true", "training.rounds=2")
    status, out, err = cli("runs", "--json")
    assert (status, err) == (0, "")
    (found,) = json.loads(out)["runs"]
    summary = json.loads((run.folder / "summary.json").read_text())
    meta = json.loads((run.folder / "meta.json").read_text())
    assert found == {
        "run": "runs/small",
        "name": "small",
        "status": "finished",
        "epoch": 2,
        "epochs": 2,
        "rounds": 2,
        "rounds_counted": 2,
        "seconds": summary["seconds"],
        "started": meta["started"],
        "finished": meta["finished"],
        "problem": None,
        "resume": None,
        "test_r2": None,
        "test_mean_absolute_error": None,
        **{name: summary[name] for name in MEASURED},
    }


def test_without_its_summary_a_run_has_the_same_figures(train_run):
    early = ["training.early_stopping={monitor: train_error, patience: 1}", "training.epochs=400"]
    for overrides in ([], ["training.rounds=3"], early, ["training.rounds=3", *early]):
        run, _ = train_run({"epochs: 2": "epochs: 2\n  evaluate_train: true"}, *overrides)
        before = read(run.folder)
        (run.folder / "summary.json").unlink()
        after = read(run.folder)
        for name, value in before.figures.items():
            assert after.figures.get(name) == (None if value is None else pytest.approx(value, rel=1e-12)), name
        assert (after.epoch, after.epochs, after.rounds_counted) == (before.epoch, before.epochs, before.rounds_counted)
        assert after.seconds == pytest.approx(before.seconds, abs=1e-5)


def test_a_regression_shows_its_r2_and_no_errors(make_run, cli):
    make_run("line", [epoch(3, "")], {"epochs": 3, "test_loss": 0.25, "test_r2": 0.875})
    out = cli("runs")[1].splitlines()
    assert out[0].split() == ["test", "test"]
    assert out[1].split()[3:5] == ["loss", "r2"]
    assert cells(out[2])[3:5] == ["0.25", "0.875"]


KILLED = """\
name: killed
dataset: {Disk: {train: 2000, test: 20}}
layers: [Linear: 5, ReLU, Linear: 2]
loss: CrossEntropy
optimizer: {SGD: 0.1}
training: {epochs: 100000, batch_size: 16, checkpoint_seconds: 0.2}
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_stopped_in_the_middle_comes_with_the_command_that_goes_on(write, start, cli, tmp_path, number):
    write(KILLED)
    process = start("train", "c.yaml")
    folder = tmp_path / "runs" / "killed"
    wait_for(lambda: (getattr(read(folder), "epoch", None) or 0) > 1)
    process.send_signal(number)
    process.communicate(timeout=60)
    status, out, _ = cli("runs")
    assert status == 0
    name = "stopped" if number == signal.SIGKILL else "interrupted"
    (row,) = [line for line in out.splitlines() if line.startswith("killed")]
    assert cells(row)[1] == name
    assert out.endswith("\n\nStopped in the middle. To go on:\n  tinynet train --resume runs/killed\n")
    (found,) = json.loads(cli("runs", "--json")[1])["runs"]
    assert (found["status"], found["resume"]) == (name, "tinynet train --resume runs/killed")
    assert found["epoch"] >= 2
    assert found["epochs"] == 100000
    resumed = cli(*shlex.split(found["resume"])[1:], "--set", f"training.epochs={found['epoch'] + 1}", "--quiet")
    assert resumed[0] == 0, resumed
    assert read(folder).status == "finished"


def wait_for(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# Alive or not


def test_a_running_run_is_one_whose_folder_a_process_holds(make_run):
    folder = make_run("one", [epoch(7)], status="running", finished=None)
    other = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(other, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"held\n"
            assert is_training(folder)
            assert is_training(folder)  # to look is not to take
            found = read(folder)
            assert (found.status, found.epoch, found.resumable) == ("running", 7, False)
        finally:
            process.kill()
    assert not is_training(folder)
    found = read(folder)
    assert (found.status, found.epoch, found.resumable) == ("stopped", 7, True)


HOLD = """
import sys
from pathlib import Path
from tinynet.common.files import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_looking_at_a_run_leaves_nothing_in_its_folder(make_run):
    folder = make_run(status="running", finished=None)
    before = sorted(os.listdir(folder))
    read(folder)
    assert sorted(os.listdir(folder)) == before
    with held(folder):
        pass
    assert sorted(os.listdir(folder)) == [".lock", *before]
    assert read(folder).status == "stopped"


def test_where_locks_cannot_be_asked_for_meta_json_is_believed(make_run, monkeypatch):
    folder = make_run(status="running", finished=None)
    with held(folder):
        pass
    assert read(folder).status == "stopped"
    monkeypatch.setattr("filelock.lock_descriptor", refuse(errno.ENOLCK))
    assert read(folder).status == "running"


def refuse(number):
    def refused(*arguments, **options):
        raise OSError(number, os.strerror(number))

    return refused


def test_a_run_that_ends_while_it_is_looked_at_is_not_called_stopped(make_run, monkeypatch):
    folder = make_run("one", [epoch(50)], status="running", finished=None)

    def ends(folder):
        change(folder / "meta.json", status="finished")
        return False

    monkeypatch.setattr("tinynet.runs.listing.is_training", ends)
    assert read(folder).status == "finished"


def test_a_run_stopped_before_its_first_epoch_has_no_figures(make_run, cli):
    folder = make_run("a run", status="running", finished=None)
    (folder / "metrics.csv").unlink()
    out = cli("runs")[1]
    assert [cells(line) for line in out.splitlines()[:2]] == [
        ["run", "status", "epoch", "time", "started"], ["a run", "stopped", "-", "-", "just now"],
    ]  # fmt: skip
    assert out.endswith("\n\nStopped in the middle. To go on:\n  tinynet train --resume 'runs/a run'\n")


def test_a_folder_that_is_being_made_is_no_run_yet(make_run, tmp_path):
    make_run(".c.0123456789abcdef.part", status="running", finished=None)
    assert list_runs(tmp_path / "runs") == []


def test_the_command_names_the_plugins_of_the_run_and_is_quoted(make_run, cli):
    command = ["tinynet", "train", "c.yaml", "--plugin", "my layers.py", "--plugin=b.py"]
    make_run("it's; rm", [epoch(1)], status="interrupted", command=command)
    (found,) = json.loads(cli("runs", "--json")[1])["runs"]
    assert shlex.split(found["resume"]) == [
        *("tinynet", "train", "--resume", "runs/it's; rm", "--plugin", "my layers.py", "--plugin", "b.py")
    ]
    assert found["resume"] in cli("runs")[1]
    assert _plugins(["--plugin"]) == [""]


# Figures, epochs and rounds


def test_figures_of_a_run_under_way_are_those_of_its_last_whole_row(make_run):
    rows = [epoch(number, number / 1000, seconds=number / 2) for number in range(400)]
    folder = make_run("one", rows, {"epochs": 10, "test_error": 0.9}, status="running", finished=None)
    assert (folder / "metrics.csv").stat().st_size > 3 * 4096
    with (folder / "metrics.csv").open("a") as file:
        file.write("0,400,0.1,0.2")  # being written
    found = read(folder)
    assert (found.epoch, found.epochs, found.seconds) == (399, 50, 199.5)
    assert (found.figures["test_error"], found.figures["test_loss"]) == (0.399, 3.99)
    assert found.figures["train_loss"] is None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # At once: all are at the same epoch, or the newest row's round is one ahead.
        ([epoch(4, 0.2, 0), epoch(4, 0.4, 1), epoch(5, 0.3, 0)], (5, 2, 0.35)),
        # One after another: two have ended, one of them early, and the third is under way.
        ([epoch(9, 0.2, 0), epoch(20, 0.4, 1), epoch(3, 0.9, 2)], (20, 2, 0.3)),
        ([epoch(3, 0.9, 0)], (3, 1, 0.9)),
        # One after another, about to end: the third is as good as there, or not yet.
        ([epoch(20, 0.2, 0), epoch(20, 0.4, 1), epoch(19, 0.6, 2)], (20, 3, 0.4)),
        ([epoch(20, 0.2, 0), epoch(20, 0.4, 1), epoch(18, 0.6, 2)], (20, 2, 0.3)),
        # More rows than the end of the file holds.
        ([*(epoch(n, 0.2, 0) for n in range(400)), *(epoch(n, 0.4, 1) for n in range(399))], (399, 2, 0.3)),
        # At once, and the first has stopped early.
        ([epoch(9, 0.2, 0), epoch(20, 0.3, 1), epoch(20, 0.4, 2)], (20, 3, 0.3)),
    ],
)
def test_rounds_under_way_and_behind_do_not_count(make_run, cli, rows, expected):
    make_run("three", [{**row, "seconds": 1.0} for row in rows], status="interrupted", rounds=3)
    (found,) = json.loads(cli("runs", "--json")[1])["runs"]
    done, counted, error = expected
    assert (found["epoch"], found["rounds"], found["rounds_counted"]) == (done, 3, counted)
    assert found["test_error"] == pytest.approx(error)
    assert found["seconds"] == len({row["round"] for row in rows})
    out = cli("runs")[1].splitlines()
    assert "rounds" in out[1]
    assert f"{done}/50" in out[2]
    assert f"{counted}/3" in out[2]


def test_all_rounds_of_a_finished_run_count(make_run):
    found = read(make_run("two", [epoch(20, 0.2, 0), epoch(5, 0.4, 1)], rounds=2))  # the second stopped early
    assert (found.epoch, found.rounds_counted, found.figures["test_error"]) == (20, 2, pytest.approx(0.3))


def test_there_is_no_mean_where_a_round_has_no_figure(make_run):
    found = read(make_run("two", [epoch(5, 0.2, 0, train_loss=1.0), epoch(5, 0.4, 1)], status="interrupted", rounds=2))
    assert found.figures["train_loss"] is None


def test_the_epochs_asked_for_are_read_as_the_config_is_written(train_run):
    run, _ = train_run(
        {}, "training.early_stopping.monitor=train_loss", "training.epochs=5", "training.evaluate_train=true"
    )
    assert read(run.folder).epochs == 5
    (run.folder / "resolved.yaml").write_text("name: c\ntraining:\n  epochs: 12345678\n  batch_size: 1\n")
    assert read(run.folder).epochs == 12345678
    (run.folder / "resolved.yaml").unlink()
    assert (read(run.folder).epochs, read(run.folder).status) == (None, "finished")


def test_a_divergence_is_shown_with_its_last_good_epoch_and_no_command(make_run, cli):
    make_run("one", [epoch(3)], status="diverged")
    out = cli("runs")[1]
    assert cells(out.splitlines()[2])[:3] == ["one", "diverged", "3/50"]
    assert "--resume" not in out


def test_figures_that_are_no_numbers_are_null_in_json(make_run, cli):
    make_run("one", [epoch(3, "nan", train_loss="inf", seconds="inf")], status="diverged")
    assert "nan" in cli("runs")[1]
    (found,) = json.loads(cli("runs", "--json")[1])["runs"]
    assert found["test_error"] is found["train_loss"] is found["seconds"] is None


# Order, time and width


def test_the_newest_run_comes_first(make_run, cli):
    for name, age in (("b", 7200), ("a", 5 * 86400), ("d", -3600), ("c", 200)):
        make_run(name, [epoch(1)], started=ago(age))
    rows = [cells(line) for line in cli("runs")[1].splitlines()[2:]]
    assert [(row[0], row[-1]) for row in rows] == [
        ("d", "just now"), ("c", "3 min ago"), ("b", "2 h ago"), ("a", "5 d ago"),
    ]  # fmt: skip


def test_runs_of_the_same_second_are_in_the_order_they_were_written(make_run, tmp_path):
    for number, name in enumerate(("x-2", "x", "x-10")):
        folder = make_run(name, [epoch(1)], started="2026-01-02T03:04:05+00:00")
        os.utime(folder / "meta.json", (1000 + number, 1000 + number))
    assert [run.folder.name for run in list_runs(tmp_path / "runs")] == ["x-10", "x", "x-2"]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01", "0001-01-01"])
def test_any_time_that_is_one_has_an_age(make_run, cli, text):
    make_run("one", [epoch(1)], started=text)
    status, out, _ = cli("runs")
    assert status == 0
    assert "broken" not in out


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be set here")
def test_a_time_without_a_zone_is_utc(make_run, monkeypatch):
    try:
        with monkeypatch.context() as changed:
            changed.setenv("TZ", "JST-9")
            time.tzset()
            assert read(make_run(started="1970-01-01T00:01:00")).moment == 60
    finally:
        time.tzset()


def test_ages_and_times():
    assert [_ago(s) for s in (-1e9, 59, 60, 3599, 3600, 86399, 86400, 1e9)] == [
        "just now", "just now", "1 min ago", "59 min ago", "1 h ago", "23 h ago", "1 d ago", "11,574 d ago",
    ]  # fmt: skip
    assert [_duration(s) for s in (None, float("nan"), float("inf"), 0, 0.238, 31.3, 280, 7560)] == [
        "-", "-", "-", "0.00 s", "0.24 s", "31 s", "4.7 min", "2.1 h",
    ]  # fmt: skip


def test_long_names_are_cut_in_the_middle_on_a_terminal_only(make_run, cli, monkeypatch):
    name = "a-very-long-name-" * 8
    for end in ("2", "3"):
        make_run(name + end, [epoch(1)], status="interrupted")
    assert f"\n{name}2  interrupted" in cli("runs")[1]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    out = cli("runs")[1]
    lines = out.splitlines()[:4]
    assert max(map(len, lines)) == 80
    assert {line.split()[0][-3:] for line in lines[2:]} == {"e-2", "e-3"}
    assert f"--resume runs/{name}2\n" in out
    assert _cut("abcdefgh", 5) == "ab…gh"
    assert _cut("abcde", 5) == "abcde"


def test_a_wide_letter_takes_two_columns(make_run, cli, monkeypatch):
    assert [width(text) for text in ("abc", "日本語", "ｱｲｳ", "e\u0301", "")] == [3, 6, 3, 1, 0]
    assert _cut("日本語日本語", 12) == "日本語日本語"
    assert _cut("日本語日本語", 9) == "日本…本語"
    assert _cut("日本語日本語", 8) == "日…本語"
    make_run("日本語", [epoch(1)])
    make_run("abcdefg", [epoch(1)])
    lines = cli("runs")[1].splitlines()
    assert len({width(line[: line.index("finished")]) for line in lines[2:]}) == 1
    make_run("日本語" * 20, [epoch(1)])
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert 78 <= max(map(width, cli("runs")[1].splitlines())) <= 80


WIDE = {"train_loss": 2.869e11, "train_error": 0.5, "test_loss": 4.486e11, "test_error": 0.25, "test_r2": -6.571}


@pytest.mark.parametrize(
    ("figures", "rounds", "room", "left"),
    [
        (["train_loss", "train_error", "test_loss", "test_error"], 1, 100, ""),
        (["train_loss", "train_error", "test_loss", "test_error"], 1, 90, "train loss"),
        (["train_loss", "train_error", "test_loss", "test_error"], 1, 80, "train loss, train error"),
        (["train_loss", "train_error", "test_loss", "test_error"], 3, 80, "train loss, train error, time"),
        (["train_loss", "test_loss", "test_r2"], 3, 80, "train loss, time"),
        (list(WIDE), 3, 80, "train loss, train error, time, test loss"),
        (list(WIDE), 3, 64, "train loss, train error, time, test loss, rounds"),
    ],
)
def test_what_matters_least_is_left_out_where_there_is_no_room(make_run, cli, monkeypatch, figures, rounds, room, left):
    summary = {"status": "finished", "epochs": 100, "seconds": 250.0} | dict.fromkeys(FIGURES)
    summary |= {name: WIDE[name] for name in figures}
    make_run("a-name-of-20-letters", [epoch(100, round=k) for k in range(rounds)], summary, rounds=rounds)
    monkeypatch.setenv("COLUMNS", str(room))
    everything = cli("runs")[1]
    assert "Left out" not in everything
    assert all(word in everything for name in figures for word in name.split("_"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    out = cli("runs")[1]
    assert max(map(len, out.splitlines())) <= room
    assert (f"Left out, for want of room: {left}. --json has them." in " ".join(out.split())) == bool(left)
    (found,) = json.loads(cli("runs", "--json")[1])["runs"]
    assert {name: found[name] for name in WIDE if found[name] is not None} == {name: WIDE[name] for name in figures}


def test_names_cannot_write_to_the_terminal(make_run, cli):
    make_run("a\x1b[2Jb\nc", [epoch(1)], status="interrupted")
    (make_run("b\x1b[2J") / "meta.json").write_text("")
    out = cli("runs")[1]
    assert "\x1b" not in out
    rows = {cells(line)[0] for line in out.splitlines()[2:4]}
    assert rows == {r"a\x1b[2Jb\nc", r"b\x1b[2J"}
    broken = "\n\nBroken:\n  runs/b\\x1b[2J: meta.json is broken: line 1 is not JSON\n"
    assert out.endswith(r"--resume 'runs/a\x1b[2Jb\nc'" + broken)


# Folders


def test_a_folder_without_runs_says_how_to_make_one(cli, tmp_path, monkeypatch):
    line = "there are no runs yet. `tinynet init disk` and `tinynet train disk.yaml` make one.\n"
    assert cli("runs") == (0, f"runs: {line}", "")
    assert cli("runs", "--json") == (0, '{"runs": []}\n', "")
    monkeypatch.setenv("TINYNET_RUNS", "elsewhere")
    assert cli("runs") == (0, f"elsewhere: {line}", "")
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.txt").touch()
    assert cli("runs", ".") == (0, f".: {line}", "")


def test_the_folder_is_the_one_given_or_that_of_the_environment(make_run, cli, monkeypatch):
    make_run("one", [epoch(1)])
    monkeypatch.setenv("TINYNET_RUNS", "runs")
    assert "one" in cli("runs")[1]
    monkeypatch.setenv("TINYNET_RUNS", "elsewhere")
    assert "one" in cli("runs", "runs")[1]
    monkeypatch.setenv("HOME", os.getcwd())
    assert "one" in cli("runs", "~/runs")[1]


def test_a_folder_that_is_none_is_answered_with_what_to_type(make_run, cli, write):
    write("", "file.txt")
    make_run("one", [epoch(1)])
    for folder, said in (
        ("gone", "there is no such folder."),
        ("file.txt", "this is a file. Name the folder that holds the runs."),
        ("runs/one", "this is a run. Name the folder that holds it."),
    ):
        status, out, err = cli("runs", folder)
        assert (status, out) == (2, "")
        assert err.startswith(f"Error: {folder}: {said}")
    with pytest.raises(UsageError):
        list_runs(write("", "other.txt"))


# Broken runs


def text_of(path, text):
    path.write_text(text)


def bytes_of(path, data):
    path.write_bytes(data)


def no_file(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def huge(path):
    with path.open("r+b") as file:
        file.truncate(2**40)


def one_row(path, row):
    path.write_text(f"{','.join(COLUMNS)}\n{row}\n")


BROKEN = {
    "meta.json cut": ("meta.json", lambda p: text_of(p, p.read_text()[:30]), "meta.json is broken: line 1 is not JSON"),
    "meta.json empty": ("meta.json", lambda p: text_of(p, ""), "meta.json is broken: line 1 is not JSON"),
    "meta.json a list": ("meta.json", lambda p: text_of(p, "[1]"), "meta.json is broken: it holds no object"),
    "meta.json bytes": ("meta.json", lambda p: bytes_of(p, b"\xff\xfe\x00"), "meta.json is broken: it is no text"),
    "meta.json deep": ("meta.json", lambda p: text_of(p, "[" * 100_000), "meta.json is broken: it is nested too deep"),
    "meta.json a folder": ("meta.json", no_file, "meta.json is broken: it is no file"),
    "meta.json a pipe": ("meta.json", pipe, "meta.json is broken: it is no file"),
    "meta.json huge": ("meta.json", huge, "meta.json is broken: it has 1,099,511,627,776 bytes"),
    "no time": ("meta.json", lambda p: change(p, started="soon"), "meta.json is broken: Invalid isoformat string"),
    "a time that is a number": ("meta.json", lambda p: change(p, started=5), "meta.json is broken: "),
    "an end that is none": ("meta.json", lambda p: change(p, finished=[1]), "meta.json is broken: "),
    "no start": ("meta.json", lambda p: change(p, started=GONE), "meta.json is broken: it has no started"),
    "no status": ("meta.json", lambda p: change(p, status=None), "meta.json is broken: its status is None"),
    "a status of later": ("meta.json", lambda p: change(p, status="x" * 999), "meta.json is broken: its status is 'xx"),
    "seeds a number": ("meta.json", lambda p: change(p, seeds=3), "meta.json is broken: "),
    "command a number": ("meta.json", lambda p: change(p, command=3), "meta.json is broken: "),
    "another format": ("meta.json", lambda p: change(p, format=99), "the run has format 99, but tinynet 0.1.0 reads"),
    "summary cut": ("summary.json", lambda p: text_of(p, p.read_text()[:30]), "summary.json is broken: line 1 is not"),
    "summary of texts": ("summary.json", lambda p: change(p, test_loss="x"), "summary.json is broken: 'x' is no num"),
    "summary too large": ("summary.json", lambda p: change(p, test_loss=10**400), "summary.json is broken: int too"),
    "summary of half epochs": ("summary.json", lambda p: change(p, epochs=1.5), "summary.json is broken: 1.5 is no "),
    "summary without loss": ("summary.json", lambda p: change(p, test_loss=GONE), "summary.json is broken: it has no "),
    "metrics missing": ("metrics.csv", lambda p: p.unlink(), "metrics.csv is broken: it is missing"),
    "metrics empty": ("metrics.csv", lambda p: text_of(p, ""), "metrics.csv is broken: its columns are not those of"),
    "metrics without rows": ("metrics.csv", lambda p: text_of(p, ",".join(COLUMNS) + "\n"), "metrics.csv is broken"),
    "metrics of others": ("metrics.csv", lambda p: text_of(p, "round,epoch,loss\n0,1,2\n"), "metrics.csv is broken"),
    "metrics short": ("metrics.csv", lambda p: one_row(p, "0,1,2"), "metrics.csv is broken: it has a row of 3 values"),
    "metrics of words": ("metrics.csv", lambda p: one_row(p, "0,1,a,b,c,d,e,f,g,h"), "metrics.csv is broken: could no"),
    "metrics without epoch": ("metrics.csv", lambda p: one_row(p, "0,,,,,,,,,"), "metrics.csv is broken: None is no c"),
    "metrics of no epoch": ("metrics.csv", lambda p: one_row(p, "0,nan,,,,,,,,"), "metrics.csv is broken: nan is no c"),
    "metrics of bytes": ("metrics.csv", lambda p: bytes_of(p, b"\xff" * 9000), "metrics.csv is broken: it is no text"),
    "metrics a folder": ("metrics.csv", no_file, "metrics.csv is broken: it is no file"),
    "no epochs": ("resolved.yaml", lambda p: text_of(p, "training: 5\n"), "resolved.yaml is broken: it has no tra"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_run_is_named_with_the_reason_and_the_others_are_listed(make_run, cli, name, damage, reason):
    make_run("good", [epoch(2, 0.125)])
    damage(make_run("bad", [epoch(2)], {"epochs": 2, "test_loss": 1.0}) / name)
    status, out, err = cli("runs")
    assert (status, err) == (0, "")
    table, below = out.split("\n\n")
    rows = {line.split()[0]: cells(line) for line in table.splitlines()[2:]}
    assert rows["good"][1] == "finished"
    assert "12.5%" in rows["good"]
    assert rows["bad"][1] == "broken"
    heading, line = below.splitlines()
    assert heading == "Broken:"
    assert line.startswith(f"  runs/bad: {reason}")
    assert len(line) < 250
    found = {run["name"]: run for run in json.loads(cli("runs", "--json")[1])["runs"]}
    assert (found["bad"]["status"], found["good"]["problem"]) == ("broken", None)
    assert found["bad"]["problem"].startswith(reason)
    assert found["bad"]["resume"] is None


def test_files_that_may_not_be_read_are_told(make_run, monkeypatch):
    folder, opened = make_run("one", [epoch(1)]), os.open

    def refuse(path, *rest):
        if str(path).endswith("meta.json"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *rest)

    monkeypatch.setattr(files.os, "open", refuse)
    found = read(folder)
    assert (found.status, found.problem) == ("broken", "meta.json cannot be read: Permission denied")


def test_a_text_is_read_up_to_its_largest_size_only(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST", 10)
    path = tmp_path / "t"
    path.write_text("x" * 10)
    assert files.read_text(path) == "x" * 10
    path.write_text("x" * 11)
    with pytest.raises(CheckpointError, match=r"^t is broken: it has 11 bytes, more than 10$"):
        files.read_text(path)
    assert files.read_text(tmp_path / "gone") is None
    assert files.read_text(path / "beyond") is None


def test_lines_are_the_whole_ones_at_the_end(tmp_path):
    path = tmp_path / "t"
    path.write_text("a\nbb\ncc\ndd\ne")
    assert files.read_lines(path, 100) == ("a\n", ["bb", "cc", "dd"])
    assert files.read_lines(path, 7) == ("a\n", ["dd"])  # "cc", of which only the end may be there, is left out
    assert files.read_lines(tmp_path / "gone", 7) == (None, [])


# Many runs


def test_a_thousand_runs_are_listed_in_no_time_and_without_numpy(make_run, train_run, command, tmp_path):
    run, _ = train_run()
    texts = {name: (run.folder / name).read_bytes() for name in os.listdir(run.folder) if "." in name}
    for number in range(999):
        folder = tmp_path / "runs" / f"small-{number}"
        folder.mkdir()
        for name, text in texts.items():
            (folder / name).write_bytes(text)
    start = time.process_time()
    found = list_runs(tmp_path / "runs")
    assert time.process_time() - start < 1
    assert {(one.status, one.epoch) for one in found} == {("finished", 2)}
    status, out, err = command("runs", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert status == 0
    assert len(out.splitlines()) == 1002
    for name in ("numpy", "yaml"):
        assert f" {name}\n" not in err


def test_the_columns_are_those_of_a_record():
    assert {"round", "epoch", "seconds", *MEASURED} | {"learning_rate"} == set(COLUMNS)
    assert set(MEASURED) < set(FIGURES)


def test_run_create_and_the_list_agree(make, tmp_path):
    run = Run.create(make(), tmp_path / "runs", ["tinynet", "train"])
    found = read(run.folder)
    assert (found.status, found.epoch, found.epochs) == ("stopped", None, 2)
