"""YAML text -> plain values, with the line and column of each; YAML 1.2's scalars, no code, no duplicate keys."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

Keys = tuple[str | int, ...]
FAULTY = object()  # in place of a value whose fault is among the problems
LARGEST = 100_000  # values in a document: aliases can multiply a few lines into billions
LONGEST = 2**20  # characters of a document, which take seconds to read
DEEPEST = 100  # lists and mappings in each other
TOO_DEEP = "the lists and mappings are nested too deep"


@dataclass
class Document:
    """What a text says, where it says it, and what is wrong with its YAML.

    Parameters
    ----------
    value
        Dicts, lists, texts, numbers, booleans and None.
    marks
        (line, column), both from 1, of each path: that of the key for an entry of a mapping, else of the item.
    problems
        (line, column, message) for each fault.
    """

    value: Any = None
    marks: dict[Keys, tuple[int, int]] = field(default_factory=dict)
    problems: list[tuple[int, int, str]] = field(default_factory=list)


class _Loader(yaml.SafeLoader):
    """Resolves plain scalars as YAML 1.2 does: `1e-3` is a number; `no`, `off` and `12:30` are texts."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (the base class's own declaration)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As the base class, which goes as deep as the text does, but no deeper than DEEPEST."""
        if self.depth > DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would read as something else."""


_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}
for _name, _pattern in _SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), None)


def dump(value: Any) -> str:
    """Plain values as YAML, which `read` takes back."""
    return str(
        yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    )


def read(text: str) -> Document:
    """The document of a text. Where the YAML is broken, `problems` says so and `value` is None."""
    document = Document()
    if len(text) > LONGEST:
        document.problems.append((1, 1, f"the file holds {len(text):,} characters; a config has at most {LONGEST:,}"))
        return document
    try:
        node = _Loader(text).get_single_node()
        if node is not None:
            document.value = _Reader(document).value(node, (), ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if "could not find expected ':'" in str(error.problem):
            mark = error.context_mark or mark  # the line itself; the other mark is where the next one begins
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        document.problems.append((line, column, f"this is not valid YAML: {_explain(error)}"))
    except yaml.reader.ReaderError as error:
        document.problems.append((1, 1, f"this is not a text file: it holds the character {error.character!r}"))
    return document


def parse_value(text: str) -> Any:
    """The value of a piece of YAML, as given to `--set`; raises ValueError with what is wrong."""
    document = read(text)
    if document.problems:
        raise ValueError(document.problems[0][2])
    return document.value


# As "\uD800" gives it in YAML; no text file can hold it.
HALF, HALVES = re.compile("[\ud800-\udfff]"), "this is half a character. Write the character itself."


class _Reader:
    """Turns nodes into values and notes where each one stands."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.count = 0

    def value(self, node: yaml.Node, path: Keys, parents: tuple[int, ...]) -> Any:
        self.count += 1
        if id(node) in parents or self.count > LARGEST:
            raise yaml.MarkedYAMLError(
                problem="an alias contains itself" if id(node) in parents else f"more than {LARGEST:,} values",
                problem_mark=node.start_mark,
            )
        self.document.marks.setdefault(path, _place(node))
        parents = (*parents, id(node))
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self.mapping(node, path, parents)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.value(item, (*path, i), parents) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        return self.fault(node, f"the tag {node.tag} is not used here. Remove it.")

    def mapping(self, node: yaml.MappingNode, path: Keys, parents: tuple[int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.fault(key_node, "a name before a colon has to be a plain text")
                continue
            key = str(key_node.value)
            if HALF.search(key):
                self.fault(key_node, HALVES)
                continue
            if key in found:
                first = self.document.marks[(*path, key)][0]
                self.fault(key_node, f"'{key}' is there twice, first in line {first}. Remove one of them.")
                continue
            self.document.marks[(*path, key)] = _place(key_node)
            found[key] = self.value(value_node, (*path, key), parents)
        return found

    def scalar(self, node: yaml.ScalarNode) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        if HALF.search(text):
            return self.fault(node, HALVES)
        if kind in _SCALARS and not re.fullmatch(_SCALARS[kind], text):
            return self.fault(node, f"'{text}' is no {kind}")
        match kind:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                digits = text.lstrip("+-")
                if len(digits) > 1000:
                    return self.fault(node, f"a number of {len(digits)} digits")
                return int(text, 0 if digits[:2] in ("0x", "0o") else 10)
            case "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            case "str":
                return text
        return self.fault(node, f"the tag {node.tag} is not used here. Remove it.")

    def fault(self, node: yaml.Node, message: str) -> Any:
        self.document.problems.append((*_place(node), message))
        return FAULTY


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _explain(error: yaml.MarkedYAMLError) -> str:
    if error.problem == TOO_DEEP:
        return f"{TOO_DEEP}, over {DEEPEST} levels"
    text = " ".join(filter(None, [error.context, error.problem]))
    if "'\\t'" in text:
        return f"{text}. Indent with spaces, not with tabs."
    if "could not find expected ':'" in text:
        return f"{text}. Look for a missing space after '-', or a missing ':'."
    if "mapping values are not allowed here" in text:
        return f"{text}. Look for a missing line break, a missing space after ':' or '-', or a wrong indentation."
    return text
