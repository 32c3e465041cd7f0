"""Starting from another run: what is taken by which names, what is said of it, and what is refused."""

import json
import re

import numpy as np
import pytest

import tinynet
from tinynet.common.errors import CheckpointError, ConfigError
from tinynet.runs.resume import resume
from tinynet.runs.run import Run

HEAD = """\
name: {name}
dataset:
  Disk: {{train: 60, test: 30{dataset}}}
layers:
"""
TAIL = """\
loss: {loss}
optimizer:
  SGD: {{lr: 0.1}}
training:
  epochs: 2
  batch_size: 16
"""
PLAIN = ["Linear: 5", "ReLU", "Linear: 4", "ReLU", "Linear: 2"]
NAMED = [
    "Linear: {out_features: 5, name: stem}",
    "BatchNorm: {name: norm}",
    "ReLU",
    "Linear: {out_features: 4, name: middle}",
    "ReLU",
    "Linear: {out_features: 2, name: head}",
]


@pytest.fixture
def text():
    """A config of these layers, each a line."""

    def of(layers, name="new", dataset="", start=None, loss="CrossEntropy"):
        lines = "".join(f"  - {layer}\n" for layer in layers)
        last = "" if start is None else f"  start_from: {start}\n"
        return HEAD.format(name=name, dataset=dataset) + lines + TAIL.format(loss=loss) + last

    return of


@pytest.fixture
def trained(text, write, tmp_path):
    """Trains the run `runs/old` of these layers: (run, experiment)."""

    def train(layers, dataset="", *overrides):
        experiment = tinynet.build(tinynet.load(write(text(layers, "old", dataset), "old.yaml"), *overrides))
        run = Run.create(experiment, tmp_path / "runs", ["tinynet", "train"])
        run.train(experiment, lambda record: None)
        return run, experiment

    return train


@pytest.fixture
def started(text, write):
    """The experiment of these layers, which starts from `runs/old`."""

    def begin(layers, dataset="", start="runs/old", *overrides):
        return tinynet.build(tinynet.load(write(text(layers, dataset=dataset, start=start)), *overrides))

    return begin


def tensors(experiment):
    """Of parameters and running statistics, by name."""
    return {p.name: p.tensor.copy() for p in (*experiment.net.parameters, *experiment.net.buffers)}


def refusal(caught):
    """The one problem, without the folder of its file."""
    (line,) = caught.value.problems
    place, message = line.split(": ", 1)
    return f"{place.rpartition('/')[2]}: {message}"


def taken(new, old):
    """The names of tensors that are the same in both; all others have to differ."""
    mine, theirs = tensors(new), tensors(old)
    return {name for name in mine if name in theirs and np.array_equal(mine[name], theirs[name])}


def without(layers, old, new):
    """The layers with one line changed; None leaves it out."""
    assert old in layers
    return [new if layer == old else layer for layer in layers if layer != old or new is not None]


# What is taken


def test_the_same_layers_start_with_all_parameters(trained, started):
    _, old = trained(PLAIN)
    new = started(PLAIN)
    assert taken(new, old) == set(tensors(old))
    assert new.started.taken == ["linear1", "linear2", "linear3"]
    assert new.started.anew == new.started.left == []
    assert new.started.notes == [
        f"Starts from {new.started.checkpoint}, epoch 2: all 3 layers with parameters (49 parameters)."
    ]


def test_epoch_0_has_the_old_figures(trained, started):
    _, old = trained(PLAIN)
    new = started(PLAIN, "", "runs/old", "training.epochs=1")
    records = list(new.train())
    assert records[0].test_loss == old.rounds[0].progress.records[-1].test_loss
    assert new.net.clock.step == 4  # its own updates only


def test_training_moves_the_parameters_that_were_taken(trained, started):
    _, old = trained(PLAIN)
    new = started(PLAIN)
    list(new.train())
    assert taken(new, old) == set()


