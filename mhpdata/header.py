"""What an image file claims to be, read from its header before anything is decoded or allocated.

Only JPEG and PNG are known. The size is checked against MAX_PIXELS here, so that a file of 100 bytes that declares
60000 x 60000 pixels costs nothing. A PNG is walked to its end and every chunk's CRC compared: a truncated one ends
here.

Sources: ITU-T T.81 annex B (JPEG markers); the PNG specification, third edition, sections 5 and 11 (chunks).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from mhpdata.errors import ImageError

MAX_PIXELS = 1 << 26
"""Images with more pixels are refused: 67 million; the largest of MHP v1 has 15.9 million."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_SCANS = 100
"""JPEGs with more scans are refused: a camera's progressive one has about ten, and each goes over the whole image, so
that one of some MB could keep a decoder busy for hours."""

_AGAIN = "Unpack the archive again, or pass --on-error skip."
_SOF_BASELINE = 0xC0
_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}


@dataclass(frozen=True)
class Header:
    """The claims of an image file.

    Attributes:
        kind: "jpeg" or "png".
        height, width: in pixels, before any rotation that EXIF asks for.
        channels: JPEG components (1, 3 or 4); PNG channels (1 gray or palette, 2, 3, 4).
        bits: bits a channel.
        gray: one channel of brightness, with or without alpha.
        baseline: a JPEG that every decoder reads: SOF0, 8 bits, 3 components, EOI as its last two bytes.
        palette: a PNG whose pixels are indices of colours.
    """

    kind: str
    height: int
    width: int
    channels: int
    bits: int
    gray: bool
    baseline: bool = False
    palette: bool = False


def read_header(data: bytes, place: str, expected: str = "a JPEG or PNG") -> Header:
    """What ``data`` claims to be.

    Args:
        data: the whole file.
        place: its name, for errors.
        expected: what it should be, for errors.

    Raises:
        ImageError: empty, neither JPEG nor PNG, cut short, damaged, or too large.
    """
    if not data:
        raise ImageError(place, "an empty file", expected, _AGAIN)
    if data.startswith(b"\xff\xd8"):
        header = _jpeg(data, place)
    elif data.startswith(PNG_SIGNATURE):
        header = _png(data, place)
    else:
        raise ImageError(place, f"starts with {data[:8]!r}", expected, _AGAIN)
    if not header.height or not header.width:
        raise ImageError(place, f"declares {header.height} x {header.width} pixels", "at least one", _AGAIN)
    if header.height * header.width > MAX_PIXELS or max(header.height, header.width) > 65535:
        raise ImageError(
            place,
            f"declares {header.height} x {header.width} pixels (height x width)",
            f"at most {MAX_PIXELS} pixels and 65535 a side",
            "Check the file: MHP has no photo or mask of this size. Replace it, or pass --on-error skip.",
        )
    return header


def _jpeg(data: bytes, place: str) -> Header:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ImageError(place, f"damaged JPEG: no marker at byte {at}", "a whole JPEG", _AGAIN)
        marker = data[at + 1]
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _SOF and at + 10 <= len(data):
            scans = data.count(b"\xff\xda")  # a 255 among the codes is followed by a 0
            if scans > MAX_SCANS:
                raise ImageError(place, f"a JPEG of {scans} scans", f"at most {MAX_SCANS}", "Save the photo anew.")
            bits, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
            baseline = marker == _SOF_BASELINE and bits == 8 and channels == 3 and data.endswith(b"\xff\xd9")
            return Header("jpeg", height, width, channels, bits, gray=channels == 1, baseline=baseline)
        if marker in (0xD9, 0xDA):
            break
        at += 2 + length
    raise ImageError(place, "truncated JPEG: it ends before its size is declared", "a whole JPEG", _AGAIN)


def _png(data: bytes, place: str) -> Header:
    at, header, ended = len(PNG_SIGNATURE), None, False
    while at + 12 <= len(data) and not ended:
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            break
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(memoryview(data)[at + 4 : at + 8 + length]) != crc:
            raise ImageError(place, f"damaged PNG: wrong CRC in the chunk at byte {at}", "a whole PNG", _AGAIN)
        if header is None:
            if kind != b"IHDR" or length != 13:
                raise ImageError(place, "damaged PNG: it does not begin with IHDR", "a whole PNG", _AGAIN)
            width, height, bits, color = struct.unpack_from(">IIBB", data, at + 8)
            if color not in (0, 2, 3, 4, 6):
                raise ImageError(place, f"damaged PNG: colour type {color}", "0, 2, 3, 4 or 6", _AGAIN)
            channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
            header = Header("png", height, width, channels, bits, gray=color in (0, 4), palette=color == 3)
        ended = kind == b"IEND"
        at += 12 + length
    if header is None or not ended:
        raise ImageError(place, f"truncated PNG: {len(data)} bytes do not reach its end", "a whole PNG", _AGAIN)
    return header
