"""A label map as an indexed PNG: each pixel is its label, and a palette shows it in its colour to whoever looks at it.

OpenCV neither writes palettes nor gives the indices of a file that has one. So the file is written here (signature,
IHDR, PLTE, one IDAT, IEND: PNG specification, third edition, sections 5, 9 and 11), and read by OpenCV after its
palette is taken out of it. Pillow reads the labels as they are.

And a picture for people, in colours, as OpenCV writes it.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import ImageError, PredictionError
from mhpdata.header import PNG_SIGNATURE, read_header
from mhpdata.opencv import cv2

LEVEL = 6
"""zlib's level. The merged labels of sample 1528 (0.71 Mpixel), bytes and ms: level 1: 19500, 2; 6: 11044, 4; 9: 7818,
29; with the difference to the row above (filter 2): 15719, 2; 10513, 3; 8390, 25."""

_MAP = "gray or indexed PNG, each pixel its label"
_AGAIN = "If this is a copy, copy it once more; otherwise write it again with the program that made the predictions."


def encode_indexed(labels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """A PNG of colour type 3 and 8 bits.

    Args:
        labels: uint8 (height, width), each side 1..65535.
        palette: uint8 (256, 3), R, G, B of each label.
    """
    height, width = labels.shape
    rows = np.zeros((height, 1 + width), np.uint8)  # each row begins with its filter, 0: none
    rows[:, 1:] = labels
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), LEVEL)),
        (b"IEND", b""),
    )
    return PNG_SIGNATURE + b"".join(map(_chunk, *zip(*chunks, strict=True)))


def encode_picture(picture: NDArray[np.uint8]) -> bytes:
    """A PNG of uint8 (height, width, 3) RGB."""
    swapped = np.ascontiguousarray(picture[:, :, ::-1])
    done, data = cv2.imencode(".png", swapped, [cv2.IMWRITE_PNG_COMPRESSION, LEVEL])
    assert done, "OpenCV encodes every uint8 picture"
    return data.tobytes()


def decode_labels(data: bytes, place: str, size: tuple[int, int], bits: int = 8) -> NDArray[Any]:
    """The labels of somebody's PNG, gray or indexed, as they are stored.

    Args:
        data: the file.
        place: its name, for errors.
        size: (height, width) that it must have.
        bits: 16 takes gray PNGs of 16 bits, too, as the numbers of persons may be.

    Returns:
        uint8 (height, width), or uint16 of a 16-bit PNG.

    Raises:
        PredictionError: another kind of file, another size, or it does not decode.
    """
    try:
        header = read_header(data, place)
    except ImageError as error:
        raise PredictionError(place, error.found, f"a whole {_MAP}", _AGAIN) from error
    depths = (1, 2, 4, 8) if header.palette else (8, bits)
    if (header.kind, header.channels) != ("png", 1) or header.bits not in depths:
        found = f"a {header.channels}-channel {header.bits}-bit {header.kind.upper()}"
        remedy = "Save each pixel's label in an 8-bit gray or palette PNG, as mhp-predict does, not its colour."
        raise PredictionError(place, found, f"a {_MAP}", remedy)
    if (header.height, header.width) != size:
        expected = f"{size[0]} x {size[1]} (height x width), as its labels"
        remedy = (
            "Scale the prediction to that size by nearest neighbour; mhp-score compares at the photo's own size, and "
            "with --at packed at the packed one."
        )
        raise PredictionError(place, f"{header.height} x {header.width}", expected, remedy)
    plain = _without_palette(data) if header.palette else data
    labels: Any = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
    if labels is None or labels.shape != size:
        raise PredictionError(place, "does not decode", "a whole PNG", _AGAIN)
    if header.bits < 8:  # libpng spreads them over 0..255
        labels //= np.uint8(255 // (2**header.bits - 1))
    return np.asarray(labels)


def _without_palette(data: bytes) -> bytes:
    """An indexed PNG, whole up to its IEND, as the gray one that has its indices as values; what follows is left."""
    kept, at, kind = [PNG_SIGNATURE], len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        (length,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            kept.append(_chunk(kind, content[:9] + b"\0" + content[10:]))
        elif kind in (b"IDAT", b"IEND"):
            kept.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join(kept)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
