"""Choose the colours of classes in sheets, overlays and legends. Label PNGs keep the palette of their dataset.

The palettes of the datasets give hat and upper clothes the same colour, and left and right arm nearly the same. The
colours here are distinguishable with deuteranopia and protanopia, too: a search over a grid of sRGB maximised the
smallest distance in CIELAB. The left class of a left/right pair is always lighter than the right one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mhpdata.labels import LabelSet

COLOURS: dict[str, tuple[int, int, int]] = {
    "background": (255, 255, 255),
    "hat": (235, 160, 40),
    "hair": (80, 40, 0),
    "sunglasses": (0, 0, 40),
    "upper clothes": (40, 80, 235),
    "skirt": (120, 40, 160),
    "pants": (80, 80, 120),
    "dress": (160, 120, 255),
    "belt": (80, 40, 40),
    "left shoe": (200, 200, 200),
    "right shoe": (0, 0, 80),
    "face": (200, 200, 120),
    "left leg": (255, 255, 120),
    "right leg": (120, 120, 80),
    "left arm": (255, 255, 0),
    "right arm": (0, 0, 160),
    "bag": (120, 120, 120),
    "scarf": (200, 255, 200),
    "torso skin": (160, 120, 40),
    "coat": (0, 0, 255),
    "glove": (160, 120, 200),
    "socks": (235, 200, 255),
    "jumpsuits": (40, 40, 40),
    "upperclothes": (40, 80, 235),
    "facemask": (235, 255, 160),
    "others": (160, 160, 200),
}
"""Colour (R, G, B) by class name; a hyphen in a name counts as a space."""

PERSONS: tuple[tuple[int, int, int], ...] = (
    (31, 119, 180),
    (255, 127, 14),
    (44, 160, 44),
    (214, 39, 40),
    (148, 103, 189),
    (23, 190, 207),
    (227, 119, 194),
    (140, 86, 75),
    (188, 189, 34),
    (57, 73, 171),
    (0, 121, 107),
    (255, 187, 120),
    (152, 223, 138),
    (255, 152, 150),
    (197, 176, 213),
    (99, 107, 115),
)
"""Colours of persons 1, 2, ...; after the last one they repeat."""


def person_palette() -> NDArray[np.uint8]:
    """Return a colour per person: uint8 (256, 3) RGB, white for nobody and black for 255."""
    palette = np.zeros((256, 3), np.uint8)
    palette[1:255] = [PERSONS[k % len(PERSONS)] for k in range(254)]
    palette[0] = 255
    return palette


def picture_palette(labels: LabelSet) -> NDArray[np.uint8]:
    """Return the colours of a label set for figures: uint8 (256, 3) RGB, black from the last class on, also for 255.

    A set with a class that ``COLOURS`` lacks keeps the palette of its dataset, except for its left and right classes:
    left is mixed with white, right with black.

    Args:
        labels: label set.
    """
    names = [name.replace("-", " ") for name in labels.names]
    palette: NDArray[np.uint8] = labels.palette.copy()
    if COLOURS.keys() >= set(names):
        palette[: len(names)] = [COLOURS[name] for name in names]
        return palette
    for left, right in labels.flip_pairs:
        light = (palette[left].astype(int) * 2 + 255 * 3) // 5
        palette[left], palette[right] = light.astype(np.uint8), palette[right] // 3
    return palette
