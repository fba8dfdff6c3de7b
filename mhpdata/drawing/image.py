"""One sample of a shard, drawn into its place in a batch: scaled, cropped, mirrored, normalised; labels and persons
beside it.

In:  planes of uint8 (Y, Cb, Cr or R, G, B) or interleaved R, G, B, of which only the rows that the crop touches need be
     there, and the row runs of the record (docs/format.md).
Out: image float32 / float16 (3, H, W) or uint8 (H, W, 3). Labels and persons: :mod:`mhpdata.drawing.labels`.

Everything runs in one call without the GIL, in memory that the caller gives (:class:`DrawScratch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mhpdata.drawing import instructions as v
from mhpdata.drawing import plain as k
from mhpdata.drawing import vector as f
from mhpdata.drawing.placement import Placement
from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.jit import kernel

RGB, YUV = 0, 1
_SPARE = 256  # bytes that vectors may read or write behind a row


class Norm(NamedTuple):
    """uint8 -> float: float32(factor * value + offset); and the same as tables."""

    factors: np.ndarray
    floats: np.ndarray
    halves: np.ndarray


def normalisation(mean: tuple[float, ...] = MEAN, deviation: tuple[float, ...] = DEVIATION) -> Norm:
    """The tables of (value / 255 - mean) / deviation, for R, G, B."""
    factors = np.array([(1 / (255 * d), -m / d) for m, d in zip(mean, deviation, strict=True)], np.float32)
    exact = factors[:, :1].astype(np.float64) * np.arange(256) + factors[:, 1:].astype(np.float64)
    floats = exact.astype(np.float32)
    return Norm(factors, floats, floats.astype(np.float16).view(np.uint16))


class Source(NamedTuple):
    """Where the rows of a picture's three planes lie in a buffer.

    ``at``: int64 (3,), where row 0 of each plane would begin; it may be negative where the first rows were not read.
    ``stride``: int64 (3,), bytes from row to row. ``sizes``: int64 (2, 2): (height, width) of plane 0, and of planes 1
    and 2. ``extents``: float64 (2, 2): how many of these samples span the picture (half its size for 4:2:0 chroma).
    """

    colour: int
    at: np.ndarray
    stride: np.ndarray
    sizes: np.ndarray
    extents: np.ndarray


class Planes(NamedTuple):
    """The shape of a picture's three planes: (height, width) of each, how many samples of it span the picture, and
    arrays."""

    sizes: tuple[tuple[int, int], ...]
    extents: tuple[tuple[float, float], ...]
    stride: np.ndarray
    size_array: np.ndarray
    extent_array: np.ndarray


@lru_cache(maxsize=4096)
def planes_of(colour: int, size: tuple[int, int]) -> Planes:
    """Planes of R, G, B, or of Y and half as many Cb and Cr each way."""
    height, width = size
    half = ((height + 1) // 2, (width + 1) // 2) if colour == YUV else size
    extent = (height / 2, width / 2) if colour == YUV else (float(height), float(width))
    sizes, extents = (size, half, half), ((float(height), float(width)), extent, extent)
    return Planes(sizes, extents, np.array([s[1] for s in sizes]), np.array(sizes[:2]), np.array(extents[:2]))


def planar(
    colour: int, size: tuple[int, int], missing: Sequence[tuple[int, int]] = ((0, 0),) * 3, gap: int = 0
) -> Source:
    """Planes ``gap`` bytes apart, each without its first ``missing[p][0]`` and last ``missing[p][1]`` rows."""
    planes = planes_of(colour, size)
    at, start = np.empty(3, np.int64), 0
    for p, ((rows, columns), (before, behind)) in enumerate(zip(planes.sizes, missing, strict=True)):
        at[p] = start - before * columns
        start += (rows - before - behind) * columns + gap
    return Source(colour, at, planes.stride, planes.size_array, planes.extent_array)


class DrawScratch:
    """The working memory of one thread: tables and rows. It grows to the largest sample and stays."""

    def __init__(self) -> None:
        self._key: tuple[int, ...] = ()

    def fit(self, height: int, width: int, columns: int, taps: int, blurred: bool) -> None:
        """Make room for a crop, ``columns`` of source and tables of ``taps``."""
        wanted = (height, width, columns, taps, int(blurred))
        if self._key and all(new <= old for new, old in zip(wanted, self._key, strict=True)):
            return
        key = height, width, columns, taps, sharp = tuple(map(max, wanted, self._key or wanted))
        n = (max(height, width) + 31) // 32 * 32
        self.first = np.zeros((4, n), np.int32)
        self.taps = np.zeros((4, n), np.int32)
        self.weight = np.zeros((4, n, taps), np.int16)
        self.base = np.zeros((2, n // 4), np.int32)
        self.index = aligned((2, n * 4), np.uint8)
        self.packed = aligned((2, n * taps), np.int16)
        self.sums = aligned((3, columns + _SPARE + 2 * taps), np.int16)
        self.pixels = aligned((3, width + _SPARE), np.int16)
        self.rgb = aligned((3 * ((width + _SPARE) // 64 * 64),), np.uint8)
        self.spare = aligned((4 * (width + _SPARE),), np.uint8)
        self.sharp = aligned((height * self.rgb.size * sharp,), np.uint8)
        self.columns = np.zeros(columns + _SPARE, np.int32)
        self.line = aligned((2, width + _SPARE), np.uint8)
        self._key = key

    def arrays(self) -> tuple[np.ndarray, ...]:
        """As :func:`_draw` wants them."""
        return (
            self.first, self.taps, self.weight, self.base, self.index, self.packed,
            self.sums, self.pixels, self.rgb, self.spare, self.sharp,
        )  # fmt: skip


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros whose rows all begin on 64-byte boundaries (a vector across two cache lines costs two loads).

    Rows may come out longer than asked for, so that the array is contiguous: of another kind, all kernels would be
    compiled anew.
    """
    size = np.dtype(dtype).itemsize
    row = -(-shape[-1] * size // 64) * 64
    memory = np.zeros(int(np.prod(shape[:-1])) * row + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    rows = memory[begin : begin + memory.size - 64].reshape(*shape[:-1], row)
    whole: np.ndarray = rows.view(dtype)
    return whole[: shape[0]] if len(shape) == 1 else whole


def touched(size: int, extent: float, scaled: int, start: int, count: int, mirrored: bool) -> tuple[int, int]:
    """The samples (from, to) that pixels start .. start + count of an axis can need; the same arithmetic as the
    tables."""
    if mirrored:
        start = scaled - start - count
    scale = extent / scaled
    support = max(scale, 1.0)
    low = min(max(int((start + 0.5) * scale - support + 0.5), 0), size - 1)
    high = min(int((start + count - 0.5) * scale + support + 0.5), size)
    return low, max(high, low + 1)


def draw_image(
    level: int,
    buffer: np.ndarray,
    source: Source,
    place: Placement,
    kind: int,
    norm: Norm,
    out: np.ndarray,
    scratch: DrawScratch,
) -> None:
    """Draw a picture into ``out``.

    Args:
        buffer: uint8, flat, with at least 64 bytes behind the last row.
        kind: FLOAT32, FLOAT16 or UINT8 of :mod:`mhpdata.drawing.plain`.
        out: uint8, flat: the memory of this sample in the batch.
    """
    (height, width), _ = source.extents.tolist()
    most = max(k.most_taps(height, place.scaled_height), k.most_taps(width, place.scaled_width), 8)
    columns = max(int(source.sizes[0, 1]), place.width)  # blur runs over the crop itself
    scratch.fit(place.height, place.width, columns, most, place.radius > 0.0)
    _draw(
        level, source.colour, buffer, source.at, source.stride, source.sizes, source.extents,
        place.scaled_height, place.scaled_width, place.top, place.left, place.height, place.width,
        place.flip, place.radius, place.gray, kind, norm.factors, norm.floats, norm.halves, out, *scratch.arrays(),
    )  # fmt: skip


@kernel
def _draw(
    level: Any,
    colour: Any,
    buffer: Any,
    at: Any,
    stride: Any,
    sizes: Any,
    extents: Any,
    scaled_height: Any,
    scaled_width: Any,
    top: Any,
    left: Any,
    height: Any,
    width: Any,
    flip: Any,
    radius: Any,
    gray: Any,
    kind: Any,
    factors: Any,
    floats: Any,
    halves: Any,
    out: Any,
    first: Any,
    taps: Any,
    weight: Any,
    base: Any,
    index: Any,
    packed: Any,
    sums: Any,
    pixels: Any,
    rgb: Any,
    spare: Any,
    sharp: Any,
) -> Any:
    rows, columns = min(height, scaled_height - top), min(width, scaled_width - left)
    low, span, most = np.zeros((3, 2), np.int64)
    for c in range(1 + colour):
        k.fill_taps(sizes[c, 0], extents[c, 0], scaled_height, top, rows, False, first[c], taps[c], weight[c])
        low[c], high, most[c] = k.fill_taps(
            sizes[c, 1], extents[c, 1], scaled_width, left, columns, flip, first[2 + c], taps[2 + c], weight[2 + c]
        )
        span[c] = high - low[c]
    blurred = radius > 0.0
    pitch = rgb.size // 3
    _resample(
        level, colour, buffer, at, stride, low, span, most, rows, columns,
        k.PLANES if blurred else kind, gray and not blurred, factors, floats, halves,
        sharp if blurred else out, height, width, pitch,
        first, taps, weight, base, index, packed, sums, pixels, rgb, spare,
    )  # fmt: skip
    if blurred:
        for axis, count in ((0, height), (2, width)):
            k.fill_blur(radius, count, first[axis], taps[axis], weight[axis])
        low[0], span[0], most[0] = 0, width, 7
        _resample(
            level, RGB, sharp, np.arange(3) * height * pitch, np.full(3, pitch), low, span, most, height, width,
            kind, gray, factors, floats, halves, out, height, width, pitch,
            first, taps, weight, base, index, packed, sums, pixels, rgb, spare,
        )  # fmt: skip
    v.fence()


@kernel
def _resample(
    level: Any,
    colour: Any,
    buffer: Any,
    at: Any,
    stride: Any,
    low: Any,
    span: Any,
    most: Any,
    rows: Any,
    columns: Any,
    kind: Any,
    gray: Any,
    factors: Any,
    floats: Any,
    halves: Any,
    out: Any,
    height: Any,
    width: Any,
    pitch: Any,
    first: Any,
    taps: Any,
    weight: Any,
    base: Any,
    index: Any,
    packed: Any,
    sums: Any,
    pixels: Any,
    rgb: Any,
    spare: Any,
) -> Any:
    """Rows and columns of the picture by their tables, the rest of height x width black."""
    pairs = (most + 1) // 2
    along = np.zeros(2, np.int64)
    for c in range(1 + colour):
        if level > 0 and f.pack_taps(
            level, low[c], first[2 + c], taps[2 + c], weight[2 + c], columns, pairs[c], base[c], index[c], packed[c]
        ):
            along[c] = level
    black = (_black(kind, 0, floats, halves), _black(kind, 1, floats, halves), _black(kind, 2, floats, halves))
    pixels[:] = 0
    rgb[:] = 0
    if kind == k.PLANES:
        out[:] = 0
    size = 4 if kind == k.FLOAT32 else 2
    plane = 0 if kind == k.UINT8 else height * width * size
    # addresses are taken once: each taking counts references, which in the loop costs as much as the pixels
    from_, to, row, weights = address(buffer), address(out), address(sums), address(weight)
    line, norm, bytes_, room = address(pixels), address(factors), address(rgb), address(spare)
    bases, indices, packs = address(base), address(index), address(packed)
    tables = (
        row, sums.strides[0], bases, base.strides[0], indices, index.strides[0], packs, packed.strides[0], pairs[0],
        pairs[1], norm,
    )  # fmt: skip
    fused = level == 2 and along[0] > 0 and along[colour] > 0
    straight = fused and kind <= k.FLOAT16 and not gray and width % 32 == 0 and (to | plane) % 64 == 0
    done = (columns + 31) // 32 * 32
    padded = rows
    for y in range(rows if straight else height):
        start = 3 * y * width if kind == k.UINT8 else y * width * size
        at_rgb, step = (y * pitch, height * pitch) if kind == k.PLANES else (0, pitch)
        to_rgb = (to if kind == k.PLANES else bytes_) + at_rgb
        if y < rows:
            for p in range(3):
                c = min(p, colour)
                begin = at[p] + first[c, y] * stride[p] + low[c]
                if level:
                    w = weights + c * weight.strides[0] + y * weight.strides[1]
                    f.vertical(level, from_ + begin, stride[p], w, taps[c, y], c, row + p * sums.strides[0], span[c])
                else:
                    k.vertical(buffer, begin, stride[p], weight[c, y], taps[c, y], c == 1, sums[p], span[c])
                if level == 1 and along[c]:
                    f.horizontal(
                        row + p * sums.strides[0], bases + c * base.strides[0], indices + c * index.strides[0],
                        packs + c * packed.strides[0], pairs[c], 13 - c, line + p * pixels.strides[0], columns,
                    )  # fmt: skip
                elif not fused:
                    k.horizontal(sums[p], low[c], first[2 + c], taps[2 + c], weight[2 + c], 13 - c, pixels[p], columns)
                if straight:  # the padding's stores go on under the next sums: 6 % less than padding afterwards
                    f.stream(level, black[p], to + start + p * plane + done * size, (width - done) * size)
                    for below in range(padded, rows + (y + 1) * (height - rows) // rows):
                        f.stream(level, black[p], to + below * width * size + p * plane, width * size)
            if straight:
                padded = rows + (y + 1) * (height - rows) // rows
                f.draw(kind, colour, columns, to + start, (*tables, plane))
                continue
            if fused:
                f.draw(k.PLANES, colour, columns, to_rgb, (*tables, step))
            elif level:
                f.to_rgb(level, colour, line, pixels.strides[0], to_rgb, step, columns)
            else:
                k.to_rgb(colour == YUV, pixels, out if kind == k.PLANES else rgb, at_rgb, step, columns)
        if gray:
            k.to_gray(rgb, 0, pitch, columns)
        if kind == k.PLANES:
            continue
        count = columns if y < rows else 0
        if level:
            f.emit(level, kind, bytes_, pitch, count, norm, black, to + start, plane, width, room)
        else:
            k.emit(kind, rgb, pitch, count, factors, floats, halves, out, start, plane, width)


@kernel
def address(array: Any) -> Any:
    """Where an array begins, as an integer."""
    return np.int64(array.ctypes.data)


@kernel
def _black(kind: Any, channel: Any, floats: Any, halves: Any) -> Any:
    """The 4 bytes that black is, over and over, in a channel of the output."""
    if kind == k.FLOAT32:
        return np.int64(floats[channel : channel + 1, 0].view(np.uint32)[0])
    return np.int64(halves[channel, 0]) * 65537


def split_channels(level: int, pixels: np.ndarray, begin: int, end: int, out: np.ndarray, stride: int) -> None:
    """Pixels begin .. end of interleaved R, G, B -> the same places of three planes, ``stride`` apart in ``out``.

    May write up to 63 bytes behind each plane, of which ``out`` needs as many behind the last, and as ``pixels`` to
    read 192.
    """
    _split_channels(level, pixels, begin, end - begin, out, stride)


@kernel
def _split_channels(level: Any, pixels: Any, begin: Any, count: Any, out: Any, stride: Any) -> Any:
    if level == 0:
        k.split_channels(pixels, begin, out, stride, count)
    else:
        f.split_channels(level, address(pixels) + 3 * begin, address(out) + begin, stride, count)


def draw_planes(data: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The whole picture of yuv420 planes: uint8 (height, width, 3), RGB."""
    out = np.empty((*size, 3), np.uint8)
    buffer = np.concatenate([data, np.zeros(64, np.uint8)])
    source = planar(YUV, size)
    place = Placement(*size, 0, 0, *size)
    draw_image(v.LEVEL, buffer, source, place, k.UINT8, normalisation(), out.reshape(-1), DrawScratch())
    return out
