"""The planes of a baseline JPEG, of which only the part that a crop touches is computed.

A JPEG of photos costs three times as much to decode as everything else that a training crop needs, and a library decodes
all of it, to RGB at full size. Here a row of blocks goes through three steps while it lies in the nearest cache, and the
planes come out as they are stored (Y, and Cb and Cr on a grid of their own), which is what the resize wants::

    bytes             mhpdata.entropy       Huffman codes -> coefficients; every row down to the crop's last
    coefficients      mhpdata.inverse_dct   -> samples; only blocks that the crop touches
    planes

The rule: the samples are libjpeg's to the last bit (the "accurate" integer DCT), on every machine. Which decoder a JPEG
is for depends on the JPEG alone: :func:`read_scan` gives None for what is not taken here (progressive, no YCbCr, more than
one scan, strange sampling), and the caller decodes it by a library. Nothing in the bytes is trusted: tables are checked
before they are used, the scan's end is looked for at every row.

Source: ITU-T T.81, annexes B (markers), C and F (Huffman codes).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from mhpdata.entropy import SPARE, STATE, ZIGZAG, Code, Tables, begin_scan, build_tables, decode_row
from mhpdata.inverse_dct import BLOCKS, inverse_dct

_SOF0, _DHT, _SOI, _EOI, _SOS, _DQT, _DRI, _APP0, _APP14 = 0xC0, 0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE
_FACTORS = {(1, 1), (1, 2), (2, 1), (2, 2), (1, 4), (4, 1)}


class Scan(NamedTuple):
    """What is needed to decode a JPEG of Y, Cb, Cr, beside its bytes.

    Attributes:
        size: (height, width) in pixels.
        factors: (rows, columns): how many blocks of Y a unit holds; Cb and Cr have one each.
        begin: where the entropy-coded bytes begin.
        restart: units between restart markers; 0 for none.
        tables: Huffman tables.
        codes: int64 (3,): which pair of tables each component takes.
        steps: int32 (3, 64): each component's quantiser, row by row.
    """

    size: tuple[int, int]
    factors: tuple[int, int]
    begin: int
    restart: int
    tables: Tables
    codes: np.ndarray
    steps: np.ndarray


def read_scan(data: bytes | memoryview) -> Scan | None:
    """Read the markers of a JPEG; None if it is for another decoder, or no JPEG.

    Args:
        data: from SOI; nothing behind the header of the scan is looked at.
    """
    try:
        return _walk(bytes(data[: _header_end(data)]))
    except (struct.error, IndexError, KeyError, ValueError):
        return None


def _header_end(data: bytes | memoryview) -> int:
    """Where the first scan's own bytes begin."""
    at = 2
    while True:
        marker, length = struct.unpack_from(">xBH", data, at)
        at += 2 + length
        if marker == _SOS:
            return at


def _walk(data: bytes) -> Scan | None:
    quantisers: dict[int, bytes] = {}
    codes: dict[int, Code] = {}
    frame = b""
    jfif, transform, restart, at = False, None, 0, 2
    if data[0] != 0xFF or data[1] != _SOI:
        return None
    while True:
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        (length,) = struct.unpack_from(">H", data, at + 2)
        part = data[at + 4 : at + 2 + length]
        at += 2 + length
        if length < 2 or at > len(data):
            return None
        if marker == _DQT:
            while part:
                if part[0] > 3 or len(part) < 65:  # 16-bit steps are not baseline
                    return None
                quantisers[part[0]], part = part[1:65], part[65:]
        elif marker == _DHT:
            while part:
                count = sum(part[1:17])
                if part[0] & 0xEE or len(part) < 17 + count:
                    return None
                codes[part[0]], part = (part[1:17], part[17 : 17 + count]), part[17 + count :]
        elif marker == _SOF0:
            if frame:
                return None
            frame = part
        elif 0xC0 < marker < 0xD0:  # progressive, arithmetic, ...
            return None
        elif marker == _DRI:
            (restart,) = struct.unpack(">H", part)
        elif marker == _APP0:
            jfif = jfif or part.startswith(b"JFIF\0")
        elif marker == _APP14 and part.startswith(b"Adobe") and len(part) >= 12:
            transform = part[11]
        elif marker == _SOS:
            return _scan(frame, part, quantisers, codes, restart, jfif, transform, at)


