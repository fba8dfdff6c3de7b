"""Find the files of a dataset of one's own by the paths in its label file; each folder is listed once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from mhpdata.errors import WITHOUT, FolderError
from mhpdata.source.entry import Names
from mhpdata.source.names import PHOTO_ENDINGS, Folders
from mhpdata.source.source_file import Refused, SourceFile
from mhpdata.wording import counted

MASKS = "masks"
"""Field of the label file with the path of the masks."""
_PARTS = {"{image}": ".+", "{person}": "[0-9]{1,9}"}
"""Regular expression of each placeholder."""


class Tree:
    """The files below the source folder.

    Args:
        folders: Folders of the source.
        place: Path of the label file, for errors.
    """

    def __init__(self, folders: Folders, place: str) -> None:
        self._folders, self.place = folders, place
        self._listed: dict[str, Names] = {}
        self._keys: dict[str, set[str]] = defaultdict(set)

    def list(self, folder: str, key: str) -> Names:
        """Return the files in a folder by name; ``key`` is the field of the label file that names it.

        Raises:
            FolderError: There is no such folder, or it cannot be listed.
        """
        self._keys[folder].add(key)
        if folder not in self._listed:
            try:
                self._listed[folder] = self._folders.list(folder)
            except FolderError as error:
                if error.fault != ("missing",):
                    raise error.of_own() from error.__cause__
                remedy = f'Create it, or correct "{key}" in {self.place}.'
                found = "no such folder"
                raise FolderError(folder, found, f'the folder of "{key}"', remedy, fault=error.fault) from error
        return self._listed[folder]

    def serves(self, folder: str, key: str) -> bool:
        """Return whether a folder was listed for this field only, so that all its files should be what that names."""
        return self._keys[folder] == {key}

    def file(self, path: str, key: str, what: str, otherwise: str = WITHOUT) -> SourceFile:
        """Return a file.

        Args:
            path: Path relative to the source folder.
            key: Field of the label file that leads to it.
            what: What the file is, for errors.
            otherwise: A further remedy.

        Raises:
            FolderError: It is missing, or must not be read.
        """
        folder, _, name = path.rpartition("/")
        file = self.list(folder, key).get(name)
        if file is None:
            remedy = f'Add the file, or correct "{key}" in {self.place}. {otherwise}'.rstrip()
            raise FolderError(path, "missing", what, remedy, fault=("missing",))
        if isinstance(file, Refused):
            raise file.error(otherwise=otherwise).of_own()
        return file


class Images:
    """The images of a folder by id, the name without its ending.

    Args:
        files: The files of the folder.
        folder: Its path.
    """

    def __init__(self, files: Names, folder: str) -> None:
        self._folder = folder
        self._found: dict[str, list[str]] = defaultdict(list)
        self._files = files
        self.others: list[str] = []
        for name in sorted(files):
            stem, _, ending = name.rpartition(".")
            if stem and f".{ending.lower()}" in PHOTO_ENDINGS and not name.startswith("."):
                self._found[stem].append(name)
            else:
                self.others.append(name)

    @property
    def ids(self) -> list[str]:
        """All ids, sorted."""
        return sorted(self._found)

    def id_of(self, text: str) -> str:
        """Return the id that a line of a list or a file_name means, as far as it can be told."""
        name = text.replace("\\", "/").rpartition("/")[2]
        stem, _, ending = name.rpartition(".")
        return stem if stem and f".{ending.lower()}" in PHOTO_ENDINGS else name

    def find(self, id: str) -> SourceFile:
        """Return the file of an image.

        Raises:
            FolderError: It is missing, ambiguous, or must not be read.
        """
        names = self._found.get(id, [])
        if len(names) != 1 or not id.isprintable():
            found = f"has {' and '.join(names)}" if names else "missing"
            if names and not id.isprintable():
                found = "has a name that cannot be printed"
            remedy = "Add the image, or correct its name where it is listed."
            if len(names) > 1:
                remedy = "Rename or move away one of them."
            place = f"{self._folder}/{id}" if not names else self._folder
            raise FolderError(place, found, "one image of this name", f"{remedy} {WITHOUT}", fault=("missing",))
        file = self._files[names[0]]
        if isinstance(file, Refused):
            raise file.error(otherwise=WITHOUT).of_own()
        return file


class OwnMasks:
    """The masks of persons by a path such as ``masks/{image}_{person}.png``.

    Args:
        tree: The files.
        path: The path, with its split filled in.
    """

    def __init__(self, tree: Tree, path: str) -> None:
        self._tree, self.path = tree, path
        self._by_image: dict[str, dict[str, str]] | None = None
        self._others: dict[str, list[str]] = {}
        self._listed: set[str] = set()

    def expect(self, ids: Iterable[str]) -> None:
        """Note that a split names these images, whether their masks are read or not."""
        self._listed.update(ids)

    def find(self, id: str) -> tuple[SourceFile, ...]:
        """Return the masks of an image, by the numbers of the persons.

        Raises:
            FolderError: There are none, two have the same number, or one must not be read.
        """
        folder, _, name = self.path.rpartition("/")
        if "{image}" in folder:
            folder = folder.replace("{image}", id)
            names = self._match(folder, name.replace("{image}", id)).get("", {})
        else:
            if self._by_image is None:
                self._by_image = self._match(folder, name)
            names = self._by_image.get(id, {})
        if not names:
            example = self.path.replace("{image}", id).replace("{person}", "1")
            expected = f"a mask for each person, such as {example}"
            raise FolderError(
                folder, f"image {id} has no masks", expected, self._restore(folder, id), fault=("no-masks", id)
            )
        numbers = [int(number) for number in names]
        if len(set(numbers)) != len(numbers):
            found = f"image {id} has two masks for one person ({', '.join(sorted(names.values())[:4])})"
            remedy = f"Give each person a number of its own. {WITHOUT}"
            raise FolderError(folder, found, "one mask per person", remedy, fault=("no-masks", id))
        ordered = [names[number] for number in sorted(names, key=int)]
        return tuple(self._tree.file(f"{folder}/{name}", MASKS, "a mask") for name in ordered)

    def remarks(self) -> list[str]:
        """Return a remark on the masks of images that no split names."""
        folder = self.path.rpartition("/")[0]
        others = sorted(set(self._by_image or ()) - self._listed)
        if not others:
            return []
        return [f"{folder}: masks of {counted(len(others), 'image')} in no split, such as {others[0]}"]

    def strays(self) -> list[str]:
        """Return the paths of the files beside the masks, in folders of masks only; ``unfit`` says why none is read."""
        folders = {here: names for here, names in self._others.items() if self._tree.serves(here, MASKS)}
        return [f"{here}/{name}" for here, names in folders.items() for name in names]

    def fits(self, path: str) -> bool:
        """Return whether a path may be that of a mask."""
        return re.fullmatch(_pattern(self.path), path) is not None

    @property
    def unfit(self) -> str:
        """Why a file beside the masks is not read."""
        return f"its name does not fit {self.path} (case counts; {{person}} is a whole number)"

    def _restore(self, folder: str, id: str) -> str:
        """Return the remedy for an image without masks, which names a file that may be one of them."""
        field = f'"folder.masks" in {self._tree.place}'
        others = [name for name in self._others.get(folder, ()) if ending_of(name) in PHOTO_ENDINGS]
        others = others if self._tree.serves(folder, MASKS) else []
        if self._by_image:  # other images have masks
            others = [name for name in others if re.match(rf"{re.escape(id)}(?![0-9A-Za-z])", name)]
        if not others:
            return f"Add its masks, correct {field}, or leave the image out of the splits. {WITHOUT}"
        if ending_of(others[0]) != ".png":
            return f"Masks are PNG files, but {folder}/{others[0]} is not: convert it, or correct {field}. {WITHOUT}"
        return f"{folder}/{others[0]} is not read, as {self.unfit}: rename it, or correct {field}. {WITHOUT}"

    def _match(self, folder: str, name: str) -> dict[str, dict[str, str]]:
        """Return {image: {number of a person: file name}} for the names that match."""
        found: dict[str, dict[str, str]] = defaultdict(dict)
        others = []
        for one in self._tree.list(folder, MASKS):
            if match := re.fullmatch(_pattern(name), one):
                found[match.groupdict().get("image") or ""][match["person"]] = one
            else:
                others.append(one)
        self._others[folder] = sorted(others)
        return found


def _pattern(path: str) -> str:
    """Return the regular expression of the paths that one with placeholders stands for."""
    found, seen = "", set[str]()
    for part in re.split(r"(\{image\}|\{person\})", path):
        name = part[1:-1]
        if part not in _PARTS:
            found += re.escape(part)
        else:
            found += f"(?P={name})" if name in seen else f"(?P<{name}>{_PARTS[part]})"
            seen.add(name)
    return found


def ending_of(name: str) -> str:
    """Return the ending of a name in lower case, with its dot; "" without one."""
    return name[name.rfind(".") :].lower() if "." in name else ""
