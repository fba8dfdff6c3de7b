"""Draw a contact sheet of packed samples, one row per sample, as a PNG.

::

    title         folder, layout, overlap rule, image codec, licence
    legend        every class that occurs in the sheet, with its colour
    rows          image | labels | persons | overlapping pixels

The same samples give the same bytes with the same library versions.

In: a ``mhpdata.Split``. Out: uint8 (height, width, 3) RGB, or that as a PNG. Sizes are (height, width) everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mhpdata.errors import OptionError
from mhpdata.options import check_path, short_name
from mhpdata.terms import licence_line
from mhpmodels.figures.colours import picture_palette
from mhpmodels.figures.legend import draw_legend
from mhpmodels.figures.page import MARGIN, MUTED, WIDTH, Page, Pixels
from mhpmodels.figures.panels import column_left
from mhpmodels.files.output import check_out, write_file
from mhpmodels.files.png import encode_picture
from mhpmodels.showing.selection import MAX_ROWS, SPREAD, Selection, default_split
from mhpmodels.showing.sheet_row import DOT, TIMES, Row, draw_row

if TYPE_CHECKING:
    from mhpdata.storage.manifest import Manifest
    from mhpdata.storage.split import Split

HEADINGS = (
    ("Image", "as stored"),
    ("Labels", "merged, in the colours above"),
    ("Persons", "owner of each pixel, in file order"),
    ("Overlap", "labelled by several persons"),
)


@dataclass(frozen=True)
class Sheet:
    """Result of ``save_sheet``.

    Attributes:
        path: the file.
        size: (height, width) of the sheet, in pixels.
        split: name of the split.
        indices: indices of the samples, in the order of the rows.
    """

    path: Path
    size: tuple[int, int]
    split: str
    indices: tuple[int, ...]


def save_sheet(
    folder: str | Path,
    out: str | Path,
    *,
    split: str | None = None,
    selection: Selection = SPREAD,
    overwrite: bool = False,
) -> Sheet:
    """Write a contact sheet of a packed folder (mhp show).

    Args:
        folder: packed folder.
        out: file to write, ``.png``; its folder must exist.
        split: name of the split; by default the first of val, train, test that has samples and all names of the
            selection.
        selection: samples to show.
        overwrite: replace ``out`` if it exists.

    Raises:
        OptionError: the split, an index or a name is missing.
        MissingError: Matplotlib is not installed.
        OutputError: ``out`` exists, or cannot be written.
        PackedError: the packed folder is damaged.
    """
    import mhpdata
    from mhpdata.storage.manifest import read_manifest

    out = check_path("out", out)
    check_out(out, overwrite, ".png")
    opened = mhpdata.open(folder, split or default_split(read_manifest(folder), selection.names))
    try:
        chosen = selection.choose(opened.names)
        picture = contact_sheet(opened, chosen)
    finally:
        opened.close()
    write_file(out, encode_picture(picture), overwrite)
    return Sheet(out, (picture.shape[0], picture.shape[1]), opened.name, chosen)


def contact_sheet(split: Split, indices: Sequence[int]) -> Pixels:
    """Draw samples of a split, one row each.

    Args:
        split: output of ``mhpdata.open``.
        indices: indices of 1..64 samples, in the order of the rows.

    Returns:
        The sheet: uint8 (height, 1840, 3) RGB.

    Raises:
        OptionError: there are no samples, or more than 64.
        MissingError: Matplotlib is not installed.
        PackedError: a sample is damaged.
    """
    if not 1 <= len(indices) <= MAX_ROWS:
        remedy = f"Pass indices of a split that has samples; {split.name} has {len(split)}."
        raise OptionError("the samples", f"{len(indices)}", f"1..{MAX_ROWS}", remedy)
    palette = picture_palette(split.manifest.labels)
    page = Page()
    rows = [Row.of(split[index], palette) for index in indices]
    _draw_title(page, split, len(rows))
    draw_legend(page, sorted({label for row in rows for label in row.present or ()}), split.classes, palette)
    page.down(14)
    for column, (heading, meaning) in enumerate(HEADINGS):
        page.text(column_left(column), heading, 19, bold=True)
        page.text(column_left(column) + page.width(heading, 19, bold=True) + 12, meaning, 15, MUTED, below=3)
    page.down(34)
    for row in rows:
        draw_row(page, row, split.name)
    rule = f"the overlap rule “{_option(split.manifest, 'overlap')}” assigns each of these pixels to one person."
    notes = f"Sizes are height {TIMES} width. Overlaps come from the persons' own masks at source size; "
    page.text(MARGIN, notes + rule, 15, MUTED)
    return page.picture(page.y + 15 + MARGIN)


def _option(manifest: Manifest, name: str) -> str:
    return str(manifest.options.get(name, "unknown"))


def _draw_title(page: Page, split: Split, count: int) -> None:
    manifest = split.manifest
    folder = short_name(split.folder)
    page.text(MARGIN, page.clip(folder, 30, WIDTH - 2 * MARGIN, bold=True), 30, bold=True)
    page.down(46)
    facts = [f"split {split.name}, {count} of {len(split):,}", f"layout {manifest.layout}"]
    facts += [f"overlap rule “{_option(manifest, 'overlap')}”", f"images as {_option(manifest, 'image')}"]
    page.text(MARGIN, DOT.join(facts), 18)
    page.down(28)
    page.text(MARGIN, page.clip(licence_line(manifest.licence), 15, WIDTH - 2 * MARGIN), 15, MUTED)
    page.down(38)
