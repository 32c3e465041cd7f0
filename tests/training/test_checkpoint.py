"""Checkpoints: the names in the file, the way there and back, and files that are broken, foreign or hostile."""

import json
import os
import pickle
import re
import zipfile

import numpy as np
import pytest

import tinynet
from tinynet.common.components import shown
from tinynet.common.errors import CheckpointError, ShapeError, UsageError
from tinynet.training import checkpoint as checkpoints
from tinynet.training.record import COLUMNS

OPTIMIZERS = {
    "SGD: 0.1": set(),
    "SGD: {lr: 0.1, momentum: 0.9, weight_decay: 0.01}": {"optimizer/velocity"},
    "SGD: {lr: 0.1, momentum: 0.9, nesterov: true}": {"optimizer/velocity"},
    "Adam: 0.01": {"optimizer/mean", "optimizer/square"},
    "AdamW: 0.01": {"optimizer/mean", "optimizer/square"},
}
PARAMETERS = {
    "parameters/linear1.weight": (2, 5),
    "parameters/linear1.bias": (1, 5),
    "parameters/linear2.weight": (5, 2),
    "parameters/linear2.bias": (1, 2),
}


@pytest.fixture
def last(train_run):
    """The path of last.npz of a short training with a best epoch."""
    return train_run({}, "training.evaluate_train=true")[0].last_path


def arrays_of(path):
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_names_in_the_file_to_the_letter(train_run, optimizer):
    run, experiment = train_run({"SGD: {lr: 0.1}": optimizer})
    found = arrays_of(run.last_path)
    assert set(found) == {*PARAMETERS, *OPTIMIZERS[optimizer], "metadata"}
    for parameter in experiment.net.parameters:
        np.testing.assert_array_equal(found[f"parameters/{parameter.name}"], parameter.tensor)
    # Without rounds there is no leading axis.
    assert {name: found[name].shape for name in PARAMETERS} == PARAMETERS
    for name in OPTIMIZERS[optimizer]:
        assert found[name].shape == (27,)
        assert np.any(found[name])


