"""Config files: the grammar's forms, every problem at its place, overrides, paths, the resolved form, the schema."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from json_schema import conforms
from options import CONFIGS

import tinynet
from tinynet.common import components
from tinynet.common.errors import ConfigError, UsageError
from tinynet.config import reader
from tinynet.config.checking import Spec
from tinynet.config.config import from_json, parse
from tinynet.config.grammar import load_all
from tinynet.config.schema import json_schema
from tinynet.nn.layers.activations import ReLU
from tinynet.nn.layers.linear import Linear
from tinynet.nn.optimizers import SGD, Adam

load_all()
ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "configs").glob("**/*.yaml"), *(ROOT / "src/tinynet/cli/starters").glob("*.yaml")])
CLASSES = [cls for kind in components.KINDS for cls in components.classes(kind).values()]
# What the options that every layer has are where the config does not name them.
GENERAL = {"name": None, "inputs": None, "share": None, "trainable": True}


@pytest.fixture
def load(write, changed):
    """The checked config of the small one with parts replaced."""
    return lambda parts=(), *overrides: tinynet.load(write(changed(parts)), *overrides)


def place(text, part):
    """line:column of the first occurrence of a part of the text, as an editor counts."""
    before = text[: text.index(part)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


# The forms


@pytest.mark.parametrize(
    "form", ["Linear: 7", "Linear: {out_features: 7}", "{Linear: 7}", "Linear:\n      out_features: 7"]
)
def test_a_layer_in_each_form(load, form):
    spec = load({"Linear: 5": form}).layers[0]
    assert spec.cls is Linear
    assert spec.options == {"out_features": 7, "bias": True, "init": "uniform"} | GENERAL


@pytest.mark.parametrize("form", ["ReLU", "ReLU:", "ReLU: {}", "'ReLU'", "{ReLU: ~}", "ReLU: {name: null}"])
def test_a_layer_without_options_in_each_form(load, form):
    spec = load({"ReLU": form}).layers[1]
    assert spec.cls is ReLU
    assert spec.options == GENERAL


@pytest.mark.parametrize(
    ("form", "lr"),
    [
        ("Adam", 1e-3),
        ("Adam: 0.5", 0.5),
        ("Adam: 1e-2", 0.01),
        ("Adam: 2", 2),
        ("Adam: {lr: 0.5}", 0.5),
        ("Adam: {}", 1e-3),
    ],
)
def test_an_optimizer_in_each_form(load, form, lr):
    spec = load(
        {"optimizer:\n  SGD: {lr: 0.1}": f"optimizer: {{{form}}}" if ":" in form else f"optimizer: {form}"}
    ).optimizer
    assert (spec.cls, spec.options["lr"]) == (Adam, lr)


@pytest.mark.parametrize(
    ("form", "factors"),
    [
        ("", []),
        ("schedule:\n", []),
        ("schedule: []\n", []),
        ("schedule: CosineLR\n", ["CosineLR"]),
        ("schedule: {StepLR: 3}\n", ["StepLR"]),
        ("schedule: [CosineLR]\n", ["CosineLR"]),
        ("schedule: [LinearWarmup: 5, CosineLR]\n", ["LinearWarmup", "CosineLR"]),
    ],
)
def test_a_schedule_is_one_component_or_a_list(load, form, factors):
    assert [spec.cls.__name__ for spec in load({"training:": f"{form}training:"}).schedule] == factors


def test_defaults_of_the_sections(load):
    config = load({"name: small\n": ""})
    # Without a name, the file's.
    assert (config.name, config.seed, config.dtype) == ("c", 0, "float32")
    assert asdict(config.training) == {
        "epochs": 2,
        "batch_size": 16,
        "rounds": 1,
        "shuffle": True,
        "evaluate_train": False,
        "clip_norm": None,
        "early_stopping": None,
        "checkpoint_seconds": 10.0,
        "start_from": None,
    }


def test_training_may_be_left_out(load):
    assert load({"training:\n  epochs: 2\n  batch_size: 16\n": ""}).training.epochs == 10


def test_a_pair_is_written_as_a_list(load):
    assert load({"SGD: {lr: 0.1}": "Adam: {betas: [0.5, 0]}"}).optimizer.options["betas"] == (0.5, 0)


def test_make_gives_a_new_component_each_time(load):
    spec = load().layers[0]
    assert spec.make() is not spec.make()


def test_only_components_with_rules_of_their_own_are_made_to_check_them(load, monkeypatch):
    made = []
    make = Spec.make
    monkeypatch.setattr(Spec, "make", lambda spec: made.append(spec.cls.__name__) or make(spec))
    load({"training:": "schedule: CosineLR\ntraining:"})
    # Linear: a file of biases where there are none; SGD: nesterov without momentum.
    assert made == ["Linear", "Linear", "SGD"]


@pytest.mark.parametrize(
    ("old", "new", "path", "value"),
    [
        ("lr: 0.1", "lr: 1", ("optimizer", "SGD", "lr"), 1.0),
        ("SGD: {lr: 0.1}", "Adam: {betas: [0, 0.5]}", ("optimizer", "Adam", "betas"), [0.0, 0.5]),
        ("Linear: 5", "Linear: {out_features: 5, init: 1}", ("layers", 0, "Linear", "init"), 1.0),
        ("epochs: 2", "clip_norm: 3", ("training", "clip_norm"), 3.0),
        ("epochs: 2", "checkpoint_seconds: 0", ("training", "checkpoint_seconds"), 0.0),
        ("epochs: 2", "early_stopping: {min_delta: 0}", ("training", "early_stopping", "min_delta"), 0.0),
        ("epochs: 2", "epochs: 5", ("training", "epochs"), 5),
        ("name: small", f"seed: {2**64}", ("seed",), 2**64),
    ],
)
def test_a_whole_number_where_any_is_asked_is_written_out_with_its_point(load, old, new, path, value):
    found = load({old: new}).to_json()
    for key in path:
        found = found[key]
    assert repr(found) == repr(value)  # 1 == 1.0


def test_a_number_too_large_is_told_at_its_own_place(problems, changed):
    for old, new, path in (
        ("Linear: 5", f"Linear: {{out_features: {2**63}}}", "layers[0].Linear.out_features"),
        ("epochs: 2", f"epochs: {2**63}", "training.epochs"),
    ):
        text = changed({old: new})
        assert problems(text) == [
            f"c.yaml:{place(text, path.split('.')[-1])}: {path}: must be a whole number > 0, not {2**63}"
        ]


def test_the_layers_of_a_block_are_checked_whatever_else_is_wrong_with_it(problems, changed):
    found = problems(changed({"- ReLU": "- Block: {repeat: 0, layers: [Linear: 0, Relu]}"}))
    assert [line.split(": ")[1] for line in found] == [
        "layers[1].Block.repeat",
        "layers[1].Block.layers[0].Linear.out_features",
        "layers[1].Block.layers[1]",
    ]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path, changed):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + changed().encode())
    assert tinynet.load(path).name == "small"


# One wrong option: exactly one line, at the right place


def wrong(old, new, message, at=None):
    """A case: what is replaced in the small config, what the line says, and the part of the text it stands at."""
    return pytest.param(old, new, at or new, message, id=new.replace("\n", "|")[:60])


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        # unknown, with a suggestion
        wrong("lr: 0.1", "lrr: 0.1", "optimizer.SGD.lrr: no such option. Did you mean 'lr'?"),
        wrong("epochs: 2", "epoch: 2", "training.epoch: no such option. Did you mean 'epochs'?"),
        wrong("training:", "trainng:", "trainng: no such section. Did you mean 'training'?"),
        wrong("loss: Cross", "los: Cross", "los: no such section. Did you mean 'loss'?"),
        wrong("- ReLU", "- ReLUU", "layers[1]: 'ReLUU' is no layer. Did you mean 'ReLU'?", "ReLUU"),
        wrong("- ReLU", "- Zzzz", "layers[1]: 'Zzzz' is no layer. There are: ", "Zzzz"),
        wrong("lr: 0.1", "zzzzzz: 0.1", "optimizer.SGD.zzzzzz: no such option. There are: lr, momentum, "),
        wrong("SGD: {lr: 0.1}", "SDG: 1", "optimizer: 'SDG' is no optimizer. Did you mean 'SGD'?", "optimizer"),
        # the words of other tools
        wrong("lr: 0.1", "learning_rate: 0.1", "optimizer.SGD.learning_rate: no such option. Did you mean 'lr'?"),
        wrong("- Linear: 5", "- Dense: 5", "layers[0]: 'Dense' is no layer. Did you mean 'Linear'?", "Dense"),
        wrong("- ReLU", "- relu", "layers[1]: 'relu' is no layer. Did you mean 'ReLU'?", "relu"),
        wrong("- ReLU", "- LeakyRelu", "layers[1]: 'LeakyRelu' is no layer. Did you mean 'LeakyReLU'?", "LeakyRelu"),
        wrong("Linear: 5", "Linear: {units: 5}", "Linear.units: no such option. Did you mean 'out_features'?", "units"),
        wrong("- ReLU", "- Dropout: {rate: 0.5}", "Dropout.rate: no such option. Did you mean 'p'?", "rate"),
        wrong("loss: CrossEntropy", "loss: CrossEntropyLoss", "is no loss. Did you mean 'CrossEntropy'?"),
        wrong("loss: CrossEntropy", "loss: BCEWithLogitsLoss", "Did you mean 'BinaryCrossEntropy'?"),
        wrong("loss: CrossEntropy", "loss: mean_squared_error", "Did you mean 'MSE'?"),
        wrong("SGD: {lr: 0.1}", "adam: 0.1", "optimizer: 'adam' is no optimizer. Did you mean 'Adam'?", "optimizer"),
        wrong("optimizer:", "model: x\noptimizer:", "model: no such section. Did you mean 'layers'?", "model"),
        wrong("batch_size: 16", "batchSize: 16", "training.batchSize: no such option. Did you mean 'batch_size'?"),
        wrong("- ReLU", "- Linear(5)", "layers[1]: 'Linear(5)' is no layer. Write `Linear: 5`.", "Linear(5)"),
        # of another kind
        wrong("- ReLU", "- MSE", "layers[1]: 'MSE' is a loss, not a layer", "MSE"),
        wrong("loss: CrossEntropy", "loss: Adam", "loss: 'Adam' is an optimizer, not a loss"),
        wrong("Disk: {train: 40, test: 20}", "ReLU: {}", "dataset: 'ReLU' is a layer, not a dataset", "dataset"),
        # wrong type
        wrong("Linear: 5", "Linear: five", "layers[0].Linear.out_features: must be a whole number > 0, not 'five'"),
        wrong("Linear: 5", "Linear: 5.0", "layers[0].Linear.out_features: must be a whole number > 0, not 5.0"),
        wrong("Linear: 5", "Linear: true", "layers[0].Linear.out_features: must be a whole number > 0, not "),
        wrong("Linear: 5", "Linear: [5]", "layers[0].Linear.out_features: must be a whole number > 0, not [5]"),
        wrong("lr: 0.1", "lr: '0.1'", "optimizer.SGD.lr: must be a number > 0, not '0.1'"),
        wrong("lr: 0.1", "lr: ~", "optimizer.SGD.lr: must be a number > 0, not "),
        wrong("epochs: 2", "epochs: 1e3", "training.epochs: must be a whole number > 0, not 1000.0"),
        wrong("epochs: 2", "shuffle: yes", "training.shuffle: must be true or false, not 'yes'"),
        wrong("name: small", "name: 5", "name: must be a text"),
        wrong("name: small", "seed: 1.5", "seed: must be a whole number >= 0, not 1.5"),
        wrong("- ReLU", "- ReLU: {name: 5}", "layers[1].ReLU.name: must be a text or null, not 5", "name: 5"),
        # out of range
        wrong("Linear: 5", "Linear: 0", "layers[0].Linear.out_features: must be a whole number > 0, not 0"),
        wrong("lr: 0.1", "lr: -1", "optimizer.SGD.lr: must be a number > 0, not -1"),
        wrong("lr: 0.1", "momentum: 1", "optimizer.SGD.momentum: must be a number >= 0 and < 1, not 1"),
        wrong("- ReLU", "- Dropout: 1.5", "layers[1].Dropout.p: must be a number >= 0 and <= 1, not 1.5", "Dropout"),
        wrong("epochs: 2", "epochs: 0", "training.epochs: must be a whole number > 0, not 0"),
        wrong("name: small", "seed: -1", "seed: must be a whole number >= 0, not -1"),
        wrong("name: small", "dtype: float16", "dtype: must be 'float32' or 'float64', not 'float16'"),
        wrong("test: 20", "validation: 1", "dataset.Disk.validation: must be a number >= 0 and < 1, not 1"),
        wrong("test: 20", "targets: onehot", "dataset.Disk.targets: must be 'sign' or 'one_hot' or "),
        wrong("epochs: 2", "clip_norm: 0", "training.clip_norm: must be a number > 0 or null, not 0"),
        wrong("name: small", "name: a/b", "name: 'a/b' cannot be a folder's name. Write 'a-b'."),
        # not a finite number
        wrong("lr: 0.1", "lr: .nan", "optimizer.SGD.lr: must be a number > 0, not nan"),
        wrong("lr: 0.1", "lr: .inf", "optimizer.SGD.lr: must be a number > 0, not inf"),
        wrong("lr: 0.1", "lr: 1e999", "optimizer.SGD.lr: must be a number > 0, not inf"),
        wrong("lr: 0.1", "lr: " + "9" * 400, "optimizer.SGD.lr: must be a number > 0, not 999"),
        wrong("epochs: 2", "clip_norm: .inf", "training.clip_norm: must be a number > 0 or null, not inf"),
        # missing
        wrong("Linear: 5", "Linear", "layers[0].Linear.out_features: is missing. Linear needs it, as in `Linear: 25`."),
        wrong("Linear: 5", "Linear: {bias: false}", "layers[0].Linear.out_features: is missing."),
        wrong("training:", "schedule: StepLR\ntraining:", "schedule.StepLR.step_size: is missing.", "schedule"),
        wrong("Disk: {train: 40, test: 20}", "CSV: a.csv", "dataset.CSV.column: is missing."),
        # a typo of a required option is one problem, not two
        wrong("Linear: 5", "Linear: {out_featurs: 5}", "Did you mean 'out_features'?", "out_featurs"),
        wrong("Disk: {train: 40, test: 20}", "CSV: {path: a, colum: b}", "Did you mean 'column'?", "colum"),
        # bare values
        wrong("- ReLU", "- ReLU: 5", "layers[1]: ReLU takes no value, but gets 5. Write `ReLU`.", "ReLU"),
        wrong("loss: CrossEntropy", "loss: {MSE: 1}", "loss: MSE takes no value, but gets 1. Write `MSE`."),
        # pairs
        wrong("SGD: {lr: 0.1}", "Adam: {betas: [0.9]}", "Adam.betas: must be [a number >= 0 and < 1, ", "betas"),
        wrong("SGD: {lr: 0.1}", "Adam: {betas: [1, 2, 3]}", "Adam.betas: must be [a number >= 0 and < 1, ", "betas"),
        wrong("SGD: {lr: 0.1}", "Adam: {betas: 0.9}", "Adam.betas: must be [a number >= 0 and < 1, ", "betas"),
        wrong("SGD: {lr: 0.1}", "Adam: {betas: [0.9, 1.0]}", "optimizer.Adam.betas: must be [", "betas"),
        wrong("SGD: {lr: 0.1}", "Adam: {betas: [0.9, '0']}", "optimizer.Adam.betas: must be [", "betas"),
        wrong("test: 20", "center: [1]", "dataset.Disk.center: must be [a number, a number], not [1]"),
        # options that need each other
        wrong("{lr: 0.1}", "{nesterov: true}", "optimizer.SGD: nesterov needs a momentum", "SGD"),
        # the shape of the file
        wrong("- Linear: 5", "- Linear:\n    out_features: 5", "'out_features' stands at the level of ", "Linear:"),
        wrong("- Linear: 5", "- Linear: 5\n    ReLU:", "layers[0]: holds 2 entries (Linear, ReLU), but", "Linear: 5"),
        wrong("- ReLU", "- 5", "layers[1]: must be the name of a layer, as in `Linear: 25`, not 5", "5\n  - Linear: 2"),
        wrong("- ReLU", "- [ReLU]", "layers[1]: must be the name of a layer", "[ReLU]"),
        wrong("loss: CrossEntropy", "loss:", "loss: must be the name of a loss, as in `loss: MSE`"),
        wrong("loss: CrossEntropy", "loss: {MSE: {}, L1: {}}", "loss: holds 2 entries (MSE, L1), but takes one."),
        wrong("optimizer:\n  SGD: {lr: 0.1}", "optimizer:", "must be the name of an optimizer", "optimizer"),
        wrong("epochs: 2", "early_stopping: 5", "training.early_stopping: must "),
        wrong("epochs: 2", "early_stopping: {patience: 0}", "early_stopping.patience: must be a whole", "patience"),
        wrong("epochs: 2", "early_stopping: {monitor: test_loss}", "early_stopping.monitor: must be ", "monitor"),
        wrong("epochs: 2", "early_stopping: {min_delt: 1}", "Did you mean 'min_delta'?", "min_delt"),
        wrong("epochs: 2", "epochs: 2\n  epochs: 3", "'epochs' is there twice, first in line 12.", "epochs: 3"),
        wrong("epochs: 2", "epochs: !!python/name:os.system ''", "is not used here. Remove it.", "!!python"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_one_line_at_its_place(problems, changed, old, new, at, message):
    text = changed({old: new})
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"c.yaml:{place(text, at)}: ")
    assert message in found[0]


def test_the_message_for_another_shape_of_the_training_section(problems, changed):
    (found,) = problems(changed({"training:\n  epochs: 2\n  batch_size: 16": "training: 5"}))
    assert found.startswith("c.yaml:11:1: training: must hold options")


@pytest.mark.parametrize("value", ["", " Linear", " {Linear: 5}", " 5"])
def test_layers_have_to_be_a_list(problems, changed, value):
    found = problems(changed({"layers:\n  - Linear: 5\n  - ReLU\n  - Linear: 2": f"layers:{value}"}))
    assert found == ["c.yaml:4:1: layers: must be a list: each on a line of its own that begins with '- '"]


def test_no_layers(problems, changed):
    (found,) = problems(changed({"layers:\n  - Linear: 5\n  - ReLU\n  - Linear: 2": "layers: []"}))
    assert found.startswith("c.yaml:4:1: layers: is empty. ")
    assert "`layers: [{Linear: 25}, ReLU, {Linear: 2}]`" in found


def test_all_problems_of_a_file_are_there_at_once_in_the_order_of_its_lines(problems):
    text = """\
