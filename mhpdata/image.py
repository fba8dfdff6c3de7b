"""Image files to arrays: photos to uint8 (height, width, 3) RGB, masks to uint8 (height, width).

Strict: what does not decode to its last pixel is an error, never a half-gray picture, unless the caller asks for it. A
JPEG that libjpeg warns of is decoded again without its metadata (mhpdata.segments): what is still warned of is about
pixels, the rest is a note. The format is told by the content, whatever the file is called. Gray becomes three equal
channels, alpha is dropped, a palette is looked up, CMYK follows Adobe's inverted convention as in Pillow, 16 bits
become 8 by the nearest value. EXIF blocks are not read, and the rotation that they ask for is not applied: the masks
follow the raw pixel order.
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

from mhpdata.errors import EXTRACT_AGAIN, PHOTO_AGAIN, ImageError, MaskError
from mhpdata.gif import decode_gif
from mhpdata.header import AS_ONE, NAMES, Header, read_header
from mhpdata.notes import DAMAGED, METADATA, TRAILER
from mhpdata.opencv import cv2
from mhpdata.segments import without_metadata

Pixels = npt.NDArray[np.uint8]
Empty = Callable[[tuple[int, ...]], Pixels]
_BLOCK = 1 << 18  # pixels

_MASK = "an 8-bit gray PNG of labels"
_RED_MASK = "an 8-bit PNG of labels, gray or in the red channel"


_KEEP = "mhp-pack takes such a JPEG as far as it decodes with --damaged keep."


@dataclass(frozen=True)
class Decoded:
    """An image, and what is known of its file.

    Attributes:
        pixels: uint8 (height, width, 3), RGB, 0..255.
        header: what the file claims.
        jpeg: the file as a JPEG that every decoder reads, of just these pixels: the file itself, or without what was
            noted. None where it is of another kind.
        notes: what was odd and does no harm (METADATA, TRAILER), or was asked for (DAMAGED), each in words
            (mhpdata.notes).
    """

    pixels: Pixels
    header: Header
    jpeg: bytes | None
    notes: dict[str, str]


def decode_image(data: bytes, place: str, empty: Empty | None = None) -> tuple[Pixels, Header]:
    """A photo as uint8 (height, width, 3), RGB, 0..255, and what its header says.

    Args and errors are those of :func:`decode_file`, which says more.
    """
    decoded = decode_file(data, place, empty)
    return decoded.pixels, decoded.header


def decode_file(data: bytes, place: str, empty: Empty | None = None, *, damaged: str = "fail") -> Decoded:
    """Decode an image file, and note what is odd about it.

    Args:
        data: the file, of a format that ``read_header`` knows, whatever its name says.
        place: its name, for errors.
        empty: gives an array of a shape, to decode a three-component JPEG into; by default a new one.
        damaged: "keep" takes a JPEG whose pixels are damaged as far as libjpeg decodes it.

    Raises:
        ImageError: it does not decode, wholly and without a warning that is about pixels.
    """
    header = read_header(data, place)
    if header.kind == "jpeg":
        decoded = _decode_jpeg(data, header, place, empty, damaged == "keep")
    else:
        decoded = Decoded(_decode_other(data, header, place), header, None, {})
    height, width, _ = decoded.pixels.shape
    if (height, width) != (header.height, header.width):
        found = f"decodes to {height} x {width} pixels"
        raise ImageError(place, found, f"{header.height} x {header.width}, as its header says", PHOTO_AGAIN)
    return decoded


def decode_jpeg(data: bytes | memoryview) -> Pixels:
    """A three-component JPEG as uint8 (height, width, 3) RGB: accurate DCT, libjpeg's own ("fancy") upsampling.

    Raises:
        ValueError: libjpeg warned or failed.
    """
    return _decode(data, "RGB")


def decode_mask(data: bytes, place: str, size: tuple[int, int], labels: int, *, red: bool = False) -> Pixels:
    """One person's mask as uint8 (height, width), values below ``labels``; 0 is not this person.

    Args:
        data: the file: an 8-bit gray PNG without palette.
        place: its name, for errors.
        size: (height, width) of the photo it belongs to.
        labels: how many labels the dataset has.
        red: it may also be an 8-bit RGB PNG with the label in the red channel, as MHP v2's are. The other channels
            must be 0, or equal to it.

    Raises:
        MaskError: another kind of file, another size, or a label that does not exist.
    """
    expected = _RED_MASK if red else _MASK
    try:
        header = read_header(data, place, expected)
    except ImageError as error:
        raise MaskError(error.place, error.found, error.expected, EXTRACT_AGAIN) from error
    channels = (1, 3) if red else (1,)
    if (header.kind, header.bits, header.palette) != ("png", 8, False) or header.channels not in channels:
        kind = "palette" if header.palette else f"{header.channels}-channel"
        found = f"{kind} {header.bits}-bit {header.kind.upper()}"
        raise MaskError(place, found, expected, EXTRACT_AGAIN)
    if (header.height, header.width) != size:
        raise MaskError(
            place,
            f"{header.height} x {header.width} (height x width)",
            f"{size[0]} x {size[1]}, the size of its photo",
            EXTRACT_AGAIN,
        )
    mask: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.shape != (size if header.channels == 1 else (*size, 3)) or mask.dtype != np.uint8:
        raise MaskError(place, "does not decode", expected, EXTRACT_AGAIN)
    if mask.ndim == 3:
        mask = _red_channel(mask, place)
    if int(mask.max()) >= labels:
        found = ", ".join(str(v) for v in np.unique(mask[mask >= labels])[:5])
        remedy = f"It may be another dataset's mask. {EXTRACT_AGAIN}"
        raise MaskError(place, f"holds label {found}", f"labels 0 to {labels - 1}", remedy)
    return np.asarray(mask)


def _red_channel(mask: Pixels, place: str) -> Pixels:
    """Labels of a mask as OpenCV decodes it: blue, green, red."""
    others, labels = mask[..., :2], np.ascontiguousarray(mask[..., 2])
    if others.any() and (others != labels[..., None]).any():
        differ = int(np.count_nonzero((others != labels[..., None]).any(axis=-1) & others.any(axis=-1)))
        found = f"its green or blue channel differs in {differ} pixels"
        remedy = f"It may be a coloured picture of a mask. {EXTRACT_AGAIN}"
        raise MaskError(place, found, "0 there, or the label of the red channel", remedy)
    return labels


def _decode_jpeg(data: bytes, header: Header, place: str, empty: Empty | None, keep: bool) -> Decoded:
    if header.channels not in (1, 3, 4) or header.bits != 8:
        found = f"JPEG with {header.channels} components of {header.bits} bits"
        raise ImageError(place, found, "1, 3 or 4 components of 8 bits", PHOTO_AGAIN)

    def decode(data: bytes, strict: bool = True) -> Pixels:
        if header.channels == 4:
            return _cmyk_to_rgb(_decode(data, "CMYK", strict=strict))
        return _decode(data, "RGB", empty((header.height, header.width, 3)) if empty else None, strict)

    trailer = len(data) - header.end if header.end else 0
    jpeg = data[: header.end] if trailer else data
    notes = {TRAILER: f"{trailer} bytes after the end of the JPEG are left out"} if trailer else {}
    try:
        pixels = decode(jpeg)
    except ValueError as warned:
        jpeg = without_metadata(data)
        pixels, note = _decode_warned(partial(decode, jpeg), warned, place, keep)
        notes |= note
    baseline = DAMAGED not in notes and (header if jpeg is data else read_header(jpeg, place)).baseline
    return Decoded(pixels, header, jpeg if baseline else None, notes)


def _decode_warned(
    decode: Callable[..., Pixels], warned: ValueError, place: str, keep: bool
) -> tuple[Pixels, dict[str, str]]:
    """Decode a JPEG that has lost its metadata, and note whether that was all that libjpeg had ``warned`` of."""
    try:
        return decode(), {METADATA: f"its metadata is damaged and left out, its pixels are whole ({_said(warned)})"}
    except ValueError as error:
        damage = error
    remedy = PHOTO_AGAIN
    with suppress(ValueError):
        pixels = decode(strict=False)
        if keep:
            return pixels, {DAMAGED: f"kept, although its pixels are damaged ({_said(damage)})"}
        remedy += f" {_KEEP}"
    raise ImageError(place, f"does not decode ({_said(damage)})", "a whole JPEG", remedy) from damage


def _said(error: ValueError) -> str:
    return str(error).rstrip(".")


def _decode(data: bytes | memoryview, colors: str, out: Pixels | None = None, strict: bool = True) -> Pixels:
    pixels: Pixels = simplejpeg.decode_jpeg(data, colors, fastdct=False, fastupsample=False, buffer=out, strict=strict)
    return pixels


def _cmyk_to_rgb(inverted: Pixels) -> Pixels:
    """Ink values as Adobe stores them (255 = no ink) to RGB: the product of colour and black, rounded as in Pillow."""

    def mixed(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        ink = rows.astype(np.uint32)
        nothing = ink[..., 3:4] * (255 - ink[..., :3]) + 128  # Pillow: black's light less the colour's share
        return ink[..., 3:4] - (((nothing >> 8) + nothing) >> 8)

    return _by_rows(mixed, inverted)


def _decode_other(data: bytes, header: Header, place: str) -> Pixels:
    if header.kind == "gif":
        try:
            return decode_gif(data)
        except ValueError as error:
            found, remedy = f"a GIF that does not decode ({error})", f"{AS_ONE} {PHOTO_AGAIN}"
            raise ImageError(place, found, "a whole GIF of one picture", remedy) from error
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ImageError(place, "does not decode", f"a whole {NAMES[header.kind]}", PHOTO_AGAIN)
    if pixels.dtype == np.uint16:
        pixels = _by_rows(lambda rows: (rows.astype(np.uint32) + 128) // 257, pixels)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def _by_rows(function: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], image: npt.NDArray[Any]) -> Pixels:
    """uint8 (height, width, 3) of a function of some rows at a time: the largest image would need 4 GB between."""
    height, width, _ = image.shape
    out, step = np.empty((height, width, 3), np.uint8), max(1, _BLOCK // width)
    for top in range(0, height, step):
        out[top : top + step] = function(image[top : top + step])
    return out
