"""Lists of a dataset: which images a split has, one a line, in the split's order.

A wrong line is a problem of the list; the lines that are right are still used. A line that is not as released and has
one meaning (``images/0011.jpg`` for ``0011.jpg``, an id alone, blanks around it, an empty line) is taken; a remark says
so.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from mhpdata.errors import SKIP, FolderError
from mhpdata.faults import Renamed, counted_code
from mhpdata.source.entry import Found, Listing, Problem
from mhpdata.source.files import Refused, names_alike, read_file
from mhpdata.source.names import Folders

MAX_BYTES = 1 << 22
"""Longer lists are refused unread: 4 MiB, half a million names."""

MAX_WRONG = 1000
"""A list with more wrong lines is none."""

_NEARLY = re.compile(r"(?:(.*)/)?([0-9]{1,9})(?:\.(?:jpe?g|png|bmp|gif|webp))?", re.ASCII | re.IGNORECASE)
"""Folder, id and ending of a line that is not as released."""

_LINE = f"Correct or delete the line; to pack without it, pass {SKIP}."
_LIST = "Extract the archive again, or save your own list as plain text, one image per line."


@dataclass(frozen=True)
class Lines:
    """Describe the lines of a list.

    Attributes:
        example: a line, for errors.
        ending: that a line has after the id, as released.
        photos: the folder of the images, below the source folder.
    """

    example: str
    ending: str
    photos: str

    def id_of(self, line: str) -> str | None:
        """The id of the image that a line names; None where it names none, or not one alone."""
        match = _NEARLY.fullmatch(line.strip(" \t").replace("\\", "/"))
        return match[2] if match and (match[1] is None or self._are_photos(match[1])) else None

    def _are_photos(self, folder: str) -> bool:
        """Whether a line's folder is that of the images, from the source folder or a folder above it on."""
        parts = [part.casefold() for part in folder.split("/") if part != "."]
        photos = self.photos.casefold().split("/")
        known = min(len(parts), len(photos))
        return not {"", ".."} & set(parts) and parts[len(parts) - known :] == photos[len(photos) - known :]


def read_ids(
    folders: Folders,
    there: Found,
    place: str,
    lines: Lines,
    listing: Listing,
    split: str = "",
    taken: dict[str, str] | None = None,
    leave: Set[str] = frozenset(),
) -> list[str]:
    """The ids of one list in its order.

    Args:
        folders: of the download.
        there: the names in the list's folder.
        place: the list, below the source folder.
        lines: what its lines are.
        listing: takes what is wrong and what is taken under another name.
        split: that the list is of; "" where what is wrong with it concerns every split.
        taken: ids that other lists have, and where: an id is taken once, by the first list.
        leave: ids to pass over.

    Raises:
        FolderError: the list must not be read, is not text, or has more than MAX_WRONG wrong lines.
    """
    taken = {} if taken is None else taken
    names: list[str] = []
    odd: list[tuple[int, str, str]] = []
    empty: list[int] = []
    wrong = 0
    for number, line in enumerate(_read_lines(folders, there, place, lines.example, listing, split), 1):
        if not line.strip(" \t"):
            empty.append(number)
            continue
        id, here = lines.id_of(line), f"{place} line {number}"
        if id is None:
            name = line[:80]
            error = FolderError(here, repr(name), lines.example, _LINE, fault=("list-line",))
        elif id in leave:
            continue
        elif id in taken:
            name, again = id, f"{id}{lines.ending} again"
            expected = f"one mention ({taken[id]} has it)"
            error = FolderError(here, again, expected, _LINE, fault=("list-repeat", id))
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


def _read_lines(folders: Folders, found: Found, place: str, example: str, listing: Listing, split: str) -> list[str]:
    """The lines of a list; a missing list is a problem and has none."""
    name = place.rpartition("/")[2]
    file = found.get(name)
    if file is None:
        remedy = (
            f"Extract the archive again; to pack without its images, pass --split for each other split, and {SKIP}."
        )
        if alike := names_alike(found, name):
            remedy = f"{alike[0]} is there: rename it to {name}."
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
        remedy = f"Extract the archive again; to ignore the CR characters, pass {SKIP}."
        error = FolderError(place, "lines end with CR LF", "LF, as released", remedy, fault=("list-crlf",))
        listing.problems.append(Problem(split, place, error, entry=False))
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n") if text else []
