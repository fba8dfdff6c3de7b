"""Results of scanning a download: entries (paths on disk), and problems (entries or list lines that are invalid)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mhpdata.errors import FolderError, SourceError
from mhpdata.faults import Renamed
from mhpdata.labels import LabelSet
from mhpdata.source.source_file import Refused, SourceFile
from mhpdata.terms import Terms

GRAY, RED, MAPS, COCO = "gray", "red", "maps", "coco"
"""Forms of annotation: one PNG per person (MHP v1); the same, with the label in the red channel or gray (MHP v2); one
map of classes and one map of persons (CIHP); parts of persons from COCO JSON (a dataset of one's own)."""

ALLOW_EMPTY = "--allow-empty (in Python: allow_empty=True)"
"""How to allow an empty split in a command, or a function."""
PHOTO = "the listed image"
"""Description of an image's file, for errors."""

SPLITS = ("train", "val", "test")
"""Splits of every layout, in order."""
Names = dict[str, SourceFile | Refused]
"""The files in a folder by name, from ``scan_folder``."""


@dataclass(frozen=True)
class Own:
    """How to read the annotation of an entry of a dataset of one's own (mhpdata.source.own).

    Attributes:
        values: The label of each value 0..255 in masks; a negative one for a value that is no class.
        digest: SHA-256 of what the label file says about reading annotations.
        file: Path of the file with the parts, for COCO.
        parts: The parts of the image, as JSON, for COCO.
    """

    values: tuple[int, ...]
    digest: bytes
    file: str = ""
    parts: bytes = b""


@dataclass(frozen=True)
class Entry:
    """One image of the download and its annotation, as paths; nothing is decoded yet.

    Attributes:
        name: Id of the image.
        split: Name of its split.
        image: File of the image.
        masks: For GRAY and RED the masks of the persons, in person order; for MAPS the map of classes and the map of
            persons; empty for COCO; None if the split has no labels.
        form: GRAY, RED, MAPS or COCO.
        own: How to read the annotation, for a dataset of one's own; None for others.
    """

    name: str
    split: str
    image: SourceFile
    masks: tuple[SourceFile, ...] | None
    form: str = GRAY
    own: Own | None = None

    @property
    def state(self) -> bytes:
        """Return the content that the annotation depends on besides the files; empty for a download."""
        return b"" if self.own is None else self.own.digest + self.own.parts

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
        renamed: Names or lines that differ from the release but were accepted, and masks that are not read.
        terms: Licence and citation, as far as the dataset itself states them; None if those of its layout hold.
        flags: Options with which ``mhp verify --src`` checks the same files, from ``mhpdata.source.scan.flags_of``.
    """

    layout: str
    labels: LabelSet
    entries: dict[str, list[Entry]]
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unlabelled: frozenset[str] = frozenset()
    renamed: list[Renamed] = field(default_factory=list)
    terms: Terms | None = None
    flags: str = ""


def empty_split(
    split: str, splits: Iterable[str], left_out: Sequence[tuple[str, str]] = (), flags: str = ""
) -> FolderError:
    """Return the error for a split of which no image can be packed.

    Args:
        split: Name of the split.
        splits: Names of the splits that have images.
        left_out: Entries and lines of the split that are not packed: name, and what is wrong with it.
        flags: As in ``Listing``.
    """
    found = f"split {split} is empty"
    remedy = "Check its list"
    if left_out:
        name, error = left_out[0]
        found = f"split {split} has no images, as {name} {error}"
        if len(left_out) > 1:
            found = f"split {split}: all {len(left_out)} entries were skipped (for example {name} {error})"
        remedy = f"Run mhp verify --src SRC/{flags} to list the problems"
    others = "".join(f" --split {other}" for other in splits if other != split)
    remedy += f"; to pack without this split, pass{others}" if others else ""
    remedy += f"; to pack the split without images, pass {ALLOW_EMPTY}."
    return FolderError(".", found, "at least one image in each split", remedy)


def without_split(split: str, splits: Iterable[str]) -> str:
    """Return the remedy for a missing split; ``splits`` are the names of all splits."""
    others = " ".join(f"--split {other}" for other in splits if other != split)
    return f"Extract the archive again; to pack without this split, pass {others}."
