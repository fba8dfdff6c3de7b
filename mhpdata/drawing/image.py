"""Draw one image of a shard into its slice of a batch: scaled, cropped, mirrored, blurred, normalised.

In:  planes of uint8 (Y, Cb, Cr or R, G, B); only the rows that the crop touches are needed.
Out: float32 / float16 (3, H, W) or uint8 (H, W, 3). Labels and persons: :mod:`mhpdata.drawing.labels`.

Everything runs in one call without the GIL, in buffers of the caller (:class:`DrawScratch`). Each kernel exists twice,
as plain loops and as vector instructions, so a machine compiles only the variant that it runs.
"""

from __future__ import annotations

import numpy as np

from mhpdata.drawing import plain
from mhpdata.drawing.arguments import Level, Norm, Target, Work
from mhpdata.drawing.placement import Placement
from mhpdata.drawing.resample import resample, resample_plain
from mhpdata.drawing.scratch import DrawScratch
from mhpdata.drawing.source import RGB, YUV, Source, planar
from mhpdata.drawing.taps import fill_axes, fill_blur_axes, most_taps
from mhpdata.drawing.vectors import steps
from mhpdata.drawing.vectors.instructions import LEVEL, address, fence
from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.kernels.arrays import Bytes
from mhpdata.kernels.jit import inlined, kernel


def normalisation(mean: tuple[float, ...] = MEAN, deviation: tuple[float, ...] = DEVIATION) -> Norm:
    """Return the tables of (value / 255 - mean) / deviation, for R, G, B."""
    factors = np.array([(1 / (255 * d), -m / d) for m, d in zip(mean, deviation, strict=True)], np.float32)
    exact = factors[:, :1].astype(np.float64) * np.arange(256) + factors[:, 1:].astype(np.float64)
    floats = exact.astype(np.float32)
    halves = floats.astype(np.float16).view(np.uint16)
    black = np.stack([floats[:, 0].view(np.uint32), halves[:, 0] * np.uint32(65537)]).astype(np.int64)
    return Norm(factors, floats, halves, black)


def draw_image(
    level: int,
    buffer: Bytes,
    source: Source,
    placement: Placement,
    kind: int,
    norm: Norm,
    out: Bytes,
    scratch: DrawScratch,
) -> None:
    """Draw an image into ``out``.

    Args:
        level: 0 for plain loops, or a level of :mod:`mhpdata.drawing.vectors.instructions` that this machine supports.
        buffer: uint8, flat: the planes, with at least 64 bytes after the last row.
        source: Layout of the planes in ``buffer``.
        placement: Crop to draw.
        kind: Output format: FLOAT32, FLOAT16 or UINT8 of :mod:`mhpdata.drawing.plain`.
        norm: Normalisation, see :func:`normalisation`.
        out: uint8, flat: the memory of this sample in the batch.
        scratch: Buffers of the calling thread.
    """
    (height, width), _ = source.extents.tolist()
    most = max(most_taps(height, placement.scaled_height), most_taps(width, placement.scaled_width), 8)
    columns = max(int(source.sizes[0, 1]), placement.width)  # the blur reads the crop itself
    scratch.fit(placement.height, placement.width, columns, most, placement.radius > 0.0)
    if level:
        _draw(level, buffer, source, placement, kind, norm, out, scratch.work)
    else:
        _draw_plain(buffer, source, placement, kind, norm, out, scratch.work)


@kernel
def _draw_plain(
    buffer: Bytes, source: Source, placement: Placement, kind: int, norm: Norm, out: Bytes, work: Work
) -> None:
    axes = fill_axes(source, placement, work)
    if placement.radius > 0.0:
        resample_plain(buffer, source, axes, _sharp(placement, work), norm, work)
        buffer, source, axes = work.sharp, _sharp_source(placement, work, source), fill_blur_axes(placement, work)
    resample_plain(
        buffer, source, axes, Target(out, kind, placement.gray, placement.height, placement.width), norm, work
    )


@kernel
def _draw(
    level: Level, buffer: Bytes, source: Source, placement: Placement, kind: int, norm: Norm, out: Bytes, work: Work
) -> None:
    axes, target = (
        fill_axes(source, placement, work),
        Target(out, kind, placement.gray, placement.height, placement.width),
    )
    for last in range(placement.radius <= 0.0, 2):  # a single call site, so resample is compiled once
        if last and placement.radius > 0.0:
            buffer, source, axes = work.sharp, _sharp_source(placement, work, source), fill_blur_axes(placement, work)
        resample(level, buffer, source, axes, target if last else _sharp(placement, work), norm, work)
    fence()


@inlined
def _sharp(placement: Placement, work: Work) -> Target:
    """Return the buffer of a crop that is still to be blurred, as a target."""
    return Target(work.sharp, np.int64(plain.PLANES), np.bool_(False), placement.height, placement.width)


@inlined
def _sharp_source(placement: Placement, work: Work, source: Source) -> Source:
    """Return the crop in ``work.sharp`` as the source of the blur."""
    at, stride, pitch = work.at, work.stride, work.rgb.size // 3
    for p in range(3):
        at[p], stride[p] = p * placement.height * pitch, pitch
    return Source(np.int64(RGB), at, stride, source.sizes, source.extents)


def split_channels(level: int, pixels: Bytes, begin: int, end: int, out: Bytes, stride: int) -> None:
    """Split pixels begin .. end of interleaved R, G, B into the same positions of three planes, ``stride`` bytes apart.

    May write up to 63 bytes past each plane and read up to 192 bytes past the last pixel; ``out`` and ``pixels`` need
    that much room at their ends.
    """
    if level:
        _split_channels(level, pixels, begin, end - begin, out, stride)
    else:
        _split_channels_plain(pixels, begin, end - begin, out, stride)


@kernel
def _split_channels_plain(pixels: Bytes, begin: int, count: int, out: Bytes, stride: int) -> None:
    plain.split_channels(pixels, begin, out, stride, count)


@kernel
def _split_channels(level: Level, pixels: Bytes, begin: int, count: int, out: Bytes, stride: int) -> None:
    steps.split_channels(level, address(pixels) + 3 * begin, address(out) + begin, stride, count)


def draw_planes(data: Bytes, size: tuple[int, int]) -> Bytes:
    """Convert yuv420 planes (uint8, flat) to an image of (height, width) ``size``: uint8 (height, width, 3), RGB."""
    out = np.empty((*size, 3), np.uint8)
    buffer = np.concatenate([data, np.zeros(64, np.uint8)])
    source = planar(YUV, size)
    placement = Placement(*size, 0, 0, *size)
    draw_image(LEVEL, buffer, source, placement, plain.UINT8, normalisation(), out.reshape(-1), DrawScratch())
    return out
