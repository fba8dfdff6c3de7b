"""Who is nearest to a contested pixel: the distances behind the overlap rule of that name (mhpdata.masks.merge).

The distance of a pixel to a person is the Euclidean one to that person's nearest uncontested pixel, squared, exact, in
integers and in linear time.

Source: Meijster, Roerdink, Hesselink, "A general algorithm for computing distance transforms in linear time" (2000).
Phase 1 is the distance within each column; phase 2 takes, in each row, the lower envelope of the parabolas
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
        hull, starts: int32 (width,), the parabolas of the envelope, and where each begins.
        distances: int64 (width,), squared.
    """

    hull: Columns
    starts: Columns
    distances: Distances


class _Maps(NamedTuple):
    """What is to be settled: labels, persons, state, each uint8 (height, width), as of ``give_to_nearest``."""

    labels: Plane
    persons: Plane
    state: Plane


def give_to_nearest(
    mask_of: Callable[[int], MaskRuns], claimants: list[int], labels: Plane, persons: Plane, state: Plane
) -> None:
    """Give each contested pixel to the nearest claimant; ties go to the lowest number.

    A pixel whose claimants are all infinitely far stays with its owner. Only persons who claim a contested pixel are
    looked at, and only rows that hold one get a distance.

    Args:
        mask_of: gives the mask of a person, by number from 1; asked for claimants only, one at a time. 255 claims
            nothing.
        claimants: the numbers, from 1 and rising, of those who have a label at a contested pixel.
        labels, persons: uint8 (height, width), changed in place.
        state: uint8 (height, width), not 0 at the contested pixels, of which there is one at least.
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
            continue  # wholly contested: infinitely far
        _claim(mask, np.uint8(person), columns, first, row, best, maps)


@kernel
def _column_distances(persons: Plane, state: Plane, person: np.uint8, columns: Columns) -> bool:
    """Phase 1: rows to this person's nearest uncontested pixel in the same column, or at least ``_FAR``; is there any?

    ``persons`` and ``state`` uint8 (H, W); ``columns`` int32 (H, W), written.
    """
    height, width = persons.shape
    found = np.uint8(0)
    for y in range(height):
        for x in range(width):
            own = (persons[y, x] == person) & (state[y, x] == 0)
            above = columns[y - 1, x] if y > 0 else _FAR
            further = (above if above < _FAR else _FAR) + np.int32(1)
            columns[y, x] = np.int32(0) if own else np.int32(further)
            found |= np.uint8(own)
    for y in range(height - 2, -1, -1):
        for x in range(width):
            below = np.int32(columns[y + 1, x] + np.int32(1))
            columns[y, x] = columns[y, x] if columns[y, x] < below else below
    return bool(found != 0)


@callee
def _row_distances(column: Columns, hull: Columns, starts: Columns, distances: Distances) -> None:
    """Phase 2 for one row: squared distances, int64 (W), from ``column`` int32 (W), of which one at least is not far.

    ``hull`` and ``starts`` as of ``_Row``.
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
    """Take the contested pixels that this person claims and is nearer to than everybody before.

    ``best`` int64 (rows, W) holds the squared distance of the nearest claimant so far, from ``first_row`` on.
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
