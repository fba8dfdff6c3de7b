"""Read entropy-coded bits through a 64-bit reservoir, of which the leading bits are valid.

The latency from one code to the next dominates, so it is kept to three instructions: a shift, a load that takes the
table's base and the index directly, and a shift by the loaded entry (uint64, so there is no sign to extend and no bits
to mask). Indexing an array instead was 12 % slower.

Source: Giesen 2018, "Reading bits in far too many ways", variant 4: the reservoir is refilled by one load that may
repeat bits it already has.

Tried and slower: computing every value by shifts instead of the table (10 %); refilling before each code, with a branch
(28 %).
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
    """Load the 8 bytes at an address of any alignment, as uint64."""
    return types.uint64(types.int64), lambda context, b, signature, values: load(b, values[0], I64)


@intrinsic
def store_word(typingctx: Any, word: Any, address: Any) -> Any:
    """Store a uint64 at an address of any alignment."""

    def codegen(context: Any, b: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        store(b, values[0], values[1])
        return context.get_dummy_value()

    return types.void(types.uint64, types.int64), codegen


@intrinsic
def look_up(typingctx: Any, table: Any, bits: Any) -> Any:
    """Look up the first FAST of 64 bits in an int32 table, given by its address; return uint64, zero-extended."""

    def codegen(context: Any, b: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        entries = b.inttoptr(values[0], ir.PointerType(I32))
        entry = b.gep(entries, [b.lshr(values[1], I64(64 - FAST))])
        return b.zext(b.load(entry, align=4), I64)

    return types.uint64(types.int64, types.uint64), codegen


@intrinsic
def _reversed(typingctx: Any, word: Any) -> Any:
    """Reverse the bytes of a uint64."""

    def codegen(context: Any, b: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        swap = ir.FunctionType(I64, [I64])
        return b.call(cgutils.get_or_insert_function(b.module, swap, "llvm.bswap.i64"), values)

    return types.uint64(types.uint64), codegen


@callee
def refill(bits: np.uint64, at: np.int64, have: np.int64, start: int) -> tuple[np.uint64, np.int64, np.int64]:
    """Refill the reservoir to at least 56 valid bits; return it, the index of its next byte and the valid bits."""
    bits |= _reversed(load_word(start + at)) >> np.uint64(have)
    return bits, at + ((63 - have) >> 3), have | 56


@callee
def long_code(bits: np.uint64, limits: Longs, offsets: Longs, symbols: Bytes) -> np.uint64:
    """Return size << 12 | zeros << 8 | length of a code longer than FAST bits; 0 if the bits are no code."""
    window = np.int64(bits >> np.uint64(48))
    for length in range(FAST + 1, 17):
        if window < limits[length]:
            symbol = np.int64(symbols[(window >> (16 - length)) + offsets[length]])
            return np.uint64((symbol & 15) << 12 | symbol >> 4 << 8 | length)
    return np.uint64(0)


@callee
def value_of(bits: np.uint64, size: np.int64) -> np.int64:
    """Return the number that the first ``size`` (0 to 15) of 64 bits encode (T.81, EXTEND)."""
    if size == 0:
        return np.int64(0)
    value = np.int64(bits >> np.uint64(64 - size))
    return value if value >> (size - 1) else value - (1 << size) + 1
