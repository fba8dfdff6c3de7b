"""Draw the targets of the heads that tell persons apart, from the person map of a crop.

The targets are those of Panoptic-DeepLab (Cheng et al., CVPR 2020, arXiv 1911.10194), at the size of the crop: a
heatmap with a Gaussian at the centre of each person, and at each of the person's pixels the offset to that centre. The
centre is the mean position of the pixels that the crop shows. Persons of fewer than LEAST pixels have no target.

In:  persons uint8 (H, W), the person of each pixel, 0 for none.
Out: targets float32 (4, H, W): heatmap 0..1, offset down and to the right in the caller's unit, and 1 where
     the offset counts, else 0.

Sums are over integers, so the centres do not depend on the order of the pixels.
"""

from __future__ import annotations

import math

import numpy as np

from mhpdata.kernels.arrays import Bytes, Floats
from mhpdata.kernels.jit import kernel

SIGMA = 8.0
"""Standard deviation of the Gaussians, in pixels."""
LEAST = 16
"""Number of pixels below which a person has no target."""
PLANES = 4
REACH = 48
"""Pixels from its centre at which a Gaussian ends: 6 SIGMA, where it is below 2e-8."""


@kernel
def draw_targets(persons: Bytes, targets: Floats, unit: float) -> None:
    """Draw the targets of a crop.

    Args:
        persons: uint8 (H, W).
        targets: float32 (4, H, W), overwritten.
        unit: unit of the offsets, in pixels.
    """
    height, width = persons.shape
    sums = np.zeros((256, 3), np.int64)
    for y in range(height):
        for x in range(width):
            person = persons[y, x]
            sums[person, 0] += 1
            sums[person, 1] += y
            sums[person, 2] += x
            targets[0, y, x] = np.float32(0.0)
    centres = np.zeros((256, 2), np.float64)
    for person in range(1, 256):
        area = sums[person, 0]
        if area >= LEAST:
            centres[person, 0] = cy = sums[person, 1] / area
            centres[person, 1] = cx = sums[person, 2] / area
            for y in range(max(0, math.ceil(cy - REACH)), min(height, math.floor(cy + REACH) + 1)):
                down = math.exp(-((y - cy) ** 2) / (2 * SIGMA**2))
                for x in range(max(0, math.ceil(cx - REACH)), min(width, math.floor(cx + REACH) + 1)):
                    value = np.float32(down * math.exp(-((x - cx) ** 2) / (2 * SIGMA**2)))
                    if value > targets[0, y, x]:
                        targets[0, y, x] = value
    for y in range(height):
        for x in range(width):
            person = persons[y, x]
            counts = person > 0 and sums[person, 0] >= LEAST
            targets[1, y, x] = np.float32((centres[person, 0] - y) / unit) if counts else np.float32(0.0)
            targets[2, y, x] = np.float32((centres[person, 1] - x) / unit) if counts else np.float32(0.0)
            targets[3, y, x] = np.float32(1.0) if counts else np.float32(0.0)
