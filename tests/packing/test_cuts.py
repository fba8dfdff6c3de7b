"""Cuts of a split depend on record lengths only, as reported by tasks that ran anywhere."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mhpdata.packing.cuts import cut_shards, is_full


def plain(lengths, limit):
    """Return the records of each shard by brute force: the longest prefix that fits, or one record."""
    shards, left = [], list(lengths)
    while left:
        count = max([n for n in range(1, len(left) + 1) if sum(left[:n]) <= limit], default=1)
        shards.append(left[:count])
        left = left[count:]
    return shards


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 30), max_size=25), st.integers(1, 60))
def test_cuts_are_those_of_the_rule(lengths, limit):
    stops = cut_shards(iter(lengths), limit)
    shards = [lengths[a:b] for a, b in zip([0, *stops], stops, strict=False)]
    assert shards == plain(lengths, limit)
    held = 0
    for i, length in enumerate(lengths):  # like a stream that writes record by record
        assert is_full(held, length, limit) == (i in stops)
        held = length if i in stops else held + length


def test_of_edges():
    assert cut_shards([], 10) == []
    assert cut_shards([10], 10) == [1]
    assert cut_shards([5, 5, 1], 10) == [2, 3]
    assert cut_shards([11, 11], 10) == [1, 2], "a record longer than a shard is alone"