@pytest.mark.parametrize(
    "layers",
    [
        without(PLAIN, "Linear: 4", "Linear: {out_features: 4, name: more}"),
        ["Tanh", *PLAIN],
        ["Linear: 2", *PLAIN],
        [*PLAIN[:2], "Tanh", *PLAIN[2:]],
        ["Tanh" if layer == "ReLU" else layer for layer in PLAIN],
        PLAIN[:2] + PLAIN[4:],
    ],
)
def test_automatic_names_count_only_where_all_layers_are_the_same(trained, started, layers):
    trained(PLAIN)
    with pytest.raises(ConfigError, match=r"takes nothing from .*the layers are not all the same"):
        started(layers)


def test_an_inserted_layer_shifts_nothing(trained, started):
    _, old = trained(["Linear: {out_features: 5, name: stem}", "ReLU", "Linear: 5", "ReLU", "Linear: 2"])
    layers = ["Linear: {out_features: 5, name: stem}", "ReLU", "Linear: 5", "ReLU", "Linear: 5", "ReLU", "Linear: 2"]
    new = started(layers)
    assert taken(new, old) == {"stem.weight", "stem.bias"}
    assert new.started.anew == ["linear1", "linear2", "linear3"]
    assert new.started.left == ["linear1", "linear2"]
    assert new.started.notes[1:] == [
        "These begin anew: linear1, linear2, linear3.",
        "The layers are not all the same (the first to differ is relu3 (ReLU), there none), so only names that a "
        "person gave in both count.",
        "Left there: linear1, linear2.",
    ]


def test_a_name_has_to_be_given_in_both(trained, started):
    _, old = trained(["Linear: {out_features: 5, name: linear1}", "ReLU", "Linear: {out_features: 2, name: head}"])
    # Here linear1 is an automatic name, and the layers differ.
    new = started(["Linear: 5", "Tanh", "Linear: {out_features: 2, name: head}"])
    assert taken(new, old) == {"head.weight", "head.bias"}
    assert new.started.left == ["linear1"]


def test_given_names_count_wherever_they_stand(trained, started):
    _, old = trained(NAMED)
    new = started([*NAMED[:2], "Tanh", "Tanh", *NAMED[3:]])
    assert taken(new, old) == set(tensors(old))


def test_the_running_statistics_come_along(trained, started):
    _, old = trained(NAMED)
    new = started([*NAMED[:2], "Tanh", *NAMED[3:]])
    assert {"norm.running_mean", "norm.running_var"} <= taken(new, old)
    assert tensors(old)["norm.running_mean"].any()
    assert "The running statistics of norm come along." in new.started.notes


def test_fresh_layers_begin_anew(trained, started, text, write):
    _, old = trained(NAMED)
    new = started(NAMED, "", "{checkpoint: runs/old, fresh: [head, norm]}")
    assert taken(new, old) == {"stem.weight", "stem.bias", "middle.weight", "middle.bias"}
    # Their values are those they would have had anyway.
    untouched = tensors(tinynet.build(tinynet.load(write(text(NAMED)))))
    for name in ("head.weight", "norm.running_mean"):
        np.testing.assert_array_equal(tensors(new)[name], untouched[name])
    assert new.started.anew == ["norm", "head"]
    assert new.started.left == ["norm", "head"]


def test_fresh_means_whole_names(trained, started):
    layers = ["Linear: {out_features: 5, name: stem}", "Linear: {out_features: 5, name: stem2}", "Linear: 2"]
    trained(layers)
    assert started(layers, "", "{checkpoint: runs/old, fresh: [stem]}").started.anew == ["stem"]


def test_a_fresh_layer_may_have_another_shape(trained, started):
    _, old = trained(PLAIN)
    new = started(without(PLAIN, "Linear: 2", "Linear: 3"), "", "{checkpoint: runs/old, fresh: [linear3]}")
    assert taken(new, old) == {"linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"}


