"""The task "train-768" that every peer does, and nothing else: no peer's library is imported here.

Random flip (labels do not change sides); the long side drawn from [0.5, 2.0] x 768, aspect kept; bilinear image,
nearest labels; black padding at the bottom and the right up to 768; random crop of 768 x 768; no blur; ImageNet mean
and deviation; batches of 16, shuffled.

Out of a peer: images float32 (16, 3, 768, 768), or uint8 (16, 768, 768, 3) where ``dtype`` says so, RGB; labels
(16, 768, 768) in the type that the peer has.
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
    """What to load and with how much help.

    Attributes:
        data: a folder that benchmarks/peer_data.py has written.
        store: "jpeg" or "raw" (own: any store of mhp).
        workers: threads or processes that make batches, as the peer has it.
        dtype: "float32" or "uint8".
        seed: of everything random that the peer lets one seed.
    """

    data: Path
    store: str = "jpeg"
    workers: int = 2
    dtype: str = "float32"
    seed: int = 0

    @property
    def names(self) -> list[str]:
        """Of the images, in order."""
        return (self.data / "names.txt").read_text().split()

    @property
    def sizes(self) -> np.ndarray:
        """int64 (N, 2): height and width of the images, in the order of ``names``."""
        return np.loadtxt(self.data / "sizes.txt", np.int64, ndmin=2)


@dataclass(frozen=True)
class Crop:
    """What a sample's random numbers decide; the crop begins at row ``top`` and column ``left`` of the scaled picture.

    Attributes:
        flip: mirror it; first, so the padding stays at the right.
        scaled: (height, width) of the whole picture after scaling.
        top, left: of the crop in it; 0 where the picture is smaller than the crop.
    """

    flip: bool
    scaled: tuple[int, int]
    top: int
    left: int

    @property
    def shown(self) -> tuple[int, int]:
        """(height, width) of the part of the crop that shows picture; the rest is padding."""
        return min(SIZE, self.scaled[0] - self.top), min(SIZE, self.scaled[1] - self.left)


def draw(rng: np.random.Generator, size: tuple[int, int]) -> Crop:
    """The draws for a picture of (height, width) ``size``."""
    flip, long_side, down, right = rng.random(4)
    long_side = round(SIZE * (SCALES[0] + long_side * (SCALES[1] - SCALES[0])))
    scaled = tuple(round(side * long_side / max(size)) for side in size)
    top = int(down * (max(scaled[0] - SIZE, 0) + 1))
    left = int(right * (max(scaled[1] - SIZE, 0) + 1))
    return Crop(bool(flip < 0.5), (scaled[0], scaled[1]), top, left)


def endless(count: int, seed: int) -> Iterator[int]:
    """Indices of ``count`` samples, shuffled anew at each pass, without end: no peer waits where a short epoch ends."""
    rng = np.random.default_rng(seed)
    while True:
        yield from rng.permutation(count).tolist()
