"""A person's own components from `--plugin FILE.py`: used like any other, refused with a reason, never run unasked."""

import json
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import yaml

import tinynet
from tinynet.common import components
from tinynet.config.grammar import load_all
from tinynet.runs.run import Run

SWISH = '''\
from dataclasses import dataclass

import numpy as np

import tinynet


@dataclass(eq=False)
class Swish(tinynet.Layer):
    """y = x / (1 + e^(-beta x))

    Parameters
    ----------
    beta
        How steep it is.

    Example: {Swish: 1.5}
    """

    beta: float = 1.0

    def forward(self, x, training=False):
        self.s = 1 / (1 + np.exp(-self.beta * x))
        self.y = x * self.s
        return self.y

    def backward(self, dy):
        return dy * (self.s + self.beta * self.y * (1 - self.s))
'''
# A layer without options need not be a dataclass.
TWICE = """\
import tinynet


class Twice(tinynet.Layer):
    def forward(self, x, training=False):
        self.y = 2 * x
        return self.y

    def backward(self, dy):
        return 2 * dy
"""
# A layer's two methods, for files in which something else is wrong.
METHODS = """
    def forward(self, x, training=False):
        self.y = x
        return self.y

    def backward(self, dy):
        return dy
"""
WITH_SWISH = {"- ReLU": "- Swish: 1.2"}


@pytest.fixture(autouse=True)
def _leave_no_components(tmp_path):
    """What a file registers, other tests must not see."""
    load_all()
    classes = {kind: dict(found) for kind, found in components._classes.items()}
    modules, path = set(sys.modules), list(sys.path)
    yield
    for kind, found in classes.items():
        components._classes[kind].clear()
        components._classes[kind].update(found)
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
    sys.path[:] = path


@pytest.fixture
def own(write):
    """Writes own.py."""
    return lambda text=SWISH, name="own.py": write(text, name).name


@pytest.fixture
def refused(cli, own):
    """What is said to a file that cannot be a plugin."""

    def say(text, name="own.py"):
        status, out, err = cli("layers", "--plugin", own(text, name))
        assert (status, out) == (2, "")
        assert "Traceback" not in err
        return err.removesuffix("\n")

    return say


def trained(cli, write, changed, parts, *options):
    status, out, err = cli("train", write(changed(parts)), "--json", "--quiet", *options)
    assert status == 0, err
    return json.loads(out)


# What a plugin is good for


def test_a_layer_of_ones_own_is_trained_evaluated_drawn_and_used(cli, write, changed, own, tmp_path):
    plugin = ("--plugin", own())
    trained(cli, write, changed, WITH_SWISH, *plugin)
    run = Run.open(tmp_path / "runs" / "small")
    assert yaml.safe_load((run.folder / "resolved.yaml").read_text())["layers"][1] == {
        "Swish": {"beta": 1.2, "trainable": True}
    }
    status, out, err = cli("eval", "runs/small", "--json", *plugin)
    assert status == 0, err
    assert json.loads(out)["last"]["loss"] == pytest.approx(run.records()[-1].test_loss)
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((5, 2)))
    status, out, err = cli("predict", "runs/small", "x.npz", *plugin)
    assert (status, out.count("\n")) == (0, 6), err
    status, out, err = cli("plot", "runs/small", *plugin)
    assert (status, err) == (0, "")
    assert "runs/small/plots/boundary.png" in out


def test_a_layer_of_ones_own_computes_what_its_file_says(cli, write, changed, own, tmp_path):
    trained(cli, write, changed, WITH_SWISH, "--plugin", own())
    net = tinynet.load_checkpoint(tmp_path / "runs" / "small" / "checkpoints" / "last.npz").net
    net.forward(np.random.default_rng(0).random((4, 2)))
    x = net.layers[0].y
    np.testing.assert_allclose(net.layers[1].y, x / (1 + np.exp(-1.2 * x)), rtol=1e-6)


