"""Make a thumbnail: the image, and below it the same image with its labels, as one JPEG.

A JPEG is decoded at a fraction of its size, which takes a fifth of the time.

In: a ``Record``. Out: a JPEG of (2 * height, width), with height and width at most SIDE.
"""

from __future__ import annotations

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from mhpdata.errors import FIND_AGAIN, RecordError
from mhpdata.images.nearest_pixel import resize_labels
from mhpdata.labels import IGNORE
from mhpdata.masks.joint_runs import decode_runs
from mhpdata.opencv import cv2
from mhpdata.storage.codec import CODECS, check_stored, decode_stored, encode_image
from mhpdata.storage.record import Record
from mhpmodels.figures.overlay import lay_over

Pixels = NDArray[np.uint8]
SIDE = 128
"""Maximum height and width of a thumbnail, in pixels."""
_QUALITY = 75


def thumbnail(record: Record, palette: Pixels) -> bytes:
    """Return the thumbnail of a record whose runs were checked.

    Args:
        record: record of a split.
        palette: uint8 (256, 3) RGB, colour per label.

    Raises:
        RecordError: its image is damaged.
    """
    image = small_image(record, thumbnail_size(record.size))
    below = image
    if record.row_offsets is not None and record.runs is not None:
        labels = decode_runs(record.row_offsets, record.runs, record.size)[0]
        labels[labels == IGNORE] = 0
        below = lay_over(image, resize_labels(labels, (image.shape[0], image.shape[1])), palette)
    return encode_image(np.concatenate([image, below]), "jpeg", _QUALITY)


def thumbnail_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) of the thumbnail of an image of ``size``; small images keep their size."""
    scale = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def small_image(record: Record, size: tuple[int, int]) -> Pixels:
    """Return the image of a record, resized to at most its own size: uint8 (height, width, 3) RGB.

    Raises:
        RecordError: the image is damaged.
    """
    if record.codec != CODECS["jpeg"]:
        image = decode_stored(record.image, record.codec, record.size)
    else:
        check_stored(record.image, record.codec, record.size)
        try:
            image = simplejpeg.decode_jpeg(record.image, "RGB", min_height=size[0], min_width=size[1])
        except ValueError as error:
            raise RecordError("image", f"is damaged (does not decode: {error})", "", FIND_AGAIN) from error
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
