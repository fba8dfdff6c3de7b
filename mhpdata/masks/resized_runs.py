"""Resize joint runs by nearest neighbour, as mhpdata.images.nearest_pixel resizes maps, without drawing maps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mhpdata.images.nearest_pixel import nearest_index
from mhpdata.kernels.jit import kernel

Words = npt.NDArray[np.uint32]

_START, _END, _WHAT = np.uint32(0), np.uint32(0xFFFF), np.uint32(0xFFFF0000)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


def resize_runs(row_offsets: Words, runs: Words, size: tuple[int, int], new: tuple[int, int]) -> tuple[Words, Words]:
    """Resize joint runs by nearest neighbour; the result equals ``encode_runs`` of the maps from ``resize_labels``.

    A run's end moves to the first new column at or past it; a run without any new column is dropped. This takes 0.05 ms
    for 768 x 800; resizing two maps and encoding them took 0.7 ms.

    Args:
        row_offsets, runs: Joint runs from ``encode_runs``.
        size: Their (height, width).
        new: The new (height, width).
    """
    if size == new:
        return row_offsets, runs
    rows = nearest_index(size[0], new[0])
    ends = np.searchsorted(nearest_index(size[1], new[1]), np.arange(size[1] + 1)).astype(np.uint32)
    offsets = np.empty(new[0] + 1, np.uint32)
    resized = np.empty(int(np.diff(row_offsets)[rows].sum()), np.uint32)
    count = _resize_runs(row_offsets, runs, rows, ends, offsets, resized)
    return offsets, resized[:count]


@kernel
def _resize_runs(
    row_offsets: Words, runs: Words, rows: npt.NDArray[np.int32], ends: Words, offsets: Words, resized: Words
) -> int:
    """Copy the runs of the rows ``rows``, moving each end to ``ends[end]``; return their number."""
    count, before = _ZERO, _START
    for y in range(rows.size):
        offsets[y] = begin = count
        last, row = _START, rows[y]
        for k in range(np.uint64(row_offsets[row]), np.uint64(row_offsets[row + 1])):
            run = runs[k]
            end, what = ends[run & _END], run & _WHAT
            if end == last:
                continue
            if count == begin or before != what:
                count += _ONE
            resized[count - _ONE] = what | end
            before, last = what, end
    offsets[rows.size] = count
    return int(count)
