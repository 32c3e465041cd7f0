"""The training loop: its records against figures worked out by hand, early stopping, the best epoch, divergence."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinynet
from tinynet.common.errors import DivergedError
from tinynet.config import grammar
from tinynet.nn.losses import CrossEntropy
from tinynet.nn.random import Stream
from tinynet.training import measuring
from tinynet.training.record import COLUMNS, Progress, Record

LOSS = "loss: CrossEntropy"
DISK = "Disk: {train: 40, test: 20}"


@pytest.fixture
def regression(tmp_path):
    """n.npz beside the config: three inputs, a target of deviation 30 around 500, and its arrays."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = 500 + x @ [20.0, -10.0, 20.0] + rng.normal(size=60)
    arrays = {"x_train": x[:45], "y_train": y[:45], "x_test": x[45:], "y_test": y[45:]}
    np.savez(tmp_path / "n.npz", **arrays)
    return arrays


def parameters(experiment):
    return experiment.net.vector.all_tensors.copy()


def cross_entropy(logits, labels):
    """Mean of -log softmax, one row after the other."""
    return np.mean([math.log(sum(math.exp(v) for v in row)) - row[k] for row, k in zip(logits, labels, strict=True)])


# Records


def test_a_record_for_every_epoch_from_0(make):
    records = list(make().train())
    assert [(record.round, record.epoch) for record in records] == [(0, 0), (0, 1), (0, 2)]
    assert COLUMNS == (
        "round", "epoch", "train_loss", "train_error", "validation_loss", "validation_error", "test_loss", "test_error",
        "learning_rate", "seconds",
    )  # fmt: skip


def test_epoch_0_is_the_untrained_net(make):
    experiment = make()
    split = experiment.dataset.test
    logits = experiment.net(split.x)
    record = next(experiment.train())
    assert record.test_loss == pytest.approx(cross_entropy(logits, split.labels), rel=1e-6)
    assert record.test_error == np.mean(logits.argmax(axis=1) != split.labels)
    assert (record.train_loss, record.train_error, record.learning_rate, record.seconds) == (None, None, None, 0)
    assert (record.validation_loss, record.validation_error) == (None, None)


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_measured_after_the_epoch_at_the_final_parameters(make, name):
    experiment = make({"test: 20": "test: 20, validation: 0.25"}, "training.evaluate_train=true")
    for record in experiment.train():
        split = experiment.dataset.split(name)
        logits = experiment.net(split.x)
        assert record[f"{name}_loss"] == pytest.approx(cross_entropy(logits, split.labels), rel=1e-6)
        assert record[f"{name}_error"] == np.mean(logits.argmax(axis=1) != split.labels)


@pytest.mark.parametrize("shuffle", ["true", "false"])
def test_without_evaluate_train_it_is_the_mean_over_the_batches_by_their_share(make, shuffle):
    # 40 samples in batches of 16: the last one has 8.
    experiment = make({}, f"training.shuffle={shuffle}", "dtype=float64")
    twin = make({}, f"training.shuffle={shuffle}", "dtype=float64")
    records = list(experiment.train())
    data, labels = twin.dataset.train.x, twin.dataset.train.labels
    for epoch in (0, 1):
        order = Stream(0, "shuffle").at(epoch).permutation(40) if shuffle == "true" else np.arange(40)
        total, wrong = 0.0, 0
        for rows in (order[:16], order[16:32], order[32:]):
            predicted = twin.net.forward(data[rows], training=True)
            total += len(rows) * cross_entropy(predicted, labels[rows])
            wrong += np.count_nonzero(predicted.argmax(axis=1) != labels[rows])
            twin.net.backward(twin.loss(predicted, labels[rows])[1])
            twin.net.update(twin.optimizer)
        assert records[epoch + 1].train_loss == pytest.approx(total / 40, rel=1e-12)
        assert records[epoch + 1].train_error == wrong / 40
    np.testing.assert_allclose(parameters(experiment), parameters(twin), rtol=0, atol=1e-14)


