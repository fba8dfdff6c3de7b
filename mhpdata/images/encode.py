"""Encode arrays as PNG files: label maps, maps of persons and segment ids.

OpenCV writes neither palettes nor the same bytes in all versions, so this module writes the file itself: signature,
IHDR, other chunks, one IDAT, IEND (PNG specification, third edition, sections 5, 9 and 11). Rows are not filtered,
which suits label maps.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.images.formats.chunks import GRAY, PNG_SIGNATURE

LEVEL = 6
"""zlib level. Bytes and ms for the merged labels of sample 1528 (0.71 Mpixel): level 1: 19500, 2; 6: 11044, 4; 9: 7818,
29; with the difference to the row above (filter 2): 15719, 2; 10513, 3; 8390, 25."""


def encode_png(samples: NDArray[Any], color: int = GRAY, chunks: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Encode an array as a PNG.

    Args:
        samples: uint8 or uint16 (height, width); with RGB (height, width, 3). Each side 1..65535.
        color: GRAY, RGB or PALETTE of mhpdata.images.formats.chunks.
        chunks: Name and data of chunks to write before the pixels, such as PLTE.

    Returns:
        The content of the file.
    """
    height, width = samples.shape[:2]
    big_endian = samples.astype(samples.dtype.newbyteorder(">"), order="C", copy=False)
    pixels = big_endian.reshape(height, -1).view(np.uint8)
    rows = np.zeros((height, 1 + pixels.shape[1]), np.uint8)  # each row begins with its filter type; 0 is none
    rows[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", width, height, 8 * samples.dtype.itemsize, color, 0, 0, 0)
    written = (b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows.tobytes(), LEVEL)), (b"IEND", b"")
    return PNG_SIGNATURE + b"".join(_chunk(kind, data) for kind, data in written)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
