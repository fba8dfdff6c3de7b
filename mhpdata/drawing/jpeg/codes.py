"""Build the look-up tables of a JPEG's Huffman codes.

If code and value fit into the next FAST bits, one look-up gives the value, the zeros before it and the bits of both;
longer codes are searched by length.

Source: ITU-T T.81, annexes C and F.2.2.

Tried and slower: FAST of 12 or 13 (6 and 28 %: the tables exceed the L1 cache), 11 (3 % with an L1 cache of 32 kB) and
9 (15 %).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mhpdata.kernels.arrays import Bytes, Ints, Longs
from mhpdata.kernels.jit import kernel

FAST = 10
"""Number of bits per look-up."""

Code = tuple[bytes, bytes]
"""A Huffman table as in DHT: the number of codes of each length from 1 to 16, and their symbols."""


class Tables(NamedTuple):
    """Look-up tables of Huffman codes; two per pair, one for DC and one for AC.

    Attributes:
        fast: int32 (n << FAST,), indexed by the next FAST bits: value << 16 | size << 12 | zeros << 8 | bits. If the
            code fits and its value does not, value is 0 and bits is the length of the code; if no code fits, the entry
            is 0. DC entries have no zeros, and their value is read separately.
        limits: int64 (n, 17): per length, an exclusive upper bound of 16 bits that begin with a code of this length.
        offsets: int64 (n, 17): per length, the difference between a code and the index of its symbol.
        symbols: uint8 (n, 256).
    """

    fast: Ints
    limits: Longs
    offsets: Longs
    symbols: Bytes


def build_tables(pairs: Sequence[tuple[Code, Code]]) -> Tables | None:
    """Build the tables of pairs of Huffman tables, (DC, AC); return None if they are invalid."""
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
    _fill_fast(tables)
    return tables


@kernel
def _fill_fast(tables: Tables) -> None:
    """Fill ``tables.fast`` from the other tables."""
    fast, limits, offsets, symbols = tables.fast, tables.limits, tables.offsets, tables.symbols
    for at in range(fast.size):
        table, i = at >> FAST, at & ((1 << FAST) - 1)
        window = i << (16 - FAST)
        for length in range(1, FAST + 1):
            if window >= limits[table, length]:
                continue
            symbol = np.int64(symbols[table, (window >> (16 - length)) + offsets[table, length]])
            size = symbol & 15
            fast[at] = size << 12 | symbol >> 4 << 8 | length
            if table % 2 == 1 and size > 0 and length + size <= FAST:
                value = (i >> (FAST - length - size)) & ((1 << size) - 1)
                if value >> (size - 1) == 0:
                    value -= (1 << size) - 1
                fast[at] = value << 16 | size << 12 | symbol >> 4 << 8 | (length + size)
            break
