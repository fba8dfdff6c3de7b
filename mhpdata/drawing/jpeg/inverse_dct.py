"""Compute uint8 samples from the coefficients of 16 neighbouring blocks: libjpeg's "accurate" integer inverse DCT.

Coefficients of the 16 blocks are interleaved (:mod:`mhpdata.drawing.jpeg.entropy`), so each line below processes 16
blocks at once. The loops over ``lane`` are the readable variant, which compilers vectorise on any machine; explicit
vectors (:mod:`mhpdata.drawing.vectors.instructions`) take half the time with AVX-512 and two thirds with AVX2.

The rule: the same integers as libjpeg's jidctint. If damaged coefficients overflow, 32 bits wrap (libjpeg's own
variants differ there).

Source: Loeffler, Ligtenberg, Moschytz 1989, "Practical fast 1-D DCT algorithms with 11 multiplications", with 13-bit
constants, and 2 extra bits of precision between the two passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from llvmlite import ir
from numba import njit

from mhpdata.drawing.vectors.instructions import I8, I16, I32, address, call, fixed, load, splat, step, store
from mhpdata.kernels.arrays import Ints, LongWords, Shorts
from mhpdata.kernels.jit import callee

Loops: TypeAlias = bool | None
"""True for plain loops; None for vectors, in which case no loop is compiled: Numba prunes a branch on an argument only
if that argument is None."""

BLOCKS = 16
"""Number of blocks transformed together."""


@njit(inline="always")
def _times(x: np.int32, factor: np.int32) -> np.int32:
    return np.int32(x * np.int32(factor))


@njit(inline="always")
def _plus(x: np.int32, y: np.int32) -> np.int32:
    return np.int32(x + y)


@njit(inline="always")
def _minus(x: np.int32, y: np.int32) -> np.int32:
    return np.int32(x - y)


@njit(inline="always")
def _transform(
    x0: np.int32, x1: np.int32, x2: np.int32, x3: np.int32, x4: np.int32, x5: np.int32, x6: np.int32, x7: np.int32
) -> tuple[np.int32, ...]:
    """Transform one dimension: int32 in and out; the results are scaled by 8192."""
    z = _times(_plus(x2, x6), 4433)
    low, high = _plus(z, _times(x6, -15137)), _plus(z, _times(x2, 6270))
    total, difference = _times(_plus(x0, x4), 8192), _times(_minus(x0, x4), 8192)
    e0, e1, e2, e3 = _plus(total, high), _plus(difference, low), _minus(difference, low), _minus(total, high)
    z3, z4 = _plus(x7, x3), _plus(x5, x1)
    z5 = _times(_plus(z3, z4), 9633)
    z1, z2 = _times(_plus(x7, x1), -7373), _times(_plus(x5, x3), -20995)
    z3, z4 = _plus(z5, _times(z3, -16069)), _plus(z5, _times(z4, -3196))
    o0 = _plus(_plus(_times(x1, 12299), z1), z4)
    o1 = _plus(_plus(_times(x3, 25172), z2), z3)
    o2 = _plus(_plus(_times(x5, 16819), z2), z4)
    o3 = _plus(_plus(_times(x7, 2446), z1), z3)
    return (
        _plus(e0, o0), _plus(e1, o1), _plus(e2, o2), _plus(e3, o3),
        _minus(e3, o3), _minus(e2, o2), _minus(e1, o1), _minus(e0, o0),
    )  # fmt: skip


@njit(inline="always")
def _scaled(x: np.int32) -> np.int32:
    return np.int32(_plus(x, np.int32(1 << 10)) >> np.int32(11))


@njit(inline="always")
def _byte(x: np.int32, position: np.int32) -> np.int32:
    """Clamp a sample to a byte, and shift it to its position in a word."""
    level = np.int32(_plus(x, np.int32((1 << 17) + (128 << 18))) >> np.int32(18))
    return np.uint32(min(max(level, np.int32(0)), np.int32(255))) << np.uint32(8 * position)


# ------------------------------------------------------------------------------------------------- vectors


def _transform_vectors(b: ir.IRBuilder, x: Sequence[ir.Value]) -> list[ir.Value]:
    """Apply :func:`_transform` to one block per lane."""
    lanes = x[0].type.count

    def times(value: ir.Value, factor: int) -> ir.Value:
        return b.mul(value, fixed(factor, I32, lanes))

    z = times(b.add(x[2], x[6]), 4433)
    low, high = b.add(z, times(x[6], -15137)), b.add(z, times(x[2], 6270))
    total, difference = (b.shl(s, fixed(13, I32, lanes)) for s in (b.add(x[0], x[4]), b.sub(x[0], x[4])))
    even = b.add(total, high), b.add(difference, low), b.sub(difference, low), b.sub(total, high)
    z3, z4 = b.add(x[7], x[3]), b.add(x[5], x[1])
    z5 = times(b.add(z3, z4), 9633)
    z1, z2 = times(b.add(x[7], x[1]), -7373), times(b.add(x[5], x[3]), -20995)
    z3, z4 = b.add(z5, times(z3, -16069)), b.add(z5, times(z4, -3196))
    odd = [
        b.add(b.add(times(value, factor), one), two)
        for value, factor, one, two in (
            (x[1], 12299, z1, z4), (x[3], 25172, z2, z3), (x[5], 16819, z2, z4), (x[7], 2446, z1, z3),
        )
    ]  # fmt: skip
    pairs = list(zip(even, odd, strict=True))
    return [b.add(e, o) for e, o in pairs] + [b.sub(e, o) for e, o in reversed(pairs)]


def _column(lanes: int) -> Callable[..., None]:
    def build(b: ir.IRBuilder, coefficients: ir.Value, steps: ir.Value, work: ir.Value) -> None:
        taken = []
        for i in range(8):
            quantised = b.sext(load(b, coefficients, ir.VectorType(I16, lanes), 256 * i), ir.VectorType(I32, lanes))
            taken.append(b.mul(quantised, splat(b, load(b, steps, I32, 32 * i), lanes)))
        for i, x in enumerate(_transform_vectors(b, taken)):
            store(b, b.ashr(b.add(x, fixed(1 << 10, I32, lanes)), fixed(11, I32, lanes)), work, 512 * i)

    return build


def _row(lanes: int) -> Callable[..., None]:
    words, bytes_ = ir.VectorType(I16, 2 * lanes), ir.VectorType(I8, 4 * lanes)
    pack_words, pack_bytes = (
        ("llvm.x86.avx512.packssdw.512", "llvm.x86.avx512.packuswb.512")
        if lanes == 16
        else ("llvm.x86.avx2.packssdw", "llvm.x86.avx2.packuswb")
    )

    def build(b: ir.IRBuilder, work: ir.Value, out: ir.Value) -> None:
        half = fixed((1 << 17) + (128 << 18), I32, lanes)
        rows = _transform_vectors(b, [load(b, work, ir.VectorType(I32, lanes), 64 * i) for i in range(8)])
        levels = [b.ashr(b.add(x, half), fixed(18, I32, lanes)) for x in rows]
        quads = []
        for i in (0, 4):  # packs within 128 bits: samples i .. i + 3 of 4 blocks, sample by sample
            pairs = [call(b, pack_words, words, *levels[i + j : i + j + 2]) for j in (0, 2)]
            packed = call(b, pack_bytes, bytes_, *pairs)
            order = [16 * q + 4 * sample + x for q in range(lanes // 4) for x in range(4) for sample in range(4)]
            ordered = b.shuffle_vector(packed, packed, ir.Constant(ir.VectorType(I32, 4 * lanes), order))
            quads.append(b.bitcast(ordered, ir.VectorType(I32, lanes)))
        for i in range(2):
            order = [lanes // 2 * i + x + quad for x in range(lanes // 2) for quad in (0, lanes)]
            mixed = b.shuffle_vector(*quads, ir.Constant(ir.VectorType(I32, lanes), order))
            store(b, mixed, out, 4 * lanes * i)

    return build


_column_512, _column_256 = step(2, 3)(_column(16)), step(1, 3)(_column(8))
"""(coefficients, quantiser steps, work): a column of 16 or 8 blocks: coefficients 0, 8, .. 56 after the first."""
_row_512, _row_256 = step(2, 2)(_row(16)), step(1, 2)(_row(8))
"""(work, out): a row of samples of 16 or 8 blocks."""


# ------------------------------------------------------------------------------------------------- the kernel


@callee
def inverse_dct(
    level: int,
    loops: Loops,
    coefficients: Shorts,
    steps: Ints,
    work: Ints,
    out: LongWords,
    begin: int,
    stride: int,
) -> None:
    """Compute the samples of 16 blocks, 128 x 8.

    Args:
        level: Level of :mod:`mhpdata.drawing.vectors.instructions` that this machine supports; ignored with ``loops``.
        loops: True for plain loops, None for vectors.
        coefficients: int16 (64 * 16,), quantised.
        steps: int32 (64,), quantiser steps.
        work: int32 (64 * 16,), scratch.
        out: uint64 (n,): rows of 16 words at ``begin``, ``begin + stride``, ...: the bytes of a plane, little-endian.
    """
    if loops is None:
        blocks, table, between, to = address(coefficients), address(steps), address(work), address(out) + 8 * begin
        for x in range(8):
            if level == 2:
                _column_512(blocks + 32 * x, table + 4 * x, between + 64 * x)
            else:
                _column_256(blocks + 32 * x, table + 4 * x, between + 64 * x)
                _column_256(blocks + 32 * x + 16, table + 4 * x, between + 64 * x + 32)
        for y in range(8):
            if level == 2:
                _row_512(between + 512 * y, to + 8 * stride * y)
            else:
                _row_256(between + 512 * y, to + 8 * stride * y)
                _row_256(between + 512 * y + 32, to + 8 * stride * y + 64)
    else:
        _columns(coefficients, steps, work)
        _rows(work, out, begin, stride)


@callee
def _columns(coefficients: Shorts, steps: Ints, work: Ints) -> None:
    """Transform the 8 columns of 16 blocks."""
    for x in range(8):
        q0, q1, q2, q3 = steps[x], steps[8 + x], steps[16 + x], steps[24 + x]
        q4, q5, q6, q7 = steps[32 + x], steps[40 + x], steps[48 + x], steps[56 + x]
        for lane in range(16):
            i = x * 16 + lane
            t = _transform(
                _times(np.int32(coefficients[i]), q0), _times(np.int32(coefficients[i + 128]), q1),
                _times(np.int32(coefficients[i + 256]), q2), _times(np.int32(coefficients[i + 384]), q3),
                _times(np.int32(coefficients[i + 512]), q4), _times(np.int32(coefficients[i + 640]), q5),
                _times(np.int32(coefficients[i + 768]), q6), _times(np.int32(coefficients[i + 896]), q7),
            )  # fmt: skip
            work[i] = _scaled(t[0])
            work[i + 128] = _scaled(t[1])
            work[i + 256] = _scaled(t[2])
            work[i + 384] = _scaled(t[3])
            work[i + 512] = _scaled(t[4])
            work[i + 640] = _scaled(t[5])
            work[i + 768] = _scaled(t[6])
            work[i + 896] = _scaled(t[7])


@callee
def _rows(work: Ints, out: LongWords, begin: int, stride: int) -> None:
    """Transform the 8 rows of 16 blocks, and store the samples."""
    for y in range(8):
        row = out[begin + y * stride : begin + y * stride + 16]
        for lane in range(16):
            i = y * 128 + lane
            t = _transform(
                work[i],
                work[i + 16],
                work[i + 32],
                work[i + 48],
                work[i + 64],
                work[i + 80],
                work[i + 96],
                work[i + 112],
            )
            low = _byte(t[0], 0) | _byte(t[1], 1) | _byte(t[2], 2) | _byte(t[3], 3)
            high = _byte(t[4], 0) | _byte(t[5], 1) | _byte(t[6], 2) | _byte(t[7], 3)
            row[lane] = np.uint64(np.uint32(low)) | np.uint64(np.uint32(high)) << np.uint64(32)
