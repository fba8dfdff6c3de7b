"""The inner steps of the kernels as explicit vector instructions, for x86-64 with AVX2 or AVX-512.

Every function here is one step of a loop in :mod:`mhpdata.drawing.plain` over one block of pixels, takes plain
addresses, and computes the same integers as the plain loop beside it there. Each is written as LLVM instructions
(``numba.extending.intrinsic``), so nothing has to be compiled when the package is installed.

LEVEL says what this machine can run: 2 = AVX-512 (F, BW, VL), 1 = AVX2 + FMA + F16C (x86-64-v3), 0 = neither, use
the plain loops. A step above LEVEL is compiled to nothing, so a caller may branch on a level at run time, on any
machine.

Tried and lost: letting LLVM find the vectors (3 x slower: it emits no lane-crossing permutes and no gathers for the
horizontal step); ``vpgatherdd`` for that step on AVX2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

I8: Any = ir.IntType(8)
I16: Any = ir.IntType(16)
I32: Any = ir.IntType(32)
I64: Any = ir.IntType(64)
F16: Any = ir.HalfType()
F32: Any = ir.FloatType()


def _level() -> int:
    if config.CPU_NAME or config.CPU_FEATURES is not None:
        return 0  # numba compiles for another machine than this one
    features = llvm.get_host_cpu_features()
    if all(features.get(f) for f in ("avx512f", "avx512bw", "avx512vl", "f16c", "fma")):
        return 2
    return int(all(features.get(f) for f in ("avx2", "fma", "f16c")))


LEVEL = _level()


def step(level: int, arguments: int) -> Callable[[Callable[..., None]], Any]:
    """Make a Numba function of ``build(builder, *arguments)``; all arguments are int64, nothing is returned."""

    def decorate(build: Callable[..., None]) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
            if level <= LEVEL:
                build(builder, *values)
            return context.get_dummy_value()

        def typing(typingctx: Any, *given: Any) -> Any:
            return types.void(*[types.int64] * arguments), codegen

        # numba reads the number of arguments from the function's own signature
        names = ", ".join(f"a{i}" for i in range(arguments))
        scope: dict[str, Any] = {"typing": typing}
        exec(f"def step(typingctx, {names}): return typing(typingctx, {names})", scope)
        return intrinsic(scope["step"])

    return decorate


def _pointer(b: ir.IRBuilder, address: ir.Value, kind: ir.Type) -> ir.Value:
    return b.inttoptr(address, ir.PointerType(kind))


def load(b: ir.IRBuilder, address: ir.Value, kind: ir.Type, offset: int = 0) -> ir.Value:
    """Load a scalar or a vector, aligned or not."""
    if offset:
        address = b.add(address, I64(offset))
    return b.load(_pointer(b, address, kind), align=1)


def store(b: ir.IRBuilder, value: ir.Value, address: ir.Value, offset: int = 0, stream: int = 0) -> None:
    """Store unaligned, or, where ``stream`` is the alignment, past the caches (which saves reading the line first)."""
    if offset:
        address = b.add(address, I64(offset))
    done = b.store(value, _pointer(b, address, value.type), align=stream or 1)
    if stream:
        done.set_metadata("nontemporal", b.module.add_metadata([I32(1)]))


def splat(b: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """A vector of ``lanes`` times the same."""
    vector = ir.VectorType(value.type, lanes)
    first = b.insert_element(ir.Constant(vector, ir.Undefined), value, I32(0))
    return b.shuffle_vector(
        first, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    )


def fixed(number: int, kind: ir.Type, lanes: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(kind, lanes), [number] * lanes)


def call(b: ir.IRBuilder, name: str, result: ir.Type, *arguments: ir.Value) -> ir.Value:
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), arguments)


def _mulhrs(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """(x * y + 2**14) >> 15 on int16."""
    name = "llvm.x86.avx512.pmul.hr.sw.512" if x.type.count == 32 else "llvm.x86.avx2.pmul.hr.sw"
    return call(b, name, x.type, x, y)


def _madd(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """x[2i] * y[2i] + x[2i + 1] * y[2i + 1]: int16 in, int32 out."""
    name = "llvm.x86.avx512.pmaddw.d.512" if x.type.count == 32 else "llvm.x86.avx2.pmadd.wd"
    return call(b, name, ir.VectorType(I32, x.type.count // 2), x, y)


def _saturating_add(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return call(b, f"llvm.sadd.sat.v{x.type.count}i16", x.type, x, y)


def _sum(
    b: ir.IRBuilder, count: ir.Value, usual: int, zeros: list[ir.Value], term: Callable[[ir.Value], list[ir.Value]]
) -> list[ir.Value]:
    """zeros + term(0) + ... + term(count - 1); straight through where count is ``usual`` (a loop costs a third
    more)."""
    totals = [cgutils.alloca_once(b, zero.type) for zero in zeros]
    for total, zero in zip(totals, zeros, strict=True):
        b.store(zero, total)

    def add(i: ir.Value) -> None:
        for total, x in zip(totals, term(i), strict=True):
            b.store(b.add(b.load(total), x), total)

    with b.if_else(b.icmp_signed("==", count, I64(usual)), likely=True) as (straight, loop):
        with straight:
            for i in range(usual):
                add(I64(i))
        with loop:
            _repeat(b, count, add)
    return [b.load(total) for total in totals]


def _repeat(b: ir.IRBuilder, count: ir.Value, body: Callable[[ir.Value], None]) -> None:
    """A loop that LLVM does not unroll: it would by 8, for 2 or 3 turns, and takes a minute over it."""
    before, again, after = b.block, b.append_basic_block("again"), b.append_basic_block("after")
    b.branch(again)
    b.position_at_end(again)
    i = b.phi(I64)
    i.add_incoming(I64(0), before)
    body(i)
    following = b.add(i, I64(1))
    i.add_incoming(following, b.block)
    back = b.cbranch(b.icmp_signed("<", following, count), again, after)
    never = b.module.add_metadata([ir.MetaDataString(b.module, "llvm.loop.unroll.disable")])
    loop = b.module.add_metadata([never, I64(len(b.module.metadata))])
    loop.operands = (loop, never)
    back.set_metadata("llvm.loop", loop)
    b.position_at_end(after)


# ------------------------------------------------------------------------------------------------ vertical


def _vertical(lanes: int, centre: int) -> Callable[..., None]:
    def build(
        b: ir.IRBuilder, source: ir.Value, stride: ir.Value, weight: ir.Value, taps: ir.Value, out: ir.Value
    ) -> None:
        def term(k: ir.Value) -> list[ir.Value]:
            w = splat(b, load(b, b.add(weight, b.mul(k, I64(2))), I16), lanes)
            row = b.add(source, b.mul(k, stride))
            products = []
            for i in range(2):
                pixels = b.zext(load(b, row, ir.VectorType(I8, lanes), i * lanes), ir.VectorType(I16, lanes))
                if centre:
                    pixels = b.sub(pixels, fixed(centre, I16, lanes))
                products.append(_mulhrs(b, b.shl(pixels, fixed(7, I16, lanes)), w))
            return products

        for i, total in enumerate(_sum(b, taps, 2, [fixed(0, I16, lanes)] * 2, term)):
            store(b, total, out, i * lanes * 2)

    return build


vertical_512 = step(2, 5)(_vertical(32, 0))
vertical_centred_512 = step(2, 5)(_vertical(32, 128))
vertical_256 = step(1, 5)(_vertical(16, 0))
vertical_centred_256 = step(1, 5)(_vertical(16, 128))
"""(source, stride, weights, taps, out): one block of 2 vectors of pixels of some rows -> as many sums, int16."""


# ---------------------------------------------------------------------------------------------- horizontal


def _window_sums(
    b: ir.IRBuilder, row: ir.Value, base: ir.Value, index: ir.Value, weight: ir.Value, pairs: ir.Value, group: int
) -> ir.Value:
    """AVX-512: 16 sums, int32: words ``index`` + 2j (0..63) of row[base:], times 32 weights, for each pair j of
    taps."""
    words = ir.VectorType(I16, 32)
    at = b.add(row, b.mul(b.sext(load(b, base, I32, 4 * group), I64), I64(2)))
    low, high, lanes = load(b, at, words), load(b, at, words, 64), load(b, index, words, 64 * group)
    begin = b.add(weight, b.mul(pairs, I64(64))) if group else weight

    def term(j: ir.Value) -> list[ir.Value]:
        taken = b.add(lanes, splat(b, b.trunc(b.mul(j, I64(2)), I16), 32))
        taps = call(b, "llvm.x86.avx512.vpermi2var.hi.512", words, low, taken, high)
        return [_madd(b, taps, load(b, b.add(begin, b.mul(j, I64(64))), words))]

    return _sum(b, pairs, 1, [fixed(0, I32, 16)], term)[0]


@step(1, 7)
def horizontal_256(
    b: ir.IRBuilder,
    row: ir.Value,
    base: ir.Value,
    index: ir.Value,
    weight: ir.Value,
    pairs: ir.Value,
    shift: ir.Value,
    out: ir.Value,
) -> None:
    """8 sums, from two windows of 8 words (16 bytes) each: ``index`` holds byte positions, for ``vpshufb``."""
    half, words, bytes_ = ir.VectorType(I8, 16), ir.VectorType(I16, 16), ir.VectorType(I8, 32)
    at = [b.add(row, b.mul(b.sext(load(b, base, I32, 4 * i), I64), I64(2))) for i in range(2)]
    lanes = load(b, index, bytes_)
    both = ir.Constant(ir.VectorType(I32, 32), list(range(32)))

    def term(j: ir.Value) -> list[ir.Value]:
        window = b.shuffle_vector(*(load(b, b.add(a, b.mul(j, I64(4))), half) for a in at), both)
        taps = b.bitcast(call(b, "llvm.x86.avx2.pshuf.b", bytes_, window, lanes), words)
        # the weights of 16 outputs stand together, so the next pair of these 8 lies 64 bytes on
        return [_madd(b, taps, load(b, b.add(weight, b.mul(j, I64(64))), words))]

    total = _sum(b, pairs, 1, [fixed(0, I32, 8)], term)[0]
    result = b.ashr(total, splat(b, b.trunc(shift, I32), 8))
    store(b, b.trunc(result, ir.VectorType(I16, 8)), out)


# -------------------------------------------------------------------------------------------------- colour


def _rgb(b: ir.IRBuilder, planes: Sequence[ir.Value], yuv: bool) -> list[ir.Value]:
    """int16 of ``horizontal`` -> R, G, B, int16 in 0..255."""
    kind, lanes = planes[0].type, planes[0].type.count
    if yuv:
        y, cb, cr = planes
        green = b.add(_mulhrs(b, cb, fixed(-5638, I16, lanes)), _mulhrs(b, cr, fixed(-11700, I16, lanes)))
        offsets = _mulhrs(b, cr, fixed(22970, I16, lanes)), green, _mulhrs(b, cb, fixed(29032, I16, lanes))
        planes = [_saturating_add(b, y, offset) for offset in offsets]
    rounded = (b.ashr(_saturating_add(b, x, fixed(64, I16, lanes)), fixed(7, I16, lanes)) for x in planes)
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


# ------------------------------------------------------------------------------------------------- normalise


def _real(b: ir.IRBuilder, x: ir.Value, norm: ir.Value, kind: ir.Type) -> ir.Value:
    """int32 -> float32 or float16: factor * x + offset, rounded once; ``norm`` is the address of the two."""
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
    def build(
        b: ir.IRBuilder,
        block: ir.Value,
        out: ir.Value,
        rows: ir.Value,
        stride: ir.Value,
        base: ir.Value,
        base_stride: ir.Value,
        index: ir.Value,
        index_stride: ir.Value,
        weight: ir.Value,
        weight_stride: ir.Value,
        pairs: ir.Value,
        chroma_pairs: ir.Value,
        norm: ir.Value,
        plane: ir.Value,
    ) -> None:
        planes = []
        for p in range(3):
            chroma = yuv and p > 0
            count = chroma_pairs if chroma else pairs
            at, taken, weights = (
                b.add(b.add(table, table_stride) if chroma else table, b.mul(block, size))
                for table, table_stride, size in (
                    (base, base_stride, I64(8)),
                    (index, index_stride, I64(128)),
                    (weight, weight_stride, b.mul(count, I64(128))),
                )
            )
            row = b.add(rows, b.mul(stride, I64(p)))
            sums = [_window_sums(b, row, at, taken, weights, count, group) for group in range(2)]
            halves = [b.ashr(x, fixed(12 if chroma else 13, I32, 16)) for x in sums]
            # packs within 128-bit lanes: the order of the pixels comes right again when they are unpacked
            planes.append(call(b, "llvm.x86.avx512.packssdw.512", ir.VectorType(I16, 32), *halves))
        for i, x in enumerate(_rgb(b, planes, yuv)):
            to = b.add(out, b.mul(plane, I64(i)))
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
                real = _real(b, wide, b.add(norm, I64(8 * i)), kind)
                store(b, real, to, half * size, stream=size)

    return build


draw_yuv_float = step(2, 14)(_draw(True, F32))
draw_yuv_half = step(2, 14)(_draw(True, F16))
draw_yuv_bytes = step(2, 14)(_draw(True, I8))
draw_rgb_float = step(2, 14)(_draw(False, F32))
draw_rgb_half = step(2, 14)(_draw(False, F16))
draw_rgb_bytes = step(2, 14)(_draw(False, I8))
"""(block, out, rows, stride; base, index, weight of pack_taps, each as address and stride; pairs, chroma pairs; norm,
plane): horizontal, to_rgb and normalise in one, for pixels 32 * block .. + 32. One step, so that the slow streamed
stores go on while the next pixels are computed: apart, the three cost 590 us an image, together 380."""


@step(0, 0)
def fence(b: ir.IRBuilder) -> None:
    """Make streamed stores visible to other threads before whatever comes next says that they are there."""
    b.fence("seq_cst")
