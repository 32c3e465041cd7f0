"""Rounds: each gives what a single training with its seed gives, to the last bit, stacked or one after another."""

import csv
import json
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

import tinynet
from tinynet.runs.resume import resume
from tinynet.runs.run import Run
from tinynet.training.stacking import stacks

DISK = str(Path(__file__).parents[2] / "configs" / "disk.yaml")
FIGURES = ("train_loss", "train_error", "validation_loss", "validation_error", "test_loss", "test_error")
GRAPH = (
    "layers=[{Linear: {out_features: 9, name: a}}, Tanh, {Linear: {out_features: 9, name: b}}, "
    "{Linear: {out_features: 9, share: b}}, {Sum: [a, linear1]}, {Concat: [a, sum1]}, {Multiply: [concat1, concat1]}, "
    "{Dropout: 0.3}, {Block: {layers: [{Linear: 5}, LeakyReLU, Sigmoid], repeat: 2}}, Identity, {Linear: 3}]"
)
STACKED = {
    "as it is": [],
    "float64": ["dtype=float64"],
    "figures over the batches": ["training.evaluate_train=false", "training.batch_size=7"],
    "Adam": ["optimizer={Adam: 0.01}"],
    "AdamW": ["optimizer={AdamW: 0.01}"],
    "momentum": ["optimizer={SGD: {lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.01}}"],
    "L1": ["loss=L1"],
    "Huber": ["loss=Huber"],
    "class indices": [
        "loss=CrossEntropy",
        "dataset={Disk: {train: 53, test: 50}}",
        "layers=[{Linear: 3}, {Linear: 2}]",
    ],
    "one output": [
        "loss=BinaryCrossEntropy",
        "dataset=Disk",
        "layers=[{Linear: 9}, GELU, {Dropout: 0.3}, {Linear: 1}]",
    ],
    "a graph": ["loss=CrossEntropy", "dataset={Spirals: {train: 90, test: 30}}", GRAPH],
    "clipping": ["training.clip_norm=0.1"],
    "a short last batch": ["training.batch_size=7"],
    "validation": ["dataset.Disk.validation=0.2"],
    "standardised": ["dataset.Disk.standardize=true", "schedule=[{LinearWarmup: 2}, CosineLR]"],
    "no shuffling": ["training.shuffle=false"],
    "frozen": ["layers=[{Linear: {out_features: 9, trainable: false}}, ReLU, {Linear: 2}]"],
    "stops early": ["training.epochs=30", "training.early_stopping={monitor: train_loss, patience: 2}"],
}
FLAT = "layers=[Flatten, {Linear: 5}, Tanh, {Linear: 3}]"
OF_A_FILE = {
    "bytes": ("images", "standardize: false", ["loss=CrossEntropy", FLAT]),
    "bytes, standardised": ("images", "standardize: true", ["loss=CrossEntropy", FLAT]),
    "values": (
        "values",
        "task: regression, standardize_targets: true",
        ["loss=MSE", "layers=[{Linear: 5}, Tanh, {Linear: 1}]", "training.evaluate_train=false"],
    ),
}
ONE_BY_ONE = {
    "BatchNorm": ["layers=[{Linear: 9}, BatchNorm, {Linear: 2}]"],
    "wide": ["layers=[{Linear: 101}, ReLU, {Linear: 101}, {Linear: 2}]", "optimizer.SGD.lr=0.01"],
}


def experiment(*overrides, rounds=1, seed=0):
    # What is said later counts: a case may give the epochs anew.
    first = ("name=x", f"seed={seed}", "dataset.Disk.train=100", "dataset.Disk.test=50", "training.epochs=3")
    config = tinynet.load(DISK, *first, f"training.rounds={rounds}", *overrides)
    return tinynet.build(config)


def figures(record):
    return [record[name] for name in FIGURES]


