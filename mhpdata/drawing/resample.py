"""Draw a crop row by row from its tables, by one of three implementations with identical results.

:func:`resample_plain` is the reference: plain loops, for machines without vector instructions. On vectors,
:func:`resample` runs the stages of a row one after the other, with horizontal and to_rgb fused unless the windows are
too wide. With AVX-512 it fuses all stages after the vertical one, for aligned planes of floats in colour, the usual
output of a training run.
"""

from __future__ import annotations

import numpy as np

from mhpdata.drawing import plain
from mhpdata.drawing.arguments import Axes, Canvas, Lanes, Level, Norm, Target, Work
from mhpdata.drawing.source import YUV, Source
from mhpdata.drawing.taps import pack_axes
from mhpdata.drawing.vectors import steps
from mhpdata.drawing.vectors.instructions import FUSED, address
from mhpdata.kernels.arrays import Bytes
from mhpdata.kernels.jit import callee, inlined


@callee
def resample_plain(buffer: Bytes, source: Source, axes: Axes, target: Target, norm: Norm, work: Work) -> None:
    """Draw the rows and columns that show the image from their tables, and the rest of the crop black."""
    canvas = _clear(target, norm, work)
    colour, at, stride, _, _ = source
    first, taps, weight, sums, pixels, rgb = work.first, work.taps, work.weight, work.sums, work.pixels, work.rgb
    low, span, _, rows, columns = axes
    out, kind, gray, height, width = target
    pitch = rgb.size // 3
    drawn, apart = (out, height * pitch) if kind == plain.PLANES else (rgb, pitch)
    for y in range(height):
        if y < rows:
            for p in range(3):
                c = min(p, colour)
                begin = at[p] + first[c, y] * stride[p] + low[c]
                plain.vertical(buffer, begin, stride[p], weight[c, y], taps[c, y], c == 1, sums[p], span[c])
                plain.horizontal(sums[p], low[c], first[2 + c], taps[2 + c], weight[2 + c], 13 - c, pixels[p], columns)
            plain.to_rgb(colour == YUV, pixels, drawn, y * pitch if kind == plain.PLANES else 0, apart, columns)
        if gray:
            plain.to_gray(rgb, 0, pitch, columns)
        if kind != plain.PLANES:
            plain.emit(kind, rgb, pitch, columns if y < rows else 0, norm, out, y * canvas.row, canvas.plane, width)


@inlined
def resample(level: Level, buffer: Bytes, source: Source, axes: Axes, target: Target, norm: Norm, work: Work) -> None:
    """Draw the same bits as :func:`resample_plain`, on vectors."""
    canvas = _clear(target, norm, work)
    fits = pack_axes(level, source.colour, axes, work)
    aligned = target.width % 32 == 0 and (address(target.out) | canvas.plane) % 64 == 0
    if FUSED and level == 2 and fits[0] and fits[1] and target.kind <= plain.FLOAT16 and not target.gray and aligned:
        _resample_fused(level, buffer, source, axes, target, canvas, fits, norm, work)
    else:
        _resample_steps(level, buffer, source, axes, target, canvas, fits, norm, work)


@inlined
def _clear(target: Target, norm: Norm, work: Work) -> Canvas:
    """Clear the rows between the stages, and the output if only the part that shows the image is written to it."""
    pixels, rgb, out = work.pixels, work.rgb, target.out
    for p in range(3):
        for i in range(pixels.shape[1]):
            pixels[p, i] = 0
    for i in range(rgb.size):
        rgb[i] = 0
    if target.kind == plain.PLANES:
        for i in range(out.size):
            out[i] = 0
    size = 4 if target.kind == plain.FLOAT32 else 2
    interleaved = target.kind == plain.UINT8
    plane, row = (0, 3 * target.width) if interleaved else (target.height * target.width * size, target.width * size)
    black, i = norm.black, np.int64(target.kind != plain.FLOAT32)
    return Canvas(target.kind, target.width, size, plane, row, black[i, 0], black[i, 1], black[i, 2])