@pytest.mark.parametrize(("old_type", "new_type"), [("float32", "float64"), ("float64", "float32")])
def test_other_types_are_converted(trained, started, old_type, new_type):
    _, old = trained(PLAIN, "", f"dtype={old_type}")
    new = started(PLAIN, "", "runs/old", f"dtype={new_type}")
    for name, tensor in tensors(new).items():
        assert tensor.dtype == new_type
        np.testing.assert_array_equal(tensor, tensors(old)[name].astype(new_type))


# Blocks and shared layers

BLOCK = (
    "Block: {{name: stage, repeat: {}, layers: [{{Linear: {{out_features: 5, name: inner}}}}, Tanh, "
    "{{Linear: 5}}, {{Sum: [linear1, input]}}]}}"
)
STEM = "Linear: {out_features: 5, name: stem}"


def test_layers_of_blocks_count_where_every_part_of_the_name_is_given(trained, started):
    _, old = trained([STEM, BLOCK.format(2), "Linear: 2"])
    new = started([STEM, BLOCK.format(3), "Linear: 2"])
    names = {name.rpartition(".")[0] for name in taken(new, old)}
    assert names == {"stem", "stage.1.inner", "stage.2.inner"}
    assert new.started.anew == [
        "stage.1.linear1",
        "stage.2.linear1",
        "stage.3.inner",
        "stage.3.linear1",
        "linear1",
    ]


def test_an_unnamed_block_has_no_given_names(trained, started):
    unnamed = BLOCK.replace("name: stage, ", "")
    _, old = trained([STEM, unnamed.format(2), "Linear: 2"])
    assert {n.split(".")[0] for n in taken(started([STEM, unnamed.format(3), "Linear: 2"]), old)} == {"stem"}
    assert taken(started([STEM, unnamed.format(2), "Linear: 2"]), old) == set(tensors(old))


def test_a_block_can_be_fresh(trained, started):
    _, old = trained([STEM, BLOCK.format(2), "Linear: 2"])
    new = started([STEM, BLOCK.format(2), "Linear: 2"], "", "{checkpoint: runs/old, fresh: [stage]}")
    assert {name.split(".")[0] for name in taken(new, old)} == {"stem", "linear1"}
    new = started([STEM, BLOCK.format(2), "Linear: 2"], "", "{checkpoint: runs/old, fresh: [stage.2]}")
    assert "stage.1.inner.weight" in taken(new, old)
    assert "stage.2.inner.weight" not in taken(new, old)


OWN = ["Linear: {out_features: 2, name: one}", "Tanh", "Linear: {out_features: 2, name: two}"]
SHARED = [*OWN[:2], "Linear: {out_features: 2, name: two, share: one}"]


def test_what_was_shared_is_taken_by_both(trained, started):
    _, old = trained(SHARED)
    new = started([OWN[0], "ReLU", OWN[2]])
    for name in ("one.weight", "two.weight"):
        np.testing.assert_array_equal(tensors(new)[name], tensors(old)["one.weight"])
    assert new.started.left == []


def test_what_is_shared_is_taken_once(trained, started):
    _, old = trained(OWN)
    new = started(SHARED)
    assert taken(new, old) == {"one.weight", "one.bias"}
    assert (new.started.taken, new.started.left) == (["one"], ["two"])


def test_a_block_that_shares_has_the_inner_names_of_the_other(trained, started):
    inner = "Block: {{name: left, layers: [{{Linear: {{out_features: 2{}}}}}, Tanh]}}"
    twin = "Block: {name: right, share: left}"
    own = "Block: {{name: right, layers: [{{Linear: {{out_features: 2{}}}}}, Tanh]}}"
    _, old = trained([inner.format(", name: a"), twin])
    new = started([inner.format(", name: a"), own.format(", name: a"), "Tanh"])
    np.testing.assert_array_equal(tensors(new)["right.1.a.weight"], tensors(old)["left.1.a.weight"])
    # Unnamed in the block that was shared, so it has no given name in its copy either.
    trained([inner.format(""), twin, "ReLU"])
    with pytest.raises(ConfigError, match="takes nothing"):
        started([inner.format(""), own.format(", name: linear1"), "Tanh"], "", "runs/old-2")


