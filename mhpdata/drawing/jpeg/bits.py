"""The bits of entropy-coded bytes: a reservoir of 64, of which the first count, and what they stand for.

The way from one code to the next is what takes the time, so it is kept to three instructions: a shift, a load whose
address takes the base of the table and the index as they are, and a shift by the entry as it is loaded (uint64: neither
a sign to extend nor bits to mask). By array and index it was 12 % slower.

Source: Giesen 2018, "Reading bits in far too many ways", variant 4: the reservoir is refilled by one load that may
repeat bits it has.

Tried and lost: every value by shifts, none by the table (10 % slower); codes and refills one by one, with a branch
before each (28 % slower).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mhpdata.drawing.jpeg.codes import FAST
from mhpdata.drawing.vectors.instructions import I32, I64, load, store
from mhpdata.kernels.arrays import Bytes, Longs
from mhpdata.kernels.jit import callee


@intrinsic
def load_word(typingctx: Any, address: Any) -> Any:
    """The 8 bytes at an address, whatever its alignment, as uint64."""
    return types.uint64(types.int64), lambda context, b, signature, values: load(b, values[0], I64)


@intrinsic
def store_word(typingctx: Any, word: Any, address: Any) -> Any:
    """Write a uint64 to an address, whatever its alignment."""

    def codegen(context: Any, b: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        store(b, values[0], values[1])
        return context.get_dummy_value()

    return types.void(types.uint64, types.int64), codegen


@intrinsic
def look_up(typingctx: Any, table: Any, bits: Any) -> Any:
    """Of the int32 table at an address, the entry that the first FAST of 64 bits name, as uint64 (its own 32 bits)."""

    def codegen(context: Any, b: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        entries = b.inttoptr(values[0], ir.PointerType(I32))
        place = b.gep(entries, [b.lshr(values[1], I64(64 - FAST))])
        return b.zext(b.load(place, align=4), I64)

    return types.uint64(types.int64, types.uint64), codegen


@intrinsic
def _reversed(typingctx: Any, word: Any) -> Any:
    """A uint64 with its bytes in the other order."""

    def codegen(context: Any, b: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        kind = ir.FunctionType(I64, [I64])
        return b.call(cgutils.get_or_insert_function(b.module, kind, "llvm.bswap.i64"), values)

    return types.uint64(types.uint64), codegen


@callee
def refill(bits: np.uint64, at: np.int64, have: np.int64, start: int) -> tuple[np.uint64, np.int64, np.int64]:
    """Return the reservoir with at least 56 bits that count, its next byte, and how many count."""
    bits |= _reversed(load_word(start + at)) >> np.uint64(have)
    return bits, at + ((63 - have) >> 3), have | 56


@callee
def long_code(bits: np.uint64, limits: Longs, offsets: Longs, symbols: Bytes) -> np.uint64:
    """Return size << 12 | zeros << 8 | bits of a code that is longer than FAST; 0 if there is none."""
    window = np.int64(bits >> np.uint64(48))
    for length in range(FAST + 1, 17):
        if window < limits[length]:
            symbol = np.int64(symbols[(window >> (16 - length)) + offsets[length]])
            return np.uint64((symbol & 15) << 12 | symbol >> 4 << 8 | length)
    return np.uint64(0)


@callee
def value_of(bits: np.uint64, size: np.int64) -> np.int64:
    """Return the number that the first ``size`` (0 to 15) of 64 bits stand for (T.81, EXTEND)."""
    if size == 0:
        return np.int64(0)
    value = np.int64(bits >> np.uint64(64 - size))
    return value if value >> (size - 1) else value - (1 << size) + 1
