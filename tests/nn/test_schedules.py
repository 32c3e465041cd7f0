"""Schedules: their factors epoch by epoch."""

import pytest

from tinynet.common import components
from tinynet.common.errors import OptionError
from tinynet.nn.schedules import CosineLR, LinearWarmup, StepLR, learning_rate_factor


def factors(schedule, epochs, shown=None):
    return [schedule.factor(epoch, epochs) for epoch in range(shown or epochs)]


def test_step():
    assert factors(StepLR(2, gamma=0.5), 7) == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert StepLR(3).factor(3, 10) == 0.1


def test_cosine_over_the_whole_training():
    assert factors(CosineLR(), 4, shown=5) == pytest.approx([1, 0.8535533906, 0.5, 0.1464466094, 0], abs=1e-10)


def test_cosine_stays_at_zero_after_its_end():
    assert factors(CosineLR(2), 5) == pytest.approx([1, 0.5, 0, 0, 0], abs=1e-15)


def test_warmup_ends_at_one_and_stays_there():
    assert factors(LinearWarmup(4), 6) == [0.25, 0.5, 0.75, 1, 1, 1]


@pytest.mark.parametrize("cls", components.classes("schedule").values())
def test_never_negative_nor_above_one(cls):
    first = components.first_option(cls)
    for length in (1, 3, 10):
        found = factors(cls(**{first.name: length}), 10, shown=15)
        assert all(0 <= factor <= 1 for factor in found)


def test_factors_multiply():
    schedules = [LinearWarmup(2), StepLR(1, gamma=0.5)]
    assert [learning_rate_factor(schedules, epoch, 10) for epoch in range(3)] == [0.5, 0.5, 0.25]
    assert learning_rate_factor([], 3, 10) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepLR(0), "StepLR: step_size must be a whole number > 0, not 0"),
        (lambda: StepLR(2, gamma=0), "StepLR: gamma must be a number > 0, not 0"),
        (lambda: CosineLR(2.5), "CosineLR: T_max must be a whole number > 0 or null, not 2.5"),
        (lambda: LinearWarmup(-1), "LinearWarmup: epochs must be a whole number > 0, not -1"),
    ],
)
def test_refused_options(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == message
