"""Draw regions of COCO annotations: polygons, and run lengths as numbers or as text.

The rule: the same pixels as pycocotools (cocodataset/cocoapi, common/maskApi.c), which most programs use. A polygon's
outline is sampled at a fifth of a pixel, and a pixel belongs to it if its centre's column crosses the outline an odd
number of times above it; several polygons are united. Run lengths count pixels in column order, beginning with those
outside. As text, each length takes one or more characters of 6 bits from "0" on, 5 of them digits, the lowest first;
from the fourth on it is the difference to the one two places before.

In: a value of a JSON file, which is not trusted. Out: bool (height, width).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mhpdata.fields import field_of, list_at, text_at

Region = npt.NDArray[np.bool_]
Size = tuple[int, int]

_SCALE = 5
"""Samples of an outline per pixel."""
_REACH = 4
"""Maximum distance of a point from the origin, in sides of the image."""
MAX_POINTS = 1 << 20
"""Maximum points of a region's polygons."""
_BASE = ord("0")


def draw_region(segmentation: Any, size: Size) -> Region:
    """Return the pixels of a region.

    Args:
        segmentation: A list of polygons [x, y, x, y, ...], or {"size": [height, width], "counts": list or text}.
        size: (height, width) of the image.

    Raises:
        ValueError: It is no region, or not one of an image of this size.
    """
    if isinstance(segmentation, dict):
        return decode_runs(segmentation, size)
    polygons = list_at(segmentation, "segmentation")
    if not polygons:
        raise ValueError("segmentation has no polygon")
    region = np.zeros(size, bool)
    left = MAX_POINTS
    for k, polygon in enumerate(polygons):
        points = _points(polygon, f"segmentation[{k}]", size)
        left -= len(points)
        if left < 0:
            raise ValueError(f"segmentation has more than {MAX_POINTS} points")
        _fill(region, points)
    return region


def decode_runs(region: dict[str, Any], size: Size) -> Region:
    """Return the pixels of a region given as run lengths; arguments and errors are those of ``draw_region``."""
    stated = list_at(field_of(region, "size", "segmentation"), "segmentation.size")
    if stated != list(size):
        here = " x ".join(map(str, stated[:2]))
        raise ValueError(
            f"segmentation.size is {here}, but the image has {size[0]} x {size[1]} pixels (height x width)"
        )
    counts = field_of(region, "counts", "segmentation")
    runs = _numbers(counts) if isinstance(counts, list) else _parse_runs(text_at(counts, "segmentation.counts"))
    pixels = size[0] * size[1]
    if len(runs) and (runs.min() < 0 or runs.max() > pixels):
        raise ValueError("segmentation.counts has a length below 0 or above the number of pixels")
    if int(runs.sum()) != pixels:
        raise ValueError(f"segmentation.counts has lengths of {int(runs.sum())} pixels, but the image has {pixels}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(inside, runs).reshape(size[::-1]).T)


def _numbers(counts: list[Any]) -> npt.NDArray[np.int64]:
    if not all(type(one) is int and 0 <= one < 1 << 40 for one in counts):
        raise ValueError("segmentation.counts is not a list of whole numbers of 0 or more")
    return np.array(counts, np.int64)


def _parse_runs(text: str) -> npt.NDArray[np.int64]:
    """Return the run lengths of a text."""
    codes = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int64) - _BASE
    if not codes.size:
        return codes
    if codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError("segmentation.counts is not a text of run lengths")
    last = np.flatnonzero(codes & 32 == 0)  # last character of each length
    first = np.concatenate(([0], last[:-1] + 1))
    if (last - first).max() > 7:
        raise ValueError("segmentation.counts has a length of more than 8 characters")
    shifts = 5 * (np.arange(codes.size) - np.repeat(first, last - first + 1))
    runs = np.add.reduceat((codes & 31) << shifts, first)
    runs -= np.where(codes[last] & 16, np.int64(1) << 5 * (last - first + 1), 0)  # negative
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    return runs


def _points(polygon: Any, place: str, size: Size) -> npt.NDArray[np.float64]:
    """Return the points of a polygon, float64 (n, 2): x, y."""
    values = list_at(polygon, place)
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f"{place} has {len(values)} numbers, not x and y of 3 or more points")
    if not all(type(one) in (int, float) and abs(one) < 1 << 24 for one in values):
        raise ValueError(f"{place} holds something other than numbers")
    points = np.array(values, np.float64).reshape(-1, 2)
    if (np.abs(points) > np.array([size[1], size[0]]) * _REACH).any():
        raise ValueError(f"{place} has points far outside the image of {size[0]} x {size[1]} pixels (height x width)")
    return points


def _fill(region: Region, points: npt.NDArray[np.float64]) -> None:
    """Add the pixels of a polygon to ``region``."""
    height, width = region.shape
    corners = np.trunc(_SCALE * points + 0.5).astype(np.int64)
    found = [
        _crossings(one, other, height, width) for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True)
    ]
    columns, rows = (np.concatenate(one) for one in zip(*found, strict=True))
    if not columns.size:
        return
    left, right = int(columns.min()), int(columns.max()) + 1
    area = (right - left) * height
    toggles = np.bincount((columns - left) * height + rows, minlength=area)[:area].astype(np.uint8) & 1
    inside = np.bitwise_xor.accumulate(toggles).view(bool).reshape(right - left, height).T
    region[:, left:right] |= inside


def _crossings(
    start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], height: int, width: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the columns whose centres an edge crosses, and the first row below each crossing.

    Args:
        start, end: int64 (2,): x, y of its ends, in samples.
        height, width: Size of the image.
    """
    backwards = _runs_backwards(start, end)
    one, other = (end, start) if backwards else (start, end)
    across, down = (int(part) for part in other - one)
    steps = np.arange(max(abs(across), abs(down)) + 1)
    steps = steps[::-1] if backwards else steps
    if abs(across) >= abs(down):
        x = one[0] + steps
        y = np.trunc(one[1] + (down / abs(across) if across else 0.0) * steps + 0.5).astype(np.int64)
    else:
        y = one[1] + steps
        x = np.trunc(one[0] + across / abs(down) * steps + 0.5).astype(np.int64)
    moved = x[1:] != x[:-1]
    column = (np.where(x[1:] < x[:-1], x[1:], x[1:] - 1)[moved] + 0.5) / _SCALE - 0.5
    row = (np.minimum(y[1:], y[:-1])[moved] + 0.5) / _SCALE - 0.5
    centres = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    rows = np.ceil(np.clip(row[centres], 0, height))
    return column[centres].astype(np.int64), rows.astype(np.int64)


def _runs_backwards(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> bool:
    """Return whether an edge is sampled from its end, so that it has the same samples in both directions."""
    across, down = np.abs(end - start)
    return bool(start[0] > end[0] if across >= down else start[1] > end[1])
