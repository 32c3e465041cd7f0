"""`tinynet init` writes every config that comes with tinynet, with its data, never over a file and never half of it."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import tinynet
from tinynet.cli import init, main

CONFIGS = init.configs()
OWN = ["csv", "npz"]
WITH_DATA = {"siamese": ["columns.npz", "siamese.csv"], "wide-and-deep": ["columns.npz", "wide-and-deep.csv"]}


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_all_configs_are_there_under_names_of_their_own():
    folder = Path(__file__).parents[2] / "configs"
    assert sorted([*CONFIGS.values()][:-2]) == sorted(folder.glob("**/*.yaml"))
    assert [*CONFIGS][-2:] == OWN


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_is_written_and_never_over_a_file(cli, tmp_path, name):
    status, out, _ = cli("init", name)
    beside = f", with {' and '.join(WITH_DATA[name])}" if name in WITH_DATA else ""
    assert (status, out) == (0, f"Wrote {name}.yaml{beside}. Next: tinynet train {name}.yaml\n")
    assert sorted(files(tmp_path)) == sorted([f"{name}.yaml", *WITH_DATA.get(name, [])])
    path = tmp_path / f"{name}.yaml"
    assert path.read_bytes() == CONFIGS[name].read_bytes()
    assert tinynet.load(path).name == name
    path.write_text("mine")
    before = files(tmp_path)
    status, _, err = cli("init", name)
    assert (status, files(tmp_path)) == (2, before)
    assert err == f"Error: {name}.yaml: this file exists. Name another one with --out.\n"
    assert cli("init", name, "--out", "other.yaml")[0] == 0
    assert (tmp_path / "other.yaml").read_bytes() == CONFIGS[name].read_bytes()


def test_the_disk_is_written_without_a_name(cli, tmp_path):
    assert cli("init")[0] == 0
    assert list(files(tmp_path)) == ["disk.yaml"]


def test_the_next_command_is_quoted_for_a_shell(cli):
    status, out, _ = cli("init", "disk", "--out", "my disk.yaml")
    assert (status, out) == (0, "Wrote my disk.yaml. Next: tinynet train 'my disk.yaml'\n")


def test_a_data_file_that_is_another_one_stays_and_nothing_is_written(cli, tmp_path):
    (tmp_path / "siamese.csv").write_text("mine")
    status, _, err = cli("init", "siamese")
    assert (status, files(tmp_path)) == (2, {"siamese.csv": b"mine"})
    assert err == "Error: siamese.csv: this file exists. Name another folder with --out.\n"
    (tmp_path / "a").mkdir()
    assert cli("init", "siamese", "--out", "a/towers.yaml")[0] == 0
    assert sorted(files(tmp_path / "a")) == ["columns.npz", "siamese.csv", "towers.yaml"]


def test_data_that_two_configs_share_are_written_once(cli, tmp_path):
    assert cli("init", "siamese")[0] == 0
    assert cli("init", "wide-and-deep")[0] == 0
    assert sorted(path for path in files(tmp_path) if path.endswith(".npz")) == ["columns.npz"]


def test_a_config_that_would_take_the_name_of_its_data_is_refused(cli, tmp_path):
    assert cli("init", "siamese", "--out", "siamese.csv")[0] == 2
    assert files(tmp_path) == {}


def test_a_full_disk_leaves_nothing(cli, tmp_path, monkeypatch):
    opened, of_path = [], Path.open

    def full(path, mode="r", *arguments, **options):
        if mode == "xb":
            opened.append(path.name)
            if len(opened) == 3:
                raise OSError(28, "No space left on device", str(path))
        return of_path(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)
    status, _, err = cli("init", "siamese")
    assert (status, err) == (1, "Error: siamese.yaml: No space left on device\n")
    assert opened == ["columns.npz", "siamese.csv", "siamese.yaml"], "a config comes after its data"
    assert files(tmp_path) == {}


def test_an_unknown_name_is_answered_with_the_one_that_is_meant(cli, tmp_path):
    status, _, err = cli("init", "mnist_lenett")
    assert (status, files(tmp_path)) == (2, {})
    assert err.startswith("Error: there is no config 'mnist_lenett'. Did you mean 'mnist-lenet'?")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_help_has_the_line_that_a_file_opens_with(name):
    shown = "".join(CliRunner().invoke(main, ["init", "--help"]).output.split())
    first, _ = CONFIGS[name].read_text(encoding="utf-8").split("\n", 1)
    assert name + "".join(first.removeprefix("#").split()) in shown


def test_the_help_fits_a_terminal():
    assert all(len(line) <= 80 for line in CliRunner().invoke(main, ["init", "--help"]).output.splitlines())


@pytest.mark.parametrize("name", ["disk", "spirals", *WITH_DATA])
def test_a_config_with_its_data_trains_as_it_is(cli, name):
    cli("init", name)
    status, _, err = cli("train", f"{name}.yaml", "--set", "training.epochs=1", "--quiet")
    assert status == 0, err


@pytest.mark.parametrize("name", OWN)
def test_a_starter_trains_on_data_of_three_classes(cli, name, write, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 4)), np.arange(60) % 3
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    lines = [f"{a},{b},{'abc'[k]}" for (a, b, _, _), k in zip(x, y, strict=True)]
    write("u,v,target\n" + "\n".join(lines) + "\n", "data.csv")
    cli("init", name)
    status, _, err = cli("train", f"{name}.yaml", "--set", "training.epochs=1", "--quiet")
    assert status == 0, err