def test_shuffle_takes_a_new_order_each_epoch_and_none_without_it(make):
    def rows_seen(shuffle):
        experiment, seen = make({}, f"training.shuffle={shuffle}"), []
        forward = experiment.net.forward

        def spy(x, training=False):
            if training:
                seen.append(np.array(x))
            return forward(x, training)

        experiment.net.forward = spy
        list(experiment.train())
        return np.concatenate(seen).reshape(2, 40, 2), experiment.dataset.train.x

    epochs, x = rows_seen("false")
    np.testing.assert_array_equal(epochs, [x, x])
    epochs, x = rows_seen("true")
    assert np.any(epochs[0] != epochs[1])
    assert np.any(epochs[0] != x)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch, axis=0), np.sort(x, axis=0))


@pytest.mark.parametrize(("batch_size", "batches"), [(1, 40), (16, 3), (20, 2), (40, 1), (1000, 1)])
def test_steps_stop_after_each_batch_and_each_record(make, batch_size, batches):
    steps = list(make({}, f"training.batch_size={batch_size}").training.steps())
    per_epoch = [None] * batches
    assert [step and step.epoch for step in steps] == [0, *per_epoch, 1, *per_epoch, 2]


def test_seconds_grow(make):
    seconds = [record.seconds for record in make().train()]
    assert 0 == seconds[0] < seconds[1] < seconds[2] < 5


def test_a_finished_training_yields_nothing_more(make):
    experiment = make()
    assert len(list(experiment.train())) == 3
    after = parameters(experiment)
    assert list(experiment.train()) == []
    np.testing.assert_array_equal(parameters(experiment), after)


def test_train_goes_on_where_it_was_left(make):
    experiment, whole = make({}, "training.epochs=4"), make({}, "training.epochs=4")
    for record in experiment.train():
        if record.epoch == 2:
            break
    assert [record.epoch for record in experiment.train()] == [3, 4]
    list(whole.train())
    np.testing.assert_array_equal(parameters(experiment), parameters(whole))


# An independent training, written out


def by_hand(W1, b1, W2, b2, x, y, orders, lr, batch_size):
    """Two epochs of a 2-3-2 net, tanh and mean squared error, with every gradient written out."""
    W1, b1, W2, b2 = W1.copy(), b1.copy(), W2.copy(), b2.copy()
    for order in orders:
        for i in range(0, len(order), batch_size):
            rows = order[i : i + batch_size]
            hidden = np.tanh(x[rows] @ W1 + b1)
            predicted = hidden @ W2 + b2
            dpredicted = 2 * (predicted - y[rows]) / predicted.size
            dhidden = (dpredicted @ W2.T) * (1 - hidden**2)
            W2 -= lr * hidden.T @ dpredicted
            b2 -= lr * dpredicted.sum(axis=0, keepdims=True)
            W1 -= lr * x[rows].T @ dhidden
            b1 -= lr * dhidden.sum(axis=0, keepdims=True)
    return [W1, b1, W2, b2]


@pytest.mark.parametrize("shuffle", ["true", "false"])
def test_the_loop_gives_what_a_loop_written_by_hand_gives(make, shuffle):
    experiment = make(
        {LOSS: "loss: MSE", "Linear: 5": "Linear: 3", "ReLU": "Tanh", "batch_size: 16": "batch_size: 7"},
        "dataset.Disk.targets=sign",
        f"training.shuffle={shuffle}",
        "dtype=float64",
    )
    start = [parameter.tensor.copy() for parameter in experiment.net.parameters]
    data = experiment.dataset.train
    targets = np.where(data.labels[:, None] == 1, [1.0, 1.0], [-1.0, -1.0])
    shuffled = [Stream(0, "shuffle").at(epoch).permutation(40) for epoch in (0, 1)]
    orders = shuffled if shuffle == "true" else [np.arange(40)] * 2
    expected = by_hand(*start, data.x, targets, orders, 0.1, 7)
    list(experiment.train())
    for parameter, by_hand_too, before in zip(experiment.net.parameters, expected, start, strict=True):
        np.testing.assert_allclose(parameter.tensor, by_hand_too, rtol=0, atol=1e-12)
        assert np.any(np.abs(parameter.tensor - before) > 1e-3)


