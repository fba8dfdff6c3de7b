"""Resize joint runs to the nearest pixel, as mhpdata.images.nearest_pixel resizes maps, without drawing a map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mhpdata.images.nearest_pixel import nearest_index
from mhpdata.kernels.jit import kernel

Words = npt.NDArray[np.uint32]

_START, _END, _WHAT = np.uint32(0), np.uint32(0xFFFF), np.uint32(0xFFFF0000)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


def resize_runs(row_offsets: Words, runs: Words, size: tuple[int, int], new: tuple[int, int]) -> tuple[Words, Words]:
    """The joint runs of a map resized to the nearest pixel: ``encode_runs`` of ``resize_labels``, without the maps.

    A run's end moves to the first new column that lies at or beyond it; a run that keeps no column is dropped. 0.05 ms
    for 768 x 800, where resizing two maps and encoding them took 0.7 ms.

    Args:
        row_offsets, runs: what ``encode_runs`` made.
        size: (height, width) that they have.
        new: (height, width) wanted.
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
    """Runs of the rows ``rows``, each end moved to ``ends[end]``; returns how many there are."""
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
