"""Encode and decode the image of a record: "jpeg" (small, widely readable), "yuv420" (fastest), "raw" (lossless).

In and Out: uint8 (height, width, 3), RGB, 0..255. ``docs/format.md`` specifies the bytes.
"""

from __future__ import annotations

import numpy as np

from mhpdata.errors import FIND_AGAIN, FIND_UPDATE, ImageError, RecordError
from mhpdata.images.decode import decode_jpeg
from mhpdata.images.header import read_header
from mhpdata.opencv import cv2

CODECS = {"jpeg": 0, "yuv420": 1, "raw": 2}
"""Names of the codecs and their numbers in the record."""


def encode_image(image: np.ndarray, codec: str, quality: int, swapped: np.ndarray | None = None) -> bytes:
    """Encode an image for a record.

    Args:
        image: uint8 (height, width, 3), RGB.
        codec: A name in CODECS.
        quality: JPEG quality, 1..100; chroma is subsampled 4:2:0.
        swapped: Scratch of the image's shape for OpenCV's BGR order; None for a new array.
    """
    if codec == "raw":
        return np.ascontiguousarray(image.transpose(2, 0, 1)).tobytes()
    if codec == "yuv420":
        return b"".join(plane.tobytes() for plane in _planes(image))
    swapped = cv2.cvtColor(image, cv2.COLOR_RGB2BGR, dst=swapped)
    done, data = cv2.imencode(".jpg", swapped, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "OpenCV encodes every uint8 image with sides up to 65500"
    return data.tobytes()


def decode_stored(data: bytes | memoryview, codec: int, size: tuple[int, int]) -> np.ndarray:
    """Decode the image of a record to uint8 (height, width, 3), RGB.

    Args:
        data: The encoded image.
        codec: Its codec, a value of CODECS.
        size: Its (height, width).

    Raises:
        RecordError: The bytes are not an image of ``size`` in this codec.
    """
    check_stored(data, codec, size)
    height, width = size
    if codec == CODECS["raw"]:
        planes = np.frombuffer(data, np.uint8).reshape(3, height, width)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))
    if codec == CODECS["yuv420"]:
        from mhpdata.drawing.image import draw_planes

        return draw_planes(np.frombuffer(data, np.uint8), size)
    try:
        return decode_jpeg(data)
    except ValueError as error:
        found, expected = (
            f"does not decode: {str(error).rstrip('.')}",
            f"a JPEG of {height} x {width} pixels (height x width)",
        )
        raise _damaged(found, expected) from error


def check_stored(data: bytes | memoryview, codec: int, size: tuple[int, int]) -> None:
    """Check that bytes may be an image of ``size`` in this codec, by the length of planes or the header of a JPEG.

    Raises:
        RecordError: They cannot be such an image.
    """
    if codec not in CODECS.values():
        known = " or ".join(f"{number} ({name})" for name, number in CODECS.items())
        raise RecordError("image", f"is damaged, or written by a newer mhp (codec {codec})", known, FIND_UPDATE)
    if codec == CODECS["jpeg"]:
        _check_jpeg(data, size)
        return
    height, width = size
    chroma = height * width if codec == CODECS["raw"] else (height + 1) // 2 * ((width + 1) // 2)
    expected = height * width + 2 * chroma
    if len(data) != expected:
        raise _damaged(f"{len(data)} bytes", f"{expected} bytes for {height} x {width} pixels (height x width)")


def _check_jpeg(data: bytes | memoryview, size: tuple[int, int]) -> None:
    """Raise RecordError unless a JPEG is baseline, in colour and of ``size``."""
    try:
        header = read_header(bytes(data), "image")
        if (header.kind, header.baseline, header.height, header.width) != ("jpeg", True, *size):
            odd = header.kind == "jpeg" and not header.baseline
            kind = "progressive, gray or truncated JPEG" if odd else header.kind.upper()
            raise ValueError(f"a {kind} of {header.height} x {header.width} pixels")
    except ValueError as error:
        found = error.found if isinstance(error, ImageError) else str(error)
        expected = f"a baseline colour JPEG of {size[0]} x {size[1]} pixels (height x width)"
        raise _damaged(found, expected) from error


def _damaged(found: str, expected: str) -> RecordError:
    return RecordError("image", f"is damaged ({found})", expected, FIND_AGAIN)


def _planes(image: np.ndarray) -> list[np.ndarray]:
    """Convert RGB to Y, Cb, Cr planes: full-range BT.601 in libjpeg's integers, chroma as mean of 2 x 2 pixels.

    The edge is repeated for odd sizes; chroma is rounded once.
    """
    red, green, blue = (image[:, :, c].astype(np.int32) for c in range(3))
    planes = [(19595 * red + 38470 * green + 7471 * blue + 32768) >> 16]
    for chroma in (-11059 * red - 21709 * green + 32768 * blue, 32768 * red - 27439 * green - 5329 * blue):
        even = np.pad(chroma, [(0, n % 2) for n in chroma.shape], mode="edge")
        total = even[::2, ::2] + even[::2, 1::2] + even[1::2, ::2] + even[1::2, 1::2]
        planes.append((total + (128 << 18) + (1 << 17) - 1) >> 18)  # - 1: pure blue and red would become 256
    return [plane.astype(np.uint8) for plane in planes]
