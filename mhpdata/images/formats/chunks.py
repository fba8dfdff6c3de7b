"""Parse the chunks of a PNG that define its pixels.

IHDR, PLTE, IDAT and IEND define the pixels. Other chunks (colour profiles, gamma, text, EXIF, transparency) describe
their display or their subject; only their CRC is compared, so decoders and versions cannot disagree on them. Any other
critical chunk (its first letter is upper case) is an error.

Source: the PNG specification, third edition, sections 5 and 11; animations: its frame data chunks (fdAT).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
"""Colour types of PNG."""

_CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGB_ALPHA: 4}
_BITS = {GRAY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8), RGB: (8, 16), GRAY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}


@dataclass(frozen=True)
class Png:
    """A PNG with complete chunks.

    Attributes:
        height, width: Size in pixels; may be 0.
        bits: Bits per sample, 1, 2, 4, 8 or 16.
        color: Colour type, GRAY or one of the others.
        interlaced: Whether it is stored in Adam7's seven passes.
        palette: R, G, B of each colour, 1 to 256 colours; empty unless ``color`` is PALETTE.
        stream: Content of all IDAT chunks: one zlib stream.
        animated: Whether it holds more images than this one.
    """

    height: int
    width: int
    bits: int
    color: int
    interlaced: bool
    palette: bytes
    stream: bytes
    animated: bool

    @property
    def channels(self) -> int:
        """Samples per pixel: 1 (gray, palette), 2, 3 or 4."""
        return _CHANNELS[self.color]


def read_png(data: bytes) -> Png:
    """Parse a PNG from its signature to IEND; bytes after it are ignored.

    Args:
        data: Content of the file, which begins with PNG_SIGNATURE.

    Raises:
        ValueError: The PNG is truncated or damaged; the text begins with "truncated PNG" or "damaged PNG".
    """
    chunks = _chunks(data)
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise ValueError("damaged PNG: it does not begin with IHDR")
    width, height, bits, color, packing, filtering, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    if color not in _BITS or bits not in _BITS[color]:
        raise ValueError(f"damaged PNG: colour type {color} with {bits} bits")
    if packing or filtering or interlace > 1:
        raise ValueError(f"damaged PNG: compression {packing}, filter {filtering}, interlace {interlace}")
    kinds = [kind for kind, _ in chunks]
    for kind in kinds[1:]:
        if kind not in (b"PLTE", b"IDAT", b"IEND") and not kind[0] & 0x20:
            raise ValueError(f"damaged PNG: an unknown or repeated critical chunk {kind!r}")
    stream = b"".join(content for kind, content in chunks if kind == b"IDAT")
    palette = _palette(chunks) if color == PALETTE else b""
    return Png(height, width, bits, color, interlace == 1, palette, stream, b"fdAT" in kinds)


def _chunks(data: bytes) -> list[tuple[bytes, memoryview]]:
    """Return type and content of each chunk up to IEND, after comparing its CRC."""
    at, view = len(PNG_SIGNATURE), memoryview(data)
    chunks: list[tuple[bytes, memoryview]] = []
    while not chunks or chunks[-1][0] != b"IEND":
        if at + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            break
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(view[at + 4 : at + 8 + length]) != crc:
            raise ValueError(f"damaged PNG: wrong CRC in the chunk at byte {at}")
        if kind != b"IHDR" and not chunks:
            raise ValueError("damaged PNG: it does not begin with IHDR")
        chunks.append((kind, view[at + 8 : at + 8 + length]))
        at += 12 + length
    else:
        return chunks
    raise ValueError(f"truncated PNG: the file ends after {len(data)} bytes")


def _palette(chunks: list[tuple[bytes, memoryview]]) -> bytes:
    """Return the content of the only PLTE chunk, which must precede the pixels."""
    kinds = [kind for kind, _ in chunks]
    if kinds.count(b"PLTE") != 1 or (b"IDAT" in kinds and kinds.index(b"PLTE") > kinds.index(b"IDAT")):
        raise ValueError(f"damaged PNG: {kinds.count(b'PLTE')} palettes; exactly one must come before the pixels")
    palette = bytes(chunks[kinds.index(b"PLTE")][1])
    if not palette or len(palette) % 3 or len(palette) > 768:
        raise ValueError(f"damaged PNG: a palette of {len(palette)} bytes")
    return palette
