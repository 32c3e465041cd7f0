"""Bad input of every kind: the exit status, one clear message, no traceback, and nothing left behind."""

import json
import re

import numpy as np
import pytest

BROKEN_CONFIGS = {
    "an empty file": ("", "the file is empty"),
    "only a comment": ("# later\n", "the file is empty"),
    "a list": ("- a\n", "the file is no mapping"),
    "a text": ("hello\n", "the file is no mapping"),
    "broken YAML": ("dataset: [\n", "not valid YAML"),
    "a tab": ("dataset:\n\tDisk:\n", "Indent with spaces, not with tabs."),
    "two colons": ("dataset: Disk: 5\n", "missing space after ':' or '-'"),
    "two documents": ("a: 1\n---\nb: 2\n", "another document"),
    "control characters": ("name: \x01\n", "not a text file"),
    "code": ("!!python/object/apply:os.mkdir [made]\n", "is not used here. Remove it."),
    "an alias of itself": ("dataset: &a [*a]\n", "an alias contains itself"),
    "deep nesting": ("[" * 10_000, "nested too deep"),
}

# What is replaced in the small config, by what, and a part of the message.
WRONG_OPTIONS = {
    "an unknown section": ("training:", "trainin:", "no such section. Did you mean 'training'?"),
    "an unknown component": ("- ReLU", "- Dense: 5", "'Dense' is no layer. Did you mean 'Linear'?"),
    "a component of another kind": ("- ReLU", "- SGD", "'SGD' is an optimizer, not a layer"),
    "an unknown option": ("lr: 0.1", "learning_rate: 0.1", "SGD.learning_rate: no such option. Did you mean 'lr'?"),
    "a wrong type": ("lr: 0.1", "lr: fast", "optimizer.SGD.lr: must be a number > 0, not 'fast'"),
    "out of range": ("lr: 0.1", "lr: -1", "optimizer.SGD.lr: must be a number > 0, not -1"),
    "not a number": ("lr: 0.1", "lr: .nan", "optimizer.SGD.lr: must be a number > 0, not nan"),
    "a number too large": ("lr: 0.1", f"lr: {'9' * 400}", "optimizer.SGD.lr: must be a number > 0, not 999"),
    "a missing option": ("Linear: 5", "Linear", "layers[0].Linear.out_features: is missing"),
    "a value where none is taken": ("- ReLU", "- ReLU: 5", "ReLU takes no value"),
    "a wrong pair": ("SGD: {lr: 0.1}", "Adam: {betas: [0.9]}", "optimizer.Adam.betas: must be [a number"),
    "a wrong indentation": ("- Linear: 5", "- Linear:\n    out_features: 5", "Indent it further than 'Linear'"),
    "a key twice": ("seed: 0", "seed: 0\nseed: 1", "'seed' is there twice"),
    "a missing section": ("loss: CrossEntropy\n", "", "'loss' is missing"),
    "options that need each other": ("lr: 0.1", "nesterov: true", "nesterov needs a momentum"),
    "a tag": ("epochs: 2", "epochs: !!int two", "c.yaml:13:"),
    "a wrong width": ("- Linear: 2", "- Linear: 1", "the dataset has 2 classes"),
    "Softmax before CrossEntropy": ("- Linear: 2", "- Linear: 2\n  - Softmax", "CrossEntropy takes logits"),
    "a monitor without its split": ("epochs: 2", "early_stopping: {}", "there is no validation split"),
    "a folder's name": ("name: small", "name: ../out", "cannot be a folder's name"),
}  # fmt: skip