# Which file


def test_a_run_means_its_best_or_its_last(trained, started):
    run, old = trained(PLAIN, "", "training.evaluate_train=true", "optimizer.SGD.lr=1e-30")
    best = old.rounds[0].progress.best_epoch
    assert best == 0
    new = started(PLAIN)
    assert (new.started.checkpoint, new.started.epoch) == (str(run.best_path), best)
    new = started(PLAIN, "", "runs/old/checkpoints/last.npz")
    assert (new.started.checkpoint, new.started.epoch) == (str(run.last_path), 2)
    run.best_path.unlink()
    assert started(PLAIN).started.checkpoint == str(run.last_path)


def test_the_path_is_absolute_when_resolved(write, text, trained, tmp_path):
    trained(PLAIN)
    config = tinynet.load(write(text(PLAIN, start="runs/old")))
    start = config.to_json()["training"]["start_from"]
    assert start == {"checkpoint": str(tmp_path / "runs" / "old"), "fresh": []}


def test_a_start_by_set(trained, started):
    trained(PLAIN)
    new = started(PLAIN, "", None, "training.start_from=runs/old", "training.start_from.fresh=[linear3]")
    assert new.started.anew == ["linear3"]
    new = started(PLAIN, "", "runs/old", "training.start_from.fresh=[linear3]")
    assert new.started.anew == ["linear3"]
    new = started(PLAIN, "", "runs/gone", "training.start_from=null")
    assert new.started is None


# Standardisation

SCALED = ", standardize: true"


def test_the_old_standardisation_comes_along(trained, started):
    _, old = trained(PLAIN, SCALED)
    new = started(PLAIN, SCALED, "runs/old", "seed=7")
    x = np.array([[0.2, 0.9]])
    np.testing.assert_array_equal(new.outputs(x), old.outputs(x))
    raw = new.config.dataset.make().read(7).train.x
    np.testing.assert_allclose(new.dataset.train.x, old.description.input_scaling.apply(raw), rtol=1e-6)
    assert new.started.notes[-1] == "Inputs are standardised as in that run, not by this training split."


def test_it_comes_along_where_the_config_does_not_ask_for_it(trained, started, tmp_path):
    _, old = trained(PLAIN, SCALED)
    new = started(PLAIN, "", "runs/old", "seed=7")
    x = np.array([[0.2, 0.9]])
    np.testing.assert_array_equal(new.outputs(x), old.outputs(x))
    assert new.config.to_json()["dataset"]["Disk"]["standardize"] is True
    run = Run.create(new, tmp_path / "runs", [])
    run.train(new, lambda record: None)
    loaded = tinynet.load_checkpoint(run.last_path)
    assert loaded.evaluate().loss == new.evaluate().loss


def test_without_it_the_dataset_may_not_be_standardised(trained, started, tmp_path):
    trained(PLAIN)
    with pytest.raises(ConfigError) as caught:
        started(PLAIN, SCALED)
    (line,) = caught.value.problems
    assert ":3:31: dataset.Disk.standardize: the inputs of" in line
    assert line.endswith("and linear1 from there takes them. Remove this, or write linear1 under `fresh`.")


def test_a_fresh_first_layer_has_the_datasets_own_standardisation(trained, started):
    _, old = trained(PLAIN)
    new = started(PLAIN, SCALED, "{checkpoint: runs/old, fresh: [linear1]}")
    assert new.description.input_scaling is not None
    _, old = trained(PLAIN, SCALED)
    new = started(PLAIN, SCALED, "{checkpoint: runs/old-2, fresh: [linear1]}", "seed=7")
    assert not np.array_equal(new.description.input_scaling.mean, old.description.input_scaling.mean)
    np.testing.assert_allclose(new.dataset.train.x.mean(axis=0), 0, atol=1e-6)


