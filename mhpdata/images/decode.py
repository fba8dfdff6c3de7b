"""Decode image files to arrays: uint8 (height, width, 3), RGB.

Decoding is strict: an image that cannot be decoded to its last pixel is an error, never a half-gray image, unless the
caller allows it. If libjpeg warns about a JPEG, it is decoded again without its metadata
(mhpdata.images.formats.segments): a warning that remains concerns pixels, otherwise the metadata is noted as damaged.
The content, not the file name, determines the format. Gray becomes three equal channels, alpha is dropped, palettes are
resolved, CMYK follows Adobe's inverted convention as in Pillow, other bit depths are converted to the nearest 8-bit
value. EXIF blocks are not read and their rotation is not applied: the masks follow the raw pixel order.

libjpeg-turbo decodes JPEG; libwebp (OpenCV's) decodes WebP and gets only the chunk of the image; PNG, BMP and GIF are
decoded here. So no pixel depends on a library's version, and no library writes to the terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from mhpdata.errors import EXTRACT_AGAIN, KEEP, ImageError
from mhpdata.faults import Value
from mhpdata.images.formats.bmp import decode_bmp, read_bmp
from mhpdata.images.formats.chunks import PALETTE, read_png
from mhpdata.images.formats.gif import decode_gif
from mhpdata.images.formats.png import decode_png
from mhpdata.images.formats.segments import without_metadata
from mhpdata.images.formats.webp import read_webp
from mhpdata.images.header import AS_ONE, NAMES, Header, read_header
from mhpdata.images.notes import DAMAGED, METADATA, TRAILER
from mhpdata.opencv import cv2

Pixels = npt.NDArray[np.uint8]
Empty = Callable[[tuple[int, ...]], Pixels]
_BLOCK = 1 << 18  # pixels


@dataclass(frozen=True)
class Decoded:
    """A decoded image and the properties of its file.

    Attributes:
        pixels: uint8 (height, width, 3), RGB, 0..255.
        header: The file's header.
        jpeg: A baseline JPEG with exactly these pixels: the file itself, or the file without the noted bytes; None for
            other files.
        notes: Harmless anomalies (METADATA, TRAILER), or damage that was accepted on request (DAMAGED): values by code
            (mhpdata.images.notes).
    """

    pixels: Pixels
    header: Header
    jpeg: bytes | None
    notes: dict[str, tuple[Value, ...]]


def decode_image(data: bytes, place: str, empty: Empty | None = None) -> tuple[Pixels, Header]:
    """Decode an image to uint8 (height, width, 3), RGB, 0..255; return it with its header.

    Arguments and errors are those of :func:`decode_file`, which returns more.
    """
    decoded = decode_file(data, place, empty)
    return decoded.pixels, decoded.header


def decode_file(data: bytes, place: str, empty: Empty | None = None, *, damaged: str = "fail") -> Decoded:
    """Decode an image file, and note its anomalies.

    Args:
        data: Content of the file, of a format that ``read_header`` knows.
        place: Name of the file, for errors.
        empty: Returns an array of a given shape to decode a three-component JPEG into; None to allocate one.
        damaged: "keep" accepts a JPEG with damaged pixels as far as libjpeg decodes it.

    Raises:
        ImageError: The image cannot be decoded completely and without a warning about pixels.
    """
    header = read_header(data, place)
    if header.kind == "jpeg":
        decoded = _decode_jpeg(data, header, place, empty, damaged == "keep")
    else:
        decoded = Decoded(_decode_other(data, header, place), header, None, {})
    height, width, _ = decoded.pixels.shape
    if (height, width) != (header.height, header.width):
        found = f"decodes to {height} x {width} pixels"
        expected = f"{header.height} x {header.width} (height x width), as in its header"
        raise ImageError(place, found, expected, EXTRACT_AGAIN, fault=("damaged",))
    return decoded


def decode_jpeg(data: bytes | memoryview) -> Pixels:
    """Decode a three-component JPEG to uint8 (height, width, 3) RGB: accurate DCT, libjpeg's own ("fancy") upsampling.

    Raises:
        ValueError: libjpeg warns or fails.
    """
    return _decode(data, "RGB")


def _decode_jpeg(data: bytes, header: Header, place: str, empty: Empty | None, keep: bool) -> Decoded:
    if header.channels not in (1, 3, 4) or header.bits != 8:
        found = f"JPEG with {header.channels} components of {header.bits} bits"
        fault = ("components", header.channels, header.bits)
        raise ImageError(place, found, "1, 3 or 4 components of 8 bits", EXTRACT_AGAIN, fault=fault)

    def decode(data: bytes, strict: bool = True) -> Pixels:
        if header.channels == 4:
            return _cmyk_to_rgb(_decode(data, "CMYK", strict=strict))
        return _decode(data, "RGB", empty((header.height, header.width, 3)) if empty else None, strict)

    trailer = len(data) - header.end if header.end else 0
    jpeg = data[: header.end] if trailer else data
    notes: dict[str, tuple[Value, ...]] = {TRAILER: (trailer,)} if trailer else {}
    try:
        pixels = decode(jpeg)
    except ValueError:
        jpeg = without_metadata(data)
        pixels, note = _decode_warned(partial(decode, jpeg), place, keep)
        notes |= note
    baseline = DAMAGED not in notes and (header if jpeg is data else read_header(jpeg, place)).baseline
    return Decoded(pixels, header, jpeg if baseline else None, notes)


def _decode_warned(
    decode: Callable[..., Pixels], place: str, keep: bool
) -> tuple[Pixels, dict[str, tuple[Value, ...]]]:
    """Decode a JPEG without its metadata; return pixels and a note: are its metadata or its pixels damaged?"""
    try:
        return decode(), {METADATA: ()}
    except ValueError as error:
        damage = error
    remedy = EXTRACT_AGAIN
    with suppress(ValueError):
        pixels = decode(strict=False)
        if keep:
            return pixels, {DAMAGED: ()}
        remedy += f" {KEEP}"
    said = str(damage).rstrip(".")
    found = f"{'truncated' if 'Premature end' in said else 'damaged'} JPEG: {said}"
    raise ImageError(place, found, "a complete JPEG", remedy, fault=("damaged",)) from damage


def _decode(data: bytes | memoryview, colors: str, out: Pixels | None = None, strict: bool = True) -> Pixels:
    pixels: Pixels = simplejpeg.decode_jpeg(data, colors, fastdct=False, fastupsample=False, buffer=out, strict=strict)
    return pixels


def _cmyk_to_rgb(inverted: Pixels) -> Pixels:
    """Convert inverted ink values, as Adobe stores them (255 = no ink), to RGB: colour times black, as in Pillow."""

    def mixed(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        ink = rows.astype(np.uint32)
        nothing = ink[..., 3:4] * (255 - ink[..., :3]) + 128  # rounded as in Pillow: black minus the colour's share
        return ink[..., 3:4] - (((nothing >> 8) + nothing) >> 8)

    return _by_rows(mixed, inverted)


def _decode_other(data: bytes, header: Header, place: str) -> Pixels:
    try:
        return _OTHERS[header.kind](data)
    except ValueError as error:
        one = header.kind == "gif"
        found = f"cannot be decoded as GIF: {error}" if one else f"damaged {NAMES[header.kind]}: {error}"
        expected = f"a complete {NAMES[header.kind]}" + " with one image" * one
        raise ImageError(place, found, expected, f"{AS_ONE} " * one + EXTRACT_AGAIN, fault=("damaged",)) from error


def _decode_png(data: bytes) -> Pixels:
    png = read_png(data)
    samples = decode_png(png)
    if png.color == PALETTE:
        palette = np.frombuffer(png.palette, np.uint8).reshape(-1, 3)
        if int(samples.max()) >= len(palette):
            raise ValueError(f"colour {samples.max()}, but its palette has {len(palette)} colours")
        return np.asarray(palette[samples[..., 0]])
    if png.bits < 8:
        samples *= np.uint8(255 // ((1 << png.bits) - 1))
    colours = samples[..., :1] if png.channels < 3 else samples[..., :3]
    if png.bits == 16:
        return _by_rows(lambda rows: (rows.astype(np.uint32) + 128) // 257, colours)
    return np.ascontiguousarray(np.broadcast_to(colours, (png.height, png.width, 3)))


def _decode_webp(data: bytes) -> Pixels:
    pixels: Any = cv2.imdecode(np.frombuffer(read_webp(data)[2], np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("libwebp reports damage")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


_OTHERS: dict[str, Callable[[bytes], Pixels]] = {
    "png": _decode_png,
    "bmp": lambda data: decode_bmp(data, read_bmp(data)),
    "gif": decode_gif,
    "webp": _decode_webp,
}


def _by_rows(function: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], image: npt.NDArray[Any]) -> Pixels:
    """Apply a function to blocks of rows: intermediate arrays of the largest image as a whole would take 4 GB.

    The function returns three channels, or one for all three; the result is uint8 (height, width, 3).
    """
    height, width, _ = image.shape
    out, rows = np.empty((height, width, 3), np.uint8), max(1, _BLOCK // width)
    for top in range(0, height, rows):
        out[top : top + rows] = function(image[top : top + rows])
    return out
