"""Optimizers against steps worked by hand, and what they own."""

import numpy as np
import pytest
from gradients import from_example

from tinynet.common import components
from tinynet.common.errors import OptionError, ShapeError
from tinynet.nn.layers.linear import Linear
from tinynet.nn.net import Net
from tinynet.nn.optimizers import SGD, Adam, AdamW, Optimizer

every_optimizer = pytest.mark.parametrize("cls", components.classes("optimizer").values())


def steps(optimizer, start, gradients):
    """The parameter after each step."""
    tensor, found = np.array([start], float), []
    for gradient in gradients:
        optimizer.step(tensor, np.array([gradient], float))
        found.append(tensor[0])
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.9, 0.7]),
        ({"momentum": 0.5}, [0.9, 0.65]),
        ({"momentum": 0.5, "nesterov": True}, [0.85, 0.525]),
        ({"weight_decay": 0.5}, [0.85, 0.6075]),
        ({"momentum": 0.5, "weight_decay": 0.5}, [0.85, 0.5325]),
    ],
)
def test_sgd_by_hand(options, expected):
    assert steps(SGD(lr=0.1, **options), 1, [1, 2]) == pytest.approx(expected, rel=1e-14)


def test_adam_by_hand():
    # With g = 3, then 4: m = 1.5, 2.75; m̂ = 3, 11/3; v = 2.25, 5.6875; v̂ = 9, 13.
    optimizer = Adam(lr=0.1, betas=(0.5, 0.75), eps=1.0)
    first = 2 - 0.1 * 3 / (3 + 1)
    second = first - 0.1 * (11 / 3) / (np.sqrt(13) + 1)
    assert steps(optimizer, 2, [3, 4]) == pytest.approx([first, second], rel=1e-14)


def test_first_step_of_adam_is_the_learning_rate_for_every_gradient():
    tensor = np.zeros(3)
    Adam(lr=0.1).step(tensor, np.array([1e-3, -5, 1e4]))
    np.testing.assert_allclose(tensor, [-0.1, 0.1, -0.1], rtol=1e-4)


def test_weight_decay_of_adam_and_adamw_without_gradient():
    # In Adam the decay is a gradient like any other, of which the first step keeps the sign alone.
    assert steps(Adam(lr=0.1, weight_decay=0.5), 2, [0]) == pytest.approx([1.9], rel=1e-6)
    assert steps(AdamW(lr=0.1, weight_decay=0.5), 2, [0, 0]) == pytest.approx([1.9, 1.805], rel=1e-14)


def test_adamw_without_decay_is_adam():
    gradients = [3, -4, 0.5]
    assert steps(AdamW(weight_decay=0.0), 1, gradients) == steps(Adam(), 1, gradients)


VARIANTS = [
    SGD,
    lambda: SGD(momentum=0.9, weight_decay=0.1),
    lambda: SGD(momentum=0.9, nesterov=True),
    lambda: Adam(weight_decay=0.1),
]


@pytest.mark.parametrize("make", [*components.classes("optimizer").values(), *VARIANTS])
def test_tensor_is_updated_in_place_and_the_gradient_left(make):
    tensor, gradient = np.ones(4), np.arange(4.0)
    optimizer = make()
    for count in (1, 2):
        optimizer.step(tensor, gradient)
        assert optimizer.steps == count
    assert (tensor != 1).any()
    np.testing.assert_array_equal(gradient, np.arange(4.0))


@every_optimizer
def test_smaller_loss_after_some_steps(cls):
    optimizer, tensor = cls(lr=0.05), np.array([1.0, -2])
    for _ in range(200):
        optimizer.step(tensor, 2 * tensor)
    assert np.abs(tensor).max() < 0.05


@every_optimizer
def test_learning_rate_is_what_a_step_uses(cls):
    scheduled, other = cls(lr=0.1), cls(lr=0.025)
    assert scheduled.learning_rate == 0.1
    scheduled.factor = 0.25
    assert scheduled.learning_rate == 0.025
    assert steps(scheduled, 1, [1, 2, 3]) == steps(other, 1, [1, 2, 3])
    assert scheduled.lr == 0.1


@every_optimizer
def test_float32_stays_float32(cls):
    optimizer, tensor = from_example(cls), np.ones(3, "float32")
    optimizer.step(tensor, np.ones(3, "float32"))
    assert tensor.dtype == "float32"
    assert all(remembered.dtype == "float32" for remembered in optimizer.state.values())