def test_it_is_among_the_layers_and_in_the_schema(cli, own):
    status, out, _ = cli("layers", "--plugin", own())
    assert status == 0
    assert re.search(r"^  Swish +y = x / \(1 \+ e\^\(-beta x\)\)$", out, re.MULTILINE)
    status, out, _ = cli("layers", "Swish", "--plugin", "own.py")
    assert out.startswith("Swish (layer)\n\n  y = x / (1 + e^(-beta x))\n")
    assert "  beta: a number (default 1.0)\n      How steep it is.\n" in out
    assert out.endswith("Example\n  Swish: 1.5\n")
    status, out, _ = cli("schema", "--plugin", "own.py")
    assert "Swish" in json.dumps(json.loads(out)["$defs"]["layer"])


def test_a_layer_without_a_docstring_is_listed_by_its_name(cli, own):
    text = re.sub(r'    """y.*?"""\n', "", SWISH, flags=re.DOTALL)
    out = cli("layers", "--plugin", own(text))[1]
    assert re.search(r"^  Swish +Swish$", out, re.MULTILINE)


def test_a_problem_of_an_option_is_at_its_line(cli, write, changed, own):
    path = write(changed({"- ReLU": "- Swish: steep"}))
    status, _, err = cli("train", path, "--plugin", own())
    assert (status, err) == (2, f"{path}:6:5: layers[1].Swish.beta: must be a number, not 'steep'\n")


OTHERS = """\
from dataclasses import dataclass

import numpy as np

from tinynet import Data, Dataset, Description, Loss, Optimizer, Split


@dataclass(eq=False)
class Cube(Loss):
    def __call__(self, predicted, target):
        difference = predicted - target
        return float(np.mean(np.abs(difference) ** 3)), 3 * difference * np.abs(difference) / difference.size


@dataclass(eq=False)
class Sign(Optimizer):
    lr: float = 0.01

    def step(self, tensor, gradient):
        tensor -= self.learning_rate * np.sign(gradient)
        self.steps += 1


@dataclass(eq=False)
class Ramp(Dataset):
    rows: int = 30

    def read(self, seed):
        x = np.linspace(0, 1, self.rows)[:, None]
        split = Split(x, None, 3 * x)
        return Data(split, split, Description((1,)))
"""


def test_losses_optimizers_and_datasets_of_ones_own(cli, write, changed, own):
    parts = {"Disk: {train: 40, test: 20}": "Ramp: 50", "CrossEntropy": "Cube", "SGD: {lr: 0.1}": "Sign: 0.005"}
    parts |= {"- Linear: 2\n": "- Linear: 1\n", "epochs: 2": "epochs: 60"}
    found = trained(cli, write, changed, parts, "--plugin", own(OTHERS))
    assert found["test_r2"] > 0.9


def test_several_files_of_which_one_imports_the_other(cli, write, changed, own):
    own(TWICE, "other.py")
    own("from other import Twice\n\n\nclass Again(Twice):\n    pass\n")
    parts = {"- ReLU": "- Again\n  - Twice"}
    for plugins in (["own.py"], ["own.py", "other.py"], ["other.py", "own.py"]):
        options = [word for name in plugins for word in ("--plugin", name)]
        trained(cli, write, changed, parts, *options)


def test_what_a_file_prints_is_no_result(cli, write, changed, own):
    path = write(changed(WITH_SWISH))
    status, out, err = cli("train", path, "--json", "--quiet", "--plugin", own(SWISH + "\nprint('Swish is here')\n"))
    assert status == 0
    assert json.loads(out)["status"] == "finished"
    assert err == "Swish is here\n"


def test_in_python_the_import_of_a_module_is_enough(write, changed, own, tmp_path):
    own()
    path = write(changed(WITH_SWISH))
    code = f"import tinynet, own; print(type(tinynet.build(tinynet.load({str(path)!r})).net.layers[1]).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "Swish\n", done.stderr


# Runs


STOPS = TWICE.replace(
    "        self.y = 2",
    "        if training and os.path.exists('stop') and self.clock.step == 4:\n"
    "            signal.raise_signal(signal.SIGINT)\n"
    "        self.y = 2",
)


