"""The builder: what fits together, what does not and where that is said, and the targets that a loss is given."""

import re

import numpy as np
import pytest

import tinynet
from tinynet.common.errors import ConfigError, DataError
from tinynet.nn.losses import BinaryCrossEntropy
from tinynet.training.builder import build_round

DISK = "Disk: {train: 40, test: 20}"
LAST = "  - Linear: 2\n"
LOSS = "loss: CrossEntropy"


@pytest.fixture
def files(tmp_path):
    """Data files beside the config: r.npz (a regression to 2 numbers), i.npz (images of 3 classes), n.csv (numbers)."""
    rng = np.random.default_rng(0)
    x, y = rng.random((30, 3)), rng.random((30, 2))
    np.savez(tmp_path / "r.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    x, y = rng.random((30, 1, 4, 4)), np.arange(30) % 3
    np.savez(tmp_path / "i.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    rows = [f"{a:.3f},{b:.3f},{a + 2 * b:.3f}" for a, b in rng.random((30, 2))]
    (tmp_path / "n.csv").write_text("a,b,sum\n" + "\n".join(rows) + "\n")


@pytest.mark.parametrize(
    ("parts", "overrides", "message"),
    [
        (
            {LAST: "  - Linear: 1\n"},
            [],
            "7:5: layers[2] Linear: gives an output of (1,), but the dataset has 2 classes, "
            "so it must be at least (2,).",
        ),
        (
            {LAST: "  - Linear: 2\n  - Softmax\n"},
            [],
            "8:5: layers[3] Softmax: CrossEntropy takes logits and has its own Softmax. Remove this layer.",
        ),
        (
            {LOSS: "loss: BinaryCrossEntropy", LAST: "  - Linear: 1\n  - Sigmoid\n"},
            [],
            "8:5: layers[3] Sigmoid: BinaryCrossEntropy takes logits and has its own Sigmoid. Remove this layer.",
        ),
        (
            {DISK: "Disk: {targets: sign}"},
            [],
            "3:10: dataset.Disk.targets: CrossEntropy compares with class indices, not with 'sign' vectors. Remove it.",
        ),
        (
            {DISK: "Disk: {targets: inputs}"},
            [],
            "3:10: dataset.Disk.targets: CrossEntropy compares with class indices, not with 'inputs' vectors. "
            "Remove it.",
        ),
        (
            {DISK: "Disk: {targets: signed_one_hot}", LOSS: "loss: BinaryCrossEntropy"},
            [],
            "3:10: dataset.Disk.targets: BinaryCrossEntropy needs targets 0 and 1. "
            "Write binary or one_hot, not signed_one_hot.",
        ),
        (
            {DISK: "Spirals: {classes: 3, targets: sign}", LOSS: "loss: MSE"},
            [],
            "3:25: dataset.Spirals.targets: 'sign' is for two classes, but the dataset has 3. Write one_hot.",
        ),
        (
            {DISK: "Spirals: {classes: 3, targets: binary}", LOSS: "loss: MSE"},
            [],
            "3:25: dataset.Spirals.targets: 'binary' is for two classes, but the dataset has 3. Write one_hot.",
        ),
        (
            {DISK: "Disk: {targets: sign}", LOSS: "loss: MSE", LAST: "  - Linear: 3\n"},
            [],
            "7:5: layers[2] Linear: gives an output of (3,), but the targets (sign) have (2,).",
        ),
        (
            {DISK: "Disk: {targets: binary}", LOSS: "loss: MSE"},
            [],
            "7:5: layers[2] Linear: gives an output of (2,), but the targets (binary) have (1,).",
        ),
        (
            {DISK: "Disk: {targets: inputs}", LOSS: "loss: MSE", LAST: "  - Linear: 3\n"},
            [],
            "7:5: layers[2] Linear: gives an output of (3,), but the targets (inputs) have (2,).",
        ),
        (
            {DISK: "NPZ: r.npz"},
            [],
            "8:1: loss: CrossEntropy compares with class indices, but the targets are numbers. Write MSE. "
            "(r.npz: y_train holds vectors, so this is a regression.)",
        ),
        (
            {DISK: "NPZ: r.npz", LOSS: "loss: MSE", LAST: "  - Linear: 3\n"},
            [],
            "7:5: layers[2] Linear: gives an output of (3,), but the targets (the numbers to predict) have (2,). "
            "Make the last Linear 2 wide. (r.npz: y_train holds vectors, so this is a regression.)",
        ),
        (
            {DISK: "NPZ: {path: r.npz, targets: one_hot}", LOSS: "loss: MSE"},
            [],
            "3:22: dataset.NPZ.targets: 'one_hot' is for classes, but the dataset's targets are numbers. Remove it. "
            "(r.npz: y_train holds vectors, so this is a regression.)",
        ),
        (
            {"epochs: 2": "early_stopping: {patience: 3}"},
            [],
            "12:3: training.early_stopping.monitor: there is no validation split. "
            "Write `dataset: {Disk: {validation: 0.1}}`.",
        ),
        (
            {"epochs: 2": "early_stopping: {monitor: train_error}"},
            [],
            "12:20: training.early_stopping.monitor: train_error has to be measured after each epoch. "
            "Write `evaluate_train: true`.",
        ),
        (
            {DISK: "NPZ: {path: r.npz, validation: 0.2}", LOSS: "loss: MSE"},
            ["training.early_stopping.monitor=validation_error"],
            "--set training.early_stopping.monitor=validation_error: training.early_stopping.monitor: "
            "there are no classes, so there is no error. Watch a loss.",
        ),
        (
            {},
            ["layers[2].Linear.out_features=1"],
            "7:5: layers[2] Linear: gives an output of (1,), but the dataset has 2 classes, "
            "so it must be at least (2,).",
        ),
        (
            {"- ReLU": "- ReLU: {name: linear2}"},
            [],
            "7:5: layers[2] Linear: there is another layer called 'linear2'. Give each its own name.",
        ),
        (
            {"- ReLU": "- ReLU: {name: input}"},
            [],
            "6:5: layers[1] ReLU: the name 'input' is that of the net's own input. Choose another.",
        ),
        (
            {
                DISK: "CSV: {path: n.csv, column: sum, standardize_targets: true}",
                LOSS: "loss: Huber",
                LAST: "  - Linear: 1\n",
            },
            [],
            "3:35: dataset.CSV.standardize_targets: Huber's delta is in the target's own unit. "
            "Remove this, or write MSE or L1.",
        ),
        (
            {DISK: "Disk: {targets: inputs}", LOSS: "loss: MSE"},
            [
                "dataset=NPZ: {path: r.npz, targets: inputs, standardize_targets: true}",
                "layers[2].Linear.out_features=3",
            ],
            "--set dataset=NPZ: {path: r.npz, targets: inputs, standardize_targets: true}: "
            "dataset.NPZ.standardize_targets: the targets are the inputs, which `standardize` scales. Remove it.",
        ),
        (
            {"- ReLU": "- ReLU: {name: a b}"},
            [],
            "6:5: layers[1] ReLU: the name 'a b' has to start with a letter and hold only letters, digits, _ and -",
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("files")
def test_what_does_not_fit_is_one_line_at_its_place(problems, changed, parts, overrides, message):
    place = "" if message.startswith("--set") else "c.yaml:"
    (found,) = problems(changed(parts), *overrides)
    assert re.sub(r" Make .* Linear \d wide\.$", "", found) == place + message


@pytest.mark.parametrize(("targets", "outputs", "wanted"), [("sign", 3, 2), ("binary", 2, 1), ("one_hot", 1, 2)])
def test_a_wrong_width_is_answered_with_the_right_one(problems, changed, targets, outputs, wanted):
    (found,) = problems(
        changed({DISK: f"Disk: {{targets: {targets}}}", LOSS: "loss: MSE", LAST: f"  - Linear: {outputs}\n"})
    )
    assert re.search(rf" Make .* Linear {wanted} wide\.$", found)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("layer", "own"), [("Sigmoid", "Softmax"), ("Softmax", "Softmax")])
def test_cross_entropy_has_its_own_softmax_whatever_stands_before_it(problems, changed, layer, own):
    (found,) = problems(changed({LAST: f"  - Linear: 2\n  - {layer}\n"}))
    assert found.startswith(f"c.yaml:8:5: layers[3] {layer}: CrossEntropy takes logits and has its own {own}")


@pytest.mark.usefixtures("files")
def test_a_wrong_shape_names_both_sides_and_shows_the_shapes(problems, changed):
    (found,) = problems(changed({DISK: "NPZ: i.npz"}))
    assert found == (
        "c.yaml:5:5: layers[0] Linear: needs a flat input, but gets (1, 4, 4) from the dataset. Put Flatten before it. "
        "(shapes: input (1, 4, 4))"
    )
    (found,) = problems(changed({DISK: "NPZ: i.npz", "- Linear: 5": "- Tanh"}))
    assert found == (
        "c.yaml:7:5: layers[2] Linear: needs a flat input, but gets (1, 4, 4) from layers[1] ReLU. "
        "Put Flatten before it. (shapes: input (1, 4, 4) → tanh1 (1, 4, 4) → relu1 (1, 4, 4))"
    )


def test_several_problems_are_told_at_once(problems, changed):
    found = problems(
        changed({DISK: "Disk: {targets: sign}", LAST: "  - Softmax\n", "epochs: 2": "early_stopping: {patience: 3}"})
    )
    assert [line.split(":")[1] for line in found] == ["3", "7", "12"]


@pytest.mark.usefixtures("files")
def test_the_width_of_an_output_that_is_no_row_is_explained(problems, changed):
    (found,) = problems(changed({DISK: "NPZ: i.npz", "- Linear: 5": "- Tanh", LAST: ""}))
    assert "layers[1] ReLU: gives an output of (1, 4, 4), but the dataset has 3 classes" in found


def test_more_outputs_than_classes_are_allowed(make):
    experiment = make({LAST: "  - Linear: 7\n"})
    assert experiment.dataset.train.targets.shape == (40, 7)
    assert sum(1 for _ in experiment.train()) == 3


@pytest.mark.parametrize(
    ("loss", "outputs", "coding"),
    [
        ("CrossEntropy", 2, "one_hot"),
        ("BinaryCrossEntropy", 1, "binary"),
        ("BinaryCrossEntropy", 2, "one_hot"),
        ("MSE", 2, "one_hot"),
        ("Huber", 3, "one_hot"),
    ],
)
def test_default_codings(make, loss, outputs, coding):
    experiment = make({LOSS: f"loss: {loss}", LAST: f"  - Linear: {outputs}\n"})
    assert experiment.coding == coding
    labels, targets = experiment.dataset.train.labels, experiment.dataset.train.targets
    expected = labels[:, None] if coding == "binary" else np.eye(outputs)[labels]
    np.testing.assert_array_equal(targets, expected)


@pytest.mark.parametrize(
    ("coding", "outputs", "of_class"),
    [
        ("sign", 2, [[-1, -1], [1, 1]]),
        ("signed_one_hot", 2, [[1, -1], [-1, 1]]),
        ("one_hot", 2, [[1, 0], [0, 1]]),
        ("binary", 1, [[0], [1]]),
    ],
)
def test_chosen_codings(make, coding, outputs, of_class):
    experiment = make({"test: 20": f"test: 20, targets: {coding}", LOSS: "loss: MSE", LAST: f"  - Linear: {outputs}\n"})
    for name in ("train", "test"):
        split = experiment.dataset.split(name)
        np.testing.assert_array_equal(split.targets, np.array(of_class)[split.labels])


def test_an_autoencoder_on_the_plane(make):
    experiment = make(
        {"test: 20": "test: 20, targets: inputs", LOSS: "loss: MSE", "SGD: {lr: 0.1}": "Adam: 0.02"},
        "training.epochs=40",
    )
    assert experiment.coding is None
    np.testing.assert_array_equal(experiment.dataset.test.targets, experiment.dataset.test.x)
    records = list(experiment.train())
    # Two numbers through five: it learns to give back what it gets.
    assert records[-1].test_loss < records[0].test_loss / 4
    assert records[-1].test_error is None
    x = experiment.dataset.test.x
    assert np.mean((experiment.predict(x) - x) ** 2) == pytest.approx(records[-1].test_loss, rel=1e-5)


@pytest.mark.usefixtures("files")
def test_targets_of_a_regression_are_the_numbers_of_the_file(make, tmp_path):
    experiment = make({DISK: "NPZ: r.npz", LOSS: "loss: MSE"})
    assert experiment.coding is None
    with np.load(tmp_path / "r.npz") as arrays:
        np.testing.assert_allclose(experiment.dataset.train.targets, arrays["y_train"], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_has_the_chosen_number_type(make, dtype):
    experiment = make({}, f"dtype={dtype}")
    data = experiment.dataset
    assert {p.tensor.dtype for p in experiment.net.parameters} == {np.dtype(dtype)}
    assert {part.dtype for split in (data.train, data.test) for part in (split.x, split.targets)} == {np.dtype(dtype)}


def test_an_image_is_one_sample_to_the_loss_not_a_round(make, files):
    experiment = make(
        {DISK: "NPZ: {path: i.npz, targets: inputs}", LOSS: "loss: MSE", "- Linear: 5": "- Tanh", LAST: ""}
    )
    assert experiment.loss.sample_rank == 3
    x = experiment.dataset.test.x
    value, gradient = experiment.loss(experiment.net(x), x)
    assert isinstance(value, float)
    assert gradient.shape == x.shape


def test_the_parts_are_what_the_config_names(make):
    experiment = make(
        {"training:": "schedule: [LinearWarmup: 2, CosineLR]\ntraining:", LOSS: "loss: BinaryCrossEntropy"}
    )
    assert [layer.name for layer in experiment.net.layers] == ["linear1", "relu1", "linear2"]
    assert isinstance(experiment.loss, BinaryCrossEntropy)
    assert experiment.optimizer.lr == 0.1
    assert [type(schedule).__name__ for schedule in experiment.rounds[0].schedules] == ["LinearWarmup", "CosineLR"]


def test_two_experiments_of_one_config_share_nothing(write, changed):
    config = tinynet.load(write(changed()))
    one, other = tinynet.build(config), tinynet.build(config)
    list(one.train())
    start = tinynet.build(config).net.vector.all_tensors
    np.testing.assert_array_equal(other.net.vector.all_tensors, start)
    assert np.any(one.net.vector.all_tensors != start)


def test_a_known_description_loads_no_data(make, files, tmp_path, write, changed):
    text = changed({DISK: "NPZ: r.npz", LOSS: "loss: MSE"})
    config = tinynet.load(write(text))
    description = build_round(config).description
    (tmp_path / "r.npz").unlink()
    parts = build_round(config, description)
    assert parts.net.input_shape == (3,)
    with pytest.raises(DataError, match="no such file"):
        _ = parts.dataset


def test_a_missing_data_file_is_the_data_s_fault(write, changed):
    config = tinynet.load(write(changed({DISK: "NPZ: gone.npz"})))
    with pytest.raises(DataError, match=r"gone\.npz: no such file"):
        tinynet.build(config)


def test_binary_cross_entropy_takes_shares_only(changed, make, files, tmp_path, problems):
    parts = {DISK: "NPZ: r.npz", LOSS: "loss: BinaryCrossEntropy"}
    make(parts)  # r.npz holds numbers from 0 to 1
    x, y = np.zeros((4, 3)), np.full((4, 2), 1.5)
    np.savez(tmp_path / "r.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    message = "BinaryCrossEntropy needs targets from 0 to 1, but the data's go from 1.5 to 1.5. Write MSE."
    assert problems(changed(parts)) == [f"c.yaml:8:1: loss: {message}"]


@pytest.mark.parametrize(("what", "option"), [("inputs", "standardize"), ("targets", "standardize_targets")])
def test_data_beyond_float32_is_told_at_the_dataset(problems, changed, make, tmp_path, what, option):
    def write(size):
        values = np.linspace(-1, 1, 10)[:, None]
        x, y = (values * size, values) if what == "inputs" else (values, values * size)
        np.savez(tmp_path / "big.npz", x_train=x, y_train=y, x_test=x, y_test=y)

    plain = {DISK: "NPZ: {path: big.npz}", LOSS: "loss: MSE", LAST: "  - Linear: 1\n"}
    standardised = {**plain, DISK: f"NPZ: {{path: big.npz, {option}: true}}"}
    write(1e100)
    problem = f"c.yaml:3:3: dataset.NPZ: its {what} go up to 1e+100, too large for float32."
    assert problems(changed(plain)) == [f"{problem} Scale them in the file."]
    make(plain, "dtype=float64")
    # Standardising is done before, in float64.
    data = make(standardised).dataset.train
    assert (data.x if what == "inputs" else data.targets).std() == pytest.approx(1, rel=1e-6)
    # Their squares are beyond float64.
    write(1e300)
    problem = f"c.yaml:3:3: dataset.NPZ: its {what} go up to 1e+300, too large for float32."
    assert problems(changed(plain)) == [f"{problem} Scale them in the file."]
    (problem,) = problems(changed(standardised))
    assert problem == "c.yaml:3:3: dataset.NPZ: numbers up to 1e+300 cannot be standardised. Scale them in the file."


@pytest.mark.parametrize("behind", ["Identity", "Flatten", "Reshape: [2]", "Identity, Flatten"])
def test_a_second_softmax_is_found_behind_layers_that_change_no_number(write, behind):
    layers = f"[Linear: 2, Softmax, {behind}]"
    text = f"dataset: Disk\nlayers: {layers}\nloss: CrossEntropy\noptimizer: SGD\n"
    with pytest.raises(ConfigError, match=r"layers\[1\] Softmax: CrossEntropy takes logits and has its own Softmax"):
        tinynet.build(tinynet.load(write(text)))


def test_bytes_are_shares_for_binary_cross_entropy(write, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (6, 3, 3), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", x_train=x, y_train=np.arange(6) % 2, x_test=x, y_test=np.arange(6) % 2)
    text = (
        "dataset: {NPZ: {path: d.npz, targets: inputs}}\nlayers: [Flatten, Linear: 9, Reshape: [1, 3, 3]]\n"
        "loss: BinaryCrossEntropy\noptimizer: SGD\ntraining: {epochs: 1}\n"
    )
    assert len(list(tinynet.build(tinynet.load(write(text))).train())) == 2
    with pytest.raises(ConfigError, match=r"needs targets from 0 to 1"):
        tinynet.build(tinynet.load(write(text.replace("targets: inputs", "targets: inputs, standardize: true"))))
