"""Tell what mhp wrote in an output folder from what it did not: by name and content. Nothing else is deleted.

An output folder may hold anything: a link to another folder, somebody's own file under a name that mhp uses. A link is
never mhp's, and never followed: neither read, nor written through, nor emptied. Which names and which content are mhp's
is for the caller to say; whatever is in the way and is not mhp's is an OutputError that names it.
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
    """The first bytes of a regular file, at most ``count``; None where the path is anything else, as a link."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with os.fdopen(open_descriptor(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(count)
    except FileNotFoundError:
        return None


def begins(path: Path, *starts: bytes) -> bool:
    """Whether a regular file begins with one of ``starts``, or ends within it, as one that a kill has cut short."""
    start = head(path, max(map(len, starts)))
    return start is not None and any(one.startswith(start) or start.startswith(one) for one in starts)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder itself, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def in_the_way(path: Path, advice: str = "or pass another path for the output") -> OutputError:
    """The error of a thing that mhp did not write where it would write, or delete.

    Args:
        path: of the thing.
        advice: what may be done instead of moving it away.
    """
    found = "was not written by mhp, so mhp does not replace it"
    if path.is_symlink():
        found = f"is a link, to {path.readlink()}, which mhp neither follows nor replaces"
    return OutputError(path, found, "", f"Move {path.name} elsewhere, {advice}; then run the same command again.")


def create(path: Path, mode: str = "xb", **options: Any) -> IO[Any]:
    """A new file to write to, in place of a regular file that a killed process may have left under this name.

    What is there is unlinked, never written to: it may be a hard link to a file elsewhere.

    Args:
        path: a name that mhp gives to files it has not finished.
        mode, options: as of ``open``; ``mode`` holds "x".

    Raises:
        OutputError: a link, a folder or the like is there.
        OSError: the system refuses.
    """
    clear(path)
    return open_file(path, mode, **options)


def clear(path: Path) -> None:
    """Remove a regular file that a killed process may have left under this name, before a library writes it.

    Raises:
        OutputError: a link, a folder or the like is there.
        OSError: the system refuses.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise in_the_way(path)
        path.unlink()
    except FileNotFoundError:
        return


def check_folder(folder: Path, is_ours: Callable[[Path], bool], advice: str) -> list[Path]:
    """List a folder of mhp's, once all that it holds is known to be mhp's; nothing where there is no such folder.

    Args:
        folder: that mhp would empty.
        is_ours: whether a path in it is of a name and content that mhp writes; links are refused without asking.
        advice: as of ``in_the_way``.

    Raises:
        OutputError: the folder is a link or no folder, or holds something that is not mhp's.
        OSError: it cannot be listed.
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
    """Remove these files of a folder, which are mhp's, then the folder if nothing else is in it."""
    for path in files:
        path.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:  # something else has come into it, or it is gone: it stays as it is
        return
