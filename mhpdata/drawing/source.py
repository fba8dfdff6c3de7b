"""Describe where the three planes of an image lie in a buffer, and which of their samples a crop needs.

In: the (height, width) of an image in pixels, and how it is stored. Out: :class:`Source`, an argument of the
``@kernel`` functions (see :mod:`mhpdata.drawing.arguments`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mhpdata.kernels.arrays import Doubles, Longs

RGB, YUV = 0, 1
"""Colour spaces of a source: R, G, B of equal size, or Y, Cb, Cr, where Cb and Cr may be smaller than Y."""


class Source(NamedTuple):
    """Layout of an image's three planes in a buffer.

    ``at``: int64 (3,), offset of row 0 of each plane; negative if the first rows were not read. ``stride``: int64 (3,),
    bytes from row to row. ``sizes``: int64 (2, 2): (height, width) of plane 0, and of planes 1 and 2. ``extents``:
    float64 (2, 2): number of samples that span the image on each axis (half its size for 4:2:0 chroma).
    """

    colour: int
    at: Longs
    stride: Longs
    sizes: Longs
    extents: Doubles


class Planes(NamedTuple):
    """Shapes of an image's three planes.

    ``sizes``: (height, width) of each. ``extents``: number of its samples that span the image on each axis. ``stride``,
    ``size_array``, ``extent_array``: the arrays of a :class:`Source`.
    """

    sizes: tuple[tuple[int, int], ...]
    extents: tuple[tuple[float, float], ...]
    stride: Longs
    size_array: Longs
    extent_array: Doubles


@lru_cache(maxsize=4096)
def planes_of(colour: int, size: tuple[int, int]) -> Planes:
    """Return the shapes of the planes R, G, B, or Y, Cb, Cr with Cb and Cr at half the height and width."""
    height, width = size
    half = ((height + 1) // 2, (width + 1) // 2) if colour == YUV else size
    extent = (height / 2, width / 2) if colour == YUV else (float(height), float(width))
    sizes, extents = (size, half, half), ((float(height), float(width)), extent, extent)
    return Planes(sizes, extents, np.array([s[1] for s in sizes]), np.array(sizes[:2]), np.array(extents[:2]))


def planar(
    colour: int, size: tuple[int, int], missing: Sequence[tuple[int, int]] = ((0, 0),) * 3, gap: int = 0
) -> Source:
    """Lay out planes ``gap`` bytes apart, each without its first ``missing[p][0]`` and last ``missing[p][1]`` rows."""
    planes = planes_of(colour, size)
    at, start = np.empty(3, np.int64), 0
    for p, ((rows, columns), (before, after)) in enumerate(zip(planes.sizes, missing, strict=True)):
        at[p] = start - before * columns
        start += (rows - before - after) * columns + gap
    return Source(colour, at, planes.stride, planes.size_array, planes.extent_array)


def touched(size: int, extent: float, scaled: int, start: int, count: int, mirrored: bool) -> tuple[int, int]:
    """Return the samples (from, to) of an axis that pixels ``start`` to ``start + count`` can need.

    The arithmetic is that of :func:`mhpdata.drawing.taps.fill_taps`, whose arguments these are.
    """
    if mirrored:
        start = scaled - start - count
    scale = extent / scaled
    support = max(scale, 1.0)
    low = min(max(int((start + 0.5) * scale - support + 0.5), 0), size - 1)
    high = min(int((start + count - 0.5) * scale + support + 0.5), size)
    return low, max(high, low + 1)
