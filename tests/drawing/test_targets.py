"""Targets of the heads that tell persons apart are those of the slow twin."""

import naive_loader as naive
import numpy as np
import pytest

from mhpdata.drawing.targets import LEAST, draw_targets
from mhpdata.settings.output import OFFSET_UNIT


def drawn(persons):
    targets = np.full((4, *persons.shape), np.nan, np.float32)
    draw_targets(persons, targets, OFFSET_UNIT)
    return targets


def people(size, seed):
    """Blocks of persons 1 .. 5 and 255, which overwrite each other, and single pixels."""
    rng = np.random.default_rng(seed)
    persons = rng.choice([0, 9], size, p=[0.99, 0.01]).astype(np.uint8)
    for person in (1, 2, 3, 4, 5, 255):
        top, left = (int(rng.integers(0, side)) for side in size)
        persons[top : top + int(rng.integers(1, 40)), left : left + int(rng.integers(1, 30))] = person
    return persons


@pytest.mark.parametrize("size", [(1, 1), (3, 130), (64, 48), (120, 110)])
def test_targets_are_those_of_the_slow_twin(size):
    for seed in range(3):
        persons = people(size, seed)
        np.testing.assert_allclose(drawn(persons), naive.targets(persons), rtol=1e-6, atol=1e-9)


def test_a_person_of_few_pixels_has_no_target_and_nobody_has_none():
    persons = np.zeros((20, 20), np.uint8)
    assert not drawn(persons).any()
    persons.reshape(-1)[: LEAST - 1] = 3
    assert not drawn(persons).any()
    persons.reshape(-1)[LEAST - 1] = 3
    targets = drawn(persons)
    assert targets[3].sum() == LEAST and targets[0].max() > 0.99


def test_offsets_lead_to_the_centre():
    persons = np.zeros((70, 60), np.uint8)
    persons[10:31, 20:41] = 2
    targets = drawn(persons)
    y, x = np.nonzero(persons)
    np.testing.assert_allclose(y + 32 * targets[1, y, x], 20, atol=1e-4)
    np.testing.assert_allclose(x + 32 * targets[2, y, x], 30, atol=1e-4)
    assert targets[0, 20, 30] == 1 and targets[0].argmax() == 20 * 60 + 30
