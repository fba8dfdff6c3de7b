"""What a loader gives at each step."""

from __future__ import annotations

import numpy as np

from mhpdata import thumbnails
from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.named import Named


class Batch(Named):
    """Arrays for one step; N samples. A mapping of those that are there: ``batch["images"]`` is ``batch.images``.

    Attributes:
        images: float32 or float16 (N, 3, H, W), (value / 255 - mean) / deviation of R, G, B; or uint8 (N, H, W, 3).
        labels: uint8 (N, H, W); 255 (or ``pad_label``) in the padding; None where the split has no labels.
        indices: int64 (N,), each sample's place in its split (of several sets: in all, one after the other; see
            ``Loader.name``); -1 where ``on_error="skip"`` left one out: its image is black and its labels are all 255.
        persons: uint8 (N, H, W), who owns each pixel, 0 nobody; None unless asked for.
        boxes: int32 (N, P, 4), of each person from 1 to P: top, left, bottom, right (the last two exclusive) of what
            the crop shows of it, zeros where nothing; None unless asked for.
        counts: int64 (N,), persons of the whole picture, which fill the first rows of ``boxes``; None unless asked for.
    """

    images: np.ndarray
    labels: np.ndarray | None
    indices: np.ndarray
    persons: np.ndarray | None
    boxes: np.ndarray | None
    counts: np.ndarray | None

    def _repr_html_(self) -> str | None:
        """Return the first images with their labels, for notebooks; None where the batch holds no arrays of NumPy's."""
        if not isinstance(self.images, np.ndarray) or self.images.ndim != 4:
            return None
        first = slice(thumbnails.MOST)
        images, labels = _pixels(self.images[first]), self.labels
        shown = [None] * len(images) if labels is None else labels[first]
        return thumbnails.row(repr(self), map(thumbnails.picture, images, shown, self.indices[first]))


def _pixels(images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, 3) of images as a batch holds them."""
    if images.dtype == np.uint8:
        return images
    values = images.transpose(0, 2, 3, 1).astype(np.float32) * np.array(DEVIATION, np.float32)
    values = np.nan_to_num(values + np.array(MEAN, np.float32)) * 255
    pixels: np.ndarray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels
