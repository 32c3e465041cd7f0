"""The package that one would ship: its wheel has all that is needed, its metadata stand by themselves."""

import email
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import tinynet

ROOT = Path(__file__).parents[2]


def run(*command, cwd, **changes):
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=300, **changes)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that an installation makes of this checkout, built without the network."""
    for needed in ("hatchling", "hatch_fancy_pypi_readme"):
        pytest.importorskip(needed, reason=f"{needed}, which builds the package, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as file:
        (name,) = [name for name in file.namelist() if name.endswith("METADATA")]
        return email.message_from_bytes(file.read(name))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The command of an environment of its own with the wheel in it; the libraries are those that run the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    (packages,) = folder.glob("lib/*/site-packages")
    (packages / "libraries.pth").write_text("\n".join(path for path in sys.path if "site-packages" in path))
    return folder / "bin" / "tinynet"


def test_configs_and_their_data_are_written_by_an_installed_package_and_train(installed, tmp_path):
    for name in ("mnist-lenet", "siamese"):
        run(installed, "init", name, cwd=tmp_path)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["columns.npz", "mnist-lenet.yaml", "siamese.csv", "siamese.yaml"]
    for name in written:
        assert (tmp_path / name).read_bytes() == (ROOT / "configs" / name).read_bytes()
    run(installed, "train", "siamese.yaml", "--set", "training.epochs=1", "--quiet", cwd=tmp_path)
    assert (tmp_path / "runs" / "siamese" / "checkpoints" / "last.npz").exists()


def test_the_wheel_has_every_file_of_the_source_and_of_the_configs(wheel):
    source = ROOT / "src" / "tinynet"
    files = [path for path in source.rglob("*.*") if "__pycache__" not in path.parts]
    expected = {f"tinynet/{path.relative_to(source)}" for path in files}
    expected |= {f"tinynet/cli/configs/{path.relative_to(ROOT / 'configs')}" for path in ROOT.glob("configs/**/*.*")}
    with zipfile.ZipFile(wheel) as file:
        found = {name for name in file.namelist() if not name.startswith("tinynet_lab-")}
    assert found == expected
    assert "tinynet/py.typed" in found


def test_the_long_description_needs_nothing_beside_it(metadata):
    text = metadata.get_payload()
    assert text.startswith("# tinynet\n")
    assert "```yaml" in text
    assert "<img" not in text
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert all(target.startswith("https://") for target in targets), targets


def test_the_metadata_name_authors_license_and_what_it_is_for(metadata):
    license_text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert metadata["Author"].lower() in license_text.lower()
    assert (metadata["License-Expression"], license_text.split()[0]) == ("MIT", "MIT")
    classifiers = metadata.get_all("Classifier")
    assert "Typing :: Typed" in classifiers
    assert metadata["Requires-Python"] == ">=3.11"


def test_changelog_citation_and_package_have_one_version(metadata):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == metadata["Version"] == tinynet.__version__
    assert f"## {tinynet.__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert citation["license"] == metadata["License-Expression"]
    assert [author["name"] for author in citation["authors"]] == [metadata["Author"]]
