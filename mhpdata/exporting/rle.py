"""COCO's run-length encoding (RLE) of binary masks, with area and box.

COCO counts pixels column by column: runs of 0 and 1 alternate, beginning with 0 (which may be 0 pixels long). In
"compressed" RLE, each count is a text of 6-bit characters, 48 plus 5 bits and a bit for "more follows", lowest bits
first; from the fourth count on, it is the difference to the count two before (pycocotools: common/maskApi.c,
rleToString).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mhpdata.labels import IGNORE

Positions = NDArray[np.int64]
_GROUPS = 7
"""Maximum number of characters per count: images have fewer than 2**31 pixels."""


class Region(NamedTuple):
    """A region of an image, as an annotation of COCO describes it.

    Attributes:
        area: Number of pixels.
        box: x, y, width, height.
        rle: {"size": [height, width], "counts": compressed text}.
    """

    area: int
    box: list[int]
    rle: dict[str, Any]


def regions(mask: NDArray[np.uint8]) -> tuple[Region | None, dict[int, Region]]:
    """Return the region of a person, and that of each label in it.

    Args:
        mask: uint8 (height, width): labels, 0 (nothing) and 255 (ignored, in no region).

    Returns:
        The region of all labels (None if there are none), and the regions by label, ascending.
    """
    height, width = mask.shape
    columns = np.flatnonzero(mask.any(axis=0))
    if not columns.size:
        return None, {}
    left, right = int(columns[0]), int(columns[-1]) + 1
    pixels = np.ascontiguousarray(mask[:, left:right].T).reshape(-1)
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    starts = np.concatenate(([0], changes)) + left * height
    ends = np.concatenate((changes, [pixels.size])) + left * height
    labels = pixels[starts - left * height]
    parts = {
        int(label): _region(starts[labels == label], ends[labels == label], (height, width))
        for label in np.unique(labels)
        if label not in (0, IGNORE)
    }
    if not parts:
        return None, {}
    inside = (labels != 0) & (labels != IGNORE)
    steps = np.diff(inside.astype(np.int8), prepend=0, append=0)  # joins adjacent runs of different labels
    return _region(starts[np.flatnonzero(steps == 1)], ends[np.flatnonzero(steps == -1) - 1], (height, width)), parts


def _region(starts: Positions, ends: Positions, size: tuple[int, int]) -> Region:
    """Return the region of runs from ``starts`` to before ``ends``, as positions in column order."""
    height, width = size
    bounds = np.empty(2 * len(starts), np.int64)
    bounds[::2], bounds[1::2] = starts, ends
    counts = np.diff(bounds, prepend=0)
    rest = height * width - int(ends[-1])
    if rest:
        counts = np.append(counts, rest)
    left, right = int(starts[0]) // height, int(ends[-1] - 1) // height
    top, bottom = int((starts % height).min()), int(((ends - 1) % height).max())
    if (starts // height != (ends - 1) // height).any():  # a run that continues in the next column
        top, bottom = 0, height - 1
    box = [left, top, right - left + 1, bottom - top + 1]
    return Region(int((ends - starts).sum()), box, {"size": [height, width], "counts": compress(counts)})


def compress(counts: Positions) -> str:
    """Return the compressed text of counts."""
    left = counts.copy()
    left[3:] -= counts[1:-2]
    groups = np.zeros((len(counts), _GROUPS), np.uint8)
    used = np.zeros(groups.shape, bool)
    open_ = np.ones(len(counts), bool)
    for k in range(_GROUPS):
        bits = left & 31
        left >>= 5
        more = np.where(bits & 16, left != -1, left != 0)
        groups[:, k] = 48 + bits + 32 * more
        used[:, k] = open_
        open_ &= more
        if not open_.any():
            break
    return groups[used].tobytes().decode("ascii")
