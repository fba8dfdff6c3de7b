"""Read the EXIF orientation of an image file, and rotate pixels accordingly.

A camera stores rows in the order of its sensor and records in EXIF how to rotate them; viewers do so. The block is
untrusted: it is parsed here, with every offset checked, not by a library. As in browsers, it is the first ``Exif`` APP1
segment of a JPEG before its pixels, the ``eXIf`` chunk of a PNG, or the ``EXIF`` chunk of a WebP whose header announces
one. Other formats have no orientation.

::

    orientation  1 as stored   2 mirrored left to right   3 rotated by 180 degrees  4 mirrored top to bottom
                 5 transposed  6 rotate clockwise         7 transposed along the other diagonal
                 8 rotate counterclockwise

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
"""How to read an image: rotated by its EXIF orientation, or with its pixels in the order of the file."""
AS_STORED = 1

_MARK = b"Exif\0\0"
_TAG, _SHORT = 0x0112, 3
_APP1 = 0xE1
_MOST = 1 << 16
"""Maximum number of segments or chunks to read: a file may have millions of empty ones."""

Pixels = NDArray[np.uint8]


def read_orientation(data: bytes) -> int:
    """Return the EXIF orientation of an image file, 1..8; 1 if it has none.

    Args:
        data: Content of a file that ``mhpdata.images.header.read_header`` accepts.

    Raises:
        ValueError: The EXIF block is damaged; the text describes the damage.
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
    """Return pixels rotated and mirrored as viewers show them.

    Args:
        pixels: uint8 (height, width) or (height, width, 3), in the order of the file.
        orientation: EXIF orientation, 1..8.

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
    """Yield the content of each APP1 segment before the pixels of a JPEG."""
    for number, (marker, begin, end) in enumerate(segments(data)):
        if marker in (SOS, EOI):
            return
        if number == _MOST:
            raise ValueError(f"more than {_MOST} segments precede it")
        if marker == _APP1:
            yield data[begin + 4 : end]


def _named(wanted: bytes, chunks: Iterator[tuple[bytes, memoryview]]) -> Iterator[bytes]:
    """Return the content of the chunks with one name, without the JPEG marker that many programs put before it."""
    return (bytes(content).removeprefix(_MARK) for name, content in chunks if name == wanted)


def _chunks(view: memoryview, layout: str, check: int) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and content of each chunk of a PNG (with checksums of 4 bytes) or WebP (padded to even length)."""
    for _ in range(_MOST):
        if len(view) < 8:
            return
        first, second = struct.unpack_from(layout, view)
        name, length = (second, first) if check else (first, second)
        yield name, view[8 : 8 + length]
        if name == b"IEND":
            return
        view = view[8 + length + (check or length % 2) :]
    raise ValueError(f"more than {_MOST} chunks precede it")


def _in_tiff(block: bytes) -> int:
    """Return the orientation in the first directory of a TIFF structure."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        raise ValueError(f"it begins with {block[:4]!r}, not with a TIFF header")
    if len(block) < 8:
        raise ValueError(f"it ends after {len(block)} bytes")
    (at,) = struct.unpack_from(f"{order}I", block, 4)
    if at < 8 or at + 2 > len(block):
        raise ValueError(f"its directory begins at byte {at} of {len(block)}")
    (count,) = struct.unpack_from(f"{order}H", block, at)
    if at + 2 + 12 * count > len(block):
        raise ValueError(f"its directory of {count} entries reaches past its end")
    entries = struct.iter_unpack(f"{order}HHIHxx", block[at + 2 : at + 2 + 12 * count])
    orientations = {entry[1:] for entry in entries if entry[0] == _TAG}
    if not orientations:
        return AS_STORED
    if len(orientations) > 1:
        raise ValueError("it holds more than one orientation")
    ((type_, number, value),) = orientations
    if (type_, number) != (_SHORT, 1) or not 1 <= value <= 8:
        what = f"value {value}" if (type_, number) == (_SHORT, 1) else f"{number} values of type {type_}"
        raise ValueError(f"its orientation has {what}, not one of 1 to 8")
    return int(value)
