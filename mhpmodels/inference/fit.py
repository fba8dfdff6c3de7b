"""Bring an image to the fixed input size of a network, and the network's logits back to the image.

======= ==============================================================================================================
stretch both sides are resized independently; the logits are resized bilinearly, pixel centres on pixel centres
pad     the image keeps its aspect ratio and is centred on black, as SCHP's ``simple_extractor.py`` does: its longer
        side (relative to the input) spans the input from the centre of the first pixel to that of the last; the logits
        take the way back, bilinearly, and are 0 outside of the input
======= ==============================================================================================================

Both ways of ``pad`` are OpenCV's ``warpAffine`` with the transform that follows from the same three points, so labels
are those of the original program with the same version of OpenCV.

In: uint8 (h, w, 3) RGB; float32 logits (C, H, W). Sizes are (height, width).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mhpdata.images.nearest_pixel import nearest_index
from mhpdata.images.resize import resize_image
from mhpdata.opencv import cv2
from mhpmodels.inference.rescale import Logits


def fit_image(image: NDArray[np.uint8], size: tuple[int, int], fit: str) -> NDArray[np.uint8]:
    """Return an image at the size of the network's input.

    Args:
        image: uint8 (h, w, 3).
        size: size of the input.
        fit: one of ``mhpmodels.networks.preprocessing.FITS``.
    """
    if fit == "stretch":
        return image if image.shape[:2] == size else resize_image(image, size)
    source, target = _corners(image.shape[:2], size)
    matrix = cv2.getAffineTransform(source, target)
    fitted: NDArray[np.uint8] = cv2.warpAffine(
        np.ascontiguousarray(image), matrix, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return fitted


def fit_back(logits: Logits, size: tuple[int, int], fit: str, nearest: bool = False) -> Logits:
    """Return the logits of a network for ``fit_image``'s result, at the size of the image.

    Args:
        logits: float32 (C, H, W).
        size: size of the image.
        fit: as for ``fit_image``.
        nearest: take the nearest value, for numbers of persons, instead of interpolating.

    Returns:
        float32 (C, h, w).
    """
    if nearest and fit == "stretch":
        rows, columns = (nearest_index(old, new) for old, new in zip(logits.shape[1:], size, strict=True))
        return np.ascontiguousarray(logits[:, rows[:, None], columns])
    flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    out = np.empty((len(logits), *size), np.float32)
    if fit == "stretch":
        for channel, one in zip(logits, out, strict=True):
            one[:] = cv2.resize(channel, size[::-1], interpolation=cv2.INTER_LINEAR)
        return out
    source, target = _corners(size, (logits.shape[1], logits.shape[2]))
    matrix = cv2.getAffineTransform(target, source)
    for channel, one in zip(logits, out, strict=True):
        one[:] = cv2.warpAffine(channel, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return out


def _corners(image: tuple[int, ...], size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return three points (x, y) of an image, and where they lie in the input: float32 (3, 2) each.

    They are the image's centre, a point above it at half the span, and one left of that at half the span. The span is
    the distance between the first and the last pixel of the input's width, in pixels of the image.
    """
    height, width = image[0] - 1, image[1] - 1
    span = max(width, size[1] / size[0] * height) or 1  # an image of one pixel
    return _points(width / 2, height / 2, span / 2), _points((size[1] - 1) / 2, (size[0] - 1) / 2, (size[1] - 1) / 2)


def _points(x: float, y: float, half: float) -> NDArray[np.float32]:
    return np.array([(x, y), (x, y - half), (x - half, y - half)], np.float32)
