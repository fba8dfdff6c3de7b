"""Per-thread buffers for drawing, which grow to the largest sample and are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mhpdata.drawing.arguments import Work
from mhpdata.kernels.arrays import Bytes, Ints

_SPARE = 256
"""Bytes that vectors may read or write past the end of a row."""


class DrawScratch:
    """Per-thread buffers: tables and rows.

    ``work``: for drawing an image. ``cut`` (int32) and ``line`` (uint8 (2, row)): for drawing labels.
    """

    def __init__(self) -> None:
        self._key: tuple[int, ...] = ()
        self.work: Work
        self.cut: Ints
        self.line: Bytes

    def fit(self, height: int, width: int, columns: int, taps: int, blurred: bool) -> None:
        """Grow the buffers for a crop of height x width pixels, ``columns`` source samples and ``taps`` per pixel."""
        wanted = (height, width, columns, taps, int(blurred))
        if self._key and all(new <= old for new, old in zip(wanted, self._key, strict=True)):
            return
        key = height, width, columns, taps, sharp = tuple(map(max, wanted, self._key or wanted))
        n = (max(height, width) + 31) // 32 * 32
        row = (width + _SPARE) // 64 * 64
        self.work = Work(
            first=np.zeros((4, n), np.int32),
            taps=np.zeros((4, n), np.int32),
            weight=np.zeros((4, n, taps), np.int16),
            base=np.zeros((2, n // 4), np.int32),
            picks=aligned((2, n * 4), np.uint8),
            packed=aligned((2, n * taps), np.int16),
            sums=aligned((3, columns + _SPARE + 2 * taps), np.int16),
            pixels=aligned((3, width + _SPARE), np.int16),
            rgb=aligned((3 * row,), np.uint8),
            spare=aligned((4 * (width + _SPARE),), np.uint8),
            sharp=aligned((height * 3 * row * sharp,), np.uint8),
            shares=np.zeros(max(taps, 7)),
            low=np.zeros(2, np.int64),
            span=np.zeros(2, np.int64),
            most=np.zeros(2, np.int64),
            at=np.zeros(3, np.int64),
            stride=np.zeros(3, np.int64),
        )
        self.cut = np.zeros(columns + _SPARE, np.int32)
        self.line = aligned((2, width + _SPARE), np.uint8)
        self._key = key


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:  # type: ignore[type-arg]
    """Return zeros whose rows all begin on 64-byte boundaries (a vector across two cache lines costs two loads).

    Rows may be longer than requested, which keeps the array contiguous: for another layout, all kernels would be
    compiled again.
    """
    size = np.dtype(dtype).itemsize
    row = -(-shape[-1] * size // 64) * 64
    memory = np.zeros(int(np.prod(shape[:-1])) * row + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    rows = memory[begin : begin + memory.size - 64].reshape(*shape[:-1], row)
    whole = rows.view(dtype)
    return whole[: shape[0]] if len(shape) == 1 else whole