def test_an_interrupted_run_goes_on_by_the_command_that_is_printed(cli, write, changed, own, tmp_path):
    plugins = [own("import os\nimport signal\n\n" + STOPS, "my twice.py"), own()]
    options = [word for name in plugins for word in ("--plugin", name)]
    path = write(changed({"- ReLU": "- Swish\n  - Twice", "epochs: 2": "epochs: 3"}))
    assert cli("train", path, "--quiet", "--runs", "whole", *options)[0] == 0
    (tmp_path / "stop").touch()
    status, _, err = cli("train", path, "--quiet", *options)
    assert status == 130
    printed = "tinynet train --resume runs/small --plugin 'my twice.py' --plugin own.py"
    assert err == f"Interrupted. To go on:\n  {printed}\n"
    (tmp_path / "stop").unlink()
    status, out, err = cli(*shlex.split(printed)[1:], "--quiet")
    assert status == 0, err
    assert out.endswith("Next: tinynet plot runs/small --plugin 'my twice.py' --plugin own.py\n")
    ends = [np.load(tmp_path / runs / "small" / "checkpoints" / "last.npz") for runs in ("runs", "whole")]
    for name in ends[1].files:
        if name.startswith("parameters/"):
            assert ends[0][name].tobytes() == ends[1][name].tobytes()
    status, out, _ = cli(*shlex.split(printed)[1:])
    assert "--plugin 'my twice.py' --plugin own.py --set training.epochs=6" in out


def test_the_command_in_meta_json_has_the_option(command, write, changed, own, tmp_path):
    status, _, err = command("train", write(changed(WITH_SWISH)), "--plugin", own())
    assert status == 0, err
    words = json.loads((tmp_path / "runs" / "small" / "meta.json").read_text())["command"]
    assert words[-2:] == ["--plugin", "own.py"]


@pytest.mark.parametrize("order", [1, -1])
def test_threads_of_blas_are_asked_for_before_the_file_imports_numpy(command, write, changed, own, order):
    text = "import os\nimport sys\n\nprint(os.environ['OPENBLAS_NUM_THREADS'], 'numpy' in sys.modules)\n"
    options = [["--blas-threads", "2"], ["--plugin", own(text + SWISH)]][::order]
    status, _, err = command("train", write(changed(WITH_SWISH)), "--quiet", *options[0], *options[1])
    assert (status, err) == (0, "2 True\n")


# What is refused


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.py", "gone.py: there is no such file"),
        (".", ".: this is a folder. Name a Python file in it."),
        ("own", "own: a plugin is a Python file, so its name has to end in .py. Did you mean own.py?"),
        ("c.yaml", "c.yaml: a plugin is a Python file, so its name has to end in .py."),
        ("v1.own.py", "v1.own.py: a plugin's name has no dot but that of .py. Rename the file."),
    ],
)
def test_names_that_are_no_plugin(cli, own, name, message):
    own()
    own(SWISH, "v1.own.py")
    assert cli("layers", "--plugin", name) == (2, "", f"Error: {message}\n")


@pytest.mark.parametrize("name", ["json.py", "yaml.py", "tabnanny.py", "tinynet.py"])
def test_a_file_does_not_take_the_place_of_a_module_of_python(refused, name):
    stem = name.removesuffix(".py")
    message = f"Error: {name}: Python has another module called {stem!r}. Give the file another name."
    assert refused(SWISH, name) == message


def test_a_file_is_found_by_python_too_or_beside_a_folder_of_its_name(cli, own, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "linked").symlink_to(tmp_path)
    (tmp_path / "other").mkdir()
    own(TWICE, "other.py")
    assert cli("layers", "--plugin", "elsewhere/linked/" + own(), "--plugin", "other.py")[0] == 0


