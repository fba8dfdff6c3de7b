"""Lay out the coefficients and the samples of a JPEG's planes in memory."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mhpdata.drawing.jpeg.inverse_dct import BLOCKS
from mhpdata.kernels.arrays import Longs


class Grid(NamedTuple):
    """Layout of a JPEG's planes; arrays are int64 (3,), for Y, Cb, Cr, unless said otherwise.

    Attributes:
        units: Number of units, (rows, columns).
        factors: Number of blocks of Y in a unit, (rows, columns).
        blocks, columns: Number of blocks in a unit, and of blocks side by side.
        starts, widths: First coefficient of each component, and number of coefficients in a row of its blocks.
        coefficients: Number of coefficients in a row of units, all components together.
        at, stride: First byte of each plane of samples, and bytes from row to row (a multiple of 128).
        size: Bytes of all planes.
        sizes: int64 (2, 2): (height, width) of Y, and of Cb and Cr.
        extents: float64 (2, 2): number of these samples that span the image on each axis.
    """

    units: tuple[int, int]
    factors: tuple[int, int]
    blocks: Longs
    columns: Longs
    starts: Longs
    widths: Longs
    coefficients: int
    at: Longs
    stride: Longs
    size: int
    sizes: Longs
    extents: NDArray[np.float64]


@lru_cache(maxsize=4096)
def grid(size: tuple[int, int], factors: tuple[int, int]) -> Grid:
    """Lay out the planes of an image of (height, width) ``size``; for ``factors`` see :class:`Grid`."""
    (height, width), (rows, columns) = size, factors
    units = -(-height // (8 * rows)), -(-width // (8 * columns))
    blocks, across = np.array([rows * columns, 1, 1]), np.array([columns, 1, 1])
    widths = -(-units[1] * across // BLOCKS) * 64 * BLOCKS
    every = widths * blocks // across
    stride = widths // 8
    planes = stride * units[0] * 8 * blocks // across
    sizes = np.array([size, (-(-height // rows), -(-width // columns))])
    extents = np.array([(height, width), (height / rows, width / columns)], np.float64)
    starts, at = np.cumsum(every) - every, np.cumsum(planes) - planes
    return Grid(
        units, factors, blocks, across, starts, widths, int(every.sum()), at, stride, int(planes.sum()), sizes, extents
    )
