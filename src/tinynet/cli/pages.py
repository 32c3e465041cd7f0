"""Pages of headings, fields, tables and blocks: as text of 80 columns, or as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from tinynet.cli.output import table

COLUMNS = 80
INDENT = 4  # of a block
LABEL = 13  # the width of the labels of fields

# Labels, and beside each what there is to say, every item on a line of its own.
Rows = list[tuple[str, list[str]]]


class Code(str):
    """A name or an equation, which Markdown sets as code."""


class Page:
    """A page of plain text, no line of it longer than 80 columns."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def __str__(self) -> str:
        return "\n\n".join(self.parts)

    def heading(self, text: str, level: int) -> None:
        """A heading; level 1 is the page's own."""
        lines = _wrapped(text, COLUMNS)
        rule = {1: "═", 2: "─"}.get(level)
        self.parts.append("\n".join([*lines, rule * max(map(len, lines))] if rule else lines))

    def text(self, text: str) -> None:
        """A paragraph."""
        self.parts.append("\n".join(_wrapped(text, COLUMNS, "")))

    def fields(self, rows: Rows) -> None:
        """A list of labels with what belongs to each."""
        lines = []
        for label, items in rows:
            texts = [line for item in items for line in _wrapped(item, COLUMNS - LABEL - 4)]
            labels = [label, *[""] * (len(texts) - 1)]
            lines += [f"  {name.ljust(LABEL)}  {text}" for name, text in zip(labels, texts, strict=True)]
        self.parts.append("\n".join(lines))

    def table(self, rows: Sequence[Sequence[str]], left: int) -> None:
        """A table under a heading, `left` columns of text and then numbers."""
        columns = list(zip(*rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        while sum(widths) + 2 * len(widths) - 2 > COLUMNS:
            widths[widths.index(max(widths))] -= 1
        cut = [
            [cell if len(cell) <= width else f"{cell[: width - 1]}…" for cell in column]
            for column, width in zip(columns, widths, strict=True)
        ]
        cut[:left] = [[cell.ljust(width) for cell in cut[i]] for i, width in enumerate(widths[:left])]
        self.parts.append(table(list(zip(*cut, strict=True))))

    def block(self, lines: Sequence[str], language: str = "text") -> None:
        """Lines to be left as they are."""
        self.parts.append(textwrap.indent("\n".join(lines), " " * INDENT))


class Markdown(Page):
    """The same page as Markdown."""

    def heading(self, text: str, level: int) -> None:
        self.parts.append(f"{'#' * level} {_escaped(text)}")

    def text(self, text: str) -> None:
        self.parts.append(_escaped(text))

    def fields(self, rows: Rows) -> None:
        cells = [(label if not i else "", item) for label, items in rows for i, item in enumerate(items)]
        self.table(cells, 2)

    def table(self, rows: Sequence[Sequence[str]], left: int) -> None:
        lines = [f"| {' | '.join(map(_escaped, row))} |" for row in rows]
        marks = ["---" if i < left else "---:" for i in range(len(rows[0]))]
        self.parts.append("\n".join([lines[0], f"| {' | '.join(marks)} |", *lines[1:]]))

    def block(self, lines: Sequence[str], language: str = "text") -> None:
        self.parts.append("\n".join([f"```{language}", *lines, "```"]))


def _escaped(text: str) -> str:
    """Text in which Markdown sees no marks of its own; code in a table needs its bars escaped too."""
    if isinstance(text, Code):
        return f"`{text.replace('|', chr(92) + '|')}`" if text else ""
    return re.sub(r"([*<|])", r"\\\1", text)


def _wrapped(text: str, width: int, later: str = "  ") -> list[str]:
    """Text in lines, the later ones indented, broken neither within short brackets nor after `name:`."""
    kept = r"\[[^\[\]]{,30}\]|\([^()]{,30}\)|\w: "
    whole = re.sub(kept, lambda found: found[0].replace(" ", "\u00a0"), text)
    lines = textwrap.wrap(whole, width, subsequent_indent=later, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in lines] or [""]
