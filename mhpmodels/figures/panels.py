"""Draw the panels of one sample: the image, the person each pixel belongs to, and the overlapping pixels.

Label maps are resized by nearest neighbour, never blended, so a panel has no colours outside its palette. Overlapping
pixels are computed from the persons' own masks at source size, not from the merged label map. Each is drawn as at least
MARK x MARK pixels, so a border one pixel wide stays visible when the sheet is shown at half its width.

In and Out: uint8 (height, width) maps, uint8 (height, width, 3) RGB images. Sizes are (height, width).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.labels import IGNORE
from mhpmodels.figures.colours import PERSONS
from mhpmodels.figures.page import MARGIN, WIDTH, Color, Pixels

EQUAL: Color = (255, 205, 0)
CONFLICTING: Color = (255, 0, 128)
"""Colours of overlapping pixels with equal and with conflicting labels."""

MARK = 9
"""Side of an overlapping pixel in a panel, in pixels; odd. The README shows sheets at half their 1840 pixels."""

NOBODY: Color = (233, 236, 239)

GAP = 20
COLUMN = (WIDTH - 2 * MARGIN - 3 * GAP) // 4
PANEL_HEIGHT, PANEL_AREA = 500, 360 * COLUMN
"""Size limits of a panel, in pixels: its area is PANEL_AREA unless it would exceed PANEL_HEIGHT or COLUMN in width."""


def column_left(column: int) -> int:
    """Return the left edge of a column of panels, 0 to 3, in pixels."""
    return MARGIN + column * (COLUMN + GAP)


def contested_map(masks: Sequence[Pixels], size: tuple[int, int] | None = None) -> Pixels:
    """Return the overlaps between the persons of one image.

    Args:
        masks: one mask per person, uint8 (height, width); 0 is background, 255 is ignored.
        size: (height, width); required only if there are no masks.

    Returns:
        uint8 (height, width): 0 for at most one person, 1 for several persons with the same label, 2 for several
        persons with conflicting labels.
    """
    shape = masks[0].shape if len(masks) else size
    if shape is None:
        remedy = "Pass size=(height, width) for an image without masks."
        raise OptionError("masks", "no masks and no size", "masks, or size=(height, width)", remedy)
    first, state = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for given in masks:
        mask = np.where(given == IGNORE, 0, given)
        state[(first != 0) & (mask != 0) & (state == 0)] = 1
        state[(first != 0) & (mask != 0) & (first != mask)] = 2
        first = np.where(first == 0, mask, first)
    return state


def shrink_contested(state: Pixels, size: tuple[int, int], mark: int = MARK) -> Pixels:
    """Resize a map of overlaps to (height, width); each overlapping pixel marks ``mark`` x ``mark`` pixels.

    So none is lost. Where marks coincide, the highest value is kept; ``mark`` is odd.
    """
    from mhpdata.opencv import cv2

    small = pick(state, size)
    ys, xs = np.nonzero(state)
    at = ys * size[0] // state.shape[0], xs * size[1] // state.shape[1]
    np.maximum.at(small, at, state[ys, xs])
    large: Pixels = np.asarray(cv2.dilate(small, np.ones((mark, mark), np.uint8)), np.uint8)
    return large


def pick(array: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize an array to (height, width) by nearest neighbour."""
    ys, xs = ((2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size, array.shape, strict=False))
    return np.ascontiguousarray(array[ys[:, None], xs])


def person_centres(persons: Pixels) -> dict[int, tuple[int, int]]:
    """Return a position for each person's number: the person's pixel (y, x) nearest to the mean of its pixels.

    Args:
        persons: uint8 (height, width), the number of the person each pixel belongs to; 0 is background.

    Returns:
        {person: (y, x)}, without persons that have no pixel.
    """
    centres = {}
    for person in np.flatnonzero(np.bincount(persons.reshape(-1), minlength=1)[1:]) + 1:
        ys, xs = np.nonzero(persons == person)
        nearest = int(np.argmin((ys - ys.mean()) ** 2 + (xs - xs.mean()) ** 2))
        centres[int(person)] = int(ys[nearest]), int(xs[nearest])
    return centres


def panel_size(height: int, width: int) -> tuple[int, int]:
    """Return the size of the panels of an image, (height, width)."""
    scale = min(COLUMN / width, PANEL_HEIGHT / height, math.sqrt(PANEL_AREA / (height * width)))
    return max(1, round(height * scale)), max(1, round(width * scale))


def photo_panel(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize an image, uint8 RGB, to (height, width)."""
    from mhpdata.opencv import cv2

    how = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_LINEAR
    panel: Pixels = np.asarray(cv2.resize(image, size[::-1], interpolation=how), np.uint8)
    return panel


def persons_panel(persons: Pixels, size: tuple[int, int]) -> Pixels:
    """Draw each person's pixels in the person's colour, at (height, width)."""
    colors: Pixels = np.array([NOBODY, *(PERSONS[k % len(PERSONS)] for k in range(255))], np.uint8)
    panel: Pixels = colors[pick(persons, size)]
    return panel


def contested_panel(image: Pixels, state: Pixels) -> Pixels:
    """Draw the image dimmed, and the overlapping pixels in their colours.

    Args:
        image: panel of the image, uint8 (height, width, 3) RGB.
        state: map of overlaps at source size, from ``contested_map``.
    """
    gray = image.astype(np.int32) @ np.array([77, 150, 29], np.int32) >> 8
    dimmed = (24 + gray // 2).astype(np.uint8) // 4 * 4  # invisible quantisation that makes the PNG smaller
    colors = np.array([(0, 0, 0), EQUAL, CONFLICTING], np.uint8)
    small = shrink_contested(state, (image.shape[0], image.shape[1]))
    return np.where(small[:, :, None] == 0, dimmed[:, :, None], colors[small])