# The same numbers


def test_the_same_config_gives_the_same_parameters_to_the_last_bit(make):
    parts = {"- ReLU": "- Dropout: 0.3", "SGD: {lr: 0.1}": "Adam: 0.01"}
    one, other = make(parts), make(parts)
    records = [[{**vars(r), "seconds": 0} for r in experiment.train()] for experiment in (one, other)]
    assert records[0] == records[1]
    assert parameters(one).tobytes() == parameters(other).tobytes()


def test_another_seed_gives_other_data_parameters_and_order(make):
    one, other = make(), make({}, "seed=1")
    assert np.any(one.dataset.train.x != other.dataset.train.x)
    assert np.any(parameters(one) != parameters(other))
    assert np.any(one.rounds[0].order() != other.rounds[0].order())


def test_training_ignores_the_global_random_state(make):
    one = make()
    np.random.seed(1)
    list(one.train())
    other = make()
    np.random.seed(2)
    list(other.train())
    assert parameters(one).tobytes() == parameters(other).tobytes()


# Early stopping


def stop_at(values, patience, min_delta):
    """The epochs at which a watched sequence stops, worked out from the definition; None if it does not."""
    for end in range(1, len(values)):
        best_at, best = 0, values[0]
        for i in range(1, end + 1):
            if values[i] < best - min_delta:
                best_at, best = i, values[i]
        if end - best_at >= patience:
            return end
    return None


@pytest.fixture
def watching(make, monkeypatch):
    """A learner whose test figures are given; it returns the epochs that were trained."""

    def run(values, patience, min_delta=0.0, monitor="validation_loss"):
        experiment = make(
            {"test: 20": "test: 20, validation: 0.2"},
            f"training.early_stopping={{patience: {patience}, min_delta: {min_delta}, monitor: {monitor}}}",
            f"training.epochs={len(values) - 1}",
            "training.evaluate_train=true",
        )
        validation = experiment.dataset.validation

        def figures(parts, split):
            # Three splits are measured for each record.
            value = values[len(experiment.rounds[0].progress.records)]
            watched = split is (validation if monitor.startswith("validation") else experiment.dataset.train)
            if monitor.endswith("error"):
                return 1.0, value if watched else 0.0
            return value if watched else 0.0, 0.0

        monkeypatch.setattr(measuring, "quick_figures", figures)
        epochs = [record.epoch for record in experiment.train()]
        return epochs[-1], experiment.rounds[0]

    return run


@pytest.mark.parametrize("monitor", ["validation_loss", "validation_error", "train_loss", "train_error"])
@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "last", "early"),
    [
        # Smallest at epoch 2; epochs 3 and 4 are no better: stopped after 4.
        ([9, 5, 4, 6, 5, 1, 1], 2, 0, 4, True),
        # An equal value is no better.
        ([9, 5, 5, 5, 1, 1], 2, 0, 3, True),
        # Each step is better, but by less than 1 from the value that counted.
        ([9.0, 8.5, 8.25, 7.75, 7.5, 7.0, 1.0], 2, 1, 2, True),
        # 7.75 is better by more than 1 than the 9 of epoch 0, so the count begins anew.
        ([9.0, 8.5, 7.75, 7.5, 7.25, 7.0, 1.0], 2, 1, 4, True),
        ([9, 8, 7, 6, 5], 1, 0, 4, False),
        # The patience ends with the last epoch.
        ([5, 6, 7], 2, 0, 2, True),
        ([5, 6, 7], 3, 0, 2, False),
    ],
)
def test_early_stopping_on_sequences_worked_out_by_hand(watching, monitor, values, patience, min_delta, last, early):
    epoch, one = watching(values, patience, min_delta, monitor)
    assert (epoch, one.progress.stopped_early) == (last, early)
    assert one.finished