def test_the_metadata_is_a_json_text(last):
    text = arrays_of(last)["metadata"]
    assert (text.ndim, text.dtype.kind) == (0, "U")
    metadata = json.loads(str(text))
    assert set(metadata) == {
        "format", "tinynet", "config", "epoch", "rounds", "description", "data_sha256", "progress", "optimizer_steps",
        "step", "sha256",
    }  # fmt: skip
    assert (metadata["format"], metadata["epoch"], metadata["rounds"]) == (2, 2, 1)
    assert metadata["config"]["optimizer"] == {
        "SGD": {"lr": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    }
    # The records are rows under COLUMNS, without the names.
    assert [dict(zip(COLUMNS, row, strict=True))["epoch"] for row in metadata["progress"]["records"]] == [0, 1, 2]
    assert re.fullmatch("[0-9a-f]{64}", metadata["data_sha256"])
    # Two epochs of three batches.
    assert (metadata["step"], metadata["optimizer_steps"]) == (6, 6)
    assert metadata["tinynet"] == tinynet.__version__


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_there_and_back(train_run, optimizer, dtype):
    run, experiment = train_run(
        {"SGD: {lr: 0.1}": optimizer, "test: 20": "test: 20, validation: 0.2, standardize: true"}, f"dtype={dtype}"
    )
    again = tinynet.load_checkpoint(run.last_path)
    assert again.net.vector.all_tensors.dtype == dtype
    assert again.net.vector.all_tensors.tobytes() == experiment.net.vector.all_tensors.tobytes()
    assert set(again.optimizer.state) == set(experiment.optimizer.state)
    for name, vector in experiment.optimizer.state.items():
        assert again.optimizer.state[name].tobytes() == vector.tobytes()
        assert again.optimizer.state[name].dtype == vector.dtype
    assert again.optimizer.steps == experiment.optimizer.steps == again.net.clock.step
    assert again.rounds[0].progress == experiment.rounds[0].progress
    assert again.rounds[0].best_parameters.tobytes() == experiment.rounds[0].best_parameters.tobytes()
    assert again.rounds[0].finished
    assert again.config.to_json() == experiment.config.to_json()
    x = np.random.default_rng(0).random((9, 2))
    np.testing.assert_array_equal(again.predict(x), experiment.predict(x))
    np.testing.assert_array_equal(again.outputs(x), experiment.outputs(x))
    assert again.evaluate().loss == experiment.evaluate().loss


def test_best_holds_the_parameters_of_the_best_epoch(train_run):
    run, experiment = train_run(
        {}, "training.evaluate_train=true", "optimizer.SGD.lr=1.5", "training.epochs=8", "seed=2"
    )
    best, progress = tinynet.load_checkpoint(run.best_path), experiment.rounds[0].progress
    assert 0 < progress.best_epoch < 8
    np.testing.assert_array_equal(best.net.vector.all_tensors, experiment.rounds[0].best_parameters)
    assert checkpoints.read(run.best_path).epoch == progress.best_epoch
    record = progress.records[progress.best_epoch]
    assert best.evaluate().loss == pytest.approx(record.test_loss, rel=1e-12)
    assert best.evaluate("train").loss == pytest.approx(record.train_loss, rel=1e-12)


def test_best_is_to_evaluate_not_to_train_on(train_run):
    run, _ = train_run({}, "training.evaluate_train=true")
    with pytest.raises(UsageError, match=r"To train on, load last\.npz"):
        tinynet.load_checkpoint(run.best_path).train()


def test_what_was_captured_stays_while_the_training_goes_on(train_run):
    _, experiment = train_run({"SGD: {lr: 0.1}": "Adam"}, "training.evaluate_train=true")
    one = experiment.rounds[0]
    found = checkpoints.capture(one)
    arrays = {key: values.copy() for key, values in found.arrays.items()}
    records = list(one.progress.records)
    one.progress.records.append(records[-1])
    for state in (one.net.vector.tensor, *one.optimizer.state.values()):
        state += 1
    assert found.metadata["progress"].records == records
    assert {key.split("/")[0] for key in arrays} == {"parameters", "best", "optimizer"}
    for key, values in arrays.items():
        np.testing.assert_array_equal(found.arrays[key], values)


def test_rounds_are_joined_and_taken_apart_again(last):
    one, config = checkpoints.read(last), tinynet.load_checkpoint(last).config
    other = checkpoints.Checkpoint(
        {key: values + 1 for key, values in one.arrays.items() if not key.startswith("best/")},
        {**one.metadata, "epoch": 1, "progress": {**one.metadata["progress"], "best_epoch": None}, "step": 3},
    )
    evaluated = checkpoints.Checkpoint(other.arrays, {**other.metadata, "epoch": 0, "progress": None})
    parts = [one, other, evaluated]
    whole = checkpoints.joined(parts, config)
    assert (whole.epoch, whole.epochs, whole.metadata["rounds"]) == (2, [2, 1, 0], 3)
    assert whole.metadata["config"] is config
    assert not whole.arrays["best/linear1.bias"][1:].any()
    for number, part in enumerate(parts):
        again = checkpoints.of_round(whole, number)
        assert again.metadata == {**part.metadata, "config": config}
        assert again.epochs == [part.epoch]
        assert set(again.arrays) == set(part.arrays)
        for key, values in part.arrays.items():
            np.testing.assert_array_equal(again.arrays[key], values)


def test_saving_never_pickles(tmp_path):
    found = checkpoints.Checkpoint({"optimizer/own": np.array([None])}, {"format": 2})
    with pytest.raises(ValueError, match="allow_pickle"):
        found.save(tmp_path / "c.npz")


def test_without_a_measured_loss_there_is_no_best(train_run):
    assert not train_run()[0].best_path.exists()


def test_prediction_needs_no_data_file(train_run, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(50, 9, (30, 3)), rng.normal(size=30)
    np.savez(tmp_path / "n.npz", x_train=x, y_train=y, x_test=x[:5], y_test=y[:5])
    run, experiment = train_run(
        {
            "Disk: {train: 40, test: 20}": "NPZ: {path: n.npz, standardize: true, standardize_targets: true}",
            "- Linear: 2": "- Linear: 1",
            "loss: CrossEntropy": "loss: MSE",
        }
    )
    expected = experiment.predict(x)
    (tmp_path / "n.npz").unlink()
    again = tinynet.load_checkpoint(run.last_path)
    np.testing.assert_array_equal(again.predict(x), expected)
    # Standardised inputs and targets travel along: the answer is in the target's own unit.
    description = experiment.description
    by_hand = again.net((x - description.input_scaling.mean) / description.input_scaling.deviation)
    by_hand = by_hand * description.target_scaling.deviation + description.target_scaling.mean
    np.testing.assert_allclose(expected, by_hand, rtol=1e-5)
    with pytest.raises(tinynet.DataError, match="no such file"):
        again.evaluate()


@pytest.mark.parametrize("shape", [(3,), (4, 3), (4, 2, 1), ()])
def test_predict_refuses_inputs_of_another_shape(last, shape):
    with pytest.raises(ShapeError) as caught:
        tinynet.load_checkpoint(last).predict(np.zeros(shape))
    assert str(caught.value) == f"the input has shape {shape}, but must be (batch, 2)"


def test_predict_takes_no_rows(last):
    assert tinynet.load_checkpoint(last).predict(np.zeros((0, 2))).shape == (0,)


# Files that are not what they should be


def refused(path):
    """What is said of a file that cannot be loaded."""
    with pytest.raises(CheckpointError) as caught:
        tinynet.load_checkpoint(path)
    message = str(caught.value)
    assert str(path) in message
    return message


@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.3, 0.5, 0.9, 0.99, 0.999])
def test_a_truncated_file(last, share):
    content = last.read_bytes()
    last.write_bytes(content[: int(share * len(content))])
    refused(last)


