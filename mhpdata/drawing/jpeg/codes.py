"""Tables of a JPEG's Huffman codes: what the next bits mean.

A look-up of the next FAST bits gives, where code and value fit into them, the value, the zeros before it and the bits
that both take; longer codes are found by their length.

Source: ITU-T T.81, annexes C and F.2.2.

Tried and lost: FAST of 12 or 13 (6 and 28 % slower: the tables leave the nearest cache), of 11 (3 % slower where that
cache has 32 kB) or 9 (15 %).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mhpdata.kernels.arrays import Bytes, Ints, Longs
from mhpdata.kernels.jit import kernel

FAST = 10
"""Bits that are looked up at once."""

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

    fast: Ints
    limits: Longs
    offsets: Longs
    symbols: Bytes


def build_tables(pairs: Sequence[tuple[Code, Code]]) -> Tables | None:
    """Build the tables of some pairs of codes, DC and AC; None if they are no codes."""
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