@given(st.lists(st.integers(0, 6), min_size=2, max_size=12), st.integers(1, 4), st.integers(0, 2))
def test_early_stopping_by_its_definition(values, patience, min_delta):
    stopping = grammar.EarlyStopping(patience=patience, min_delta=float(min_delta))
    one = SimpleNamespace(
        progress=Progress(), config=SimpleNamespace(training=grammar.Training(early_stopping=stopping))
    )
    stopped = None
    for epoch, value in enumerate(values):
        measuring.notice_stopping(one, Record(0, epoch, validation_loss=float(value)))
        if one.progress.stopped_early:
            stopped = epoch
            break
    assert stopped == stop_at(values, patience, min_delta)


def test_early_stopping_of_a_real_training(make):
    # With such a learning rate, the loss goes up at once.
    experiment = make(
        {"test: 20": "test: 20, validation: 0.5"}, "optimizer.SGD.lr=2", "training.epochs=200",
        "training.early_stopping={patience: 3}",
    )  # fmt: skip
    records = list(experiment.train())
    losses = [record.validation_loss for record in records]
    assert records[-1].epoch == stop_at(losses, 3, 0)
    assert records[-1].epoch < 200
    assert experiment.rounds[0].progress.stopped_early
    assert list(experiment.train()) == []


# The best epoch


@pytest.mark.parametrize(
    ("parts", "evaluate_train", "column"),
    [
        ({"test: 20": "test: 20, validation: 0.25"}, "true", "validation_loss"),
        ({"test: 20": "test: 20, validation: 0.25"}, "false", "validation_loss"),
        ({}, "true", "train_loss"),
        ({}, "false", None),
    ],
)
def test_the_best_epoch_is_that_of_the_smallest_loss_measured_after_it(make, parts, evaluate_train, column):
    overrides = (f"training.evaluate_train={evaluate_train}", "optimizer.SGD.lr=1.5", "training.epochs=8", "seed=2")
    experiment, records, at = make(parts, *overrides), [], []
    for record in experiment.train():
        records.append(record)
        at.append(parameters(experiment))
    progress = experiment.rounds[0].progress
    if column is None:
        assert progress.best_epoch is None
        assert experiment.rounds[0].best_parameters is None
        return
    best = min(range(9), key=lambda epoch: records[epoch][column])
    # Neither the first nor the last, or the test would show little; and another than the test set's.
    assert 0 < best < 8
    assert best != min(range(9), key=lambda epoch: records[epoch].test_loss)
    assert (progress.best_epoch, progress.best_loss) == (best, records[best][column])
    np.testing.assert_array_equal(experiment.rounds[0].best_parameters, at[best])


def test_of_equal_losses_the_first_is_the_best(make, monkeypatch):
    monkeypatch.setattr(measuring, "quick_figures", lambda parts, split: (1.0, 0.0))
    experiment = make({}, "training.evaluate_train=true")
    list(experiment.train())
    assert experiment.rounds[0].progress.best_epoch == 0


# Clipping and schedules


def test_clip_norm_limits_the_step(make):
    parts = {LOSS: "loss: MSE", "batch_size: 16": "batch_size: 40"}
    clipped, free = (
        make(parts, "training.epochs=1", "dtype=float64", *more) for more in (["training.clip_norm=0.01"], [])
    )
    steps = []
    for experiment in (clipped, free):
        start = parameters(experiment)
        list(experiment.train())
        steps.append(parameters(experiment) - start)
    # A step of SGD is lr times the gradient.
    assert np.linalg.norm(steps[0]) == pytest.approx(0.1 * 0.01, rel=1e-4)
    assert np.linalg.norm(steps[1]) > 0.01
    np.testing.assert_allclose(
        steps[0] / np.linalg.norm(steps[0]), steps[1] / np.linalg.norm(steps[1]), rtol=1e-9, atol=1e-12
    )


