"""The one picture of a WebP, without what surrounds it: the chunk that makes its colours, in a file of its own.

Alpha, colour profile, EXIF and XMP lie in other chunks, and animations in frames; what a decoder makes of those depends
on its version. Alpha is dropped, as for all images.

Source: RFC 9649.
"""

from __future__ import annotations

import struct

_COLOURS = (b"VP8 ", b"VP8L")
_LEAST = 32  # OpenCV refuses shorter files, in words on the terminal


def read_webp(data: bytes) -> tuple[int, int, bytes]:
    """Height and width of a WebP, and a WebP of its picture alone.

    Args:
        data: the file, which begins with "RIFF", a length and "WEBP".

    Raises:
        ValueError: it is cut short, damaged, or an animation, in words that begin with what it is.
    """
    (length,) = struct.unpack_from("<I", data, 4) if len(data) >= 8 else (22,)
    if len(data) < 30 or length + 8 > len(data):
        raise ValueError(f"truncated WebP: {len(data)} bytes of {length + 8}")
    canvas, found, at = None, None, 12
    while at + 8 <= length + 8:
        kind, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > length + 8:
            raise ValueError(f"truncated WebP: its chunk {kind!r} at byte {at} is not whole")
        if kind in (b"ANIM", b"ANMF"):
            raise ValueError("animated WebP")
        content = data[at + 8 : at + 8 + size]
        if kind == b"VP8X" and at == 12 and size >= 10:
            if content[0] & 2:
                raise ValueError("animated WebP")
            canvas = tuple(int.from_bytes(content[i : i + 3], "little") + 1 for i in (7, 4))
        elif kind in _COLOURS and found is None:
            found = kind, content
            if canvas is None:
                break  # a simple file: what follows is not looked at
        at += 8 + size + size % 2
    if found is None:
        raise ValueError(f"damaged WebP: it begins with {data[12:16]!r} and has no image")
    height, width = _size(*found)
    if canvas not in (None, (height, width)):
        raise ValueError(f"damaged WebP: an image of {height} x {width} pixels in one of {canvas}")
    kind, content = found
    body = kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    alone = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
    return height, width, alone.ljust(_LEAST, b"\0")


def _size(kind: bytes, content: bytes) -> tuple[int, int]:
    """(height, width) of a lossy or lossless picture."""
    if kind == b"VP8 " and content[3:6] == b"\x9d\x01\x2a" and len(content) >= 10:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 6))
        return height, width
    if kind == b"VP8L" and content[:1] == b"\x2f" and len(content) >= 5:
        (sides,) = struct.unpack_from("<I", content, 1)
        return (sides >> 14 & 0x3FFF) + 1, (sides & 0x3FFF) + 1
    raise ValueError(f"damaged WebP: a chunk {kind!r} that is no image")
