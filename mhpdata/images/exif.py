"""Which way up an image is: the orientation that its EXIF block records, and pixels turned accordingly.

A camera stores the rows as its sensor gives them and records in EXIF how they must be turned; viewers turn them. The
block is untrusted: it is read here, with every offset checked, and by no library. Where browsers look, this looks: the
first ``Exif`` APP1 segment of a JPEG before its pixels, the ``eXIf`` chunk of a PNG, the ``EXIF`` chunk of a WebP whose
header announces one. Other formats record no orientation.

::

    orientation  1 as stored   2 mirrored left to right   3 turned by 180 degrees   4 mirrored top to bottom
                 5 transposed  6 to be turned clockwise   7 transposed along the other diagonal
                 8 to be turned counterclockwise

Sources: CIPA DC-008 (Exif 2.32), sections 4.5 to 4.7; TIFF 6.0, section 2; the PNG specification, third edition (eXIf);
RFC 9649 (WebP), section 2.7.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mhpdata.images.formats.chunks import PNG_SIGNATURE
from mhpdata.images.formats.segments import EOI, SOS, segments

EXIF = ("upright", "raw")
"""How an image is taken: turned as its EXIF orientation says, or with its pixels in the order of the file."""
AS_STORED = 1

_MARK = b"Exif\0\0"
_TAG, _SHORT = 0x0112, 3
_APP1 = 0xE1
_MOST = 1 << 16
"""Segments or chunks that are looked at: a file of millions of empty ones is not worth the time."""

Pixels = NDArray[np.uint8]


def read_orientation(data: bytes) -> int:
    """Return the EXIF orientation of an image file, 1..8; 1 where it records none.

    Args:
        data: the whole file, which ``mhpdata.images.header.read_header`` takes.

    Raises:
        ValueError: the block that should hold it is damaged; the text says how.
    """
    blocks: Iterator[bytes]
    view = memoryview(data)
    if data.startswith(b"\xff\xd8"):
        blocks = (block[len(_MARK) :] for block in _app1(data) if block.startswith(_MARK))
    elif data.startswith(PNG_SIGNATURE):
        blocks = _named(b"eXIf", _chunks(view[len(PNG_SIGNATURE) :], ">I4s", 4))
    elif data.startswith(b"RIFF") and data[12:16] == b"VP8X" and data[20] & 8:
        (length,) = struct.unpack_from("<I", data, 4)
        blocks = _named(b"EXIF", _chunks(view[12 : 8 + length], "<4sI", 0))
    else:
        return AS_STORED
    block = next(blocks, None)
    return AS_STORED if block is None else _in_tiff(block)


def turn(pixels: Pixels, orientation: int) -> Pixels:
    """Return pixels as a viewer shows them.

    Args:
        pixels: uint8 (height, width) or (height, width, 3), in the order of the file.
        orientation: of EXIF, 1..8.

    Returns:
        uint8, contiguous; (width, height, ...) for 5 to 8.
    """
    if orientation == AS_STORED:
        return pixels
    from mhpdata.opencv import cv2

    if orientation >= 5:
        pixels = np.asarray(cv2.transpose(pixels))
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return pixels if flip is None else np.asarray(cv2.flip(pixels, flip))


def _app1(data: bytes) -> Iterator[bytes]:
    """Give the content of each APP1 segment that a JPEG has before its pixels."""
    for number, (marker, begin, end) in enumerate(segments(data)):
        if marker in (SOS, EOI):
            return
        if number == _MOST:
            raise ValueError(f"more than {_MOST} segments are before it")
        if marker == _APP1:
            yield data[begin + 4 : end]


def _named(wanted: bytes, chunks: Iterator[tuple[bytes, memoryview]]) -> Iterator[bytes]:
    """Give the content of chunks of one name; many programs write the mark of a JPEG's block before it."""
    return (bytes(content).removeprefix(_MARK) for kind, content in chunks if kind == wanted)


def _chunks(view: memoryview, layout: str, check: int) -> Iterator[tuple[bytes, memoryview]]:
    """Give the name and content of each chunk of a PNG (a checksum of 4 bytes after each) or WebP (even lengths)."""
    for _ in range(_MOST):
        if len(view) < 8:
            return
        first, second = struct.unpack_from(layout, view)
        kind, length = (second, first) if check else (first, second)
        yield kind, view[8 : 8 + length]
        if kind == b"IEND":
            return
        view = view[8 + length + (check or length % 2) :]
    raise ValueError(f"more than {_MOST} chunks are before it")


def _in_tiff(block: bytes) -> int:
    """Return the orientation in the first directory of a TIFF structure."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        raise ValueError(f"it begins with {block[:4]!r}, not as TIFF does")
    if len(block) < 8:
        raise ValueError(f"it ends after {len(block)} bytes")
    (at,) = struct.unpack_from(f"{order}I", block, 4)
    if at < 8 or at + 2 > len(block):
        raise ValueError(f"its directory begins at byte {at} of {len(block)}")
    (count,) = struct.unpack_from(f"{order}H", block, at)
    if at + 2 + 12 * count > len(block):
        raise ValueError(f"its directory of {count} entries reaches past its end")
    entries = struct.iter_unpack(f"{order}HHIHxx", block[at + 2 : at + 2 + 12 * count])
    found = {entry[1:] for entry in entries if entry[0] == _TAG}
    if not found:
        return AS_STORED
    if len(found) > 1:
        raise ValueError("it holds more than one orientation")
    ((kind, number, value),) = found
    if (kind, number) != (_SHORT, 1) or not 1 <= value <= 8:
        what = f"value {value}" if (kind, number) == (_SHORT, 1) else f"{number} values of type {kind}"
        raise ValueError(f"its orientation has {what}, not one of 1 to 8")
    return int(value)