def test_a_clip_norm_above_every_gradient_changes_nothing(make):
    one, other = make({}, "training.clip_norm=1000"), make()
    list(one.train())
    list(other.train())
    np.testing.assert_array_equal(parameters(one), parameters(other))


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("CosineLR", [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
        ("{StepLR: {step_size: 2, gamma: 0.5}}", [1, 1, 0.5, 0.5]),
        ("{LinearWarmup: 4}", [0.25, 0.5, 0.75, 1]),
        ("[LinearWarmup: 2, StepLR: {step_size: 2, gamma: 0.5}]", [0.5, 1, 0.5, 0.5]),
    ],
)
def test_schedules_show_in_the_learning_rate_and_in_the_steps(make, schedule, factors):
    experiment = make({}, f"schedule={schedule}", "training.epochs=4", "training.batch_size=40", "dtype=float64")
    rates, gradients = [], []
    step = experiment.optimizer.step

    def spy(tensor, gradient):
        gradients.append(gradient.copy())
        step(tensor, gradient)

    experiment.optimizer.step = spy
    at = []
    for record in experiment.train():
        rates.append(record.learning_rate)
        at.append(experiment.net.vector.tensor.copy())
    assert rates == [None, *(pytest.approx(0.1 * factor, rel=1e-12) for factor in factors)]
    for i, factor in enumerate(factors):
        np.testing.assert_allclose(at[i] - at[i + 1], 0.1 * factor * gradients[i], rtol=1e-7, atol=1e-14)


# NumPy's warnings


def test_the_caller_s_handling_of_overflow_stays_as_it_is(make):
    before = np.geterr()
    one, other = make().training.steps(), make().training.steps()
    # One ends while the other is within an epoch.
    for _ in range(6):
        next(one)
        assert np.geterr() == before
        next(other)
        assert np.geterr() == before
    for _ in one:
        assert np.geterr() == before
    for _ in other:
        assert np.geterr() == before
    assert np.geterr() == before


# Divergence


def test_divergence_names_the_layer_and_the_epoch(make):
    experiment = make({LOSS: "loss: MSE"}, "optimizer.SGD.lr=1e12", "training.epochs=50")
    records = []
    with pytest.raises(DivergedError) as caught:
        records.extend(experiment.train())
    epoch = experiment.rounds[0].progress.epoch
    # All parameters are finite still: the loss is found before the update.
    assert re.fullmatch(
        rf"the training diverged in epoch {epoch + 1}: the loss became inf in batch \d\. "
        r"The largest output is that of linear2, up to \d\.\d+e\+\d+\. "
        r"Try a smaller learning rate \(optimizer\.SGD\.lr, now 1e\+12\), or training\.clip_norm: 1\.",
        str(caught.value),
    )
    assert caught.value.exit_status == 3
    assert np.isfinite(parameters(experiment)).all()


def test_divergence_names_the_first_layer_that_is_wrong(make):
    experiment = make()
    experiment.net.parameters[2].tensor[0, 0] = np.nan
    with pytest.raises(DivergedError, match=r"epoch 0.*linear2 "):
        next(experiment.train())


def test_divergence_names_the_layer_whose_output_is_not_finite(make):
    experiment = make()
    steps = experiment.training.steps()
    next(steps)
    linear1, linear2 = experiment.net.parameters[1], experiment.net.parameters[2]
    linear1.tensor[:] = 10
    linear2.tensor[:] = 3e38
    with pytest.raises(DivergedError) as caught:
        next(steps)
    assert (
        "epoch 1: the loss became nan in batch 1. The first layer with NaN or infinity is linear2 (its output). "
        in (str(caught.value))
    )
    # Its update would have made all of them NaN, of the first layer too.
    assert np.isfinite(parameters(experiment)).all()