def test_layers_without_parameters_pass_the_inputs_on(trained, started):
    """The layer that the inputs reach by a Concat and a Tanh counts, one that reads another layer does not."""
    layers = ["Tanh: {name: t}", "Concat: [t, input]", "Linear: 5", "ReLU", "Linear: 2"]
    trained(layers, SCALED)
    assert started(layers, SCALED).started.notes[-1].startswith("Inputs are standardised as in that run")
    fresh = "{checkpoint: runs/old, fresh: [linear1]}"
    assert not any("standardised" in note for note in started(layers, SCALED, fresh).started.notes)


CSV = "a,b,y\n" + "".join(f"{i},{(i * 7) % 5},{3 * i + 100.5}\n" for i in range(40))
REGRESSION = ["Linear: {out_features: 4, name: body}", "Tanh", "Linear: {out_features: 1, name: head}", "LeakyReLU"]


@pytest.fixture
def regression(text, write, tmp_path):
    """Trains a regression on a table into a run of this name; `regression.build` only builds it."""

    def of(name, table, options="", start=None):
        lines = "".join(f"  - {layer}\n" for layer in REGRESSION)
        write(table, f"{name}.csv")
        last = "" if start is None else f"  start_from: {start}\n"
        head = f"name: {name}\ndataset:\n  CSV: {{path: {name}.csv, column: y{options}}}\nlayers:\n"
        return tinynet.load(write(head + lines + TAIL.format(loss="MSE") + last, f"{name}.yaml"))

    def train(*arguments):
        experiment = tinynet.build(of(*arguments))
        run = Run.create(experiment, tmp_path / "runs", [])
        run.train(experiment, lambda record: None)
        return experiment

    train.build = lambda *arguments: tinynet.build(of(*arguments))
    return train


TARGETS = ", standardize: true, standardize_targets: true"
OTHER = CSV.replace("5\n", "9\n")


def test_the_old_scaling_of_the_targets_comes_along(regression):
    old = regression("old", CSV, TARGETS)
    new = regression.build("new", OTHER, TARGETS, "runs/old")
    x = [[1.0, 2.0], [30.0, 4.0]]
    np.testing.assert_array_equal(new.predict(x), old.predict(x))
    assert "Targets are standardised as in that run, not by this training split." in new.started.notes
    raw = new.config.dataset.make().read(0).train.targets
    np.testing.assert_allclose(new.dataset.train.targets, old.description.target_scaling.apply(raw), rtol=1e-5)


def test_a_fresh_head_has_the_datasets_own_scaling_of_the_targets(regression):
    old = regression("old", CSV, TARGETS)
    new = regression.build("new", OTHER, TARGETS, "{checkpoint: runs/old, fresh: [head]}")
    assert not np.array_equal(new.description.target_scaling.mean, old.description.target_scaling.mean)
    np.testing.assert_array_equal(new.description.input_scaling.mean, old.description.input_scaling.mean)
    np.testing.assert_allclose(new.dataset.train.targets.mean(), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (TARGETS, ", standardize: true", "were standardised, and head from there gives them. Write `standardize_t"),
        (", standardize: true", TARGETS, "were not standardised, and head from there gives them. Remove it, or"),
    ],
)
def test_targets_scaled_in_one_run_only_are_refused(regression, old, new, message):
    regression("old", CSV, old)
    with pytest.raises(ConfigError) as caught:
        regression.build("new", CSV, new, "runs/old")
    (line,) = caught.value.problems
    assert "dataset.CSV.standardize_targets: the targets of " in line
    assert message in line
    assert regression.build("new", CSV, new, "{checkpoint: runs/old, fresh: [head]}")


def test_inputs_of_other_names_are_said(regression):
    regression("old", CSV)
    new = regression.build("new", CSV.replace("a,b,y", "b,a,y"), "", "runs/old")
    assert new.started.notes[-1] == "The inputs of body were a, b; here they are b, a."
    new = regression.build("new", CSV.replace("a,b,y", "b,a,y"), "", "{checkpoint: runs/old, fresh: [body]}")
    assert "here they are" not in " ".join(new.started.notes)


