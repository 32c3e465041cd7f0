"""README and docs/ tell the truth: configs load, commands and Python run and print what is said, links lead on."""

import re
import shutil

import pages
import pytest
import yaml

import tinynet
from tinynet.cli import COMMANDS
from tinynet.common.components import options
from tinynet.common.errors import ConfigError
from tinynet.common.files import data_folder
from tinynet.config.config import KEYS, parse
from tinynet.config.grammar import Training
from tinynet.data.download import missing

README = pages.PAGES[0]
NAMES = [page.name for page in pages.PAGES]
# What takes longer than a few seconds.
SLOW = {"README.md", "check.md", "config.md", "graphs.md", "images.md", "own-layers.md", "quickstart.md", "rounds.md"}
# What has a test of its own below.
BELOW = {"data.md", "python.md"}


def text_of(name):
    return pages.PAGES[NAMES.index(name)].read_text(encoding="utf-8")


def blocks(name, language):
    return pages.blocks(pages.PAGES[NAMES.index(name)], language)


def followed(name, folder):
    """What a page has made, followed in a folder with the configs that it may name."""
    said = "".join(block.text for block in blocks(name, "console"))
    if "tinynet data get mnist" in said and missing("mnist", data_folder() / "mnist"):
        pytest.skip(f"the files of MNIST are not in {data_folder()} (TINYNET_DATA)")
    if "--torch" in said:
        pytest.importorskip("torch", reason="PyTorch is not installed")
    shutil.copytree(pages.ROOT / "configs", folder / "configs")
    return pages.follow(pages.PAGES[NAMES.index(name)], folder)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in NAMES if name not in BELOW]
)
def test_a_page_can_be_followed(name, tmp_path):
    followed(name, tmp_path)


def test_the_page_on_data_can_be_followed_to_right_predictions(tmp_path):
    followed("data.md", tmp_path)
    status, printed = pages.shell("tinynet predict runs/flowers new-flowers.csv", tmp_path)
    assert status == 0
    species = [row.split(",")[0] for row in printed.splitlines()[1:]]
    assert species == ["setosa", "versicolor", "virginica"] * 2


def test_the_page_on_python_can_be_followed_to_what_it_says(tmp_path, capsys):
    names = followed("python.md", tmp_path)
    assert names["value"] < 0.01
    printed = capsys.readouterr().out
    assert "[1 0]" in printed
    assert "101 parameters" in printed
    assert "out_features must be a whole number > 0, not -5" in printed


# README


def test_the_readme_is_short():
    assert len(text_of("README.md").splitlines()) <= 150


def test_the_two_commands_are_there_to_be_copied():
    train, test = blocks("README.md", "bash")
    assert "pip install --quiet . && tinynet train configs/disk.yaml && tinynet plot runs/disk\n" in train.text
    assert test.text.endswith('-e ".[dev]" && python -m pytest -q -n auto -m "not slow"\n')


def test_the_first_config_is_that_of_the_disk():
    disk = tinynet.load(pages.ROOT / "configs" / "disk.yaml").to_json()
    for name in ("README.md", "config.md"):
        assert parse(blocks(name, "yaml")[0].text, "disk.yaml").to_json() == disk


def test_the_messages_are_the_real_ones():
    text = blocks("README.md", "yaml")[0].text.replace("- ReLU", "- relu", 1).replace("{lr:", "{learning_rate:")
    with pytest.raises(ConfigError) as error:
        parse(text, "disk.yaml")
    assert blocks("README.md", "")[0].text.splitlines() == error.value.problems


def test_the_layer_is_that_of_the_page_on_layers():
    """Which is followed by a test, and checked."""
    (shown,), (whole, *_) = (
        [block for block in blocks(name, "python") if block.title == "softplus.py"]
        for name in ("README.md", "own-layers.md")
    )
    assert shown.text.partition("    beta")[2] == whole.text.partition("    beta")[2]