def test_divergence_in_a_batch_is_told_in_that_epoch(make):
    experiment = make({}, "training.epochs=3")
    steps = experiment.training.steps()
    while (record := next(steps)) is None or record.epoch < 1:
        pass
    next(steps)
    experiment.net.parameters[0].tensor[:] = np.inf
    with pytest.raises(DivergedError, match="diverged in epoch 2: the loss became nan in batch 2"):
        next(steps)


def test_an_infinite_parameter_without_an_infinite_loss_is_seen_too(make):
    experiment = make({"- ReLU": "- Tanh"})
    for record in experiment.training.steps():
        if record is None:
            # Tanh makes a finite number of it.
            experiment.net.parameters[1].tensor[0, 0] = np.inf
        experiment.training.settle()
        if experiment.rounds[0].progress.batch == 3:
            break
    with pytest.raises(DivergedError, match=r"epoch 1: a parameter became NaN or infinite.*linear1 \(its parameters\)"):
        list(experiment.training.steps())


# Regressions in the target's own unit


@pytest.mark.parametrize("standardize", ["true", "false"])
@pytest.mark.parametrize("loss", ["MSE", "L1"])
def test_figures_of_a_regression_are_in_the_target_s_unit(make, regression, standardize, loss):
    experiment = make(
        {
            DISK: f"NPZ: {{path: n.npz, standardize_targets: {standardize}}}",
            LOSS: f"loss: {loss}",
            "- Linear: 2": "- Linear: 1",
        },
        "optimizer=Adam: 0.05", "training.epochs=30", "training.evaluate_train=true", "dtype=float64",
    )  # fmt: skip
    records = list(experiment.train())
    for name in ("train", "test"):
        x, y = regression[f"x_{name}"], regression[f"y_{name}"][:, None]
        predicted = experiment.predict(x)
        difference = predicted - y
        expected = np.mean(difference**2) if loss == "MSE" else np.mean(np.abs(difference))
        assert records[-1][f"{name}_loss"] == pytest.approx(expected, rel=1e-9)
        assert records[-1][f"{name}_error"] is None
        figures = experiment.evaluate(name)
        assert figures.loss == pytest.approx(expected, rel=1e-9)
        assert figures.mean_absolute_error == pytest.approx(np.mean(np.abs(difference)), rel=1e-9)
        # Closed form of R² by the correlation would need a fit with a constant; this is its definition.
        assert figures.r2 == pytest.approx(1 - np.sum(difference**2) / np.sum((y - y.mean()) ** 2), rel=1e-9)
        assert (figures.errors, figures.error, figures.confusion, figures.commonest_error) == (None,) * 4


def test_the_mean_over_batches_is_in_the_target_s_unit_too(make, regression):
    # One batch of all: the mean over the epoch's batches is the loss of the untrained net.
    experiment = make(
        {DISK: "NPZ: {path: n.npz, standardize_targets: true}", LOSS: "loss: MSE", "- Linear: 2": "- Linear: 1"},
        "training.batch_size=45", "training.epochs=1", "dtype=float64",
    )  # fmt: skip
    before = np.mean((experiment.predict(regression["x_train"]) - regression["y_train"][:, None]) ** 2)
    assert list(experiment.train())[-1].train_loss == pytest.approx(before, rel=1e-9)
    assert before > 100


def test_standardised_targets_scale_the_gradient_not_the_figures(make, regression):
    # The net itself works on targets of mean 0 and deviation 1.
    experiment = make(
        {DISK: "NPZ: {path: n.npz, standardize_targets: true}", LOSS: "loss: MSE", "- Linear: 2": "- Linear: 1"}
    )
    targets = experiment.dataset.train.targets
    assert targets.mean() == pytest.approx(0, abs=1e-6)
    assert targets.std() == pytest.approx(1, rel=1e-6)


