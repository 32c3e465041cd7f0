"""The README tells the truth: its configs load, its commands and its Python run, its messages are the real ones."""

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet.common.errors import ConfigError
from tinynet.common.files import data_folder
from tinynet.config.config import parse
from tinynet.data.download import missing

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def test_the_first_config_is_that_of_the_disk():
    shown = parse(blocks("yaml")[0], "disk.yaml")
    assert shown.to_json() == tinynet.load(ROOT / "configs" / "disk.yaml").to_json()


def test_the_messages_are_the_real_ones():
    text = blocks("yaml")[0].replace("- ReLU", "- relu", 1).replace("{lr:", "{learning_rate:")
    with pytest.raises(ConfigError) as error:
        parse(text, "disk.yaml")
    assert blocks("")[0].splitlines() == error.value.problems


def write_flowers(path, rng, with_species):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["petal_length", "petal_width", *(["species"] if with_species else [])])
        for i in range(60):
            kind = i % 3
            values = [f"{v:.2f}" for v in rng.normal([1 + 2 * kind, 0.5 + kind], 0.2)]
            writer.writerow([*values, *([("setosa", "versicolor", "virginica")[kind]] if with_species else [])])


def commands_of(block):
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def run_all(commands, folder):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in commands:
        done = subprocess.run(shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert done.stdout or done.stderr


def test_the_commands_for_mnist_run(tmp_path):
    if missing("mnist", data_folder() / "mnist"):
        pytest.skip(f"the files of MNIST are not in {data_folder()} (TINYNET_DATA)")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (block,) = [block for block in blocks("console") if "mnist" in block]
    run_all(commands_of(block), tmp_path)


@pytest.mark.slow
def test_every_command_runs(tmp_path):
    rng = np.random.default_rng(0)
    write_flowers(tmp_path / "flowers.csv", rng, True)
    write_flowers(tmp_path / "new-flowers.csv", rng, False)
    (tmp_path / "flowers.yaml").write_text(blocks("yaml")[1])
    others = [block for block in blocks("console") if "mnist" not in block and "--plugin" not in block]
    commands = [command for block in others for command in commands_of(block)]
    assert len(commands) > 10
    run_all(commands, tmp_path)
    rows = (tmp_path / "predictions.csv").read_text().splitlines()
    assert len(rows) == 61
    species = [row.split(",")[0] for row in rows[1:]]
    right = np.mean([name == ("setosa", "versicolor", "virginica")[i % 3] for i, name in enumerate(species)])
    assert right > 0.9


def test_the_python_runs(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks("python"):
        if not block.startswith("# softplus.py"):
            exec(block, names)
    assert names["value"] < 0.01  # it has learned x₁ x₂, whose variance is 0.05
    printed = capsys.readouterr().out
    assert "[1 0]" in printed
    assert "101 parameters" in printed


def without_numbers(text):
    return re.sub(r"-?\d+(\.\d+)?(e[+-]\d+)?", "#", text)


def test_a_layer_of_ones_own_is_written_as_shown_and_a_wrong_one_is_caught(tmp_path):
    (layer,) = [block for block in blocks("python") if block.startswith("# softplus.py")]
    (config,) = [block for block in blocks("yaml") if block.startswith("# softplus.yaml")]
    (tmp_path / "softplus.py").write_text(layer)
    (tmp_path / "softplus.yaml").write_text(config)
    (block,) = [block for block in blocks("console") if "--plugin" in block]
    run_all(commands_of(block), tmp_path)
    assert (tmp_path / "runs" / "softplus" / "plots" / "network.png").exists()

    right, wrong = "np.exp(-self.beta * self.x)", "np.exp(self.beta * self.x)"
    assert f"`{wrong}`" in README
    assert layer.count(right) == 1
    (tmp_path / "softplus.py").write_text(layer.replace(right, wrong))
    command = [Path(sys.executable).with_name("tinynet"), *commands_of(block)[0].split()[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    (message,) = [text for text in blocks("") if text.startswith("softplus.yaml")]
    # The numbers depend on the machine's arithmetic.
    said = [without_numbers(line) for line in (done.stdout + done.stderr).splitlines()]
    assert without_numbers(message.strip()) in said


def test_the_changelog_and_the_package_have_one_version():
    assert f"## {tinynet.__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
