"""Huffman codes of a baseline JPEG -> coefficients, one row of units after the other.

A look-up of the next FAST bits gives, where code and value fit into them, the value, the zeros before it and the bits
that both take; longer codes are found by their length. Coefficients of 16 neighbouring blocks lie side by side, so that
the inverse DCT does the same to 16 blocks at once: coefficient n of block x of a row of blocks stands at
``(x // 16 * 64 + n) * 16 + x % 16``.

The rule: whatever the bytes are, nothing outside the arrays is read or written. A code that the tables do not have and
bytes that end too early end the decoding; that is looked at once a unit, so SPARE bytes behind the end have room for
the longest. What libjpeg takes without a warning is taken in the same way: bytes of 255 that fill up before a marker, a
run of zeros past a block's end (its value lands in the last coefficient), a run without a value (it ends the block).

Sources: ITU-T T.81, annexes C and F.2.2. The reservoir of 64 bits, refilled by one load that may repeat bits it has:
Giesen 2018, "Reading bits in far too many ways", variant 4.

The way from one code to the next is what takes the time, so it is kept to three instructions: a shift, a load whose
address takes the base of the table and the index as they are, and a shift by the entry as it is loaded (uint64: neither
a sign to extend nor bits to mask). By array and index it was 12 % slower.

Tried and lost: FAST of 12 or 13 (6 and 28 % slower: the tables leave the nearest cache), of 11 (3 % slower where that
cache has 32 kB) or 9 (15 %); every value by shifts, none by the table (10 % slower); codes and refills one by one, with
a branch before each (28 % slower); 16 units at a time through both steps (no difference).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mhpdata.drawing.instructions import I32, I64, load, store
from mhpdata.jit import kernel

FAST = 10
"""Bits that are looked up at once."""
SPARE = 1536
"""Bytes that may be read behind the end of the scan: a unit that begins there has at most 6 blocks of 64 codes and
values of 31 bits, 1488 bytes; the reservoir is up to 7 bytes ahead, and a load takes 8."""
ZIGZAG = np.array([
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63, *[63] * 16,
])  # fmt: skip
"""int64 (80,): place in a block, row by row, of coefficient k; runs past the block's end (k up to 78) stay in it."""
_PLACES = 16 * ZIGZAG.astype(np.uint64)
AT, BITS, HAVE, SIZE, NEXT, UNITS, LEFT, PREDICTED = range(8)
"""Columns of the state: byte of the reservoir's next load, the reservoir and how many bits of it count, bytes of this
segment, where the next one begins, units a segment, units left of this one, the last DC of each component."""
STATE = PREDICTED + 3

Code = tuple[bytes, bytes]
"""A Huffman code as DHT has it: how many codes of each length from 1 to 16, and their symbols."""


class Tables(NamedTuple):
    """Tables of codes; two a pair, of DC and of AC.

    Attributes:
        fast: int32 (n << FAST,), by the next FAST bits: value << 16 | size << 12 | zeros << 8 | bits. Where the code
            fits into them and its value does not, value is 0 and bits are those of the code; where no code fits, all
            is 0. A DC has no zeros before it; its value is found apart.
        limits: int64 (n, 17): by length, what 16 bits that begin with a code of this length are smaller than.
        offsets: int64 (n, 17): by length, added to a code's number for its place in ``symbols``.
        symbols: uint8 (n, 256).
    """

    fast: np.ndarray
    limits: np.ndarray
    offsets: np.ndarray
    symbols: np.ndarray


def build_tables(pairs: Sequence[tuple[Code, Code]]) -> Tables | None:
    """The tables of some pairs of codes, DC and AC; None if they are no codes."""
    n = 2 * len(pairs)
    tables = Tables(
        np.zeros(n << FAST, np.int32),
        np.zeros((n, 17), np.int64),
        np.zeros((n, 17), np.int64),
        np.zeros((n, 256), np.uint8),
    )
    for i, (counts, symbols) in enumerate(code for pair in pairs for code in pair):
        if len(symbols) > 256 or (i % 2 == 0 and max(symbols, default=0) > 15):
            return None
        first, seen = 0, 0
        for length, count in enumerate(counts, 1):
            if first + count >= 1 << length:  # no code is all ones
                return None
            tables.limits[i, length] = (first + count) << (16 - length)
            tables.offsets[i, length] = seen - first
            first, seen = (first + count) << 1, seen + count
        tables.symbols[i, : len(symbols)] = list(symbols)
        _fill_fast(
            i % 2, tables.limits[i], tables.offsets[i], tables.symbols[i], tables.fast[i << FAST : (i + 1) << FAST]
        )
    return tables


