"""The core path stays short enough to be read in one sitting."""

import ast
import io
import tokenize
from pathlib import Path

import tinynet

SOURCE = Path(tinynet.__file__).parent
# The mathematics of a dense net, the loop that trains it, for one net and for several at once, and what it measures.
CORE = (
    "nn/parameter.py",
    "nn/random.py",
    "nn/layer.py",
    "nn/layers/linear.py",
    "nn/layers/activations.py",
    "nn/losses.py",
    "nn/optimizers.py",
    "nn/net.py",
    "training/learner.py",
    "training/measuring.py",
)
QUIET = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def code_lines(text):
    """The lines that are neither blank nor of a comment, a docstring or an import."""
    left_out = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            left_out.update(range(node.lineno, node.end_lineno + 1))
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            left_out.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in QUIET:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - left_out)


def test_what_counts():
    lines = ['"""What it is."""', "", "import os", "", "", "# Why.", "def f(x):", '    """Twice."""']
    lines += ["    y = (", "        x", "    )", "    return 2 * y"]
    assert code_lines("\n".join(lines)) == 5


def test_the_core_path_has_at_most_700_lines_of_code():
    assert sum(code_lines((SOURCE / name).read_text(encoding="utf-8")) for name in CORE) <= 700