def test_a_linear_net_reaches_the_least_squares_fit(make, regression):
    experiment = make(
        {
            DISK: "NPZ: {path: n.npz, standardize: true, standardize_targets: true}",
            LOSS: "loss: MSE",
            "  - Linear: 5\n  - ReLU\n  - Linear: 2": "  - Linear: 1",
        },
        "optimizer.SGD.lr=0.1", "training.epochs=300", "training.batch_size=45", "dtype=float64",
    )  # fmt: skip
    list(experiment.train())
    design = np.column_stack([regression["x_train"], np.ones(45)])
    fit = np.linalg.lstsq(design, regression["y_train"], rcond=None)[0]
    residual = regression["y_train"] - design @ fit
    figures = experiment.evaluate("train")
    assert figures.loss == pytest.approx(np.mean(residual**2), rel=1e-6)
    assert figures.r2 == pytest.approx(np.corrcoef(design @ fit, regression["y_train"])[0, 1] ** 2, rel=1e-6)


@pytest.mark.parametrize("dataset", ["NPZ: {path: n.npz, %s}", "CSV: {path: n.csv, column: c, task: regression, %s}"])
def test_an_autoencoder_on_standardised_inputs_answers_in_their_own_units(make, regression, tmp_path, dataset):
    x = regression["x_train"] * [100, 1, 0.01] + [5, 500, 0]
    np.savez(tmp_path / "n.npz", **{**regression, "x_train": x})
    lines = [",".join(map(repr, row)) for row in np.column_stack([x, regression["y_train"]]).tolist()]
    (tmp_path / "n.csv").write_text("a,b,d,c\n" + "\n".join(lines) + "\n")
    experiment = make(
        {DISK: dataset % "targets: inputs, standardize: true", LOSS: "loss: MSE", "- Linear: 2": "- Linear: 3"},
        "optimizer=Adam: 0.05", "training.epochs=40", "training.evaluate_train=true", "dtype=float64",
    )  # fmt: skip
    records = list(experiment.train())
    data, scaling = experiment.dataset.train, experiment.description.input_scaling
    np.testing.assert_array_equal(data.targets, data.x)
    np.testing.assert_allclose(data.x.std(axis=0), 1, rtol=1e-9)
    own = data.x * scaling.deviation + scaling.mean
    difference = experiment.predict(own) - own
    # Each number lies near the one it comes from: the columns differ by a factor of 10,000.
    assert np.all(np.abs(difference).mean(axis=0) < scaling.deviation)
    figures = experiment.evaluate("train")
    for loss in (figures.loss, records[-1].train_loss):
        assert loss == pytest.approx(np.mean(difference**2), rel=1e-9)
    assert figures.mean_absolute_error == pytest.approx(np.mean(np.abs(difference)), rel=1e-9)
    centred = own - own.mean(axis=0)
    assert figures.r2 == pytest.approx(1 - np.sum(difference**2) / np.sum(centred**2), rel=1e-9)


def test_binary_cross_entropy_on_inputs_answers_with_shares(make):
    experiment = make({"test: 20": "test: 20, targets: inputs", LOSS: "loss: BinaryCrossEntropy"}, "dtype=float64")
    list(experiment.train())
    x = experiment.dataset.test.x
    shares = 1 / (1 + np.exp(-experiment.net(x)))
    np.testing.assert_allclose(experiment.predict(x), shares, rtol=1e-12)
    figures = experiment.evaluate()
    expected = 1 - np.sum((shares - x) ** 2) / np.sum((x - x.mean(axis=0)) ** 2)
    assert figures.r2 == pytest.approx(expected, rel=1e-12)
    assert figures.mean_absolute_error == pytest.approx(np.mean(np.abs(shares - x)), rel=1e-12)


