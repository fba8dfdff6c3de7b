"""Extract the single image of a WebP: the chunk with its colours, as a separate WebP file.

Alpha, colour profile, EXIF and XMP are in other chunks, and animations in frames; decoders handle those differently by
version. Alpha is dropped, as for all images.

Source: RFC 9649.
"""

from __future__ import annotations

import struct

_COLOURS = (b"VP8 ", b"VP8L")
_LEAST = 32  # OpenCV rejects shorter files and prints a warning to the terminal


def read_webp(data: bytes) -> tuple[int, int, bytes]:
    """Return height and width of a WebP, and a WebP with its image alone.

    Args:
        data: Content of the file, which begins with "RIFF", a length and "WEBP".

    Raises:
        ValueError: The WebP is truncated, damaged or animated, as the first word of the text says.
    """
    (length,) = struct.unpack_from("<I", data, 4) if len(data) >= 8 else (22,)
    if len(data) < 30 or length + 8 > len(data):
        raise ValueError(f"truncated WebP: the file ends after {len(data)} of {length + 8} bytes")
    canvas, image, at = None, None, 12
    while at + 8 <= length + 8:
        kind, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > length + 8:
            raise ValueError(f"truncated WebP: its chunk {kind!r} at byte {at} is incomplete")
        if kind in (b"ANIM", b"ANMF"):
            raise ValueError("animated WebP")
        content = data[at + 8 : at + 8 + size]
        if kind == b"VP8X" and at == 12 and size >= 10:
            if content[0] & 2:
                raise ValueError("animated WebP")
            canvas = tuple(int.from_bytes(content[i : i + 3], "little") + 1 for i in (7, 4))
        elif kind in _COLOURS and image is None:
            image = kind, content
            if canvas is None:
                break  # a simple file: ignore the rest
        at += 8 + size + size % 2
    if image is None:
        raise ValueError(f"damaged WebP: it begins with {data[12:16]!r} and has no image")
    height, width = _size(*image)
    if canvas is not None and canvas != (height, width):
        outer = f"{canvas[0]} x {canvas[1]} (height x width)"
        raise ValueError(f"damaged WebP: an image of {height} x {width} pixels on a canvas of {outer}")
    kind, content = image
    body = kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    alone = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
    return height, width, alone.ljust(_LEAST, b"\0")


def _size(kind: bytes, content: bytes) -> tuple[int, int]:
    """Return (height, width) of a lossy or lossless image."""
    if kind == b"VP8 " and content[3:6] == b"\x9d\x01\x2a" and len(content) >= 10:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 6))
        return height, width
    if kind == b"VP8L" and content[:1] == b"\x2f" and len(content) >= 5:
        (sides,) = struct.unpack_from("<I", content, 1)
        return (sides >> 14 & 0x3FFF) + 1, (sides & 0x3FFF) + 1
    raise ValueError(f"damaged WebP: a chunk {kind!r} without an image")
