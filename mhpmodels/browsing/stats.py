"""Count the classes, persons, sizes, overlaps and duplicates of a packed folder (mhp stats).

Records stream through: per image and person, a few numbers are kept. No image is decoded.

Out: ``Stats``, as a dictionary for JSON or as text. Quantiles are values that occur (inverted distribution
function), so they do not depend on rounding.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.address import Address
from mhpdata.errors import OptionError
from mhpdata.options import check_folder
from mhpdata.processes.threads import crew
from mhpdata.storage.duplicates import count_shared
from mhpdata.storage.manifest import Manifest, read_manifest
from mhpdata.storage.split import no_split, open_split
from mhpdata.terms import licence_line
from mhpdata.wording import counted, printable
from mhpmodels.browsing.facts import Facts, facts_of

QUANTILES = {"min": 0, "p5": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95, "max": 100}
"""Names of the reported quantiles, and their percentages."""


def _column() -> array[int]:
    return array("q")


@dataclass
class SplitStats:
    """Counts over the records of one split.

    Attributes:
        images, labelled, gray, persons, unlabelled_persons: numbers of images, of images with labels, of gray images,
            of persons, and of persons without a labelled pixel.
        overlapping_images: number of images with overlapping pixels.
        ``contested``, conflicting: numbers of source pixels with labels from several persons, and with different ones.
        class_pixels: int64 (256,), number of packed pixels of each label.
        class_images: int64 (256,), number of images with each label.
        per_image: number of images by number of persons.
        heights, widths: source size of each image, in pixels.
        person_pixels, person_heights: labelled pixels and height of each person that has labels, at source size.
        person_shares: labelled pixels of each such person per million pixels of the image.
    """

    images: int = 0
    labelled: int = 0
    gray: int = 0
    persons: int = 0
    unlabelled_persons: int = 0
    overlapping_images: int = 0
    contested: int = 0
    conflicting: int = 0
    class_pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    class_images: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    per_image: Counter[int] = field(default_factory=Counter)
    heights: array[int] = field(default_factory=_column)
    widths: array[int] = field(default_factory=_column)
    person_pixels: array[int] = field(default_factory=_column)
    person_heights: array[int] = field(default_factory=_column)
    person_shares: array[int] = field(default_factory=_column)

    def add(self, facts: Facts) -> None:
        """Add one record."""
        height, width = facts.source_size
        self.images += 1
        self.labelled += facts.labelled
        self.gray += facts.gray
        self.persons += len(facts.persons)
        self.overlapping_images += facts.contested > 0
        self.contested += facts.contested
        self.conflicting += facts.conflicting
        self.class_pixels += facts.class_pixels
        self.class_images += facts.class_pixels > 0
        self.heights.append(height)
        self.widths.append(width)
        if facts.labelled:
            self.per_image[len(facts.persons)] += 1
        for person in facts.persons:
            if person.pixels:
                self.person_pixels.append(person.pixels)
                self.person_heights.append(person.height)
                self.person_shares.append(person.pixels * 1_000_000 // (height * width))
            else:
                self.unlabelled_persons += 1

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return the counts as a dictionary for JSON."""
        named = {
            name: {"pixels": int(self.class_pixels[label]), "images": int(self.class_images[label])}
            for label, name in enumerate(classes)
        }
        return {
            "images": self.images,
            "labelled_images": self.labelled,
            "gray_images": self.gray,
            "persons": self.persons,
            "unlabelled_persons": self.unlabelled_persons,
            "persons_per_image": {str(count): self.per_image[count] for count in sorted(self.per_image)},
            "classes": named,
            "ignored_pixels": int(self.class_pixels[255]),
            "overlap": {
                "images": self.overlapping_images,
                "overlapping_pixels": self.contested,
                "conflicting_pixels": self.conflicting,
            },
            "image_height": quantiles(self.heights),
            "image_width": quantiles(self.widths),
            "person_pixels": quantiles(self.person_pixels),
            "person_height": quantiles(self.person_heights),
            "person_share_ppm": quantiles(self.person_shares),
        }


