"""Where the coefficients and the samples of a JPEG's planes lie in memory."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mhpdata.drawing.jpeg.inverse_dct import BLOCKS
from mhpdata.kernels.arrays import Longs


class Grid(NamedTuple):
    """Where the samples of a JPEG's planes go; int64 (3,) each, of Y, Cb, Cr.

    Attributes:
        units: (rows, columns) of units.
        factors: (rows, columns): how many blocks of Y a unit holds.
        blocks, columns: blocks in a unit, and how many of them stand side by side.
        starts, widths: of the coefficients: where a component begins, and how many a row of its blocks has.
        coefficients: of a row of units, in all.
        at, stride: of the samples: first byte of each plane, bytes from row to row (a multiple of 128).
        size: bytes of all planes.
        sizes: int64 (2, 2): (height, width) of Y, and of Cb and Cr.
        extents: float64 (2, 2): how many of these samples span the picture.
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
    """Lay out the planes of an image of (height, width) ``size``; ``factors`` as in mhpdata.drawing.jpeg.scan.Scan."""
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
