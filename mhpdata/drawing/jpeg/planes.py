"""The planes of a baseline JPEG, of which only the part that a crop touches is computed.

A JPEG of photos costs three times as much to decode as everything else that a training crop needs, and a library
decodes all of it, to RGB at full size. Here a row of blocks goes through three steps while it lies in the nearest
cache, and the planes come out as they are stored (Y, and Cb and Cr on a grid of their own), which is what the resize
wants::

    bytes             mhpdata.drawing.jpeg.entropy       Huffman codes -> coefficients; every row down to the crop's
    last coefficients      mhpdata.drawing.jpeg.inverse_dct   -> samples; only blocks that the crop touches
    planes

The rule: the samples are libjpeg's to the last bit (the "accurate" integer DCT), on every machine. Which decoder a JPEG
is for depends on the JPEG alone: :func:`read_scan` gives None for what is not taken here (progressive, no YCbCr, more
than one scan, strange sampling), and the caller decodes it by a library. What libjpeg decodes without a warning and is
taken here, decodes here. Nothing in the bytes is trusted: tables are checked before they are used, nothing is allocated
before the caller has compared the size, the scan's end is looked for at every unit.

Sources: ITU-T T.81, annexes B (markers), C and F (Huffman codes); for what three components are, libjpeg's
``default_decompress_parms``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mhpdata.drawing.instructions import LEVEL
from mhpdata.drawing.jpeg.entropy import SPARE, STATE, ZIGZAG, Code, Tables, begin_scan, build_tables, decode_row
from mhpdata.drawing.jpeg.inverse_dct import BLOCKS, inverse_dct
from mhpdata.jit import kernel

_SOF0, _DHT, _SOS, _DQT, _DRI, _COM = 0xC0, 0xC4, 0xDA, 0xDB, 0xDD, 0xFE
_APP0, _APP14, _APP15 = 0xE0, 0xEE, 0xEF
_FACTORS = {(1, 1), (1, 2), (2, 1), (2, 2), (1, 4), (4, 1)}
_BASELINE = b"\0\x3f\0"  # a scan's first and last coefficient, and which of their bits


class Scan(NamedTuple):
    """What is needed to decode a JPEG of Y, Cb, Cr, beside its bytes: some hundred bytes, kept for every record.

    Attributes:
        size: (height, width) in pixels, as the JPEG claims.
        factors: (rows, columns): how many blocks of Y a unit holds; Cb and Cr have one each.
        begin: where the entropy-coded bytes begin.
        restart: units between restart markers; 0 for none.
        codes: pairs of Huffman codes, of DC and of AC, that :func:`mhpdata.drawing.jpeg.entropy.build_tables` takes.
        which: int64 (3,): the pair of each component.
        steps: int32 (3, 64): each component's quantiser, row by row.
    """

    size: tuple[int, int]
    factors: tuple[int, int]
    begin: int
    restart: int
    codes: tuple[tuple[Code, Code], ...]
    which: np.ndarray
    steps: np.ndarray


class _RefusedError(ValueError):
    """A JPEG that is not taken here, or no JPEG."""


def read_scan(data: bytes | memoryview) -> Scan | None:
    """Read the markers of a JPEG; None if it is for another decoder, or no JPEG.

    Args:
        data: from SOI; nothing behind the header of the scan is looked at.
    """
    try:
        return _read(memoryview(data))
    except (_RefusedError, struct.error, LookupError):  # cut short; a table that is missing
        return None


def _parts(data: memoryview) -> Iterator[tuple[int, bytes, int]]:
    """Marker, content and end of each part as far as the first scan's header."""
    if bytes(data[:2]) != b"\xff\xd8":
        raise _RefusedError
    end, marker = 2, 0
    while marker != _SOS:
        at = end
        lead, marker, length = struct.unpack_from(">BBH", data, at)
        end += 2 + length
        if lead != 0xFF or length < 2 or end > len(data):
            raise _RefusedError
        yield marker, bytes(data[at + 4 : end]), end


def _read(data: memoryview) -> Scan | None:
    quantisers: dict[int, bytes] = {}
    codes: dict[int, Code] = {}
    frame = b""
    jfif, transform, restart = False, None, 0
    for marker, part, end in _parts(data):
        if marker == _DQT:
            quantisers |= _read_quantisers(part)
        elif marker == _DHT:
            codes |= _read_codes(part)
        elif marker == _SOF0 and not frame:
            frame = part
        elif marker == _DRI:
            (restart,) = struct.unpack(">H", part)
        elif marker == _SOS:
            size, names, factors, taken = _read_frame(frame)
            if part[0] != 3 or part[1:7:2] != names or part[7:] != _BASELINE or not _is_ycbcr(names, jfif, transform):
                break
            return _scan(size, factors, end, restart, codes, part[2:7:2], tuple(quantisers[q] for q in taken))
        elif not (_APP0 <= marker <= _APP15 or marker == _COM):  # progressive, arithmetic, a marker without a length
            break
        elif marker == _APP0 and len(part) >= 14 and part.startswith(b"JFIF\0"):
            jfif = True
        elif marker == _APP14 and len(part) >= 12 and part.startswith(b"Adobe"):
            transform = part[11]
    return None


