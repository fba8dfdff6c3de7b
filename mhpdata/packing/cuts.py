"""Cut a split into shards, by the lengths of its records in order only.

A shard is closed before the record that would take the bytes of its records above the limit; it has at least one
record. The container's overhead does not count, so RecordIO and HDF5 are cut alike. Since the lengths determine the
cuts, entries can be converted anywhere, in any order, and shards can be written side by side.
"""

from __future__ import annotations

from collections.abc import Iterable


def is_full(held: int, length: int, limit: int) -> bool:
    """Return whether to close a shard before a record.

    Args:
        held: Bytes of the records in the shard; 0 for a new shard.
        length: Bytes of the record.
        limit: Maximum bytes of records in a shard.
    """
    return held > 0 and held + length > limit


def cut_shards(lengths: Iterable[int], limit: int) -> list[int]:
    """Return the end of each shard, as a number of records of the split.

    Args:
        lengths: Bytes of each record, in order; each at least 1.
        limit: Maximum bytes of records in a shard.
    """
    stops: list[int] = []
    held = count = 0
    for length in lengths:
        if is_full(held, length, limit):
            stops.append(count)
            held = 0
        held, count = held + length, count + 1
    return [*stops, count] if count else []
