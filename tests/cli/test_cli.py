"""The command line: every command, what goes to stdout and what to stderr, terminals, pipes, and quick starts."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet.cli import COMMANDS, execute, run
from tinynet.common import components
from tinynet.config import grammar

DISK = "Disk: {train: 40, test: 20}"
LOSS = "loss: CrossEntropy"
LAST = "- Linear: 2"


@pytest.fixture
def trained(cli, write, changed):
    """Trains the small config with parts replaced by the command, and returns what --json says."""

    def train(parts=(), *options):
        status, out, err = cli("train", write(changed(parts)), "--json", "--quiet", *options)
        assert status == 0, err
        return json.loads(out)

    return train


@pytest.fixture
def table(tmp_path):
    """t.csv: columns b, a, size (a + 2b) and kind (text, by the sign of a - b); the values of a and b."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    lines = [f"{b:.4f},{a:.4f},{a + 2 * b:.4f},{'cat' if a > b else 'dog'}" for a, b in x]
    (tmp_path / "t.csv").write_text("b,a,size,kind\n" + "\n".join(lines) + "\n")
    return x


@pytest.fixture
def numbers(write):
    """n.csv: columns a, b and size (a + 2b)."""
    lines = [f"{a:.4f},{b:.4f},{a + 2 * b:.4f}" for a, b in np.random.default_rng(0).random((40, 2))]
    write("a,b,size\n" + "\n".join(lines) + "\n", "n.csv")


def of_columns(text):
    """Rows of a CSV text as dicts."""
    return list(csv.DictReader(io.StringIO(text)))


# train


def test_train_puts_results_on_stdout_and_the_rest_on_stderr(cli, write, changed, tmp_path):
    status, out, err = cli("train", write(changed()))
    assert status == 0
    assert "Run: runs/small\n" in out
    assert "Next: tinynet plot runs/small\n" in out
    assert re.search(r"^2 epochs in \d+\.\d\d s", out, re.MULTILINE)
    records = tinynet.runs.run.Run.open(tmp_path / "runs" / "small").records()
    assert re.search(rf"^last +2 +{records[2].train_loss:.4g} ", out, re.MULTILINE)
    assert f"{records[2].test_error:.1%}" in out
    assert "commonest class" in out
    assert "epoch 0/2" in err
    assert "epoch 2/2" in err
    assert "epoch 2/2" not in out
    assert "40 train, 20 test samples; 27 parameters" in err


def test_train_json_is_one_object_and_nothing_else(cli, write, changed, tmp_path):
    status, out, err = cli("train", write(changed()), "--json")
    assert status == 0
    assert out.count("\n") == 1
    found, record = json.loads(out), tinynet.runs.run.Run.open(tmp_path / "runs" / "small").records()[-1]
    assert found["run"] == "runs/small"
    assert (found["status"], found["epochs"], found["rounds"]) == ("finished", 2, 1)
    for name in ("train_loss", "train_error", "test_loss", "test_error", "validation_loss", "validation_error"):
        assert found[name] == record[name]
    assert found["seconds"] > 0
    assert "epoch 2/2" in err


def test_quiet_leaves_stderr_empty(cli, write, changed):
    status, out, err = cli("train", write(changed()), "--quiet")
    assert (status, err) == (0, "")
    assert "Run: runs/small" in out


def test_options_of_train(trained, tmp_path):
    found = trained({}, "--name", "other", "--seed", "5", "--set", "training.epochs=3", "--runs", "there")
    assert (found["run"], found["epochs"]) == ("there/other", 3)
    resolved = tinynet.load(tmp_path / "there" / "other" / "resolved.yaml")
    assert (resolved.name, resolved.seed, resolved.training.epochs) == ("other", 5, 3)


def test_a_name_of_digits_is_a_text(trained):
    assert trained({}, "--name", "123")["run"] == "runs/123"