def same(whole, number, overrides):
    """Whether a round is a single training with its seed, in parameters, state and figures."""
    single = experiment(*overrides, seed=number)
    alone = [figures(record) for record in single.train()]
    one = whole.rounds[number]
    assert one.net.vector.all_tensors.tobytes() == single.net.vector.all_tensors.tobytes()
    assert [figures(record) for record in one.progress.records] == alone
    assert one.optimizer.steps == single.optimizer.steps
    for name, values in single.optimizer.state.items():
        assert one.optimizer.state[name].tobytes() == values.tobytes()
    best, expected = one.best_parameters, single.rounds[0].best_parameters
    assert (best is None) == (expected is None)
    assert best is None or best.tobytes() == expected.tobytes()


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """Trains three rounds in a run that is stopped after so many batches and records."""
    monkeypatch.setattr("tinynet.runs.run.WATCH_SECONDS", 0)

    def cut(after, *overrides):
        whole = experiment(*overrides, rounds=3)
        run, steps = Run.create(whole, tmp_path, []), []

        def watch(record):
            steps.append(record)
            run.stop = len(steps) == after

        assert run.train(whole, watch) == "interrupted"
        return run

    return cut


@pytest.mark.parametrize("overrides", STACKED.values(), ids=STACKED.keys())
def test_a_stacked_round_is_a_single_training_to_the_last_bit(overrides):
    whole = experiment(*overrides, rounds=3)
    assert whole.training.stacked
    records = list(whole.train())
    assert {record.round for record in records} == {0, 1, 2}
    for number in range(3):
        same(whole, number, overrides)


@pytest.mark.parametrize(("name", "options", "overrides"), OF_A_FILE.values(), ids=OF_A_FILE.keys())
def test_a_round_on_data_of_a_file_is_a_single_training(tmp_path, name, options, overrides):
    rng = np.random.default_rng(0)
    images, classes = rng.integers(0, 256, (60, 4, 4), np.uint8), rng.integers(0, 3, 60)
    numbers, values = rng.standard_normal((60, 4)), rng.normal(50, 9, 60)
    x, y = {"images": (images, classes), "values": (numbers, values)}[name]
    path = tmp_path / "d.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    overrides = [f"dataset={{NPZ: {{path: {path}, {options}}}}}", *overrides]
    whole = experiment(*overrides, rounds=3)
    assert whole.training.stacked
    list(whole.train())
    for number in range(3):
        same(whole, number, overrides)


@pytest.mark.parametrize("overrides", ONE_BY_ONE.values(), ids=ONE_BY_ONE.keys())
def test_one_after_another(overrides):
    whole = experiment(*overrides, rounds=2)
    assert not whole.training.stacked
    list(whole.train())
    for number in range(2):
        same(whole, number, overrides)


def test_rounds_differ_from_each_other():
    whole = experiment(rounds=3)
    list(whole.train())
    assert len({one.net.vector.all_tensors.tobytes() for one in whole.rounds}) == 3
    assert len({one.dataset.train.x.tobytes() for one in whole.rounds}) == 3


