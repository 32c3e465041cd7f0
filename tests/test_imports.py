"""The house's order: which module may import which, who may print and draw, and that each says what it is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tinynet

SOURCE = Path(tinynet.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

# Each step may import itself and what stands above it. The longest name that fits a module counts.
STEPS = [
    ["__init__", "interrupts", "errors", "files", "memory", "reading", "core", "suggestions", "registry"],
    ["functions", "images", "equations", "sketch"],
    ["npz", "layers", "losses", "optimizers", "schedules", "datasets", "augmentations"],
    ["graph"],
    ["preparing"],
    ["net"],
    ["pieces"],
    ["yaml_reader", "messages", "grammar", "overrides", "checking", "config"],
    ["fitting", "builder"],
    ["evaluation"],
    ["trace", "explain"],
    ["twin"],
    ["check"],
    ["learner"],
    ["processes"],
    ["rounds"],
    ["checkpoint"],
    ["scaling", "start"],
    ["experiment"],
    ["provenance", "summary", "metrics", "run"],
    ["history"],
    ["runs"],
    ["difference", "intervals", "compare", "resuming"],
    ["plots"],
    ["cli", "__main__"],
]
# Within a step, too, nothing goes round in a circle; these are the ones that have an order of their own.
ORDER = (
    ["errors", "core", "registry"],
    ["yaml_reader", "messages", "grammar", "overrides", "checking", "config"],
    ["fitting", "builder"],
    ["provenance", "summary", "metrics", "run"],
    ["cli", "__main__"],
)
ALLOWED = {
    "annotated_types": {""},
    "numpy": {""},
    "yaml": {"yaml_reader", "run", "cli.layers"},
    "pydantic": {"grammar", "checking"},
    "matplotlib": {"plots"},
    "click": {"cli"},
    "tqdm": {"cli"},
    "torch": {"twin"},
}


def module(path):
    """The name of a file's module below tinynet; that of the package itself is __init__."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def step(name):
    top = name.split(".")[0]
    return next(i for i, names in enumerate(STEPS) if top in names)


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


def imports(path, tree=None):
    """The full names of the modules that a file imports anywhere, importlib.import_module("…") too."""
    for node in statements(tree or ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            # `from tinynet import registry` imports a module, `from tinynet.core import Array` a name in one.
            if node.module == "tinynet":
                yield from (f"tinynet.{alias.name}" for alias in node.names)
            else:
                yield node.module
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
    for name in imports(path):
        if name.split(".")[0] == "tinynet":
            yield name.removeprefix("tinynet").removeprefix(".") or "__init__"


def home(name):
    """`tinynet.x` may be the package's own name, as in `from tinynet import __version__`."""
    top = name.split(".")[0]
    return name if any(top in names for names in STEPS) else "__init__"


every_file = pytest.mark.parametrize("path", FILES, ids=[module(path) for path in FILES])


def test_every_module_has_its_place():
    known = {name for names in STEPS for name in names}
    assert {module(path).split(".")[0] for path in FILES} == known


@every_file
def test_imports_run_one_way(path):
    name = module(path)
    if name in ("__init__", "registry"):
        return  # tested below: they import by name, at the first use
    for other in own_imports(path):
        assert step(home(other)) <= step(name), f"{name} imports {other}"


def test_the_package_and_the_registry_import_nothing_of_tinynet_when_they_are_imported():
    for name, allowed in (("__init__", set()), ("registry", {"errors"})):
        tree = ast.parse((SOURCE / f"{name}.py").read_text(encoding="utf-8"))
        # Only what stands outside of functions runs on import.
        outside = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        found = {other.removeprefix("tinynet.") for other in imports(SOURCE, outside) if other.startswith("tinynet")}
        assert found <= allowed


def test_functions_of_the_registry_import_only_the_homes_of_components():
    # load_all names the packages in a tuple, which is read here from the source.
    tree = ast.parse((SOURCE / "registry.py").read_text(encoding="utf-8"))
    load_all = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "load_all")
    loop = next(node for node in ast.walk(load_all) if isinstance(node, ast.For))
    homes = {"datasets", "augmentations", "layers", "losses", "optimizers", "schedules"}
    assert set(ast.literal_eval(loop.iter)) == homes


def test_there_is_no_circle():
    graph = {}
    for path in FILES:
        name = module(path)
        if name not in ("__init__", "registry"):
            graph[name] = {home(other) for other in own_imports(path)} - {name, "__init__", "registry"}
    left = dict(graph)
    while left:
        free = [name for name, needs in left.items() if not any(need in left for need in needs)]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


@pytest.mark.parametrize("names", ORDER, ids=lambda names: names[-1])
def test_the_order_within_a_step(names):
    files = {name: SOURCE / f"{name}.py" for name in names}
    for name, path in files.items():
        for other in own_imports(path if path.exists() else SOURCE / name / "__init__.py"):
            if other in names:
                assert names.index(other) <= names.index(name), f"{name} imports {other}"


# What layers, losses, optimizers, schedules, datasets and augmentations stand on.
KNOWN = ("core", "suggestions", "registry", "functions", "images", "errors", "files", "memory", "reading", "npz")


def test_datasets_layers_and_losses_know_nothing_of_each_other():
    for path in FILES:
        top = module(path).split(".")[0]
        if top in ("layers", "losses", "optimizers", "schedules", "datasets", "augmentations"):
            for other in own_imports(path):
                assert other.split(".")[0] in (top, *KNOWN), f"{module(path)}: {other}"


@every_file
def test_other_packages_are_imported_only_where_they_belong(path):
    for other in imports(path):
        top = other.split(".")[0]
        if top in ALLOWED:
            assert within(module(path), ALLOWED[top]), f"{module(path)} imports {top}"
        else:
            assert top == "tinynet" or top in sys.stdlib_module_names, f"{module(path)} imports {top}"


PRINTS = ("print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write", "logging.")


@every_file
def test_only_the_command_line_prints(path):
    if module(path).split(".")[0] in ("cli", "__main__"):
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


@pytest.mark.parametrize("name", ["losses", "layers", "optimizers", "schedules", "net", "datasets", "plots"])
def test_a_module_is_an_attribute_right_after_the_import(name):
    code = f"import tinynet; print(tinynet.{name}.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == (f"tinynet.{name}\n", 0), done.stderr