@kernel
def _fill_fast(ac: Any, limits: Any, offsets: Any, symbols: Any, fast: Any) -> Any:
    for i in range(1 << FAST):
        window = i << (16 - FAST)
        for length in range(1, FAST + 1):
            if window >= limits[length]:
                continue
            symbol = np.int64(symbols[(window >> (16 - length)) + offsets[length]])
            size = symbol & 15
            fast[i] = size << 12 | symbol >> 4 << 8 | length
            if ac and size > 0 and length + size <= FAST:
                value = (i >> (FAST - length - size)) & ((1 << size) - 1)
                if value >> (size - 1) == 0:
                    value -= (1 << size) - 1
                fast[i] = value << 16 | size << 12 | symbol >> 4 << 8 | (length + size)
            break


@intrinsic
def _load_word(typingctx: Any, address: Any) -> Any:
    """The 8 bytes at an address, whatever its alignment, as uint64."""
    return types.uint64(types.int64), lambda context, b, signature, values: load(b, values[0], I64)


@intrinsic
def _store_word(typingctx: Any, word: Any, address: Any) -> Any:
    def codegen(context: Any, b: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        store(b, values[0], values[1])
        return context.get_dummy_value()

    return types.void(types.uint64, types.int64), codegen


@intrinsic
def _entry(typingctx: Any, table: Any, bits: Any) -> Any:
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


@kernel
def _unstuff(data: Any, begin: Any, end: Any, out: Any) -> Any:
    """Copy data[begin:end] as far as the next marker, without the zero behind each 255.

    ``out`` has room for all of them. Returns where the marker (or the end) is, and how many bytes were copied.
    """
    at, to = begin, 0
    source, target = np.int64(data.ctypes.data), np.int64(out.ctypes.data)
    ones, tops = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
    while at < end:
        while at + 8 <= end:
            word = _load_word(source + at)
            if (~word - ones) & word & tops:  # a byte of them is 255
                break
            _store_word(word, target + to)
            at, to = at + 8, to + 8
        stop = min(end, at + 8)
        while at < stop:
            out[to] = data[at]
            if data[at] == 255:
                while at + 1 < end and data[at + 1] == 255:  # they fill up
                    at += 1
                if at + 1 >= end or data[at + 1] != 0:
                    return at, to
                at += 1
            at, to = at + 1, to + 1
    return at, to


@kernel
def begin_scan(begin: Any, restart: Any, state: Any) -> Any:
    """State (int64, STATE) before the first unit; ``restart`` units a segment, or 0."""
    state[:] = 0
    state[NEXT] = begin
    state[UNITS] = restart


@kernel
def _begin_segment(data: Any, end: Any, restart: Any, plain: Any, state: Any) -> Any:
    at, size = _unstuff(data, state[NEXT], end, plain)
    plain[size : size + SPARE] = 0
    following = at + 2 if at + 1 < end and data[at + 1] & 0xF8 == 0xD0 else at  # behind RST0 .. RST7
    state[:] = 0
    state[NEXT], state[SIZE], state[LEFT], state[UNITS] = following, size, restart, restart


@kernel
def decode_row(
    data: Any, end: Any, units: Any, blocks: Any, columns: Any, which: Any, starts: Any, widths: Any,
    fast: Any, limits: Any, offsets: Any, symbols: Any, plain: Any, state: Any, coefficients: Any,
) -> Any:  # fmt: skip
    """Add the coefficients of the next row of units to memory that holds zeros; False where the bytes are damaged.

    Args:
        data: uint8, the JPEG; its entropy-coded bytes end before ``end``.
        units: in the row.
        blocks, columns: int64 (3,): blocks of each component in a unit, and how many of them stand side by side.
        which: int64 (3,): each component's pair of tables.
        starts, widths: int64 (3,): where a component's coefficients begin, and how many lie in a row of its blocks.
        fast, limits, offsets, symbols: of Tables.
        plain: uint8, room for the scan and SPARE bytes.
        state: int64 (STATE,), see :func:`begin_scan`; changed.
        coefficients: int16, in the order that this module's head describes.
    """
    address, table = np.int64(plain.ctypes.data), np.int64(fast.ctypes.data)
    at, have = state[AT], state[HAVE]
    bits = np.uint64(state[BITS])
    for unit in range(units):
        if state[LEFT] == 0 and (state[UNITS] > 0 or state[SIZE] == 0):
            _begin_segment(data, end, state[UNITS], plain, state)
            at, have, bits = np.int64(0), np.int64(0), np.uint64(0)
        state[LEFT] -= 1
        for c in range(3):
            dc, ac = 2 * which[c], 2 * which[c] + 1
            table_ac = table + (ac << FAST + 2)
            for block in range(blocks[c]):
                x = unit * columns[c] + block % columns[c]
                place = starts[c] + block // columns[c] * widths[c] + x // 16 * 1024 + x % 16
                to = np.uint64(place)
                bits, at, have = _refill(bits, at, have, address)
                entry = _entry(table + (dc << FAST + 2), bits)
                if entry == 0:
                    entry = _long_code(bits, limits[dc], offsets[dc], symbols[dc])
                    if entry == 0:
                        return False
                size = np.int64(entry >> np.uint64(12))
                bits <<= entry & np.uint64(63)
                state[PREDICTED + c] += _value(bits, size)
                bits <<= np.uint64(size)
                have -= np.int64(entry & np.uint64(255)) + size
                coefficients[to] = np.int16(state[PREDICTED + c])
                k = np.uint64(1)
                while k < np.uint64(64):
                    bits, at, have = _refill(bits, at, have, address)
                    for _ in range(5):  # of at most FAST bits each
                        entry = _entry(table_ac, bits)
                        if entry >> np.uint64(16) == 0:
                            break
                        bits <<= entry & np.uint64(63)
                        have -= np.int64(entry & np.uint64(255))
                        k += (entry >> np.uint64(8)) & np.uint64(15)
                        coefficients[to + _PLACES[k]] = np.int16(entry >> np.uint64(16))
                        k += np.uint64(1)
                        if k >= np.uint64(64):
                            break
                    if entry >> np.uint64(16) != 0:
                        continue
                    if entry == 0:
                        bits, at, have = _refill(bits, at, have, address)
                        entry = _long_code(bits, limits[ac], offsets[ac], symbols[ac])
                        if entry == 0:
                            return False
                    size = np.int64((entry >> np.uint64(12)) & np.uint64(15))
                    zeros = (entry >> np.uint64(8)) & np.uint64(15)
                    bits <<= entry & np.uint64(63)
                    have -= np.int64(entry & np.uint64(255))
                    if size > 0:
                        bits, at, have = _refill(bits, at, have, address)
                        coefficients[to + _PLACES[k + zeros]] = np.int16(_value(bits, size))
                        bits <<= np.uint64(size)
                        have -= size
                    elif zeros != np.uint64(15):  # the end of the block
                        break
                    k += zeros + np.uint64(1)
        if 8 * at - have > 8 * state[SIZE]:
            return False
    state[AT], state[HAVE], state[BITS] = at, have, np.int64(bits)
    return True


@kernel
def _refill(bits: Any, at: Any, have: Any, address: Any) -> Any:
    """The reservoir with at least 56 bits that count."""
    bits |= _reversed(_load_word(address + at)) >> np.uint64(have)
    return bits, at + ((63 - have) >> 3), have | 56


@kernel
def _long_code(bits: Any, limits: Any, offsets: Any, symbols: Any) -> Any:
    """size << 12 | zeros << 8 | bits of a code that is longer than FAST; 0 if there is none."""
    window = np.int64(bits >> np.uint64(48))
    for length in range(FAST + 1, 17):
        if window < limits[length]:
            symbol = np.int64(symbols[(window >> (16 - length)) + offsets[length]])
            return np.uint64((symbol & 15) << 12 | symbol >> 4 << 8 | length)
    return np.uint64(0)


@kernel
def _value(bits: Any, size: Any) -> Any:
    """The number that the first ``size`` (0 to 15) of 64 bits stand for (T.81, EXTEND)."""
    if size == 0:
        return np.int64(0)
    value = np.int64(bits >> np.uint64(64 - size))
    return value if value >> (size - 1) else value - (1 << size) + 1
