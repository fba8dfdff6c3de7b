"""Pictures for people: labels laid over their photo, and the legend that says which colour is which class.

In: uint8 (height, width, 3) RGB photos, uint8 (height, width) labels of the same size. Out: uint8 RGB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mhpdata.labels import LabelSet
from mhpmodels.figures.colours import picture_palette
from mhpmodels.figures.legend import draw_legend
from mhpmodels.figures.page import Page

Pixels = NDArray[np.uint8]


def lay_over(photo: Pixels, labels: Pixels, palette: Pixels) -> Pixels:
    """Half photo, half colour where a label is; along the edge of two labels the colour alone; background untouched."""
    colors = palette[labels]
    mixed = ((photo.astype(np.uint16) + colors + 1) // 2).astype(np.uint8)
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    shown = np.where(edge[:, :, None], colors, mixed)
    return np.where((labels == 0)[:, :, None], photo, shown)


def legend(classes: LabelSet) -> Pixels:
    """Every class with its label and its colour, and which share one.

    Raises:
        MissingError: Matplotlib is not installed.
    """
    page = Page()
    draw_legend(page, range(len(classes)), classes.names, picture_palette(classes), numbered=True)
    return page.picture(page.y + 10)
