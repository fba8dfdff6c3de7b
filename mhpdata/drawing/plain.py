"""Draw one row of a crop in five stages, as plain loops: the reference, and the code for CPUs without vector steps.

Each stage works on one row, so that all intermediate values stay in the L1 cache::

    source rows, uint8        vertical      weighted sum of rows        -> int16, 1/64 levels (chroma: minus 128)
    a row, int16              horizontal    weighted sums along the row -> int16, 1/128 levels (chroma: 1/256)
    3 rows, int16             to_rgb        colour, one rounding        -> uint8 R, G, B: identical in all variants
    3 rows, uint8             to_gray       (on request)                -> uint8
    3 rows, uint8             emit          ImageNet mean, deviation    -> float32 or float16 planes, or uint8 RGBRGB

:mod:`mhpdata.drawing.vectors.steps` does the same on vectors: faster, with the same bits. Floats depend on the uint8
value only: float32(factor * value + offset), rounded once. The weights are those of :mod:`mhpdata.drawing.taps`.

Tried and slower: the horizontal stage first (it covers more rows when the image shrinks); colour conversion before the
resize (four times as much chroma to read).
"""

from __future__ import annotations

import numpy as np

from mhpdata.drawing.arguments import Norm
from mhpdata.drawing.taps import ONE
from mhpdata.kernels.arrays import Bytes, Ints, Shorts
from mhpdata.kernels.jit import callee

FLOAT32, FLOAT16, UINT8, PLANES = range(4)
"""Output formats: planes of float32 or float16, interleaved uint8, or planes of uint8."""


@callee
def vertical(
    source: Bytes, at: int, stride: int, weight: Shorts, taps: int, centred: bool, out: Shorts, count: int
) -> None:
    """Set out[:count] to the sum over k of (source[at + k * stride + x] (- 128) * weight[k] + 128) >> 8."""
    minus, half, places = np.int32(128 if centred else 0), np.int32(128), np.int32(8)
    for k in range(taps):
        w = np.int32(weight[k])
        row = source[at + k * stride : at + k * stride + count]  # LLVM vectorises a loop over a slice, from index 0
        for x in range(count):
            product = np.int32(np.int32(np.int32(row[x]) - minus) * w)
            term = np.int16(np.int32(product + half) >> places)
            out[x] = term if k == 0 else np.int16(out[x] + term)


@callee
def horizontal(
    row: Shorts, low: int, first: Ints, taps: Ints, weight: Shorts, shift: int, out: Shorts, count: int
) -> None:
    """Set out[x] to the sum over k of row[first[x] - low + k] * weight[x, k], >> shift, for x < count."""
    places = np.int32(shift)
    for x in range(count):
        begin = np.uint64(first[x] - low)  # unsigned: an index that may be negative costs a comparison per access
        total = np.int32(np.int32(row[begin]) * np.int32(weight[x, 0]))
        if taps[x] > 1:
            total = np.int32(total + np.int32(np.int32(row[begin + np.uint64(1)]) * np.int32(weight[x, 1])))
        for k in range(np.uint64(2), np.uint64(taps[x])):
            total = np.int32(total + np.int32(np.int32(row[begin + k]) * np.int32(weight[x, k])))
        out[x] = total >> places


@callee
def _byte(x: np.int32) -> np.uint8:
    rounded = np.int32(min(x, np.int32(32767 - 64)) + np.int32(64)) >> np.int32(7)
    return np.uint8(max(rounded, np.int32(0)))  # type: ignore[no-any-return]


@callee
def _share(x: np.int32, factor: np.int32) -> np.int32:
    return np.int32(np.int32(np.int32(x * factor) + np.int32(ONE)) >> np.int32(15))  # type: ignore[no-any-return]


