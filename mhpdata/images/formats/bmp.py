"""Decode a BMP by the masks and palettes that it declares. Libraries shift fields to the left, so that 5-bit white
becomes 248, and support few masks.

Supported are headers of 12 (OS/2), 40, 52, 56, 64 (OS/2 2), 108 and 124 bytes; 1, 4 and 8 bits with a palette,
run-length encoded (RLE) or not; 16, 24 and 32 bits with any masks; rows from the bottom or from the top. A field of n
bits is scaled to the nearest of 0..255. Alpha is dropped. Decoding is strict: an index without a colour, a mask with
gaps, and runs that omit a pixel or have no end mark are errors.

Source: Microsoft, "Bitmap storage" and BITMAPINFOHEADER, BITMAPV5HEADER, "Bitmap compression"; IBM, OS/2 Presentation
Manager, BITMAPINFOHEADER2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]

_UNCOMPRESSED, _RLE8, _RLE4, _FIELDS, _ALPHA_FIELDS = 0, 1, 2, 3, 6  # BMP's compression field
_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_BITS = {_UNCOMPRESSED: (1, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,), _FIELDS: (16, 32), _ALPHA_FIELDS: (16, 32)}
_FIVES = (0x7C00, 0x03E0, 0x001F)  # default masks of 16 bits
_EIGHTS = (0xFF0000, 0xFF00, 0xFF)


@dataclass(frozen=True)
class Bmp:
    """A BMP with valid headers and, unless its pixels are run-length encoded, with all its pixels.

    Attributes:
        height, width: Size in pixels; may be 0.
        top: Whether the first row is the uppermost.
        bits: Bits per pixel.
        packing: Compression, _UNCOMPRESSED or one of the others.
        masks: Bit masks of red, green and blue in a pixel of 16 or 32 bits.
        palette: B, G, R of each colour, ``stride`` bytes each; empty for more than 8 bits.
        stride: Bytes per colour of the palette, 3 or 4.
        pixels: Offset of the pixels in the file, in bytes.
    """

    height: int
    width: int
    top: bool
    bits: int
    packing: int
    masks: tuple[int, int, int]
    palette: bytes
    stride: int
    pixels: int


def read_bmp(data: bytes) -> Bmp:
    """Read the headers of a BMP.

    Args:
        data: Content of the file, which begins with "BM".

    Raises:
        ValueError: The BMP is truncated, damaged or unsupported, as the first word of the text says.
    """
    if len(data) < 26:
        raise ValueError(f"truncated BMP: the file ends after {len(data)} bytes")
    pixels, size = struct.unpack_from("<II", data, 10)
    if size not in _HEADERS:
        raise ValueError(f"damaged BMP: a header of {size} bytes")
    if len(data) < 14 + size:
        raise ValueError(f"truncated BMP: the file ends after {len(data)} bytes")
    packing = used = 0
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits, packing, _, _, _, used = struct.unpack_from("<iiHHIIIII", data, 18)
    runs = packing in (_RLE8, _RLE4)
    known = (_UNCOMPRESSED, _RLE8, _RLE4) if size == 64 else tuple(_BITS)
    if packing not in known or bits not in _BITS[packing] or width < 0 or (runs and height < 0):
        found = f"{bits} bits per pixel, compression {packing}, {height} x {width} pixels (height x width)"
        raise ValueError(f"damaged or unsupported BMP: {found}")
    after = 14 + size
    masks = _FIVES if bits == 16 else _EIGHTS
    if packing in (_FIELDS, _ALPHA_FIELDS):
        if len(data) < 66:
            raise ValueError(f"truncated BMP: the file ends after {len(data)} bytes")
        masks = struct.unpack_from("<III", data, 54)  # after a header of 40 bytes, within the larger ones
        after += (12 if packing == _FIELDS else 16) if size == 40 else 0
        _check_masks(masks, bits)
    stride = 3 if size == 12 else 4
    if pixels < after:
        raise ValueError(f"damaged BMP: its pixels begin at byte {pixels}, within its header")
    colours = min(used or 1 << bits, 1 << bits, (pixels - after) // stride) if bits <= 8 else 0
    line = (width * bits + 31) // 32 * 4
    needed = pixels + (2 if runs else line * abs(height))
    if needed > len(data):
        raise ValueError(f"truncated BMP: the file ends after {len(data)} bytes")
    palette = data[after : after + stride * colours]
    return Bmp(abs(height), width, height < 0, bits, packing, masks, palette, stride, pixels)


def decode_bmp(data: bytes, bmp: Bmp) -> Plane:
    """Decode the pixels to uint8 (height, width, 3), RGB.

    Args:
        data: Content of the file.
        bmp: Its headers from ``read_bmp``, of a size that has been checked.

    Raises:
        ValueError: An index has no colour, or runs are damaged or omit pixels.
    """
    if bmp.packing in (_RLE8, _RLE4):
        indices = _runs(memoryview(data)[bmp.pixels :], bmp)
        image = _colours(indices, bmp)
    else:
        line = (bmp.width * bmp.bits + 31) // 32 * 4
        lines = np.frombuffer(data, np.uint8, line * bmp.height, bmp.pixels).reshape(bmp.height, line)
        image = np.empty((bmp.height, bmp.width, 3), np.uint8)
        for row, pixels in zip(lines, image, strict=True):
            pixels[...] = _row(row, bmp)
    return image if bmp.top else np.ascontiguousarray(image[::-1])


def _check_masks(masks: tuple[int, int, int], bits: int) -> None:
    """Raise ValueError unless each mask is one stretch of bits within a pixel, and no two overlap."""
    seen = 0
    for mask in masks:
        lowest = mask & -mask
        if not mask or mask & (mask + lowest) or mask >> bits or mask & seen:
            words = ", ".join(f"{mask:#x}" for mask in masks)
            raise ValueError(f"damaged BMP: masks {words} of red, green and blue in {bits} bits")
        seen |= mask


def _row(row: Plane, bmp: Bmp) -> Plane:
    """Convert one row of bytes to RGB: uint8 (width, 3)."""
    if bmp.bits <= 8:
        shifts = np.arange(8 - bmp.bits, -1, -bmp.bits, dtype=np.uint8)
        indices = (row[:, None] >> shifts & np.uint8((1 << bmp.bits) - 1)).reshape(-1)[: bmp.width]
        return _colours(indices, bmp)
    if bmp.bits == 24:
        return row[: 3 * bmp.width].reshape(-1, 3)[:, ::-1]
    words = row.view("<u2" if bmp.bits == 16 else "<u4")[: bmp.width].astype(np.uint64)
    fields = []
    for mask in bmp.masks:
        lowest = mask & -mask
        most, field = mask // lowest, (words & np.uint64(mask)) // np.uint64(lowest)
        fields.append((field * np.uint64(510) + np.uint64(most)) // np.uint64(2 * most))
    return np.stack(fields, axis=1).astype(np.uint8)


def _colours(indices: Plane, bmp: Bmp) -> Plane:
    """Convert palette indices to RGB, with one more dimension."""
    palette = np.frombuffer(bmp.palette, np.uint8).reshape(-1, bmp.stride)[:, 2::-1]
    if int(indices.max(initial=0)) >= len(palette):
        raise ValueError(f"colour {indices.max()}, but its palette has {len(palette)} colours")
    return palette[indices]


def _runs(data: memoryview, bmp: Bmp) -> Plane:
    """Decode RLE8 or RLE4 to palette indices, uint8 (height, width), first row first."""
    out, given = np.zeros((bmp.height, bmp.width), np.uint8), 0
    x = y = at = 0
    while True:
        if at + 2 > len(data):
            raise ValueError("its runs have no end mark")
        count, value = data[at], data[at + 1]
        at += 2
        if count == 0 and value == 1:
            break
        if count == 0 and value == 0:
            x, y = 0, y + 1
            continue
        if count == 0 and value == 2:
            raise ValueError("its runs skip pixels")
        if count:
            run = np.array([value] if bmp.bits == 8 else [value >> 4, value & 15], np.uint8)
            run = np.resize(run, count)
        else:
            count = value
            size = count if bmp.bits == 8 else (count + 1) // 2
            taken = np.frombuffer(data[at : at + size], np.uint8)
            at += size + size % 2
            run = taken if bmp.bits == 8 else np.stack([taken >> 4, taken & 15], 1).reshape(-1)[:count]
        if y >= bmp.height or x + count > bmp.width or len(run) != count:
            raise ValueError(f"a run of {count} pixels at row {y}, column {x}, which does not fit")
        out[y, x : x + count] = run
        x, given = x + count, given + count
    if given != out.size:
        raise ValueError(f"its runs give {given} of {out.size} pixels")
    return out