def test_data_from_a_file_are_the_same_in_all_rounds_and_there_once(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    (tmp_path / "c.yaml").write_text(
        "dataset: {NPZ: {path: d.npz, standardize: true, validation: 0.2}}\nlayers: [{Linear: 5}, Tanh, {Linear: 3}]\n"
        "loss: CrossEntropy\noptimizer: Adam\ntraining: {epochs: 2, batch_size: 7, rounds: 3}\n"
    )
    whole = tinynet.build(tinynet.load(tmp_path / "c.yaml"))
    assert whole.rounds[2].dataset.train.x is whole.rounds[0].dataset.train.x
    assert whole.training.stacked
    list(whole.train())
    single = tinynet.build(tinynet.load(tmp_path / "c.yaml", "training.rounds=1"))
    list(single.train())
    assert whole.rounds[0].net.vector.all_tensors.tobytes() == single.net.vector.all_tensors.tobytes()


def test_a_class_stacks_only_if_it_says_so_itself():
    class Doubled(tinynet.ReLU, abstract=True):
        """y = 2 max(x, 0)"""

    class Tripled(tinynet.ReLU, abstract=True):
        """y = 3 max(x, 0)"""

        stacks = True

    assert [stacks(cls) for cls in (tinynet.ReLU, Doubled, Tripled)] == [True, False, True]


def test_a_divergence_names_the_round_and_the_layer():
    whole = experiment("layers=[{Linear: 9}, ReLU, {Linear: 2}]", "optimizer.SGD.lr=1e30", rounds=3)
    assert whole.training.stacked
    with pytest.raises(tinynet.DivergedError, match=r"training of round 0 diverged in epoch 1: .* linear\d"):
        list(whole.train())


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer={Adam: 0.01}"],
        ["training.evaluate_train=false"],
        ["layers=[{Linear: 9}, {Dropout: 0.3}, {Linear: 2}]"],
        ONE_BY_ONE["wide"],
    ],
    ids=["Adam", "figures over the batches", "Dropout", "one by one"],
)
@pytest.mark.parametrize("after", [1, 2, 3, 14, 15, 25])
def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path, overrides, after, interrupted):
    whole = experiment(*overrides, rounds=3)
    run = Run.create(whole, tmp_path, [])
    assert run.train(whole, lambda record: None) == "finished"

    broken = interrupted(after, *overrides)
    again, resumed = resume(broken.folder, [])
    assert not resumed.training.finished
    assert again.train(resumed, lambda record: None) == "finished"

    with np.load(run.last_path) as expected, np.load(broken.last_path) as found:
        assert sorted(found.files) == sorted(expected.files)
        for key in set(expected.files) - {"metadata", "sha256"}:  # which have the seconds in them
            assert found[key].shape[0] == 3
            assert found[key].tobytes() == expected[key].tobytes(), key
    rows = [
        [row[:-1] for row in csv.reader((r.folder / "metrics.csv").read_text().splitlines())] for r in (run, broken)
    ]
    assert rows[0] == rows[1]
    assert [row[0] for row in rows[0][1:]] == sorted(row[0] for row in rows[0][1:])


def test_what_is_left_undone_goes_on_at_the_next_call():
    whole, cut = experiment(rounds=3), experiment(rounds=3)
    list(whole.train())
    for after in (1, 7, 12):
        for count, _ in enumerate(cut.training.steps(), start=1):
            if count == after:
                break
    list(cut.train())
    for mine, theirs in zip(whole.rounds, cut.rounds, strict=True):
        assert mine.net.vector.all_tensors.tobytes() == theirs.net.vector.all_tensors.tobytes()
        assert [figures(r) for r in mine.progress.records] == [figures(r) for r in theirs.progress.records]


@pytest.mark.parametrize("ahead", [7, 12, 25])
def test_rounds_behind_catch_up_before_all_go_on_together(ahead):
    whole = experiment(rounds=3)
    for count, _ in enumerate(whole.of_round(1).training.steps(), start=1):
        if count == ahead:  # of a record, then ten batches and a record in each epoch
            break
    assert whole.training.stacked
    epochs = [record.epoch for record in whole.train()]
    assert epochs == sorted(epochs)
    for number in range(3):
        same(whole, number, [])


@pytest.mark.parametrize("overrides", [[], ONE_BY_ONE["wide"]], ids=["stacked", "one by one"])
def test_what_numpy_warns_of_stays_as_it_is_between_two_steps(overrides):
    with np.errstate(all="raise"):
        before = np.geterr()
        assert all(np.geterr() == before for _ in experiment(*overrides, rounds=2).training.steps())
        assert np.geterr() == before


def test_the_seconds_of_all_rounds_together_are_those_that_went_by():
    whole = experiment("dataset.Disk.train=2000", "training.evaluate_train=false", rounds=3)
    start = perf_counter()
    list(whole.train())
    assert 0 < sum(one.progress.seconds for one in whole.rounds) <= perf_counter() - start


@pytest.mark.parametrize("after", [15, 16, 17, 28])
def test_a_schedule_is_the_same_after_a_stop_between_two_measurements(after, interrupted):
    run = interrupted(after, "schedule={StepLR: {step_size: 1, gamma: 0.5}}")
    again, resumed = resume(run.folder, [])
    again.train(resumed, lambda record: None)
    rates = {record.epoch: record.learning_rate for record in again.records() if record.round == 0}
    assert rates == {0: None, 1: 0.1, 2: 0.05, 3: 0.025}
    assert all(record.learning_rate == rates[record.epoch] for record in again.records())


def test_a_changed_optimizer_counts_in_a_stack_too():
    whole, single = experiment(rounds=2), experiment(seed=1)
    for one in (*whole.rounds, single):
        one.optimizer.lr = 0.01
    list(whole.train()), list(single.train())
    assert whole.rounds[1].net.vector.all_tensors.tobytes() == single.net.vector.all_tensors.tobytes()


def test_the_figures_of_every_epoch_are_those_of_a_run_without_checkpoints(tmp_path):
    whole = experiment("training.evaluate_train=false", "training.checkpoint_seconds=0", rounds=2)
    run = Run.create(whole, tmp_path, [])
    run.train(whole, lambda record: None)
    alone = experiment("training.evaluate_train=false", rounds=2)
    list(alone.train())
    assert [figures(r) for r in run.records()] == [figures(r) for r in alone.training.records]


def test_train_eval_and_predict_know_rounds(tmp_path, cli):
    sizes = ("--set", "dataset.Disk.train=60", "--set", "dataset.Disk.test=40", "--set", "training.epochs=2")
    status, out, _ = cli("train", DISK, *sizes, "--rounds", 3, "--name", "r", "--json", "--quiet")
    assert status == 0
    summary = json.loads(out)
    each = [row["last"]["test_loss"] for row in summary["per_round"]]
    assert summary["rounds"] == 3
    assert [row["seed"] for row in summary["per_round"]] == [0, 1, 2]
    assert summary["test_loss"] == summary["mean"]["test_loss"] == pytest.approx(np.mean(each))
    assert summary["standard_deviation"]["test_loss"] == pytest.approx(np.std(each, ddof=1))
    assert (summary["minimum"]["test_loss"], summary["maximum"]["test_loss"]) == (min(each), max(each))

    status, out, _ = cli("eval", "runs/r", "--json")
    assert status == 0
    last = json.loads(out)["last"]
    assert [row["loss"] for row in last["per_round"]] == each
    assert last["loss"] == pytest.approx(np.mean(each))
    status, out, _ = cli("eval", "runs/r/checkpoints/last.npz", "--round", 1, "--json")
    assert json.loads(out)["loss"] == each[1]
    status, _, err = cli("eval", "runs/r", "--round", 3)
    assert status == 2
    assert "there is no round 3. The rounds are 0 to 2." in err
    status, out, _ = cli("eval", "runs/r")
    assert status == 0
    assert "deviation" in out

    with np.load(tmp_path / "runs" / "r" / "checkpoints" / "last.npz") as arrays:
        assert arrays["parameters/linear1.weight"].shape == (3, 2, 25)
    assert len(tinynet.load_checkpoint(tmp_path / "runs" / "r" / "checkpoints" / "best.npz").rounds) == 3
    assert cli("train", "--resume", "runs/r", "--set", "training.epochs=3", "--quiet")[0] == 0
    rows = list(csv.DictReader((tmp_path / "runs" / "r" / "metrics.csv").read_text().splitlines()))
    assert [(row["round"], row["epoch"]) for row in rows] == [(str(r), str(e)) for r in range(3) for e in range(4)]


def test_a_single_round_is_not_stacked():
    assert not experiment().training.stacked
