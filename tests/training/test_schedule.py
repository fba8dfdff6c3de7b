"""Learning rates and seeds of steps."""

import itertools

import pytest

from mhpdata.errors import OptionError
from mhpmodels.training.schedule import learning_rate, step_seed


def rates(steps, **options):
    return [learning_rate(step, steps, 0.1, **options) for step in range(steps)]


def test_poly_falls_from_the_base_and_never_reaches_zero():
    found = rates(50)
    assert found[0] == 0.1
    assert all(a > b for a, b in itertools.pairwise(found))
    assert found[25] == pytest.approx(0.1 * 0.5**0.9)
    assert found[-1] > 0


def test_cosine_falls_by_half_a_period_and_never_reaches_zero():
    found = rates(50, schedule="cosine")
    assert found[0] == 0.1 and found[25] == pytest.approx(0.05)
    assert found[12] + found[38] == pytest.approx(0.1)
    assert all(a > b for a, b in itertools.pairwise(found)) and found[-1] > 0


def test_constant_stays():
    assert set(rates(9, schedule="constant")) == {0.1}


@pytest.mark.parametrize("schedule", ["poly", "cosine", "constant"])
def test_a_warm_up_rises_in_equal_parts_to_the_base(schedule):
    found = rates(20, schedule=schedule, warmup=4)
    assert found[:5] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1])


def test_steps_beyond_the_end_take_the_last_rate():
    assert learning_rate(99, 10, 0.1) == learning_rate(9, 10, 0.1)


@pytest.mark.parametrize("warmup", [10, 11, -1])
def test_a_warm_up_longer_than_the_run_is_refused(warmup):
    with pytest.raises(OptionError, match="warmup_epochs"):
        learning_rate(0, 10, 0.1, warmup=warmup)


def test_an_unknown_schedule_is_refused():
    with pytest.raises(OptionError, match="schedule"):
        learning_rate(0, 10, 0.1, schedule="linear")


@pytest.mark.parametrize("warmup", [0, 20])
def test_rates_are_those_of_gluoncv_one_step_apart(warmup):
    def theirs(step):  # LRSequential of a linear and a poly LRScheduler: gluoncv/utils/lr_scheduler.py
        if step < warmup:
            return 0.1 * step / (warmup - 1)
        return 0.1 * (1 - (step - warmup) / (steps - warmup - 1)) ** 0.9

    steps = 200
    for step, rate in enumerate(rates(steps, warmup=warmup)):
        near = [theirs(min(max(s, 0), steps - 1)) for s in (step - 1, step, step + 1)]
        assert min(near) - 1e-12 <= rate <= max(near) + 1e-12


def test_seeds_differ_by_step_and_by_run_and_are_the_same_everywhere():
    seeds = {step_seed(seed, step) for seed in range(10) for step in range(100)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert step_seed(0, 0) == 211378549
