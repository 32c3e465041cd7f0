"""The house's order: ten packages whose imports run one way, who may print and draw, that each says what it is."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinynet

SOURCE = Path(tinynet.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

# Each may import itself and what stands before it.
PACKAGES = ["common", "nn", "data", "config", "training", "runs", "explain", "check", "plots", "cli"]
# Beside the order: these do not know each other.
STRANGERS = {("explain", "runs"), ("check", "runs"), ("check", "explain")}
ALLOWED = {
    "annotated_types": {""},
    "numpy": {""},
    "yaml": {"config.reader", "runs.run", "cli.layers"},
    "matplotlib": {"plots"},
    "click": {"cli"},
    "tqdm": {"cli"},
    "torch": {"check.pytorch"},
    "platformdirs": {"common.files"},
    "filelock": {"common.files"},
    "pooch": {"data.download"},
}


def module(path):
    """The name of a file's module below tinynet; that of the package itself is empty."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package(name):
    return name.split(".")[0]


def within(name, packages):
    return any(name == package or package == "" or name.startswith(f"{package}.") for package in packages)


def only_for_types(node):
    """Whether an `if` is `if TYPE_CHECKING:`, whose imports never run."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(tree):
    """Every node of a tree, within functions too, but for what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if only_for_types(node):
            continue
        yield node
        yield from statements(node)


def imports(path):
    """The full names of the modules that a file imports anywhere, import_module("…") too."""
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            # A package's name says nothing of what in it is imported: `from tinynet.common import files`.
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                place = SOURCE.parent.joinpath(*whole.split("."))
                yield whole if place.is_dir() or place.with_suffix(".py").exists() else node.module
        elif isinstance(node, ast.Call) and _called(node).endswith(("import_module", "__import__")) and node.args:
            found = node.args[0]
            if isinstance(found, ast.Constant):
                yield found.value
            elif isinstance(found, ast.JoinedStr) and isinstance(found.values[0], ast.Constant):
                yield found.values[0].value.rstrip(".")


def _called(node):
    return ast.unparse(node.func)


def own_imports(path):
    """The modules of tinynet that a file imports, by their names below it."""
    return [n.removeprefix("tinynet").removeprefix(".") for n in imports(path) if package(n) == "tinynet"]


every_file = pytest.mark.parametrize("path", FILES, ids=[module(path) or "tinynet" for path in FILES])


def test_there_are_ten_packages_and_nothing_beside_them():
    assert {path.name for path in SOURCE.iterdir() if path.name != "__pycache__"} == {
        *PACKAGES,
        "__init__.py",
        "__main__.py",
        "py.typed",
    }


@every_file
def test_imports_run_one_way(path):
    name = package(module(path))
    if name in PACKAGES:
        for other in map(package, own_imports(path)):
            assert other in ("", *PACKAGES[: PACKAGES.index(name) + 1]), f"{module(path)} imports {other}"
            assert (name, other) not in STRANGERS, f"{module(path)} imports {other}"


def test_the_top_and_the_components_import_next_to_nothing_when_they_are_imported():
    allowed = {"tinynet.common", "tinynet.common.annotations", "tinynet.common.errors"}
    for path in (SOURCE / "__init__.py", SOURCE / "common" / "components.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        outside = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert {node.module for node in outside if "tinynet" in ast.unparse(node)} <= allowed
    # Nothing but the version is behind the first of them.
    assert not [
        node
        for node in ast.parse((SOURCE / "common" / "__init__.py").read_text()).body[1:]
        if not isinstance(node, ast.Assign)
    ]


def test_there_is_no_circle():
    known = {module(path) for path in FILES}
    left = {module(path): {*own_imports(path)} & known - {module(path)} for path in FILES if module(path)}
    while left:
        free = [name for name, needs in left.items() if not any(need in left for need in needs)]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


@every_file
def test_other_packages_are_imported_only_where_they_belong(path):
    for other in imports(path):
        top = package(other)
        if top in ALLOWED:
            assert within(module(path), ALLOWED[top]), f"{module(path)} imports {top}"
        else:
            assert top == "tinynet" or top in sys.stdlib_module_names, f"{module(path)} imports {top}"


# What a process imports of these libraries while it runs one command after the other.
LIBRARIES = {"filelock", "platformdirs", "pooch", "requests", "urllib3"}
COMMANDS = (
    ("--help", set()),
    ("layers", set()),
    ("explain c.yaml", set()),
    ("check c.yaml", set()),
    ("train c.yaml --dry-run", set()),
    ("train c.yaml", {"filelock"}),
), (
    ("runs", set()),
    ("eval runs/small", set()),
    ("data path", {"platformdirs"}),
)  # fmt: skip
EXECUTE = """
import sys
from tinynet.cli import execute
for words in sys.argv[1:]:
    assert execute(words.split()) == 0
    print("imported", *sys.modules, file=sys.stderr)
"""


def test_a_command_imports_the_libraries_that_it_needs(write, changed, tmp_path):
    write(changed())
    environment = {name: value for name, value in os.environ.items() if name not in ("TINYNET_DATA", "XDG_CACHE_HOME")}
    for commands in COMMANDS:
        process = [sys.executable, "-c", EXECUTE, *(words for words, _ in commands)]
        done = subprocess.run(process, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = [LIBRARIES & set(line.split()) for line in done.stderr.splitlines() if line.startswith("imported ")]
        assert found == [needed for _, needed in commands]


PRINTS = ("print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write", "logging.")


@every_file
def test_only_the_command_line_prints(path):
    if package(module(path)) in ("cli", "__main__"):
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert not _called(node).startswith(PRINTS), ast.unparse(node)


@every_file
def test_every_module_opens_with_a_sentence(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text
    first = text.splitlines()[0]
    assert len(first) > 15
    assert first[-1] in ".;:"


@every_file
def test_nothing_runs_code_from_data(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            assert _called(node) not in ("eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load")
    assert not set(imports(path)) & {"pickle", "marshal", "shelve"}


def test_no_array_is_loaded_with_pickle():
    for path in FILES:
        assert "allow_pickle=True" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_an_attribute_right_after_the_import(name):
    code = f"import tinynet; print(tinynet.{name}.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == (f"tinynet.{name}\n", 0), done.stderr