@pytest.mark.parametrize("text", ["", "import tinynet\n", "from tinynet import *\n", "from tinynet import Linear\n"])
def test_a_file_without_components(refused, text):
    assert refused(text) == (
        "Error: own.py: there is no layer, nor anything else that a config can name, in this file. "
        "Write one as in `class Square(tinynet.Layer):`"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = np.zeros(2)\n", "own.py:2: NameError: name 'np' is not defined"),
        ("import nowhere_to_be_found\n", "own.py:1: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("x = 1\n\nclass Half:\n    def f(:\n", "own.py:4: SyntaxError: invalid syntax"),
        ("def f():\n    raise ValueError\n\n\nf()\n", "own.py:2: ValueError"),
        ("import sys\n\nsys.exit(3)\n", "own.py:3: SystemExit: 3"),
        ("import json\n\njson.loads('{')\n", "own.py:3: JSONDecodeError: Expecting property name"),
        (SWISH.replace("beta: float = 1.0", "beta: list = []"), "own.py:8: ValueError: mutable default <class 'list'>"),
    ],
)
def test_a_file_that_raises(refused, text, message):
    assert refused(text).startswith(message)


def test_the_traceback_of_a_file_is_shown_with_debug(command, own):
    status, _, err = command("--debug", "layers", "--plugin", own("x = 1 / 0\n"))
    assert status == 2
    assert "Traceback" in err
    assert err.endswith("own.py:1: ZeroDivisionError: division by zero\n")


def test_a_name_that_exists(cli, own, refused):
    taken = "there is a layer Linear in tinynet.nn.layers.linear. Give yours another name."
    assert refused(f"import tinynet\n\n\nclass Linear(tinynet.Layer):{METHODS}") == f"own.py:4: {taken}"
    # Of another kind, and one that tinynet has not read yet when the file runs.
    taken = "there is a loss Huber in tinynet.nn.losses. Give yours another name."
    assert refused(f"import tinynet\n\n\nclass Huber(tinynet.Layer):{METHODS}") == f"own.py:4: {taken}"
    own(TWICE, "other.py")
    own(TWICE)
    _, out, err = cli("layers", "--plugin", "other.py", "--plugin", "own.py")
    assert (out, err) == ("", "own.py:4: there is a layer Twice in other. Give yours another name.\n")


HEAD = "from dataclasses import dataclass\nimport numpy as np\nimport tinynet\n\n\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (SWISH.replace("@dataclass(eq=False)\n", ""), 8, "beta is no option, because the class is no dataclass. Write "
         "`@dataclass(eq=False)` on the line above `class`, and `from dataclasses import dataclass` at the top of the "
         "file."),
        (HEAD + f"class Swish(tinynet.Layer):\n    a: int = 1\n    b: int = 2\n{METHODS}", 6,
         "a and b are no options, because"),
        (HEAD + "class Swish(tinynet.Layer):\n    def __init__(self, beta):\n        self.beta = beta\n" + METHODS, 6,
         "its __init__(beta) cannot take the options that a config gives. Write `@dataclass(eq=False)` above `class`, "
         "each option as a line of the class, as in `beta: float = 1.0`, and leave __init__ out."),
        (HEAD + "@dataclass\nclass Swish(tinynet.Layer):\n    beta: float = 1\n\n"
         "    def __init__(self, beta=1):\n        pass\n" + METHODS, 6, "its __init__(beta) cannot take the options"),
        (HEAD + "@dataclass\nclass Swish(tinynet.Layer):\n    beta: np.ndarray = None\n" + METHODS,
         6, "its options cannot be read: "),
        (HEAD + "@dataclass\nclass Swish(tinynet.Layer):\n    beta: 'Float' = 1\n" + METHODS, 6,
         "its options cannot be read: NameError: name 'Float' is not defined"),
        (HEAD + "class Swish(tinynet.Layer):" + METHODS.replace("forward", "froward"), 6,
         "has no forward. Write `def forward(self, x, training=False):`."),
        (HEAD + "class Swish(tinynet.Layer):" + METHODS.replace("backward", "back"), 6,
         "has no backward. Write `def backward(self, dy):`."),
        (HEAD + "class Swish(tinynet.Layer):" + METHODS.replace(", training=False", ""), 7,
         "forward does not take `training`. Write `def forward(self, x, training=False):`."),
        (HEAD + f"class Swish(tinynet.Layer):{METHODS}\n    def setup(self, shape):\n        return shape\n", 14,
         "setup does not take `rng`. Write `def setup(self, shape, rng):`."),
        (HEAD + "class Swish(tinynet.Loss):\n    pass\n", 6,
         "has no __call__, which every loss needs. Write `def __call__(self, predicted, target):`."),
        (HEAD + "class Swish(tinynet.Optimizer):\n    pass\n", 6,
         "has no step, which every optimizer needs. Write `def step(self, tensor, gradient):`."),
        (HEAD + "class Swish(tinynet.Dataset):\n    pass\n", 6,
         "has no read, which every dataset needs. Write `def read(self, seed):`."),
    ],
)  # fmt: skip
def test_a_component_that_could_not_work(refused, text, line, message):
    first = refused(text).splitlines()[0]
    assert first.startswith(f"own.py:{line}: Swish: {message}"), first


