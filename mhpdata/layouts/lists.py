"""Lists of a dataset: which images a split has, one a line, in the split's order.

A wrong line is a problem of the list; the lines that are right are still used.
"""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path

from mhpdata.errors import SKIP, FolderError
from mhpdata.layouts.entry import Found, Problem
from mhpdata.source import Refused, SourceFile, read_file

MAX_BYTES = 1 << 22
"""Longer lists are refused unread: 4 MiB, half a million names."""

MAX_WRONG = 1000
"""A list with more wrong lines is none."""

_LINE = f"Correct the line, or delete it; to keep the list as it is, let mhp-pack pass over the line: {SKIP}."
_LIST = "Extract the archive again; a list of your own save as plain text, a line an image."


def read_ids(
    root: Path,
    found: Found,
    place: str,
    line_of: re.Pattern[str],
    example: str,
    problems: list[Problem],
    split: str = "",
    taken: dict[str, str] | None = None,
    leave: Set[str] = frozenset(),
) -> list[str]:
    """The ids of one list in its order.

    Args:
        root: the source folder.
        found: the names in the list's folder, by ``scan_folder``.
        place: the list, below the source folder.
        line_of: what a line is; its first group is the id.
        example: such a line, for errors.
        problems: takes what is wrong.
        split: that the list is of; "" where what is wrong with it concerns every split.
        taken: ids that other lists have, and where: an id is taken once, by the first list.
        leave: ids to pass over.

    Raises:
        FolderError: the list must not be read, is not text, or has more than MAX_WRONG wrong lines.
    """
    taken = {} if taken is None else taken
    names: list[str] = []
    wrong = 0
    for number, line in enumerate(_lines(root, found, place, example, problems, split), 1):
        match = line_of.fullmatch(line)
        here = f"{place} line {number}"
        if match is None:
            name, error = line[:80], FolderError(here, repr(line[:80]), example, _LINE)
        elif match[1] in leave:
            continue
        elif match[1] in taken:
            name = match[1]
            error = FolderError(here, f"{line} again", f"one mention ({taken[name]} has it)", _LINE)
        else:
            taken[match[1]] = here
            names.append(match[1])
            continue
        if wrong == MAX_WRONG:
            raise FolderError(here, f"{wrong} lines before it are wrong, too", example, _LIST)
        wrong += 1
        problems.append(Problem(split, name, error, entry=False))
    return names


def _lines(root: Path, found: Found, place: str, example: str, problems: list[Problem], split: str) -> list[str]:
    """The lines of a list; a missing list is a problem and has none."""
    file = found.get(place.rpartition("/")[2])
    if file is None:
        remedy = f"Extract the archive again; if that does not help, let mhp-pack leave out its images: {SKIP}."
        error = FolderError(place, "missing", "a list of the release", remedy)
        problems.append(Problem(split, place, error, entry=False))
        return []
    if isinstance(file, Refused):
        raise FolderError(file.path, file.reason, "a text file", f"Put a plain file in its place, no link. {_LIST}")
    text = _text(root, file, example)
    if "\r" in text:
        remedy = f"Extract the archive again; to keep this list, let mhp-pack pass over the CR characters: {SKIP}."
        error = FolderError(place, "lines end with CR LF", "LF, as released", remedy)
        problems.append(Problem(split, place, error, entry=False))
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n") if text else []


def _text(root: Path, file: SourceFile, example: str) -> str:
    try:
        return read_file(root, file, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise FolderError(file.path, "is not text", f"{example} on each line", _LIST) from cause