def images(path, rng, size=6, dtype="uint8"):
    x = rng.integers(0, 256, (40, 1, size, size)).astype(dtype)
    np.savez(path, x_train=x, y_train=np.arange(40) % 2, x_test=x[:8], y_test=np.arange(8) % 2)


def test_images_in_bytes_keep_the_old_standardisation(write, tmp_path):
    lines = "  - Conv2d: {out_channels: 2, kernel_size: 3}\n  - GlobalAvgPool2d\n  - Linear: 2\n"
    head = "dataset:\n  NPZ: {path: FILE, standardize: true}\nlayers:\n"
    config = head + lines + TAIL.format(loss="CrossEntropy")
    rng = np.random.default_rng(0)
    images(tmp_path / "old.npz", rng)
    images(tmp_path / "new.npz", rng, size=8)
    old = tinynet.build(tinynet.load(write(config.replace("FILE", "old.npz"), "old.yaml")))
    run = Run.create(old, tmp_path / "runs", [])
    run.train(old, lambda record: None)
    new = tinynet.build(tinynet.load(write(config.replace("FILE", "new.npz") + "  start_from: runs/old\n")))
    mean = old.description.input_scaling.mean
    np.testing.assert_array_equal(new.description.input_scaling.mean, mean)
    np.testing.assert_array_equal(new.dataset.train.scaling.mean, mean)


def test_the_standardisation_of_another_size_is_refused(write, tmp_path):
    """Each pixel of images of numbers has a mean of its own."""
    lines = "  - Conv2d: {out_channels: 2, kernel_size: 3, name: eye}\n  - GlobalAvgPool2d\n  - Linear: 2\n"
    head = "dataset:\n  NPZ: {path: FILE, standardize: true}\nlayers:\n"
    config = head + lines + TAIL.format(loss="CrossEntropy")
    for name, size in (("old", 6), ("new", 8)):
        images(tmp_path / f"{name}.npz", np.random.default_rng(0), size, "float64")
    old = tinynet.build(tinynet.load(write(config.replace("FILE", "old.npz"), "old.yaml")))
    run = Run.create(old, tmp_path / "runs", [])
    run.train(old, lambda record: None)
    config = config.replace("FILE", "new.npz")
    with pytest.raises(ConfigError) as caught:
        tinynet.build(tinynet.load(write(config + "  start_from: runs/old\n", "new.yaml")))
    assert refusal(caught) == (
        f"new.yaml:13:3: training.start_from: {run.last_path} standardises inputs of the shape (1, 6, 6), but here it "
        "is (1, 8, 8). Write eye under `fresh`."
    )
    fresh = "  start_from: {checkpoint: runs/old, fresh: [eye]}\n"
    assert tinynet.build(tinynet.load(write(config + fresh, "new.yaml"))).started.taken == ["linear1"]


def test_classes_of_other_names_are_said(write, tmp_path):
    lines = "".join(
        f"  - {layer}\n" for layer in ("Linear: 3", "Tanh", "Linear: {out_features: 2, name: head}", "Tanh")
    )
    config = "dataset:\n  CSV: {path: FILE, column: y}\nlayers:\n" + lines + TAIL.format(loss="CrossEntropy")
    for name, classes in (("old", "pq"), ("new", "rp")):
        rows = "".join(f"{i},{i % 3},{classes[i % 2]}\n" for i in range(40))
        write("a,b,y\n" + rows, f"{name}.csv")
    old = tinynet.build(tinynet.load(write(config.replace("FILE", "old.csv"), "old.yaml")))
    run = Run.create(old, tmp_path / "runs", [])
    run.train(old, lambda record: None)
    config = config.replace("FILE", "new.csv")
    new = tinynet.build(tinynet.load(write(config + "  start_from: runs/old\n")))
    assert new.started.notes[-1] == "The classes of head were p, q; here they are p, r."
    fresh = "  start_from: {checkpoint: runs/old, fresh: [head]}\n"
    assert "The classes" not in " ".join(tinynet.build(tinynet.load(write(config + fresh))).started.notes)


