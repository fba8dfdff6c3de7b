"""The pixels of a PNG, sample by sample as they are stored: by zlib and one kernel, the same on every machine.

A library gives colours, not the indices of a palette; spreads 4 bits over 0..255; prints its warnings to the terminal;
and what it makes of an animation depends on its version. CPU time for a mask of sample 1528 (0.71 Mpixel): 1.8 to
1.9 ms here, 1.7 to 2.0 ms in OpenCV 4.11 and 5.0; for its photo as a PNG 17 to 23 ms here, 13 to 19 ms there.

Strict: the stream must give every row and have its end and checksum. What it holds beyond the last row, or the file
beyond the stream, is not looked at.

Source: the PNG specification, third edition, sections 8 (interlacing) and 9 (filters).
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from mhpdata.images.formats.chunks import Png
from mhpdata.kernels.jit import kernel

Bytes = npt.NDArray[np.uint8]
_ZERO, _ONE, _NOTHING = np.uint64(0), np.uint64(1), np.uint8(0)
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Of each pass: first row, first column, rows and columns from one pixel to the next."""


def decode_png(png: Png) -> npt.NDArray[Any]:
    """The samples of a PNG.

    Args:
        png: of ``mhpdata.images.formats.chunks.read_png``, of a size that has been checked.

    Returns:
        (height, width, channels): uint16 of 16 bits, else uint8; of fewer than 8 bits 0..2**bits - 1.

    Raises:
        ValueError: the stream is damaged or does not give every row.
    """
    if not png.interlaced:
        return _unpack(png, [(png.height, png.width)])[0]
    out = np.empty((png.height, png.width, png.channels), np.uint16 if png.bits == 16 else np.uint8)
    parts = [part for y, x, down, right in _ADAM7 if (part := out[y::down, x::right]).size]
    for part, samples in zip(parts, _unpack(png, [part.shape[:2] for part in parts]), strict=True):
        part[...] = samples
    return out


def _unpack(png: Png, sizes: list[tuple[int, ...]]) -> list[npt.NDArray[Any]]:
    """The samples of pictures of these sizes, (height, width), that follow on each other in the stream."""
    rows = [(width * png.channels * png.bits + 7) // 8 for _, width in sizes]
    ends = np.cumsum([0, *((1 + row) * height for row, (height, _) in zip(rows, sizes, strict=True))])
    data = _inflate(png.stream, int(ends[-1]))
    found = []
    for at, row, (height, width) in zip(ends, rows, sizes, strict=False):
        step = max(1, png.channels * png.bits // 8)
        lines = np.empty((1 + height, step + row), np.uint8)
        lines[0], lines[:, :step] = 0, 0
        wrong = _unfilter(data[at:], lines, step)
        if wrong >= 0:
            raise ValueError(f"row {wrong} has filter {data[at + wrong * (1 + row)]}, of 0 to 4")
        found.append(_samples(np.ascontiguousarray(lines[1:, step:]), png.bits, (height, width, png.channels)))
    return found


def _inflate(stream: bytes, wanted: int) -> npt.NDArray[np.uint8]:
    """The first ``wanted`` bytes of a zlib stream, never more."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(stream, wanted)
        surplus = b"" if inflater.eof else inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError(f"its pixels are damaged (zlib: {error})") from error
    if len(data) != wanted:
        raise ValueError(f"{len(data)} bytes of pixels, where it declares {wanted}")
    if not surplus and not inflater.eof:
        raise ValueError("its pixels have no end and no checksum")
    return np.frombuffer(data, np.uint8)


def _samples(lines: npt.NDArray[np.uint8], bits: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Rows of bytes, uint8 (height, bytes), as samples of ``shape``."""
    if bits == 16:
        return lines.view(">u2").astype(np.uint16).reshape(shape)
    if bits < 8:  # only one channel has so few
        shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
        spread = (lines[:, :, None] >> shifts & np.uint8((1 << bits) - 1)).reshape(len(lines), -1)
        lines = np.ascontiguousarray(spread[:, : shape[1]])
    return lines.reshape(shape)


@kernel
def _unfilter(data: Bytes, lines: Bytes, step: int) -> int:
    """Undo the filter of each row: ``data`` uint8 (height * (1 + bytes),) to ``lines[1:, step:]``, which the rest of
    ``lines`` uint8 (1 + height, step + bytes), all 0, surrounds on two sides.

    ``step`` is bytes from a sample to the one on its left. Returns the first row of an unknown filter, or -1. Nothing
    but loops and typed constants, which take less time to compile; unsigned indices, since signed ones may count from
    the end, and LLVM makes no vectors of that. Sums wrap, as bytes do.
    """
    left, end, at = np.uint64(step), np.uint64(lines.shape[1]), _ZERO
    for y in range(_ONE, np.uint64(lines.shape[0])):
        kind, begin = data[at], at + _ONE - left
        at = begin + end
        if kind == 0 or kind == 2:
            above = y - _ONE if kind == 2 else _ZERO  # the first row is all 0
            for x in range(left, end):
                lines[y, x] = data[begin + x] + lines[above, x]
        elif kind == 1:
            for first in range(left, left + left):
                value = _NOTHING
                for x in range(first, end, left):
                    value = np.uint8(value + data[begin + x])
                    lines[y, x] = value
        elif kind <= 4:
            for x in range(left, end):
                a, b, c = lines[y, x - left], lines[y - _ONE, x], lines[y - _ONE, x - left]
                if kind == 3:
                    lines[y, x] = data[begin + x] + ((a + b) >> 1)
                    continue
                down, right = b - c, a - c
                to_left, to_up, to_corner = down * down, right * right, (down + right) * (down + right)
                nearest = a if to_left <= to_up and to_left <= to_corner else b if to_up <= to_corner else c
                lines[y, x] = data[begin + x] + nearest
        else:
            return int(y) - 1
    return -1
