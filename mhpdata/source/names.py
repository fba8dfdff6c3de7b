"""Find files of a folder by id, under the names of the release or similar ones.

::

    0001.jpg                    as released
    0001.JPG, 0001.png          used for 0001.jpg, with a remark, if that is missing and there is only one such file
    0001.jpeg and 0001.png      without 0001.jpg: an error that names both
    1.jpg, 0001.jpg.part        never used: the error about a missing 0001.jpg names them
    ._0001.jpg                  added to archives by macOS: ignored in every folder, with one remark for all
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from mhpdata.errors import EXTRACT_AGAIN, WITHOUT, FolderError
from mhpdata.faults import Renamed, counted_code
from mhpdata.source.entry import Names
from mhpdata.source.files import scan_folder
from mhpdata.source.remote import Root
from mhpdata.source.source_file import Refused, SourceFile
from mhpdata.wording import counted

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
"""Endings that an image file may have, the released one first; its content determines the format."""
PNG_ENDINGS = (".png",)
_PARTIAL = (".part", ".partial", ".crdownload", ".download", ".opdownload", ".tmp", ".filepart", ".aria2")
"""Endings of the files of unfinished downloads and copies, in lower case."""
_NUMBER = re.compile("[0-9]+", re.ASCII)
SHOWN = 3
"""Maximum number of file names in an error."""


class Folders:
    """The folders of a download.

    Attributes:
        root: The source folder.
        follow_links: Whether links out of it are followed.
        macos: Paths of the files that macOS added to the folders listed so far.
    """

    def __init__(self, root: Root, follow_links: bool = False) -> None:
        self.root, self.follow_links = root, follow_links
        self.macos: list[str] = []

    def list(self, folder: str = "") -> Names:
        """Return the files in a folder by name, from ``scan_folder``, without those that macOS added."""
        files = scan_folder(self.root, folder, self.follow_links)
        added = sorted(name for name in files if name.startswith("._"))
        self.macos += [f"{folder}/{name}" if folder else name for name in added]
        return {name: file for name, file in files.items() if not name.startswith("._")} if added else files

    def remarks(self) -> Iterable[str]:
        """Yield the remarks on the folders that were listed."""
        if self.macos:
            yield f"{counted(len(self.macos), 'file')} that macOS added, such as {self.macos[0]}: not read"


class Files:
    """The files of a folder, one per id.

    Args:
        files: Files in the folder by name.
        folder: Path of the folder, relative to the source folder.
        endings: Endings of the names, in lower case, the released one first.
        listed: Ids that the lists name.
    """

    def __init__(self, files: Names, folder: str, endings: tuple[str, ...], listed: Collection[str]) -> None:
        self._files, self._folder, self._ending, self._listed = files, folder, endings[0], listed
        self._near: dict[str, list[str]] = defaultdict(list)
        for name in files:
            stem, ending = _split(name)
            if ending != endings[0] and ending.lower() in endings:
                self._near[stem].append(name)
        self._taken: dict[str, tuple[str, str]] = {}
        self._others: OtherNames | None = None

    def find(self, id: str, expected: str) -> SourceFile:
        """Return the file of an id.

        Args:
            id: Id of the image.
            expected: Description of the file, for the error.

        Raises:
            FolderError: The file is missing, ambiguous, or must not be read.
        """
        wanted = f"{id}{self._ending}"
        file = self._files.get(wanted)
        if file is None:
            near = sorted(self._near.get(id, ()))
            if len(near) != 1:
                remedy = how_to_restore(self._folder, near or self._other_names(id), wanted)
                raise FolderError(f"{self._folder}/{wanted}", "missing", expected, remedy, fault=("missing",))
            file = self._files[near[0]]
            self._taken[id] = (near[0], wanted)
        if isinstance(file, Refused):
            raise file.error(otherwise=WITHOUT)
        return file

    def renamed(self, split: str, ids: Iterable[str]) -> list[Renamed]:
        """Return one note on the files that were used under other names for these ids of a split; empty if none."""
        return say_renamed(split, self._folder, [self._taken[id] for id in ids if id in self._taken])

    def unlisted(self) -> list[str]:
        """Return a remark for each file that belongs to no listed image."""
        named = {near for near, _ in self._taken.values()}
        return [
            f"{self._folder}/{name}: in no list"
            for name in sorted(self._files)
            if name not in named and not self._is_named(name)
        ]

    def _is_named(self, name: str) -> bool:
        """Return whether a list names the file, or it may stand for one that a list names."""
        stem, ending = _split(name)
        if stem not in self._listed:
            return False
        return ending == self._ending or (name in self._near[stem] and f"{stem}{self._ending}" not in self._files)

    def _other_names(self, id: str) -> list[str]:
        if self._others is None:
            self._others = OtherNames(name for name in self._files if not self._is_named(name))
        return self._others.of(id)


class OtherNames:
    """Names of files that belong to no listed image, by the numbers in them: candidates for a missing file."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for name in sorted(names):
            numbers = tuple(map(int, _NUMBER.findall(name)))
            if numbers:
                self._names[numbers[:1]].append(name)
            if len(numbers) > 1:
                self._names[numbers].append(name)

    def of(self, id: str) -> list[str]:
        """Return the names whose first number, or all of whose numbers, are those of an id."""
        return self._names.get(tuple(map(int, _NUMBER.findall(id))), [])


def how_to_restore(folder: str, names: list[str], wanted: str) -> str:
    """Return the remedy for a missing file.

    Args:
        folder: Path of its folder, relative to the source folder.
        names: Names of other files there that may be the missing one.
        wanted: Name of the missing file.
    """
    for name in names:
        if name.lower().endswith(_PARTIAL):
            here = f"{folder}/{name} is an incomplete copy: finish the download, or extract the archive again."
            return f"{here} {WITHOUT}"
    paths = [f"{folder}/{name}" for name in names[:SHOWN]]
    if not paths:
        return EXTRACT_AGAIN
    if len(names) == 1:
        return f"If {paths[0]} is this file, rename it to {wanted}; otherwise extract the archive again."
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"There are {' and '.join(paths)}{more}: rename the right one to {wanted}. {EXTRACT_AGAIN}"


def say_renamed(split: str, folder: str, taken: list[tuple[str, str]]) -> list[Renamed]:
    """Return one note on all files of a folder that were used under another name; empty if there are none.

    ``taken`` holds (name, name in the release) of each.
    """
    return [Renamed(split, folder, *counted_code(len(taken), "file", *taken[0]))] if taken else []


def _split(name: str) -> tuple[str, str]:
    """Split a name into stem and ending, with the ending's dot."""
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if dot else (name, "")
