"""Merging ranges: every byte that was asked for is fetched, once, and little else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mhpdata.remote.merging import merge


def test_close_ranges_become_one():
    assert merge([(300, 400), (0, 100), (110, 200)], gap=20, most=1000) == [(0, 200), (300, 400)]


def test_a_merged_range_has_a_maximum_length():
    assert merge([(0, 60), (60, 120), (120, 180)], gap=0, most=120) == [(0, 120), (120, 180)]


def test_a_long_range_is_kept_whole():
    assert merge([(0, 500), (500, 510)], gap=0, most=100) == [(0, 500), (500, 510)]


@pytest.mark.parametrize("ranges", [[], [(5, 9)], [(5, 9), (5, 9)], [(0, 10), (2, 5)]])
def test_few_ranges(ranges):
    assert merge(ranges) == sorted(set(ranges))[:1]


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 80)), max_size=20), st.integers(0, 40), st.integers(1, 200)
)
def test_each_range_lies_in_one_merged_range(pairs, gap, most):
    ranges = [(start, start + length) for start, length in pairs]
    merged = merge(ranges, gap, most)
    for start, end in ranges:
        assert sum(first <= start and end <= last for first, last in merged) >= 1
    wanted = {byte for start, end in ranges for byte in range(start, end)}
    fetched = [byte for start, end in merged for byte in range(start, end)]
    longest = max((end - start for start, end in ranges), default=0)
    assert all(end - start <= max(most, longest) for start, end in merged)
    assert len(set(fetched)) - len(wanted) <= gap * max(0, len(ranges) - 1)
