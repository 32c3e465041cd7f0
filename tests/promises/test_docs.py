"""The site is built strictly, from the pages and from the classes."""

import html
import os
import re
import subprocess
import sys

import pages
import pytest

from tinynet.common import components
from tinynet.config.grammar import load_all

load_all()
CLASSES = {name: cls for kind in components.KINDS for name, cls in components.classes(kind).items()}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site."""
    pytest.importorskip("material", reason="mkdocs-material, the extra docs, is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=pages.ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def shown(site, page):
    """The page's own part, as text."""
    text = (site / page / "index.html").read_text(encoding="utf-8")
    article = re.search(r"<article.*?</article>", text, re.DOTALL)[0]
    return html.unescape(re.sub(r"<[^>]+>", "", article))


def test_every_component_has_a_page_with_its_equation_its_options_and_its_code(site):
    for name, cls in CLASSES.items():
        text = shown(site, f"reference/{name}")
        assert components.documentation(cls).summary in text, name
        assert all(option.name in text for option in components.options(cls)), name
        assert f"class {name}(" in text
    linear = shown(site, "reference/Linear")
    assert "dW = xᵀ dy,  db = 1ᵀ dy,  dx = dy Wᵀ." in linear
    assert "self.weight.gradient += self.x.mT @ dy" in linear
    assert '"""y = x W + b' not in linear


def test_the_reference_lists_every_component(site):
    text = shown(site, "reference")
    for name, cls in CLASSES.items():
        assert name in text
        assert " ".join(components.documentation(cls).summary.split()) in " ".join(text.split()), name


@pytest.mark.parametrize("page", ["benchmarks", "contributing", "changelog"])
def test_documents_of_the_root_are_pages(site, page):
    headings = {"benchmarks": "Benchmarks", "contributing": "Contributing", "changelog": "Changelog"}
    assert headings[page] in shown(site, page)


def test_commands_are_copied_without_what_they_print(site):
    text = (site / "quickstart" / "index.html").read_text(encoding="utf-8")
    copied = [html.unescape(found) for found in re.findall(r'data-copy="([^"]*)"', text)]
    assert copied[0] == "tinynet init disk\ntinynet train disk.yaml"
    assert "sed 's/- ReLU/- relu/' disk.yaml > wrong.yaml\ntinynet train wrong.yaml" in copied
    assert len(copied) == len(pages.blocks(pages.ROOT / "docs" / "quickstart.md", "console"))


def test_names_in_a_docstring_are_code(site):
    for name in ("Block", "Dropout", "GELU"):
        assert "`" not in shown(site, f"reference/{name}").partition("Example")[0]


def test_pictures_lead_to_files_and_have_their_width(site):
    for page in pages.PAGES[1:]:
        folder = site if page.stem == "index" else site / page.stem
        found = re.findall(r'<img alt="[^"]+" src="([^"]+)" width="\d+%"', (folder / "index.html").read_text("utf-8"))
        assert len(found) == page.read_text(encoding="utf-8").count("<img ")
        assert all((folder / picture).exists() for picture in found)


def test_the_site_asks_nothing_of_other_hosts(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', text), page


def test_the_site_holds_pages_and_no_code(site):
    assert not [path for path in site.rglob("*") if path.suffix in (".py", ".pyc")]
