"""Draw legends: names and colours of the classes in a figure.

In: labels, class names, and the palette, uint8 (256, 3) RGB. Label 255 is ignored in scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mhpdata.labels import IGNORE
from mhpmodels.figures.page import MARGIN, MUTED, WIDTH, Color, Page, Pixels

SWATCH = (18, 26)
"""Size of a colour swatch in pixels, (height, width)."""


def present_classes(labels: Pixels) -> tuple[int, ...]:
    """Return the labels that occur in a label map, in ascending order, including 255."""
    return tuple(int(label) for label in np.flatnonzero(np.bincount(labels.reshape(-1), minlength=1)))


def legend_entries(present: Sequence[int], classes: Sequence[str], palette: Pixels) -> list[tuple[str, Color]]:
    """Return the name and colour of each label in ``present``, in order."""
    return [("not counted" if c == IGNORE else classes[c], _color(palette[c])) for c in present]


def shared_colors(entries: Sequence[tuple[str, Color]]) -> list[tuple[str, ...]]:
    """Return the groups of legend names that have the same colour."""
    groups: dict[Color, list[str]] = {}
    for name, color in entries:
        groups.setdefault(color, []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 1]


def draw_legend(
    page: Page, present: Sequence[int], classes: Sequence[str], palette: Pixels, numbered: bool = False
) -> None:
    """Draw colours and names in lines, then the names that share a colour.

    Args:
        page: page to draw on; the pen is moved below the legend.
        present: labels to show.
        classes: class names by label.
        palette: uint8 (256, 3) RGB, colour per label.
        numbered: write the label before each name.
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
