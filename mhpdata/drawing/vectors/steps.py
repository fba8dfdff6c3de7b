"""Run the stages of :mod:`mhpdata.drawing.plain` on vectors: the same integers, 5 to 20 times as fast.

All functions take addresses, not arrays: passing an array counts references, two atomic instructions per array, which
in loops over rows cost more than the pixels (1320 us per image instead of 500). Bounds are not checked: the caller
leaves 256 bytes of room after every row.
"""

from __future__ import annotations

import numpy as np

from mhpdata.drawing.arguments import Address, Canvas, Lanes, Level
from mhpdata.drawing.plain import FLOAT32, UINT8
from mhpdata.drawing.vectors import colouring, moving, resizing
from mhpdata.kernels.jit import callee


@callee
def vertical(
    level: Level, source: Address, stride: int, weights: Address, taps: int, centred: int, out: Address, count: int
) -> None:
    """Compute weighted sums of rows; reads up to 63 bytes past a row, and writes up to 63 values past ``count``."""
    for x in range(0, count, 32 * level):
        if level == 2:
            if centred:
                resizing.vertical_centred_512(source + x, stride, weights, taps, out + 2 * x)
            else:
                resizing.vertical_512(source + x, stride, weights, taps, out + 2 * x)
        elif centred:
            resizing.vertical_centred_256(source + x, stride, weights, taps, out + 2 * x)
        else:
            resizing.vertical_256(source + x, stride, weights, taps, out + 2 * x)