nme: x
name: a/b
seed: -1
dataset:
  Disk: {trian: 40, radius: 0}
layers:
  - Dense: 5
  - Linear: {out_featurs: 5, bias: 1}
  - ReLU: 5
  - Linear:
    out_features: 5
loss: mse
optimizer:
  SGD: {lr: -1, momentum: 2}
schedule: [StepLR, CosineLR: {T_max: 0}]
training:
  epochs: 0
  epochs: 3
  early_stopping: {monitor: x, patience: 0}
"""
    found = problems(text)
    expected = [
        ("nme", "no such section. Did you mean 'name'?"),
        ("name", "cannot be a folder's name"),
        ("seed", "seed: must be"),
        ("trian", "Did you mean 'train'?"),
        ("radius", "radius: must be"),
        ("Dense", "Did you mean 'Linear'?"),
        ("out_featurs", "Did you mean 'out_features'?"),
        ("bias", "bias: must be true or false"),
        ("ReLU", "takes no value"),
        ("Linear:\n", "stands at the level of 'Linear'"),
        ("loss", "Did you mean 'MSE'?"),
        ("lr", "lr: must be"),
        ("momentum", "momentum: must be"),
        ("StepLR", "step_size: is missing"),
        ("T_max", "T_max: must be"),
        ("epochs: 0", "epochs: must be"),
        ("epochs: 3", "there twice"),
        ("monitor", "monitor: must be"),
        ("patience", "patience: must be"),
    ]
    assert len(found) == len(expected), "\n".join(found)
    for line, (part, message) in zip(found, expected, strict=True):
        # "name" and "lr" are parts of other words.
        at = place(text, re.search(rf"(?<!\w){part}", text)[0] if part != "name" else "name: a/b")
        assert line.startswith(f"c.yaml:{at}: "), line
        assert message in line


@pytest.mark.parametrize(
    ("text", "what"), [("", "empty"), ("# nothing\n", "empty"), ("- a\n", "no mapping"), ("a", "no mapping")]
)
def test_a_file_without_a_mapping(problems, text, what):
    (found,) = problems(text)
    assert found == (
        f"c.yaml:1:1: the file is {what}. "
        "A config holds name, seed, dtype, dataset, augment, layers, loss, optimizer, schedule, training."
    )


def test_missing_sections(problems):
    found = problems("name: x\n")
    assert [re.match(r"c.yaml:1:1: '(\w+)' is missing. .* For example `.+`\.$", line)[1] for line in found] == [
        "dataset",
        "layers",
        "loss",
        "optimizer",
    ]


def test_broken_yaml_is_one_line(problems):
    assert problems("a: b: c\nd: e: f\n") == [
        "c.yaml:1:5: this is not valid YAML: mapping values are not allowed here. "
        "Look for a missing line break, a missing space after ':' or '-', or a wrong indentation."
    ]


def test_a_forgotten_dash(problems, changed):
    for inside in ("", " {out_features: 2}"):
        (found,) = problems(changed({"  - ReLU\n": f"  - ReLU:\n    Tanh:{inside}\n"}))
        assert found == (
            "c.yaml:6:5: layers[1]: holds 2 entries (ReLU, Tanh), but takes one. Begin a new line with '- ' for each."
        )


def test_a_missing_file_a_folder_and_a_binary_file(tmp_path):
    with pytest.raises(UsageError, match=r"no\.yaml: there is no such file\. `tinynet init disk` writes"):
        tinynet.load(tmp_path / "no.yaml")
    with pytest.raises(UsageError, match="this is a folder"):
        tinynet.load(tmp_path)
    (tmp_path / "b.yaml").write_bytes(b"\x80\x81\xff")
    with pytest.raises(UsageError, match=r"b\.yaml: this is no text in UTF-8\. Save it as UTF-8\."):
        tinynet.load(tmp_path / "b.yaml")


# What the resolved config writes out


def test_the_length_of_a_cosine_is_written_out(load):
    config = load({"training:": "schedule: [LinearWarmup: 1, CosineLR]\ntraining:"}, "training.epochs=7")
    assert config.to_json()["schedule"] == [{"LinearWarmup": {"epochs": 1}}, {"CosineLR": {"T_max": 7}}]
    # And stays, where it goes on for longer.
    assert from_json(config.to_json(), "c", ["training.epochs=9"]).schedule[1].options == {"T_max": 7}
    assert load({"training:": "schedule: {CosineLR: 3}\ntraining:"}).schedule[0].options == {"T_max": 3}


# Overrides


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("optimizer.SGD.lr=0.05", ("optimizer", "lr"), 0.05),
        ("optimizer.SGD.lr=1e-3", ("optimizer", "lr"), 0.001),
        ("optimizer.SGD.momentum=0.9", ("optimizer", "momentum"), 0.9),
        ("optimizer.SGD=0.5", ("optimizer", "lr"), 0.5),
        ("optimizer=SGD", ("optimizer", "lr"), 0.001),
        ("optimizer=Adam: 0.3", ("optimizer", "lr"), 0.3),
        ("optimizer={Adam: {lr: 0.3}}", ("optimizer", "lr"), 0.3),
        ("optimizer.Adam={lr: 0.3}", ("optimizer", "lr"), 0.3),
        ("dataset.Disk.train=7", ("dataset", "train"), 7),
        ("dataset.Disk.noise=0.1", ("dataset", "noise"), 0.1),
        ("dataset.Disk.center=[0.1, 0.2]", ("dataset", "center"), (0.1, 0.2)),
        ("dataset.Disk.targets=inputs", ("dataset", "targets"), "inputs"),
        ("layers[0].Linear.out_features=9", ("layers", 0, "out_features"), 9),
        ("layers[0].Linear.bias=false", ("layers", 0, "bias"), False),
        ("layers[0].Linear=8", ("layers", 0, "out_features"), 8),
        ("layers[0]=Linear: 6", ("layers", 0, "out_features"), 6),
        ("layers[1].ReLU.name=bend", ("layers", 1, "name"), "bend"),
        ("layers=[Linear: 4]", ("layers", 0, "out_features"), 4),
        ("schedule=[LinearWarmup: 5, CosineLR]", ("schedule", 0, "epochs"), 5),
        ("schedule={LinearWarmup: 5}", ("schedule", 0, "epochs"), 5),
    ],
)
def test_set_changes_an_option_of_a_component(load, override, path, value):
    found = getattr(load((), override), path[0])
    for key in path[1:-1]:
        found = found[key]
    assert found.options[path[-1]] == value
    assert type(found.options[path[-1]]) is type(value)


def test_set_changes_plain_values(load):
    config = load((), "seed=3", "dtype=float64", "name=other", "training.epochs=9", "training.clip_norm=1")
    assert (config.seed, config.dtype, config.name) == (3, "float64", "other")
    assert (config.training.epochs, config.training.clip_norm, config.training.batch_size) == (9, 1.0, 16)
    assert load((), "training={epochs: 9}").training.batch_size == 32
    config = load((), "training.early_stopping.patience=3", "training.early_stopping.monitor=train_loss")
    assert (config.training.early_stopping.patience, config.training.early_stopping.monitor) == (3, "train_loss")


@pytest.mark.parametrize("form", ["schedule: {LinearWarmup: 5}", "schedule: [LinearWarmup: 5]"])
@pytest.mark.parametrize("path", ["schedule.LinearWarmup", "schedule[0].LinearWarmup"])
def test_set_reaches_a_schedule_that_is_written_alone(load, form, path):
    config = load({"training:": f"{form}\ntraining:"}, f"{path}.epochs=7")
    assert config.schedule[0].options == {"epochs": 7}


def test_shorthand_is_expanded_before_the_overrides(load):
    config = load({"  Disk: {train: 40, test: 20}": "  Disk", "dataset:\n": "dataset:"}, "dataset.Disk.test=3")
    assert config.dataset.options["test"] == 3


def test_overrides_apply_in_their_order(load):
    assert load((), "seed=1", "seed=2").seed == 2
    assert load((), "optimizer=Adam", "optimizer.Adam.lr=0.2").optimizer.options["lr"] == 0.2
    assert load((), "optimizer.SGD.lr=0.2", "optimizer=Adam").optimizer.cls is Adam
    assert load((), "optimizer.SGD.lr=0.2", "optimizer=SGD").optimizer.options["lr"] == 0.001


@pytest.mark.parametrize("part", ["loss: CrossEntropy\n", "optimizer:\n  SGD: {lr: 0.1}\n"])
def test_set_may_name_a_section_that_the_file_lacks(load, part):
    name = part.split(":")[0]
    config = load({part: ""}, f"{name}={'MSE' if name == 'loss' else 'SGD'}")
    assert getattr(config, name).cls.__name__ in ("MSE", "SGD")


def test_set_may_replace_what_is_wrong_in_the_file(load):
    assert load({"CrossEntropy": "Nonsense"}, "loss=MSE").loss.cls.__name__ == "MSE"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.SGD.lr", "write PATH=VALUE, as in `training.epochs=20`"),
        ("=5", "write PATH=VALUE"),
        ("", "write PATH=VALUE"),
        ("optimizer..lr=3", "write PATH=VALUE"),
        ("layers[-1].Linear=3", "write PATH=VALUE"),
        ("layers[x].Linear=3", "write PATH=VALUE"),
        ("optimiser.SGD.lr=3", "no such section. Did you mean 'optimizer'?"),
        ("optimizer.SGD.lrr=1", "optimizer.SGD.lrr: no such option. Did you mean 'lr'?"),
        (
            "optimizer.Adam.lr=1",
            "optimizer is SGD here, not Adam. "
            "Write optimizer=Adam before it, or an option of SGD (`tinynet layers SGD`).",
        ),
        (
            "dataset.Spirals.turns=2",
            "dataset is Disk here, not Spirals. "
            "Write dataset=Spirals before it, or an option of Disk (`tinynet layers Disk`).",
        ),
        ("optimizer.lr=1", "optimizer is SGD here. Write `optimizer.SGD.lr=…`."),
        ("optimizer.SGD.lr=", "optimizer.SGD.lr: must be a number > 0"),
        ("optimizer.SGD.lr=abc", "optimizer.SGD.lr: must be a number > 0, not 'abc'"),
        ("optimizer.SGD.lr=.nan", "optimizer.SGD.lr: must be a number > 0, not nan"),
        ("optimizer=Adagrad", "'Adagrad' is no optimizer."),
        ("optimizer.SGD.lr={", "the value '{': this is not valid YAML"),
        ("seed=!!python/name:os.system ''", "is not used here. Remove it."),
        ("layers[9].Linear=3", "layers[2]"),
        ("layers[0]=Dense: 5", "layers[0]: 'Dense' is no layer. Did you mean 'Linear'?"),
        ("layers[0].out_features=3", "layers[0] is Linear here. Write `layers[0].Linear.out_features=…`."),
        ("layers=Linear", "layers: must be a list"),
        ("training.epochs=0", "training.epochs: must be a whole number > 0, not 0"),
        ("training.epochz=3", "training.epochz: no such option. Did you mean 'epochs'?"),
        ("training.epochs.x=3", "'training.epochs' holds one value, nothing below it"),
        ("training=3", "training: must hold options"),
        ("seed.x=3", "'seed' holds one value, nothing below it"),
        ("seed='1'", "seed: must be a whole number >= 0, not '1'"),
        ("name=a/b", "name: 'a/b' cannot be a folder's name. Write 'a-b'."),
        ("dataset=", "dataset: must be the name of a dataset"),
        ("schedule[3]=CosineLR", "schedule"),
    ],
)
def test_a_bad_override_is_one_line_that_names_it(problems, changed, override, message):
    (found,) = problems(changed(), override)
    assert found.startswith(f"--set {override}: ")
    assert message in found


def test_a_path_below_a_plain_option_is_not_answered_with_another_option(problems, changed):
    (found,) = problems(changed(), "optimizer.SGD.lr.x=3")
    assert "optimizer.SGD.x" not in found


@pytest.mark.parametrize("value", ["", "null", "{}"])
def test_an_emptied_training_section_has_its_defaults_or_is_refused(write, changed, value):
    try:
        config = tinynet.load(write(changed()), f"training={value}")
    except ConfigError:
        return
    assert config.training.epochs == 10


def test_problems_of_overrides_come_with_those_of_the_file(problems, changed):
    found = problems(changed({"CrossEntropy": "Nonsense"}), "optimizer.SGD.lrr=1", "seed=x", "foo")
    assert len(found) == 4
    assert sum(line.startswith("--set ") for line in found) == 3


# Paths and the resolved form


def test_paths_are_relative_to_the_folder_of_the_config(tmp_path, changed, monkeypatch):
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    (folder / "c.yaml").write_text(changed({"Disk: {train: 40, test: 20}": "NPZ: data/x.npz"}))
    monkeypatch.chdir(tmp_path)
    assert tinynet.load("deep/er/c.yaml").dataset.options["path"] == str(folder / "data" / "x.npz")
    assert tinynet.load(folder / "c.yaml").dataset.options["path"] == str(folder / "data" / "x.npz")
    monkeypatch.chdir(folder)
    assert tinynet.load("c.yaml").dataset.options["path"] == str(folder / "data" / "x.npz")
    absolute = tinynet.load("c.yaml", f"dataset.NPZ.path={tmp_path}/y.npz")
    assert absolute.dataset.options["path"] == str(tmp_path / "y.npz")


def test_a_tilde_is_the_home_folder(load, monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    config = load({"Disk: {train: 40, test: 20}": "NPZ: ~/x.npz"})
    assert config.dataset.options["path"] == "/somewhere/x.npz"


def same(one, other):
    """Whether two configs say the same; where they come from does not count."""
    return all(getattr(one, name) == getattr(other, name) for name in vars(one) if name != "source")


@settings(deadline=None)
@given(CONFIGS)
def test_the_resolved_config_is_the_same_config(raw):
    config = parse(yaml.safe_dump(raw, sort_keys=False), "folder/c.yaml")
    resolved = config.to_json()
    again = parse(yaml.safe_dump(resolved, sort_keys=False), "elsewhere/d.yaml")
    assert same(config, again)
    assert same(config, from_json(resolved, "a checkpoint"))
    # Nothing is left to defaults but what has no value.
    for spec, cls in [(resolved["optimizer"], config.optimizer.cls), (resolved["dataset"], config.dataset.cls)]:
        (options,) = spec.values()
        assert set(options) >= {o.name for o in components.options(cls) if o.required or o.default is not None}


def test_a_resolved_config_holds_every_default(load):
    resolved = load({"SGD: {lr: 0.1}": "SGD"}).to_json()
    assert resolved["optimizer"] == {"SGD": {"lr": 0.001, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}}
    assert resolved["layers"][1] == {"ReLU": {"trainable": True}}
    assert "schedule" not in resolved


def test_the_resolved_config_to_the_byte(load):
    config = load({"epochs: 2": "early_stopping: {monitor: train_loss}\n  clip_norm: 1"}, "layers=[Linear: 5]")
    assert json.dumps(config.to_json()) == (
        '{"name": "small", "seed": 0, "dtype": "float32", "dataset": {"Disk": {"train": 40, "test": 20, '
        '"radius": 0.3989422804014327, "center": [0.5, 0.5], "noise": 0.0, "validation": 0.0, "standardize": false}}, '
        '"layers": [{"Linear": {"out_features": 5, "bias": true, "init": "uniform", "trainable": true}}], '
        '"loss": {"CrossEntropy": {}}, '
        '"optimizer": {"SGD": {"lr": 0.1, "momentum": 0.0, "nesterov": false, "weight_decay": 0.0}}, '
        '"training": {"epochs": 10, "batch_size": 16, "rounds": 1, "shuffle": true, "evaluate_train": false, '
        '"clip_norm": 1.0, "early_stopping": {"monitor": "train_loss", "patience": 10, "min_delta": 0.0}, '
        '"checkpoint_seconds": 10.0}}'
    )


def test_a_default_that_can_be_changed_is_each_ones_own(load, monkeypatch):
    monkeypatch.setitem(components.classes("layer"), "Listed", None)

    @dataclass(eq=False)
    class Listed(ReLU):
        sizes: dict = field(default_factory=dict)

    one, other = (load({"- ReLU": "- Listed"}).layers[1].options["sizes"] for _ in range(2))
    assert one == other == {}
    assert one is not other


def test_a_problem_on_building_is_located(load):
    error = load().error(("optimizer", "SGD", "lr"), "is wrong")
    assert error.problems[0].endswith("c.yaml:10:9: optimizer.SGD.lr: is wrong")


# The classes and the schema


@pytest.mark.parametrize("cls", CLASSES)
def test_the_schema_of_a_component_has_its_options_and_defaults(cls):
    form = json_schema()["$defs"][cls.kind]["anyOf"][1]["properties"][cls.__name__]["anyOf"][0]
    assert list(form["properties"]) == [option.name for option in components.options(cls)]
    assert form.get("required", []) == [option.name for option in components.options(cls) if option.required]
    for option in components.options(cls):
        found = form["properties"][option.name]
        assert ("default" in found) != option.required
        assert option.required or json.dumps(found["default"]) == json.dumps(option.default)
        assert found["description"] == option.description


@pytest.mark.parametrize("cls", CLASSES)
def test_every_example_is_a_valid_component(cls, changed, write):
    example = yaml.safe_load(components.documentation(cls).example)
    raw = yaml.safe_load(changed())
    key = {"layer": "layers", "augmentation": "augment"}.get(cls.kind, cls.kind)
    raw[key] = [example] if cls.kind in ("layer", "schedule", "augmentation") else example
    spec = getattr(tinynet.load(write(yaml.safe_dump(raw))), key)
    assert (spec[0] if isinstance(spec, list) else spec).cls is cls


def read_file(path):
    return reader.read(path.read_text(encoding="utf-8")).value


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}/{path.stem}" for path in FILES])
def test_every_config_and_starter_conforms_to_the_schema_and_loads(path):
    schema = json_schema()
    assert conforms(read_file(path), schema, schema)
    assert tinynet.load(path).layers


def test_there_are_configs_and_starters():
    assert len(FILES) >= 5


@settings(deadline=None, max_examples=30)
@given(CONFIGS)
def test_every_valid_config_conforms_to_the_schema(raw):
    schema = json_schema()
    assert conforms(raw, schema, schema)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lr: 0.1", "lrr: 0.1"),
        ("lr: 0.1", "lr: -1"),
        ("lr: 0.1", "lr: a"),
        ("- Linear: 5", "- Linear"),
        ("- Linear: 5", "- Linear: 0"),
        ("- Linear: 5", "- Dense: 5"),
        ("- ReLU", "- ReLU: 5"),
        ("- ReLU", "- MSE"),
        ("SGD: {lr: 0.1}", "Adam: {betas: [0.9]}"),
        ("SGD: {lr: 0.1}", "Adam: {betas: [0.9, 0.9, 0.9]}"),
        ("loss: CrossEntropy\n", ""),
        ("epochs: 2", "epoch: 2"),
        ("name: small", "nam: small"),
    ],
)
def test_the_schema_refuses_what_the_config_check_refuses(problems, changed, old, new):
    text, schema = changed({old: new}), json_schema()
    assert problems(text)
    assert not conforms(yaml.safe_load(text), schema, schema)


def test_the_schema_is_valid_by_the_standard():
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed; see `conforms` above")
    jsonschema.Draft202012Validator.check_schema(json_schema())
    for path in FILES:
        jsonschema.validate(read_file(path), json_schema(), jsonschema.Draft202012Validator)


def test_every_reference_and_every_component_is_in_the_schema():
    schema = json_schema()
    assert set(schema["$defs"]) >= set(components.KINDS)
    assert set(re.findall(r"#/\$defs/(\w+)", str(schema))) <= set(schema["$defs"])
    for kind in components.KINDS:
        assert set(schema["$defs"][kind]["anyOf"][1]["properties"]) == set(components.classes(kind))
    # Each option has the description that its class gives it, for the completion of editors.
    lr = schema["$defs"]["optimizer"]["anyOf"][1]["properties"]["SGD"]["anyOf"][0]["properties"]["lr"]
    assert lr["description"] == "Learning rate."
    assert next(o for o in components.options(SGD) if o.name == "lr").description == "Learning rate."
