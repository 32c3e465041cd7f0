"""Components: how they are found, what their docstrings say of them, and which values their options take."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import annotated_types as limits
import pytest
from gradients import from_example

from tinynet.common import components
from tinynet.common.annotations import NonNegativeInt, PositiveFloat, PositiveInt, Probability, Share
from tinynet.common.errors import OptionError
from tinynet.common.suggestions import suggestion
from tinynet.config.grammar import load_all
from tinynet.nn.layer import Layer
from tinynet.nn.layers.activations import ReLU
from tinynet.nn.layers.block import Block
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.merge import Concat, Identity, Multiply, Sum
from tinynet.nn.losses import MSE
from tinynet.nn.optimizers import SGD, Adam, AdamW

load_all()

COMPONENTS = [cls for kind in components.KINDS for cls in components.classes(kind).values()]
every_component = pytest.mark.parametrize("cls", COMPONENTS)


@pytest.fixture
def twice(monkeypatch):
    """A layer class that is registered for as long as a test runs."""
    # The first line makes monkeypatch take the entry away again.
    monkeypatch.setitem(components.classes("layer"), "Twice", None)

    @dataclass(eq=False)
    class Twice(Layer):
        """y = 2 · x ^ power

        Shapes: any.

        Parameters
        ----------
        power
            To which the input
            is raised.
        added
            Nothing: it is not used.

        Source: none.

        Example: {Twice: {power: 2}}
        """

        power: PositiveInt
        added: tuple[float, float] = (0.0, 0.0)
        sign: Literal["+", "-"] | None = None

    return Twice


def test_a_class_is_registered_by_its_definition(twice):
    assert components.classes("layer")["Twice"] is twice
    assert list(components.classes("layer"))[-1] == "Twice"
    assert components.find("Twice") is twice


def test_a_name_of_another_module_is_refused_and_the_same_module_again_replaces(twice):
    with pytest.raises(OptionError) as caught:
        type("Twice", (Layer,), {"__module__": "elsewhere"})
    assert str(caught.value) == f"there is a layer Twice in {__name__}. Give yours another name."
    assert components.find("Twice") is twice
    # Of any kind: `loss: Linear` would be no clearer.
    with pytest.raises(OptionError, match=r"there is a layer Linear in tinynet\.nn\.layers\.linear"):
        type("Linear", (MSE,), {"__module__": __name__})
    assert components.find("Linear") is Linear
    again = type("Twice", (Layer,), {"__module__": __name__})
    assert components.find("Twice") is again


def test_a_default_may_come_from_a_factory(monkeypatch):
    monkeypatch.setitem(components.classes("layer"), "Listed", None)

    @dataclass(eq=False)
    class Listed(Layer):
        sizes: list = field(default_factory=lambda: [1, 2])

    option = components.options(Listed)[0]
    assert (option.name, option.default, option.required) == ("sizes", [1, 2], False)
    assert Listed().sizes == [1, 2]
    assert Listed().sizes is not Listed().sizes


def test_abstract_classes_are_not_registered():
    class Half(Layer, abstract=True):
        pass

    assert components.find("Half") is None
    for name in ("Component", "Layer", "Loss", "Optimizer", "Schedule", "Dataset", "Augmentation"):
        assert components.find(name) is None


def test_every_kind_has_components():
    assert components.KINDS == ("dataset", "augmentation", "layer", "loss", "optimizer", "schedule")
    for kind in components.KINDS:
        found = components.classes(kind)
        assert found
        assert all(name == cls.__name__ and cls.kind == kind for name, cls in found.items())


def test_find_looks_in_every_kind():
    assert [components.find(name) for name in ("Linear", "MSE", "SGD")] == [Linear, MSE, SGD]
    # Names are the classes' own, to the letter.
    assert components.find("linear") is None


# Options and docstrings


def test_options_of_a_class(twice):
    options = components.options(twice)
    general = ["name", "inputs", "share", "trainable"]
    assert [option.name for option in options] == ["power", "added", "sign", *general]
    assert [option.own for option in options] == [True] * 3 + [False] * 4
    assert [option.required for option in options] == [True] + [False] * 6
    assert [option.default for option in options[1:]] == [(0.0, 0.0), None, None, None, None, True]
    assert [option.description for option in options[:3]] == [
        "To which the input is raised.",
        "Nothing: it is not used.",
        "",
    ]
    assert [option.type_text for option in options] == [
        "a whole number > 0",
        "[a number, a number]",
        "'+' or '-' or null",
        "a text or null",
        "a text or [a text, ...] or null",
        "a text or null",
        "true or false",
    ]


def test_documentation_of_a_class(twice):
    found = components.documentation(twice)
    assert found.summary == "y = 2 · x ^ power"
    assert found.body == "Shapes: any.\n\nSource: none."
    assert found.example == "{Twice: {power: 2}}"


def test_documentation_of_a_class_without_docstring():
    class Bare(ReLU, abstract=True):
        pass

    assert components.documentation(Bare) == components.Documentation("Bare", "", "Bare")


def test_inherited_options_are_described_once():
    described = {cls: {option.name: option.description for option in components.options(cls)} for cls in (Adam, AdamW)}
    assert described[AdamW]["betas"] == described[Adam]["betas"]
    assert described[AdamW]["weight_decay"] != described[Adam]["weight_decay"]


@pytest.mark.parametrize(
    ("cls", "first"),
    [
        *[(Linear, "out_features"), (ReLU, None), (MSE, None), (SGD, "lr"), (Adam, "lr"), (AdamW, "lr")],
        *[(Sum, "inputs"), (Multiply, "inputs"), (Concat, "inputs"), (Identity, None), (Block, "layers")],
    ],
)
def test_the_option_that_may_be_written_bare(cls, first):
    found = components.first_option(cls)
    assert (found and found.name) == first


@every_component
def test_every_option_is_described(cls):
    assert [option.name for option in components.options(cls) if not option.description] == []


@every_component
def test_every_docstring_has_a_first_line_and_an_example(cls):
    assert "Example: " in cls.__dict__["__doc__"]
    found = components.documentation(cls)
    assert found.summary != cls.__name__
    assert "Example:" not in found.body
    assert "Parameters\n---" not in found.body


@every_component
def test_every_example_builds(cls):
    assert type(from_example(cls)) is cls


@every_component
def test_every_default_fits_its_own_option(cls):
    for option in components.options(cls):
        if not option.required:
            assert components.mismatch(option.default, option.annotation) is None


# Suggestions

LAYERS = list(components.classes("layer"))
LINEAR = [option.name for option in components.options(Linear)]
SGDS = [option.name for option in components.options(SGD)]
ALL = [cls.__name__ for cls in COMPONENTS]


@pytest.mark.parametrize(
    ("given", "known", "meant"),
    [
        ("Dense", LAYERS, "Linear"),
        ("dense", LAYERS, "Linear"),
        ("FullyConnected", LAYERS, "Linear"),
        ("relu", LAYERS, "ReLU"),
        ("RELU", LAYERS, "ReLU"),
        ("leaky_relu", LAYERS, "LeakyReLU"),
        ("SoftmaxLayer", LAYERS, "Softmax"),
        ("Liner", LAYERS, "Linear"),
        ("Flaten", LAYERS, "Flatten"),
        ("learning_rate", SGDS, "lr"),
        ("learningRate", SGDS, "lr"),
        ("lrr", SGDS, "lr"),
        ("momentun", SGDS, "momentum"),
        ("weight-decay", SGDS, "weight_decay"),
        ("units", LINEAR, "out_features"),
        ("use_bias", LINEAR, "bias"),
        ("MSELoss", ALL, "MSE"),
        ("mean_squared_error", ALL, "MSE"),
        ("HuberLoss", ALL, "Huber"),
        ("BCEWithLogitsLoss", ALL, "BinaryCrossEntropy"),
        ("NLLLoss", ALL, "CrossEntropy"),
        ("CosineAnnealingLR", ALL, "CosineLR"),
        ("adam", ALL, "Adam"),
        ("circle", ALL, "Disk"),
        ("filters", ["out_channels", "kernel_size"], "out_channels"),
        ("Conv2D", ["Linear", "Conv2d"], "Conv2d"),
        ("batchsize", ["epochs", "batch_size"], "batch_size"),
    ],
)
def test_suggestion(given, known, meant):
    assert suggestion(given, known) == meant


@pytest.mark.parametrize(("given", "known"), [("xyzzy", LAYERS), ("units", SGDS), ("Dense", ["MSE"]), ("", LAYERS)])
def test_no_suggestion_where_nothing_is_near(given, known):
    assert suggestion(given, known) is None


# Values and their annotations


@pytest.mark.parametrize(
    ("annotation", "fit", "text", "misfits"),
    [
        (int, [0, -3], "a whole number", [1.0, True, "1", None]),
        (float, [0, 1.5, -2], "a number", [True, "1.5", float("nan"), float("inf"), None]),
        (bool, [True, False], "true or false", [0, 1, "true", None]),
        (str, ["", "x"], "a text", [1, None, ["x"]]),
        (PositiveInt, [1], "a whole number > 0", [0, -1, 0.5, True]),
        (NonNegativeInt, [0], "a whole number >= 0", [-1]),
        (PositiveFloat, [1e-9, 1], "a number > 0", [0, -1.0]),
        (Share, [0, 0.99], "a number >= 0 and < 1", [1, -0.1]),
        (Probability, [0, 1], "a number >= 0 and <= 1", [1.1]),
        (Annotated[int, limits.Ge(2), limits.Le(4)], [2, 4], "a whole number >= 2 and <= 4", [1, 5]),
        (int | None, [None, 3], "a whole number or null", [1.5, "null"]),
        (
            PositiveInt | tuple[int, int],
            [3, (1, 2), [1, 2]],
            "a whole number > 0 or [a whole number, a whole number]",
            [0],
        ),
        (tuple[Share, int], [(0.5, 3), [0, 1]], "[a number >= 0 and < 1, a whole number]", [(0.5,), (2, 3), 0.5, "ab"]),
        (Literal["a", "b"], ["a"], "'a' or 'b'", ["c", 1, ["a"], None]),
        (Any, [1, None, "x"], "Any", []),
    ],
)
def test_mismatch(annotation, fit, text, misfits):
    for value in fit:
        assert components.mismatch(value, annotation) is None
    for value in misfits:
        shown = "null" if value is None else "true" if value is True else repr(value)
        assert components.mismatch(value, annotation) == f"must be {text}, not {shown}"
