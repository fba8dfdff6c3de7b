"""Files of a folder by id; names that are nearly those of the release.

::

    0001.jpg                    as released
    0001.JPG, 0001.png          taken for 0001.jpg where that is missing and only one file can be meant, with a remark
    0001.jpeg and 0001.png      beside no 0001.jpg: an error that names both
    1.jpg, 0001.jpg.part        never taken: the error about a missing 0001.jpg names them
    ._0001.jpg                  what macOS adds to archives: left out of every folder, one remark for all
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from mhpdata.errors import EXTRACT_AGAIN, FolderError
from mhpdata.faults import Renamed, counted_code
from mhpdata.source.entry import Found
from mhpdata.source.files import Refused, SourceFile, scan_folder
from mhpdata.wording import counted

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
"""Endings that a photo may have, the released one first: the content says what it is."""
PNG_ENDINGS = (".png",)
_NUMBER = re.compile("[0-9]+", re.ASCII)
_SHOWN = 3


class Folders:
    """The folders of a download.

    Attributes:
        root: the source folder.
        follow_links: links out of it are followed.
        macos: paths of the files that macOS added to the folders listed so far.
    """

    def __init__(self, root: Path, follow_links: bool = False) -> None:
        self.root, self.follow_links = root, follow_links
        self.macos: list[str] = []

    def list(self, folder: str = "") -> Found:
        """The names in a folder, by ``scan_folder``, without what macOS added."""
        found = scan_folder(self.root, folder, self.follow_links)
        added = sorted(name for name in found if name.startswith("._"))
        self.macos += [f"{folder}/{name}" if folder else name for name in added]
        return {name: file for name, file in found.items() if not name.startswith("._")} if added else found

    def remarks(self) -> Iterable[str]:
        """Yield the remarks on the folders that were listed."""
        if self.macos:
            yield f"{counted(len(self.macos), 'file')} that macOS added, such as {self.macos[0]}: not read"


class Files:
    """The files of a folder, one an id.

    Args:
        found: the names in the folder.
        folder: its path below the source folder.
        endings: of the names, lower case, the released one first.
        listed: the ids that lists name.
    """

    def __init__(self, found: Found, folder: str, endings: tuple[str, ...], listed: Collection[str]) -> None:
        self._found, self._folder, self._ending, self._listed = found, folder, endings[0], listed
        self._near: dict[str, list[str]] = defaultdict(list)
        for name in found:
            stem, ending = _split(name)
            if ending != endings[0] and ending.lower() in endings:
                self._near[stem].append(name)
        self._taken: dict[str, tuple[str, str]] = {}
        self._others: OtherNames | None = None

    def find(self, id: str, expected: str) -> SourceFile:
        """The file of an id.

        Args:
            id: of the image.
            expected: what the file is, for the error.

        Raises:
            FolderError: it is missing, is one of several, or must not be read.
        """
        wanted = f"{id}{self._ending}"
        file = self._found.get(wanted)
        if file is None:
            near = sorted(self._near.get(id, ()))
            if len(near) != 1:
                hint = is_there(self._folder, near or self._other_names(id), wanted)
                here = f"{self._folder}/{wanted}"
                raise FolderError(here, "missing", expected, f"{hint}{EXTRACT_AGAIN}", fault=("missing",))
            file = self._found[near[0]]
            self._taken[id] = (near[0], wanted)
        if isinstance(file, Refused):
            raise file.error()
        return file

    def renamed(self, split: str, ids: Iterable[str]) -> list[Renamed]:
        """Which files were taken for those of some ids of a split, in one; nothing where none were."""
        return say_renamed(split, self._folder, [self._taken[id] for id in ids if id in self._taken])

    def unlisted(self) -> list[str]:
        """A remark for each name that is no listed image's."""
        named = {near for near, _ in self._taken.values()}
        return [
            f"{self._folder}/{name}: no list names it"
            for name in sorted(self._found)
            if name not in named and not self._is_named(name)
        ]

    def _is_named(self, name: str) -> bool:
        """Whether a list names the file, or it may be what a list names."""
        stem, ending = _split(name)
        if stem not in self._listed:
            return False
        return ending == self._ending or (name in self._near[stem] and f"{stem}{self._ending}" not in self._found)

    def _other_names(self, id: str) -> list[str]:
        if self._others is None:
            self._others = OtherNames(name for name in self._found if not self._is_named(name))
        return self._others.of(id)


class OtherNames:
    """Names of no listed image, by the first number in them: what an image's file may have been called."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[int, list[str]] = defaultdict(list)
        for name in sorted(names):
            number = _NUMBER.search(name)
            if number:
                self._names[int(number[0])].append(name)

    def of(self, id: str) -> list[str]:
        """Those that have the number of an id."""
        return self._names.get(int(id), [])


def is_there(folder: str, names: list[str], wanted: str) -> str:
    """Return a hint, a sentence before others, that names files which may be the missing one; else nothing."""
    paths = [f"{folder}/{name}" for name in names[:_SHOWN]]
    if not paths:
        return ""
    if len(names) == 1:
        return f"{paths[0]} is there: rename it to {wanted}, if it is this file. "
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{' and '.join(paths)}{more} are there: rename the right one to {wanted}. "


def say_renamed(split: str, folder: str, taken: list[tuple[str, str]]) -> list[Renamed]:
    """All files of a folder that were taken under another name, (name, the release's name) each, in one."""
    return [Renamed(split, folder, *counted_code(len(taken), "file", *taken[0]))] if taken else []


def _split(name: str) -> tuple[str, str]:
    """The name without its ending, and the ending with its dot."""
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if dot else (name, "")