@pytest.fixture
def files(tmp_path, write, train_run, change_metadata, trap):
    """Data files and checkpoints, each broken in its way, in the test's folder."""
    x, y = np.random.default_rng(0).random((20, 2)), np.arange(20) % 2
    sound = {"x_train": x, "y_train": y, "x_test": x, "y_test": y}
    np.savez(tmp_path / "few.npz", x_train=x, y_train=y)
    np.savez(tmp_path / "objects.npz", allow_pickle=True, **{**sound, "y_train": trap((20,))})
    np.savez(tmp_path / "nan.npz", **{**sound, "x_train": np.where(x == x[3, 1], np.nan, x)})
    np.savez(tmp_path / "rows.npz", **{**sound, "y_train": y[:-1]})
    np.savez(tmp_path / "images.npz", **{**sound, "x_train": x.reshape(20, 1, 2), "x_test": x.reshape(20, 1, 2)})
    (tmp_path / "cut.npz").write_bytes((tmp_path / "few.npz").read_bytes()[:200])
    write("not an archive", "text.npz")
    write("a,b,y\n1,2,0\n3,,1\n5,6,0\n", "hole.csv")
    write("a,b,y\n1,2,0\n3,four,1\n5,6,0\n", "text.csv")
    write("a,b,y\n1,2,0\n3,4\n5,6,0\n", "short.csv")
    write("", "empty.csv")
    write("1,2,3\n4,5,6\n", "headless.csv")
    run, _ = train_run()
    checkpoint = run.last_path.read_bytes()
    (tmp_path / "half.npz").write_bytes(checkpoint[: len(checkpoint) // 2])
    (tmp_path / "later.npz").write_bytes(checkpoint)
    change_metadata(tmp_path / "later.npz", lambda metadata: metadata.update(format=99))
    run, _ = train_run({"name: small": "name: bare"})
    run.last_path.unlink()
    (tmp_path / "folder").mkdir()


@pytest.fixture
def refused(cli, tmp_path):
    """Runs a command that has to fail, and returns its message."""

    def run(status, *arguments):
        before = sorted(tmp_path.rglob("*"))
        found, out, err = cli(*arguments)
        assert found == status, err
        assert out == ""
        assert "Traceback" not in err
        assert "a fault in tinynet" not in err
        assert sorted(tmp_path.rglob("*")) == before, "something was written"
        return err

    return run


@pytest.mark.parametrize(("text", "part"), BROKEN_CONFIGS.values(), ids=BROKEN_CONFIGS)
def test_a_broken_config(refused, write, text, part):
    write(text)
    err = refused(2, "train", "c.yaml")
    assert re.fullmatch(r"c\.yaml:\d+:\d+: .+\n", err)
    assert part in err


@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["train", "dry run"])
@pytest.mark.parametrize(("old", "new", "part"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_a_wrong_option(refused, write, changed, old, new, part, more):
    write(changed({"name: small": "name: small\nseed: 0"}).replace(old, new))
    err = refused(2, "train", "c.yaml", *more)
    # One line, and nothing else: it says where.
    assert re.fullmatch(r"c\.yaml:\d+:\d+: .+\n", err), err
    assert part in err


def test_many_problems_are_as_many_lines(refused, write, changed):
    write(changed({"- ReLU": "- Dense: 5", "lr: 0.1": "lrr: 1", "epochs: 2": "epochs: 0"}))
    lines = refused(2, "train", "c.yaml", "--set", "seed=x").splitlines()
    assert [line.split(":")[1] for line in lines if line.startswith("c.yaml")] == ["6", "10", "12"]
    assert "--set seed=x: seed: must be a whole number >= 0, not 'x'" in lines
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("gone.yaml", "gone.yaml: there is no such file. `tinynet init disk` writes a config to start from."),
        ("folder", "folder: this is a folder. Name the YAML file in it."),
        ("half.npz", "half.npz: this is no text in UTF-8. Save it as UTF-8."),
        ("c.yaml/c.yaml", "c.yaml/c.yaml: "),
    ],
)
@pytest.mark.usefixtures("files")
def test_a_config_that_is_no_file(refused, write, changed, argument, part):
    write(changed())
    err = refused(2, "train", argument)
    assert part in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("dataset", "part"),
    [
        ("NPZ: gone.npz", "gone.npz: no such file. A relative path is relative to the config's folder."),
        ("NPZ: folder", "folder"),
        ("NPZ: few.npz", "few.npz: has no x_test, y_test. It needs x_train, y_train, x_test, y_test"),
        ("NPZ: objects.npz", "'y_train' holds Python objects, which tinynet does not load"),
        ("NPZ: nan.npz", "nan.npz: x_train holds nan in row 3."),
        ("NPZ: rows.npz", "rows.npz: x_train has 20 rows, but y_train has 19."),
        ("NPZ: cut.npz", "cut short or damaged"),
        ("NPZ: text.npz", "is no .npz file"),
        ("NPZ: c.yaml", "is no .npz file"),
        ("CSV: {path: gone.csv, column: y}", "gone.csv: no such file."),
        ("CSV: {path: hole.csv, column: y}", "hole.csv:3: column 'b' is empty"),
        ("CSV: {path: text.csv, column: y}", "text.csv:3: column 'b' holds 'four', which is no number"),
        ("CSV: {path: short.csv, column: y}", "short.csv:3: "),
        ("CSV: {path: empty.csv, column: y}", "empty.csv: is empty."),
        ("CSV: {path: headless.csv, column: y}", "headless.csv:1: has no header line."),
        ("CSV: {path: hole.csv, column: z}", "hole.csv: has no column 'z'."),
        ("CSV: {path: few.npz, column: z}", "few.npz"),
    ],
)
@pytest.mark.usefixtures("files")
def test_a_data_file_at_fault(refused, write, changed, tmp_path, dataset, part):
    write(changed({"Disk: {train: 40, test: 20}": dataset}))
    err = refused(1, "train", "c.yaml")
    assert part in err
    assert err.count("\n") == 1
    assert err.startswith("Error: ")
    assert not (tmp_path / "made").exists()


