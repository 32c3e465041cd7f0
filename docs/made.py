"""The pages that are made, not written: one for each component, from its class, and those of the root's documents."""

from __future__ import annotations

import ast
import html
import inspect
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tinynet.cli.layers import PLURALS
from tinynet.common import components
from tinynet.config.grammar import load_all

DOCS = Path(__file__).parent
ROOT = DOCS.parent
SOURCE = ROOT / "src" / "tinynet"

# Page -> the document that it shows.
DOCUMENTS = {
    "benchmarks.md": "benchmarks/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}

KINDS = {kind: PLURALS[kind] for kind in ("layer", "loss", "optimizer", "schedule", "dataset", "augmentation")}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the components into the navigation."""
    load_all()
    (reference,) = [
        entry["Reference"] for entry in config.nav or [] if isinstance(entry, dict) and "Reference" in entry
    ]
    for kind, heading in KINDS.items():
        reference.append({heading: [f"reference/{name}.md" for name in components.classes(kind)]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    made = {page: (ROOT / document).read_text(encoding="utf-8") for page, document in DOCUMENTS.items()}
    for kind in KINDS:
        made |= {f"reference/{name}.md": _component(cls) for name, cls in components.classes(kind).items()}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make of a text that is read in the repository, too, that of a page: links lead to pages instead of files."""
    uri = page.file.src_uri
    path = ROOT / DOCUMENTS.get(uri, f"docs/{uri}")
    made = {ROOT / document: DOCS / name for name, document in DOCUMENTS.items()} | {
        ROOT / "README.md": DOCS / "index.md"
    }

    def link(found: re.Match[str]) -> str:
        target = (path.parent / found[1]).resolve()
        return f"]({Path(os.path.relpath(made.get(target, target), (DOCS / uri).parent)).as_posix()}"

    text = re.sub(r"\]\(([\w./-]+\.md)", link, markdown)
    # Addresses in HTML are left as they are by mkdocs, whose pages lie in folders of their own.
    text = re.sub(r'<img src="(.+?)" width="(.+?)" alt="(.+?)">', r'![\3](\1){ width="\2" }', text)
    return _with_components(text) if uri == "reference/index.md" else text


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have the button of a block with commands copy these, without the prompt and what they print."""

    def block(found: re.Match[str]) -> str:
        lines = html.unescape(re.sub(r"<[^>]+>", "", found[0])).splitlines()
        commands = "\n".join(line.removeprefix("$ ") for line in lines if line.startswith("$ "))
        return f'<div data-copy="{html.escape(commands)}"{found[1]}' if commands else found[0]

    return re.sub(r'<div( class="highlight">.*?</div>)', block, content, flags=re.DOTALL)


def _with_components(text: str) -> str:
    """The text of the reference with a table below what it says of each kind."""
    for kind, heading in KINDS.items():
        lines = ["| name | equation |", "| --- | --- |"]
        for name, cls in components.classes(kind).items():
            lines.append(f"| [{name}]({name}.md) | {_cell(components.documentation(cls).summary)} |")
        before, mark, after = text.partition(f"## {heading}\n")
        said, end, rest = after.partition("\n## ")
        text = "\n".join([f"{before}{mark}{said}", *lines, f"{end}{rest}"])
    return text


def _component(cls: type[Any]) -> str:
    found, file = components.documentation(cls), Path(inspect.getsourcefile(cls) or "").relative_to(SOURCE)
    lines = [f"# {cls.__name__}", "", _equations(found.summary, "equation"), ""]
    for paragraph in _paragraphs(found.body):
        lines += [_equations(paragraph, "text"), ""]
    lines += ["## Example", "", "```yaml", _yaml(found.example), "```", "", *_options(cls)]
    lines += ["## Code", "", f"The class as it stands in `src/tinynet/{file}`, without its docstring.", ""]
    return "\n".join([*lines, "```python", _code(cls), "```", ""])


def _paragraphs(body: str) -> Iterator[str]:
    # Exceptions are for readers of the code: who writes a config is told at its line.
    text = re.sub(r"^Raises\n-+\n(?:\S+\n(?:    .*\n?)+)+", "", body, flags=re.MULTILINE)
    for paragraph in filter(None, re.split(r"\n{2,}", text.strip())):
        # Lines of a docstring are as long as the code's; a sentence goes on, an equation begins a line.
        yield re.sub(r"(?<!\.)\n(?!\w+(?:\[[^\]]*\])? [=←])", " ", paragraph)


def _equations(text: str, style: str) -> str:
    words = re.sub(r"`(.+?)`", r"<code>\1</code>", html.escape(text, quote=False))
    return f'<div class="made-{style}" markdown="0">{words}</div>'


def _cell(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "&#124;").replace("[", "&#91;").replace("*", "&#42;")


def _yaml(example: str) -> str:
    return example[1:-1] if example.startswith("{") else example


def _options(cls: type[Any]) -> list[str]:
    lines = ["## Options", "", "| option | value | default | what it is |", "| --- | --- | --- | --- |"]
    for option in components.options(cls):
        default = "required" if option.required else f"`{components.written(option.default)}`"
        lines.append(f"| `{option.name}` | {_cell(option.type_text)} | {default} | {_cell(option.description)} |")
    return [*lines, ""] if len(lines) > 4 else []


def _code(cls: type[Any]) -> str:
    source = textwrap.dedent(inspect.getsource(cls))
    lines, (first, *_) = source.splitlines(), ast.parse(source).body[0].body
    if isinstance(first, ast.Expr):
        lines[first.lineno - 1 : first.end_lineno] = []
    return re.sub(r":\n\n+", ":\n", "\n".join(lines), count=1)
