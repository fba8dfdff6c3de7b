"""Step through the segments of a scan between restart markers, and keep the state of its decoding."""

from __future__ import annotations

import numpy as np

from mhpdata.drawing.jpeg.bits import load_word, store_word
from mhpdata.drawing.vectors.instructions import address
from mhpdata.kernels.arrays import Bytes, Longs
from mhpdata.kernels.jit import callee

SPARE = 1536
"""Bytes that may be read past the end of the scan: a unit that begins there has at most 6 blocks of 64 codes with
values, 31 bits each, 1488 bytes; the reservoir is up to 7 bytes ahead, and a load takes 8."""
AT, BITS, HAVE, SIZE, NEXT, UNITS, LEFT, PREDICTED = range(8)
"""Columns of the state: offset of the reservoir's next load, the reservoir, its number of valid bits, bytes of this
segment, offset of the next segment, units per segment, units left in this one, last DC of each component."""
STATE = PREDICTED + 3


@callee
def begin_scan(begin: int, restart: int, state: Longs) -> None:
    """Initialise the state, int64 (STATE,), for a scan at offset ``begin``; ``restart``: units per segment, or 0."""
    state[:] = 0
    state[NEXT] = begin
    state[UNITS] = restart


@callee
def begin_segment(data: Bytes, unstuffed: Bytes, state: Longs) -> None:
    """Copy the next segment of a JPEG to ``unstuffed``, which has room for all of ``data`` and SPARE bytes."""
    restart = state[UNITS]
    at, size = _unstuff(data, state[NEXT], unstuffed)
    unstuffed[size : size + SPARE] = 0
    following = at + 2 if at + 1 < data.size and data[at + 1] & 0xF8 == 0xD0 else at  # past RST0 .. RST7
    state[:] = 0
    state[NEXT], state[SIZE], state[LEFT], state[UNITS] = following, size, restart, restart


@callee
def _unstuff(data: Bytes, begin: int, out: Bytes) -> tuple[int, int]:
    """Copy ``data`` from ``begin`` up to the next marker, without the zero after each 255.

    ``out`` has room for all of it. Return the offset of the marker (or of the end), and the number of bytes copied.
    """
    at, to, end = begin, 0, data.size
    source, target = address(data), address(out)
    ones, tops = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
    while at < end:
        while at + 8 <= end:
            word = load_word(source + at)
            if (~word - ones) & word & tops:  # one of the 8 bytes is 255
                break
            store_word(word, target + to)
            at, to = at + 8, to + 8
        stop = min(end, at + 8)
        while at < stop:
            out[to] = data[at]
            if data[at] == 255:
                while at + 1 < end and data[at + 1] == 255:  # fill bytes before a marker
                    at += 1
                if at + 1 >= end or data[at + 1] != 0:
                    return at, to
                at += 1
            at, to = at + 1, to + 1
    return at, to