@callee
def draw_bytes(level: Level, yuv: int, count: int, out: Address, lanes: Lanes) -> None:
    """Fuse horizontal and to_rgb; writes up to the next multiple of 32 pixels."""
    if level == 2:
        for block in range((count + 31) // 32):
            if yuv:
                colouring.draw_yuv_bytes(block, out, lanes)
            else:
                colouring.draw_rgb_bytes(block, out, lanes)
    else:
        for block in range((count + 31) // 32 * 2):
            colouring.draw_bytes_256(block, out, yuv, lanes)


@callee
def draw(kind: int, yuv: int, count: int, out: Address, lanes: Lanes) -> None:
    """Fuse horizontal, to_rgb and normalise with AVX-512, as FLOAT32 or FLOAT16.

    Writes up to the next multiple of 32 pixels.
    """
    for block in range((count + 31) // 32):
        if yuv:
            if kind == FLOAT32:
                colouring.draw_yuv_float(block, out, lanes)
            else:
                colouring.draw_yuv_half(block, out, lanes)
        elif kind == FLOAT32:
            colouring.draw_rgb_float(block, out, lanes)
        else:
            colouring.draw_rgb_half(block, out, lanes)


@callee
def to_rgb(level: Level, yuv: int, rows: Address, row_stride: int, out: Address, stride: int, count: int) -> None:
    """Convert three rows to R, G, B; writes up to 31 values past ``count``."""
    for x in range(0, count, 16 * level):
        if level == 2:
            if yuv:
                colouring.yuv_to_rgb_512(rows + 2 * x, row_stride, out + x, stride)
            else:
                colouring.round_rgb_512(rows + 2 * x, row_stride, out + x, stride)
        elif yuv:
            colouring.yuv_to_rgb_256(rows + 2 * x, row_stride, out + x, stride)
        else:
            colouring.round_rgb_256(rows + 2 * x, row_stride, out + x, stride)


@callee
def normalise(level: Level, kind: int, near: bool, pixels: Address, norm: Address, out: Address, count: int) -> None:
    """Write one channel of :func:`emit`: float32 or float16 from uint8, to an aligned ``out``.

    Stores bypass the caches unless ``near``. ``count`` is rounded up to a multiple of 32.
    """
    for x in range(0, (count + 31) // 32 * 32, 16 * level):
        if level == 2 and kind == FLOAT32:
            if near:
                colouring.normalise_near_512(pixels + x, norm, out + 4 * x)
            else:
                colouring.normalise_512(pixels + x, norm, out + 4 * x)
        elif level == 2:
            if near:
                colouring.normalise_near_half_512(pixels + x, norm, out + 2 * x)
            else:
                colouring.normalise_half_512(pixels + x, norm, out + 2 * x)
        elif kind == FLOAT32:
            if near:
                colouring.normalise_near_256(pixels + x, norm, out + 4 * x)
            else:
                colouring.normalise_256(pixels + x, norm, out + 4 * x)
        elif near:
            colouring.normalise_near_half_256(pixels + x, norm, out + 2 * x)
        else:
            colouring.normalise_half_256(pixels + x, norm, out + 2 * x)


@callee
def emit(
    level: Level, rgb: Address, stride: int, count: int, norm: Address, canvas: Canvas, out: Address, spare: Address
) -> None:
    """Write one row; ``rgb`` must be black from ``count`` to the next multiple of 64.

    Args:
        norm: Address of float32 (3, 2), factor and offset of each channel.
        out: Address of the row's first byte.
        spare: Address of an aligned row, used if ``out`` is not aligned for streaming.
    """
    width = canvas.width
    if canvas.kind == UINT8:
        for x in range(0, count, 32 * level):
            if level == 2:
                moving.interleave_512(rgb + x, stride, spare + 3 * x)
            else:
                moving.interleave_256(rgb + x, stride, spare + 3 * x)
        fill(level, np.int64(0), spare + 3 * count, 3 * (width - count))
        copy(level, spare, out, 3 * width)
        return
    black = canvas.red, canvas.green, canvas.blue
    done = (count + 31) // 32 * 32 * canvas.size
    direct = width % 32 == 0 and (out | canvas.plane) % 64 == 0
    for channel in range(3):
        pixels, to = rgb + channel * stride, out + channel * canvas.plane
        if not direct:
            fill(level, np.int64(0), pixels + count, width - count)
        normalise(
            level, canvas.kind, not direct, pixels, norm + 8 * channel, to if direct else spare,
            count if direct else width,
        )  # fmt: skip
        if direct:
            stream(level, black[channel], to + done, canvas.row - done)
        else:
            copy(level, spare, to, canvas.row)


@callee
def stream(level: Level, word: int, out: Address, size: int) -> None:
    """Fill ``size`` bytes, rounded up to whole vectors, with a 4-byte word, past the caches."""
    for x in range(0, size, 32 * level):
        if level == 2:
            moving.stream_words_512(word, out + x)
        else:
            moving.stream_words_256(word, out + x)


@callee
def fill(level: Level, value: int, out: Address, size: int) -> None:
    """Fill ``size`` bytes, rounded up to whole vectors, with the byte ``value``."""
    for x in range(0, size, 32 * level):
        if level == 2:
            moving.fill_bytes_512(value, out + x)
        else:
            moving.fill_bytes_256(value, out + x)


@callee
def fill_short(value: int, out: Address, size: int) -> None:
    """Fill ``size`` bytes with AVX-512, optimised for sizes below 128; always writes at least 128 bytes.

    A loop over the vectors mispredicts its exit at every second run (60 us per image with it, 40 without).
    """
    moving.fill_bytes_512(value, out)
    moving.fill_bytes_512(value, out + 64)
    for x in range(128, size, 64):
        moving.fill_bytes_512(value, out + x)


@callee
def copy(level: Level, source: Address, out: Address, size: int) -> None:
    """Copy exactly ``size`` bytes to any address: full cache lines by streamed stores, both ends by ordinary ones.

    Tried and slower: ordinary stores for an unaligned ``out`` (crops of 473 pixels: 1230 us instead of 500, since every
    line is read before it is written), and ends as vectors that overlap streamed lines (slower still).
    """
    line = 32 * level
    first = min(-out % line, size)
    last = first + (size - first) // line * line
    _copy_end(source, out, first)
    for x in range(first, last, line):
        if level == 2:
            moving.stream_512(source + x, out + x)
        else:
            moving.stream_256(source + x, out + x)
    _copy_end(source + last, out + last, size - last)


@callee
def _copy_end(source: Address, out: Address, size: int) -> None:
    if size >= 8:
        for x in range(0, size - 8, 8):
            moving.copy_8(source + x, out + x)
        moving.copy_8(source + size - 8, out + size - 8)
    else:
        for x in range(size):
            moving.copy_byte(source + x, out + x)


@callee
def split_channels(level: Level, source: Address, out: Address, stride: int, count: int) -> None:
    """Split interleaved R, G, B of ``count`` pixels into 3 rows; writes up to 63 pixels past ``count``."""
    for x in range(0, count, 32 * level):
        if level == 2:
            moving.split_512(source + 3 * x, out + x, stride)
        else:
            moving.split_256(source + 3 * x, out + x, stride)
