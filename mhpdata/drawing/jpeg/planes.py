"""The planes of a baseline JPEG, of which only the part that a crop touches is computed.

A JPEG of photos costs three times as much to decode as everything else that a training crop needs, and a library
decodes all of it, to RGB at full size. Here a row of blocks goes through three steps while it lies in the nearest
cache, and the planes come out as they are stored (Y, and Cb and Cr on a grid of their own), which is what the resize
wants::

    headers           mhpdata.drawing.jpeg.scan          tables, sizes; None for another decoder
    bytes             mhpdata.drawing.jpeg.entropy       Huffman codes -> coefficients; every row down to the crop's
    last coefficients      mhpdata.drawing.jpeg.inverse_dct   -> samples; only blocks that the crop touches
    planes            mhpdata.drawing.jpeg.grid          where they lie

The rule: the samples are libjpeg's to the last bit (the "accurate" integer DCT), on every machine. What libjpeg decodes
without a warning and is taken here, decodes here. Nothing in the bytes is trusted: tables are checked before they are
used, nothing is allocated before the caller has compared the size, the scan's end is looked for at every unit.

Sources: ITU-T T.81, annexes B (markers), C and F (Huffman codes).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mhpdata.drawing.jpeg.codes import Tables
from mhpdata.drawing.jpeg.entropy import decode_row
from mhpdata.drawing.jpeg.grid import Grid, grid
from mhpdata.drawing.jpeg.inverse_dct import BLOCKS, Loops, inverse_dct
from mhpdata.drawing.jpeg.scan import Scan, tables_of
from mhpdata.drawing.jpeg.segments import SPARE, STATE, begin_scan
from mhpdata.drawing.vectors.instructions import LEVEL
from mhpdata.kernels.arrays import Bytes, Ints, Longs, LongWords, Shorts
from mhpdata.kernels.jit import callee, kernel


class Workplace:
    """The memory of one thread for decoding; it grows to the widest JPEG and stays."""

    def __init__(self) -> None:
        self.plain = np.empty(0, np.uint8)
        self.coefficients = np.zeros(0, np.int16)
        self.work = np.zeros(64 * BLOCKS, np.int32)
        self.state = np.zeros(STATE, np.int64)

    def fit(self, plain: int, coefficients: int) -> None:
        """Make room for so many bytes without stuffing, and for the coefficients of a row of units."""
        if self.plain.size < plain:
            self.plain = np.empty(plain + plain // 4, np.uint8)
        if self.coefficients.size < coefficients:
            self.coefficients = np.zeros(coefficients, np.int16)


class _Coded(NamedTuple):
    """A JPEG's bytes, uint8 (n,), and of its Scan what the kernel needs."""

    data: Bytes
    begin: int
    restart: int
    which: Longs
    steps: Ints


class _Part(NamedTuple):
    """The samples of Y that are wanted: rows top .. bottom, columns left .. right."""

    top: int
    bottom: int
    left: int
    right: int


class _Memory(NamedTuple):
    """The arrays of a Workplace: uint8 (n,), int16 (n,), int32 (64 * BLOCKS,), int64 (STATE,)."""

    plain: Bytes
    coefficients: Shorts
    work: Ints
    state: Longs


def decode_planes(
    data: Bytes, scan: Scan, rows: tuple[int, int], part: tuple[int, int], out: Bytes, workplace: Workplace
) -> bool:
    """Decode a part of a JPEG; return False where its bytes are damaged or end too early.

    Args:
        data: uint8 (n,), the JPEG; writable, as every array of a kernel.
        scan: of this JPEG, or of another one: then what comes out means nothing, and still nothing breaks.
        rows, part: the rows and the columns that are wanted, (from, to), in samples of Y, 0 <= from < to.
        out: uint8 (n,), 8-aligned, at least ``grid(...).size``: the planes; samples that are not wanted may hold
            anything.
        workplace: of this thread.
    """
    place, tables = grid(scan.size, scan.factors), tables_of(scan.codes)
    assert tables is not None, "read_scan has built them before"
    assert out.size >= place.size, "the kernels write all of the grid"
    workplace.fit(max(data.size - scan.begin, 0) + SPARE, place.coefficients)
    coded = _Coded(data, scan.begin, scan.restart, scan.which, scan.steps)
    memory = _Memory(workplace.plain, workplace.coefficients, workplace.work, workplace.state)
    words = out[: place.size].view(np.uint64)
    done = _decode(LEVEL, None if LEVEL else True, coded, tables, place, _Part(*rows, *part), memory, words)
    if not done:
        workplace.coefficients[:] = 0
    return bool(done)


@kernel
def _decode(
    level: int, loops: Loops, coded: _Coded, tables: Tables, grid: Grid, part: _Part, memory: _Memory, out: LongWords
) -> bool:
    """Decode the rows of units down to the part's last, each to coefficients, then to samples; False where damaged."""
    data, which, steps = coded.data, coded.which, coded.steps
    plain, coefficients, work, state = memory.plain, memory.coefficients, memory.work, memory.state
    begin_scan(coded.begin, coded.restart, state)
    pixels = 8 * grid.factors[0]  # rows of a unit
    first, last = part.top // pixels, min(-(-part.bottom // pixels), grid.units[0])
    for row in range(last):
        if not decode_row(data, which, tables, grid, plain, state, coefficients):
            return False
        if row >= first:
            _transform_row(level, loops, row, coefficients, steps, work, grid, part, out)
        coefficients[:] = 0
    return True


@callee
def _transform_row(
    level: int,
    loops: Loops,
    row: int,
    coefficients: Shorts,
    steps: Ints,
    work: Ints,
    grid: Grid,
    part: _Part,
    out: LongWords,
) -> None:
    """Turn the coefficients of a row of units into samples, 16 neighbouring blocks at a time."""
    across = grid.factors[1]
    columns, widths, starts, at, stride = grid.columns, grid.widths, grid.starts, grid.at, grid.stride
    for c in range(3):
        down = grid.blocks[c] // columns[c]
        wide = 8 * across // columns[c] * BLOCKS  # pixels of 16 blocks
        low, high = part.left // wide, min(-(-part.right // wide), widths[c] // (64 * BLOCKS))
        for y in range(down):
            for group in range(low, high):
                place = starts[c] + y * widths[c] + group * 64 * BLOCKS
                sample = at[c] + (row * down + y) * 8 * stride[c] + group * 8 * BLOCKS
                blocks = coefficients[place : place + 64 * BLOCKS]
                inverse_dct(level, loops, blocks, steps[c], work, out, sample // 8, stride[c] // 8)
