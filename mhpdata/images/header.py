"""Read the header of an image file before anything is decoded or allocated.

Supported are JPEG and PNG, and also BMP, GIF and WebP, which downloads contain under the names of JPEGs. The size is
checked against MAX_PIXELS here, so a file of 100 bytes that declares 60000 x 60000 pixels is rejected at no cost. PNG,
BMP and WebP are parsed by mhpdata.images.formats.chunks, bmp and webp, which reject truncated files.

Sources: ITU-T T.81 annex B (JPEG markers); GIF 89a; the sources of these three modules.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mhpdata.errors import EXTRACT_AGAIN, WITHOUT, ImageError
from mhpdata.images.formats.bmp import read_bmp
from mhpdata.images.formats.chunks import GRAY, GRAY_ALPHA, PALETTE, PNG_SIGNATURE, read_png
from mhpdata.images.formats.segments import EOI, SOF, SOS, segments
from mhpdata.images.formats.webp import read_webp
from mhpdata.images.size import MAX_JPEG_SIDE, MAX_PIXELS, MAX_SIDE
from mhpdata.remedy import Kind, Remedy

NAMES = {"jpeg": "JPEG", "png": "PNG", "bmp": "BMP", "gif": "GIF", "webp": "WebP"}
"""Formats, and the spelling of their names."""
MAX_SCANS = 100
"""Maximum number of scans in a JPEG. A camera's progressive JPEG has about ten. Each scan covers the whole image, so a
file of a few MB with many of them could keep a decoder busy for hours."""
_SOF_BASELINE = 0xC0
_OTHERS = {
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
    b"\0\0\0\x0cJXL ": "a JPEG XL",
    b"8BPS": "a Photoshop file",
}
_BRANDS = {b"heic": "a HEIC", b"heix": "a HEIC", b"mif1": "a HEIC", b"avif": "an AVIF"}
"""Unsupported formats by their first bytes, and by the brand after ``ftyp``."""
CONVERT = Remedy(f"Convert it to JPEG or PNG under the same name. {WITHOUT}", Kind.CONVERT)
"""Remedy for an unsupported format."""

AS_ONE = Remedy("If it is an animation, save one frame as a JPEG or PNG in its place.", Kind.ONE_IMAGE)
"""Remedy for an animation; the file may keep its name."""
_FETCH_AGAIN = f"Download or extract it again. {WITHOUT}"
"""Remedy for a web page, such as the error page of a server, in place of an image."""
_SMALLER = (
    "The header is probably damaged: extract the archive again. If the image is really this large, scale it down."
)
_WEB = (b"<!doctype html", b"<html")


@dataclass(frozen=True)
class Header:
    """The header of an image file.

    Attributes:
        kind: Image format, of NAMES.
        height, width: Size in pixels, before any EXIF rotation.
        channels: JPEG components (1, 3 or 4); PNG channels (1 gray or palette, 2, 3, 4); 3 for others.
        bits: Bits per channel.
        gray: Whether it has one channel of brightness, with or without alpha.
        baseline: Whether it is a JPEG that every decoder reads: SOF0, 8 bits, 3 components, EOI as its last two bytes.
        palette: Whether it is a PNG whose pixels are palette indices.
        end: Bytes of a JPEG up to and including its EOI; 0 without one. Bytes after it are a trailer.
    """

    kind: str
    height: int
    width: int
    channels: int
    bits: int
    gray: bool
    baseline: bool = False
    palette: bool = False
    end: int = 0


def _other(data: bytes) -> str:
    """Return the name of an unsupported format, with its article; "" for unknown bytes."""
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "")
    return next((kind for start, kind in _OTHERS.items() if data.startswith(start)), "")


def read_header(data: bytes, place: str, expected: str = "JPEG, PNG, BMP, GIF or WebP") -> Header:
    """Read the header of an image file.

    Args:
        data: Content of the whole file.
        place: Name of the file, for errors.
        expected: Description of the expected file, for errors.

    Raises:
        ImageError: The file is empty, truncated, damaged or too large, or its format is unknown.
    """
    if not data:
        raise ImageError(place, "empty file", expected, EXTRACT_AGAIN, fault=("empty",))
    if data.startswith(b"\xff\xd8"):
        header = _jpeg(data, place)
    elif data.startswith(PNG_SIGNATURE):
        header = _png(data, place)
    elif data.startswith(b"BM"):
        header = _bmp(data, place)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        header = _webp(data, place)
    elif data.startswith((b"GIF87a", b"GIF89a")) and len(data) > 10:
        width, height = struct.unpack_from("<HH", data, 6)
        header = Header("gif", height, width, 3, 8, gray=False)
    else:
        raise _unknown(data, place, expected)
    if not header.height or not header.width:
        found, fault = (
            f"declares {header.height} x {header.width} pixels (height x width)",
            ("no-pixels", header.height, header.width),
        )
        raise ImageError(place, found, "at least one pixel", EXTRACT_AGAIN, fault=fault)
    side, pixels = MAX_JPEG_SIDE if header.kind == "jpeg" else MAX_SIDE, header.height * header.width
    if pixels > MAX_PIXELS or max(header.height, header.width) > side:
        raise ImageError(
            place,
            f"declares {header.height} x {header.width} = {pixels:,} pixels (height x width)",
            f"at most {MAX_PIXELS:,}, and {side:,} per side",
            f"{_SMALLER} {WITHOUT}",
            fault=("too-large", header.height, header.width),
        )
    return header


def _unknown(data: bytes, place: str, expected: str) -> ImageError:
    """Return the error for a file that begins like no format that mhp reads."""
    if data.startswith(PNG_SIGNATURE[:4]):
        found = f"damaged PNG: starts with {_text(data[:8])}, not {_text(PNG_SIGNATURE)}"
        return ImageError(place, found, expected, EXTRACT_AGAIN, fault=("damaged",))
    if kind := _other(data):
        found = f"is {kind}, which mhp does not read"
        return ImageError(place, found, expected, CONVERT, fault=("unsupported-format",))
    if (start := data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()).lower().startswith(_WEB):
        found = f"is a web page, not an image (starts with {_text(start[: start.find(b'>') + 1 or 16])})"
        return ImageError(place, found, expected, _FETCH_AGAIN, fault=("unknown-format",))
    found = f"has no known image format (starts with {_text(data[:8])})"
    return ImageError(place, found, expected, EXTRACT_AGAIN, fault=("unknown-format",))


def _text(data: bytes) -> str:
    """Return bytes in quotes, with everything but printable ASCII escaped."""
    return repr(data)[1:]


def _jpeg(data: bytes, place: str) -> Header:
    frame, scans, end = b"", 0, 0
    for marker, begin, stop in segments(data):
        if marker in SOF and stop - begin >= 10 and not frame:
            frame = data[begin : begin + 10]
        if marker == SOS and not frame:
            break
        scans += marker == SOS
        end = stop if marker == EOI else 0
    if not frame:
        found = "truncated JPEG: it ends before its size is declared"
        raise ImageError(place, found, "a complete JPEG", EXTRACT_AGAIN, fault=("damaged",))
    if scans > MAX_SCANS:
        remedy = f"Save the image again, for example with jpegtran -outfile new.jpg old.jpg. {WITHOUT}"
        found, expected = f"a progressive JPEG of {scans} scans", f"at most {MAX_SCANS}"
        raise ImageError(place, found, expected, remedy, fault=("scans", scans))
    bits, height, width, channels = struct.unpack_from(">BHHB", frame, 4)
    baseline = frame[1] == _SOF_BASELINE and bits == 8 and channels == 3 and data.endswith(b"\xff\xd9")
    return Header("jpeg", height, width, channels, bits, gray=channels == 1, baseline=baseline, end=end)


def _png(data: bytes, place: str) -> Header:
    try:
        png = read_png(data)
    except ValueError as error:
        raise ImageError(place, str(error), "a complete PNG", EXTRACT_AGAIN, fault=("damaged",)) from error
    if png.animated:
        raise ImageError(place, "an animated PNG", "a PNG with one image", AS_ONE, fault=("several-images",))
    gray, palette = png.color in (GRAY, GRAY_ALPHA), png.color == PALETTE
    return Header("png", png.height, png.width, png.channels, png.bits, gray=gray, palette=palette)


def _bmp(data: bytes, place: str) -> Header:
    try:
        bmp = read_bmp(data)
    except ValueError as error:
        raise ImageError(place, str(error), "a complete BMP", EXTRACT_AGAIN, fault=("damaged",)) from error
    return Header("bmp", bmp.height, bmp.width, 3, 8, gray=False)


def _webp(data: bytes, place: str) -> Header:
    try:
        height, width, _ = read_webp(data)
    except ValueError as error:
        remedy = f"{AS_ONE} {EXTRACT_AGAIN}"
        raise ImageError(place, str(error), "a complete WebP with one image", remedy, fault=("damaged",)) from error
    return Header("webp", height, width, 3, 8, gray=False)
