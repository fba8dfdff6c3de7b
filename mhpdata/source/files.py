"""Files of the download: found by one scan a folder, read once, and never anything but the file that was found.

A download is untrusted. A name that leads out of the source folder (a symbolic link), anything that is not a regular
file (a FIFO would hang, a device would never end) and a file that changed after the scan are errors, never read.

A file is the one that was found if its device, inode, size and time of change are the same. No link is followed on the
way to it: the scan resolves a link within the source folder, and one that is put in the way later is an error. With
``follow_links`` links may lead anywhere, and what they lead to must still be the same file.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mhpdata.errors import EXTRACT_AGAIN, FolderError, SourceChangedError, UnreadableError, caused
from mhpdata.faults import CHANGED, UNREADABLE
from mhpdata.filesystem.descriptors import open_descriptor
from mhpdata.wording import is_no_file, to_read, why

MAX_FILE_BYTES = 1 << 28
"""Larger files are refused unread: 256 MiB, several times what MAX_PIXELS raw pixels take (mhpdata.images.size)."""
FOLLOW = "--follow-links, in Python follow_links=True"
"""How a command, and a function, is told to follow links out of the source folder."""
_FOLLOW_FILE = f"Pass {FOLLOW}, to follow the link, or replace the link with a regular file."
_FETCH = "Fetch the file that the link leads to (git annex get, dvc pull), or replace the link with a regular file."
_PLAIN_FILE = f"Put a regular file in its place. {EXTRACT_AGAIN}"
_DISK = "Check the disk (dmesg lists its errors), or extract the archive on another disk; then run the command again."
"""What to do about a file that the system does not give."""
_ON_THE_WAY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY
"""How a folder is opened that is only passed through: with O_PATH, permission to enter it is enough."""
_LIST = os.O_RDONLY | os.O_DIRECTORY
_READ = os.O_RDONLY | os.O_NONBLOCK
"""How a folder is listed and a file read: a FIFO put in the file's place must not make us wait for a writer."""
_LINK_OUT = "a link out of the source folder"


@dataclass(frozen=True)
class SourceFile:
    """A regular file as the scan found it.

    Attributes:
        path: below the source folder, '/' between parts.
        size, mtime_ns: bytes, and the time of change.
        device, inode: which file it is.
        real: the path below the source folder with its links resolved, on which no link may lie when the file is read;
            None where links are followed.
    """

    path: str
    size: int
    mtime_ns: int
    device: int
    inode: int
    real: str | None

    def is_still(self, state: os.stat_result) -> bool:
        """Whether an open file is this one, as it was."""
        found = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
        return found == (self.device, self.inode, self.size, self.mtime_ns)


@dataclass(frozen=True)
class Refused:
    """A name in the folder that must not be read, why, and what to do about it; ``cause`` is what the system said."""

    path: str
    reason: str
    remedy: str = _PLAIN_FILE
    cause: OSError | None = None

    def error(self, expected: str = "a regular file") -> FolderError:
        """Return the error of whoever has to read this file; ``expected`` is what should be there."""
        return caused(FolderError(self.path, self.reason, expected, self.remedy, fault=("refused",)), self.cause)


def scan_folder(root: Path, folder: str = "", follow_links: bool = False) -> dict[str, SourceFile | Refused]:
    """All names in one folder of the source, by one directory scan; sub-folders are left out.

    Args:
        root: the source folder.
        folder: the folder below it, '' for the source folder itself.
        follow_links: follow links out of the source folder, too.

    Raises:
        FolderError: the folder is missing, unreadable, or lies outside the source folder.
    """
    path = root / folder
    real = None if follow_links else _real(path, root)
    if not follow_links and real is None:
        remedy = _how_to_replace(root, folder)
        raise FolderError(folder, _LINK_OUT, "a folder", remedy, fault=("refused",)) from _not_followed()
    files: dict[str, SourceFile | Refused] = {}
    try:
        path.stat()  # of a folder that is missing, the system's own reason
        descriptor = open_descriptor(path, _LIST) if real is None else _open_below(root, real, _LIST)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    place = f"{folder}/{entry.name}" if folder else entry.name
                    file = _look_at(root, place, real, entry)
                    if file is not None:
                        files[entry.name] = file
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError) as error:
        remedy = "Pass the folder of the download, such as LV-MHP-v1."
        if folder:
            remedy = f"Pass as --src the folder that holds {folder}; if SRC/ is that one, extract the archive again."
            if alike := _names_like(path):
                remedy = f"Rename SRC/{Path(folder).with_name(alike[0])} to {path.name}."
        expected = "a folder as extracted from the archive"
        raise FolderError(folder or ".", "folder not found", expected, remedy, fault=("missing",)) from error
    except OSError as error:
        remedy = to_read(error, f"SRC/{folder}", _DISK)
        found = f"cannot be listed ({why(error)})"
        raise FolderError(folder or ".", found, "", remedy, fault=(UNREADABLE,)) from error
    return files


def _not_followed() -> OSError:
    """Why a link out of the source folder is refused: nobody allowed it. What it leads to may be whole, so this is no
    verdict on the data."""
    return OSError(errno.EPERM, "links out of the source folder are not followed")


