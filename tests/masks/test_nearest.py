"""The nearest person, compared with the slow twin's distances. test_merge tests the whole rule, including ties."""

from __future__ import annotations

import naive
import numpy as np
import pytest

from mhpdata.masks.mask_runs import mask_runs
from mhpdata.masks.nearest import give_to_nearest


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (5, 7), (12, 30)])
def test_a_contested_pixel_goes_to_the_person_at_the_shortest_distance(shape):
    rng = np.random.default_rng(shape)
    masks = [np.where(rng.random(shape) < 0.4, k, 0).astype(np.uint8) for k in (3, 5, 7)]
    claims = np.sum([mask != 0 for mask in masks], axis=0)
    masks[2][claims > 2] = 0
    state = (np.sum([mask != 0 for mask in masks], axis=0) > 1).astype(np.uint8)
    labels, persons, _, _ = naive.merge(masks, "first")
    before = labels.copy(), persons.copy()
    give_to_nearest(lambda person: mask_runs(masks[person - 1]), [1, 2, 3], labels, persons, state)
    sole = [np.argwhere((mask != 0) & (state == 0)).tolist() for mask in masks]
    for y, x in np.ndindex(shape):
        if state[y, x]:
            nearest = min((naive.distance((y, x), sole[k]), k) for k in range(3) if masks[k][y, x])[1]
            assert (labels[y, x], persons[y, x]) == (masks[nearest][y, x], nearest + 1)
        else:
            assert (labels[y, x], persons[y, x]) == (before[0][y, x], before[1][y, x])
    assert state.any()