def test_a_flipped_byte_anywhere_is_found_or_harmless(last):
    # The archive has checksums over its arrays: no damage may load as other parameters.
    content, sound = last.read_bytes(), tinynet.load_checkpoint(last).net.vector.all_tensors.tobytes()
    for position in range(0, len(content), 97):
        last.write_bytes(content[:position] + bytes([content[position] ^ 0x5A]) + content[position + 1 :])
        try:
            loaded = tinynet.load_checkpoint(last)
        except CheckpointError:
            continue
        assert loaded.net.vector.all_tensors.tobytes() == sound, position


@pytest.mark.parametrize("content", [b"", b"PK", b"hello, world", b"\x93NUMPY\x01\x00", b"\x80\x04."])
def test_what_is_no_npz_file(tmp_path, content):
    (tmp_path / "c.npz").write_bytes(content)
    refused(tmp_path / "c.npz")


def test_a_packed_file(last):
    np.savez_compressed(last, **arrays_of(last))
    assert "compressed" in refused(last)


def test_the_checkpoint_of_a_run_is_its_best_or_else_its_last(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    assert checkpoints.of_run(tmp_path) is None
    for name in ("last.npz", "best.npz"):
        (tmp_path / "checkpoints" / name).touch()
        assert checkpoints.of_run(tmp_path) == tmp_path / "checkpoints" / name


def test_a_missing_file_and_a_folder(tmp_path):
    assert "no such file" in refused(tmp_path / "gone.npz")
    assert "folder" in refused(tmp_path)


@pytest.mark.parametrize("arrays", [{}, {"x": np.zeros(3)}, {"metadata": np.zeros(3)}, {"metadata": np.array(["a"])}])
def test_an_npz_file_that_is_no_checkpoint(tmp_path, arrays):
    np.savez(tmp_path / "c.npz", **arrays)
    assert "no tinynet checkpoint" in refused(tmp_path / "c.npz")


@pytest.mark.parametrize("text", ["", "{", "5", "[]", "null", "{}", '"format"'])
def test_metadata_that_is_no_json_object(last, rewrite_npz, text):
    rewrite_npz(last, lambda arrays: arrays.update(metadata=np.array(text)))
    assert "metadata" in refused(last)


@pytest.mark.parametrize("version", [0, 1, 3, "2", None])
def test_another_format_version(last, change_metadata, version):
    change_metadata(last, lambda metadata: metadata.update(format=version))
    message = refused(last)
    assert f"has format {shown(version)}, but this tinynet ({tinynet.__version__}) reads format 2" in message


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_missing_parameter(last, rewrite_npz, name):
    rewrite_npz(last, lambda arrays: arrays.pop(name))
    assert f"lacks {name}" in refused(last)


def test_a_missing_best_parameter(last, rewrite_npz):
    rewrite_npz(last, lambda arrays: arrays.pop("best/linear1.bias"))
    assert "lacks best/linear1.bias" in refused(last)


def test_an_optimizer_vector_gets_the_type_of_the_net(train_run, rewrite_npz):
    run, _ = train_run({"SGD: {lr: 0.1}": "Adam"}, "dtype=float32")
    rewrite_npz(run.last_path, lambda arrays: arrays.update({"optimizer/mean": arrays["optimizer/mean"].astype("f8")}))
    assert tinynet.load_checkpoint(run.last_path).optimizer.state["mean"].dtype == np.float32


def test_an_optimizer_has_state_from_its_first_step_on(train_run, rewrite_npz, change_metadata):
    run, _ = train_run({"SGD: {lr: 0.1}": "Adam"})
    rewrite_npz(run.last_path, lambda arrays: arrays.update({"optimizer/own": np.ones(3)}))
    change_metadata(run.last_path, lambda metadata: metadata.update(optimizer_steps=1, step=1))
    assert set(tinynet.load_checkpoint(run.last_path).optimizer.state) == {"mean", "square", "own"}
    change_metadata(run.last_path, lambda metadata: metadata.update(optimizer_steps=0, step=0))
    # Rounds that have not begun have zeros where others have state.
    assert tinynet.load_checkpoint(run.last_path).optimizer.state == {}
    change_metadata(run.last_path, lambda metadata: metadata.update(optimizer_steps=1, step=1))
    rewrite_npz(run.last_path, lambda arrays: arrays.pop("optimizer/mean"))
    assert "lacks optimizer/mean" in refused(run.last_path)
    change_metadata(run.last_path, lambda metadata: metadata.update(optimizer_steps=0, step=0))
    assert tinynet.load_checkpoint(run.last_path).optimizer.state == {}


def edited(path, edit):
    """Changes the arrays of a file and leaves its metadata as it was."""
    arrays = arrays_of(path)
    edit(arrays)
    np.savez(path, **arrays)


def test_the_order_in_the_file_does_not_matter(last):
    edited(last, lambda arrays: [arrays.update({key: arrays.pop(key)}) for key in sorted(arrays, reverse=True)])
    assert tinynet.load_checkpoint(last).training.finished


@pytest.mark.parametrize(
    "edit",
    [
        lambda arrays: arrays["parameters/linear1.bias"].__setitem__((0, 0), 0.5),
        lambda arrays: arrays.update({"parameters/linear2.weights": arrays.pop("parameters/linear2.weight")}),
        lambda arrays: arrays.update({"parameters/linear1.bias": arrays["parameters/linear1.bias"].T}),
        lambda arrays: arrays.update(
            {"parameters/linear1.bias": arrays["parameters/linear1.bias"].view(np.dtype("i4"))}
        ),
    ],
    ids=["number", "name", "shape", "type"],
)
def test_the_checksum_is_over_all_of_an_array(last, edit):
    edited(last, edit)
    message = refused(last)
    assert "its checksum is not that of what it holds. Take a copy of it, or train anew." in message


@pytest.mark.parametrize(("epoch", "read"), [(2.0, 2), ("1", 1)])
def test_the_epoch_is_an_integer(last, change_metadata, epoch, read):
    change_metadata(last, lambda metadata: metadata.update(epoch=epoch))
    found = checkpoints.read(last).epoch
    assert (found, type(found)) == (read, int)


def test_an_epoch_that_is_no_number(last, change_metadata):
    change_metadata(last, lambda metadata: metadata.update(epoch="two"))
    assert "the checkpoint's metadata is broken" in refused(last)


def test_a_parameter_too_many(last, rewrite_npz):
    rewrite_npz(last, lambda arrays: arrays.update({"parameters/linear9.weight": np.zeros(2)}))
    assert "parameters/linear9.weight" in refused(last)


@pytest.mark.parametrize(
    "values",
    # (1, 1) and () could be broadcast, (5, 2) holds as many numbers.
    [np.zeros((2, 6)), np.zeros((5, 2)), np.zeros((1, 1)), np.zeros(()), np.zeros((0, 5)), np.zeros((2, 5), int)],
    ids=lambda values: f"{values.dtype}{values.shape}",
)
def test_a_parameter_of_another_shape_or_type(last, rewrite_npz, values):
    rewrite_npz(last, lambda arrays: arrays.update({"parameters/linear1.weight": values}))
    assert "parameters/linear1.weight has shape" in refused(last)


def test_an_optimizer_vector_of_another_length(train_run, rewrite_npz):
    run, _ = train_run({"SGD: {lr: 0.1}": "Adam"})
    rewrite_npz(run.last_path, lambda arrays: arrays.update({"optimizer/mean": np.zeros(26)}))
    assert "optimizer/mean has shape (26,)" in refused(run.last_path)


def test_a_missing_optimizer_vector(train_run, rewrite_npz):
    run, _ = train_run({"SGD: {lr: 0.1}": "Adam"})
    rewrite_npz(run.last_path, lambda arrays: arrays.pop("optimizer/square"))
    # It would go on with zeros, as another training.
    assert "optimizer/square" in refused(run.last_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", [..., (1, 3)])
def test_a_parameter_that_is_not_finite(last, rewrite_npz, bad, where):
    rewrite_npz(last, lambda arrays: arrays["parameters/linear1.weight"].__setitem__(where, bad))
    assert "parameters/linear1.weight holds NaN or infinity" in refused(last)


@pytest.mark.parametrize("name", ["parameters/linear1.weight", "metadata", "extra"])
def test_pickled_objects_never_run(last, rewrite_npz, trap, name):
    rewrite_npz(last, lambda arrays: arrays.update({name: trap((2, 5))}), allow_pickle=True)
    assert "Python objects" in refused(last)


def test_a_pickle_never_runs(tmp_path, trap):
    pickled = pickle.dumps(trap((1,))[0])
    (tmp_path / "c.npz").write_bytes(pickled)
    refused(tmp_path / "c.npz")
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("metadata.npy", pickled)
    refused(tmp_path / "d.npz")


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m.pop("config"),
        lambda m: m.pop("description"),
        lambda m: m.pop("progress"),
        lambda m: m.update(config=5),
        lambda m: m["config"].pop("layers"),
        lambda m: m["config"].update(loss="Nonsense"),
        lambda m: m["config"]["layers"].pop(),
        lambda m: m["config"]["layers"][0]["Linear"].update(out_features=6),
        lambda m: m["config"]["layers"][0]["Linear"].update(out_features="many"),
        lambda m: m["config"].update(optimizer={"SGD": {"lr": -1}}),
        lambda m: m["description"].pop("input_shape"),
        lambda m: m["description"].update(input_shape=[3]),
        lambda m: m["description"].update(input_shape="two"),
        lambda m: m["description"].update(input_scaling={"mean": "a", "deviation": [1, 1]}),
        lambda m: m["progress"].update(epoch="two"),
        lambda m: m["progress"].update(records=[{"epoch": 1}]),
        lambda m: m["progress"]["records"][1].append(1),
        lambda m: m["progress"]["records"][1].pop(),
        lambda m: m["progress"]["records"][1].__setitem__(1, "two"),
        lambda m: m.pop("data_sha256"),
        lambda m: m.pop("step"),
        lambda m: m.update(step="many"),
        lambda m: m["progress"].pop("records"),
        lambda m: m["progress"].update(unknown=1),
        lambda m: m.update(optimizer_steps="many"),
        lambda m: m.update(progress=[]),
    ],
    ids=range(26),
)
def test_metadata_that_is_not_what_it_should_be(last, change_metadata, edit):
    change_metadata(last, edit)
    refused(last)


def test_a_config_of_a_later_version_names_its_option(last, change_metadata):
    change_metadata(last, lambda metadata: metadata["config"]["optimizer"]["SGD"].update(newest=1))
    assert "optimizer.SGD.newest: no such option" in refused(last)


def test_writing_leaves_the_old_file_if_it_fails(last, monkeypatch):
    before = last.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.read(last).save(last)
    assert last.read_bytes() == before
    assert [path.name for path in last.parent.iterdir() if "part" in path.name] == []