# What is refused, at its line


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "Linear: {out_features: 4, name: head}",
            "'head' is a Linear with weight (4, 4), bias (1, 4) here, but a Linear ",
        ),
        (
            "Linear: {out_features: 2, name: head, bias: false}",
            "'head' is a Linear with weight (4, 2) here, but a Linear ",
        ),
        (
            "BatchNorm: {name: head}",
            "'head' is a BatchNorm with weight (4,), bias (4,), running_mean (4,), running_var",
        ),
    ],
)
def test_a_layer_that_differs_is_refused(trained, started, layer, message):
    run, _ = trained(NAMED)
    layers = [*NAMED[:-1], layer]
    with pytest.raises(ConfigError) as caught:
        started(layers)
    line = refusal(caught)
    assert line.startswith(f"c.yaml:17:3: training.start_from: {message}")
    assert line.endswith(
        f"but a Linear with weight (4, 2), bias (1, 2) in {run.last_path}. To begin anew with it, write "
        "`fresh: [head]` beside `checkpoint`."
    )
    assert started(layers, "", "{checkpoint: runs/old, fresh: [head]}")


def test_every_layer_that_differs_is_named(trained, started):
    trained(NAMED)
    layers = without(NAMED, NAMED[3], "Linear: {out_features: 6, name: middle}")
    with pytest.raises(ConfigError) as caught:
        started(layers, "", "{checkpoint: runs/old, fresh: [norm]}")
    assert [line.split("start_from: ")[1].split()[0] for line in caught.value.problems] == ["'middle'", "'head'"]
    assert all("`fresh: [norm, middle, head]`" in line for line in caught.value.problems)
    # Nothing has changed but for the message.
    assert started(layers, "", "{checkpoint: runs/old, fresh: [norm, middle, head]}").started.taken == ["stem"]


def test_numbers_too_large_for_the_type_are_refused(trained, started, rewrite_npz):
    run, _ = trained(PLAIN, "", "dtype=float64")
    rewrite_npz(run.last_path, lambda arrays: arrays["parameters/linear2.weight"].fill(1e60))
    with pytest.raises(ConfigError, match=r"'linear2' holds 1e\+60 in .*, too large for float32"):
        started(PLAIN)


@pytest.mark.parametrize(
    ("fresh", "message"),
    [
        ("hed", "there is no layer 'hed'. Did you mean 'head'?"),
        ("zzz", "there is no layer 'zzz'. There are: stem, norm, relu1, middle, relu2, head."),
        ("stem.1", "there is no layer 'stem.1'."),
    ],
)
def test_an_unknown_fresh_layer_is_refused(trained, started, fresh, message):
    trained(NAMED)
    with pytest.raises(ConfigError) as caught:
        started(NAMED, "", f"{{checkpoint: runs/old, fresh: [norm, {fresh}]}}")
    assert f"c.yaml:17:52: training.start_from.fresh[1]: {message}" in refusal(caught)


def test_a_fresh_layer_that_shares_is_refused(trained, started):
    trained(SHARED)
    with pytest.raises(ConfigError, match=r"'two' uses the parameters of one\. Write that\."):
        started(SHARED, "", "{checkpoint: runs/old, fresh: [two]}")


