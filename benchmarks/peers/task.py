"""The task "train-768" that every peer does; this module imports no peer's library.

Random flip (left and right labels are not swapped); long side drawn from [0.5, 2.0] x 768, aspect ratio kept; bilinear
image, nearest labels; black padding at the bottom and right up to 768; random crop of 768 x 768; no blur; ImageNet mean
and deviation; batches of 16, shuffled.

A peer returns images, RGB, float32 (16, 3, 768, 768) or uint8 (16, 768, 768, 3) by ``dtype``, and labels (16, 768, 768)
in the peer's own dtype.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIZE = 768
SCALES = (0.5, 2.0)
BATCH = 16
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True)
class Task:
    """Data and settings of one run.

    Attributes:
        data: Folder written by benchmarks/peer_data.py.
        store: "jpeg" or "raw" (own loader: any store of mhp).
        workers: Number of threads or processes, depending on the peer, that make batches.
        dtype: "float32" or "uint8".
        seed: Seed of all randomness that the peer allows to seed.
    """

    data: Path
    store: str = "jpeg"
    workers: int = 2
    dtype: str = "float32"
    seed: int = 0

    @property
    def names(self) -> list[str]:
        """Names of the images, in order."""
        return (self.data / "names.txt").read_text().split()

    @property
    def sizes(self) -> np.ndarray:
        """int64 (N, 2): height and width of the images, in the order of ``names``."""
        return np.loadtxt(self.data / "sizes.txt", np.int64, ndmin=2)


@dataclass(frozen=True)
class Crop:
    """Random draws of a sample.

    Attributes:
        flip: Whether to mirror the image; done first, so the padding stays at the right.
        scaled: (height, width) of the whole image after scaling.
        top, left: First row and column of the crop in the scaled image; 0 if the image is smaller than the crop.
    """

    flip: bool
    scaled: tuple[int, int]
    top: int
    left: int

    @property
    def shown(self) -> tuple[int, int]:
        """(height, width) of the crop's region that shows the image; the rest is padding."""
        return min(SIZE, self.scaled[0] - self.top), min(SIZE, self.scaled[1] - self.left)


def draw(rng: np.random.Generator, size: tuple[int, int]) -> Crop:
    """Draw a crop for an image of (height, width) ``size``."""
    flip, long_side, down, right = rng.random(4)
    long_side = round(SIZE * (SCALES[0] + long_side * (SCALES[1] - SCALES[0])))
    scaled = tuple(round(side * long_side / max(size)) for side in size)
    top = int(down * (max(scaled[0] - SIZE, 0) + 1))
    left = int(right * (max(scaled[1] - SIZE, 0) + 1))
    return Crop(bool(flip < 0.5), (scaled[0], scaled[1]), top, left)


def endless(count: int, seed: int) -> Iterator[int]:
    """Yield the indices of ``count`` samples in endless shuffled passes, so no peer waits at the end of an epoch."""
    rng = np.random.default_rng(seed)
    while True:
        yield from rng.permutation(count).tolist()
