"""The classes of each dataset: id, name, colour, and which is the other side of the body.

One typed table a dataset; every look-up (names, palette, left/right pairs) is derived from it. Colours of MHP v1 are
those of GluonCV's palette, so that pictures can be laid beside old ones; it gives hat and upper clothes the same
brown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

IGNORE = 255
"""The label of a pixel that no loss and no metric may count."""


@dataclass(frozen=True)
class Class:
    """One class: its id in label maps, its name, its colour (R, G, B in 0..255), and its mirror class for a flip."""

    id: int
    name: str
    color: tuple[int, int, int]
    mirror: int | None = None


@dataclass(frozen=True)
class LabelSet:
    """The classes of one dataset, in id order from 0 (background)."""

    name: str
    classes: tuple[Class, ...]

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, indexed by label."""
        return tuple(c.name for c in self.classes)

    @property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) labels that change places when a picture is mirrored."""
        return tuple((c.id, c.mirror) for c in self.classes if c.mirror is not None and c.id < c.mirror)

    @property
    def palette(self) -> np.ndarray:
        """Colours for a picture of labels: uint8 (256, 3) RGB; black beyond the classes, IGNORE included."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self)] = [c.color for c in self.classes]
        return table


MHP_V1 = LabelSet(
    "mhp-v1",
    (
        Class(0, "background", (255, 255, 255)),
        Class(1, "hat", (165, 42, 42)),
        Class(2, "hair", (255, 0, 0)),
        Class(3, "sunglasses", (0, 128, 0)),
        Class(4, "upper clothes", (165, 42, 42)),
        Class(5, "skirt", (255, 69, 0)),
        Class(6, "pants", (255, 20, 147)),
        Class(7, "dress", (30, 144, 255)),
        Class(8, "belt", (85, 107, 47)),
        Class(9, "left shoe", (0, 128, 128), mirror=10),
        Class(10, "right shoe", (139, 69, 19), mirror=9),
        Class(11, "face", (70, 130, 180)),
        Class(12, "left leg", (50, 205, 50), mirror=13),
        Class(13, "right leg", (0, 0, 205), mirror=12),
        Class(14, "left arm", (0, 191, 255), mirror=15),
        Class(15, "right arm", (0, 255, 255), mirror=14),
        Class(16, "bag", (0, 250, 154)),
        Class(17, "scarf", (173, 255, 47)),
        Class(18, "torso skin", (255, 255, 0)),
    ),
)
