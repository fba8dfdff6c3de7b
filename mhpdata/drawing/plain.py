"""The steps of drawing one row of a crop, as plain loops that can be read (and that run where there are no vectors).

A row of the output is made in five steps, each over one row, so that all between source and output stays in the nearest
cache::

    source rows, uint8        vertical      weighted sum of rows        -> int16, 1/64 levels (chroma: minus 128)
    a row, int16              horizontal    weighted sums along the row -> int16, 1/128 levels (chroma: 1/256)
    3 rows, int16             to_rgb        colour, one rounding        -> uint8 R, G, B: what all variants agree on
    3 rows, uint8             to_gray       (on request)                -> uint8
    3 rows, uint8             emit          ImageNet mean, deviation    -> float32 or float16 planes, or uint8 RGBRGB

The rule: :mod:`mhpdata.drawing.vector` has the same steps on vectors, and changes the speed and never a bit of the
result. Floats are a function of the uint8 value alone: float32(factor * value + offset), rounded once.

Weights are integers that sum to 16384. They are PIL's (triangle, widened when the picture shrinks), so the result is
within one level of ``Image.resize(BILINEAR)``. Chroma planes are resampled straight from their own grid by the same
rule, with samples centred between the pixels they cover, as JFIF says.

Tried and lost: horizontal pass first (it runs over more rows when the picture shrinks); colour before the resize (four
times the chroma to touch).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mhpdata.jit import kernel

ONE = 16384
"""A weight of 1."""
FLOAT32, FLOAT16, UINT8, PLANES = range(4)
"""What ``emit`` writes: planes of float32 or float16, interleaved uint8, or planes of uint8."""


# -------------------------------------------------------------------------------------------------- tables


def most_taps(extent: float, scaled: int) -> int:
    """An even number of taps that is enough for :func:`fill_taps`."""
    return 2 * math.ceil(max(1.0, extent / scaled)) + 2


@kernel
def fill_taps(
    size: Any, extent: Any, scaled: Any, start: Any, count: Any, mirrored: Any, first: Any, taps: Any, weight: Any
) -> Any:
    """Which samples make pixels start .. start + count of an axis, and with what weights.

    Args:
        size: samples along the axis; ``extent`` (float) of them span the picture: half its width for 4:2:0 chroma.
        scaled: pixels along the axis after the resize. ``mirrored`` counts them from the other end.
        first, taps: int32 (count,), the first sample and how many, out.
        weight: int16 (count, at least as many), out; what stands behind the last is not touched.

    Returns:
        The samples touched: from, to, and the largest number of taps.
    """
    scale = extent / scaled
    support = max(scale, 1.0)
    narrow = 1.0 / support
    share = np.empty(weight.shape[1])
    low, high, most = size, 0, 0
    for i in range(count):
        x = scaled - 1 - (start + i) if mirrored else start + i
        centre = (x + 0.5) * scale
        begin = min(max(int(centre - support + 0.5), 0), size - 1)
        end = max(min(int(centre + support + 0.5), size), begin + 1)
        first[i], taps[i] = begin, end - begin
        low, high, most = min(low, begin), max(high, end), max(most, end - begin)
        if support == 1.0 and end - begin == 2:  # enlarged: half of all axes, three times as fast as what follows
            second = centre - 0.5 - begin
            if second <= 0.5:
                weight[i, 1] = int(second * ONE + 0.5)
                weight[i, 0] = ONE - weight[i, 1]
            else:
                weight[i, 0] = int((1.0 - second) * ONE + 0.5)
                weight[i, 1] = ONE - weight[i, 0]
            continue
        total = 0.0
        for k in range(end - begin):
            share[k] = max(0.0, 1.0 - abs(begin + k - centre + 0.5) * narrow)
            total += share[k]
        full = ONE / total if total > 0.0 else 0.0
        spare, heaviest = ONE, 0
        for k in range(end - begin):
            whole = int(share[k] * full + 0.5)
            weight[i, k] = whole
            spare -= whole
            if whole > weight[i, heaviest]:
                heaviest = k
        weight[i, heaviest] += spare
    return low, high, most


@kernel
def fill_blur(radius: Any, count: Any, first: Any, taps: Any, weight: Any) -> Any:
    """A Gaussian of standard deviation ``radius`` (0 to 1), 7 taps, the edge repeated: tables as of
    :func:`fill_taps`."""
    bell = np.exp(-0.5 * (np.arange(-3, 4) / radius) ** 2)
    whole = np.floor(bell / bell.sum() * ONE + 0.5).astype(np.int64)
    whole[3] += ONE - whole.sum()
    for i in range(count):
        begin, end = max(i - 3, 0), min(i + 4, count)
        weight[i, :] = 0
        for k in range(7):
            weight[i, min(max(i - 3 + k, 0), count - 1) - begin] += whole[k]
        first[i], taps[i] = begin, end - begin


# --------------------------------------------------------------------------------------------------- steps


@kernel
def vertical(source: Any, at: Any, stride: Any, weight: Any, taps: Any, centred: Any, out: Any, count: Any) -> Any:
    """out[:count] = sum over k of (source[at + k * stride + x] (- 128) * weight[k] + 128) >> 8."""
    minus, half, places = np.int32(128 if centred else 0), np.int32(128), np.int32(8)
    for k in range(taps):
        w = np.int32(weight[k])
        row = source[at + k * stride : at + k * stride + count]  # a slice counts from 0, so its loop becomes vectors
        for x in range(count):
            product = np.int32(np.int32(np.int32(row[x]) - minus) * w)
            term = np.int16(np.int32(product + half) >> places)
            out[x] = term if k == 0 else np.int16(out[x] + term)


@kernel
def horizontal(row: Any, low: Any, first: Any, taps: Any, weight: Any, shift: Any, out: Any, count: Any) -> Any:
    """out[x] = sum over k of row[first[x] - low + k] * weight[x, k], >> shift, for x < count."""
    places = np.int32(shift)
    for x in range(count):
        begin = np.uint64(first[x] - low)  # unsigned: an index that could be negative costs a comparison each time
        total = np.int32(np.int32(row[begin]) * np.int32(weight[x, 0]))
        if taps[x] > 1:
            total = np.int32(total + np.int32(np.int32(row[begin + np.uint64(1)]) * np.int32(weight[x, 1])))
        for k in range(np.uint64(2), np.uint64(taps[x])):
            total = np.int32(total + np.int32(np.int32(row[begin + k]) * np.int32(weight[x, k])))
        out[x] = total >> places


@kernel
def _byte(x: Any) -> Any:
    rounded = np.int32(min(x, np.int32(32767 - 64)) + np.int32(64)) >> np.int32(7)
    return np.uint8(max(rounded, np.int32(0)))


@kernel
def _share(x: Any, factor: Any) -> Any:
    return np.int32(np.int32(x * np.int32(factor)) + np.int32(ONE)) >> np.int32(15)


@kernel
def to_rgb(yuv: Any, rows: Any, out: Any, at: Any, stride: Any, count: Any) -> Any:
    """Three rows -> out[at + channel * stride + x], uint8 R, G, B, for x < count; full-range BT.601 where ``yuv``."""
    red, green, blue = (
        out[at : at + count],
        out[at + stride : at + stride + count],
        out[at + 2 * stride : at + 2 * stride + count],
    )
    first, second, third = rows[0], rows[1], rows[2]
    if yuv:
        for x in range(count):
            y, cb, cr = np.int32(first[x]), np.int32(second[x]), np.int32(third[x])
            red[x] = _byte(np.int32(y + _share(cr, 22970)))
            green[x] = _byte(np.int32(np.int32(y + _share(cb, -5638)) + _share(cr, -11700)))
            blue[x] = _byte(np.int32(y + _share(cb, 29032)))
    else:
        for x in range(count):
            red[x], green[x], blue[x] = (
                _byte(np.int32(first[x])),
                _byte(np.int32(second[x])),
                _byte(np.int32(third[x])),
            )


@kernel
def _product(value: Any, factor: Any) -> Any:
    return np.int32(np.int32(value) * np.int32(factor))


@kernel
def to_gray(rgb: Any, at: Any, stride: Any, count: Any) -> Any:
    """Give all three channels the luma of ITU-R 601-2, as PIL's convert("L") rounds it; in place.

    One row is written while three are read: written at once, the three keep the loop from becoming vectors (13 x).
    """
    red, green, blue = (
        rgb[at : at + count],
        rgb[at + stride : at + stride + count],
        rgb[at + 2 * stride : at + 2 * stride + count],
    )
    for x in range(count):
        warm = np.int32(_product(red[x], 19595) + _product(green[x], 38470))
        luma = np.int32(warm + np.int32(_product(blue[x], 7471) + np.int32(32768)))
        red[x] = np.uint8(luma >> np.int32(16))
    for x in range(count):
        green[x] = red[x]
    for x in range(count):
        blue[x] = red[x]


@kernel
def emit(
    kind: Any,
    rgb: Any,
    stride: Any,
    count: Any,
    norm: Any,
    floats: Any,
    halves: Any,
    out: Any,
    start: Any,
    plane: Any,
    width: Any,
) -> Any:
    """Write one row of R, G, B (uint8) to ``out`` as ``kind`` says; pixels from ``count`` to ``width`` are black.

    Args:
        floats, halves: float32 and uint16 (3, 256), what each value of each channel becomes.
        out: uint8, flat: the whole output as bytes; ``start`` is the row's first byte, ``plane`` the bytes of a plane.
    """
    for channel in range(3):
        row, pixels = start + channel * plane, rgb[channel * stride : channel * stride + count]
        if kind == FLOAT32:
            reals = out[row : row + 4 * width].view(np.float32)
            factor, offset = np.float64(norm[channel, 0]), np.float64(norm[channel, 1])
            for x in range(count):
                reals[x] = np.float32(np.float64(pixels[x]) * factor + offset)
            reals[count:] = floats[channel, 0]
        elif kind == FLOAT16:
            bits, half = out[row : row + 2 * width].view(np.uint16), halves[channel]
            for x in range(count):
                bits[x] = half[pixels[x]]
            bits[count:] = half[0]
        else:
            mixed = out[start : start + 3 * width]
            for x in range(count):
                mixed[3 * x + channel] = pixels[x]
            mixed[3 * count :] = 0


@kernel
def split_channels(pixels: Any, begin: Any, out: Any, stride: Any, count: Any) -> Any:
    """Interleaved R, G, B -> planes: out[channel * stride + i] = pixels[3 * (begin + i) + channel], from out's own
    ``begin``."""
    for i in range(begin, begin + count):
        out[i] = pixels[3 * i]
        out[stride + i] = pixels[3 * i + 1]
        out[2 * stride + i] = pixels[3 * i + 2]
