"""A label map as an indexed PNG: each pixel is its label, and a palette shows it in its colour to whoever looks at it.

OpenCV does not write palettes, so the file is written here (signature, IHDR, PLTE, one IDAT, IEND: PNG specification,
third edition, sections 5, 9 and 11). Pillow reads the labels as they are. Others' are read as masks are, by
``mhpdata.images.label_png``.

Labels of an image that was turned upright say so in a tEXt chunk, "EXIF orientation applied": they do not fit the
labels of a dataset, which follow the raw pixels.

And a picture for people, in colours, as OpenCV writes it.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import ImageError, PredictionError
from mhpdata.images.formats.chunks import PNG_SIGNATURE
from mhpdata.images.header import AS_ONE, NAMES, read_header
from mhpdata.images.label_png import SAVE_AS, NoLabelsError, read_values
from mhpdata.opencv import cv2
from mhpdata.remedy import Kind

LEVEL = 6
"""zlib's level. The merged labels of sample 1528 (0.71 Mpixel), bytes and ms: level 1: 19500, 2; 6: 11044, 4; 9: 7818,
29; with the difference to the row above (filter 2): 15719, 2; 10513, 3; 8390, 25."""

_TURNED = b"EXIF orientation applied\0"
_RAW = "Predict it as it is stored: mhp-predict --data REC, or mhp-predict --exif raw for image files."
_AGAIN = "If this is a copy, copy it once more; otherwise write it again with the program that made the predictions."


def encode_indexed(labels: NDArray[np.uint8], palette: NDArray[np.uint8], orientation: int = 1) -> bytes:
    """A PNG of colour type 3 and 8 bits.

    Args:
        labels: uint8 (height, width), each side 1..65535.
        palette: uint8 (256, 3), R, G, B of each label.
        orientation: of EXIF, 1..8; other than 1, the labels were turned accordingly, and the file says so.
    """
    height, width = labels.shape
    rows = np.zeros((height, 1 + width), np.uint8)  # each row begins with its filter, 0: none
    rows[:, 1:] = labels
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        *([(b"tEXt", _TURNED + str(orientation).encode())] if orientation != 1 else []),
        (b"IDAT", zlib.compress(rows.tobytes(), LEVEL)),
        (b"IEND", b""),
    )
    return PNG_SIGNATURE + b"".join(map(_chunk, *zip(*chunks, strict=True)))


def is_label_map(start: bytes) -> bool:
    """Whether the first bytes of a file, at least 1024, are those of a PNG that ``encode_indexed`` made: its chunks
    follow on each other, and its palette shows label 0 in white and what is no label in black."""
    palette = start[41:809]
    return (
        start.startswith(PNG_SIGNATURE)
        and start[12:16] + start[24:26] + start[33:41] == b"IHDR\x08\x03" + struct.pack(">I4s", 768, b"PLTE")
        and start[817:821] in (b"IDAT", b"tEXt")
        and (palette[:3], palette[-3:]) == (b"\xff" * 3, bytes(3))
    )


def encode_picture(picture: NDArray[np.uint8]) -> bytes:
    """A PNG of uint8 (height, width, 3) RGB."""
    swapped = np.ascontiguousarray(picture[:, :, ::-1])
    done, data = cv2.imencode(".png", swapped, [cv2.IMWRITE_PNG_COMPRESSION, LEVEL])
    assert done, "OpenCV encodes every uint8 picture"
    return data.tobytes()


def decode_labels(data: bytes, place: str, size: tuple[int, int], labels: int, *, what: str = "label") -> NDArray[Any]:
    """The labels of somebody's PNG, or the numbers of persons, as they are stored.

    Args:
        data: the file, of one of the forms of ``mhpdata.images.label_png``.
        place: its name, for errors.
        size: (height, width) that it must have.
        labels: how many labels, or numbers, there may be; others are returned as they are found.
        what: each pixel is, for errors.

    Returns:
        uint8 (height, width), or uint16 of a 16-bit PNG.

    Raises:
        PredictionError: another kind of file, another size, turned upright, no labels, or it does not decode.
    """
    expected = f"a PNG with the {what} at each pixel"
    try:
        header = read_header(data, place)
    except ImageError as error:
        remedy = f"{AS_ONE} {_AGAIN}" if error.kind is Kind.ONE_IMAGE else _AGAIN
        raise PredictionError(place, error.found, expected, remedy) from error
    if header.kind != "png":
        raise PredictionError(place, f"a {NAMES[header.kind]}", expected, f"{SAVE_AS} mhp-predict writes such PNGs.")
    if b"tEXt" + _TURNED in data:
        raise PredictionError(place, "was turned upright, as EXIF says", "the order of the stored pixels", _RAW)
    if (header.height, header.width) != size:
        remedy = (
            "Scale the prediction to that size by nearest neighbour; mhp-score compares at the photo's own size, and "
            "with --at packed at the packed one."
        )
        if (header.width, header.height) == size:
            remedy = f"If the image was turned upright, as EXIF says: {_RAW} Otherwise: {remedy}"
        wanted = f"{size[0]} x {size[1]} (height x width), as its labels"
        raise PredictionError(place, f"{header.height} x {header.width}", wanted, remedy)
    try:
        return read_values(data, labels)
    except NoLabelsError as error:
        raise PredictionError(place, error.found, error.expected, error.remedy) from error
    except ValueError as error:
        raise PredictionError(place, f"does not decode ({error})", "a whole PNG", _AGAIN) from error


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
