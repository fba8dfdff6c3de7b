"""Draw labels over their image, and the legend of all classes.

In: uint8 (height, width, 3) RGB images, uint8 (height, width) labels of the same size. Out: uint8 RGB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mhpdata.labels import LabelSet
from mhpmodels.figures.colours import person_palette, picture_palette
from mhpmodels.figures.legend import draw_legend
from mhpmodels.figures.page import Page

Pixels = NDArray[np.uint8]


def lay_over(image: Pixels, labels: Pixels, palette: Pixels) -> Pixels:
    """Blend an image with the colours of its labels.

    Labelled pixels are half image, half colour; edges between labels have the full colour; background is unchanged.

    Args:
        image: uint8 (height, width, 3) RGB.
        labels: uint8 (height, width).
        palette: uint8 (256, 3) RGB, colour per label.

    Returns:
        uint8 (height, width, 3) RGB.
    """
    colors = palette[labels]
    mixed = ((image.astype(np.uint16) + colors + 1) // 2).astype(np.uint8)
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    shown = np.where(edge[:, :, None], colors, mixed)
    return np.where((labels == 0)[:, :, None], image, shown)


def outline(image: Pixels, persons: Pixels) -> Pixels:
    """Draw the outline of each person in the person's colour, two pixels wide, inside the person.

    Args:
        image: uint8 (height, width, 3) RGB.
        persons: uint8 (height, width), the person of each pixel, 0 for nobody.

    Returns:
        uint8 (height, width, 3) RGB.
    """
    first = _borders(persons)
    second = _borders(np.where(first, np.uint8(0), persons))
    return np.where((first | second)[:, :, None], person_palette()[persons], image)


def _borders(persons: Pixels) -> NDArray[np.bool_]:
    """Return where a person has a neighbour, above, below, left or right, that is somebody else or nobody."""
    edge = np.zeros(persons.shape, bool)
    across, down = persons[:, 1:] != persons[:, :-1], persons[1:] != persons[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge & (persons > 0)


def legend(classes: LabelSet) -> Pixels:
    """Draw every class with its label and colour, and the classes that share a colour: uint8 (height, 1840, 3) RGB.

    Raises:
        MissingError: Matplotlib is not installed.
    """
    page = Page()
    draw_legend(page, range(len(classes)), classes.names, picture_palette(classes), numbered=True)
    return page.picture(page.y + 10)
