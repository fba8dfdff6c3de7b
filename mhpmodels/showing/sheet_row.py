"""Draw one sample as a row of a contact sheet: image, labels, persons and overlapping pixels side by side.

In: a ``Sample`` of an open split, whose masks are at source size. Out: drawn on a page (mhpmodels.figures.page).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mhpmodels.figures.legend import present_classes
from mhpmodels.figures.page import INK, LINE, MARGIN, MUTED, WIDTH, Page, Pixels
from mhpmodels.figures.panels import (
    COLUMN,
    CONFLICTING,
    EQUAL,
    NOBODY,
    column_left,
    contested_map,
    contested_panel,
    panel_size,
    person_centres,
    persons_panel,
    photo_panel,
    pick,
)

if TYPE_CHECKING:
    from mhpdata.storage.sample import Sample

TIMES = "\N{MULTIPLICATION SIGN}"
DOT = "   \N{MIDDLE DOT}   "


@dataclass(frozen=True)
class Row:
    """The content of a sample's row; the full-size image and masks are not kept.

    Attributes:
        caption: the sample's index and name, and a line of facts.
        present: labels that occur; None for a sample without labels.
        panels: image, labels, persons, overlapping pixels, each uint8 (height, width, 3) RGB of the same size.
        centres: {person number from 1: (y, x) of the number, in panel pixels}.
        note: remark below the persons panel, or "".
        overlaps: numbers of overlapping pixels at source size with equal and with conflicting labels.
    """

    caption: tuple[str, str]
    present: tuple[int, ...] | None
    panels: tuple[Pixels, ...]
    centres: dict[int, tuple[float, float]]
    note: str
    overlaps: tuple[int, int]

    @staticmethod
    def of(sample: Sample, palette: Pixels) -> Row:
        """Return the row of a sample.

        Args:
            sample: sample of an open split.
            palette: uint8 (classes, 3) RGB, colour per label.
        """
        height, width = sample.image.shape[:2]
        size = panel_size(height, width)
        image = photo_panel(sample.image, size)
        if sample.labels is None or sample.persons is None:
            empty = np.broadcast_to(np.array(NOBODY, np.uint8), image.shape)
            return Row(_caption(sample), None, (image, empty, empty, empty), {}, "", (0, 0))
        state = contested_map(sample.masks, sample.record.source_size)
        centres = person_centres(sample.persons)
        panels = (
            image,
            palette[pick(sample.labels, size)],
            persons_panel(sample.persons, size),
            contested_panel(image, state),
        )
        hidden = [str(k + 1) for k in range(len(sample.record.masks)) if k + 1 not in centres]
        note = f"no pixel left for {', '.join(hidden)}" if hidden else ""
        counts = int((state == 1).sum()), int((state == 2).sum())
        at = {k: ((y + 0.5) * size[0] / height, (x + 0.5) * size[1] / width) for k, (y, x) in centres.items()}
        return Row(_caption(sample), present_classes(sample.labels), panels, at, note, counts)


def _caption(sample: Sample) -> tuple[str, str]:
    record = sample.record
    sizes = [
        f"{what} {height} {TIMES} {width}"
        for what, (height, width) in (("stored", record.size), ("source", record.source_size))
    ]
    if sample.labels is None:
        labelled = ["no labels"]
    else:
        overlap = f"{record.contested:,} overlapping px, {record.conflicting:,} with conflicting labels"
        count = len(record.masks)
        labelled = [f"{count} person{'s' * (count != 1)}", overlap if record.contested else "no overlapping px"]
    flags = ["gray source"] * record.gray + ["source's own JPEG"] * record.verbatim
    return f"{sample.index} \N{MIDDLE DOT} {sample.name}", DOT.join(sizes + labelled + flags)


def draw_row(page: Page, row: Row, split: str) -> None:
    """Draw a row at the pen, and move the pen below it."""
    page.image(MARGIN, np.full((1, WIDTH - 2 * MARGIN, 3), LINE, np.uint8), frame=0)
    page.down(14)
    title = f"{split} {row.caption[0]}"
    page.text(MARGIN, title, 17, bold=True)
    x = MARGIN + page.width(title, 17, bold=True) + 26
    page.text(x, page.clip(row.caption[1], 17, WIDTH - MARGIN - x), 17, MUTED)
    page.down(32)
    for column, panel in enumerate(row.panels):
        page.image(column_left(column), panel)
    if row.present is None:
        for column in range(1, len(row.panels)):
            page.centred(
                column_left(column) + row.panels[0].shape[1] / 2, row.panels[0].shape[0] / 2, "no labels", MUTED
            )
    for person, (below, right) in row.centres.items():
        page.centred(column_left(2) + right, below, str(person), "white", outline=INK)
    page.down(row.panels[0].shape[0] + 8)
    page.text(column_left(2), page.clip(row.note, 15, COLUMN), 15, MUTED)
    if row.present is not None:
        _draw_counts(page, row.overlaps)
    page.down(34)


def _draw_counts(page: Page, counts: tuple[int, int]) -> None:
    x = column_left(3)
    for count, color, what in zip(counts, (EQUAL, CONFLICTING), ("same label", "labels differ"), strict=True):
        text = f"{what} {count:,} px"
        page.swatch(x, (14, 14), color)
        page.text(x + 21, text, 15, MUTED)
        x += 21 + page.width(text, 15) + 22
