"""Pictures for people: labels laid over their photo, and the legend that says which colour is which class.

In: uint8 (height, width, 3) RGB photos, uint8 (height, width) labels of the same size. Out: uint8 RGB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mhpdata.labels import LabelSet
from mhpmodels.page import MARGIN, MUTED, WIDTH, Page
from mhpmodels.show import legend_entries, shared_colors

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
    """Every class with its colour, and which share one.

    Raises:
        MissingError: Matplotlib is not installed.
    """
    page, x = Page(), MARGIN
    entries = legend_entries(range(len(classes)), classes.names, classes.palette)
    for c, (name, color) in enumerate(entries):
        text = f"{c} {name}"
        step = 35 + page.width(text, 16) + 26
        if x + step - 26 > WIDTH - MARGIN:
            x = MARGIN
            page.down(28)
        page.swatch(x, (18, 26), color)
        page.text(x + 35, text, 16)
        x += step
    page.down(34)
    for names in shared_colors(entries):
        page.text(MARGIN, f"{' and '.join(names)} share one colour in this palette", 15, MUTED)
        page.down(24)
    return page.picture(page.y + 6)
