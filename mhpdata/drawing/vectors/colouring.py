"""Turn sums into pixels, in vector steps: colour conversion and normalisation, also fused with the horizontal stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir
from numba.core import cgutils

from mhpdata.drawing.arguments import Lanes
from mhpdata.drawing.vectors.instructions import (
    F16,
    F32,
    I8,
    I16,
    I32,
    I64,
    call,
    fixed,
    load,
    mulhrs,
    saturating_add,
    splat,
    step,
    store,
)
from mhpdata.drawing.vectors.resizing import window_sums_256, window_sums_512


def _rgb(b: ir.IRBuilder, planes: Sequence[ir.Value], yuv: bool) -> list[ir.Value]:
    """Convert the int16 values of ``horizontal`` to R, G, B, int16 in 0..255."""
    kind, lanes = planes[0].type, planes[0].type.count
    if yuv:
        y, cb, cr = planes
        green = b.add(mulhrs(b, cb, fixed(-5638, I16, lanes)), mulhrs(b, cr, fixed(-11700, I16, lanes)))
        offsets = mulhrs(b, cr, fixed(22970, I16, lanes)), green, mulhrs(b, cb, fixed(29032, I16, lanes))
        planes = [saturating_add(b, y, offset) for offset in offsets]
    rounded = (b.ashr(saturating_add(b, x, fixed(64, I16, lanes)), fixed(7, I16, lanes)) for x in planes)
    return [call(b, f"llvm.smax.v{lanes}i16", kind, x, fixed(0, I16, lanes)) for x in rounded]


def _to_rgb(lanes: int, yuv: bool) -> Callable[..., None]:
    def build(b: ir.IRBuilder, rows: ir.Value, stride: ir.Value, out: ir.Value, out_stride: ir.Value) -> None:
        planes = [load(b, b.add(rows, b.mul(stride, I64(i))), ir.VectorType(I16, lanes)) for i in range(3)]
        for i, x in enumerate(_rgb(b, planes, yuv)):
            store(b, b.trunc(x, ir.VectorType(I8, lanes)), b.add(out, b.mul(out_stride, I64(i))))

    return build


yuv_to_rgb_512 = step(2, 4)(_to_rgb(32, True))
yuv_to_rgb_256 = step(1, 4)(_to_rgb(16, True))
round_rgb_512 = step(2, 4)(_to_rgb(32, False))
round_rgb_256 = step(1, 4)(_to_rgb(16, False))
"""(rows, stride, out, out stride; in bytes): one vector of each of 3 rows of int16 -> 3 rows of uint8 R, G, B."""


def _real(b: ir.IRBuilder, x: ir.Value, norm: ir.Value, kind: ir.Type) -> ir.Value:
    """Convert int32 to float32 or float16: factor * x + offset, rounded once; ``norm`` is the address of the two."""
    lanes = x.type.count
    factor, offset = (splat(b, load(b, norm, F32, 4 * i), lanes) for i in range(2))
    x = b.sitofp(x, ir.VectorType(F32, lanes))
    x = call(b, f"llvm.fma.v{lanes}f32", x.type, x, factor, offset)
    return b.fptrunc(x, ir.VectorType(F16, lanes)) if kind is F16 else x


def _normalise(lanes: int, kind: ir.Type, near: bool = False) -> Callable[..., None]:
    size = lanes * (2 if kind is F16 else 4)

    def build(b: ir.IRBuilder, source: ir.Value, norm: ir.Value, out: ir.Value) -> None:
        for i in range(2):
            pixels = load(b, source, ir.VectorType(I8, lanes), i * lanes)
            store(
                b,
                _real(b, b.zext(pixels, ir.VectorType(I32, lanes)), norm, kind),
                out,
                i * size,
                stream=0 if near else size,
            )

    return build


normalise_512 = step(2, 3)(_normalise(16, F32))
normalise_256 = step(1, 3)(_normalise(8, F32))
normalise_half_512 = step(2, 3)(_normalise(16, F16))
normalise_half_256 = step(1, 3)(_normalise(8, F16))
normalise_near_512 = step(2, 3)(_normalise(16, F32, True))
normalise_near_256 = step(1, 3)(_normalise(8, F32, True))
normalise_near_half_512 = step(2, 3)(_normalise(16, F16, True))
normalise_near_half_256 = step(1, 3)(_normalise(8, F16, True))
"""(source, address of (factor, offset), out): 2 vectors of pixels -> float32 or float16, streamed to an aligned
``out``."""


def _draw(yuv: bool, kind: ir.Type) -> Callable[..., None]:
    def build(b: ir.IRBuilder, block: ir.Value, out: ir.Value, lanes: Lanes) -> None:
        planes = []
        for p in range(3):
            chroma = yuv and p > 0
            sums = _sums_512(b, block, lanes, p, chroma)
            halves = [b.ashr(x, fixed(12 if chroma else 13, I32, 16)) for x in sums]
            # packs within 128-bit lanes: unpacking below restores the order of the pixels
            planes.append(call(b, "llvm.x86.avx512.packssdw.512", ir.VectorType(I16, 32), *halves))
        for i, x in enumerate(_rgb(b, planes, yuv)):
            to = b.add(out, b.mul(lanes.plane, I64(i)))
            if kind is I8:
                natural = [lane * 8 + half * 4 + word for half in range(2) for lane in range(4) for word in range(4)]
                x = b.shuffle_vector(x, x, ir.Constant(ir.VectorType(I32, 32), natural))
                store(b, b.trunc(x, ir.VectorType(I8, 32)), b.add(to, b.mul(block, I64(32))))
                continue
            size = 32 if kind is F16 else 64
            to = b.add(to, b.mul(block, I64(2 * size)))
            for half in range(2):
                taken = [
                    lane * 8 + half * 4 + word + zero for lane in range(4) for word in range(4) for zero in (0, 32)
                ]
                taken = [t if t < 32 else 32 for t in taken]
                wide = b.shuffle_vector(x, fixed(0, I16, 32), ir.Constant(ir.VectorType(I32, 32), taken))
                wide = b.bitcast(wide, ir.VectorType(I32, 16))
                real = _real(b, wide, b.add(lanes.norm, I64(8 * i)), kind)
                store(b, real, to, half * size, stream=size)

    return build


def _sums_512(b: ir.IRBuilder, block: ir.Value, lanes: Lanes, plane: int, chroma: bool) -> list[ir.Value]:
    """Sum along a row for 32 pixels of a plane: 2 vectors of int32."""
    count, base, index, packed = lanes.pairs, lanes.base, lanes.picks, lanes.packed
    if chroma:
        count, base = lanes.chroma_pairs, b.add(base, lanes.base_stride)
        index, packed = b.add(index, lanes.picks_stride), b.add(packed, lanes.packed_stride)
    row = b.add(lanes.sums, b.mul(lanes.sums_stride, I64(plane)))
    base, index = b.add(base, b.mul(block, I64(8))), b.add(index, b.mul(block, I64(128)))
    packed = b.add(packed, b.mul(block, b.mul(count, I64(128))))
    return [window_sums_512(b, row, base, index, packed, count, group) for group in range(2)]


draw_yuv_float = step(2, 2, Lanes)(_draw(True, F32))
draw_yuv_half = step(2, 2, Lanes)(_draw(True, F16))
draw_yuv_bytes = step(2, 2, Lanes)(_draw(True, I8))
draw_rgb_float = step(2, 2, Lanes)(_draw(False, F32))
draw_rgb_half = step(2, 2, Lanes)(_draw(False, F16))
draw_rgb_bytes = step(2, 2, Lanes)(_draw(False, I8))
"""(block, out, lanes): horizontal, to_rgb and normalise fused, for pixels 32 * block .. + 32. The fusion overlaps the
slow streamed stores with the next pixels: 380 us per image instead of 590 for three separate steps."""


@step(1, 3, Lanes)
def draw_bytes_256(b: ir.IRBuilder, block: ir.Value, out: ir.Value, yuv: ir.Value, lanes: Lanes) -> None:
    """Fuse horizontal and to_rgb with AVX2, for pixels 16 * block .. + 16; arguments (block, out, yuv, lanes).

    Conversion to floats is a separate step. Tried and slower, on a Zen 3: streaming floats from this step (1400 us per
    image instead of 680: alternating between three planes flushes the write-combining buffers half full), and storing
    them through the caches (720 us).
    """
    for i, x in enumerate(_pixels_256(b, yuv, _planes_256(b, block, yuv, lanes))):
        to = b.add(out, b.add(b.mul(lanes.plane, I64(i)), b.mul(block, I64(16))))
        store(b, b.trunc(x, ir.VectorType(I8, 16)), to)


def _planes_256(b: ir.IRBuilder, block: ir.Value, yuv: ir.Value, lanes: Lanes) -> list[ir.Value]:
    """Sum along the three rows for 16 pixels, int16; for R, G, B the strides to the chroma's tables are 0."""
    planes = []
    for chroma, rows in ((0, (0,)), (1, (1, 2))):
        at = [b.add(lanes.sums, b.mul(lanes.sums_stride, I64(p))) for p in rows]
        pairs, wide = (lanes.chroma_pairs, lanes.chroma_wide) if chroma else (lanes.pairs, lanes.wide)
        base, picks, packed = (
            b.add(table, b.add(b.mul(stride, I64(chroma)), b.mul(block, size)))
            for table, stride, size in (
                (lanes.base, lanes.base_stride, I64(16)),
                (lanes.picks, lanes.picks_stride, I64(64)),
                (lanes.packed, lanes.packed_stride, b.mul(pairs, I64(64))),
            )
        )
        sums = window_sums_256(b, at, base, picks, packed, pairs, wide)
        shift = b.sub(I32(13), b.trunc(yuv, I32)) if chroma else I32(13)
        halves = [b.ashr(x, splat(b, shift, 8)) for x in sums]
        # packs within 128-bit lanes, which puts the pixels of the two vectors into order
        for i in range(0, len(halves), 2):
            planes.append(call(b, "llvm.x86.avx2.packssdw", ir.VectorType(I16, 16), *halves[i : i + 2]))
    return planes


def _pixels_256(b: ir.IRBuilder, yuv: ir.Value, planes: Sequence[ir.Value]) -> list[ir.Value]:
    rgb = [cgutils.alloca_once(b, x.type) for x in planes]
    with b.if_else(b.icmp_signed("!=", yuv, I64(0))) as branches:
        for branch, colour in zip(branches, (True, False), strict=True):
            with branch:
                for x, to in zip(_rgb(b, planes, colour), rgb, strict=True):
                    b.store(x, to)
    return [b.load(x) for x in rgb]