OPTIONS = """\
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import annotated_types as limits
import numpy as np

import tinynet


class Color(Enum):
    RED = "red"


class Prime(limits.BaseMetadata):
    pass


class Tree(TypedDict):
    size: int
    inner: NotRequired["Tree"]


@dataclass(eq=False)
class Swish(tinynet.Layer):
    a: {}
""" + METHODS.replace("{", "{{")
ANY_OTHER = "Write int, float, str, bool, Literal, list, tuple, dict or a TypedDict."


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ("Color", "Color is nothing that a config can give. Write Literal, as in Literal['mean', 'sum']."),
        ("Literal[Color.RED, 'blue']", "Color is nothing that a config can give. Write Literal, as in "),
        ("set", "set is nothing that a config can give. Write list."),
        ("frozenset[int] | None", "frozenset[int] is nothing that a config can give. Write list."),
        ("Path", "Path is nothing that a config can give. Write tinynet.FilePath."),
        ("Iterable[int]", f"collections.abc.Iterable[int] is nothing that a config can give. {ANY_OTHER}"),
        ("Callable[..., int]", f"collections.abc.Callable[..., int] is nothing that a config can give. {ANY_OTHER}"),
        ("Callable[[int], int]", "collections.abc.Callable[[int], int] is nothing that a config can give. Write "),
        ("list[bytes]", f"bytes is nothing that a config can give. {ANY_OTHER}"),
        ("tinynet.Data", f"Data is nothing that a config can give. {ANY_OTHER}"),
        ("tuple[()]", f"tuple[()] is nothing that a config can give. {ANY_OTHER}"),
        ("Annotated[int | None, limits.Gt(0)] = None", "'> 0' is no limit of a whole number or null. Write it with "
         "what it limits, as in Annotated[int, Gt(0)] | None."),
        ("Annotated[int, limits.MinLen(2)]", "'of length >= 2' is no limit of a whole number. Write it with"),
        ("Annotated[int, Prime()]", "Prime is no limit that tinynet checks. Write Predicate, with a function."),
    ],
)  # fmt: skip
def test_an_option_that_no_config_can_give(refused, annotation, message):
    first, *others = refused(OPTIONS.format(annotation)).splitlines()
    assert re.fullmatch(rf"own.py:\d+: Swish: its options cannot be read: a: {re.escape(message)}.*", first), first
    assert others == []


@pytest.mark.parametrize(
    ("annotation", "given", "schema"),
    [
        ("Sequence[float]", [1, 2], {"items": {"type": "number"}, "type": "array"}),
        ("Mapping[str, int]", {"b": 1}, {"additionalProperties": {"type": "integer"}, "type": "object"}),
        ("Annotated[str, limits.Len(1, 3)]", "b", {"maxLength": 3, "minLength": 1, "type": "string"}),
        ("Annotated[list[int], limits.Len(1, 3)]", [1],
         {"items": {"type": "integer"}, "maxItems": 3, "minItems": 1, "type": "array"}),
        ("Annotated[dict[str, int], limits.Len(1, 3)]", {"b": 1},
         {"additionalProperties": {"type": "integer"}, "maxProperties": 3, "minProperties": 1, "type": "object"}),
        ("Annotated[float, limits.Lt(np.int64(7))]", 2, {"exclusiveMaximum": 7, "type": "number"}),
        ("Annotated[int | float, limits.Gt(0)]", 2,
         {"anyOf": [{"type": "integer"}, {"type": "number"}], "exclusiveMinimum": 0}),
        ("Annotated[float, limits.Not(float.is_integer)]", 0.5, {"type": "number"}),
        ("Tree", {"size": 1, "inner": {"size": 2, "inner": {"size": 3}}}, {"$ref": "#/$defs/Tree"}),
        ("object", [1, "b"], {}),
        ("int = np.int64(3)", 4, {"default": 3, "type": "integer"}),
        ("int = np.int64(3)", None, {"default": 3, "type": "integer"}),
        ("tuple[float, ...] = (np.float32(0.5),)", None,
         {"default": [0.5], "items": {"type": "number"}, "type": "array"}),
    ],
)  # fmt: skip
def test_an_option_of_ones_own_is_checked_and_in_the_schema(cli, write, changed, own, annotation, given, schema):
    plugin = ("--plugin", own(OPTIONS.format(annotation)))
    status, out, err = cli("schema", *plugin)
    assert (status, err) == (0, "")
    form = json.loads(out)["$defs"]["layer"]["anyOf"][1]["properties"]["Swish"]["anyOf"][0]
    assert form["properties"]["a"] == {**schema, "description": "", "title": "A"}
    assert cli("layers", "Swish", *plugin)[0] == 0
    layer = "Swish" if given is None else f"Swish: {{a: {json.dumps(given)}}}"
    trained(cli, write, changed, {"- ReLU": f"- {layer}"}, *plugin)


