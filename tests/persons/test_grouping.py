"""Grouping is that of the slow twin, and finds the persons that the targets describe."""

from __future__ import annotations

import naive_grouping as naive
import numpy as np
import pytest

from mhpdata.drawing.targets import draw_targets
from mhpdata.settings.output import OFFSET_UNIT
from mhpmodels.persons.grouping import find_centres, group


def random_maps(seed, size, labels_size):
    rng = np.random.default_rng(seed)
    maps = rng.normal(0.2, 0.3, (3, *size)).astype(np.float32)
    maps[0] = np.round(maps[0], 1)  # equal values
    maps[1:] *= 30
    labels = rng.integers(0, 4, labels_size).astype(np.uint8)
    return rng.normal(0, 2, (5, *size)).astype(np.float32), maps, labels


@pytest.mark.parametrize("sizes", [((1, 1), (1, 1)), ((7, 9), (7, 9)), ((16, 24), (37, 50)), ((20, 13), (9, 8))])
def test_persons_are_those_of_the_slow_twin(sizes):
    for seed, window in enumerate((1, 3, 9)):
        logits, maps, labels = random_maps(seed, *sizes)
        for least in (1, 20):
            found = group(logits, maps, labels, 0.2, window, least)
            persons, scores = naive.group(logits, maps, labels, 0.2, window, least)
            np.testing.assert_array_equal(found.persons, persons)
            assert found.persons.dtype == np.uint8
            np.testing.assert_allclose(found.scores, scores, rtol=1e-5)


def test_probabilities_give_the_scores_of_their_logits():
    logits, maps, labels = random_maps(3, (20, 30), (20, 30))
    exps = np.exp(logits)
    expected = group(logits, maps, labels, window=9, least=5)
    found = group(exps / exps.sum(0), maps, labels, window=9, least=5, probabilities=True)
    np.testing.assert_array_equal(found.persons, expected.persons)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


def test_at_most_255_centres_are_kept():
    heat = np.zeros((64, 64), np.float32)
    heat[::3, ::3] = np.linspace(0.3, 1, 22 * 22, dtype=np.float32).reshape(22, 22)
    centres, values = find_centres(heat, 3)
    assert centres.shape == (255, 2) and values[0] == 1 and (np.diff(values) < 0).all()


def test_true_targets_give_the_true_persons():
    truth = np.zeros((96, 128), np.uint8)
    truth[5:60, 10:40], truth[30:90, 50:80], truth[10:70, 76:110] = 1, 2, 3
    targets = np.zeros((4, 96, 128), np.float32)
    draw_targets(truth, targets, OFFSET_UNIT)
    maps = np.concatenate([targets[:1], targets[1:3] * np.float32(OFFSET_UNIT)])
    logits = np.zeros((3, 96, 128), np.float32)
    found = group(logits, maps, (truth > 0).astype(np.uint8))
    assert len(found.scores) == 3 and max(found.scores) <= 1 / 3
    for person in (1, 2, 3):
        assert len(np.unique(found.persons[truth == person])) == 1
    large = group(logits, maps, (truth > 0).astype(np.uint8).repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(large.persons, found.persons.repeat(2, 0).repeat(2, 1))


def test_without_a_centre_nobody_is_found():
    logits, maps, labels = random_maps(0, (20, 20), (20, 20))
    maps[0] = 0.2
    found = group(logits, maps, labels)
    assert not found.persons.any() and found.scores == ()
