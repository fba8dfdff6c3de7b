"""What a layout finds: entries (paths on disk), and problems (entries that are not as they should be)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mhpdata.errors import EXTRACT_AGAIN, FolderError, SourceError
from mhpdata.labels import LabelSet
from mhpdata.source import Refused, SourceFile

GRAY, RED, MAPS = "gray", "red", "maps"
"""How masks hold labels: a gray PNG a person; a PNG a person with the label in the red channel (MHP v2; gray, too); one
map of classes and one of persons (CIHP)."""

Found = dict[str, SourceFile | Refused]
"""The names in a folder, by ``scan_folder``."""


REAL_FILE = f"Put a plain file in its place, no link. {EXTRACT_AGAIN}"
"""What to do about a name that must not be read."""


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
    """

    layout: str
    labels: LabelSet
    entries: dict[str, list[Entry]]
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unlabelled: frozenset[str] = frozenset()


def without_split(split: str, splits: Iterable[str]) -> str:
    """What to do about a split that is not there."""
    others = " ".join(f"--split {other}" for other in splits if other != split)
    return f"Extract the archive again; if you have none of this split, let mhp-pack leave it out: {others}."


def find_photo(images: Found, folder: str, name: str) -> SourceFile:
    """The photo of an id.

    Raises:
        FolderError: it is missing, or must not be read.
    """
    return find_file(images, folder, f"{name}.jpg", "the photo that the list names")


def find_file(found: Found, folder: str, name: str, expected: str) -> SourceFile:
    """A file of a folder.

    Raises:
        FolderError: it is missing, or must not be read.
    """
    file = found.get(name)
    if file is None:
        raise FolderError(f"{folder}/{name}", "missing", expected, EXTRACT_AGAIN)
    if isinstance(file, Refused):
        raise FolderError(file.path, file.reason, "a regular file", REAL_FILE)
    return file
