"""Decode the Huffman codes of a baseline JPEG to coefficients, one row of units (MCUs) at a time.

Coefficients of 16 neighbouring blocks are interleaved, so that the inverse DCT transforms 16 blocks at once:
coefficient n of block x of a row of blocks has index ``(x // 16 * 64 + n) * 16 + x % 16``.

The rule: no input makes this code read or write outside the arrays. Decoding stops at an unknown code and at a
premature end of the data; the end is checked once per unit, so SPARE bytes after it hold the longest unit. Irregular
data that libjpeg accepts without a warning is decoded in the same way: fill bytes (255) before a marker, a run of zeros
past the end of a block (its value goes to the last coefficient), a run without a value (it ends the block).

Source: ITU-T T.81, annex F.2.2.

Tried and slower: the loop over a block's codes as a separate function (25 %; 9 % where Numba inlines it, since the
reservoir then passes through a tuple). No gain: entropy decoding and inverse DCT alternating every 16 units.
"""

from __future__ import annotations

import numpy as np

from mhpdata.drawing.jpeg.bits import long_code, look_up, refill, value_of
from mhpdata.drawing.jpeg.codes import FAST, Tables
from mhpdata.drawing.jpeg.grid import Grid
from mhpdata.drawing.jpeg.segments import AT, BITS, HAVE, LEFT, PREDICTED, SIZE, UNITS, begin_segment
from mhpdata.drawing.vectors.instructions import address
from mhpdata.kernels.arrays import Bytes, Longs, Shorts
from mhpdata.kernels.jit import callee

ZIGZAG = np.array([
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63, *[63] * 16,
])  # fmt: skip
"""int64 (80,): index in a block, row by row, of coefficient k; k up to 78, past the block's end, maps to the last."""
_OFFSETS = 16 * ZIGZAG.astype(np.uint64)


@callee
def decode_row(
    data: Bytes, which: Longs, tables: Tables, grid: Grid, unstuffed: Bytes, state: Longs, coefficients: Shorts
) -> bool:
    """Write the coefficients of the next row of units into zeroed memory; return False if the bytes are damaged.

    Args:
        data: uint8 (n,), the JPEG.
        which: int64 (3,), index of each component's pair of tables.
        tables: Look-up tables of this JPEG.
        grid: Layout of this JPEG.
        unstuffed: uint8 (n,), scratch for the scan without stuffing, and SPARE bytes.
        state: int64 (STATE,), see :func:`mhpdata.drawing.jpeg.segments.begin_scan`; updated.
        coefficients: int16 (n,), out, in the order that the module docstring describes.
    """
    start, table = address(unstuffed), address(tables.fast)
    limits, offsets, symbols = tables.limits, tables.offsets, tables.symbols
    blocks, columns, starts, widths = grid.blocks, grid.columns, grid.starts, grid.widths
    bits, at, have = np.uint64(state[BITS]), state[AT], state[HAVE]
    for unit in range(grid.units[1]):
        if state[LEFT] == 0 and (state[UNITS] > 0 or state[SIZE] == 0):
            begin_segment(data, unstuffed, state)
            bits, at, have = np.uint64(0), np.int64(0), np.int64(0)
        state[LEFT] -= 1
        for c in range(3):
            dc, ac = 2 * which[c], 2 * which[c] + 1
            table_dc, table_ac = table + (dc << FAST + 2), table + (ac << FAST + 2)
            for block in range(blocks[c]):
                to = _index_of(unit * columns[c] + block % columns[c], starts[c] + block // columns[c] * widths[c])
                bits, at, have = refill(bits, at, have, start)
                entry = look_up(table_dc, bits)
                if entry == 0:
                    entry = long_code(bits, limits[dc], offsets[dc], symbols[dc])
                    if entry == 0:
                        return False
                size = np.int64(entry >> np.uint64(12))
                bits <<= entry & np.uint64(63)
                state[PREDICTED + c] += value_of(bits, size)
                bits <<= np.uint64(size)
                have -= np.int64(entry & np.uint64(255)) + size
                coefficients[to] = np.int16(state[PREDICTED + c])
                k = np.uint64(1)
                while k < np.uint64(64):
                    bits, at, have = refill(bits, at, have, start)
                    for _ in range(5):  # codes of at most FAST bits each
                        entry = look_up(table_ac, bits)
                        if entry >> np.uint64(16) == 0:
                            break
                        bits <<= entry & np.uint64(63)
                        have -= np.int64(entry & np.uint64(255))
                        k += (entry >> np.uint64(8)) & np.uint64(15)
                        coefficients[to + _OFFSETS[k]] = np.int16(entry >> np.uint64(16))
                        k += np.uint64(1)
                        if k >= np.uint64(64):
                            break
                    if entry >> np.uint64(16) != 0:
                        continue
                    if entry == 0:
                        bits, at, have = refill(bits, at, have, start)
                        entry = long_code(bits, limits[ac], offsets[ac], symbols[ac])
                        if entry == 0:
                            return False
                    size = np.int64((entry >> np.uint64(12)) & np.uint64(15))
                    zeros = (entry >> np.uint64(8)) & np.uint64(15)
                    bits <<= entry & np.uint64(63)
                    have -= np.int64(entry & np.uint64(255))
                    if size > 0:
                        bits, at, have = refill(bits, at, have, start)
                        coefficients[to + _OFFSETS[k + zeros]] = np.int16(value_of(bits, size))
                        bits <<= np.uint64(size)
                        have -= size
                    elif zeros != np.uint64(15):  # the end of the block
                        break
                    k += zeros + np.uint64(1)
        if 8 * at - have > 8 * state[SIZE]:
            return False
    state[AT], state[HAVE], state[BITS] = at, have, np.int64(bits)
    return True


@callee
def _index_of(x: int, start: int) -> np.uint64:
    """Return the index of the DC of block x of a row of blocks, whose coefficients begin at ``start``."""
    return np.uint64(start + x // 16 * 1024 + x % 16)
