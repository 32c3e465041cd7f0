"""Damages that hypothesis draws: edits of a text, other values in plain data, changed bytes of files."""

import copy
import re

from hypothesis import strategies as st

from tinynet.common import components
from tinynet.config.grammar import load_all

load_all()

# ---- texts with edits

COMPONENTS = [name for kind in components.KINDS for name in components.classes(kind)]
# What stands in configs, and what YAML reads in a way of its own.
WORDS = [
    "", "0", "-1", "1", "2", "3", "1000000000000", "-99999999999999999999", "1e-3", "1e308", "1e999", ".nan", "-.inf",
    "0.5", "true", "null", "~", "off", "[]", "{}", "[1, 2]", "[[]]", "{a: 1}", "text", "'quoted'", '"\\x00"', "é",
    "\u2028", "\U0001f600", "name", "input", "inputs", "share", "trainable", "repeat", "layers", "&a", "*a",
    "!!python/object:os.system", "!!int", "|", ">", "? a", "<<", "- ", ": ", "#", "\t", "/", "..", "/dev/null",
    "x" * 600, "9" * 2000, "0x1F", "2020-01-01", "1_000", "0o17", "+", "signed_one_hot", "regression", "classification",
    "same", "validation_loss", "float64", "validation", "standardize", "targets", "epochs", "rounds", "batch_size",
    "init", "{file: columns.npz, key: first_flat}", "bytes.npz", "vectors.npz", "hours.csv", "siamese.csv", "grey.npz",
    "last.npz", "start_from", "early_stopping", "augment", *COMPONENTS,
]  # fmt: skip
NEW = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["delete", "double", "swap", "indent", "word", "value", "key", "insert", "cut"]),
        st.integers(0, 2**16),
        st.integers(0, 2**16),
        NEW,
    ),
    min_size=1,
    max_size=4,
)


def edited(text, edits):
    """The text with edits of its lines, words, and letters; the places are counted round."""
    for kind, first, second, word in edits:
        lines = text.split("\n")
        i, j = first % len(lines), second % len(lines)
        if kind == "delete":
            del lines[i]
        elif kind == "double":
            lines.insert(j, lines[i])
        elif kind == "swap":
            lines[i], lines[j] = lines[j], lines[i]
        elif kind == "indent":
            lines[i] = " " * (second % 9) + lines[i].lstrip(" ")
        elif kind == "cut":
            lines[i] = lines[i][: second % (len(lines[i]) + 1)]
        else:
            lines[i] = _with_word(lines[i], kind, second, word)
        text = "\n".join(lines)
    return text


def _with_word(line, kind, place, word):
    """The line with another value, key or word, or with letters put in."""
    if kind == "insert":
        place %= len(line) + 1
        return line[:place] + word + line[place:]
    head, colon, tail = line.partition(":")
    if kind == "value" and colon:
        return f"{head}: {word}"
    if kind == "key" and colon:
        return f"{head[: len(head) - len(head.lstrip(' -'))]}{word}:{tail}"
    words = [(start, end) for start, end in _words(line)]
    if not words:
        return line + word
    start, end = words[place % len(words)]
    return line[:start] + word + line[end:]


def _words(line):
    """The places of words, as between spaces and the marks of YAML."""
    return [found.span() for found in re.finditer(r"[^\s:,{}\[\]]+", line)]


# ---- files with damages

DAMAGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "byte", "cut", "delete", "insert", "swap", "repeat", "zeros"]),
        st.integers(0, 2**20),
        st.integers(0, 2**20),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=3,
)


def damaged(content, damages):
    """The bytes with some of them changed, cut off, put in, swapped; the places are counted round."""
    found = bytearray(content)
    for kind, first, second, other in damages:
        size = len(found)
        if not size:
            break
        i, j = first % size, second % size
        n = 1 + second % 64
        if kind == "flip":
            found[i] ^= 1 << second % 8
        elif kind == "byte":
            found[i : i + len(other)] = other
        elif kind == "cut":
            del found[i:]
        elif kind == "delete":
            del found[i : i + n]
        elif kind == "insert":
            found[i:i] = other
        elif kind == "swap":
            found[i : i + 4], found[j : j + 4] = found[j : j + 4], found[i : i + 4]
        elif kind == "repeat":
            found[j:j] = found[i : i + n]
        else:
            found[i : i + n] = bytes(len(found[i : i + n]))
    return bytes(found)


# What stands in configs and checkpoints, anything that JSON can say, and what Python reads as JSON beside it.
ODD = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 2, 3, 4, 7, 10, 100, 1000, 10_000, 10**6, 10**9, 10**30, 10**400, 2**53, 2**63,
        0.5, -0.5, -0.0, 1e-30, 1e30, 1e308, float("nan"), float("inf"), "", "text", "nan", "1", "../..", "a\nb",
        "\x1b[2J", "\ud800", "x" * 5000, [], {}, [[]], [None], [1, 2], {"a": 1}, {"Linear": 10**12}, ["ReLU"] * 30,
        "running", "finished", "interrupted", "2024-01-01", "0001-01-01T00:00:00", "input", "inputs", "n1", "same",
        "zeros", "float64", "validation_loss", "bytes.npz", "hours.csv", "last.npz",
        {"file": "columns.npz", "key": "first_flat"},
        *COMPONENTS, *({name: 2} for name in COMPONENTS),
    ]
)  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.sampled_from(["set", "drop", "copy", "rename"]), st.integers(0, 2**16), st.integers(0, 2**16), ODD),
    min_size=1,
    max_size=3,
)


def changed(found, changes):
    """A JSON value with values in it changed, at places that are counted round."""
    found = copy.deepcopy(found)
    for kind, first, second, odd in changes:
        places = list(_places(found))
        if not places:
            break
        (holder, key), (other, name) = places[first % len(places)], places[second % len(places)]
        if kind == "drop":
            del holder[key]
        elif kind == "rename" and isinstance(holder, dict):
            holder[name if isinstance(name, str) else str(odd)] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(other[name] if kind == "copy" else odd)
    return found


def _places(value):
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from _places(inner)


def paths(value, before=""):
    """The paths of all values, as `--set` takes them: `layers[0].Linear.out_features`."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        path = f"{before}[{key}]" if isinstance(key, int) else f"{before}.{key}".lstrip(".")
        yield path
        yield from paths(inner, path)
