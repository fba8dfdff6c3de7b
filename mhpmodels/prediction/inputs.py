"""Read an image and resize it to the network's input: from an image file, or from a packed split.

Image files are decoded strictly and by default turned upright, as viewers show them (``mhpdata.images.exif``); packed
images are never turned.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import SKIP_IMAGE, ImageError, UnreadableError
from mhpdata.filesystem.regular import read_regular
from mhpdata.images.decode import decode_image
from mhpdata.images.exif import AS_STORED, read_orientation, turn
from mhpdata.images.resize import resize_image
from mhpdata.source.files import MAX_FILE_BYTES
from mhpdata.storage.split import Split
from mhpdata.wording import to_open, unread
from mhpmodels.inference.pieces import input_size


@dataclass(frozen=True)
class Input:
    """An image as the network takes it.

    Attributes:
        image: uint8 (height, width, 3) RGB, resized to the network's short side.
        size: (height, width) of its label map: that of the image file, turned as the image is.
        place: name of the image, for error messages.
        orientation: EXIF orientation, 1..8, by which the image was turned upright; 1 if it was not.
        remark: a sentence about a damaged EXIF block, or "".
        shown: uint8 (height, width, 3) RGB of ``size``, for an overlay; None unless requested.
    """

    image: NDArray[np.uint8]
    size: tuple[int, int]
    place: str
    orientation: int = AS_STORED
    remark: str = ""
    shown: NDArray[np.uint8] | None = None


def read_file(path: Path, short: int, upright: bool = True, show: bool = False) -> Input:
    """Read an image file.

    Args:
        path: a JPEG, PNG, BMP, GIF or WebP file.
        short: short side of the network's input, in pixels.
        upright: turn the image upright by its EXIF orientation.
        show: also return the image at its own size.

    Raises:
        UnreadableError: the file cannot be read.
        ImageError: it does not decode, or is so narrow that it would become huge.
    """
    try:
        data = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        remedy = f"{to_open(error, path, 'a JPEG or PNG')} {SKIP_IMAGE}"
        raise UnreadableError(path, unread(error), "an image", remedy) from error
    try:
        pixels, _ = decode_image(data, str(path))
    except ImageError as error:
        raise error.alone() from error
    orientation, remark = AS_STORED, ""
    if upright:
        try:
            orientation = read_orientation(data)
        except ValueError as error:
            remark = f"{path}: predicted as stored, because its EXIF block is damaged: {error}."
    pixels = turn(pixels, orientation)
    size = pixels.shape[0], pixels.shape[1]
    image = resize_image(pixels, input_size(size, short, str(path)))
    return Input(image, size, str(path), orientation, remark, pixels if show else None)


def read_sample(split: Split, index: int, short: int, show: bool = False) -> Input:
    """Read an image of a packed split; its label map gets the size of the source image.

    Args:
        split: an open split.
        index: index of the sample, from 0.
        short: short side of the network's input, in pixels.
        show: also return the image at the size of its source.

    Raises:
        PackedError: the record is damaged.
        ImageError: the image is so narrow that it would become huge.
    """
    sample = split[index]
    size = input_size(sample.record.source_size, short, split.place(index))
    image = sample.image if sample.image.shape[:2] == size else resize_image(sample.image, size)
    source = sample.record.source_size
    shown = (
        None if not show else sample.image if sample.image.shape[:2] == source else resize_image(sample.image, source)
    )
    return Input(image, source, split.place(index), shown=shown)
