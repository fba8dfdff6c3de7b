"""The marker segments of a JPEG file, and the file without what cannot change its pixels.

Segments are found as libjpeg finds them, so that a file is cut where every viewer cuts it::

    SOI | APP0 JFIF | APP1 EXIF | stray bytes | DQT | SOF | DHT | SOS codes | EOI | trailer
    kept   rewritten     out          out       kept  kept  kept   kept       kept    out

JFIF's and Adobe's segments say what the components are, so :func:`without_metadata` writes one in their place that
means what they meant to libjpeg, which takes a broken one for Y, Cb, Cr, with a warning.

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
"""APP0 to APP15, comments, and markers that mean nothing where they stand."""
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
_ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"  # and the transform

# a 255 fills up, or is followed by what it marks; among codes 0 says that it is a code, and restarts belong to them
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_AFTER_CODES = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class Segment(NamedTuple):
    """A part of a file from its marker's 255 on, ``data[begin:end]``; that of SOS holds the codes after it, too."""

    marker: int
    begin: int
    end: int


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments of a JPEG file, SOI left out, as far as EOI or the last byte.

    Args:
        data: the file, which begins with SOI. A segment that claims more bytes than there are ends with them.
    """
    end = 2
    while found := _MARKER.search(data, end):
        begin, marker = found.start(), data[found.start() + 1]
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
    """Return a JPEG file without the APPn segments, comments, stray bytes and trailer of this one.

    Every decoder that follows libjpeg gives the pixels of ``data``, whatever is wrong with what was left out.
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
    """The segment that says what libjpeg takes the components for; ``transform`` is Adobe's."""
    if components == 3 and jfif:
        return _JFIF
    if components not in (3, 4) or transform is None:
        return b""
    return _ADOBE + struct.pack("B", 0 if transform == 0 else components - 2)  # 1: Y, Cb, Cr; 2: these and black
