"""Files of the download: found by one scan a folder, read once, and never anything but the file that was found.

A download is untrusted. A name that leads out of the source folder (a symbolic link), anything that is not a regular
file (a FIFO would hang, a device would never end) and a file that changed after the scan are errors, never read.
"""

from __future__ import annotations

import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from mhpdata.errors import FolderError, SourceChangedError, UnreadableError
from mhpdata.wording import is_no_file, to_read, why

MAX_FILE_BYTES = 1 << 28
"""Larger files are refused unread: 256 MiB, several times what MAX_PIXELS raw pixels take (mhpdata.header)."""
_DISK = "Check the disk (dmesg tells its errors), or extract the archive on another; then run the command again."
"""What to do about a file that the system does not give."""


@dataclass(frozen=True)
class SourceFile:
    """A regular file as the scan found it: path below the source folder ('/' between parts), bytes, time of change."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Refused:
    """A name in the folder that must not be read, and why."""

    path: str
    reason: str


def scan_folder(root: Path, folder: str = "") -> dict[str, SourceFile | Refused]:
    """All names in one folder of the source, by one directory scan; sub-folders are left out.

    Args:
        root: the source folder.
        folder: the folder below it, '' for the source folder itself.

    Raises:
        FolderError: the folder is missing, unreadable, or lies outside the source folder.
    """
    path = root / folder
    if not _is_inside(path, root):
        raise FolderError(folder, "a link out of the source folder", "a folder", _how_to_replace(root, folder))
    found: dict[str, SourceFile | Refused] = {}
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                place = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_symlink() and not _is_inside(Path(entry.path), root):
                    found[entry.name] = Refused(place, "a link out of the source folder")
                    continue
                try:
                    info = entry.stat()
                except OSError as error:
                    found[entry.name] = Refused(place, f"cannot be looked at ({why(error)})")
                    continue
                if stat.S_ISREG(info.st_mode):
                    found[entry.name] = SourceFile(place, info.st_size, info.st_mtime_ns)
                elif not stat.S_ISDIR(info.st_mode):
                    found[entry.name] = Refused(place, "neither a file nor a folder")
    except (FileNotFoundError, NotADirectoryError) as error:
        remedy = "Pass the folder of the download, such as LV-MHP-v1."
        if folder:
            remedy = f"Pass as --src the folder that holds {folder}; if SRC/ is that one, extract the archive again."
        raise FolderError(folder or ".", "no such folder", "a folder as extracted from the archive", remedy) from error
    except OSError as error:
        remedy = to_read(error, f"SRC/{folder}", _DISK)
        raise FolderError(folder or ".", f"cannot be listed ({why(error)})", "", remedy) from error
    return found


def _how_to_replace(root: Path, folder: str) -> str:
    """What to do about a folder that lies outside the source folder: which link leads there."""
    parts = Path(folder).parts
    for part in (Path(*parts[: n + 1]) for n in range(len(parts))):
        if (root / part).is_symlink() and not _is_inside(root / part, root):
            target = os.path.realpath(root / part)
            return f"Delete the link SRC/{part}, then copy the folder there: cp -r {shlex.quote(target)} SRC/{part}."
    return "Pass as --src the folder that this one is in, or extract the archive again."


def _is_inside(path: Path, root: Path) -> bool:
    """Whether a path leads below the source folder once its links are followed; a loop of links ends as it stands."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def read_file(root: Path, file: SourceFile, most: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a file, which must still be the one that the scan found.

    Raises:
        SourceChangedError: it is gone, or its size or time of change is another.
        UnreadableError: the system does not let us read it.
        FolderError: it is larger than ``most`` bytes.
    """
    if file.size > most:
        raise FolderError(file.path, f"has {file.size} bytes", f"at most {most}", "Extract the archive again.")
    here = f"SRC/{file.path}"
    wait = "If a download or extraction is still running, wait for its end"
    try:
        # O_NONBLOCK: a FIFO put in the file's place must not make us wait for a writer.
        descriptor = os.open(f"{root}/{file.path}", os.O_RDONLY | os.O_NONBLOCK)
        try:
            data = os.read(descriptor, file.size + 1)
            while 0 < len(data) < file.size and (more := os.read(descriptor, file.size + 1 - len(data))):
                data += more  # some network file systems hand out less than was asked for
            state = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        remedy = f"{wait}; otherwise put {here} back (extract the archive again). Then run the command again."
        found, expected = "is gone since the command began", "the file that was listed"
        raise SourceChangedError(file.path, found, expected, remedy) from error
    except OSError as error:
        remedy = to_read(error, here, _DISK)
        if is_no_file(error):
            remedy = f"Move away what is at {here}, a folder, pipe or device, and extract the archive again."
        raise UnreadableError(file.path, f"cannot be read ({why(error)})", "", remedy) from error
    if (len(data), state.st_size, state.st_mtime_ns) != (file.size, file.size, file.mtime_ns):
        expected = f"{file.size} bytes, untouched since they were listed"
        remedy = f"{wait}; otherwise end what writes to {here}. Then run the command again."
        raise SourceChangedError(file.path, "has changed since the command began", expected, remedy)
    return data
