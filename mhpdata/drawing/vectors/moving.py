"""Move bytes, in vector steps: interleave, split, fill, copy."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from mhpdata.drawing.vectors.instructions import I8, I32, I64, load, splat, step, store


def _interleave(lanes: int) -> Callable[..., None]:
    def build(b: ir.IRBuilder, source: ir.Value, stride: ir.Value, out: ir.Value) -> None:
        vector = ir.VectorType(I8, lanes)
        red, green, blue = (load(b, b.add(source, b.mul(stride, I64(i))), vector) for i in range(3))
        double = ir.Constant(ir.VectorType(I32, 2 * lanes), list(range(2 * lanes)))
        nothing = ir.Constant(vector, ir.Undefined)
        left, right = b.shuffle_vector(red, green, double), b.shuffle_vector(blue, nothing, double)
        order = [channel * lanes + pixel for pixel in range(lanes) for channel in range(3)]
        mixed = b.shuffle_vector(left, right, ir.Constant(ir.VectorType(I32, 3 * lanes), order))
        store(b, mixed, out)

    return build


interleave_512 = step(2, 3)(_interleave(64))
interleave_256 = step(1, 3)(_interleave(32))
"""(source, stride, out): one vector of each of 3 rows of uint8 -> R, G, B, R, G, B, ..."""


def _split(lanes: int) -> Callable[..., None]:
    def build(b: ir.IRBuilder, source: ir.Value, out: ir.Value, stride: ir.Value) -> None:
        thirds = [load(b, source, ir.VectorType(I8, lanes), i * lanes) for i in range(3)]
        for channel in range(3):
            taken = [3 * pixel + channel for pixel in range(lanes)]
            first = [p if p < 2 * lanes else 0 for p in taken]
            both = [i if p < 2 * lanes else p - lanes for i, p in enumerate(taken)]
            x = b.shuffle_vector(thirds[0], thirds[1], ir.Constant(ir.VectorType(I32, lanes), first))
            x = b.shuffle_vector(x, thirds[2], ir.Constant(ir.VectorType(I32, lanes), both))
            store(b, x, b.add(out, b.mul(stride, I64(channel))))

    return build


split_512 = step(2, 3)(_split(64))
split_256 = step(1, 3)(_split(32))
"""(source, out, stride): bytes R, G, B, R, G, B, ... -> one vector of each of 3 rows of uint8."""


def _fill(lanes: int, kind: ir.Type, stream: bool) -> Callable[..., None]:
    def build(b: ir.IRBuilder, value: ir.Value, out: ir.Value) -> None:
        store(b, splat(b, b.trunc(value, kind), lanes), out, stream=lanes * kind.width // 8 if stream else 0)

    return build


fill_bytes_512 = step(2, 2)(_fill(64, I8, False))
fill_bytes_256 = step(1, 2)(_fill(32, I8, False))
stream_words_512 = step(2, 2)(_fill(16, I32, True))
stream_words_256 = step(1, 2)(_fill(8, I32, True))
"""(value, out): one vector filled with a byte, or with a 4-byte word that is streamed to an aligned ``out``."""


def _copy(lanes: int, stream: bool) -> Callable[..., None]:
    def build(b: ir.IRBuilder, source: ir.Value, out: ir.Value) -> None:
        store(b, load(b, source, ir.VectorType(I8, lanes)), out, stream=lanes if stream else 0)

    return build


stream_512 = step(2, 2)(_copy(64, True))
stream_256 = step(1, 2)(_copy(32, True))
copy_8 = step(1, 2)(_copy(8, False))
copy_byte = step(1, 2)(_copy(1, False))
"""(source, out): one vector of bytes, streamed to an aligned ``out``, or copied to any ``out``."""
