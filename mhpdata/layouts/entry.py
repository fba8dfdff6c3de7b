"""What a layout finds: entries (paths on disk), and problems (entries that are not as they should be)."""

from __future__ import annotations

from dataclasses import dataclass, field

from mhpdata.errors import SourceError
from mhpdata.labels import LabelSet
from mhpdata.source import SourceFile


@dataclass(frozen=True)
class Entry:
    """One image of the download and the masks of its persons, in person order; nothing is decoded yet."""

    name: str
    split: str
    image: SourceFile
    masks: tuple[SourceFile, ...]

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """Every file of the entry, the photo first."""
        return (self.image, *self.masks)


@dataclass(frozen=True)
class Problem:
    """Something that keeps an entry, or a line of a list, from being packed.

    Attributes:
        split: the entry's split; "" where a list is wrong, which concerns every split.
        name: the entry, the line, or the list.
    """

    split: str
    name: str
    error: SourceError


@dataclass(frozen=True)
class Listing:
    """All that a scan found.

    Attributes:
        layout: the layout's name.
        labels: its classes.
        entries: split -> entries, in the order of the split's list.
        problems: what was left out of ``entries``, in the same order.
        remarks: files that belong to no entry, as sentences for ``mhp-verify --src``.
    """

    layout: str
    labels: LabelSet
    entries: dict[str, list[Entry]]
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