def _scan(
    frame: bytes,
    part: bytes,
    quantisers: dict[int, bytes],
    codes: dict[int, Code],
    restart: int,
    jfif: bool,
    transform: int | None,
    begin: int,
) -> Scan | None:
    bits, height, width, count = struct.unpack_from(">BHHB", frame)
    if bits != 8 or count != 3 or len(frame) != 15 or len(part) != 10 or part[0] != 3 or not height or not width:
        return None
    names, sampling, steps = frame[6::3], frame[7::3], frame[8::3]
    if part[1:7:2] != names or part[7:10] != b"\0\x3f\0" or len(set(names)) != 3:
        return None
    # libjpeg's rule for what three components are
    if not (jfif or transform == 1 or (transform is None and names != b"RGB")):
        return None
    columns, rows = sampling[0] >> 4, sampling[0] & 15
    if sampling[1:] != b"\x11\x11" or (rows, columns) not in _FACTORS:
        return None
    pairs = sorted(set(part[2:7:2]))
    if len(pairs) > 2:
        return None
    tables = _tables(tuple((codes[pair >> 4], codes[0x10 | pair & 15]) for pair in pairs))
    if tables is None:
        return None
    which = _which(tuple(pairs.index(pair) for pair in part[2:7:2]))
    return Scan(
        (height, width), (rows, columns), begin, restart, tables, which, _steps(*(quantisers[q] for q in steps))
    )


@lru_cache(maxsize=64)
def _tables(pairs: tuple[tuple[Code, Code], ...]) -> Tables | None:
    """Most JPEGs of a dataset share them."""
    return build_tables(pairs)


# arrays that many JPEGs share: a loader remembers the scan of every record


@lru_cache(maxsize=64)
def _which(pairs: tuple[int, ...]) -> np.ndarray:
    return np.array(pairs, np.int64)


@lru_cache(maxsize=256)
def _steps(*quantisers: bytes) -> np.ndarray:
    out = np.zeros((3, 64), np.int32)
    out[:, ZIGZAG[:64]] = [list(quantiser) for quantiser in quantisers]
    return out


