"""Where a split is cut into shards: by the lengths of its records in order, and by nothing else.

A shard is closed before the record that would take the bytes of its records above the limit; it has at least one. What
a container adds to a record does not count, so RecordIO and HDF5 are cut alike, and whoever knows the lengths knows the
cuts: entries can be converted anywhere, in any order, and the shards then be written side by side.
"""

from __future__ import annotations

from collections.abc import Iterable


def is_full(held: int, length: int, limit: int) -> bool:
    """Whether a shard is closed before a record.

    Args:
        held: bytes of the records that it holds; 0 of a new one.
        length: bytes of the record.
        limit: bytes of records that a shard may hold.
    """
    return held > 0 and held + length > limit


def cut_shards(lengths: Iterable[int], limit: int) -> list[int]:
    """Return where each shard ends, as a number of records of the split.

    Args:
        lengths: bytes of each record, in order; each at least 1.
        limit: bytes of records that a shard may hold.
    """
    stops: list[int] = []
    held = count = 0
    for length in lengths:
        if is_full(held, length, limit):
            stops.append(count)
            held = 0
        held, count = held + length, count + 1
    return [*stops, count] if count else []
