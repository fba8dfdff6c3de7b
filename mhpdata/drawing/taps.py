"""Compute the tables of a resize: per axis, the first sample, the number of taps and the weights of each pixel.

Weights are integers that sum to 16384. They are PIL's (a triangle, widened when the image shrinks), so the result is
within one level of ``Image.resize(BILINEAR)``. Chroma planes are resampled straight from their own grid by the same
rule, with samples centred between the pixels that they cover, as JFIF specifies.
"""

from __future__ import annotations

import math

import numpy as np

from mhpdata.drawing.arguments import Axes, Level, Work
from mhpdata.drawing.placement import Placement
from mhpdata.drawing.source import Source
from mhpdata.kernels.arrays import Bytes, Doubles, Ints, Shorts
from mhpdata.kernels.jit import callee, inlined

ONE = 16384
"""A weight of 1."""


def most_taps(extent: float, scaled: int) -> int:
    """Return an upper bound, even, of the taps per pixel that :func:`fill_taps` finds."""
    return 2 * math.ceil(max(1.0, extent / scaled)) + 2


@inlined
def fill_axes(source: Source, placement: Placement, work: Work) -> Axes:
    """Fill the tables of both axes of plane 0, and of planes 1 and 2 where they differ (colour YUV)."""
    colour, sizes, extents = source.colour, source.sizes, source.extents
    first, taps, weight = work.first, work.taps, work.weight
    rows = min(placement.height, placement.scaled_height - placement.top)
    columns = min(placement.width, placement.scaled_width - placement.left)
    low, span, most = work.low, work.span, work.most
    for c in range(1 + colour):
        for axis in range(2):  # the horizontal axis is the last, so its low, high and most remain
            scaled, start, count = placement.scaled_height, placement.top, rows
            if axis == 1:
                scaled, start, count = placement.scaled_width, placement.left, columns
            mirrored, i = placement.flip and axis == 1, 2 * axis + c
            low[c], high, most[c] = fill_taps(
                sizes[c, axis],
                extents[c, axis],
                scaled,
                start,
                count,
                mirrored,
                first[i],
                taps[i],
                weight[i],
                work.shares,
            )
            span[c] = high - low[c]
    return Axes(low, span, most, rows, columns)


@inlined
def fill_blur_axes(placement: Placement, work: Work) -> Axes:
    """Fill the tables of both axes for a blur of the crop itself."""
    for axis in range(2):
        i, count = 2 * axis, placement.width if axis == 1 else placement.height
        fill_blur(placement.radius, count, work.first[i], work.taps[i], work.weight[i], work.shares)
    low, span, most = work.low, work.span, work.most
    low[0], span[0], most[0] = 0, placement.width, 7
    return Axes(low, span, most, placement.height, placement.width)


@inlined
def fill_taps(
    size: int,
    extent: float,
    scaled: int,
    start: int,
    count: int,
    mirrored: bool,
    first: Ints,
    taps: Ints,
    weight: Shorts,
    share: Doubles,
) -> tuple[int, int, int]:
    """Compute the samples and weights of pixels ``start`` to ``start + count`` of an axis.

    Args:
        size: Number of samples along the axis; ``extent`` of them span the image: half its width for 4:2:0 chroma.
        scaled: Number of pixels along the axis after the resize; ``mirrored`` counts them from the other end.
        first, taps: int32 (count,), the first sample and the number of samples of each pixel, out.
        weight: int16 (count, at least the most taps), out; elements after a pixel's last tap are not written.
        share: float64 (at least the most taps,), scratch.

    Returns:
        The range of samples used (from, to), and the largest number of taps.
    """
    scale = extent / scaled
    support = max(scale, 1.0)
    low, high, most = size, 0, 0
    for i in range(count):
        x = scaled - 1 - (start + i) if mirrored else start + i
        centre = (x + 0.5) * scale
        begin = min(max(int(centre - support + 0.5), 0), size - 1)
        end = max(min(int(centre + support + 0.5), size), begin + 1)
        first[i], taps[i] = begin, end - begin
        low, high, most = min(low, begin), max(high, end), max(most, end - begin)
        if support == 1.0 and end - begin == 2:  # upsampling, half of all axes: three times as fast as _weigh
            second = centre - 0.5 - begin
            if second <= 0.5:
                weight[i, 1] = int(second * ONE + 0.5)
                weight[i, 0] = ONE - weight[i, 1]
            else:
                weight[i, 0] = int((1.0 - second) * ONE + 0.5)
                weight[i, 1] = ONE - weight[i, 0]
        else:
            _weigh(centre, 1.0 / support, begin, end - begin, share, weight[i])
    return low, high, most


@callee
def _weigh(centre: float, narrow: float, begin: int, taps: int, share: Doubles, weight: Shorts) -> None:
    """Fill the weights of one pixel: a triangle around ``centre``, rounded; the largest weight takes the remainder."""
    total = 0.0
    for k in range(taps):
        share[k] = max(0.0, 1.0 - abs(begin + k - centre + 0.5) * narrow)
        total += share[k]
    full = ONE / total if total > 0.0 else 0.0
    spare, heaviest = ONE, 0
    for k in range(taps):
        whole = int(share[k] * full + 0.5)
        weight[k] = whole
        spare -= whole
        if whole > weight[heaviest]:
            heaviest = k
    weight[heaviest] += spare


@inlined
def fill_blur(radius: float, count: int, first: Ints, taps: Ints, weight: Shorts, share: Doubles) -> None:
    """Fill the tables of a Gaussian of standard deviation ``radius`` (0 to 1 pixels): 7 taps, edges repeated."""
    total, spare = 0.0, ONE
    for k in range(7):
        share[k] = math.exp(-0.5 * ((k - 3) / radius) ** 2)
        total += share[k]
    for k in range(7):
        whole = int(share[k] / total * ONE + 0.5)
        share[k] = whole
        spare -= whole
    share[3] += spare
    for i in range(count):
        begin, end = max(i - 3, 0), min(i + 4, count)
        for k in range(weight.shape[1]):
            weight[i, k] = 0
        for k in range(7):
            weight[i, min(max(i - 3 + k, 0), count - 1) - begin] += int(share[k])
        first[i], taps[i] = begin, end - begin


@inlined
def pack_axes(level: Level, colour: int, axes: Axes, work: Work) -> tuple[int, int]:
    """Lay out the horizontal tables for vectors; return the results of :func:`pack_taps` for plane 0 and the others."""
    low, most, columns = axes.low, axes.most, axes.columns
    fits = np.zeros(2, np.int64)
    for c in range(1 + colour):
        fits[c] = pack_taps(
            level, low[c], work.first[2 + c], work.taps[2 + c], work.weight[2 + c], columns, (most[c] + 1) // 2,
            work.base[c], work.picks[c], work.packed[c],
        )  # fmt: skip
    return fits[0], fits[colour]


@inlined
def pack_taps(
    level: Level,
    low: int,
    first: Ints,
    taps: Ints,
    weight: Shorts,
    count: int,
    pairs: int,
    base: Ints,
    picks: Bytes,
    packed: Shorts,
) -> int:
    """Lay out the tables of a row for vectors, in groups of 16 outputs.

    Args:
        base: int32, out: start of each window of the row: one per 16 outputs (AVX-512, 64 words) or per 4 (AVX2, 8 or
            16 words).
        picks: uint8, out, 64 bytes per group: the words (AVX-512, int16) or bytes (AVX2) that the outputs take from
            their window.
        packed: int16, out: (group, pair, output, 2) weights.

    Returns:
        0 if a window has more words than the vectors can take, 2 if one has more than 8 with AVX2, else 1.
    """
    outputs, fits = 16 if level == 2 else 4, 1
    for begin in range(0, (count + 31) // 32 * 32, outputs):
        least, most = first[min(begin, count - 1)], 0
        for x in range(begin, min(begin + outputs, count)):
            least, most = min(least, first[x]), max(most, first[x])
        start = (least - low) // 32 * 32 + low if level == 2 else least  # 64-byte aligned where the window allows
        if level == 2 and most - start + 2 * pairs > 64:
            start = least
        if most - start + (2 * pairs if level == 2 else 2) > (64 if level == 2 else 16):
            return 0
        if level == 1 and most - start + 2 > 8:
            fits = 2
        base[begin // outputs] = start - low
        for x in range(begin, begin + outputs):
            at = first[x] - start if x < count else 0
            # the order of AVX2's pack: one vector has outputs 0-3 and 8-11 of a group, the next 4-7 and 12-15
            slot = x if level == 2 else (x & ~12) | (x & 4) << 1 | (x & 8) >> 1
            for t in range(2):
                if level == 2:
                    picks[4 * slot + 2 * t] = at + t
                    picks[4 * slot + 2 * t + 1] = 0
                else:
                    picks[4 * slot + 2 * t] = 2 * (at + t)
                    picks[4 * slot + 2 * t + 1] = 2 * (at + t) + 1
            for j in range(pairs):
                for t in range(2):
                    to = ((slot // 16 * pairs + j) * 16 + slot % 16) * 2 + t
                    packed[to] = weight[x, 2 * j + t] if x < count and 2 * j + t < taps[x] else 0
    return fits
