"""The headers of a JPEG: is it for this decoder, and what is needed to decode it?

The rule: which decoder a JPEG is for depends on the JPEG alone. :func:`read_scan` gives None for what is not taken here
(progressive, no YCbCr, more than one scan, unusual sampling), and the caller decodes it by a library. Tables are
checked before they are used, and nothing is allocated for a size that is only claimed.

Sources: ITU-T T.81, annex B (markers); for what three components are, libjpeg's ``default_decompress_parms``.
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
    """What is needed to decode a JPEG of Y, Cb, Cr, beside its bytes: some hundred bytes, kept for every record.

    Attributes:
        size: (height, width) in pixels, as the JPEG claims.
        factors: (rows, columns): how many blocks of Y a unit holds; Cb and Cr have one each.
        begin: where the entropy-coded bytes begin.
        restart: units between restart markers; 0 for none.
        codes: pairs of Huffman codes, of DC and of AC, that :func:`mhpdata.drawing.jpeg.codes.build_tables` takes.
        which: int64 (3,): the pair of each component.
        steps: int32 (3, 64): each component's quantiser, row by row.
    """

    size: tuple[int, int]
    factors: tuple[int, int]
    begin: int
    restart: int
    codes: tuple[tuple[Code, Code], ...]
    which: Longs
    steps: Ints


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
    if tables_of(pairs) is None:
        return None
    which = _which(tuple(kinds.index(kind) for kind in taken))
    return Scan(size, factors, begin, restart, pairs, which, _steps(quantisers))


# What JPEGs share is kept once: a loader remembers the scan of every record. Tables are 18 kB, and where each JPEG has
# codes of its own they are built anew, in a twentieth of the time that its decoding takes (66 of 1300 us).


@lru_cache(maxsize=64)
def tables_of(pairs: tuple[tuple[Code, Code], ...]) -> Tables | None:
    """Return the tables of pairs of codes; None if they are no codes."""
    return build_tables(pairs)


@lru_cache(maxsize=64)
def _which(pairs: tuple[int, ...]) -> Longs:
    return np.array(pairs, np.int64)


@lru_cache(maxsize=256)
def _steps(quantisers: tuple[bytes, ...]) -> Ints:
    out = np.zeros((3, 64), np.int32)
    out[:, ZIGZAG[:64]] = [list(quantiser) for quantiser in quantisers]
    return out
