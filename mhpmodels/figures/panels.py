"""Pictures of one sample, a panel each: the photo, whose pixels are whose, where persons overlap.

Label maps are shrunk by picking pixels, never by mixing them, so a panel has the palette's colours and no others.
Contested pixels are told from the persons' own masks at source size, not from the merged map; each is enlarged to
at least MARK x MARK pixels of the panel, so that a border one pixel wide is seen in a sheet shown at half its width.

In and Out: uint8 (height, width) maps, uint8 (height, width, 3) RGB pictures. Sizes are (height, width).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.labels import IGNORE
from mhpmodels.figures.page import MARGIN, WIDTH, Color, Pixels

EQUAL: Color = (255, 205, 0)
CONFLICTING: Color = (255, 0, 128)
"""Contested pixels: the labels are equal, the labels differ."""

MARK = 9
"""Smallest mark of a contested pixel, in pixels of the panel; odd. The README shows a sheet at half its 1840 pixels."""

NOBODY: Color = (233, 236, 239)
PERSONS: tuple[Color, ...] = (
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
"""A colour a person, from person 1; beyond the last they begin again."""

GAP = 20
COLUMN = (WIDTH - 2 * MARGIN - 3 * GAP) // 4
PANEL_HEIGHT, PANEL_AREA = 500, 360 * COLUMN
"""A panel has this area, portrait or landscape, unless it would be wider than a column or higher than this."""


def column_left(column: int) -> int:
    """Where a column of panels begins, 0 to 3: pixels from the left."""
    return MARGIN + column * (COLUMN + GAP)


def contested_map(masks: Sequence[Pixels], size: tuple[int, int] | None = None) -> Pixels:
    """Where the persons of one image overlap.

    Args:
        masks: each person's own mask, uint8 (height, width), 0 = nothing, 255 = not counted.
        size: (height, width); needed only where there may be no masks.

    Returns:
        uint8 (height, width): 0 at most one person has a label, 1 several have and it is the same, 2 they differ.
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


def shrink_contested(state: Pixels, size: tuple[int, int]) -> Pixels:
    """A contested map at another size (height, width), in which no pixel is lost: each marks MARK x MARK pixels.

    Where several fall together, the highest state wins.
    """
    from mhpdata.opencv import cv2

    small = pick(state, size)
    ys, xs = np.nonzero(state)
    at = ys * size[0] // state.shape[0], xs * size[1] // state.shape[1]
    np.maximum.at(small, at, state[ys, xs])
    large: Pixels = np.asarray(cv2.dilate(small, np.ones((MARK, MARK), np.uint8)), np.uint8)
    return large


def pick(array: Pixels, size: tuple[int, int]) -> Pixels:
    """An array at another size (height, width), by taking the pixel in the middle: no new values."""
    ys, xs = ((2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size, array.shape, strict=False))
    return np.ascontiguousarray(array[ys[:, None], xs])


def person_centres(persons: Pixels) -> dict[int, tuple[int, int]]:
    """Where to write each person's number: the own pixel (y, x) nearest to the middle of all own pixels.

    Args:
        persons: uint8 (height, width), the owner's number, 0 = nobody. Who owns nothing is not in the result.
    """
    places = {}
    for person in np.flatnonzero(np.bincount(persons.reshape(-1), minlength=1)[1:]) + 1:
        ys, xs = np.nonzero(persons == person)
        nearest = int(np.argmin((ys - ys.mean()) ** 2 + (xs - xs.mean()) ** 2))
        places[int(person)] = int(ys[nearest]), int(xs[nearest])
    return places


def panel_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) of the panels of a photo."""
    scale = min(COLUMN / width, PANEL_HEIGHT / height, math.sqrt(PANEL_AREA / (height * width)))
    return max(1, round(height * scale)), max(1, round(width * scale))


def photo_panel(image: Pixels, size: tuple[int, int]) -> Pixels:
    """The photo at another size (height, width)."""
    from mhpdata.opencv import cv2

    how = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_LINEAR
    panel: Pixels = np.asarray(cv2.resize(image, size[::-1], interpolation=how), np.uint8)
    return panel


def persons_panel(persons: Pixels, size: tuple[int, int]) -> Pixels:
    """Each person's pixels in the person's colour."""
    colors: Pixels = np.array([NOBODY, *(PERSONS[k % len(PERSONS)] for k in range(255))], np.uint8)
    panel: Pixels = colors[pick(persons, size)]
    return panel


def contested_panel(photo: Pixels, state: Pixels) -> Pixels:
    """The photo dimmed, the contested pixels in their colours.

    Args:
        photo: uint8 (height, width, 3), the photo's panel.
        state: a contested map at source size.
    """
    gray = photo.astype(np.int32) @ np.array([77, 150, 29], np.int32) >> 8
    dimmed = (24 + gray // 2).astype(np.uint8) // 4 * 4  # steps nobody sees, and a smaller PNG
    colors = np.array([(0, 0, 0), EQUAL, CONFLICTING], np.uint8)
    small = shrink_contested(state, (photo.shape[0], photo.shape[1]))
    return np.where(small[:, :, None] == 0, dimmed[:, :, None], colors[small])
