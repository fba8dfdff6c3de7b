"""What a loader gives at each step."""

from __future__ import annotations

import numpy as np

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
