"""Read the headers of a JPEG: whether this decoder supports it, and what decoding it needs.

The rule: the choice of the decoder depends on the JPEG alone. :func:`read_scan` returns None for an unsupported JPEG
(progressive, not YCbCr, more than one scan, unusual sampling), which the caller decodes by a library. Tables are
checked before use, and nothing is allocated for a size that is only claimed.

Sources: ITU-T T.81, annex B (markers); libjpeg's ``default_decompress_parms`` (colour space of three components).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mhpdata.drawing.jpeg.codes import Code, Tables, build_tables
from mhpdata.drawing.jpeg.entropy import ZIGZAG
from mhpdata.kernels.arrays import Ints, Longs

_SOF0, _DHT, _SOS, _DQT, _DRI, _COM = 0xC0, 0xC4, 0xDA, 0xDB, 0xDD, 0xFE
_APP0, _APP14, _APP15 = 0xE0, 0xEE, 0xEF
_FACTORS = {(1, 1), (1, 2), (2, 1), (2, 2), (1, 4), (4, 1)}
_BASELINE = b"\0\x3f\0"  # a scan's first and last coefficient, and which of their bits


class Scan(NamedTuple):
    """Headers of a JPEG of Y, Cb, Cr: with its bytes, all that decoding needs. A few hundred bytes, kept per record.

    Attributes:
        size: (height, width) in pixels, as claimed by the JPEG.
        factors: Number of blocks of Y in a unit, (rows, columns); Cb and Cr have one each.
        begin: Offset of the entropy-coded bytes.
        restart: Number of units between restart markers; 0 for none.
        codes: Pairs of Huffman tables, (DC, AC), that :func:`mhpdata.drawing.jpeg.codes.build_tables` accepts.
        which: int64 (3,): index of each component's pair.
        steps: int32 (3, 64): quantiser steps of each component, row by row.
    """

    size: tuple[int, int]
    factors: tuple[int, int]
    begin: int
    restart: int
    codes: tuple[tuple[Code, Code], ...]
    which: Longs
    steps: Ints


class _RefusedError(ValueError):
    """An unsupported JPEG, or not a JPEG."""


def read_scan(data: bytes | memoryview) -> Scan | None:
    """Read the headers of a JPEG; return None if it is unsupported or not a JPEG.

    Args:
        data: The JPEG, from SOI; nothing past the header of the scan is read.
    """
    try:
        return _read(memoryview(data))
    except (_RefusedError, struct.error, LookupError):  # struct.error: cut short; LookupError: a table is missing
        return None


def _segments(data: memoryview) -> Iterator[tuple[int, bytes, int]]:
    """Yield marker, content and end offset of each segment, up to the first scan's header."""
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
    for marker, body, end in _segments(data):
        if marker == _DQT:
            quantisers |= _read_quantisers(body)
        elif marker == _DHT:
            codes |= _read_codes(body)
        elif marker == _SOF0 and not frame:
            frame = body
        elif marker == _DRI:
            (restart,) = struct.unpack(">H", body)
        elif marker == _SOS:
            size, names, factors, taken = _read_frame(frame)
            if body[0] != 3 or body[1:7:2] != names or body[7:] != _BASELINE or not _is_ycbcr(names, jfif, transform):
                break
            return _scan(size, factors, end, restart, codes, body[2:7:2], tuple(quantisers[q] for q in taken))
        elif not (_APP0 <= marker <= _APP15 or marker == _COM):  # progressive, arithmetic, a marker without a length
            break
        elif marker == _APP0 and len(body) >= 14 and body.startswith(b"JFIF\0"):
            jfif = True
        elif marker == _APP14 and len(body) >= 12 and body.startswith(b"Adobe"):
            transform = body[11]
    return None


def _read_quantisers(body: bytes) -> dict[int, bytes]:
    """Return quantisers of 64 8-bit steps in zigzag order, by number."""
    if len(body) % 65 or max(body[::65], default=0) > 3:  # 16-bit steps are not baseline
        raise _RefusedError
    return {body[at]: body[at + 1 : at + 65] for at in range(0, len(body), 65)}


def _read_codes(body: bytes) -> dict[int, Code]:
    """Return Huffman tables by class (DC 0, AC 16) and number (0, 1)."""
    codes: dict[int, Code] = {}
    while body:
        end = 17 + sum(body[1:17])
        if body[0] & 0xEE or len(body) < end:
            raise _RefusedError
        codes[body[0]], body = (body[1:17], body[17:end]), body[end:]
    return codes


def _read_frame(frame: bytes) -> tuple[tuple[int, int], bytes, tuple[int, int], bytes]:
    """Return the size, the names of the three components, Y's factors and the number of each component's quantiser."""
    bits, height, width, count = struct.unpack_from(">BHHB", frame)
    names, sampling, quantisers = frame[6::3], frame[7::3], frame[8::3]
    factors = sampling[0] & 15, sampling[0] >> 4
    if (bits, count, len(frame), len(set(names)), sampling[1:]) != (8, 3, 15, 3, b"\x11\x11"):
        raise _RefusedError
    if not height or not width or factors not in _FACTORS:
        raise _RefusedError
    return (height, width), names, factors, quantisers


def _is_ycbcr(names: bytes, jfif: bool, transform: int | None) -> bool:
    """Return whether libjpeg treats three components as YCbCr; ``transform`` is Adobe's."""
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
    """Build the Scan of components that use the tables ``taken``: DC << 4 | AC of each."""
    used = tuple(sorted(set(taken)))
    pairs = tuple((codes[numbers >> 4], codes[0x10 | numbers & 15]) for numbers in used)
    if tables_of(pairs) is None:
        return None
    which = _which(tuple(used.index(numbers) for numbers in taken))
    return Scan(size, factors, begin, restart, pairs, which, _steps(quantisers))


# A loader keeps the scan of every record, so equal parts are stored once. Tables take 18 kB; if each JPEG has optimised
# codes they are rebuilt per decode, which adds a twentieth of its time (66 of 1300 us).


@lru_cache(maxsize=64)
def tables_of(pairs: tuple[tuple[Code, Code], ...]) -> Tables | None:
    """Return the look-up tables of pairs of Huffman tables; None if they are invalid."""
    return build_tables(pairs)


@lru_cache(maxsize=64)
def _which(pairs: tuple[int, ...]) -> Longs:
    return np.array(pairs, np.int64)


@lru_cache(maxsize=256)
def _steps(quantisers: tuple[bytes, ...]) -> Ints:
    out = np.zeros((3, 64), np.int32)
    out[:, ZIGZAG[:64]] = [list(quantiser) for quantiser in quantisers]
    return out
