"""Hold the arrays of one batch."""

from __future__ import annotations

import numpy as np

from mhpdata import thumbnails
from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.named import Named


class Batch(Named):
    """Arrays of one batch of N samples; also a mapping of those that exist: ``batch["images"]`` is ``batch.images``.

    Attributes:
        images: float32 or float16 (N, 3, H, W), (value / 255 - mean) / deviation of R, G, B; or uint8 (N, H, W, 3).
        labels: uint8 (N, H, W); 255 (or ``pad_label``) in the padding; None if the split has no labels.
        indices: int64 (N,), index of each sample in its split (with several sets, in their concatenation; see
            ``Loader.name``); -1 for a sample that ``on_error="skip"`` left out: its image is black, its labels are 255.
        persons: uint8 (N, H, W), the person that each pixel belongs to, 0 for none; None unless requested.
        boxes: int32 (N, P, 4), the part of each person 1 .. P that the crop shows: top, left, bottom, right in pixels
            (the last two exclusive), zeros if it shows nothing. With ``Output(boxes="xyxy")``: left, top, right,
            bottom, -1 if it shows nothing and in unused rows. None unless requested.
        counts: int64 (N,), number of persons in the whole image, the used rows of ``boxes``; None unless requested.
        masks: uint8 (N, P, H, W), the label of each pixel of persons 1 .. P, each from the person's own mask, so that
            pixels shared by several persons are in each of their masks; 0 outside the mask and in the padding, 255 for
            ignored pixels. ``boxes`` then enclose these masks. None unless requested.
        targets: float32 (N, 4, H, W), targets of the heads that tell persons apart, as drawn by
            ``mhpdata.drawing.targets``: centre heatmap, offset down and to the right, and 1 where the offset counts.
            None unless requested.
    """

    images: np.ndarray
    labels: np.ndarray | None
    indices: np.ndarray
    persons: np.ndarray | None
    boxes: np.ndarray | None
    counts: np.ndarray | None
    masks: np.ndarray | None
    targets: np.ndarray | None

    def _repr_html_(self) -> str | None:
        """Return the first images with their labels, for notebooks; None if the images are not NumPy arrays."""
        if not isinstance(self.images, np.ndarray) or self.images.ndim != 4:
            return None
        first = slice(thumbnails.MOST)
        images, labels = _pixels(self.images[first]), self.labels
        shown = [None] * len(images) if labels is None else labels[first]
        return thumbnails.row(repr(self), map(thumbnails.picture, images, shown, self.indices[first]))


def _pixels(images: np.ndarray) -> np.ndarray:
    """Convert a batch's images to uint8 (N, H, W, 3)."""
    if images.dtype == np.uint8:
        return images
    values = images.transpose(0, 2, 3, 1).astype(np.float32) * np.array(DEVIATION, np.float32)
    values = np.nan_to_num(values + np.array(MEAN, np.float32)) * 255
    pixels: np.ndarray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels
