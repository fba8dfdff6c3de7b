"""The persons of a network with queries are those of a slow twin."""

from __future__ import annotations

import numpy as np
import pytest

from mhpmodels.persons.grouping import group
from mhpmodels.persons.queries import collect, find_people, has_background


def slow(maps, labels, least):
    """Return persons and scores, one pixel at a time."""
    (height, width), (h, w) = labels.shape, maps.shape[1:]
    scores, pixels = {}, {}
    for y in range(height):
        for x in range(width):
            v, u = (2 * y + 1) * h // (2 * height), (2 * x + 1) * w // (2 * width)
            owner = int(maps[0, v, u])
            if labels[y, x] and owner:
                pixels.setdefault(owner, []).append((y, x))
                scores[owner] = float(maps[1, v, u])
    kept = sorted((owner for owner in pixels if len(pixels[owner]) >= least), key=lambda owner: (-scores[owner], owner))
    persons = np.zeros(labels.shape, np.uint8)
    for number, owner in enumerate(kept, 1):
        persons[tuple(np.transpose(pixels[owner]))] = number
    return persons, tuple(scores[owner] for owner in kept)


@pytest.mark.parametrize("sizes", [((1, 1), (1, 1)), ((7, 9), (7, 9)), ((16, 24), (37, 50)), ((20, 13), (9, 8))])
@pytest.mark.parametrize("least", [1, 9])
def test_persons_are_those_of_the_slow_twin(sizes, least):
    rng = np.random.default_rng(0)
    owners = rng.integers(0, 6, sizes[0])
    of_each = np.array([0, 0.5, 0.9, 0.5, 0.7, 0.2], np.float32)
    maps = np.stack([owners, of_each[owners]]).astype(np.float32)
    labels = rng.integers(0, 3, sizes[1]).astype(np.uint8)
    found = collect(maps, labels, least)
    persons, scores = slow(maps, labels, least)
    np.testing.assert_array_equal(found.persons, persons)
    assert found.persons.dtype == np.uint8 and found.scores == scores


def test_the_number_of_maps_says_who_finds_persons():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(3, 20, 20)).astype(np.float32), np.ones((20, 20), np.uint8)
    maps = np.zeros((3, 20, 20), np.float32)
    maps[0, 10, 10] = 1
    assert find_people(logits, maps, labels).scores == group(logits, maps, labels).scores != ()
    owned = np.stack([np.ones((20, 20)), np.full((20, 20), 0.25)]).astype(np.float32)
    found = find_people(logits, owned, labels)
    assert found.scores == (0.25,) and (found.persons == 1).all()
    assert find_people(logits, owned, np.zeros((20, 20), np.uint8)).scores == ()


def test_a_network_without_background_keeps_persons_of_class_0():
    maps = np.stack([np.ones((20, 20)), np.full((20, 20), 0.25)]).astype(np.float32)
    labels = np.zeros((20, 20), np.uint8)
    found = find_people(np.zeros((2, 20, 20), np.float32), maps, labels, background=False)
    assert found.scores == (0.25,) and (found.persons == 1).all()
    assert not has_background(("person", "bicycle"))
    assert all(has_background(names) for names in ((), ("__background__", "a"), ("Background",), ("unlabeled",)))