def test_tinynet_runs_is_the_folder_of_the_runs(trained, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYNET_RUNS", str(tmp_path / "elsewhere"))
    assert trained()["run"] == str(tmp_path / "elsewhere" / "small")


def test_dry_run_writes_nothing(cli, write, changed, tmp_path):
    path = write(changed())
    status, out, _ = cli("train", path, "--dry-run")
    assert status == 0
    assert re.search(r"^linear1 +Linear +\(5,\) +15$", out, re.MULTILINE)
    assert "27 parameters" in out
    assert re.search(r"One batch of 16 went forward and backward: loss \d", out)
    status, out, _ = cli("train", path, "--dry-run", "--json")
    found = json.loads(out)
    assert found["parameters"] == 27
    assert found["layers"][0] == {"name": "linear1", "layer": "Linear", "output": [5], "parameters": 15}
    assert [file.name for file in tmp_path.iterdir()] == ["c.yaml"]


def test_a_finished_run_says_so(cli, trained):
    run = trained()["run"]
    status, out, _ = cli("train", "--resume", run)
    assert status == 0
    assert "is finished" in out
    assert f"tinynet train --resume {run} --set training.epochs=4" in out
    status, out, _ = cli("train", "--resume", run, "--json")
    assert (status, json.loads(out)["status"]) == (0, "finished")


def test_a_run_that_was_stopped_early_says_so(cli, write, changed):
    path = write(changed({"test: 20": "test: 20, validation: 0.5", "lr: 0.1": "lr: 5"}))
    arguments = ["--set", "training.epochs=200", "--set", "training.early_stopping={patience: 2}"]
    status, out, err = cli("train", path, *arguments, "--quiet")
    assert (status, err) == (0, "")
    epochs = re.search(r"^(\d+ epochs) \(stopped early\) in ", out, re.MULTILINE)[1]
    message = (
        f"runs/small is finished: early stopping ended it after {epochs}. "
        "To train further, train runs/small/resolved.yaml anew with a larger patience.\n"
    )
    assert cli("train", "--resume", "runs/small") == (0, message, "")
    assert cli("train", "--resume", "runs/small", "--set", "training.epochs=300") == (0, message, "")
    assert tinynet.load("runs/small/resolved.yaml").training.epochs == 200
    status, out, _ = cli("train", "--resume", "runs/small", "--json")
    assert (status, json.loads(out)["status"], json.loads(out)["epochs"]) == (0, "finished", int(epochs.split()[0]))


def test_home_is_found_in_the_folder_of_the_runs(cli, write, changed, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cli("train", write(changed()), "--runs", "~/x", "--quiet")[0] == 0
    assert (tmp_path / "home" / "x" / "small" / "summary.json").exists()
    assert not (tmp_path / "~").exists()


def test_a_finished_run_goes_on_with_more_epochs(cli, trained, tmp_path):
    run = trained()["run"]
    status, out, _ = cli("train", "--resume", run, "--set", "training.epochs=5", "--json")
    assert (status, json.loads(out)["epochs"]) == (0, 5)
    assert len(tinynet.runs.run.Run.open(tmp_path / run).records()) == 6


def test_the_commonest_errors_in_the_call(cli, write, changed):
    for arguments in (
        ["train"],
        ["train", write(changed()), "--resume", "runs/small"],
        ["train", "--seed", "-1", "c.yaml"],
    ):
        status, out, err = cli(*arguments)
        assert (status, out) == (2, "")
        assert "Error: " in err


def test_notes_on_the_data_are_printed(cli, write, changed, table):
    path = write(changed({DISK: "CSV: {path: t.csv, column: kind}"}))
    status, out, err = cli("train", path)
    assert status == 0
    assert "classification of 2 classes: cat, dog" in err
    assert "classification" not in out


# eval


def test_eval_of_a_checkpoint(cli, trained, tmp_path):
    run = trained()
    path = f"{run['run']}/checkpoints/last.npz"
    status, out, err = cli("eval", path, "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert {"checkpoint", "epoch", "split", "samples", "loss", "error", "errors", "seconds"} <= set(found)
    assert (found["checkpoint"], found["epoch"], found["split"], found["samples"]) == (path, 2, "test", 20)
    assert (found["loss"], found["error"]) == (pytest.approx(run["test_loss"], rel=1e-12), run["test_error"])
    assert found["errors"] == round(20 * found["error"])
    assert np.sum(found["confusion"]) == 20
    assert sum(row["errors"] for row in found["per_class"]) == found["errors"]
    status, out, err = cli("eval", path)
    assert (status, err) == (0, "")
    assert f"{path} (epoch 2), test split of 20 samples" in out
    assert f"error {found['error']:.2%} ({found['errors']} of 20" in out
    assert "true \\ predicted" in out


def test_eval_of_a_run_tells_best_and_last(cli, trained):
    run = trained(
        {},
        "--set",
        "training.evaluate_train=true",
        "--set",
        "training.epochs=8",
        "--set",
        "optimizer.SGD.lr=1.5",
        "--seed",
        "2",
    )
    status, out, _ = cli("eval", run["run"], "--json")
    found = json.loads(out)
    assert (status, set(found)) == (0, {"best", "last"})
    assert found["last"]["epoch"] == 8
    assert found["best"]["epoch"] == run["best"]["epoch"] < 8
    for which in ("best", "last"):
        assert found[which]["loss"] == pytest.approx(run[which]["test_loss"], rel=1e-12)
    status, out, _ = cli("eval", run["run"])
    assert out.index("best.npz (epoch") < out.index("last.npz (epoch 8)")


def test_eval_of_another_split(cli, trained):
    run = trained({"test: 20": "test: 20, validation: 0.25"})
    found = {
        split: json.loads(cli("eval", run["run"], "--split", split, "--json")[1])["last"]
        for split in ("train", "validation")
    }
    assert (found["train"]["samples"], found["validation"]["samples"]) == (30, 10)
    assert found["validation"]["loss"] == pytest.approx(run["validation_loss"], rel=1e-12)
    run = trained()
    status, _, err = cli("eval", run["run"], "--split", "validation")
    assert status == 2
    assert "there is no validation split" in err


def test_eval_of_a_regression(cli, trained, numbers):
    run = trained({DISK: "CSV: {path: n.csv, column: size}", LOSS: "loss: MSE", LAST: "- Linear: 1"})
    status, out, _ = cli("eval", run["run"])
    assert status == 0
    assert re.search(r"R² .*, mean absolute error \d", out)
    found = json.loads(cli("eval", run["run"], "--json")[1])["last"]
    assert (found["error"], found["errors"]) == (None, None)
    assert {"r2", "mean_absolute_error"} <= set(found)


def test_eval_of_a_loss_beyond_all_numbers_prints_null(cli, trained, numbers, tmp_path, rewrite_npz):
    run = trained({DISK: "CSV: {path: n.csv, column: size}", LOSS: "loss: MSE", LAST: "- Linear: 1"})
    path = tmp_path / run["run"] / "checkpoints" / "last.npz"
    rewrite_npz(path, lambda arrays: arrays["parameters/linear2.bias"].fill(3e38))
    status, out, err = cli("eval", path, "--json")
    assert (status, err) == (0, "")
    assert "NaN" not in out
    assert "Infinity" not in out
    found = json.loads(out)
    assert found["loss"] is None
    assert found["mean_absolute_error"] == pytest.approx(3e38, rel=1e-3)
    status, out, _ = cli("eval", path)
    assert (status, "loss inf" in out) == (0, True)


def test_a_file_that_has_changed_since_the_training_is_not_evaluated(cli, trained, table, tmp_path):
    run = trained({DISK: "CSV: {path: t.csv, column: kind}"})["run"]
    text = (tmp_path / "t.csv").read_text()
    (tmp_path / "t.csv").write_text(text.replace(text.splitlines()[5], "0.5,0.25,1.25,cat"))
    folder = tmp_path / run
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for arguments in (["eval"], ["train", "--resume"], ["train", "--set", "training.epochs=4", "--resume"]):
        status, out, err = cli(*arguments, run)
        assert (status, out) == (1, "")
        assert err.startswith("Error: the dataset is not the one of the training: its file has changed. ")
        assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (tmp_path / "p.csv").write_text("a,b,size\n1,2,3\n")
    assert cli("predict", run, "p.csv")[0] == 0


# predict


@pytest.mark.parametrize(
    ("parts", "heading"),
    [
        ({}, ["class", "probability_0", "probability_1"]),
        ({LOSS: "loss: BinaryCrossEntropy", LAST: "- Linear: 1"}, ["class", "probability_0", "probability_1"]),
        ({LOSS: "loss: BinaryCrossEntropy"}, ["class", "probability_0", "probability_1"]),
        ({LOSS: "loss: MSE", "test: 20": "test: 20, targets: sign"}, ["class", "output_1", "output_2"]),
    ],
    ids=["cross-entropy", "binary, 1 output", "binary, 2 outputs", "mse"],
)
def test_predict_for_points_of_the_plane(cli, trained, tmp_path, parts, heading):
    run = trained(parts, "--set", "training.epochs=30")["run"]
    x = np.random.default_rng(1).random((7, 2))
    np.savez(tmp_path / "p.npz", x=x)
    (tmp_path / "p.csv").write_text("x1,x2\n" + "".join(f"{float(a)!r},{float(b)!r}\n" for a, b in x))
    status, out, err = cli("predict", run, "p.csv")
    assert (status, err) == (0, "")
    rows = of_columns(out)
    assert list(rows[0]) == heading
    experiment = tinynet.load_checkpoint(tmp_path / run / "checkpoints" / "last.npz")
    assert [int(row["class"]) for row in rows] == experiment.predict(x).tolist()
    probabilities = experiment.probabilities(x)
    numbers = experiment.outputs(x) if probabilities is None else probabilities
    found = [[float(row[name]) for name in heading[1:]] for row in rows]
    np.testing.assert_allclose(found, numbers, rtol=1e-5, atol=1e-6)
    assert cli("predict", run, "p.npz")[1] == out


def test_probabilities_of_cross_entropy_are_the_softmax(cli, trained, tmp_path):
    run = trained()["run"]
    np.savez(tmp_path / "p.npz", x_test=[[0.2, 0.3]])
    (row,) = of_columns(cli("predict", run, "p.npz")[1])
    logits = tinynet.load_checkpoint(tmp_path / run / "checkpoints" / "last.npz").outputs([[0.2, 0.3]])[0]
    shares = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose([float(row["probability_0"]), float(row["probability_1"])], shares, rtol=1e-4)


def test_predict_names_classes_of_text_and_takes_columns_in_any_order(cli, trained, table, write):
    run = trained(
        {DISK: "CSV: {path: t.csv, column: kind, standardize: true}"},
        "--set",
        "training.epochs=60",
        "--set",
        "optimizer=Adam: 0.05",
    )["run"]
    lines = [f"{a:.4f},{b:.4f},{a + 2 * b:.4f}" for a, b in table]
    write("a,b,size\n" + "\n".join(lines) + "\n", "p.csv")
    status, out, _ = cli("predict", run, "p.csv")
    assert status == 0
    rows = of_columns(out)
    assert list(rows[0]) == ["class", "probability_cat", "probability_dog"]
    right = sum(row["class"] == ("cat" if a > b else "dog") for row, (a, b) in zip(rows, table, strict=True))
    assert right >= 55
    # The same rows with their columns in another order, one that was not trained on, and the target's.
    lines = [f"1,{b:.4f},?,{a + 2 * b:.4f},{a:.4f}" for a, b in table]
    write("other,b,kind,size,a\n" + "\n".join(lines) + "\n", "q.csv")
    status, again, err = cli("predict", run, "q.csv")
    assert (status, again) == (0, out)
    assert err == "q.csv: not trained on, so not used: other\n"


def test_predict_values_of_a_regression(cli, trained, numbers, tmp_path, write):
    run = trained(
        {DISK: "CSV: {path: n.csv, column: size, standardize_targets: true}", LOSS: "loss: MSE", LAST: "- Linear: 1"}
    )["run"]
    status, out, err = cli("predict", run, write("b,a\n2,1\n0.5,0.25\n", "p.csv"))
    assert (status, err) == (0, "")
    expected = tinynet.load_checkpoint(tmp_path / run / "checkpoints" / "last.npz").predict([[1, 2], [0.25, 0.5]])
    rows = of_columns(out)
    assert list(rows[0]) == ["size"]
    np.testing.assert_allclose([float(row["size"]) for row in rows], expected[:, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("p.csv", "x1,y\n1,2\n", "lacks the columns x2. The net was trained on x1, x2; the file has x1, y."),
        ("p.csv", "x1,x2\n1,\n", "p.csv:2: column 'x2' is empty"),
        ("p.csv", "x1,x2\n1,two\n", "p.csv:2: column 'x2' holds 'two', which is no number"),
        ("p.npz", {"y": np.zeros((3, 2))}, "has no array x (or x_test). It holds y."),
        ("p.npz", {"x": np.zeros((3, 4))}, "p.npz: the input has shape (3, 4), but must be (batch, 2)"),
        ("p.npz", {"x": np.zeros(2)}, "p.npz: the input has shape (2,), but must be (batch, 2)"),
        ("p.npz", {"x": np.array([["a", "b"]])}, "x has to hold numbers"),
    ],
)
def test_predict_checks_what_it_is_given(cli, trained, tmp_path, name, content, part):
    run = trained()["run"]
    if isinstance(content, str):
        (tmp_path / name).write_text(content)
    else:
        np.savez(tmp_path / name, **content)
    status, out, err = cli("predict", run, name)
    assert (status, out) == (1, "")
    assert part in err
    assert err.count("\n") == 1


def test_predict_of_an_autoencoder_has_the_columns_of_the_inputs(cli, trained, table, tmp_path):
    # The file's columns are b, a, size and kind.
    run = trained(
        {
            DISK: "CSV: {path: t.csv, column: kind, targets: inputs, standardize: true}",
            LOSS: "loss: MSE",
            LAST: "- Linear: 3",
        }
    )["run"]
    status, out, err = cli("predict", run, "t.csv")
    assert (status, err) == (0, "")
    found = of_columns(out)
    assert list(found[0]) == ["b", "a", "size"]
    expected = tinynet.load_checkpoint(tmp_path / run / "checkpoints" / "last.npz").predict(
        [[float(f"{b:.4f}"), float(f"{a:.4f}"), float(f"{a + 2 * b:.4f}")] for a, b in table]
    )
    np.testing.assert_allclose([[float(value) for value in row.values()] for row in found], expected, rtol=1e-5)


def test_predict_of_no_rows_is_the_heading(cli, trained, tmp_path):
    run = trained()["run"]
    np.savez(tmp_path / "p.npz", x=np.zeros((0, 2)))
    assert cli("predict", run, "p.npz") == (0, "class,probability_0,probability_1\n", "")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_predict_refuses_what_is_no_number(cli, trained, tmp_path, bad):
    run = trained()["run"]
    np.savez(tmp_path / "p.npz", x=[[0.5, 0.5], [0.5, bad]])
    message = f"row 1 of the input holds {bad}. Every number has to be finite."
    assert cli("predict", run, "p.npz") == (1, "", f"Error: p.npz: {message}\n")
    with pytest.raises(tinynet.ShapeError, match=re.escape(message)):
        tinynet.load_checkpoint(tmp_path / run / "checkpoints" / "last.npz").predict([[0.5, 0.5], [bad, 0.5]])


def test_predict_never_overwrites(cli, trained, tmp_path, write):
    run = trained()["run"]
    data = write("x1,x2\n0.1,0.2\n", "p.csv")
    status, out, err = cli("predict", run, data, "--out", "o.csv")
    assert (status, out) == (0, "")
    assert err == "Wrote 1 prediction to o.csv\n"
    written = (tmp_path / "o.csv").read_text()
    assert written == cli("predict", run, data)[1]
    status, out, err = cli("predict", run, data, "--out", "o.csv")
    assert (status, out) == (2, "")
    assert "o.csv: this file exists" in err
    assert (tmp_path / "o.csv").read_text() == written


# plot, init, layers, schema


def test_plot_prints_the_paths_of_the_pictures(cli, trained, tmp_path):
    run = trained()["run"]
    status, out, _ = cli("plot", run, "--format", "svg")
    assert status == 0
    paths = out.split()
    assert {path.rsplit("/", 1)[1].removesuffix(".svg") for path in paths} == {
        "loss", "error", "data", "boundary", "network"
    }  # fmt: skip
    for path in paths:
        assert path.startswith(f"{run}/plots/")
        ElementTree.parse(tmp_path / path)


def test_layers_lists_every_component(cli):
    status, out, err = cli("layers")
    assert (status, err) == (0, "")
    for kind in components.KINDS:
        for name, cls in components.classes(kind).items():
            assert re.search(rf"^  {name} +{re.escape(components.documentation(cls).summary)}$", out, re.MULTILINE)


@pytest.mark.parametrize("cls", [cls for kind in components.KINDS for cls in components.classes(kind).values()])
def test_layers_of_one_component_tells_all_of_it(cli, cls):
    status, out, _ = cli("layers", cls.__name__)
    assert status == 0
    assert components.documentation(cls).summary in out
    assert components.documentation(cls).example.strip("{}") in out
    for option in components.options(cls):
        default = "required" if option.required else "default "
        assert re.search(rf"^  {option.name}: {re.escape(option.type_text)} \({default}", out, re.MULTILINE)
        assert option.description
        assert option.description.split()[0] in out


def test_layers_of_an_unknown_name(cli):
    status, out, err = cli("layers", "Dense")
    assert (status, out) == (2, "")
    assert "there is no 'Dense'. Did you mean 'Linear'?" in err


@pytest.mark.parametrize("name", ["training", "early_stopping", "start_from", "seed"])
def test_layers_of_what_holds_options_tells_all_of_them(cli, name):
    status, out, _ = cli("layers", name)
    assert status == 0
    form = {**grammar.GROUPS, "seed": grammar.Head}[name]
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == name
    for option in components.options(form):
        default = "required" if option.required else "default "
        assert any(line.startswith(f"{option.name}: {option.type_text} ({default}") for line in lines)
        assert option.description[:40] in out


def test_layers_of_the_training_says_how_to_see_the_options_of_an_option(cli):
    out = cli("layers", "training")[1]
    assert "  early_stopping: options or null (default null)\n" in out
    assert "`tinynet layers early_stopping` shows them." in out
    assert "`tinynet layers start_from` shows them." in " ".join(out.split())
    assert "a whole number > 0 and <= 1000 (default 1)" in out


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, section.kind) for name, section in grammar.SECTIONS.items()),
        ("Datasets", "dataset"),
        ("losses", "loss"),
    ],
)
def test_layers_of_a_section_lists_what_can_stand_there(cli, name, kind):
    status, out, _ = cli("layers", name)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(components.classes(kind))