@pytest.mark.parametrize(
    ("names", "answers"),
    [(["-1", "1"], [-1, 1]), (["0", "10"], [0, 10]), (["01", "1"], ["01", "1"]), (["+1", "-1"], ["+1", "-1"])],
)
def test_classes_that_are_named_by_whole_numbers_come_back_as_such(make, tmp_path, names, answers):
    x = np.linspace(-1, 1, 40)[:, None]
    y = np.array(names)[(x[:, 0] > 0).astype(int)]
    np.savez(tmp_path / "n.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    experiment = make({DISK: "NPZ: n.npz"}, "optimizer=Adam: 0.1", "training.epochs=30")
    list(experiment.train())
    assert experiment.predict([[-1.0], [1.0]]).tolist() == answers


def test_r2_of_equal_targets_is_none(make, tmp_path, regression):
    np.savez(tmp_path / "n.npz", **{**regression, "y_test": np.full(15, 7.0)})
    experiment = make({DISK: "NPZ: n.npz", LOSS: "loss: MSE", "- Linear: 2": "- Linear: 1"})
    assert experiment.evaluate().r2 is None


# Dropout and classes


def test_dropout_is_on_in_training_and_off_in_evaluation(make):
    experiment = make({"- ReLU": "- Dropout: 0.5"})
    x = experiment.dataset.test.x
    np.testing.assert_array_equal(experiment.net(x), experiment.net(x))
    list(experiment.train())
    first, second, _ = experiment.net.layers
    hidden = first(x)
    np.testing.assert_array_equal(second(hidden), hidden)
    assert np.any(second.forward(hidden, training=True) == 0)
    # The figures come from a net without dropout.
    W1, b1, W2, b2 = (parameter.tensor for parameter in experiment.net.parameters)
    labels = experiment.dataset.test.labels
    expected = cross_entropy((x @ W1 + b1) @ W2 + b2, labels)
    assert experiment.evaluate().loss == pytest.approx(expected, rel=1e-5)
    assert experiment.rounds[0].progress.records[-1].test_loss == pytest.approx(expected, rel=1e-5)


def test_confusion_and_the_commonest_class(make):
    experiment = make({DISK: "Spirals: {classes: 3, train: 40, test: 25}", "- Linear: 2": "- Linear: 4"})
    list(experiment.train())
    figures, split = experiment.evaluate(), experiment.dataset.test
    found = experiment.net(split.x).argmax(axis=1)
    for true in range(3):
        for guess in range(len(figures.confusion)):
            assert figures.confusion[true, guess] == np.count_nonzero((split.labels == true) & (found == guess))
    assert figures.confusion.sum() == figures.samples == 25
    assert figures.errors == 25 - np.trace(figures.confusion)
    commonest = np.bincount(experiment.dataset.train.labels).argmax()
    assert figures.commonest_error == np.mean(split.labels != commonest)


def test_the_evaluation_of_many_chunks_is_that_of_the_whole(make):
    experiment = make({"test: 20": "test: 2500"})
    split = experiment.dataset.test
    logits = experiment.net(split.x)
    assert experiment.evaluate().loss == pytest.approx(cross_entropy(logits, split.labels), rel=1e-5)
    assert experiment.evaluate().errors == np.count_nonzero(logits.argmax(axis=1) != split.labels)


def test_there_is_no_split_of_another_name(make):
    with pytest.raises(tinynet.UsageError, match="there is no validation split"):
        make().evaluate("validation")


def test_a_loss_in_single_precision_is_summed_in_double(make, monkeypatch):
    single = make({}, "training.batch_size=1")
    call = CrossEntropy.__call__
    values = []

    def rounded(self, predicted, target):
        value, gradient = call(self, predicted, target)
        return np.float32(value), gradient

    monkeypatch.setattr(CrossEntropy, "__call__", rounded)
    for step in single.training.steps():
        if step is None:
            single.training.settle()
            values.append(single.rounds[0].progress.loss_sum)
            if len(values) == 30:
                break
    # In float32 every sum would be a number of float32.
    assert any(value != float(np.float32(value)) for value in values)
    assert all(type(record.test_loss) is float for record in single.rounds[0].progress.records)
