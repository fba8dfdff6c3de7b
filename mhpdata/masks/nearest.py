"""Who is nearest to a contested pixel: the distances behind the overlap rule of that name (mhpdata.masks.merge).

The distance of a pixel to a person is the Euclidean one to that person's nearest uncontested pixel, squared, exact, in
integers and in linear time.

Source: Meijster, Roerdink, Hesselink, "A general algorithm for computing distance transforms in linear time" (2000).
Phase 1 is the distance within each column; phase 2 takes, in each row, the lower envelope of the parabolas
(x - i)^2 + column(i)^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mhpdata.jit import kernel
from mhpdata.labels import IGNORE
from mhpdata.masks.mask_runs import MaskRuns, draw_mask

Plane = npt.NDArray[np.uint8]

_FAR = np.int32(1 << 30)  # no pixel of this person in this column
_NOWHERE = np.int64(1) << np.int64(62)  # no pixel of this person at all


def give_to_nearest(
    masks: Sequence[MaskRuns], claimants: list[int], labels: Plane, persons: Plane, state: Plane
) -> None:
    """Give each contested pixel to the nearest claimant; of equals to the first, of whom none is left to the owner.

    Only persons who claim a contested pixel are looked at, and only rows that hold one get a distance.

    Args:
        masks: of all persons, of whom only claimants are read. 255 claims nothing.
        claimants: the numbers, from 1 and rising, of those who have a label at a contested pixel.
        labels, persons: uint8 (height, width), changed in place.
        state: uint8 (height, width), not 0 at the contested pixels, of which there is one at least.
    """
    rows = np.flatnonzero(state.any(axis=1))
    band = slice(int(rows[0]), int(rows[-1]) + 1)
    best = np.full(labels[band].shape, _NOWHERE, np.int64)
    columns = np.empty(labels.shape, np.int32)
    width = labels.shape[1]
    hull, starts, distances = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.int64)
    for person in claimants:
        mask = draw_mask(masks[person - 1], (labels.shape[0], labels.shape[1]))
        if not _column_distances(persons, state, np.uint8(person), columns):
            continue  # wholly contested: infinitely far
        scratch = (hull, starts, distances)
        _claim(mask, np.uint8(person), columns, band.start, *scratch, best, labels, persons, state)


@kernel
def _column_distances(persons: Any, state: Any, person: Any, columns: Any) -> Any:
    """Phase 1: rows to this person's nearest uncontested pixel in the same column, or at least ``_FAR``; is there any?

    ``persons`` and ``state`` uint8 (H, W); ``columns`` int32 (H, W), written.
    """
    height, width = persons.shape
    found = np.uint8(0)
    for y in range(height):
        for x in range(width):
            own = (persons[y, x] == person) & (state[y, x] == 0)
            above = columns[y - 1, x] if y > 0 else _FAR
            columns[y, x] = np.int32(0) if own else np.int32(min(above, _FAR) + np.int32(1))
            found |= np.uint8(own)
    for y in range(height - 2, -1, -1):
        for x in range(width):
            columns[y, x] = min(columns[y, x], np.int32(columns[y + 1, x] + np.int32(1)))
    return found != 0


@kernel
def _row_distances(column: Any, hull: Any, starts: Any, distances: Any) -> None:
    """Phase 2 for one row: squared distances, int64 (W), from ``column`` int32 (W), of which one at least is not far.

    ``hull`` and ``starts``, int32 (W), are scratch: the parabolas of the envelope, and where each begins.
    """
    top = -1
    for x in range(column.size):
        if column[x] >= _FAR:
            continue
        here = np.int64(column[x]) ** 2
        start = np.int64(0)
        while top >= 0:
            i, at = np.int64(hull[top]), np.int64(starts[top])
            there = np.int64(column[i]) ** 2
            if (at - i) ** 2 + there <= (at - x) ** 2 + here:
                start = 1 + (x * x - i * i + here - there) // (2 * (x - i))
                break
            top -= 1
        if start < column.size:
            top += 1
            hull[top], starts[top] = x, start
    for x in range(column.size - 1, -1, -1):
        distances[x] = np.int64(x - hull[top]) ** 2 + np.int64(column[hull[top]]) ** 2
        if x == starts[top]:
            top -= 1


@kernel
def _claim(
    mask: Any,
    person: Any,
    columns: Any,
    first_row: Any,
    hull: Any,
    starts: Any,
    distances: Any,
    best: Any,
    labels: Any,
    persons: Any,
    state: Any,
) -> None:
    """Take the contested pixels that this person claims and is nearer to than everybody before.

    ``best`` int64 (rows, W) holds the squared distance of the nearest claimant so far, from ``first_row`` on.
    """
    width = mask.shape[1]
    for row in range(best.shape[0]):
        y = first_row + row
        claims = np.int64(0)
        for x in range(width):
            claims += np.int64((mask[y, x] != 0) & (mask[y, x] != IGNORE) & (state[y, x] != 0))
        if claims == 0:
            continue
        _row_distances(columns[y], hull, starts, distances)
        for x in range(width):
            if mask[y, x] != 0 and mask[y, x] != IGNORE and state[y, x] != 0 and distances[x] < best[row, x]:
                best[row, x] = distances[x]
                labels[y, x] = mask[y, x]
                persons[y, x] = person
