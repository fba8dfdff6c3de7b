"""Which colour is which class: the legend of every picture.

In: labels, the classes' names, and the palette, uint8 (256, 3) RGB. 255 is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mhpdata.labels import IGNORE
from mhpmodels.figures.page import MARGIN, MUTED, WIDTH, Color, Page, Pixels

SWATCH = (18, 26)
"""Size of a piece of colour, (height, width)."""


def present_classes(labels: Pixels) -> tuple[int, ...]:
    """The labels that occur in a map, rising; 255 is one of them."""
    return tuple(int(label) for label in np.flatnonzero(np.bincount(labels.reshape(-1), minlength=1)))


def legend_entries(present: Sequence[int], classes: Sequence[str], palette: Pixels) -> list[tuple[str, Color]]:
    """The legend: name and colour of each label that occurs, in order."""
    return [("not counted" if c == IGNORE else classes[c], _color(palette[c])) for c in present]


def shared_colors(entries: Sequence[tuple[str, Color]]) -> list[tuple[str, ...]]:
    """Groups of legend names that have one colour."""
    groups: dict[Color, list[str]] = {}
    for name, color in entries:
        groups.setdefault(color, []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 1]


def draw_legend(
    page: Page, present: Sequence[int], classes: Sequence[str], palette: Pixels, numbered: bool = False
) -> None:
    """Colours and names in lines, and which names share a colour.

    Args:
        page: the pen ends below.
        present, classes, palette: as for ``legend_entries``.
        numbered: each name after its label.
    """
    entries = legend_entries(present, classes, palette)
    x, before = MARGIN, SWATCH[1] + 9
    for label, (name, color) in zip(present, entries, strict=True):
        text = page.clip(f"{label} {name}" if numbered else name, 16, 400)
        width = before + page.width(text, 16)
        if x + width > WIDTH - MARGIN:
            x = MARGIN
            page.down(28)
        page.swatch(x, SWATCH, color)
        page.text(x + before, text, 16)
        x += width + 26
    page.down(30 * bool(entries))
    for names in shared_colors(entries):
        page.text(MARGIN, f"{' and '.join(names)} share one colour in this palette", 15, MUTED)
        page.down(24)


def _color(color: Pixels) -> Color:
    return int(color[0]), int(color[1]), int(color[2])