def test_nothing_left_to_take_is_refused(trained, started):
    trained(PLAIN)
    with pytest.raises(ConfigError, match=r"takes nothing from .*: every layer that is the same there is fresh"):
        started(PLAIN, "", "{checkpoint: runs/old, fresh: [linear1, linear2, linear3]}")


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            "runs/gone",
            "training.start_from: FOLDER/runs/gone: no such file. A relative path is relative to the config's",
        ),
        ("runs", "training.start_from: FOLDER/runs: this folder holds no checkpoints/best.npz or last.npz of a run."),
        ("5", "training.start_from: must hold options, as in `start_from: {checkpoint: runs/disk}`, not 5"),
        ("[runs/old]", "training.start_from: must hold options, as in `start_from: {checkpoint: runs/disk}`, not "),
        ("{}", "training.start_from.checkpoint: is missing. start_from needs it, as in `checkpoint: runs/disk`."),
        ("{checkpont: runs/old}", "training.start_from.checkpont: no such option. Did you mean 'checkpoint'?"),
        ("{checkpoint: 3}", "training.start_from.checkpoint: must be a text, not 3"),
        ("{checkpoint: runs/old, fresh: head}", "training.start_from.fresh: must be [a text, ...], not 'head'"),
        ("{checkpoint: runs/old, fresh: [1]}", "training.start_from.fresh: must be [a text, ...], not [1]"),
    ],
)
def test_a_wrong_start_is_one_line(trained, started, start, message, tmp_path):
    trained(PLAIN)
    with pytest.raises(ConfigError) as caught:
        started(PLAIN, "", start)
    assert message.replace("FOLDER", str(tmp_path)) in refusal(caught)


def test_a_path_from_here_is_recognised(trained, text, tmp_path, monkeypatch):
    trained(PLAIN)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "new.yaml").write_text(text(PLAIN, start="runs/old"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(f"folder. Did you mean {tmp_path / 'runs' / 'old'}?")):
        tinynet.build(tinynet.load("configs/new.yaml"))


def test_a_broken_checkpoint_is_named(trained, started, tmp_path):
    run, _ = trained(PLAIN)
    run.last_path.write_bytes(run.last_path.read_bytes()[:500])
    with pytest.raises(CheckpointError, match=r"last\.npz: is cut short"):
        started(PLAIN)


# The run afterwards


def test_a_run_needs_the_old_checkpoint_no_more(trained, started, tmp_path):
    old_run, _ = trained(NAMED, SCALED)
    new = started(NAMED, SCALED, "runs/old", "seed=3")
    run = Run.create(new, tmp_path / "runs", [])
    run.train(new, lambda record: None)
    whole = started(NAMED, SCALED, "runs/old", "seed=3", "training.epochs=4")
    list(whole.train())
    old_run.last_path.unlink()
    loaded = tinynet.load_checkpoint(run.last_path)
    assert loaded.evaluate().loss == new.evaluate().loss
    assert loaded.config.to_json() == new.config.to_json()
    _, resumed = resume(run.folder, ["training.epochs=4"])
    list(resumed.train())
    np.testing.assert_array_equal(resumed.net.vector.all_tensors, whole.net.vector.all_tensors)


def test_the_command_says_what_it_took(cli, trained, text, write, tmp_path):
    run, _ = trained(NAMED, SCALED)
    write(text([NAMED[0], "Tanh", *NAMED[3:]], dataset=SCALED, start="runs/old"), "new.yaml")
    status, out, err = cli("train", "new.yaml")
    assert status == 0, err
    lines = err.splitlines()
    meta = json.loads((tmp_path / "runs" / "new" / "meta.json").read_text())["start_from"]
    assert meta["taken"] == ["stem", "middle", "head"]
    assert (meta["epoch"], meta["anew"], meta["left"]) == (2, [], ["norm"])
    assert meta["notes"] == [
        f"Starts from {run.last_path}, epoch 2: all 3 layers with parameters (49 parameters).",
        "The layers are not all the same (the first to differ is tanh1 (Tanh), there norm (BatchNorm)), so only names "
        "that a person gave in both count.",
        "Left there: norm.",
        "Inputs are standardised as in that run, not by this training split.",
    ]
    assert all(note in lines for note in meta["notes"])
    status, out, _ = cli("train", "new.yaml", "--dry-run")
    assert meta["notes"][0] in out
    assert cli("eval", "runs/new")[0] == 0


def test_a_run_without_a_start_says_nothing(cli, text, write, tmp_path):
    write(text(PLAIN), "new.yaml")
    _, _, err = cli("train", "new.yaml")
    assert "Starts from" not in err
    assert json.loads((tmp_path / "runs" / "new" / "meta.json").read_text())["start_from"] is None
