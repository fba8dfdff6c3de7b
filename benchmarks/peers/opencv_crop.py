"""Make a crop from encoded bytes with OpenCV; for speed, only the region that the crop shows is resized.

SPDL, Grain and WebDataset share this module, as each of them leaves images to a function of the user.
"""

from __future__ import annotations

import cv2
import numpy as np

from peers.task import DEVIATION, MEAN, SIZE, Crop, draw

cv2.setNumThreads(0)

_TABLES = ((np.arange(256, dtype=np.float32)[:, None] / 255 - MEAN) / DEVIATION).T.copy()
"""float32 (3, 256): the normalised value of each level of R, G, B."""


def empty_batch(count: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Allocate the arrays of a batch; ``fill`` writes every byte of them."""
    shape = (count, 3, SIZE, SIZE) if dtype == "float32" else (count, SIZE, SIZE, 3)
    return np.empty(shape, dtype), np.empty((count, SIZE, SIZE), np.uint8)


def fill(
    jpeg: bytes | np.ndarray, png: bytes | np.ndarray, rng: np.random.Generator, image: np.ndarray, labels: np.ndarray
) -> None:
    """Decode one sample, crop it and write it into a batch.

    Args:
        jpeg, png: Bytes of a JPEG and of a PNG file.
        rng: Generator of the draws.
        image: Output, float32 (3, 768, 768) or uint8 (768, 768, 3).
        labels: Output, uint8 (768, 768).
    """
    source = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    source_labels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    crop = draw(rng, source.shape[:2])
    height, width = crop.shown
    part = _resized(source, crop, cv2.INTER_LINEAR)
    labels[height:] = 0
    labels[:, width:] = 0
    labels[:height, :width] = _resized(source_labels, crop, cv2.INTER_NEAREST)
    if image.dtype == np.uint8:
        image[height:] = 0
        image[:, width:] = 0
        cv2.cvtColor(part, cv2.COLOR_BGR2RGB, dst=image[:height, :width])
        return
    for channel, plane in enumerate(reversed(cv2.split(part))):
        table = _TABLES[channel]
        image[channel, height:] = table[0]
        image[channel, :height, width:] = table[0]
        cv2.LUT(plane, table, dst=image[channel, :height, :width])


def _resized(source: np.ndarray, crop: Crop, interpolation: int) -> np.ndarray:
    """Return the region that the crop shows, scaled and mirrored; its edges lie on whole pixels of the source."""
    (height, width), (shown_height, shown_width) = crop.scaled, crop.shown
    down, right = source.shape[0] / height, source.shape[1] / width
    left = width - crop.left - shown_width if crop.flip else crop.left
    rows = slice(round(crop.top * down), round((crop.top + shown_height) * down))
    columns = slice(round(left * right), round((left + shown_width) * right))
    part = cv2.resize(source[rows, columns], (shown_width, shown_height), interpolation=interpolation)
    return cv2.flip(part, 1) if crop.flip else part