def _read_quantisers(part: bytes) -> dict[int, bytes]:
    """Quantisers of 8-bit steps, 64 in zigzag order, by number."""
    if len(part) % 65 or max(part[::65], default=0) > 3:  # steps of 16 bits are not baseline
        raise _RefusedError
    return {part[at]: part[at + 1 : at + 65] for at in range(0, len(part), 65)}


def _read_codes(part: bytes) -> dict[int, Code]:
    """Huffman codes by class (DC 0, AC 16) and number (0, 1)."""
    codes: dict[int, Code] = {}
    while part:
        end = 17 + sum(part[1:17])
        if part[0] & 0xEE or len(part) < end:
            raise _RefusedError
        codes[part[0]], part = (part[1:17], part[17:end]), part[end:]
    return codes


def _read_frame(frame: bytes) -> tuple[tuple[int, int], bytes, tuple[int, int], bytes]:
    """Size, the names of the three components, Y's factors, which quantiser each component takes."""
    bits, height, width, count = struct.unpack_from(">BHHB", frame)
    names, sampling, quantisers = frame[6::3], frame[7::3], frame[8::3]
    factors = sampling[0] & 15, sampling[0] >> 4
    if (bits, count, len(frame), len(set(names)), sampling[1:]) != (8, 3, 15, 3, b"\x11\x11"):
        raise _RefusedError
    if not height or not width or factors not in _FACTORS:
        raise _RefusedError
    return (height, width), names, factors, quantisers


def _is_ycbcr(names: bytes, jfif: bool, transform: int | None) -> bool:
    """What libjpeg takes three components for; ``transform`` is Adobe's."""
    return jfif or transform == 1 or (transform is None and names != b"RGB")


def _scan(
    size: tuple[int, int],
    factors: tuple[int, int],
    begin: int,
    restart: int,
    codes: dict[int, Code],
    taken: bytes,
    quantisers: tuple[bytes, ...],
) -> Scan | None:
    """The scan of components that take the codes ``taken``: DC << 4 | AC of each."""
    kinds = tuple(sorted(set(taken)))
    pairs = tuple((codes[kind >> 4], codes[0x10 | kind & 15]) for kind in kinds)
    if _tables(pairs) is None:
        return None
    which = _which(tuple(kinds.index(kind) for kind in taken))
    return Scan(size, factors, begin, restart, pairs, which, _steps(quantisers))


# What JPEGs share is kept once: a loader remembers the scan of every record. Tables are 18 kB, and where each JPEG has
# codes of its own they are built anew, in a twentieth of the time that its decoding takes (66 of 1300 us).


@lru_cache(maxsize=64)
def _tables(pairs: tuple[tuple[Code, Code], ...]) -> Tables | None:
    return build_tables(pairs)


@lru_cache(maxsize=64)
def _which(pairs: tuple[int, ...]) -> np.ndarray:
    return np.array(pairs, np.int64)


@lru_cache(maxsize=256)
def _steps(quantisers: tuple[bytes, ...]) -> np.ndarray:
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
    """Decode a part of a JPEG; False where its bytes are damaged or end too early.

    Args:
        data: uint8, the JPEG.
        scan: of this JPEG, or of another one: then what comes out means nothing, and still nothing breaks.
        rows, part: the rows and the columns that are wanted, (from, to), in samples of Y, 0 <= from < to.
        out: uint8, 8-aligned, at least ``grid(...).size``: the planes; samples that are not wanted may hold anything.
        workplace: of this thread.
    """
    place, tables = grid(scan.size, scan.factors), _tables(scan.codes)
    assert tables is not None, "read_scan has built them before"
    assert out.size >= place.size, "the kernels write all of the grid"
    workplace.fit(max(data.size - scan.begin, 0) + SPARE, place.coefficients)
    done = _decode(
        LEVEL, data, scan.begin, scan.restart, *rows, *part, *place.units, *scan.factors, place.blocks, place.columns,
        scan.which, place.starts, place.widths, *tables, scan.steps, place.at, place.stride,
        workplace.plain, workplace.state, workplace.coefficients, workplace.work, out[: place.size].view(np.uint64),
    )  # fmt: skip
    if not done:
        workplace.coefficients[:] = 0
    return bool(done)


@kernel
def _decode(
    level: Any, data: Any, begin: Any, restart: Any, top: Any, bottom: Any, left: Any, right: Any,
    unit_rows: Any, unit_columns: Any, down: Any, across: Any, blocks: Any, columns: Any,
    which: Any, starts: Any, widths: Any, fast: Any, limits: Any, offsets: Any, symbols: Any, steps: Any,
    at: Any, stride: Any, plain: Any, state: Any, coefficients: Any, work: Any, out: Any,
) -> Any:  # fmt: skip
    begin_scan(begin, restart, state)
    first = top // (8 * down)
    for row in range(min(-(-bottom // (8 * down)), unit_rows)):
        if not decode_row(
            data, data.size, unit_columns, blocks, columns, which, starts, widths, fast, limits, offsets, symbols,
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
                        level, coefficients[place : place + 64 * BLOCKS], steps[c], work, out, sample // 8,
                        stride[c] // 8,
                    )  # fmt: skip
        coefficients[:] = 0
    return True
