"""What a layout finds: entries (paths on disk), and problems (entries that are not as they should be)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mhpdata.errors import FolderError, SourceError
from mhpdata.faults import Renamed
from mhpdata.labels import LabelSet
from mhpdata.source.files import Refused, SourceFile
from mhpdata.wording import counted

GRAY, RED, MAPS = "gray", "red", "maps"
"""How masks hold labels: a PNG per person; the same, whose label may be in the red channel (MHP v2); one map of classes
and one of persons (CIHP)."""

ALLOW_EMPTY = "--allow-empty, in Python allow_empty=True"
"""How a command, and a function, is told that a split may be empty."""
PHOTO = "the image that the list names"
"""What an image's file is, for errors."""

SPLITS = ("train", "val", "test")
"""The splits of each layout, in order."""
Found = dict[str, SourceFile | Refused]
"""The names in a folder, by ``scan_folder``."""


@dataclass(frozen=True)
class Entry:
    """One image of the download and its annotation; nothing is decoded yet.

    Attributes:
        name: the image's id.
        split: which it is in.
        image: the photo.
        masks: with GRAY and RED the masks of the persons, in person order; with MAPS the map of classes and the map of
            persons; None where the split has no labels.
        form: GRAY, RED or MAPS.
    """

    name: str
    split: str
    image: SourceFile
    masks: tuple[SourceFile, ...] | None
    form: str = GRAY

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """Every file of the entry, the photo first."""
        return (self.image, *(self.masks or ()))


@dataclass(frozen=True)
class Problem:
    """Something that keeps an entry, or a line of a list, from being packed.

    Attributes:
        split: the entry's split; "" where what is wrong concerns every split.
        name: the entry, the line, or the list.
        entry: it is an entry's, not a list's or a folder's.
    """

    split: str
    name: str
    error: SourceError
    entry: bool = True


@dataclass(frozen=True)
class Listing:
    """All that a scan found.

    Attributes:
        layout: the layout's name.
        labels: its classes.
        entries: split -> entries, in the order of the split's list.
        problems: what was left out of ``entries``, in the same order.
        remarks: files that belong to no entry, as sentences for ``mhp-verify --src``.
        unlabelled: splits without annotations.
        renamed: what was taken under another name, for everybody who packs.
    """

    layout: str
    labels: LabelSet
    entries: dict[str, list[Entry]]
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unlabelled: frozenset[str] = frozenset()
    renamed: list[Renamed] = field(default_factory=list)


def empty_split(split: str, splits: Iterable[str], left_out: Sequence[tuple[str, str]] = ()) -> FolderError:
    """The error of a split of which no image can be packed.

    Args:
        split: its name.
        splits: those that have images.
        left_out: entries and lines of the split that are not packed: name, and what is wrong with it.
    """
    found = f"split {split} is empty"
    remedy = "Check its list"
    if left_out:
        name, error = left_out[0]
        them = counted(len(left_out), "entry or line is", "entries and lines are")
        found += f": {them} left out, such as {name} ({error})"
        remedy = "Run mhp-verify --src SRC/ to see what is wrong with them"
    others = "".join(f" --split {other}" for other in splits if other != split)
    remedy += f"; to pack without this split, pass{others}" if others else ""
    remedy += f"; to pack it empty, pass {ALLOW_EMPTY}."
    return FolderError(".", found, "at least one image in each split", remedy)


def without_split(split: str, splits: Iterable[str]) -> str:
    """Return the remedy for a split that is missing."""
    others = " ".join(f"--split {other}" for other in splits if other != split)
    return f"Extract the archive again; to pack without this split, pass {others}."
