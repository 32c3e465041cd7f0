"""Initial weights by a number or from a file: what the layers get, and what is said where it does not fit."""

import json

import numpy as np
import pytest

import tinynet
from tinynet.common.errors import OptionError, ShapeError
from tinynet.nn.layers.convolution import Conv2d, ConvTranspose2d
from tinynet.nn.layers.linear import Linear
from tinynet.nn.net import Net
from tinynet.runs.resume import resume

FIRST = "Linear: 5"
RNG = np.random.default_rng(0)
W, B = RNG.normal(size=(2, 5)), RNG.normal(size=5)


@pytest.fixture
def file(tmp_path):
    """An .npz in the test's folder with weights and biases for a Linear from 2 to 5."""
    path = tmp_path / "start.npz"
    np.savez(path, W=W, b=B, row=B[None], turned=W.T, text=np.array(["a", "b"]), holes=np.full((2, 5), np.nan))
    return path


def tensors(net):
    return {parameter.name: parameter.tensor for parameter in net.parameters}


def init(**options):
    """A Linear of five with these initial values, as a config writes it."""
    return f"Linear: {{out_features: 5, init: {json.dumps(options)}}}"


# A number


@pytest.mark.parametrize("number", [0.25, -1, 0])
def test_a_number_is_every_weight_and_biases_are_0(make, number):
    found = tensors(make({FIRST: f"Linear: {{out_features: 5, init: {number}}}"}).net)
    assert (found["linear1.weight"] == number).all()
    assert not found["linear1.bias"].any()
    assert found["linear2.bias"].any()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv2d(4, 3, init=0.5), (4, 2, 3, 3)),
        (ConvTranspose2d(4, 3, init=0.5), (2, 4, 3, 3)),
    ],
)
def test_a_number_is_every_weight_of_a_kernel(layer, shape):
    weight, bias = (p.tensor for p in Net([layer], (2, 8, 8)).parameters)
    assert (weight == np.full(shape, 0.5)).all()
    assert (bias == np.zeros(4)).all()


# A file


def test_weights_from_a_file(make, file):
    found = tensors(make({FIRST: init(file="start.npz", key="W")}, "dtype=float64").net)
    np.testing.assert_array_equal(found["linear1.weight"], W)
    assert not found["linear1.bias"].any()


@pytest.mark.parametrize("key", ["b", "row"])
def test_biases_from_a_file(make, file, key):
    found = tensors(make({FIRST: init(file="start.npz", key="W", bias=key)}, "dtype=float64").net)
    np.testing.assert_array_equal(found["linear1.bias"], B[None])


def test_numbers_of_a_file_take_the_nets_type(make, file):
    net = make({FIRST: init(file="start.npz", key="W")}).net
    assert net.parameters[0].tensor.dtype == np.float32
    np.testing.assert_array_equal(net.parameters[0].tensor, W.astype(np.float32))


@pytest.mark.parametrize("layer", [Conv2d, ConvTranspose2d])
def test_a_kernel_from_a_file_has_the_axes_of_pytorch(tmp_path, layer):
    shape = (4, 2, 3, 3) if layer is Conv2d else (2, 4, 3, 3)
    w = RNG.normal(size=shape)
    np.savez(tmp_path / "k.npz", w=w, b=np.arange(4))
    made = layer(4, 3, init={"file": str(tmp_path / "k.npz"), "key": "w", "bias": "b"})
    weight, bias = (p.tensor for p in Net([made], (2, 8, 8), dtype="float64").parameters)
    np.testing.assert_array_equal(weight, w)
    np.testing.assert_array_equal(bias, np.arange(4))


def test_a_checkpoint_is_such_a_file(train_run, make):
    run, old = train_run()
    key = {"key": "parameters/linear1.weight", "bias": "parameters/linear1.bias"}
    found = tensors(make({FIRST: init(file=str(run.last_path), **key)}).net)
    for name in ("linear1.weight", "linear1.bias"):
        np.testing.assert_array_equal(found[name], tensors(old.net)[name])


def test_a_file_in_a_block(make, file):
    text = f"Block: {{layers: [{{{init(file='start.npz', key='W')}}}]}}"
    found = tensors(make({FIRST: text}, "dtype=float64").net)
    np.testing.assert_array_equal(found["block1.1.linear1.weight"], W)


def test_the_path_is_relative_to_the_config_and_absolute_when_resolved(write, changed, file, tmp_path, monkeypatch):
    config = tinynet.load(write(changed({FIRST: init(file="start.npz", key="W")})))
    monkeypatch.chdir("/")
    assert tinynet.build(config)
    layer = config.to_json()["layers"][0]["Linear"]
    assert layer["init"] == {"file": str(tmp_path / "start.npz"), "key": "W"}


