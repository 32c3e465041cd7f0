"""The experiment as an object: copied, pickled, shown, loaded from a run's folder."""

import copy
import pickle

import numpy as np
import pytest

import tinynet

COPIES = pytest.mark.parametrize("copied", [copy.deepcopy, lambda found: pickle.loads(pickle.dumps(found))])


def ends(experiment):
    """All that the rest of a training leaves."""
    list(experiment.train())
    return [
        (
            one.net.vector.all_tensors.tobytes(),
            one.optimizer.steps,
            [values.tobytes() for values in one.optimizer.state.values()],
            [{**vars(record), "seconds": 0} for record in one.progress.records],
            None if one.best_parameters is None else one.best_parameters.tobytes(),
        )
        for one in experiment.rounds
    ]


@COPIES
@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("after", [0, 1, 5, 9])
def test_a_copy_goes_on_as_the_experiment_itself(make, copied, rounds, after):
    experiment = make(
        {"- ReLU": "- ReLU\n  - Dropout: 0.3", "SGD: {lr: 0.1}": "Adam: 0.01"},
        f"training.rounds={rounds}",
        "training.epochs=4",
        "training.evaluate_train=true",
    )
    steps = experiment.training.steps()
    for _ in range(after):
        next(steps)
    twin = copied(experiment)
    assert twin.rounds[0].net is not experiment.rounds[0].net
    assert not np.shares_memory(twin.net.vector.all_tensors, experiment.net.vector.all_tensors)
    steps.close()
    assert ends(twin) == ends(experiment)


@COPIES
def test_a_copied_net_s_parameters_are_views_of_its_own_vector(make, copied):
    experiment = make({}, "training.rounds=2")
    next(experiment.training.steps())
    twin = copied(experiment)
    for one in twin.rounds:
        one.net.vector.all_tensors.fill(7)
        assert all((parameter.tensor == 7).all() for parameter in one.net.parameters)
        assert one.optimizer.clock in (None, one.net.clock)


def test_an_experiment_shows_itself_in_three_lines(make):
    experiment = make({}, "training.rounds=2", "training.epochs=3")
    list(experiment.train())
    assert repr(experiment) == (
        "Experiment 'small': Disk, 2 rounds\n"
        "  net: (2,) → (2,), 3 layers, 27 parameters, float32\n"
        "  training: CrossEntropy, SGD, epoch 3 of 3"
    )


def test_a_net_shows_its_summary(small_net):
    assert repr(small_net) == small_net.summary()
    assert repr(small_net).splitlines()[2].split() == ["linear1", "Linear", "(5,)", "15"]


def test_a_run_s_folder_is_loaded_as_its_best_or_last_checkpoint(train_run):
    run, experiment = train_run({"batch_size: 16": "batch_size: 16\n  evaluate_train: true"})
    best = tinynet.load_checkpoint(run.folder)
    assert best.net.vector.all_tensors.tobytes() == experiment.rounds[0].best_parameters.tobytes()
    run.best_path.unlink()
    last = tinynet.load_checkpoint(str(run.folder))
    assert last.net.vector.all_tensors.tobytes() == experiment.net.vector.all_tensors.tobytes()
    run.last_path.unlink()
    with pytest.raises(tinynet.CheckpointError, match=r"holds no checkpoints/best\.npz or last\.npz of a run"):
        tinynet.load_checkpoint(run.folder)


def test_records_that_a_caller_leaves_come_at_the_next_call(make):
    whole, dropped = (make({}, "training.rounds=3", "training.epochs=3") for _ in range(2))
    expected = [(record.round, record.epoch, record.test_loss) for record in whole.train()]
    found = []
    while True:
        for record in dropped.train():
            found.append((record.round, record.epoch, record.test_loss))
            break
        else:
            break
    assert found == expected


def test_a_shallow_copy_trains_the_same_rounds(make):
    whole, experiment = (make({"SGD: {lr: 0.1}": "Adam: 0.01"}, "training.rounds=3", "training.epochs=5") for _ in "ab")
    steps = experiment.train()
    for _ in range(6):
        next(steps)
    other = copy.copy(experiment)
    for record in other.train():
        if record.epoch == 2 and record.round == 2:
            break
    assert ends(experiment) == ends(whole)


def test_rounds_trained_by_themselves_in_between_go_on_together(make):
    whole, experiment = (make({"SGD: {lr: 0.1}": "Adam: 0.01"}, "training.rounds=3", "training.epochs=5") for _ in "ab")
    steps = experiment.train()
    for _ in range(6):
        next(steps)
    for number in range(3):
        for record in experiment.of_round(number).train():
            assert record.epoch == 2
            break
    list(steps)
    assert ends(experiment) == ends(whole)


def test_a_round_is_shown_on_one_line(make):
    experiment = make({}, "training.rounds=2", "seed=3")
    list(experiment.train())
    assert repr(experiment.rounds) == "[Round(0, seed 3, epoch 2), Round(1, seed 4, epoch 2)]"


def test_the_best_checkpoint_knows_its_epoch(train_run):
    run, experiment = train_run({"batch_size: 16": "batch_size: 16\n  evaluate_train: true"})
    best = experiment.rounds[0].progress.best_epoch
    assert repr(tinynet.load_checkpoint(run.best_path)).endswith(f"epoch {best} of 2")
