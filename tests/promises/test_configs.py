"""Every config that comes with tinynet trains, and those with a claim keep it."""

import re
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet.common.files import data_folder
from tinynet.data.download import missing

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("**/*.yaml"))


def images_of(path):
    """The dataset that a config has to be given on the disk, or None; skips the test where it is not."""
    names = {"MNIST": "mnist", "FashionMNIST": "fashion-mnist"}
    kind = tinynet.load(path).dataset.cls.__name__
    if kind in names and missing(names[kind], data_folder() / names[kind]):
        pytest.skip(f"the files of {names[kind]} are not in {data_folder()} (TINYNET_DATA)")
    return kind if kind in names else None


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_trains_briefly(path):
    images = images_of(path)
    few = [f"dataset.{images}.train=320", f"dataset.{images}.test=64"] if images else []
    rounds = min(2, tinynet.load(path).training.rounds)
    config = tinynet.load(path, "training.epochs=3", f"training.rounds={rounds}", *few)
    trained = list(tinynet.build(config).train())
    for number in range(rounds):
        records = [record for record in trained if record.round == number]
        assert [record.epoch for record in records] == [0, 1, 2, 3]
        assert records[-1].test_loss < records[0].test_loss


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_says_what_it_shows_and_what_it_measured(path):
    comment = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert re.fullmatch(r"# [A-Z].{20,118}[.?]", comment[0]), "the first line, which `tinynet init --help` shows"
    assert any("easured" in line for line in comment)


@pytest.mark.slow
def test_the_disk_is_learned():
    """PyTorch's own mean over 20 seeds is 5.6 %, its deviation 2 points."""
    errors = []
    for seed in range(10):
        *_, last = tinynet.build(tinynet.load(ROOT / "configs" / "disk.yaml", f"seed={seed}")).train()
        errors.append(last.test_error)
    assert np.mean(errors) <= 0.075


@pytest.mark.slow
def test_the_spirals_are_learned():
    *_, last = tinynet.build(tinynet.load(ROOT / "configs" / "spirals.yaml")).train()
    assert last.test_error < 0.05


def test_lenet_learns_mnist():
    """A tenth of MNIST, three epochs: the whole of it, ten epochs, gives what the config's comment says."""
    path = ROOT / "configs" / "mnist-lenet.yaml"
    images_of(path)
    *_, last = tinynet.build(tinynet.load(path, "training.epochs=3", "dataset.MNIST.train=6000")).train()
    assert last.test_error < 0.05


@pytest.mark.slow
def test_a_dense_net_learns_mnist():
    path = ROOT / "configs" / "mnist-mlp.yaml"
    images_of(path)
    *_, last = tinynet.build(tinynet.load(path, "training.epochs=3")).train()
    assert last.test_error < 0.03
