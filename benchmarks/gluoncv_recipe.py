"""Reimplementation of merging and resizing in GluonCV's recipe: Pillow and masked arrays, per image and epoch.

GluonCV's MHP v1 dataset does this for a sample before it augments: decode the image and every mask with Pillow, add the
masks under a NumPy mask of the pixels already labelled, check the result, resize image and labels with Pillow. Masks
are merged in person order, so that the result can be compared.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mhpdata.images.size import packed_size
from mhpdata.source.entry import Entry


def merge_and_resize(root: Path, entry: Entry, size: int) -> tuple[np.ndarray, np.ndarray, list[Image.Image]]:
    """Return image uint8 (h, w, 3) RGB and labels uint8 (h, w), short side ``size``, and the masks as decoded."""
    image = Image.open(root / entry.image.path).convert("RGB")
    assert not np.isnan(np.sum(np.array(image, dtype=np.uint8)))
    masks = [Image.open(root / file.path) for file in entry.masks]
    labels = Image.fromarray(_merge(masks))
    height, width = packed_size(image.height, image.width, size)
    return (
        np.array(image.resize((width, height), Image.Resampling.BILINEAR)),
        np.array(labels.resize((width, height), Image.Resampling.NEAREST)),
        masks,
    )


def _merge(masks: list[Image.Image]) -> np.ndarray:
    taken = np.zeros((masks[0].height, masks[0].width), np.uint8)
    merged = None
    for mask in masks:
        free = np.ma.masked_array(np.array(mask, dtype=np.uint8), mask=taken)
        taken += np.minimum(free, 1)
        if merged is None:
            merged = free
        else:
            merged += free
    assert not np.isnan(np.sum(merged))
    assert np.max(merged) <= 18 and np.min(merged) >= 0
    return np.ma.getdata(merged)
