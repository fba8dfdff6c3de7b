"""The steps of :mod:`mhpdata.drawing.plain` on vectors: the same integers, 5 to 20 times as fast.

All are given addresses, not arrays: passing an array to a function counts references, two atomic instructions an array,
which in loops over rows cost more than the pixels (tried: 1320 us an image instead of 500). So these write where they
are told: the caller leaves 256 bytes of room behind every row.

``level`` is 1 (AVX2) or 2 (AVX-512); see :mod:`mhpdata.drawing.instructions`.
"""

from __future__ import annotations

from typing import Any

from mhpdata.drawing import instructions as v
from mhpdata.drawing import instructions_bytes as b
from mhpdata.drawing.plain import FLOAT16, FLOAT32, UINT8
from mhpdata.jit import kernel


@kernel
def pack_taps(
    level: Any, low: Any, first: Any, taps: Any, weight: Any, count: Any, pairs: Any, base: Any, index: Any, packed: Any
) -> Any:
    """Lay the tables of a row out for ``horizontal``'s vectors: 16 outputs a group. False where a window is too narrow.

    Args:
        base: int32, out: where each window of the row starts: one for 16 outputs (AVX-512, 64 words) or for 4 (AVX2, 8
            words).
        index: uint8, out, 64 bytes a group: which words (AVX-512, int16) or bytes (AVX2) of the window the outputs
            take.
        packed: int16, out: (group, pair, output, 2) weights.
    """
    outputs = 16 if level == 2 else 4
    for begin in range(0, (count + 31) // 32 * 32, outputs):
        least, most = first[min(begin, count - 1)], 0
        for x in range(begin, min(begin + outputs, count)):
            least, most = min(least, first[x]), max(most, first[x])
        start = (least - low) // 32 * 32 + low if level == 2 else least  # on a 64-byte boundary where there is room
        if level == 2 and most - start + 2 * pairs > 64:
            start = least
        if most - start + (2 * pairs if level == 2 else 2) > (64 if level == 2 else 8):
            return False
        base[begin // outputs] = start - low
        for x in range(begin, begin + outputs):
            at = first[x] - start if x < count else 0
            for t in range(2):
                if level == 2:
                    index[4 * x + 2 * t] = at + t
                    index[4 * x + 2 * t + 1] = 0
                else:
                    index[4 * x + 2 * t] = 2 * (at + t)
                    index[4 * x + 2 * t + 1] = 2 * (at + t) + 1
            for j in range(pairs):
                for t in range(2):
                    to = ((x // 16 * pairs + j) * 16 + x % 16) * 2 + t
                    packed[to] = weight[x, 2 * j + t] if x < count and 2 * j + t < taps[x] else 0
    return True


@kernel
def vertical(level: Any, source: Any, stride: Any, weights: Any, taps: Any, centred: Any, out: Any, count: Any) -> Any:
    """May read up to 63 bytes behind a row, and writes up to 63 values behind ``count``."""
    for x in range(0, count, 32 * level):
        if level == 2:
            if centred:
                v.vertical_centred_512(source + x, stride, weights, taps, out + 2 * x)
            else:
                v.vertical_512(source + x, stride, weights, taps, out + 2 * x)
        elif centred:
            v.vertical_centred_256(source + x, stride, weights, taps, out + 2 * x)
        else:
            v.vertical_256(source + x, stride, weights, taps, out + 2 * x)


@kernel
def horizontal(row: Any, base: Any, index: Any, weights: Any, pairs: Any, shift: Any, out: Any, count: Any) -> Any:
    """AVX2; tables of :func:`pack_taps`. Writes 0 behind ``count``, to the next multiple of 16."""
    for group in range((count + 15) // 16):
        taken, begin, to = index + 64 * group, weights + 64 * pairs * group, out + 32 * group
        v.horizontal_256(row, base + 16 * group, taken, begin, pairs, shift, to)
        v.horizontal_256(row, base + 16 * group + 8, taken + 32, begin + 32, pairs, shift, to + 16)


@kernel
def draw(kind: Any, yuv: Any, count: Any, out: Any, tables: Any) -> Any:
    """AVX-512: horizontal, to_rgb and, for FLOAT32 and FLOAT16, normalise in one; else to bytes. To a multiple of 32
    pixels.

    ``tables``: what the steps of :mod:`mhpdata.drawing.instructions` named draw take behind ``out``.
    """
    for block in range((count + 31) // 32):
        if yuv:
            if kind == FLOAT32:
                v.draw_yuv_float(block, out, *tables)
            elif kind == FLOAT16:
                v.draw_yuv_half(block, out, *tables)
            else:
                v.draw_yuv_bytes(block, out, *tables)
        elif kind == FLOAT32:
            v.draw_rgb_float(block, out, *tables)
        elif kind == FLOAT16:
            v.draw_rgb_half(block, out, *tables)
        else:
            v.draw_rgb_bytes(block, out, *tables)


@kernel
def to_rgb(level: Any, yuv: Any, rows: Any, row_stride: Any, out: Any, stride: Any, count: Any) -> Any:
    """Writes up to 31 values behind ``count``."""
    for x in range(0, count, 16 * level):
        if level == 2:
            if yuv:
                v.yuv_to_rgb_512(rows + 2 * x, row_stride, out + x, stride)
            else:
                v.round_rgb_512(rows + 2 * x, row_stride, out + x, stride)
        elif yuv:
            v.yuv_to_rgb_256(rows + 2 * x, row_stride, out + x, stride)
        else:
            v.round_rgb_256(rows + 2 * x, row_stride, out + x, stride)


@kernel
def normalise(level: Any, kind: Any, near: Any, pixels: Any, norm: Any, out: Any, count: Any) -> Any:
    """One channel of ``emit``: float32 or float16 from uint8, to an aligned ``out``, past the caches unless ``near``.

    ``count`` is rounded up to a multiple of 32.
    """
    for x in range(0, (count + 31) // 32 * 32, 16 * level):
        if level == 2 and kind == FLOAT32:
            if near:
                v.normalise_near_512(pixels + x, norm, out + 4 * x)
            else:
                v.normalise_512(pixels + x, norm, out + 4 * x)
        elif level == 2:
            if near:
                v.normalise_near_half_512(pixels + x, norm, out + 2 * x)
            else:
                v.normalise_half_512(pixels + x, norm, out + 2 * x)
        elif kind == FLOAT32:
            if near:
                v.normalise_near_256(pixels + x, norm, out + 4 * x)
            else:
                v.normalise_256(pixels + x, norm, out + 4 * x)
        elif near:
            v.normalise_near_half_256(pixels + x, norm, out + 2 * x)
        else:
            v.normalise_half_256(pixels + x, norm, out + 2 * x)


@kernel
def emit(
    level: Any,
    kind: Any,
    rgb: Any,
    stride: Any,
    count: Any,
    norm: Any,
    black: Any,
    out: Any,
    plane: Any,
    width: Any,
    spare: Any,
) -> Any:
    """Write one row; ``rgb`` is black from ``count`` to the next multiple of 64.

    Args:
        norm: address of float32 (3, 2), factor and offset of each channel.
        black: the three 4-byte words that black is in ``out``.
        out: address of the row; ``plane`` bytes from channel to channel.
        spare: address of an aligned row, used where ``out`` is not aligned for streaming.
    """
    if kind == UINT8:
        for x in range(0, count, 32 * level):
            if level == 2:
                b.interleave_512(rgb + x, stride, spare + 3 * x)
            else:
                b.interleave_256(rgb + x, stride, spare + 3 * x)
        fill(level, 0, spare + 3 * count, 3 * (width - count))
        copy(level, spare, out, 3 * width)
        return
    size = 4 if kind == FLOAT32 else 2
    done = (count + 31) // 32 * 32
    direct = width % 32 == 0 and (out | plane) % 64 == 0
    for channel in range(3):
        pixels, scale, to = rgb + channel * stride, norm + 8 * channel, out + channel * plane
        if direct:
            normalise(level, kind, False, pixels, scale, to, count)
            stream(level, black[channel], to + done * size, (width - done) * size)
        else:
            fill(level, 0, pixels + count, width - count)
            normalise(level, kind, True, pixels, scale, spare, width)
            copy(level, spare, to, width * size)


@kernel
def stream(level: Any, word: Any, out: Any, size: Any) -> Any:
    """Fill ``size`` bytes, rounded up to whole vectors, with a 4-byte word, past the caches."""
    for x in range(0, size, 32 * level):
        if level == 2:
            b.stream_words_512(word, out + x)
        else:
            b.stream_words_256(word, out + x)


@kernel
def fill(level: Any, value: Any, out: Any, size: Any) -> Any:
    """Fill ``size`` bytes, rounded up to whole vectors, with a byte."""
    for x in range(0, size, 32 * level):
        if level == 2:
            b.fill_bytes_512(value, out + x)
        else:
            b.fill_bytes_256(value, out + x)


@kernel
def fill_short(level: Any, value: Any, out: Any, size: Any) -> Any:
    """:func:`fill` where most sizes are below 128, and 128 bytes are always written: foretelling the turns of a loop
    fails at every second run (60 us an image with it, 40 without)."""
    if level == 2:
        b.fill_bytes_512(value, out)
        b.fill_bytes_512(value, out + 64)
    else:
        for x in range(0, 128, 32):
            b.fill_bytes_256(value, out + x)
    if size > 128:
        fill(level, value, out + 128, size - 128)


@kernel
def copy(level: Any, source: Any, out: Any, size: Any) -> Any:
    """Copy exactly ``size`` bytes to anywhere: whole lines of memory past the caches, what is left of both ends by
    itself.

    Tried and lost: ordinary stores where ``out`` is not aligned (a crop of 473: 1230 us instead of 500, since every
    line is read before it is written), and ends as vectors over lines that are streamed, too (worse still).
    """
    step = 32 * level
    first = min(-out % step, size)
    last = first + (size - first) // step * step
    _copy_end(source, out, first)
    for x in range(first, last, step):
        if level == 2:
            b.stream_512(source + x, out + x)
        else:
            b.stream_256(source + x, out + x)
    _copy_end(source + last, out + last, size - last)


@kernel
def _copy_end(source: Any, out: Any, size: Any) -> Any:
    if size >= 8:
        for x in range(0, size - 8, 8):
            b.copy_8(source + x, out + x)
        b.copy_8(source + size - 8, out + size - 8)
    else:
        for x in range(size):
            b.copy_byte(source + x, out + x)


@kernel
def split_channels(level: Any, source: Any, out: Any, stride: Any, count: Any) -> Any:
    """Interleaved R, G, B of ``count`` pixels -> 3 rows; writes up to 63 pixels more."""
    for x in range(0, count, 32 * level):
        if level == 2:
            b.split_512(source + 3 * x, out + x, stride)
        else:
            b.split_256(source + 3 * x, out + x, stride)
