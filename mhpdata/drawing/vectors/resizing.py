"""Resize a row, in vector steps: weighted sums of rows, and along a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from llvmlite import ir
from numba.core import cgutils

from mhpdata.drawing.vectors.instructions import I8, I16, I32, I64, call, fixed, load, madd, mulhrs, splat, step, store


def sum_of(
    b: ir.IRBuilder, count: ir.Value, usual: int, zeros: list[ir.Value], term: Callable[[ir.Value], list[ir.Value]]
) -> list[ir.Value]:
    """Return zeros + term(0) + ... + term(count - 1).

    The sum is unrolled for the ``usual`` count; the loop for other counts takes a third longer.
    """
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
    """Emit a loop that LLVM does not unroll: it would unroll by 8 for 2 or 3 iterations, which takes it a minute."""
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
                products.append(mulhrs(b, b.shl(pixels, fixed(7, I16, lanes)), w))
            return products

        for i, total in enumerate(sum_of(b, taps, 2, [fixed(0, I16, lanes)] * 2, term)):
            store(b, total, out, i * lanes * 2)

    return build


vertical_512 = step(2, 5)(_vertical(32, 0))
vertical_centred_512 = step(2, 5)(_vertical(32, 128))
vertical_256 = step(1, 5)(_vertical(16, 0))
vertical_centred_256 = step(1, 5)(_vertical(16, 128))
"""(source, stride, weights, taps, out): 2 vectors of pixels of ``taps`` rows -> their weighted sums, int16."""


def window_sums_512(
    b: ir.IRBuilder, row: ir.Value, base: ir.Value, index: ir.Value, weight: ir.Value, pairs: ir.Value, group: int
) -> ir.Value:
    """Return 16 sums, int32, with AVX-512: over pairs j, words ``index`` + 2j (0..63) of row[base:] times weights."""
    words = ir.VectorType(I16, 32)
    at = b.add(row, b.mul(b.sext(load(b, base, I32, 4 * group), I64), I64(2)))
    low, high, lanes = load(b, at, words), load(b, at, words, 64), load(b, index, words, 64 * group)
    begin = b.add(weight, b.mul(pairs, I64(64))) if group else weight

    def term(j: ir.Value) -> list[ir.Value]:
        taken = b.add(lanes, splat(b, b.trunc(b.mul(j, I64(2)), I16), 32))
        taps = call(b, "llvm.x86.avx512.vpermi2var.hi.512", words, low, taken, high)
        return [madd(b, taps, load(b, b.add(begin, b.mul(j, I64(64))), words))]

    return sum_of(b, pairs, 1, [fixed(0, I32, 16)], term)[0]


def window_sums_256(
    b: ir.IRBuilder, rows: Sequence[ir.Value], base: ir.Value, picks: ir.Value, weight: ir.Value, pairs: ir.Value,
    wide: ir.Value,
) -> list[ir.Value]:  # fmt: skip
    """Return 16 sums per row with AVX2, as 2 vectors of int32: pixels 0-3 and 8-11, and pixels 4-7 and 12-15.

    Every 4 pixels take 2 words per pair of taps from a window of 8 words, or of 16 if ``wide``, by ``vpshufb``.
    """
    half, words, bytes_ = ir.VectorType(I8, 16), ir.VectorType(I16, 16), ir.VectorType(I8, 32)
    starts = [b.mul(b.sext(load(b, base, I32, 4 * i), I64), I64(2)) for i in range(4)]
    taken = [load(b, picks, bytes_, 32 * i) for i in range(2)]
    both = ir.Constant(ir.VectorType(I32, 32), list(range(32)))

    def window(row: ir.Value, j: ir.Value, i: int, offset: int, lanes: ir.Value) -> ir.Value:
        at = (b.add(b.add(row, starts[i + k]), b.mul(j, I64(4))) for k in (0, 2))
        whole = b.shuffle_vector(*(load(b, a, half, offset) for a in at), both)
        return call(b, "llvm.x86.avx2.pshuf.b", bytes_, whole, lanes)

    def near(j: ir.Value, row: ir.Value, i: int) -> ir.Value:
        return window(row, j, i, 0, taken[i])

    def far(j: ir.Value, row: ir.Value, i: int) -> ir.Value:
        # an index byte of 128 or more gives zero: indices above 15 for the first half, below 16 for the second
        low = call(b, "llvm.uadd.sat.v32i8", bytes_, taken[i], fixed(0x70, I8, 32))
        high = b.sub(taken[i], fixed(16, I8, 32))
        return b.or_(window(row, j, i, 0, low), window(row, j, i, 16, high))

    def products(take: Callable[..., ir.Value], j: ir.Value) -> list[ir.Value]:
        weights = [load(b, b.add(weight, b.mul(j, I64(64))), words, 32 * i) for i in range(2)]
        return [madd(b, b.bitcast(take(j, row, i), words), weights[i]) for row in rows for i in range(2)]

    zeros = [fixed(0, I32, 8)] * (2 * len(rows))
    totals = [cgutils.alloca_once(b, zero.type) for zero in zeros]
    with b.if_else(b.icmp_signed("!=", wide, I64(0)), likely=False) as (wider, usual):
        for branch, take, straight in ((wider, far, 0), (usual, near, 1)):
            with branch:
                for total, x in zip(totals, sum_of(b, pairs, straight, zeros, partial(products, take)), strict=True):
                    b.store(x, total)
    return [b.load(total) for total in totals]
