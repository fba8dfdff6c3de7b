"""Recognise the files that mhp wrote in an output folder, by name and content; no others are deleted.

An output folder may contain anything: a link to another folder, a user's own file under a name that mhp uses. A link is
never mhp's and never followed: mhp neither reads, writes nor deletes through it. The caller decides which names and
contents are mhp's; any other file in the way raises an OutputError that names it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from mhpdata.errors import OutputError
from mhpdata.filesystem.descriptors import open_descriptor, open_file

_HEAD = 4096


def head(path: Path, count: int = _HEAD) -> bytes | None:
    """Return up to ``count`` bytes from the start of a regular file; None for links, other file types, missing files.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with os.fdopen(open_descriptor(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(count)
    except FileNotFoundError:
        return None


def begins(path: Path, *starts: bytes) -> bool:
    """Return whether a regular file begins with one of ``starts``, or with less of it if a kill has truncated it."""
    start = head(path, max(map(len, starts)))
    return start is not None and any(one.startswith(start) or start.startswith(one) for one in starts)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def in_the_way(path: Path, advice: str = "or pass another path for the output") -> OutputError:
    """Return the error for a path that mhp would write or delete but did not create.

    Args:
        path: The path.
        advice: The alternative to moving it elsewhere, which completes "Move ... elsewhere, ...".
    """
    found = "was not written by mhp, so mhp does not replace it"
    if path.is_symlink():
        found = f"is a link to {path.readlink()}, which mhp neither follows nor replaces"
    return OutputError(path, found, "", f"Move {path} elsewhere, {advice}; then run the same command again.")


def create(path: Path, mode: str = "xb", **options: Any) -> IO[Any]:
    """Create a file for writing; replace a regular file of this name that a killed process may have left.

    An existing file is unlinked, never written to: it may be a hard link to a file elsewhere.

    Args:
        path: A name that mhp gives to unfinished files.
        mode: Mode as for ``open``, with "x" in it.
        **options: Further arguments of ``open``.

    Raises:
        OutputError: A link, folder or other special file has this name.
        OSError: The system refuses to create it.
    """
    clear(path)
    return open_file(path, mode, **options)


def clear(path: Path) -> None:
    """Remove a regular file that a killed process may have left under this name, before a library writes there.

    Raises:
        OutputError: A link, folder or other special file has this name.
        OSError: The system refuses to remove it.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise in_the_way(path)
        path.unlink()
    except FileNotFoundError:
        return


def check_folder(folder: Path, is_ours: Callable[[Path], bool], advice: str) -> list[Path]:
    """List the paths in a folder after checking that mhp wrote them all; empty if there is no such folder.

    Args:
        folder: The folder that mhp would empty.
        is_ours: Returns whether mhp writes files of this name and content; links are refused without calling it.
        advice: As for ``in_the_way``.

    Raises:
        OutputError: The folder is a link or not a folder, or holds a file that is not mhp's.
        OSError: The folder cannot be listed.
    """
    if not os.path.lexists(folder):
        return []
    if not is_folder(folder):
        raise in_the_way(folder, advice)
    held = sorted(folder.iterdir())
    for path in held:
        if path.is_symlink() or not is_ours(path):
            raise in_the_way(path, advice)
    return held


def remove(folder: Path, files: Iterable[Path]) -> None:
    """Remove files of mhp's from a folder, then the folder if it is empty."""
    for path in files:
        path.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:  # new files have appeared in it, or it is gone: leave it as it is
        return
