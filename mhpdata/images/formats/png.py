"""Decode the samples of a PNG as they are stored, with zlib and one kernel: the same on every machine.

Libraries return colours instead of palette indices, scale 4 bits to 0..255, print warnings to the terminal, and decode
animations differently by version. CPU time for a mask of sample 1528 (0.71 Mpixel): 1.8 to 1.9 ms here, 1.7 to 2.0 ms
in OpenCV 4.11 and 5.0; for its image as a PNG 17 to 23 ms here, 13 to 19 ms in OpenCV.

Decoding is strict: the stream must contain every row, its end and its checksum. Bytes after the last row, or after the
stream, are ignored.

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
"""First row, first column, and distance in rows and columns between the pixels of each pass."""


def decode_png(png: Png) -> npt.NDArray[Any]:
    """Decode the samples of a PNG.

    Args:
        png: Result of ``mhpdata.images.formats.chunks.read_png``, of a size that has been checked.

    Returns:
        (height, width, channels): uint16 for 16 bits, else uint8; 0..2**bits - 1 for fewer than 8 bits.

    Raises:
        ValueError: The stream is damaged or does not contain every row.
    """
    if not png.interlaced:
        return _unpack(png, [(png.height, png.width)])[0]
    out = np.empty((png.height, png.width, png.channels), np.uint16 if png.bits == 16 else np.uint8)
    passes = [view for y, x, down, right in _ADAM7 if (view := out[y::down, x::right]).size]
    for view, samples in zip(passes, _unpack(png, [view.shape[:2] for view in passes]), strict=True):
        view[...] = samples
    return out


def _unpack(png: Png, sizes: list[tuple[int, ...]]) -> list[npt.NDArray[Any]]:
    """Decode the samples of consecutive images of these sizes, (height, width), in the stream."""
    rows = [(width * png.channels * png.bits + 7) // 8 for _, width in sizes]
    ends = np.cumsum([0, *((1 + row) * height for row, (height, _) in zip(rows, sizes, strict=True))])
    data = _inflate(png.stream, int(ends[-1]))
    images = []
    for at, row, (height, width) in zip(ends, rows, sizes, strict=False):
        stride = max(1, png.channels * png.bits // 8)
        lines = np.empty((1 + height, stride + row), np.uint8)
        lines[0], lines[:, :stride] = 0, 0
        wrong = _unfilter(data[at:], lines, stride)
        if wrong >= 0:
            raise ValueError(f"row {wrong} has filter {data[at + wrong * (1 + row)]}, not one of 0 to 4")
        images.append(_samples(np.ascontiguousarray(lines[1:, stride:]), png.bits, (height, width, png.channels)))
    return images


def _inflate(stream: bytes, wanted: int) -> npt.NDArray[np.uint8]:
    """Inflate the first ``wanted`` bytes of a zlib stream, never more."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(stream, wanted)
        surplus = b"" if inflater.eof else inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError(f"its pixels are damaged (zlib: {error})") from error
    if len(data) != wanted:
        raise ValueError(f"{len(data)} of {wanted} declared bytes of pixels")
    if not surplus and not inflater.eof:
        raise ValueError("its stream of pixels has no end and no checksum")
    return np.frombuffer(data, np.uint8)


def _samples(lines: npt.NDArray[np.uint8], bits: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Convert rows of bytes, uint8 (height, bytes), to samples of ``shape``."""
    if bits == 16:
        return lines.view(">u2").astype(np.uint16).reshape(shape)
    if bits < 8:  # only one channel has so few
        shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
        spread = (lines[:, :, None] >> shifts & np.uint8((1 << bits) - 1)).reshape(len(lines), -1)
        lines = np.ascontiguousarray(spread[:, : shape[1]])
    return lines.reshape(shape)


@kernel
def _unfilter(data: Bytes, lines: Bytes, stride: int) -> int:
    """Undo the filter of each row of ``data`` uint8 (height * (1 + bytes),); write the rows to ``lines[1:, stride:]``.

    ``lines`` is uint8 (1 + height, stride + bytes); its first row and first ``stride`` columns are 0. ``stride`` is the
    distance in bytes from a sample to the one on its left. Return the first row with an unknown filter, or -1. The code
    uses only loops and typed constants, which compile faster, and unsigned indices, since LLVM does not vectorise
    signed ones (they may count from the end). Sums wrap as bytes do.
    """
    left, end, at = np.uint64(stride), np.uint64(lines.shape[1]), _ZERO
    for y in range(_ONE, np.uint64(lines.shape[0])):
        method, begin = data[at], at + _ONE - left
        at = begin + end
        if method == 0 or method == 2:
            above = y - _ONE if method == 2 else _ZERO  # the first row is all 0
            for x in range(left, end):
                lines[y, x] = data[begin + x] + lines[above, x]
        elif method == 1:
            for first in range(left, left + left):
                value = _NOTHING
                for x in range(first, end, left):
                    value = np.uint8(value + data[begin + x])
                    lines[y, x] = value
        elif method <= 4:
            for x in range(left, end):
                a, b, c = lines[y, x - left], lines[y - _ONE, x], lines[y - _ONE, x - left]
                if method == 3:
                    lines[y, x] = data[begin + x] + ((np.uint64(a) + np.uint64(b)) >> 1)
                    continue
                down, right = np.uint64(b) - np.uint64(c), np.uint64(a) - np.uint64(c)
                to_left, to_up, to_corner = down * down, right * right, (down + right) * (down + right)
                nearest = a if to_left <= to_up and to_left <= to_corner else b if to_up <= to_corner else c
                lines[y, x] = data[begin + x] + nearest
        else:
            return int(y) - 1
    return -1
