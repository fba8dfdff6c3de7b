"""Decode a GIF with one image. Downloads contain a few with the ending ``.jpg``, and not every OpenCV reads them.

Decoding is strict: an image that does not fill the canvas, a second image, and codes for too few or too many pixels are
errors. Transparency is dropped: transparent pixels get the colour of the palette.

Source: CompuServe's "Graphics Interchange Format, Version 89a" (1990), and its appendix F on LZW.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_IMAGE, _EXTENSION, _TRAILER = b",", b"!", b";"
_MOST_CODES = 4096
_PASSES = ((0, 8), (4, 8), (2, 4), (1, 2))  # first row, and rows from one to the next, of an interlaced image's passes


class _Image(NamedTuple):
    """An image as stored in the file.

    Attributes:
        palette: R, G, B of each colour, 3 bytes each.
        interlaced: Whether it is stored in four passes.
        bits: Initial bits per code, minus 1.
        codes: LZW codes.
    """

    palette: bytes
    interlaced: bool
    bits: int
    codes: bytes


def decode_gif(data: bytes) -> np.ndarray:
    """Decode a GIF to uint8 (height, width, 3), RGB.

    Args:
        data: Content of the file; its height and width have been checked.

    Raises:
        ValueError: The GIF is damaged or truncated, or does not have exactly one image that fills its canvas.
    """
    width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
    image = _parse(data, width, height)
    indices = np.frombuffer(_unpack(image.codes, image.bits, width * height), np.uint8).reshape(height, width)
    if image.interlaced:
        order = np.concatenate([np.arange(first, height, distance) for first, distance in _PASSES])
        rows = np.empty_like(indices)
        rows[order] = indices
        indices = rows
    palette = np.frombuffer(image.palette, np.uint8).reshape(-1, 3)
    if int(indices.max()) >= len(palette):
        raise ValueError(f"colour {indices.max()}, but its palette has {len(palette)} colours")
    return palette[indices]


def _parse(data: bytes, width: int, height: int) -> _Image:
    """Return the only image of a file, after reading all blocks up to the trailer."""
    at, shared = 13, b""
    if data[10:11] and data[10] & 0x80:
        shared, at = _take(data, at, 3 << ((data[10] & 7) + 1))
    image = None
    while (kind := data[at : at + 1]) != _TRAILER:
        if kind == _EXTENSION:
            _, at = _blocks(data, at + 2)
            continue
        if kind != _IMAGE:
            raise ValueError(f"no block starts at byte {at}")
        descriptor, at = _take(data, at + 1, 9)
        if image is not None:
            raise ValueError("more than one image")
        if [int.from_bytes(descriptor[i : i + 2], "little") for i in (0, 2, 4, 6)] != [0, 0, width, height]:
            raise ValueError("an image that does not fill its canvas")
        palette = shared
        if descriptor[8] & 0x80:
            palette, at = _take(data, at, 3 << ((descriptor[8] & 7) + 1))
        bits, at = _take(data, at, 1)
        codes, at = _blocks(data, at)
        image = _Image(palette, bool(descriptor[8] & 0x40), bits[0], codes)
    if image is None or not image.palette or not 2 <= image.bits <= 8:
        raise ValueError("no image, or one without a palette")
    return image


def _take(data: bytes, at: int, count: int) -> tuple[bytes, int]:
    """Return the next ``count`` bytes, and the offset of their end."""
    if at + count > len(data):
        raise ValueError(f"the file ends after {len(data)} bytes")
    return data[at : at + count], at + count


def _blocks(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the joined content of consecutive sub-blocks, and the offset of their end."""
    blocks: list[bytes] = []
    while True:
        length, at = _take(data, at, 1)
        if not length[0]:
            return b"".join(blocks), at
        block, at = _take(data, at, length[0])
        blocks.append(block)


def _unpack(codes: bytes, bits: int, count: int) -> bytes:
    """Decode ``count`` values from LZW codes, the lowest bits first."""
    clear, end = 1 << bits, (1 << bits) + 1
    table = [bytes([value]) for value in range(clear)] + [b"", b""]
    out, before, wide, buffer, held = bytearray(), b"", bits + 1, 0, 0
    for byte in codes:
        buffer |= byte << held
        held += 8
        while held >= wide:
            code = buffer & ((1 << wide) - 1)
            buffer >>= wide
            held -= wide
            if code == end:
                break
            if code == clear:
                del table[end + 1 :]
                before, wide = b"", bits + 1
                continue
            if code > len(table) or (not before and code >= clear):
                raise ValueError(f"code {code}, but its table has {len(table)} codes")
            entry = table[code] if code < len(table) else before + before[:1]
            if before and len(table) < _MOST_CODES:
                table.append(before + entry[:1])
                if len(table) == 1 << wide and wide < 12:
                    wide += 1
            out += entry
            before = entry
            if len(out) > count:
                raise ValueError(f"more pixels than the {count} declared")
        else:
            continue
        break
    if len(out) != count:
        raise ValueError(f"{len(out)} of {count} declared pixels")
    return bytes(out)
