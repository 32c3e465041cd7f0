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