@pytest.mark.parametrize(
    ("optimizer", "names"), [(SGD(), set()), (SGD(momentum=0.9), {"velocity"}), (Adam(), {"mean", "square"})]
)
def test_state_holds_what_is_remembered(optimizer, names):
    steps(optimizer, 1, [1])
    assert set(optimizer.state) == names


@pytest.mark.parametrize("make", [lambda: SGD(momentum=0.9), Adam, AdamW])
def test_velocity_does_not_outlive_its_optimizer(make):
    first = steps(make(), 1, [1, 2])
    assert steps(make(), 1, [1, 2]) == first


@pytest.mark.parametrize("make", [lambda: SGD(momentum=0.9), Adam, AdamW])
def test_state_and_steps_are_all_there_is_to_resume(make):
    whole = steps(make(), 1, [1, 2, 3])
    before, after = make(), make()
    middle = steps(before, 1, [1, 2])[-1]
    after.steps, after.state = before.steps, {name: values.copy() for name, values in before.state.items()}
    assert steps(after, middle, [3]) == whole[2:]


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), Adam(), AdamW()])
def test_what_is_remembered_has_one_length(optimizer):
    optimizer.step(np.ones(3), np.ones(3))
    with pytest.raises(ShapeError, match=r"the optimizer remembers \(3,\), but is given \(4,\)"):
        optimizer.step(np.ones(4), np.ones(4))


@every_optimizer
def test_an_optimizer_belongs_to_one_net(cls):
    # Of the same size, so that only the net tells them apart.
    one, other, optimizer = Net([Linear(2)], (2,)), Net([Linear(2)], (2,)), cls()
    one.update(optimizer)
    one.update(optimizer)
    before = other.vector.tensor.copy()
    with pytest.raises(OptionError) as caught:
        other.update(optimizer)
    assert str(caught.value) == "this optimizer has been used for another net. Make a new one for each net."
    np.testing.assert_array_equal(other.vector.tensor, before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(lr=0), "SGD: lr must be a number > 0, not 0"),
        (lambda: SGD(lr=-0.1), "SGD: lr must be a number > 0, not -0.1"),
        (lambda: SGD(lr="1e-3"), "SGD: lr must be a number > 0, not '1e-3'"),
        (lambda: SGD(lr=float("inf")), "SGD: lr must be a number > 0, not inf"),
        (lambda: SGD(momentum=1), "SGD: momentum must be a number >= 0 and < 1, not 1"),
        (lambda: SGD(weight_decay=-1), "SGD: weight_decay must be a number >= 0, not -1"),
        (lambda: SGD(nesterov=1), "SGD: nesterov must be true or false, not 1"),
        (
            lambda: SGD(nesterov=True),
            "SGD: nesterov needs a momentum, as in {lr: 0.1, momentum: 0.9, nesterov: true}",
        ),
        (
            lambda: Adam(betas=(0.9, 1.0)),
            "Adam: betas must be [a number >= 0 and < 1, a number >= 0 and < 1], not (0.9, 1.0)",
        ),
        (
            lambda: Adam(betas=0.9),
            "Adam: betas must be [a number >= 0 and < 1, a number >= 0 and < 1], not 0.9",
        ),
        (lambda: Adam(eps=0), "Adam: eps must be a number > 0, not 0"),
        (lambda: AdamW(weight_decay=True), "AdamW: weight_decay must be a number >= 0, not true"),
    ],
)
def test_refused_options(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == message


def test_an_own_optimizer_remembers_nothing_unless_it_says_so():
    class Signs(Optimizer, abstract=True):
        def step(self, tensor, gradient):
            self.steps += 1
            tensor -= self.learning_rate * np.sign(gradient)

    optimizer = Signs(lr=0.1)
    assert steps(optimizer, 1, [5, -5]) == pytest.approx([0.9, 1.0])
    assert (optimizer.state_names, optimizer.state) == ((), {})


def test_defaults():
    assert repr(SGD()) == "SGD(lr=0.001, momentum=0.0, nesterov=False, weight_decay=0.0)"
    assert repr(Adam()) == "Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)"
    assert repr(AdamW()) == "AdamW(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01)"


def test_a_pair_may_be_a_list():
    assert steps(Adam(betas=[0.5, 0.75]), 1, [1, 2]) == steps(Adam(betas=(0.5, 0.75)), 1, [1, 2])
