"""Segments of a map: the pixels with one key, their number and their box."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Segment(NamedTuple):
    """The pixels of a map with one key.

    Attributes:
        key: The key.
        area: Number of pixels.
        box: x, y, width, height.
    """

    key: int
    area: int
    box: list[int]


def segments(keys: NDArray[Any]) -> list[Segment]:
    """Return the segments of a map of keys, integers (height, width), in ascending order of their keys."""
    height, width = keys.shape
    begins = np.ones((height, width), bool)
    begins[:, 1:] = keys[:, 1:] != keys[:, :-1]
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=height * width)
    found, which = np.unique(keys.reshape(-1)[starts], return_inverse=True)
    which = which.reshape(-1)  # NumPy 2.0 returned another shape
    rows, columns = np.divmod(starts, width)
    area = np.bincount(which, lengths).astype(np.int64)
    low = np.full((2, len(found)), max(height, width), np.int64)
    high = np.zeros((2, len(found)), np.int64)
    for axis, (first, last) in enumerate(((columns, columns + lengths), (rows, rows + 1))):
        np.minimum.at(low[axis], which, first)
        np.maximum.at(high[axis], which, last)
    boxes = np.concatenate((low, high - low)).T.tolist()
    return [Segment(*one) for one in zip(found.tolist(), area.tolist(), boxes, strict=True)]
