"""A label set: its classes with id, name, colour, and left/right counterpart; every look-up is derived from these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

IGNORE = 255
"""The label of pixels that losses and metrics ignore."""


@dataclass(frozen=True)
class Class:
    """One class.

    Attributes:
        id: Label in label maps, from 0.
        name: Class name.
        color: R, G, B in 0..255.
        mirror: Label that this class becomes in a mirrored image; None for a class without a left and right side.
    """

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
        """(left, right) labels to swap when an image is mirrored."""
        return tuple((c.id, c.mirror) for c in self.classes if c.mirror is not None and c.id < c.mirror)

    @property
    def mirrored(self) -> np.ndarray:
        """The label of each label in a mirrored image: uint8 (256,)."""
        table = np.arange(256, dtype=np.uint8)
        for left, right in self.flip_pairs:
            table[[left, right]] = right, left
        return table

    @property
    def palette(self) -> np.ndarray:
        """The colour of each label: uint8 (256, 3) RGB; black past the classes, IGNORE included."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self)] = [c.color for c in self.classes]
        return table


def voc_color(label: int) -> tuple[int, int, int]:
    """Return a label's colour in the colour map of PASCAL VOC (VOCcode, ``VOClabelcolormap``).

    The label's bits are taken in groups of three, from the lowest; bits 0, 1, 2 of each group become the highest free
    bits of R, G, B. Label 0, black in PASCAL VOC, is white here.
    """
    if label == 0:
        return 255, 255, 255
    red, green, blue = (sum((label >> (3 * k + channel) & 1) << (7 - k) for k in range(3)) for channel in range(3))
    return red, green, blue
