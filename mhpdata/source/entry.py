"""Results of scanning a download: entries (paths on disk), and problems (entries or list lines that are invalid)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mhpdata.errors import FolderError, SourceError
from mhpdata.faults import Renamed
from mhpdata.labels import LabelSet
from mhpdata.source.source_file import Refused, SourceFile

GRAY, RED, MAPS = "gray", "red", "maps"
"""Forms of annotation: one PNG per person (MHP v1); the same, with the label in the red channel or gray (MHP v2); one
map of classes and one map of persons (CIHP)."""

ALLOW_EMPTY = "--allow-empty (in Python: allow_empty=True)"
"""How to allow an empty split in a command, or a function."""
PHOTO = "the listed image"
"""Description of an image's file, for errors."""

SPLITS = ("train", "val", "test")
"""Splits of every layout, in order."""
Names = dict[str, SourceFile | Refused]
"""The files in a folder by name, from ``scan_folder``."""


@dataclass(frozen=True)
class Entry:
    """One image of the download and its annotation, as paths; nothing is decoded yet.

    Attributes:
        name: Id of the image.
        split: Name of its split.
        image: File of the image.
        masks: For GRAY and RED the masks of the persons, in person order; for MAPS the map of classes and the map of
            persons; None if the split has no labels.
        form: GRAY, RED or MAPS.
    """

    name: str
    split: str
    image: SourceFile
    masks: tuple[SourceFile, ...] | None
    form: str = GRAY

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """Every file of the entry, the image first."""
        return (self.image, *(self.masks or ()))


@dataclass(frozen=True)
class Problem:
    """The reason why an entry, or a line of a list, cannot be packed.

    Attributes:
        split: Name of the split; "" if every split is concerned.
        name: Name of the entry, the line, or the list.
        error: What is wrong.
        entry: Whether an entry is concerned, rather than a list or folder.
    """

    split: str
    name: str
    error: SourceError
    entry: bool = True


@dataclass(frozen=True)
class Listing:
    """The result of scanning a download.

    Attributes:
        layout: Name of the layout.
        labels: Classes of the dataset.
        entries: split -> entries, in the order of the split's list.
        problems: What is not in ``entries`` and why, in the same order.
        remarks: Files that belong to no entry, as sentences for ``mhp verify --src``.
        unlabelled: Splits without annotations.
        renamed: Names or lines that differ from the release but were accepted; the pack reports them.
    """

    layout: str
    labels: LabelSet
    entries: dict[str, list[Entry]]
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unlabelled: frozenset[str] = frozenset()
    renamed: list[Renamed] = field(default_factory=list)


def empty_split(split: str, splits: Iterable[str], left_out: Sequence[tuple[str, str]] = ()) -> FolderError:
    """Return the error for a split of which no image can be packed.

    Args:
        split: Name of the split.
        splits: Names of the splits that have images.
        left_out: Entries and lines of the split that are not packed: name, and what is wrong with it.
    """
    found = f"split {split} is empty"
    remedy = "Check its list"
    if left_out:
        name, error = left_out[0]
        found = f"split {split} has no images, as {name} {error}"
        if len(left_out) > 1:
            found = f"split {split}: all {len(left_out)} entries were skipped (for example {name} {error})"
        remedy = "Run mhp verify --src SRC/ to list the problems"
    others = "".join(f" --split {other}" for other in splits if other != split)
    remedy += f"; to pack without this split, pass{others}" if others else ""
    remedy += f"; to pack the split without images, pass {ALLOW_EMPTY}."
    return FolderError(".", found, "at least one image in each split", remedy)


def without_split(split: str, splits: Iterable[str]) -> str:
    """Return the remedy for a missing split; ``splits`` are the names of all splits."""
    others = " ".join(f"--split {other}" for other in splits if other != split)
    return f"Extract the archive again; to pack without this split, pass {others}."