# What does not fit: one line each, at its place


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "turned"}, "init: turned of FILE has the shape (5, 2), but here it is (2, 5). It holds the transpose"),
        ({"key": "b"}, "init: b of FILE has the shape (5,), but here it is (2, 5)."),
        ({"key": "w"}, "init: FILE has no array 'w'. Did you mean 'W'?"),
        ({"key": "zzzzzz"}, "init: FILE has no array 'zzzzzz'. Of the shape (2, 5) are: W, holes."),
        ({"key": "holes"}, "init: holes of FILE holds NaN or infinity."),
        ({"key": "W", "bias": "turned"}, "init: turned of FILE has the shape (5, 2), but here it is (1, 5)."),
        ({"key": "W", "file": "gone.npz"}, "gone.npz: no such file."),
    ],
)
def test_a_file_that_does_not_fit(problems, changed, file, options, message):
    found = problems(changed({FIRST: init(**{"file": "start.npz", **options})}))
    assert len(found) == 1
    assert found[0].startswith("c.yaml:5:5: layers[0] Linear: init: ")
    assert message.replace("FILE", str(file)) in found[0]


def test_text_is_no_weight(tmp_path):
    np.savez(tmp_path / "t.npz", t=np.full((2, 5), "a"))
    with pytest.raises(ShapeError, match="holds text"):
        Net([Linear(5, init={"file": str(tmp_path / "t.npz"), "key": "t"})], (2,))


def test_a_file_is_never_unpickled(problems, changed, trap, tmp_path):
    np.savez(tmp_path / "start.npz", allow_pickle=True, W=trap((2, 5)))
    (line,) = problems(changed({FIRST: init(file="start.npz", key="W")}))
    assert "holds Python objects" in line


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("{fil: a.npz, key: W}", "5:38: layers[0].Linear.init.fil", "no such option. Did you mean 'file'?"),
        ("{file: a.npz}", "5:31: layers[0].Linear.init.key", "is missing. init needs it."),
        ("{file: 3, key: W}", "5:38: layers[0].Linear.init.file", "must be a text, not 3"),
        ("{file: a, key: W, bias: null}", "5:55: layers[0].Linear.init.bias", "must be a text, not null"),
        ("[1]", "5:31: layers[0].Linear.init", "must be a number or {file: …, key: …} or 'uniform' or"),
        ("true", "5:31: layers[0].Linear.init", "must be a number or {file: …, key: …} or 'uniform' or"),
        (".inf", "5:31: layers[0].Linear.init", "must be a number or {file: …, key: …} or 'uniform' or"),
        ("kaiming", "5:31: layers[0].Linear.init", "must be a number or {file: …, key: …} or 'uniform' or"),
        ("{file: a, key: W, bias: b}, bias: false", "5:5: layers[0] Linear", "but bias is false."),
    ],
)
def test_one_wrong_entry_is_one_line(problems, changed, text, place, message):
    found = problems(changed({FIRST: f"Linear: {{out_features: 5, init: {text}}}"}))
    assert len(found) == 1
    assert found[0].startswith(f"c.yaml:{place}: "), found[0]
    assert message in found[0]


def test_every_wrong_entry_is_reported_beside_other_problems(problems, changed):
    found = problems(changed({FIRST: "Linear: {out_feature: 5, init: {file: 3, kee: 4}}", "lr: 0.1": "lr: x"}))
    assert [line.split(": ")[1] for line in found] == [
        "layers[0].Linear.out_feature",
        "layers[0].Linear.init.file",
        "layers[0].Linear.init.kee",
        "optimizer.SGD.lr",
    ]


@pytest.mark.parametrize("cls", [Linear, Conv2d, ConvTranspose2d])
def test_in_python_a_mapping_is_checked_too(cls):
    sizes = (5,) if cls is Linear else (5, 3)
    with pytest.raises(OptionError, match="init must be a number or"):
        cls(*sizes, init={"file": "a.npz"})
    with pytest.raises(OptionError, match="init must be a number or"):
        cls(*sizes, init={"file": "a.npz", "key": "W", "other": "b"})
    with pytest.raises(OptionError, match="names the biases 'b', but bias is false"):
        cls(*sizes, bias=False, init={"file": "a.npz", "key": "W", "bias": "b"})


# A run does not need the file again


def test_a_run_goes_on_without_the_file(train_run, file):
    run, experiment = train_run({FIRST: init(file="start.npz", key="W", bias="b")})
    trained = experiment.net.vector.all_tensors
    file.unlink()
    loaded = tinynet.load_checkpoint(run.last_path)
    np.testing.assert_array_equal(loaded.net.vector.all_tensors, trained)
    assert loaded.config.to_json() == experiment.config.to_json()
    assert loaded.evaluate().loss == experiment.evaluate().loss
    _, resumed = resume(run.folder, ["training.epochs=3"])
    assert [record.epoch for record in resumed.train()] == [3]


def test_a_run_with_a_file_in_a_block_goes_on_without_it(train_run, file):
    text = f"Block: {{layers: [{{{init(file='start.npz', key='W')}}}]}}"
    run, experiment = train_run({FIRST: text})
    file.unlink()
    loaded = tinynet.load_checkpoint(run.last_path)
    np.testing.assert_array_equal(loaded.net.vector.all_tensors, experiment.net.vector.all_tensors)


def test_a_resumed_run_ends_as_one_never_stopped(train_run, make, file):
    parts = {FIRST: init(file="start.npz", key="W")}
    run, _ = train_run(parts)
    whole = make(parts, "training.epochs=4")
    list(whole.train())
    file.unlink()
    _, resumed = resume(run.folder, ["training.epochs=4"])
    list(resumed.train())
    np.testing.assert_array_equal(resumed.net.vector.all_tensors, whole.net.vector.all_tensors)
