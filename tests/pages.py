"""The Markdown pages of the documentation: their blocks of code, and what becomes of them when they are followed.

A block with a title is a file of that name. Blocks of Python run one after another with the same names. In a block
`console`, lines that begin with `$ ` are commands for a shell and the lines below are what it prints; numbers may be
others, and a line `...` stands for any lines.
"""

import os
import re
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass
class Block:
    """A block of code, with the line of the page that it begins at."""

    line: int
    language: str
    title: str | None
    text: str


def blocks(page, language=None):
    """The blocks of a page in order, or those of one language."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in re.finditer(r"^```(\w*)(?: title=\"(.+?)\")?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        found.append(Block(text[: match.start()].count("\n") + 1, *match.groups()))
    return [block for block in found if language in (None, block.language)]


def commands(block):
    """The commands of a block, each with the lines that it is said to print."""
    found = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def shell(command, folder):
    """Run a command as a person does: (exit status, what it prints)."""
    environment = {key: value for key, value in os.environ.items() if key not in ("TINYNET_RUNS", "COLUMNS")}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout


def plain(line):
    """A line without its numbers and its spaces in a row, which depend on the machine."""
    return " ".join(re.sub(r"[-+]?\d[\d,.]*(e[-+]\d+)?", "#", line).split())


def missing(said, printed):
    """The first line that a page says is printed and is not, in order; None if all are."""
    lines, place, skips = [plain(line) for line in printed.rstrip().splitlines()], 0, False
    for line in said:
        if line == "...":
            skips = True
            continue
        try:
            found = lines.index(plain(line), place)
        except ValueError:
            return line
        if found > place and not skips:
            return line
        place, skips = found + 1, False
    return None if skips or place == len(lines) or not said else f"the end, after {said[-1]!r}"


def follow(page, folder):
    """Do all that a page says, from its top to its end, in a folder. Returns the names that its Python has made."""
    names = {}
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            with chdir(folder):
                exec(compile(block.text, f"{page.name}:{block.line}", "exec"), names)
        elif block.language == "console":
            for command, said in commands(block):
                status, printed = shell(command, folder)
                where = f"{page.name}:{block.line}: {command}\n{printed}"
                assert missing(said, printed.replace(f"{folder}{os.sep}", "")) is None, f"{where}\n{said}"
                # A command may fail where the page shows all that it says.
                assert status == 0 or (said and "..." not in said), f"{where}\nexit status {status}"
    return names