@inlined
def _lanes(colour: int, axes: Axes, fits: tuple[int, int], plane: int, norm: Norm, work: Work) -> Lanes:
    """Collect the addresses of the rows and tables that the fused steps read."""
    sums, base, picks, packed = work.sums, work.base, work.picks, work.packed
    pairs, chroma_pairs = (axes.most[0] + 1) // 2, (axes.most[colour] + 1) // 2
    return Lanes(
        address(sums), sums.strides[0], address(base), colour * base.strides[0], address(picks),
        colour * picks.strides[0], address(packed), colour * packed.strides[0], pairs, chroma_pairs,
        np.int64(fits[0] == 2), np.int64(fits[1] == 2), address(norm.factors), plane,
    )  # fmt: skip


@inlined
def _resample_steps(
    level: Level, buffer: Bytes, source: Source, axes: Axes, target: Target, canvas: Canvas, fits: tuple[int, int],
    norm: Norm, work: Work,
) -> None:  # fmt: skip
    """Run the stages one after the other, into any output format, on any vectors."""
    colour, at, stride, _, _ = source
    low, span, _, rows, columns = axes
    first, taps, weight, sums, pixels, rgb = work.first, work.taps, work.weight, work.sums, work.pixels, work.rgb
    # addresses are taken once: taking one may count references, which in the loop costs as much as the pixels
    from_, to, weights, line = address(buffer), address(target.out), address(weight), address(pixels)
    bytes_, spare, pitch = address(rgb), address(work.spare), rgb.size // 3
    planes, gray = target.kind == plain.PLANES, target.gray
    drawn, apart = (to, target.height * pitch) if planes else (bytes_, pitch)
    lanes = _lanes(colour, axes, fits, apart, norm, work)
    fused = fits[0] > 0 and fits[1] > 0
    for y in range(target.height):
        if y < rows:
            for p in range(3):
                c = min(p, colour)
                begin, w = from_ + at[p] + low[c], weights + c * weight.strides[0] + y * weight.strides[1]
                row = lanes.sums + p * lanes.sums_stride
                steps.vertical(level, begin + first[c, y] * stride[p], stride[p], w, taps[c, y], c, row, span[c])
                if not fused:
                    plain.horizontal(
                        sums[p], low[c], first[2 + c], taps[2 + c], weight[2 + c], 13 - c, pixels[p], columns
                    )
            if fused:
                steps.draw_bytes(level, colour, columns, drawn, lanes)
            else:
                steps.to_rgb(level, colour, line, pixels.strides[0], drawn, apart, columns)
        if gray:
            plain.to_gray(rgb, 0, pitch, columns)
        if planes:
            drawn += pitch
        else:
            steps.emit(level, bytes_, pitch, columns if y < rows else 0, lanes.norm, canvas, to + y * canvas.row, spare)


@inlined
def _resample_fused(
    level: Level, buffer: Bytes, source: Source, axes: Axes, target: Target, canvas: Canvas, fits: tuple[int, int],
    norm: Norm, work: Work,
) -> None:  # fmt: skip
    """Fuse all stages after the vertical one, into planes of floats with 64-byte aligned rows; AVX-512 only."""
    colour, at, stride, _, _ = source
    low, span, _, rows, columns = axes
    first, taps, weight = work.first, work.taps, work.weight
    from_, to, weights = address(buffer), address(target.out), address(weight)
    lanes, black = _lanes(colour, axes, fits, canvas.plane, norm, work), (canvas.red, canvas.green, canvas.blue)
    done = (columns + 31) // 32 * 32 * canvas.size
    padded = rows
    for y in range(rows):
        pad_to = rows + (y + 1) * (target.height - rows) // rows
        for p in range(3):
            c = min(p, colour)
            begin, w = from_ + at[p] + low[c], weights + c * weight.strides[0] + y * weight.strides[1]
            row = lanes.sums + p * lanes.sums_stride
            steps.vertical(level, begin + first[c, y] * stride[p], stride[p], w, taps[c, y], c, row, span[c])
            # the padding's stores overlap with the next sums: 6 % faster than padding afterwards
            plane = to + p * canvas.plane
            steps.stream(level, black[p], plane + y * canvas.row + done, canvas.row - done)
            steps.stream(level, black[p], plane + padded * canvas.row, (pad_to - padded) * canvas.row)
        padded = pad_to
        steps.draw(canvas.kind, colour, columns, to + y * canvas.row, lanes)
