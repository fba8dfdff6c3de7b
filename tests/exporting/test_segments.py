"""Segments: equal to a plain loop, on random and edge maps."""

import numpy as np
import pytest

from mhpdata.exporting.segments import segments


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (20, 30), (64, 64)])
def test_segments_are_those_of_a_plain_loop(size):
    rng = np.random.default_rng(0)
    for high in (1, 2, 5, 70000):
        keys = rng.integers(0, high, size)
        found = segments(keys)
        assert [one.key for one in found] == np.unique(keys).tolist()
        for key, area, (x, y, width, height) in found:
            rows, columns = np.nonzero(keys == key)
            assert area == len(rows)
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