@callee
def to_rgb(yuv: bool, rows: Shorts, out: Bytes, at: int, stride: int, count: int) -> None:
    """Convert three rows to out[at + channel * stride + x], uint8 R, G, B, for x < count.

    The rows are Y, Cb, Cr (full-range BT.601) if ``yuv``, else R, G, B.
    """
    red, green, blue = (
        out[at : at + count],
        out[at + stride : at + stride + count],
        out[at + 2 * stride : at + 2 * stride + count],
    )
    first, second, third = rows[0], rows[1], rows[2]
    if yuv:
        for x in range(count):
            y, cb, cr = np.int32(first[x]), np.int32(second[x]), np.int32(third[x])
            less = np.int32(_share(cb, np.int32(-5638)) + _share(cr, np.int32(-11700)))
            red[x] = _byte(np.int32(y + _share(cr, np.int32(22970))))
            green[x] = _byte(np.int32(y + less))
            blue[x] = _byte(np.int32(y + _share(cb, np.int32(29032))))
    else:
        for x in range(count):
            red[x], green[x], blue[x] = (
                _byte(np.int32(first[x])),
                _byte(np.int32(second[x])),
                _byte(np.int32(third[x])),
            )


@callee
def _product(value: np.uint8, factor: np.int32) -> np.int32:
    return np.int32(np.int32(value) * factor)  # type: ignore[no-any-return]


@callee
def to_gray(rgb: Bytes, at: int, stride: int, count: int) -> None:
    """Set all three channels to the luma of ITU-R 601-2, rounded as PIL's convert("L") does, in place.

    The first loop writes one row only: writing all three in it prevents its vectorisation (13 times as slow).
    """
    red, green, blue = (
        rgb[at : at + count],
        rgb[at + stride : at + stride + count],
        rgb[at + 2 * stride : at + 2 * stride + count],
    )
    for x in range(count):
        warm = np.int32(_product(red[x], np.int32(19595)) + _product(green[x], np.int32(38470)))
        luma = np.int32(warm + np.int32(_product(blue[x], np.int32(7471)) + np.int32(32768)))
        red[x] = np.uint8(luma >> np.int32(16))
    for x in range(count):
        green[x] = red[x]
    for x in range(count):
        blue[x] = red[x]


@callee
def emit(
    kind: int, rgb: Bytes, stride: int, count: int, norm: Norm, out: Bytes, start: int, plane: int, width: int
) -> None:
    """Write one row of R, G, B (uint8) to ``out`` in the format ``kind``; pixels from ``count`` to ``width`` are black.

    Args:
        kind: FLOAT32, FLOAT16 or UINT8.
        rgb: uint8, flat: three rows, ``stride`` bytes apart.
        out: uint8, flat: the whole output as bytes; ``start`` is the row's first byte, ``plane`` the bytes of a plane.
    """
    for channel in range(3):
        row, pixels = start + channel * plane, rgb[channel * stride : channel * stride + count]
        if kind == FLOAT32:
            reals = out[row : row + 4 * width].view(np.float32)
            factor, offset = np.float64(norm.factors[channel, 0]), np.float64(norm.factors[channel, 1])
            for x in range(count):
                reals[x] = np.float32(np.float64(pixels[x]) * factor + offset)
            reals[count:] = norm.floats[channel, 0]
        elif kind == FLOAT16:
            bits, half = out[row : row + 2 * width].view(np.uint16), norm.halves[channel]
            for x in range(count):
                bits[x] = half[pixels[x]]
            bits[count:] = half[0]
        else:
            mixed = out[start : start + 3 * width]
            for x in range(count):
                mixed[3 * x + channel] = pixels[x]
            mixed[3 * count :] = 0


@callee
def split_channels(pixels: Bytes, begin: int, out: Bytes, stride: int, count: int) -> None:
    """Split interleaved R, G, B into planes: out[channel * stride + i] = pixels[3 * i + channel] from ``begin`` on."""
    for i in range(begin, begin + count):
        out[i] = pixels[3 * i]
        out[stride + i] = pixels[3 * i + 1]
        out[2 * stride + i] = pixels[3 * i + 2]
