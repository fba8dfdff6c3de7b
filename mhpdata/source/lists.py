"""Read the lists of a dataset: the images of a split, one per line, in the split's order.

An invalid line is a problem of the list; the valid lines are still used. A line that differs from the release but is
unambiguous (``images/0011.jpg`` for ``0011.jpg``, an id alone, surrounding blanks, an empty line) is accepted with a
remark.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from mhpdata.errors import SKIP, FolderError
from mhpdata.faults import Renamed, counted_code
from mhpdata.source.entry import Listing, Names, Problem
from mhpdata.source.files import names_alike, read_file
from mhpdata.source.names import Folders
from mhpdata.source.source_file import Refused

MAX_BYTES = 1 << 22
"""Maximum size of a list: 4 MiB, half a million names."""

MAX_WRONG = 1000
"""Maximum number of invalid lines; a file with more is not a list."""

_ID = "[0-9]{1,9}"
_NEARLY = r"(?:(.*)/)?({})(?:\.(?:jpe?g|png|bmp|gif|webp))?"
"""Folder, id and ending of a line that differs from the release."""

_LINE = f"Correct or delete the line. To skip the line, pass {SKIP}."
_CR_LF = (
    f"Convert it (dos2unix), or extract the archive again. {SKIP}, also accepts it, but skips every damaged image, too."
)
_LIST = "Extract the archive again, or save your own list as plain text, one image per line."


@dataclass(frozen=True)
class Lines:
    """Form of the lines of a list.

    Attributes:
        example: Description of a line, for errors.
        ending: Text after the id in the lines of the release.
        images: Path of the folder of the images, relative to the source folder.
        id: Regular expression of an id, without groups.
    """

    example: str
    ending: str
    images: str
    id: str = _ID

    def id_of(self, line: str) -> str | None:
        """Return the id of the image that a line names; None unless it names exactly one."""
        text = line.strip(" \t").replace("\\", "/")
        match = re.fullmatch(_NEARLY.format(self.id), text, re.ASCII | re.IGNORECASE)
        return match[2] if match and (match[1] is None or self._are_images(match[1])) else None

    def _are_images(self, folder: str) -> bool:
        """Return whether a line's folder is the images' folder, relative to the source folder or one above or below."""
        names = [name.casefold() for name in folder.split("/") if name != "."]
        images = self.images.casefold().split("/")
        known = min(len(names), len(images))
        return not {"", ".."} & set(names) and names[len(names) - known :] == images[len(images) - known :]


def _leads_out(line: str) -> bool:
    """Return whether a line is a path that leads out of its folder."""
    path, depth = line.strip(" \t").replace("\\", "/"), 0
    for name in path.split("/"):
        depth += -1 if name == ".." else name not in ("", ".")
        if depth < 0:
            return True
    return path.startswith("/")


def read_ids(
    folders: Folders,
    files: Names,
    place: str,
    lines: Lines,
    listing: Listing,
    split: str = "",
    taken: dict[str, str] | None = None,
    leave: Set[str] = frozenset(),
) -> list[str]:
    """Return the ids of one list in its order.

    Args:
        folders: Folders of the download.
        files: Files in the list's folder by name.
        place: Path of the list, relative to the source folder.
        lines: Form of its lines.
        listing: Receives the problems and accepted deviations.
        split: Split of the list; "" if its problems concern every split.
        taken: Ids of other lists, each with its location; extended. An id belongs to the first list that names it.
        leave: Ids to omit.

    Raises:
        FolderError: The list must not be read, is not text, or has more than MAX_WRONG invalid lines.
    """
    taken = {} if taken is None else taken
    names: list[str] = []
    odd: list[tuple[int, str, str]] = []
    empty: list[int] = []
    wrong = 0
    for number, line in enumerate(_read_lines(folders, files, place, lines.example, listing, split), 1):
        if not line.strip(" \t"):
            empty.append(number)
            continue
        id, here = lines.id_of(line), f"{place} line {number}"
        if id is None:
            name = line[:80]
            found = repr(name) + " leads out of the dataset" * _leads_out(line)
            error = FolderError(here, found, lines.example, _LINE, fault=("list-line",))
        elif id in leave:
            continue
        elif id in taken:
            name, found = id, f"lists {id}{lines.ending}, as {taken[id].removeprefix(f'{place} ')} does"
            error = FolderError(here, found, "each image once", _LINE, fault=("list-repeat", id))
        else:
            taken[id] = here
            names.append(id)
            if line != f"{id}{lines.ending}":
                odd.append((number, line, f"{id}{lines.ending}"))
            continue
        if wrong == MAX_WRONG:
            found, fault = f"{wrong} lines before it are also invalid", ("list-lines", wrong)
            raise FolderError(here, found, lines.example, _LIST, fault=fault)
        wrong += 1
        listing.problems.append(Problem(split, name, error, entry=False))
    if odd:
        number, line, name = odd[0]
        listing.renamed.append(Renamed(split, place, *counted_code(len(odd), "line", number, line[:80], name)))
    if empty:
        listing.renamed.append(Renamed(split, place, *counted_code(len(empty), "empty-line", empty[0])))
    return names


def _read_lines(folders: Folders, files: Names, place: str, example: str, listing: Listing, split: str) -> list[str]:
    """Return the lines of a list; a missing list is added to the problems and has no lines."""
    name = place.rpartition("/")[2]
    file = files.get(name)
    if file is None:
        remedy = (
            f"Extract the archive again. To pack without its images, pass --split for each other split, and {SKIP}."
        )
        if alike := names_alike(files, name):
            remedy = f"Rename {alike[0]} to {name}."
        error = FolderError(place, "missing", "a list of the release", remedy, fault=("missing",))
        listing.problems.append(Problem(split, place, error, entry=False))
        return []
    if isinstance(file, Refused):
        raise file.error("a text file")
    try:
        text = read_file(folders.root, file, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        expected = f"{example} on each line"
        raise FolderError(file.path, "is not text", expected, _LIST, fault=("not-text",)) from cause
    if "\r" in text:
        error = FolderError(place, "Windows line endings (CRLF)", "LF", _CR_LF, fault=("list-crlf",))
        listing.problems.append(Problem(split, place, error, entry=False))
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n") if text else []