@pytest.mark.usefixtures("files")
def test_shapes_that_do_not_fit_are_the_config_s_fault(refused, write, changed):
    write(changed({"Disk: {train: 40, test: 20}": "NPZ: images.npz"}))
    err = refused(2, "train", "c.yaml")
    assert err.startswith(
        "c.yaml:5:5: layers[0] Linear: needs a flat input, but gets (1, 1, 2) from the dataset. Put Flatten"
    )
    assert err.count("\n") == 1


CHECKPOINTS = [
    (1, "half.npz", "half.npz: is cut short or damaged"),
    (1, "later.npz", "later.npz: the checkpoint has format 99, but this tinynet"),
    (1, "few.npz", "few.npz: this is an .npz file, but no tinynet checkpoint"),
    (1, "objects.npz", "holds Python objects, which tinynet does not load"),
    (1, "text.npz", "text.npz: is no .npz file"),
    (1, "hole.csv", "hole.csv: is no .npz file"),
    (2, "gone.npz", "gone.npz: there is no such checkpoint or run folder"),
    (2, "small", "small: there is no such checkpoint or run folder. Did you mean runs/small?"),
    (2, "folder", "folder: this folder holds no run (it has no meta.json)"),
    (2, "runs/bare", "runs/bare: this run has no checkpoint yet"),
]


@pytest.mark.parametrize("arguments", [["eval"], ["eval", "--json"], ["predict", "p.csv"]], ids=" ".join)
@pytest.mark.parametrize(("status", "path", "part"), CHECKPOINTS, ids=[path for _, path, _ in CHECKPOINTS])
@pytest.mark.usefixtures("files")
def test_a_checkpoint_at_fault(refused, write, tmp_path, arguments, status, path, part):
    write("x1,x2\n0.1,0.2\n", "p.csv")
    err = refused(status, arguments[0], path, *arguments[1:])
    assert part in err
    assert err.count("\n") == 1
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("gone", "gone: there is no such run folder"),
        ("small", "Did you mean runs/small?"),
        ("folder", "this folder holds no run"),
        ("few.npz", "few.npz: there is no such run folder"),
    ],
)
@pytest.mark.parametrize("arguments", [["train", "--resume"], ["plot"]], ids=" ".join)
@pytest.mark.usefixtures("files")
def test_a_run_that_is_not_there(refused, arguments, path, part):
    err = refused(2, *arguments, path)
    assert part in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["meta.json", "checkpoints/last.npz"])
def test_a_run_with_a_broken_file_is_not_gone_on_with(refused, train_run, name):
    run, _ = train_run()
    (run.folder / name).write_text("broken")
    err = refused(1, "train", "--resume", "runs/small")
    assert name.split("/")[-1] in err
    assert err.count("\n") == 1


def test_a_finished_run_without_its_summary_is_still_finished(cli, train_run):
    run, _ = train_run()
    (run.folder / "summary.json").unlink()
    status, out, err = cli("train", "--resume", "runs/small", "--json")
    assert "fault in tinynet" not in err
    assert status in (0, 1)
    assert status == 1 or json.loads(out)["status"] == "finished"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["train", "c.yaml", "--set", "optimizer.SGD.lrr=1"], "--set optimizer.SGD.lrr=1: optimizer.SGD.lrr: no "),
        (["train", "c.yaml", "--set", "training=3"], "--set training=3: training: must hold options"),
        (["train", "c.yaml", "--name", "../out"], "cannot be a folder's name"),
        (["train", "c.yaml", "--runs", "c.yaml"], "c.yaml: this is a file, so no runs can be kept in it"),
        (["train", "--resume", "runs/small", "--set", "seed=1"], "a resumed run stays the same experiment"),
        (["train", "--resume", "runs/small", "--seed", "1"], "a resumed run stays the same experiment"),
        (["train", "--resume", "runs/small", "--set", "training.epochs=1"], "the run has done 2 already"),
    ],
)  # fmt: skip
def test_an_option_of_the_command_at_fault(refused, write, changed, train_run, arguments, part):
    train_run()
    write(changed())
    err = refused(2, *arguments)
    assert part in err
    # What would change has a line each.
    assert err.count("\n") == (3 if "would change" in err else 1)


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_share_that_leaves_an_empty_split(refused, write, changed, share):
    write(changed({"test: 20": f"test: 20, validation: {share}"}))
    err = refused(2, "train", "c.yaml")
    assert err.startswith("c.yaml:3:")
    assert f"validation {share} of 40 training rows leaves an empty split" in err
    assert err.count("\n") == 1


def test_a_name_that_is_too_long_for_a_folder(cli, write, changed):
    write(changed({"name: small": f"name: {'x' * 300}"}))
    status, out, err = cli("train", "c.yaml")
    assert status in (1, 2)
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err
