"""A contact sheet of packed samples: one PNG that shows what is in the shards, for the eye.

::

    title         folder, layout, overlap rule, image codec, whose licence applies
    legend        every class that occurs in the sheet, with its colour
    row a sample  photo | labels | persons | contested pixels

The same samples give the same bytes with the same library versions.

In: a ``mhpdata.Split``. Out: uint8 (height, width, 3) RGB, or that as a PNG. Sizes are (height, width) everywhere.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mhpdata.errors import OptionError
from mhpmodels.figures.legend import draw_legend, present_classes
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
    person_places,
    persons_panel,
    photo_panel,
    pick,
)
from mhpmodels.files.output import check_out, write_file
from mhpmodels.files.png import encode_picture

if TYPE_CHECKING:
    from mhpdata.storage.manifest import Manifest
    from mhpdata.storage.record import Sample
    from mhpdata.storage.split import Split

COUNT = 6
"""Samples in a sheet where nothing is asked for."""

MAX_ROWS = 64
"""Samples in a sheet at most: Agg draws no picture with a side beyond 65,535 pixels."""

PREFERRED = ("val", "train", "test")
"""Which split is shown where none is named: the first of these that has samples."""

HEADINGS = (
    ("Photo", "as stored"),
    ("Labels", "merged, in the colours above"),
    ("Persons", "who owns a pixel, numbered in file order"),
    ("Contested", "claimed by more than one person"),
)
TIMES = "\N{MULTIPLICATION SIGN}"
DOT = "   \N{MIDDLE DOT}   "


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
    count: int | None = None,
    indices: Sequence[int] = (),
    names: Sequence[str] = (),
    seed: int | None = None,
    overwrite: bool = False,
) -> Sheet:
    """Write a contact sheet of a packed folder: what mhp-show calls.

    Args:
        folder: where mhp-pack has written.
        out: the picture, ``.png``; its folder must be there.
        split: by default the first of val, train, test that has samples, and ``names`` if any are given.
        count: how many samples, spread evenly over the split; 6 by default.
        indices, names: or just these, in this order.
        seed: draw the ``count`` samples with it, instead of spreading them evenly.
        overwrite: replace ``out``.

    Raises:
        OptionError: no such split, index or name, or options that exclude each other.
        MissingError: Matplotlib is not installed.
        OutputError: ``out`` is there already, or cannot be written.
        PackedError: the packed folder is damaged.
    """
    import mhpdata
    from mhpdata.storage.manifest import read_manifest

    out = Path(out)
    check_out(out, overwrite, ".png")
    opened = mhpdata.open(folder, split or _default_split(read_manifest(Path(folder)), names))
    try:
        chosen = choose(opened.names, count=count, indices=indices, names=names, seed=seed)
        picture = contact_sheet(opened, chosen)
    finally:
        opened.close()
    write_file(out, encode_picture(picture), overwrite)
    return Sheet(out, (picture.shape[0], picture.shape[1]), opened.name, chosen)


def choose(
    all_names: Sequence[str],
    *,
    count: int | None = None,
    indices: Sequence[int] = (),
    names: Sequence[str] = (),
    seed: int | None = None,
) -> tuple[int, ...]:
    """Which samples of a split to show: those asked for, or ``count`` spread evenly, or ``count`` drawn with ``seed``.

    Args:
        all_names: the names of the split's samples, in order.
        count, indices, names, seed: as in ``save_sheet``.

    Raises:
        OptionError: an index or name that is not there, or options that exclude each other.
    """
    total = len(all_names)
    if bool(indices) + bool(names) + (count is not None or seed is not None) > 1:
        remedy = "Pass only --index, or only --name, or only --count and --seed."
        raise OptionError("the samples", "chosen in two ways", "indices, or names, or a count (with a seed)", remedy)
    for index in indices:
        if not 0 <= index < total:
            expected = f"0..{total - 1}, the split's samples" if total else "none: the split is empty"
            remedy = f"Pass a number from 0 to {total - 1}." if total else "Pass another --split."
            raise OptionError("index", str(index), expected, remedy)
    for name in names:
        if name not in all_names:
            raise OptionError("name", repr(name), "a name in the split", _similar(name, all_names))
    if indices or names:
        chosen = tuple(indices) or tuple(all_names.index(name) for name in names)
        if len(chosen) > MAX_ROWS:
            remedy = f"Pass at most {MAX_ROWS} at once, and make several pictures with other --out."
            raise OptionError("the samples", f"{len(chosen)}", f"at most {MAX_ROWS}", remedy)
        return chosen
    count = COUNT if count is None else count
    if not 1 <= count <= MAX_ROWS:
        raise OptionError("count", str(count), f"1..{MAX_ROWS}", f"Pass a number from 1 to {MAX_ROWS}.")
    count = min(count, total)
    if seed is not None:
        return tuple(sorted(random.Random(seed).sample(range(total), count)))
    return tuple((2 * i + 1) * total // (2 * count) for i in range(count))


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
    palette = split.manifest.labels.palette
    page = Page()
    rows = [_Row.of(split[index], palette) for index in indices]
    _draw_title(page, split, len(rows))
    draw_legend(page, sorted({label for row in rows for label in row.present or ()}), split.classes, palette)
    page.down(14)
    for column, (heading, meaning) in enumerate(HEADINGS):
        page.text(column_left(column), heading, 19, bold=True)
        page.text(column_left(column) + page.width(heading, 19, bold=True) + 12, meaning, 15, MUTED, below=3)
    page.down(34)
    for row in rows:
        _draw_row(page, row, split.name)
    rule = f"the overlap rule, here “{_option(split.manifest, 'overlap')}”, says whose they are in labels and persons."
    notes = f"Sizes are height {TIMES} width. Contested: in the persons' own masks at source size, enlarged here; "
    page.text(MARGIN, notes + rule, 15, MUTED)
    return page.picture(page.y + 15 + MARGIN)


def _default_split(manifest: Manifest, names: Sequence[str]) -> str:
    found = [
        s for s in dict.fromkeys((*PREFERRED, *manifest.splits)) if s in manifest.splits and manifest.splits[s].records
    ]
    if not found:
        remedy = "Run mhp-verify --src on the download, whose lists must name photos; then pack again with --overwrite."
        raise OptionError("split", "no split has samples", "one with samples", remedy)
    for split in found:
        known = {name for shard in manifest.splits[split].shards for name in shard.names}
        if known.issuperset(names):
            return split
    return found[0]


def _similar(name: str, all_names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, all_names, n=3) or all_names[:3]
    return f"Pass {' or '.join(close)}, or another --split." if close else "Pass another --split: this one is empty."


def _option(manifest: Manifest, name: str) -> str:
    return str(manifest.options.get(name, "unknown"))


# --- the sheet's parts


@dataclass(frozen=True)
class _Row:
    """A sample as its row needs it, the full-size photo and masks let go."""

    caption: tuple[str, str]
    present: tuple[int, ...] | None
    panels: tuple[Pixels, ...]
    places: dict[int, tuple[float, float]]
    note: str
    contested: tuple[int, int]

    @staticmethod
    def of(sample: Sample, palette: Pixels) -> _Row:
        height, width = sample.image.shape[:2]
        size = panel_size(height, width)
        photo = photo_panel(sample.image, size)
        if sample.labels is None or sample.persons is None:
            empty = np.broadcast_to(np.array(NOBODY, np.uint8), photo.shape)
            return _Row(_caption(sample), None, (photo, empty, empty, empty), {}, "", (0, 0))
        state = contested_map(sample.masks, sample.record.source_size)
        places = person_places(sample.persons)
        panels = (
            photo,
            palette[pick(sample.labels, size)],
            persons_panel(sample.persons, size),
            contested_panel(photo, state),
        )
        hidden = [str(k + 1) for k in range(len(sample.record.masks)) if k + 1 not in places]
        note = f"no pixel left for {', '.join(hidden)}" if hidden else ""
        counts = int((state == 1).sum()), int((state == 2).sum())
        at = {k: ((y + 0.5) * size[0] / height, (x + 0.5) * size[1] / width) for k, (y, x) in places.items()}
        return _Row(_caption(sample), present_classes(sample.labels), panels, at, note, counts)


def _caption(sample: Sample) -> tuple[str, str]:
    record = sample.record
    sizes = [
        f"{what} {height} {TIMES} {width}"
        for what, (height, width) in (("stored", record.size), ("source", record.source_size))
    ]
    if sample.labels is None:
        found = ["no labels"]
    else:
        overlap = f"{record.contested:,} contested px, {record.conflicting:,} of them conflicting"
        count = len(record.masks)
        found = [f"{count} person{'s' * (count != 1)}", overlap if record.contested else "no contested px"]
    flags = ["gray source"] * record.gray + ["source's own JPEG"] * record.verbatim
    return f"{sample.index} \N{MIDDLE DOT} {sample.name}", DOT.join(sizes + found + flags)


def _draw_title(page: Page, split: Split, count: int) -> None:
    manifest = split.manifest
    folder = Path(split.folder).resolve().name or str(split.folder)
    page.text(MARGIN, page.clip(folder, 30, WIDTH - 2 * MARGIN, bold=True), 30, bold=True)
    page.down(46)
    facts = [f"split {split.name}, {count} of {len(split):,}", f"layout {manifest.layout}"]
    facts += [f"overlap rule “{_option(manifest, 'overlap')}”", f"images as {_option(manifest, 'image')}"]
    page.text(MARGIN, DOT.join(facts), 18)
    page.down(28)
    licence = f"Made from {page.clip(folder, 15, 600)}; the dataset's licence applies. "
    page.text(MARGIN, licence + "Pictures made from MHP are for non-commercial research only.", 15, MUTED)
    page.down(38)


def _draw_row(page: Page, row: _Row, split: str) -> None:
    page.image(MARGIN, np.full((1, WIDTH - 2 * MARGIN, 3), LINE, np.uint8), frame=0)
    page.down(14)
    place = f"{split} {row.caption[0]}"
    page.text(MARGIN, place, 17, bold=True)
    x = MARGIN + page.width(place, 17, bold=True) + 26
    page.text(x, page.clip(row.caption[1], 17, WIDTH - MARGIN - x), 17, MUTED)
    page.down(32)
    for column, panel in enumerate(row.panels):
        page.image(column_left(column), panel)
    if row.present is None:
        for column in range(1, len(row.panels)):
            page.centred(
                column_left(column) + row.panels[0].shape[1] / 2, row.panels[0].shape[0] / 2, "no labels", MUTED
            )
    for person, (below, right) in row.places.items():
        page.centred(column_left(2) + right, below, str(person), "white", outline=INK)
    page.down(row.panels[0].shape[0] + 8)
    page.text(column_left(2), page.clip(row.note, 15, COLUMN), 15, MUTED)
    if row.present is not None:
        _draw_counts(page, row.contested)
    page.down(34)


def _draw_counts(page: Page, counts: tuple[int, int]) -> None:
    x = column_left(3)
    for count, color, what in zip(counts, (EQUAL, CONFLICTING), ("same label", "labels differ"), strict=True):
        text = f"{what} {count:,} px"
        page.swatch(x, (14, 14), color)
        page.text(x + 21, text, 15, MUTED)
        x += 21 + page.width(text, 15) + 22
