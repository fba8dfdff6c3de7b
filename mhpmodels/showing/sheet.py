"""A contact sheet of packed samples: one PNG that shows what is in the shards, for the eye.

::

    title         folder, layout, overlap rule, image codec, licence
    legend        every class that occurs in the sheet, with its colour
    row a sample  image | labels | persons | overlapping pixels

The same samples give the same bytes with the same library versions.

In: a ``mhpdata.Split``. Out: uint8 (height, width, 3) RGB, or that as a PNG. Sizes are (height, width) everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mhpdata.errors import OptionError
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
    """What ``save_sheet`` has written: the file, its size in pixels (height, width), which samples of which split."""

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
    """Write a contact sheet of a packed folder: what mhp-show calls.

    Args:
        folder: where mhp-pack has written.
        out: the picture, ``.png``; its folder must be there.
        split: the split's name; by default the first of val, train, test that has samples, and has the selection's
            names if it gives any.
        selection: which of its samples are shown.
        overwrite: replace ``out``.

    Raises:
        OptionError: no such split, index or name.
        MissingError: Matplotlib is not installed.
        OutputError: ``out`` is there already, or cannot be written.
        PackedError: the packed folder is damaged.
    """
    import mhpdata
    from mhpdata.storage.manifest import read_manifest

    out = Path(out)
    check_out(out, overwrite, ".png")
    opened = mhpdata.open(folder, split or default_split(read_manifest(Path(folder)), selection.names))
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
        split: what ``mhpdata.open`` returns.
        indices: which samples, 1..64 of them; the rows' order.

    Returns:
        The sheet: uint8 (height, 1840, 3) RGB.

    Raises:
        OptionError: no samples or too many.
        MissingError: Matplotlib is not installed.
        PackedError: a sample is damaged.
    """
    if not 1 <= len(indices) <= MAX_ROWS:
        remedy = f"Pass 1 to {MAX_ROWS} indices of samples of a split that has any; {split.name} has {len(split)}."
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
    rule = f"the overlap rule, here “{_option(split.manifest, 'overlap')}”, decides who owns these pixels."
    notes = f"Sizes are height {TIMES} width. Overlap: in the persons' own masks at source size, enlarged here; "
    page.text(MARGIN, notes + rule, 15, MUTED)
    return page.picture(page.y + 15 + MARGIN)


def _option(manifest: Manifest, name: str) -> str:
    return str(manifest.options.get(name, "unknown"))


def _draw_title(page: Page, split: Split, count: int) -> None:
    manifest = split.manifest
    folder = Path(split.folder).resolve().name or str(split.folder)
    page.text(MARGIN, page.clip(folder, 30, WIDTH - 2 * MARGIN, bold=True), 30, bold=True)
    page.down(46)
    facts = [f"split {split.name}, {count} of {len(split):,}", f"layout {manifest.layout}"]
    facts += [f"overlap rule “{_option(manifest, 'overlap')}”", f"images as {_option(manifest, 'image')}"]
    page.text(MARGIN, DOT.join(facts), 18)
    page.down(28)
    page.text(MARGIN, page.clip(licence_line(manifest.licence), 15, WIDTH - 2 * MARGIN), 15, MUTED)
    page.down(38)