def test_layers_lists_what_holds_options_too(cli):
    out = cli("layers")[1]
    assert "\n  training           How to train.\n" in out
    assert "\n  name, seed, dtype  " in out
    assert "Did you mean 'training'?" in cli("layers", "trainig")[2]


def test_schema_prints_the_schema(cli):
    status, out, _ = cli("schema")
    assert status == 0
    assert json.loads(out) == tinynet.config.schema.json_schema()


# The command itself


def test_version(cli):
    assert cli("--version") == (0, f"tinynet, version {tinynet.__version__}\n", "")


def test_help_names_every_command(cli):
    status, out, _ = cli("--help")
    assert status == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S", out, re.MULTILINE)
        assert cli(name, "--help")[0] == 0


@pytest.mark.parametrize("name", ["", *COMMANDS, "data get", "data list", "data path"])
def test_help_fits_80_columns_and_cuts_no_sentence(cli, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = cli(*name.split(), "--help")
    assert status == 0
    assert [line for line in out.splitlines() if len(line) > 80] == []
    assert not re.search(r"^  .*\.\.\.$", out, re.MULTILINE)


def test_an_unknown_command_is_answered_with_the_nearest(cli):
    status, out, err = cli("trian")
    assert (status, out) == (2, "")
    assert "no such command 'trian'. Did you mean 'train'?" in err
    assert "There are: train, eval, plot" in cli("xxxxxx")[2]
    assert cli("train", "--sed", "1")[0] == 2


def test_debug_shows_the_traceback_and_nothing_else_does(command):
    status, out, err = command("eval", "gone.npz", "--debug")
    assert (status, out) == (2, "")
    assert "Traceback (most recent call last)" in err
    assert err.rstrip().splitlines()[-1] == "Error: gone.npz: there is no such checkpoint or run folder"


def test_a_fault_of_tinynet_is_told_without_a_traceback(cli, monkeypatch):
    def fail():
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("tinynet.config.schema.json_schema", fail)
    status, out, err = cli("schema")
    assert (status, out) == (1, "")
    assert "a fault in tinynet" in err
    assert "Traceback" not in err


MODULES = (
    "import sys; from tinynet.cli import execute; status = execute({arguments}); print(*sys.modules, file=sys.stderr)"
)


def modules_of(arguments, folder):
    """The modules that a command has imported when it ends."""
    code = MODULES.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=True)
    return set(done.stderr.split())