def _look_at(root: Path, place: str, folder: str | None, entry: os.DirEntry[str]) -> SourceFile | Refused | None:
    """Return what a name is; None for a folder. ``folder`` is the real path of its folder; None to follow links."""
    real = None if folder is None else f"{folder}/{entry.name}"
    link = entry.is_symlink()
    if link and folder is not None and (real := _real(root / place, root)) is None:
        return Refused(place, _LINK_OUT, _FOLLOW_FILE, _not_followed())
    try:
        info = entry.stat(follow_symlinks=link)
    except FileNotFoundError as error:
        return Refused(place, f"a link to nothing ({why(error)})", _FETCH)
    except OSError as error:
        return Refused(place, f"cannot be inspected ({why(error)})", cause=error)
    if stat.S_ISDIR(info.st_mode):
        return None
    if not stat.S_ISREG(info.st_mode):
        return Refused(place, "neither a file nor a folder")
    return SourceFile(place, info.st_size, info.st_mtime_ns, info.st_dev, info.st_ino, real)


def names_alike(names: Iterable[str], wanted: str) -> list[str]:
    """The names that differ from the wanted one only by upper and lower case."""
    return sorted(name for name in names if name != wanted and name.casefold() == wanted.casefold())


def _names_like(path: Path) -> list[str]:
    """Names beside a missing folder that are nearly its own."""
    try:
        return names_alike([beside.name for beside in path.parent.iterdir()], path.name)
    except OSError:
        return []


def _how_to_replace(root: Path, folder: str) -> str:
    """What to do about a folder that lies outside the source folder: which link leads there."""
    parts = Path(folder).parts
    for part in (Path(*parts[: n + 1]) for n in range(len(parts))):
        if (root / part).is_symlink() and _real(root / part, root) is None:
            target = _resolved(root / part)
            copy = f"delete the link SRC/{part}, then copy the folder there: cp -r {shlex.quote(target)} SRC/{part}"
            return f"Pass {FOLLOW}, to follow the link, or {copy}."
    return "Pass as --src the folder that this one is in, or extract the archive again."


def _real(path: Path, root: Path) -> str | None:
    """A path within the source folder from there on, its links resolved; None where it leads out of it.

    A loop of links ends as it stands.
    """
    real, base = Path(_resolved(path)), _resolved(root)
    return str(real.relative_to(base)) if real.is_relative_to(base) else None


def _resolved(path: Path) -> str:
    """A path with its links resolved; as it stands where a link is replaced just now, which is not followed then."""
    try:
        return os.path.realpath(path)
    except OSError:
        return str(path.absolute())


def _open_below(root: Path, path: str, flags: int) -> int:
    """The descriptor of a file or folder below the source folder, to which no link leads.

    Raises:
        OSError: it cannot be opened; with ELOOP or ENOTDIR a link may lie on the way.
    """
    *folders, last = path.split("/")
    here = open_descriptor(root, _ON_THE_WAY)
    try:
        for folder in folders:
            inner = open_descriptor(folder, _ON_THE_WAY | os.O_NOFOLLOW, here)
            outer, here = here, inner  # before the close: an interrupt in it must not make us close again below
            os.close(outer)
        return open_descriptor(last, flags | os.O_NOFOLLOW, here)
    finally:
        os.close(here)


def read_file(root: Path, file: SourceFile, most: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a file, which must still be the one that the scan found.

    Raises:
        SourceChangedError: it is gone, is another file, or its size or time of change is another.
        UnreadableError: the system does not let us read it.
        FolderError: it is larger than ``most`` bytes.
    """
    if file.size > most:
        found, fault = f"has {file.size} bytes", ("file-too-large", file.size)
        raise FolderError(file.path, found, f"at most {most}", "Extract the archive again.", fault=fault)
    here = f"SRC/{file.path}"
    wait = "If a download or extraction is still running, wait until it ends"
    try:
        if file.real is None:
            descriptor = open_descriptor(root / file.path, _READ)
        else:
            descriptor = _open_below(root, file.real, _READ)
        try:
            data = _read(descriptor, file)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        remedy = f"{wait}; otherwise put {here} back (extract the archive again). Then run the command again."
        found, expected = "was deleted after the command began", "the file that was listed"
        raise SourceChangedError(file.path, found, expected, remedy, fault=(CHANGED,)) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            found = "it or its folder was replaced by a link after the command began"
            remedy = f"Put a regular file at {here}. Then run the command again."
            expected = "the file that was listed"
            raise SourceChangedError(file.path, found, expected, remedy, fault=(CHANGED,)) from error
        remedy = to_read(error, here, _DISK)
        if is_no_file(error):
            remedy = f"Move the folder, pipe or device at {here} away, and extract the archive again."
        found = f"cannot be read ({why(error)})"
        raise UnreadableError(file.path, found, "", remedy, fault=(UNREADABLE,)) from error
    if data is None:
        expected = f"the file that was listed, {file.size} bytes, untouched"
        remedy = f"{wait}; otherwise stop the program that writes to {here}. Then run the command again."
        found = "changed after the command began"
        raise SourceChangedError(file.path, found, expected, remedy, fault=(CHANGED,))
    return data


def _read(descriptor: int, file: SourceFile) -> bytes | None:
    """All bytes of an open file; None where it is not the file that was found, before or after reading."""
    if not file.is_still(os.fstat(descriptor)):
        return None  # nothing is read of it: it may be a pipe or a device
    data = os.read(descriptor, file.size + 1)
    while 0 < len(data) < file.size and (more := os.read(descriptor, file.size + 1 - len(data))):
        data += more  # some network file systems hand out less than was asked for
    return data if len(data) == file.size and file.is_still(os.fstat(descriptor)) else None
