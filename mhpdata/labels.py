"""The classes of each dataset: id, name, colour, and left/right counterpart.

There is one typed table per dataset; every look-up (names, palette, left/right pairs) is derived from it. The colours
of MHP v1 are those of GluonCV's palette, so that figures can be compared with earlier ones; it gives hat and upper
clothes the same brown. The colours of CIHP are those of its authors (Engineering-Course/CIHP_PGN), those of MHP v2 the
colour map of PASCAL VOC, in which all labels differ. Background is white in all tables; black means ignored.

``COMMON`` is the set of classes that the three datasets share; mhpdata.remap maps them to it.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def voc_color(label: int) -> tuple[int, int, int]:
    """Return a label's colour in the colour map of PASCAL VOC (VOCcode, ``VOClabelcolormap``).

    The label's bits are taken in groups of three, from the lowest; bits 0, 1, 2 of each group become the highest free
    bits of R, G, B. Label 0, black in PASCAL VOC, is white here.
    """
    if label == 0:
        return 255, 255, 255
    red, green, blue = (sum((label >> (3 * k + channel) & 1) << (7 - k) for k in range(3)) for channel in range(3))
    return red, green, blue


MHP_V2 = LabelSet(
    "mhp-v2",
    (
        Class(0, "background", (255, 255, 255)),
        Class(1, "cap/hat", voc_color(1)),
        Class(2, "helmet", voc_color(2)),
        Class(3, "face", voc_color(3)),
        Class(4, "hair", voc_color(4)),
        Class(5, "left-arm", voc_color(5), mirror=6),
        Class(6, "right-arm", voc_color(6), mirror=5),
        Class(7, "left-hand", voc_color(7), mirror=8),
        Class(8, "right-hand", voc_color(8), mirror=7),
        Class(9, "protector", voc_color(9)),
        Class(10, "bikini/bra", voc_color(10)),
        Class(11, "jacket/windbreaker/hoodie", voc_color(11)),
        Class(12, "t-shirt", voc_color(12)),
        Class(13, "polo-shirt", voc_color(13)),
        Class(14, "sweater", voc_color(14)),
        Class(15, "singlet", voc_color(15)),
        Class(16, "torso-skin", voc_color(16)),
        Class(17, "pants", voc_color(17)),
        Class(18, "shorts/swim-shorts", voc_color(18)),
        Class(19, "skirt", voc_color(19)),
        Class(20, "stockings", voc_color(20)),
        Class(21, "socks", voc_color(21)),
        Class(22, "left-boot", voc_color(22), mirror=23),
        Class(23, "right-boot", voc_color(23), mirror=22),
        Class(24, "left-shoe", voc_color(24), mirror=25),
        Class(25, "right-shoe", voc_color(25), mirror=24),
        Class(26, "left-highheel", voc_color(26), mirror=27),
        Class(27, "right-highheel", voc_color(27), mirror=26),
        Class(28, "left-sandal", voc_color(28), mirror=29),
        Class(29, "right-sandal", voc_color(29), mirror=28),
        Class(30, "left-leg", voc_color(30), mirror=31),
        Class(31, "right-leg", voc_color(31), mirror=30),
        Class(32, "left-foot", voc_color(32), mirror=33),
        Class(33, "right-foot", voc_color(33), mirror=32),
        Class(34, "coat", voc_color(34)),
        Class(35, "dress", voc_color(35)),
        Class(36, "robe", voc_color(36)),
        Class(37, "jumpsuit", voc_color(37)),
        Class(38, "other-full-body-clothes", voc_color(38)),
        Class(39, "headwear", voc_color(39)),
        Class(40, "backpack", voc_color(40)),
        Class(41, "ball", voc_color(41)),
        Class(42, "bats", voc_color(42)),
        Class(43, "belt", voc_color(43)),
        Class(44, "bottle", voc_color(44)),
        Class(45, "carrybag", voc_color(45)),
        Class(46, "cases", voc_color(46)),
        Class(47, "sunglasses", voc_color(47)),
        Class(48, "eyewear", voc_color(48)),
        Class(49, "glove", voc_color(49)),
        Class(50, "scarf", voc_color(50)),
        Class(51, "umbrella", voc_color(51)),
        Class(52, "wallet/purse", voc_color(52)),
        Class(53, "watch", voc_color(53)),
        Class(54, "wristband", voc_color(54)),
        Class(55, "tie", voc_color(55)),
        Class(56, "other-accessary", voc_color(56)),
        Class(57, "other-upper-body-clothes", voc_color(57)),
        Class(58, "other-lower-body-clothes", voc_color(58)),
    ),
)

CIHP = LabelSet(
    "cihp",
    (
        Class(0, "background", (255, 255, 255)),
        Class(1, "hat", (128, 0, 0)),
        Class(2, "hair", (255, 0, 0)),
        Class(3, "glove", (0, 85, 0)),
        Class(4, "sunglasses", (170, 0, 51)),
        Class(5, "upper-clothes", (255, 85, 0)),
        Class(6, "dress", (0, 0, 85)),
        Class(7, "coat", (0, 119, 221)),
        Class(8, "socks", (85, 85, 0)),
        Class(9, "pants", (0, 85, 85)),
        Class(10, "torso-skin", (85, 51, 0)),
        Class(11, "scarf", (52, 86, 128)),
        Class(12, "skirt", (0, 128, 0)),
        Class(13, "face", (0, 0, 255)),
        Class(14, "left-arm", (51, 170, 221), mirror=15),
        Class(15, "right-arm", (0, 255, 255), mirror=14),
        Class(16, "left-leg", (85, 255, 170), mirror=17),
        Class(17, "right-leg", (170, 255, 85), mirror=16),
        Class(18, "left-shoe", (255, 255, 0), mirror=19),
        Class(19, "right-shoe", (255, 170, 0), mirror=18),
    ),
)

COMMON = LabelSet(
    "common",
    (
        Class(0, "background", (255, 255, 255)),
        Class(1, "hat", (165, 42, 42)),
        Class(2, "hair", (255, 0, 0)),
        Class(3, "sunglasses", (0, 128, 0)),
        Class(4, "upper-clothes", (255, 85, 0)),
        Class(5, "skirt", (255, 69, 0)),
        Class(6, "pants", (255, 20, 147)),
        Class(7, "dress", (30, 144, 255)),
        Class(8, "scarf", (173, 255, 47)),
        Class(9, "face", (70, 130, 180)),
        Class(10, "torso-skin", (255, 255, 0)),
        Class(11, "left-arm", (0, 191, 255), mirror=12),
        Class(12, "right-arm", (0, 255, 255), mirror=11),
        Class(13, "left-leg", (50, 205, 50), mirror=14),
        Class(14, "right-leg", (0, 0, 205), mirror=13),
        Class(15, "left-shoe", (0, 128, 128), mirror=16),
        Class(16, "right-shoe", (139, 69, 19), mirror=15),
    ),
)

LABEL_SETS = {labels.name: labels for labels in (MHP_V1, MHP_V2, CIHP, COMMON)}


def label_set(names: Sequence[str], flip_pairs: Sequence[tuple[int, int]]) -> LabelSet:
    """Return the label set with these classes: a built-in one, or a new one with the colours of PASCAL VOC.

    Args:
        names: Class names, background first.
        flip_pairs: (left, right) labels.
    """
    for known in LABEL_SETS.values():
        if (known.names, known.flip_pairs) == (tuple(names), tuple(flip_pairs)):
            return known
    mirror = {a: b for left, right in flip_pairs for a, b in ((left, right), (right, left))}
    classes = (Class(label, name, voc_color(label), mirror.get(label)) for label, name in enumerate(names))
    return LabelSet("custom", tuple(classes))
