"""Give overlapping pixels to the nearest person: the overlap rule ``nearest`` (mhpdata.masks.merge).

The distance of a pixel to a person is the squared Euclidean distance to that person's nearest non-overlapping pixel. It
is exact, computed in integers and in linear time.

Source: Meijster, Roerdink, Hesselink, "A general algorithm for computing distance transforms in linear time" (2000).
Phase 1 computes the distance within each column; phase 2 takes, in each row, the lower envelope of the parabolas
(x - i)^2 + column(i)^2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mhpdata.kernels.jit import callee, kernel
from mhpdata.labels import IGNORE
from mhpdata.masks.mask_runs import MaskRuns, draw_mask

Plane = npt.NDArray[np.uint8]
Columns = npt.NDArray[np.int32]
Distances = npt.NDArray[np.int64]

_FAR = np.int32(1 << 30)  # no pixel of this person in this column
_NOWHERE = np.int64(1) << np.int64(62)  # no pixel of this person at all


class _Row(NamedTuple):
    """Scratch for one row of pixels.

    Attributes:
        hull, starts: int32 (width,), the parabolas of the envelope, and the column at which each begins.
        distances: int64 (width,), squared.
    """

    hull: Columns
    starts: Columns
    distances: Distances


class _Maps(NamedTuple):
    """The maps to change: labels, persons, state, each uint8 (height, width), as for ``give_to_nearest``."""

    labels: Plane
    persons: Plane
    state: Plane


def give_to_nearest(
    mask_of: Callable[[int], MaskRuns], claimants: list[int], labels: Plane, persons: Plane, state: Plane
) -> None:
    """Give each overlapping pixel to the nearest of its claimants; ties go to the lowest number.

    A pixel whose claimants are all infinitely far away keeps its owner. Distances are computed only for claimants, and
    only in rows with overlapping pixels.

    Args:
        mask_of: Returns the mask of a person, by number from 1; called once per claimant. 255 in it is not a label.
        claimants: Numbers of the persons with a label at an overlapping pixel, from 1, in ascending order.
        labels, persons: uint8 (height, width), changed in place.
        state: uint8 (height, width), non-zero at overlapping pixels, of which there must be at least one.
    """
    rows = np.flatnonzero(state.any(axis=1))
    first, last = int(rows[0]), int(rows[-1])
    height, width = labels.shape
    best = np.full((last - first + 1, width), _NOWHERE, np.int64)
    columns = np.empty((height, width), np.int32)
    row = _Row(np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.int64))
    maps = _Maps(labels, persons, state)
    for person in claimants:
        mask = draw_mask(mask_of(person), (height, width))
        if not _column_distances(persons, state, np.uint8(person), columns):
            continue  # all its pixels overlap: infinitely far away
        _claim(mask, np.uint8(person), columns, first, row, best, maps)


@kernel
def _column_distances(persons: Plane, state: Plane, person: np.uint8, columns: Columns) -> bool:
    """Compute phase 1: the distance to this person's nearest non-overlapping pixel in the same column, in rows.

    ``persons`` and ``state`` are uint8 (H, W); ``columns`` int32 (H, W) is written, ``_FAR`` or more in columns without
    such a pixel. Return whether there is any such pixel.
    """
    height, width = persons.shape
    any_own = np.uint8(0)
    for y in range(height):
        for x in range(width):
            own = (persons[y, x] == person) & (state[y, x] == 0)
            above = columns[y - 1, x] if y > 0 else _FAR
            further = (above if above < _FAR else _FAR) + np.int32(1)
            columns[y, x] = np.int32(0) if own else np.int32(further)
            any_own |= np.uint8(own)
    for y in range(height - 2, -1, -1):
        for x in range(width):
            below = np.int32(columns[y + 1, x] + np.int32(1))
            columns[y, x] = columns[y, x] if columns[y, x] < below else below
    return bool(any_own != 0)


@callee
def _row_distances(column: Columns, hull: Columns, starts: Columns, distances: Distances) -> None:
    """Compute phase 2 for one row: squared distances int64 (W) from ``column`` int32 (W).

    At least one column must be nearer than ``_FAR``. ``hull`` and ``starts`` are scratch, as in ``_Row``.
    """
    top = -1
    for x in range(column.size):
        if column[x] >= _FAR:
            continue
        here = np.int64(column[x]) * np.int64(column[x])
        start = np.int64(0)
        while top >= 0:
            i, at = np.int64(hull[top]), np.int64(starts[top])
            there = np.int64(column[i]) * np.int64(column[i])
            if (at - i) * (at - i) + there <= (at - x) * (at - x) + here:
                start = 1 + (x * x - i * i + here - there) // (2 * (x - i))
                break
            top -= 1
        if start < column.size:
            top += 1
            hull[top], starts[top] = x, start
    for x in range(column.size - 1, -1, -1):
        far, down = np.int64(x - hull[top]), np.int64(column[hull[top]])
        distances[x] = far * far + down * down
        if x == starts[top]:
            top -= 1


@kernel
def _claim(
    mask: Plane, person: np.uint8, columns: Columns, first_row: int, row: _Row, best: Distances, maps: _Maps
) -> None:
    """Take the overlapping pixels that this person claims and is nearer to than all earlier claimants.

    ``best`` int64 (rows, W) holds the squared distance of the nearest claimant so far; its first row is ``first_row``.
    """
    hull, starts, distances = row
    labels, persons, state = maps
    width = mask.shape[1]
    for k in range(best.shape[0]):
        y = first_row + k
        claims = np.int64(0)
        for x in range(width):
            claims += np.int64((mask[y, x] != 0) & (mask[y, x] != IGNORE) & (state[y, x] != 0))
        if claims == 0:
            continue
        _row_distances(columns[y], hull, starts, distances)
        for x in range(width):
            if mask[y, x] != 0 and mask[y, x] != IGNORE and state[y, x] != 0 and distances[x] < best[k, x]:
                best[k, x] = distances[x]
                labels[y, x] = mask[y, x]
                persons[y, x] = person