class Workplace:
    """The memory of one thread for decoding; it grows to the widest JPEG and stays."""

    def __init__(self) -> None:
        self.plain = np.empty(0, np.uint8)
        self.coefficients = np.zeros(0, np.int16)
        self.work = np.zeros(64 * BLOCKS, np.int32)
        self.state = np.zeros(STATE, np.int64)

    def fit(self, plain: int, coefficients: int) -> None:
        """Room for so many bytes without stuffing, and for the coefficients of a row of units."""
        if self.plain.size < plain:
            self.plain = np.empty(plain + plain // 4, np.uint8)
        if self.coefficients.size < coefficients:
            self.coefficients = np.zeros(coefficients, np.int16)


class Grid(NamedTuple):
    """Where the samples of a JPEG's planes go; int64 (3,) each, of Y, Cb, Cr.

    Attributes:
        units: (rows, columns) of units.
        blocks, columns: blocks in a unit, and how many of them stand side by side.
        starts, widths: of the coefficients: where a component begins, and how many a row of its blocks has.
        coefficients: of a row of units, in all.
        at, stride: of the samples: first byte of each plane, bytes from row to row (a multiple of 128).
        size: bytes of all planes.
        sizes: int64 (2, 2): (height, width) of Y, and of Cb and Cr.
        extents: float64 (2, 2): how many of these samples span the picture.
    """

    units: tuple[int, int]
    blocks: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    widths: np.ndarray
    coefficients: int
    at: np.ndarray
    stride: np.ndarray
    size: int
    sizes: np.ndarray
    extents: np.ndarray


@lru_cache(maxsize=4096)
def grid(size: tuple[int, int], factors: tuple[int, int]) -> Grid:
    """The planes of a picture of (height, width) ``size`` with ``factors`` as in :class:`Scan`."""
    (height, width), (rows, columns) = size, factors
    units = -(-height // (8 * rows)), -(-width // (8 * columns))
    blocks, across = np.array([rows * columns, 1, 1]), np.array([columns, 1, 1])
    widths = -(-units[1] * across // BLOCKS) * 64 * BLOCKS
    every = widths * blocks // across
    stride = widths // 8
    planes = stride * units[0] * 8 * blocks // across
    sizes = np.array([size, (-(-height // rows), -(-width // columns))])
    extents = np.array([(height, width), (height / rows, width / columns)], np.float64)
    starts, at = np.cumsum(every) - every, np.cumsum(planes) - planes
    return Grid(units, blocks, across, starts, widths, int(every.sum()), at, stride, int(planes.sum()), sizes, extents)


def decode_planes(
    data: np.ndarray, scan: Scan, rows: tuple[int, int], part: tuple[int, int], out: np.ndarray, workplace: Workplace
) -> bool:
    """Decode a part of a JPEG; False where its bytes are damaged.

    Args:
        data: uint8, the JPEG.
        rows, part: the rows and the columns that are wanted, (from, to), in samples of Y.
        out: uint8, 8-aligned, at least ``grid(...).size``: the planes; what is not wanted is not written.
    """
    place = grid(scan.size, scan.factors)
    workplace.fit(data.size - scan.begin + SPARE, place.coefficients)
    done = _decode(
        data, scan.begin, scan.restart, *rows, *part, *place.units, *scan.factors, place.blocks, place.columns,
        scan.codes, place.starts, place.widths, *scan.tables, scan.steps, place.at, place.stride,
        workplace.plain, workplace.state, workplace.coefficients, workplace.work, out[: place.size].view(np.uint64),
    )  # fmt: skip
    if not done:
        workplace.coefficients[:] = 0
    return bool(done)


@njit(nogil=True, cache=True)
def _decode(
    data: Any, begin: Any, restart: Any, top: Any, bottom: Any, left: Any, right: Any, unit_rows: Any, unit_columns: Any,
    down: Any, across: Any, blocks: Any, columns: Any, codes: Any, starts: Any, widths: Any,
    fast: Any, limits: Any, offsets: Any, symbols: Any, steps: Any, at: Any, stride: Any,
    plain: Any, state: Any, coefficients: Any, work: Any, out: Any,
) -> Any:  # fmt: skip
    begin_scan(begin, restart, state)
    first = top // (8 * down)
    for row in range(min(-(-bottom // (8 * down)), unit_rows)):
        if not decode_row(
            data, data.size, unit_columns, blocks, columns, codes, starts, widths, fast, limits, offsets, symbols,
            plain, state, coefficients,
        ):  # fmt: skip
            return False
        for c in range(3):
            wide = 8 * across // columns[c]  # pixels of a block
            low, high = left // (wide * BLOCKS), min(-(-right // (wide * BLOCKS)), widths[c] // (64 * BLOCKS))
            for y in range(blocks[c] // columns[c]):
                for group in range(low, high if row >= first else low):
                    place = starts[c] + y * widths[c] + group * 64 * BLOCKS
                    sample = at[c] + (row * (blocks[c] // columns[c]) + y) * 8 * stride[c] + group * 8 * BLOCKS
                    inverse_dct(
                        coefficients[place : place + 64 * BLOCKS], steps[c], work, out, sample // 8, stride[c] // 8
                    )
        coefficients[:] = 0
    return True