@dataclass(frozen=True)
class Stats:
    """Counts over a packed folder.

    Attributes:
        place: the folder.
        manifest: its manifest.
        splits: counts of each split that was read, by name.
    """

    place: str
    manifest: Manifest
    splits: dict[str, SplitStats]

    @property
    def duplicates(self) -> dict[str, Any]:
        """Groups of byte-identical images of these splits, images in them, and groups that splits share."""
        mine = [
            tuple(name for name in group if name.split("/")[0] in self.splits) for group in self.manifest.duplicates
        ]
        groups = [group for group in mine if len(group) > 1]
        within, between = count_shared(groups, self.splits)
        shared = {f"{a} and {b}": count for (a, b), count in between.items()}
        return {"groups": len(groups), "images": sum(map(len, groups)), "within_a_split": within, "between": shared}

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as a dictionary for JSON."""
        return {
            "folder": self.place,
            "content": self.manifest.content_id,
            "layout": self.manifest.layout,
            "licence": self.manifest.licence,
            "splits": {name: split.as_dict(self.manifest.classes) for name, split in self.splits.items()},
            "duplicates": self.duplicates,
            "skipped": sum(skip.split in ("", *self.splits) for skip in self.manifest.skipped),
        }

    def text(self) -> str:
        """Return the counts as text: one column per split."""
        found = self.as_dict()
        names, columns = list(self.splits), [found["splits"][name] for name in self.splits]
        rows = [["", *names]]
        for title, key in (("images", "images"), ("gray", "gray_images"), ("persons", "persons")):
            rows.append([title, *(f"{one[key]:,}" for one in columns)])
        rows.append(["persons per image", *map(_per_image, self.splits.values())])
        for title, key in (("image height", "image_height"), ("image width", "image_width")):
            rows.append([title, *(_range(one[key]) for one in columns)])
        rows.append(["person height", *(_range(one["person_height"]) for one in columns)])
        for title, key in (("overlapping images", "images"), ("overlapping px", "overlapping_pixels")):
            rows.append([title, *(f"{one['overlap'][key]:,}" for one in columns)])
        rows.append(["conflicting px", *(f"{one['overlap']['conflicting_pixels']:,}" for one in columns)])
        lines = [self.place, "", *_aligned(rows), ""]
        classes = [["images with", *names]]
        for name in self.manifest.classes:
            classes.append([name, *(_share(one, name) for one in columns)])
        copies = found["duplicates"]
        shared = [f"{count} shared by {pair}" for pair, count in copies["between"].items() if count]
        groups = f"{counted(copies['groups'], 'group')} of byte-identical images"
        lines += [*_aligned(classes), "", ", ".join([groups, *shared]), licence_line(self.manifest.licence)]
        return "\n".join(map(printable, lines))


def measure(
    folder: str | os.PathLike[str] | Address,
    splits: Sequence[str] = (),
    *,
    workers: int | None = None,
    progress: bool = False,
) -> Stats:
    """Count what a packed folder contains (mhp stats).

    Args:
        folder: packed folder, or its address.
        splits: names of splits; none for all.
        workers: number of threads; None for one per core.
        progress: draw a progress bar if standard error is a terminal.

    Raises:
        OptionError: a split is missing, or ``workers`` is out of range.
        PackedError: a record is damaged.
    """
    manifest = read_manifest(folder)
    chosen = chosen_splits(folder, manifest, splits)
    found = {name: SplitStats() for name in chosen}
    with crew(sum(manifest.splits[name].records for name in chosen), "images", workers, progress) as hands:
        for name, stats in found.items():
            opened = open_split(folder, name, allow_empty=True)
            try:
                for facts in hands.each(partial(facts_of, opened), range(len(opened))):
                    stats.add(facts)
            finally:
                opened.close()
    return Stats(str(folder), manifest, found)


def chosen_splits(
    folder: str | os.PathLike[str] | Address, manifest: Manifest, splits: Sequence[str]
) -> tuple[str, ...]:
    """Return the named splits in the order of the manifest, or all of them.

    Raises:
        OptionError: the folder has no split of a name.
    """
    for name in splits:
        if name not in manifest.splits:
            error: OptionError = no_split(check_folder("folder", folder), name, manifest)
            raise error
    return tuple(name for name in manifest.splits if not splits or name in splits)


def quantiles(values: array[int]) -> dict[str, int]:
    """Return the QUANTILES of whole numbers, each one of the numbers; empty for none."""
    if not len(values):
        return {}
    found = np.percentile(np.frombuffer(values, np.int64), list(QUANTILES.values()), method="inverted_cdf")
    return {name: int(value) for name, value in zip(QUANTILES, found, strict=True)}


def _per_image(split: SplitStats) -> str:
    if not split.per_image:
        return "-"
    mean = split.persons / split.per_image.total()
    return f"{min(split.per_image)}..{max(split.per_image)}, mean {mean:.2f}"


def _range(found: dict[str, int]) -> str:
    return f"{found['min']}..{found['max']}, median {found['median']}" if found else "-"


def _share(split: dict[str, Any], name: str) -> str:
    one, labelled = split["classes"][name], split["labelled_images"]
    total = sum(each["pixels"] for each in split["classes"].values())
    if not labelled or not total:
        return "-"
    return f"{one['images']:,} ({100 * one['images'] / labelled:.0f} %), {100 * one['pixels'] / total:.2f} % of px"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
