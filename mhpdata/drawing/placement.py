"""Compute where a crop lies in the scaled image, from a sample's random draws (pure functions).

In: sizes as (height, width) in pixels, draws uniform in [0, 1). Out: a :class:`Placement`, an argument of the
``@kernel`` functions (see :mod:`mhpdata.drawing.arguments`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FLIP, SCALE, TOP, LEFT, BLUR, RADIUS, GRAY = range(7)
"""Columns of a sample's draws (:func:`mhpdata.loading.sampling.draws`)."""
DRAWS = 7


class Placement(NamedTuple):
    """Position of a crop in the scaled image, and its augmentation.

    Sizes and offsets are in pixels of the scaled image; ``radius`` is the standard deviation of the blur, 0 for none.
    """

    scaled_height: int
    scaled_width: int
    top: int
    left: int
    height: int
    width: int
    flip: bool = False
    radius: float = 0.0
    gray: bool = False


def place_train(
    size: tuple[int, int],
    u: np.ndarray,
    base_size: int,
    crop_size: int,
    scales: tuple[float, float] = (0.5, 2.0),
    blur_prob: float = 0.5,
    gray_prob: float = 0.0,
    flip_prob: float = 0.5,
) -> Placement:
    """Place a crop as the GluonCV recipe does: long side from scales x base, aspect kept, padded, random square crop.

    Args:
        size: (height, width) of the image in the shard.
        u: float64 (DRAWS,), the sample's row of :func:`mhpdata.loading.sampling.draws`.
        base_size: Length of the long side at scale 1, in pixels.
        crop_size: Side of the crop, in pixels.
        scales: Range of the random scale, (low, high).
        blur_prob, gray_prob, flip_prob: Probability of blur, of conversion to gray and of a horizontal flip.
    """
    height, width = size
    low, high = max(1, int(base_size * scales[0])), max(1, int(base_size * scales[1]))
    long_side = low + int(u[SCALE] * (high - low + 1))
    if height > width:
        scaled = (long_side, max(1, int(width * long_side / height + 0.5)))
    else:
        scaled = (max(1, int(height * long_side / width + 0.5)), long_side)
    return Placement(
        *scaled,
        top=int(u[TOP] * (max(scaled[0] - crop_size, 0) + 1)),
        left=int(u[LEFT] * (max(scaled[1] - crop_size, 0) + 1)),
        height=crop_size,
        width=crop_size,
        flip=bool(u[FLIP] < flip_prob),
        radius=float(u[RADIUS]) if u[BLUR] < blur_prob else 0.0,
        gray=bool(u[GRAY] < gray_prob),
    )


def place_val(size: tuple[int, int], crop_size: int) -> Placement:
    """Place a crop in the middle, with the short side scaled to ``crop_size`` (GluonCV's "val")."""
    height, width = size
    if width > height:
        scaled = (crop_size, int(width * crop_size / height))
    else:
        scaled = (int(height * crop_size / width), crop_size)
    top, left = (int(round((n - crop_size) / 2.0)) for n in scaled)  # noqa: RUF046  (GluonCV's rounding, as written)
    return Placement(*scaled, top, left, crop_size, crop_size)


def place_whole(size: tuple[int, int]) -> Placement:
    """Place the image as it is in the shard (GluonCV's "testval")."""
    return Placement(*size, 0, 0, *size)
