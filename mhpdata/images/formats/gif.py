"""A GIF of one picture to pixels. Downloads hold a few under ``.jpg``, and not every OpenCV reads them.

Strict as all decoding here: a picture that does not fill the screen, a second picture (which would be meant?), codes
that end early or run on are errors. Transparency is dropped: the colour of the palette shows.

Source: CompuServe's "Graphics Interchange Format, Version 89a" (1990), and its appendix F on LZW.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_IMAGE, _EXTENSION, _TRAILER = b",", b"!", b";"
_MOST_CODES = 4096
_PASSES = ((0, 8), (4, 8), (2, 4), (1, 2))  # first row and step of an interlaced picture's four passes


class _Picture(NamedTuple):
    """A picture as it lies in the file: ``palette`` of 3 bytes a colour, ``codes`` of ``bits`` and more bits each."""

    palette: bytes
    interlaced: bool
    bits: int
    codes: bytes


def decode_gif(data: bytes) -> np.ndarray:
    """The picture as uint8 (height, width, 3), RGB.

    Args:
        data: the file; its size has been checked.

    Raises:
        ValueError: it is damaged, cut short, or not one picture that fills its screen.
    """
    width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
    picture = _parse(data, width, height)
    indices = np.frombuffer(_unpack(picture.codes, picture.bits, width * height), np.uint8).reshape(height, width)
    if picture.interlaced:
        order = np.concatenate([np.arange(first, height, step) for first, step in _PASSES])
        rows = np.empty_like(indices)
        rows[order] = indices
        indices = rows
    palette = np.frombuffer(picture.palette, np.uint8).reshape(-1, 3)
    if int(indices.max()) >= len(palette):
        raise ValueError(f"colour {indices.max()}, where its palette has {len(palette)}")
    return palette[indices]


def _parse(data: bytes, width: int, height: int) -> _Picture:
    """The one picture of a file, whose blocks are walked to the trailer."""
    at, shared = 13, b""
    if data[10:11] and data[10] & 0x80:
        shared, at = _take(data, at, 3 << ((data[10] & 7) + 1))
    found = None
    while (kind := data[at : at + 1]) != _TRAILER:
        if kind == _EXTENSION:
            _, at = _blocks(data, at + 2)
            continue
        if kind != _IMAGE:
            raise ValueError(f"no block starts at byte {at}")
        place, at = _take(data, at + 1, 9)
        if found is not None:
            raise ValueError("more than one image")
        if [int.from_bytes(place[i : i + 2], "little") for i in (0, 2, 4, 6)] != [0, 0, width, height]:
            raise ValueError("an image that does not fill its canvas")
        palette = shared
        if place[8] & 0x80:
            palette, at = _take(data, at, 3 << ((place[8] & 7) + 1))
        bits, at = _take(data, at, 1)
        codes, at = _blocks(data, at)
        found = _Picture(palette, bool(place[8] & 0x40), bits[0], codes)
    if found is None or not found.palette or not 2 <= found.bits <= 8:
        raise ValueError("no image, or one without a palette")
    return found


def _take(data: bytes, at: int, count: int) -> tuple[bytes, int]:
    """Some bytes, and where they end."""
    if at + count > len(data):
        raise ValueError(f"{len(data)} bytes do not reach its end")
    return data[at : at + count], at + count


def _blocks(data: bytes, at: int) -> tuple[bytes, int]:
    """The content of a row of sub-blocks, and where it ends."""
    parts: list[bytes] = []
    while True:
        length, at = _take(data, at, 1)
        if not length[0]:
            return b"".join(parts), at
        part, at = _take(data, at, length[0])
        parts.append(part)


def _unpack(codes: bytes, bits: int, count: int) -> bytes:
    """``count`` values from LZW codes, the lowest bits first."""
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
                raise ValueError(f"code {code}, where its table has {len(table)}")
            entry = table[code] if code < len(table) else before + before[:1]
            if before and len(table) < _MOST_CODES:
                table.append(before + entry[:1])
                if len(table) == 1 << wide and wide < 12:
                    wide += 1
            out += entry
            before = entry
            if len(out) > count:
                raise ValueError(f"more pixels than the {count} that it declares")
        else:
            continue
        break
    if len(out) != count:
        raise ValueError(f"{len(out)} pixels of the {count} that it declares")
    return bytes(out)
