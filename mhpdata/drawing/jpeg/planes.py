"""Decode the planes of a baseline JPEG, only the part that a crop touches.

Decoding a JPEG costs three times as much as everything else that a training crop needs, and a library decodes all of
it, to RGB at full size. Here each row of blocks passes through all stages while it is in the L1 cache, and the planes
keep their stored form (Y, and Cb and Cr on a coarser grid), which the resize reads directly::

    headers           mhpdata.drawing.jpeg.scan          tables, sizes; None if a library must decode the JPEG
    bytes             mhpdata.drawing.jpeg.entropy       Huffman codes -> coefficients; all rows down to the crop's last
    coefficients      mhpdata.drawing.jpeg.inverse_dct   -> samples; only blocks that the crop touches
    planes            mhpdata.drawing.jpeg.grid          layout in memory

The rule: the samples are libjpeg's to the last bit (the "accurate" integer DCT), on every machine. An accepted JPEG
that libjpeg decodes without a warning decodes here, too. Nothing in the bytes is trusted: tables are checked before
use, nothing is allocated before the caller has compared the size, and the scan's end is checked at every unit.

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
    """Per-thread buffers for decoding, which grow to the widest JPEG and are kept."""

    def __init__(self) -> None:
        self.unstuffed = np.empty(0, np.uint8)
        self.coefficients = np.zeros(0, np.int16)
        self.work = np.zeros(64 * BLOCKS, np.int32)
        self.state = np.zeros(STATE, np.int64)

    def fit(self, unstuffed: int, coefficients: int) -> None:
        """Grow the buffers for ``unstuffed`` bytes and the ``coefficients`` of a row of units."""
        if self.unstuffed.size < unstuffed:
            self.unstuffed = np.empty(unstuffed + unstuffed // 4, np.uint8)
        if self.coefficients.size < coefficients:
            self.coefficients = np.zeros(coefficients, np.int16)


class _Coded(NamedTuple):
    """A JPEG's bytes, uint8 (n,), and the fields of its Scan that the kernel needs."""

    data: Bytes
    begin: int
    restart: int
    which: Longs
    steps: Ints


class _Region(NamedTuple):
    """Samples of Y to decode: rows top .. bottom, columns left .. right."""

    top: int
    bottom: int
    left: int
    right: int


class _Memory(NamedTuple):
    """Arrays of a Workplace: uint8 (n,), int16 (n,), int32 (64 * BLOCKS,), int64 (STATE,)."""

    unstuffed: Bytes
    coefficients: Shorts
    work: Ints
    state: Longs


def decode_planes(
    data: Bytes, scan: Scan, rows: tuple[int, int], columns: tuple[int, int], out: Bytes, workplace: Workplace
) -> bool:
    """Decode a region of a JPEG; return False if its bytes are damaged or end too early.

    Args:
        data: uint8 (n,), the JPEG; writable, as every array of a kernel.
        scan: Headers of this JPEG; those of another one give arbitrary samples, but no access outside the arrays.
        rows, columns: Rows and columns to decode, (from, to), in samples of Y, 0 <= from < to.
        out: uint8 (n,), 8-byte aligned, at least ``grid(...).size``: the planes; samples outside the region are
            undefined.
        workplace: Buffers of the calling thread.
    """
    layout, tables = grid(scan.size, scan.factors), tables_of(scan.codes)
    assert tables is not None, "read_scan has built them before"
    assert out.size >= layout.size, "the kernels write all of the grid"
    workplace.fit(max(data.size - scan.begin, 0) + SPARE, layout.coefficients)
    coded = _Coded(data, scan.begin, scan.restart, scan.which, scan.steps)
    memory = _Memory(workplace.unstuffed, workplace.coefficients, workplace.work, workplace.state)
    words = out[: layout.size].view(np.uint64)
    done = _decode(LEVEL, None if LEVEL else True, coded, tables, layout, _Region(*rows, *columns), memory, words)
    if not done:
        workplace.coefficients[:] = 0
    return bool(done)


@kernel
def _decode(
    level: int,
    loops: Loops,
    coded: _Coded,
    tables: Tables,
    grid: Grid,
    region: _Region,
    memory: _Memory,
    out: LongWords,
) -> bool:
    """Decode the rows of units down to the region's last to coefficients, then to samples; False if damaged."""
    data, which, steps = coded.data, coded.which, coded.steps
    unstuffed, coefficients, work, state = memory.unstuffed, memory.coefficients, memory.work, memory.state
    begin_scan(coded.begin, coded.restart, state)
    pixels = 8 * grid.factors[0]  # rows of a unit
    first, last = region.top // pixels, min(-(-region.bottom // pixels), grid.units[0])
    for row in range(last):
        if not decode_row(data, which, tables, grid, unstuffed, state, coefficients):
            return False
        if row >= first:
            _transform_row(level, loops, row, coefficients, steps, work, grid, region, out)
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
    region: _Region,
    out: LongWords,
) -> None:
    """Turn the coefficients of a row of units into samples, 16 neighbouring blocks at a time."""
    across = grid.factors[1]
    columns, widths, starts, at, stride = grid.columns, grid.widths, grid.starts, grid.at, grid.stride
    for c in range(3):
        down = grid.blocks[c] // columns[c]
        wide = 8 * across // columns[c] * BLOCKS  # pixels of 16 blocks
        low, high = region.left // wide, min(-(-region.right // wide), widths[c] // (64 * BLOCKS))
        for y in range(down):
            for group in range(low, high):
                begin = starts[c] + y * widths[c] + group * 64 * BLOCKS
                sample = at[c] + (row * down + y) * 8 * stride[c] + group * 8 * BLOCKS
                blocks = coefficients[begin : begin + 64 * BLOCKS]
                inverse_dct(level, loops, blocks, steps[c], work, out, sample // 8, stride[c] // 8)
