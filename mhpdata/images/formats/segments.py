"""Parse the marker segments of a JPEG file, and remove those that cannot change its pixels.

Segments are located as libjpeg does it, so a file ends where it ends for every viewer::

    SOI | APP0 JFIF | APP1 EXIF | stray bytes | DQT | SOF | DHT | SOS codes | EOI | trailer
    kept   rewritten   removed      removed     kept  kept  kept   kept       kept  removed

JFIF's and Adobe's segments define the colour space, so :func:`without_metadata` replaces them with a segment of the
meaning that libjpeg gave them: it interprets the components of a damaged one as Y, Cb, Cr, with a warning.

Sources: ITU-T T.81, annex B; libjpeg's ``read_markers``, ``next_marker`` and ``default_decompress_parms``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

SOI, EOI, SOS, DAC = 0xD8, 0xD9, 0xDA, 0xCC
SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, DAC}
_APP0, _APP14 = 0xE0, 0xEE
_RESTARTS = {*range(0xD0, 0xD8)}
_WITHOUT_LENGTH = {0x01, *_RESTARTS, SOI, EOI}
_METADATA = {*range(0xE0, 0xF0), 0xFE, 0x01, *_RESTARTS}
"""APP0 to APP15, comments, and markers without a meaning outside of the codes."""
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
_ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"  # followed by the transform

# A 255 is fill, or a marker's first byte. Among codes, 255 0 is a code, and restart markers belong to the codes.
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_AFTER_CODES = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class Segment(NamedTuple):
    """A marker segment, ``data[begin:end]``, which begins with the marker's 255; that of SOS includes the codes."""

    marker: int
    begin: int
    end: int


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments of a JPEG file after SOI, up to EOI or the last byte.

    Args:
        data: Content of the file, which begins with SOI. A segment that is longer than the file ends with the file.
    """
    end = 2
    while match := _MARKER.search(data, end):
        begin, marker = match.start(), data[match.start() + 1]
        end = begin + 2
        if marker not in _WITHOUT_LENGTH:
            end = min(end + max(int.from_bytes(data[end : end + 2], "big"), 2), len(data))
        if marker == SOS:
            after = _AFTER_CODES.search(data, end)
            end = after.start() if after else len(data)
        yield Segment(marker, begin, end)
        if marker == EOI:
            return


def without_metadata(data: bytes) -> bytes:
    """Return a JPEG file without its APPn segments, comments, stray bytes and trailer.

    Decoders that follow libjpeg decode the same pixels as from ``data``, even if the removed bytes are damaged.
    """
    kept, components, scanned = [], 0, False
    jfif, transform = False, None
    for marker, begin, end in segments(data):
        content = data[begin + 4 : min(end, begin + 18)]
        if marker in SOF and len(content) >= 6:
            components = components or content[5]
        scanned = scanned or marker == SOS
        if marker == _APP0 and len(content) >= 14 and content.startswith(b"JFIF\0"):
            jfif = jfif or not scanned
        if marker == _APP14 and len(content) >= 12 and content.startswith(b"Adobe") and not scanned:
            transform = content[11]
        if marker not in _METADATA:
            kept.append(data[begin:end])
    return b"".join((data[:2], _colours(components, jfif, transform), *kept))


def _colours(components: int, jfif: bool, transform: int | None) -> bytes:
    """Return the segment for the colour space that libjpeg assumes; ``transform`` is Adobe's."""
    if components == 3 and jfif:
        return _JFIF
    if components not in (3, 4) or transform is None:
        return b""
    return _ADOBE + struct.pack("B", 0 if transform == 0 else components - 2)  # 1: Y, Cb, Cr; 2: these and black
