"""Encode a label map as an indexed PNG, whose pixels are labels and whose palette colours them; decode predictions.

Pillow reads the labels of such a PNG (mhpdata.images.encode) unchanged. PNGs of other programs are read like masks, by
``mhpdata.images.label_png``.

If the image was turned upright, the PNG says so in a tEXt chunk, "EXIF orientation applied": such labels do not match
the labels of a dataset, which follow the stored pixels.

``encode_picture`` encodes RGB figures with OpenCV.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import ImageError, PredictionError
from mhpdata.images.encode import LEVEL, encode_png
from mhpdata.images.formats.chunks import PALETTE, PNG_SIGNATURE, RGB, read_png
from mhpdata.images.formats.png import decode_png
from mhpdata.images.header import AS_ONE, NAMES, read_header
from mhpdata.images.label_png import SAVE_AS, NoLabelsError, read_values
from mhpdata.opencv import cv2
from mhpdata.remedy import Kind

_TURNED = b"EXIF orientation applied\0"
_RAW = "Predict the stored pixels: mhp predict --data REC, or mhp predict --exif raw for image files."
_AGAIN = "If this is a copy, copy it again; otherwise write it again with the program that made the predictions."


def encode_indexed(
    labels: NDArray[np.uint8], palette: NDArray[np.uint8], orientation: int = 1, clear: bool = False
) -> bytes:
    """Encode a label map as a PNG of colour type 3, 8 bits.

    Args:
        labels: uint8 (height, width), each side 1..65535.
        palette: uint8 (256, 3), RGB colour per label.
        orientation: EXIF orientation, 1..8, by which the labels were turned upright; the file records any other than 1.
        clear: make label 0 transparent, for a layer over an image.

    Returns:
        The content of the PNG file.
    """
    turned = [(b"tEXt", _TURNED + str(orientation).encode())] if orientation != 1 else []
    transparent = [(b"tRNS", b"\0")] if clear else []  # alpha of label 0; the others are opaque
    return encode_png(labels, PALETTE, [(b"PLTE", palette.tobytes()), *transparent, *turned])


def is_label_map(start: bytes) -> bool:
    """Return whether a file begins like the output of ``encode_indexed``: same chunks, label 0 white, 255 black.

    Args:
        start: first bytes of the file, at least 1024 unless the file is shorter.
    """
    palette = start[41:809]
    return (
        start.startswith(PNG_SIGNATURE)
        and start[12:16] + start[24:26] + start[33:41] == b"IHDR\x08\x03" + struct.pack(">I4s", 768, b"PLTE")
        and start[817:821] in (b"IDAT", b"tEXt")
        and (palette[:3], palette[-3:]) == (b"\xff" * 3, bytes(3))
    )


def encode_picture(picture: NDArray[np.uint8]) -> bytes:
    """Encode uint8 (height, width, 3) RGB pixels as a PNG."""
    swapped = np.ascontiguousarray(picture[:, :, ::-1])
    done, data = cv2.imencode(".png", swapped, [cv2.IMWRITE_PNG_COMPRESSION, LEVEL])
    assert done, "OpenCV encodes every uint8 array"
    return data.tobytes()


def decode_labels(data: bytes, place: str, size: tuple[int, int], labels: int, *, what: str = "label") -> NDArray[Any]:
    """Decode the labels, or person numbers, of a predicted PNG without changing their values.

    Args:
        data: content of the file, in one of the forms of ``mhpdata.images.label_png``.
        place: name of the file, for error messages.
        size: required (height, width).
        labels: number of valid values; other values are returned, too.
        what: what a pixel holds ("label", "person"), for error messages.

    Returns:
        uint8 (height, width); uint16 for a 16-bit PNG.

    Raises:
        PredictionError: the file is not a PNG, has another size, was turned upright, holds no labels or does not
            decode.
    """
    _check(data, place, size, f"a PNG with the {what} at each pixel")
    try:
        return read_values(data, labels)
    except NoLabelsError as error:
        raise PredictionError(place, error.found, error.expected, error.remedy) from error
    except ValueError as error:
        raise PredictionError(place, f"damaged PNG: {error}", "a complete PNG", _AGAIN) from error


def decode_segments(data: bytes, place: str, size: tuple[int, int]) -> NDArray[np.int32]:
    """Decode a PNG of COCO's panoptic format.

    Args:
        data: content of the file.
        place: name of the file, for error messages.
        size: required (height, width).

    Returns:
        int32 (height, width): R + 256 G + 65536 B.

    Raises:
        PredictionError: as for ``decode_labels``, or the PNG is not 8-bit RGB.
    """
    expected = "an 8-bit RGB PNG with the segment id at each pixel, R + 256 G + 65536 B"
    _check(data, place, size, expected)
    try:
        png = read_png(data)
        colours = decode_png(png) if (png.color, png.bits) == (RGB, 8) else None
    except ValueError as error:
        raise PredictionError(place, f"damaged PNG: {error}", "a complete PNG", _AGAIN) from error
    if colours is None:
        found = f"has colour type {png.color} with {png.bits} bits"
        raise PredictionError(place, found, expected, "Write it as panopticapi's id2rgb does.")
    samples = colours.astype(np.int32)
    return np.asarray(samples[..., 0] + (samples[..., 1] << 8) + (samples[..., 2] << 16))


def _check(data: bytes, place: str, size: tuple[int, int], expected: str) -> None:
    """Raise PredictionError unless a file is a PNG of this size whose pixels are in the stored order."""
    try:
        header = read_header(data, place)
    except ImageError as error:
        remedy = f"{AS_ONE} {_AGAIN}" if error.kind is Kind.ONE_IMAGE else _AGAIN
        raise PredictionError(place, error.found, expected, remedy) from error
    if header.kind != "png":
        raise PredictionError(place, f"is a {NAMES[header.kind]}", expected, f"{SAVE_AS} mhp predict writes such PNGs.")
    if b"tEXt" + _TURNED in data:
        raise PredictionError(place, "was turned upright by EXIF", "the order of the stored pixels", _RAW)
    if (header.height, header.width) != size:
        remedy = (
            "Resize the prediction to that size by nearest neighbour; mhp score compares at the image's original size, "
            "or with --at packed at the packed size."
        )
        if (header.width, header.height) == size:
            remedy = f"If the image was turned upright by EXIF: {_RAW} Otherwise: {remedy}"
        wanted = f"{size[0]} x {size[1]} (height x width), the size of its labels"
        raise PredictionError(place, f"is {header.height} x {header.width}", wanted, remedy)