@pytest.mark.parametrize(
    ("annotation", "given", "message"),
    [
        ("Sequence[float]", "abc", "a: must be [a number, ...], not 'abc'"),
        ("Mapping[str, int]", "{b: c}", "a: must be {a text: a whole number, ...}, not {'b': 'c'}"),
        ("Annotated[float, limits.Not(float.is_integer)]", "2", "a: must be a number as Annotated says, not 2"),
        ("Tree", "{size: 1, inner: {size: b}}", "a.inner.size: must be a whole number, not 'b'"),
    ],
)
def test_a_value_that_an_option_of_ones_own_does_not_take(cli, write, changed, own, annotation, given, message):
    path = write(changed({"- ReLU": f"- Swish: {{a: {given}}}"}))
    status, _, err = cli("train", path, "--plugin", own(OPTIONS.format(annotation)))
    assert (status, err.count("\n")) == (2, 1), err
    assert message in err


def test_all_that_is_wrong_is_said_at_once(refused):
    text = "import tinynet\n\n\nclass A(tinynet.Layer):\n    pass\n\n\nclass B(tinynet.Schedule):\n    pass\n"
    lines = refused(text).splitlines()
    assert [re.match(r"own.py:\d+: \w+: has no \w+", line)[0] for line in lines] == [
        "own.py:4: A: has no forward",
        "own.py:4: A: has no backward",
        "own.py:8: B: has no factor",
    ]


@pytest.mark.parametrize(
    "text",
    [
        # What looks like a fault, but is none.
        f"class Swish(tinynet.Layer):\n    count: ClassVar[int] = 1\n{METHODS}",
        f"class Base(tinynet.Layer, abstract=True):\n    pass\n\n\nclass Swish(Base):{METHODS}",
        f"@dataclass\nclass Swish(tinynet.Layer):\n    size: int\n{METHODS}",
        "class Swish(tinynet.Layer):\n    def __init__(self, **options):\n        super().__init__(**options)\n"
        + METHODS,
        "class Swish(tinynet.Layer):\n    def __post_init__(self):\n        super().__post_init__()\n" + METHODS,
        f"class Swish(tinynet.Layer):{METHODS}\n    def setup(self, *shapes, **given):\n        return shapes[0]\n",
        "class Swish(tinynet.ReLU):\n    pass\n",
        f"class Swish(tinynet.Layer):{METHODS.replace('self, x,', 'self, *xs,').replace('= x', '= xs[0]')}",
    ],
)
def test_a_component_that_works(cli, own, text):
    head = "from dataclasses import dataclass\nfrom typing import ClassVar\n\nimport tinynet\n\n\n"
    status, out, err = cli("layers", "--plugin", own(head + text))
    assert (status, err) == (0, "")
    assert re.search(r"^  Swish ", out, re.MULTILINE)


# What goes wrong later


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("self.y = x * self.s", "self.y = x @ self.s", "Error: own.py:24: ValueError: matmul: "),
        ("return dy *", "return self.z *", "Error: own.py:28: AttributeError: 'Swish' object has no attribute 'z'"),
        ("    def backward", "    def setup(self, shape, rng):\n        return shape[2]\n\n    def backward",
         "Error: own.py:28: IndexError: tuple index out of range"),
        ("    def forward", "    def __post_init__(self):\n        self.half = self.beta / 0\n\n    def forward",
         "Error: own.py:23: ZeroDivisionError: float division by zero"),
    ],
)  # fmt: skip
def test_what_a_layer_raises_is_shown_with_its_line(cli, write, changed, own, old, new, message):
    assert old in SWISH
    status, out, err = cli("train", write(changed(WITH_SWISH)), "--quiet", "--plugin", own(SWISH.replace(old, new)))
    assert (status, out) == (1, "")
    assert err.startswith(message), err