def test_help_imports_nothing_that_is_slow(tmp_path):
    found = modules_of(["--help"], tmp_path)
    assert "click" in found
    assert not found & {"numpy", "matplotlib", "yaml", "tqdm"}


def test_train_imports_no_matplotlib(tmp_path, write, changed):
    write(changed())
    found = modules_of(["train", "c.yaml", "--quiet", "--json"], tmp_path)
    assert (tmp_path / "runs" / "small" / "summary.json").exists()
    assert "numpy" in found
    assert "matplotlib" not in found


def test_without_a_terminal_there_are_plain_lines(command, write, changed):
    status, out, err = command("train", write(changed({"epochs: 2": "epochs: 300"})))
    assert status == 0
    lines = err.splitlines()
    # The first epoch, the last, and one every two seconds.
    assert 2 <= sum(line.startswith("epoch ") for line in lines) <= 6
    assert "\r" not in err
    assert "\x1b" not in out + err
    assert re.search(
        r"^epoch 300/300: train loss \S+, train error \S+%, test loss \S+, test error \S+%$", err, re.MULTILINE
    )


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}], ids=["colours", "no colours"])
def test_on_a_terminal_there_is_a_bar(start, write, changed, env):
    path = write(changed({"epochs: 2": "epochs: 60", "train: 40": "train: 400"}))
    ours, theirs = pty.openpty()
    process = start("train", path, stderr=theirs, stdout=theirs, env={"TERM": "xterm", "COLUMNS": "100", **env})
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            # Linux tells the end so; other systems give an empty piece.
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    text = shown.decode()
    assert process.wait(30) == 0, text
    bars = [part for part in text.split("\r") if "epochs [" in part]
    assert len(bars) >= 2
    assert "60.0/60 epochs" in bars[-1]
    assert re.search(r"test loss \d\S+, test error \d+\.\d%", bars[-1])
    assert "Run: runs/small" in text
    if "NO_COLOR" in env:
        # Moving the cursor up is no colour.
        assert not re.search(r"\x1b\[[\d;]*m", text)