def test_the_training_step_learns():
    names = {}
    exec(blocks("README.md", "python")[-1].text, names)
    assert names["value"] < 0.01  # it has learned x₁ x₂, whose variance is 0.05


# Configs


def whole(text):
    """A block's config; what it leaves out is that of a small one."""
    config = yaml.safe_load(text)
    # An example of an option may stand alone.
    assert set(config) <= set(KEYS)
    rest = {"dataset": "Disk", "layers": [{"Linear": 2}], "loss": "CrossEntropy", "optimizer": "SGD"}
    return yaml.safe_dump(rest | config)


@pytest.mark.parametrize("name", NAMES)
def test_every_config_loads(name):
    for block in blocks(name, "yaml"):
        if block.title not in ("wrong.yaml", "softplus.yaml"):
            assert parse(block.text if block.title else whole(block.text), f"{name}:{block.line}").layers


def test_wrong_configs_are_wrong():
    (wrong,) = [block for block in blocks("config.md", "yaml") if block.title == "wrong.yaml"]
    with pytest.raises(ConfigError) as error:
        parse(wrong.text, "wrong.yaml")
    assert len(error.value.problems) == 6


def test_the_table_of_training_has_every_option():
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", text_of("config.md"), re.MULTILINE)
    assert [name for name, _ in rows] == [option.name for option in options(Training)]


def test_the_table_of_sections_has_every_one():
    rows = re.findall(r"^\| `(\w+)` \| \S+ .*\|$", text_of("config.md").partition("## Its sections")[2], re.MULTILINE)
    assert rows[: len(KEYS)] == list(KEYS)


# What else is said


def test_the_commands_of_the_quickstart_are_all():
    rows = re.findall(r"^\| `tinynet (\w+)", text_of("quickstart.md"), re.MULTILINE)
    assert set(rows) == set(COMMANDS)


@pytest.mark.parametrize("line", re.findall(r"_TINYNET_COMPLETE=\w+_source tinynet", text_of("quickstart.md")))
def test_the_line_for_a_shell_prints_its_completion(line, tmp_path):
    status, printed = pages.shell(line, tmp_path)
    assert status == 0
    assert "_tinynet_completion" in printed


def test_names_of_configs_are_completed(tmp_path):
    status, printed = pages.shell(
        'COMP_WORDS="tinynet init mnist-l" COMP_CWORD=2 _TINYNET_COMPLETE=bash_complete tinynet', tmp_path
    )
    assert (status, printed) == (0, "plain,mnist-lenet\n")


def anchors(page):
    """What links call a page's headings; one that a code host and mkdocs call differently cannot be linked to."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        kept = re.sub(r"[^\w\s-]", "", heading).lower()
        hosted, built = (
            kept.replace(" ", "-"),
            re.sub(r"[\s-]+", "-", kept.encode("ascii", "ignore").decode()).strip("-"),
        )
        if hosted == built:
            yield hosted


@pytest.mark.parametrize(
    "page",
    [
        *pages.PAGES,
        *(
            pages.ROOT / name
            for name in ("CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md", "docs/reference/index.md")
        ),
    ],
)
def test_every_link_leads_to_a_file_of_the_repository(page):
    text = page.read_text(encoding="utf-8")
    links = [*re.findall(r"\]\(([^)#]*)#?([\w-]*)\)", text), *re.findall(r'<img src="([^"]+)"()', text)]
    for link, anchor in links:
        if not link.startswith("https://"):
            target = page.parent / link if link else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), f"{link}#{anchor}"
    assert len(re.findall(r"\]\(", text)) + text.count("<img ") == len(links)
    assert "){ " not in text, "attributes that only mkdocs reads"


@pytest.mark.parametrize("page", [*pages.PAGES, pages.ROOT / "CONTRIBUTING.md"])
def test_every_file_of_the_code_that_is_named_is_there(page):
    named = re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|yaml))`", page.read_text(encoding="utf-8"))
    for file in named:
        assert any((folder / file).exists() for folder in (pages.ROOT, pages.ROOT / "src" / "tinynet")), file