def test_a_gradient_of_another_shape_is_not_called_a_fault_of_tinynet(cli, write, changed, own):
    text = SWISH.replace("return dy *", "return dy[:, :2]  #")
    status, _, err = cli("train", write(changed(WITH_SWISH)), "--quiet", "--plugin", own(text))
    assert status == 1
    assert "perhaps because a layer of own.py returned something else than it should" in err
    assert "Please report it" not in err


def test_a_fault_of_tinynet_is_still_called_one(cli, write, changed, monkeypatch):
    monkeypatch.setattr("tinynet.cli.train._dry_run", lambda *arguments: 1 / 0)
    status, _, err = cli("train", write(changed()), "--dry-run")
    assert (status, err) == (
        1,
        "Error: a fault in tinynet: ZeroDivisionError('division by zero'). Please report it, with the output of "
        "--debug.\n",
    )


# Only the option runs a file


@pytest.mark.slow
def test_an_unknown_layer_of_a_config_or_a_checkpoint_needs_the_option(command, write, changed, own, tmp_path):
    path = write(changed(WITH_SWISH))
    assert command("train", path, "--quiet", "--plugin", own())[0] == 0
    # The file lies beside the config, in the working folder, under its name and that of the layer; it must not run.
    for name in ("own.py", "Swish.py", "swish.py"):
        own("open('made', 'w').close()\n" + SWISH, name)
    status, _, err = command("train", path)
    assert status == 2
    assert f"{path}:6:5: layers[1]: 'Swish' is no layer. There are: ReLU, " in err
    assert err.endswith(". A layer of your own needs --plugin FILE.py.\n")
    for arguments in (["eval", "runs/small"], ["predict", "runs/small", "x.npz"], ["train", "--resume", "runs/small"]):
        status, _, err = command(*arguments)
        assert status == 1
        assert err.endswith("layers[1]: 'Swish' is no layer. A layer of your own needs --plugin FILE.py.\n"), err
    status, _, err = command("plot", "runs/small")
    assert status == 0
    assert err.endswith("'Swish' is no layer. A layer of your own needs --plugin FILE.py. Only the curves are drawn.\n")
    assert not (tmp_path / "made").exists()


def test_a_name_in_a_checkpoint_is_no_slip_in_writing(command, write, changed, own):
    plugin = own(TWICE.replace("Twice", "ReLU6"))
    assert command("train", write(changed({"- ReLU": "- ReLU6"})), "--quiet", "--plugin", plugin)[0] == 0
    status, _, err = command("eval", "runs/small")
    assert status == 1
    assert err.endswith("layers[1]: 'ReLU6' is no layer. A layer of your own needs --plugin FILE.py.\n")


def test_a_slip_in_writing_is_not_answered_with_plugins(problems, changed):
    (found,) = problems(changed({"- ReLU": "- Relu"}))
    assert found.endswith("'Relu' is no layer. Did you mean 'ReLU'? (`tinynet layers` lists them)")
    (found,) = problems(changed({"CrossEntropy": "Zzzz"}))
    assert found.endswith("A loss of your own needs --plugin FILE.py.")


def test_a_config_cannot_name_a_plugin(problems, changed):
    (found,) = problems(changed({"name: small": "plugin: own.py"}))
    assert "plugin: no such section." in found


def test_without_the_option_numpy_is_not_imported():
    code = (
        "import sys, tinynet.cli.plugins, tinynet.cli.layers, tinynet.cli.schema; from tinynet.cli import execute; "
        "execute(['train', '--help']); execute(['layers', '--plugin', 'gone.py']); "
        "print({'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.endswith("set()\n"), done.stderr
    assert "--plugin FILE.py" in done.stdout


def test_every_command_that_meets_a_net_has_the_option(cli):
    for name in ("train", "eval", "explain", "check", "layers", "plot", "predict", "schema"):
        assert "--plugin FILE.py" in cli(name, "--help")[1], name