def test_a_pipe_that_is_closed_early_is_no_error(start):
    process = start("layers")
    # Before the command has started: all that it writes is written to nobody.
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=30)
    assert err == ""
    assert process.returncode != 0


def test_it_runs_as_a_module(tmp_path):
    done = subprocess.run([sys.executable, "-m", "tinynet", "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"tinynet, version {tinynet.__version__}\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_is_no_error(command, encoding):
    status, out, err = command("layers", env={"PYTHONIOENCODING": encoding}, encoding="latin-1")
    assert (status, err) == (0, "")
    assert "y = x W + b" in out


class Display(io.StringIO):
    """As a notebook's stream: with neither a file nor a terminal behind it."""

    def __init__(self, broken=False):
        super().__init__()
        self.broken = broken

    def write(self, text):
        if self.broken:
            raise BrokenPipeError
        return super().write(text)


def test_output_goes_to_a_stream_that_is_no_file(monkeypatch):
    assert not hasattr(Display(), "reconfigure")
    monkeypatch.setattr("sys.argv", ["tinynet", "layers", "ReLU"])
    monkeypatch.setattr("sys.stdout", Display())
    monkeypatch.setattr("sys.stderr", Display())
    assert run() == 0
    assert sys.stdout.getvalue().startswith("ReLU (layer)\n")
    monkeypatch.setattr("sys.argv", ["tinynet", "layers", "Dense"])
    assert run() == 2
    assert sys.stderr.getvalue() == "Error: there is no 'Dense'. Did you mean 'Linear'?\n"


class Plain:
    """A stream of a program's own that has what `print` asks for, `flush` only where it is said to."""

    def __init__(self):
        self.text = ""
        self.flushed = ""

    def write(self, text):
        self.text += text


class Flushed(Plain):
    def flush(self):
        self.flushed = self.text


@pytest.mark.parametrize("stream", [Plain, Flushed])
def test_every_command_writes_to_a_stream_that_can_do_no_more(monkeypatch, write, changed, tmp_path, stream):
    path = write(changed())
    monkeypatch.chdir(tmp_path)
    for arguments in (["train", str(path)], ["runs"], ["check", str(path)], ["layers", "Dense"], ["train"]):
        out, err = stream(), stream()
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        status = execute(arguments)
        assert status == (2 if arguments in (["layers", "Dense"], ["train"]) else 0), err.text
        assert bool(out.text) == (status == 0)
        assert ("epoch 2/2" in err.text) == (len(arguments) == 2 and arguments[0] == "train")
        assert (out.flushed, err.flushed) == ((out.text, err.text) if stream is Flushed else ("", ""))


@pytest.mark.parametrize("gone", ["missing", "closed"])
@pytest.mark.parametrize(("name", "other"), [("stdout", "stderr"), ("stderr", "stdout")])
def test_what_goes_to_a_stream_that_is_gone_is_dropped(monkeypatch, gone, name, other):
    stream = Display()
    stream.close()
    for arguments, status in ((["layers", "ReLU"], 0), (["layers", "Dense"], 2)):
        monkeypatch.setattr(f"sys.{name}", None if gone == "missing" else stream)
        monkeypatch.setattr(f"sys.{other}", Display())
        assert execute(arguments) == status
        told = getattr(sys, other).getvalue()
        assert bool(told) == ((other == "stderr") == (status == 2)), told
        getattr(sys, name).close()


def test_a_stream_without_a_file_that_nobody_reads_is_left(monkeypatch):
    monkeypatch.setattr("sys.stdout", Display(broken=True))
    monkeypatch.setattr("sys.stderr", Display())
    assert execute(["layers", "ReLU"]) == 1
    assert sys.stderr.getvalue() == ""
    print("nothing is raised any more")
    sys.stdout.close()


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stdout_or_stderr_stops_no_training(write, changed, tmp_path, closed):
    program = Path(sys.executable).with_name("tinynet")
    done = subprocess.run(
        ["sh", "-c", f"exec '{program}' train c.yaml {closed}"],
        cwd=write(changed()).parent,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert ("Run: runs/small" in done.stdout) == (not closed.startswith(">"))
    folder = tmp_path / "runs" / "small"
    assert json.loads((folder / "meta.json").read_text())["status"] == "finished"
    assert json.loads((folder / "summary.json").read_text())["epochs"] == 2


def test_lines_of_stacked_rounds_are_means_and_come_once_an_epoch(cli, write, changed):
    status, _, err = cli("train", write(changed()), "--rounds", 3)
    assert status == 0
    lines = [line for line in err.splitlines() if line.startswith("epoch")]
    assert [line.split(":")[0] for line in lines] == ["epoch 0/2", "epoch 2/2"]
    records = [r for r in tinynet.runs.run.Run.open("runs/small").records() if r.epoch == 0]
    mean = sum(record.test_loss for record in records) / 3
    assert f"test loss {mean:.4g}," in lines[0]
