"""Files of the download: list each folder once, and read only files that are unchanged since then.

A download is untrusted. A symbolic link out of the source folder, anything that is not a regular file (a FIFO would
hang, a device would never end) and a file that changed after the scan are errors, and are not read.

A file is unchanged if its device, inode, size and modification time are the same. The scan resolves links within the
source folder; when a file is read, no link is followed, so a link created after the scan is an error. With
``follow_links``, links may lead anywhere, but must still lead to the same file.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

from mhpdata.errors import FolderError, SourceChangedError, UnreadableError
from mhpdata.faults import CHANGED, UNREADABLE
from mhpdata.filesystem.descriptors import open_descriptor
from mhpdata.source.remote import RemoteFolder, Root, missing_folder
from mhpdata.source.source_file import Refused, SourceFile
from mhpdata.wording import is_no_file, printable, to_read, unread, why

MAX_FILE_BYTES = 1 << 28
"""Maximum size of a file that is read: 256 MiB, several times that of MAX_PIXELS raw pixels (mhpdata.images.size)."""
FOLLOW = "--follow-links (in Python: follow_links=True)"
"""How to make a command, or a function, follow links out of the source folder."""
_FOLLOW_FILE = f"Replace it with the file, or pass {FOLLOW}, if you trust the target."
_FETCH = "Fetch the file that the link leads to (git annex get, dvc pull), or replace the link with a regular file."
_DISK = (
    "Run the command again. If it fails again, the disk may be failing (dmesg lists its errors): extract the archive "
    "to another disk."
)
"""Remedy for a file that the system fails to read."""
_TRAVERSE = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY
"""Flags for a folder on the path to a file: with O_PATH, permission to enter it is enough."""
_LIST = os.O_RDONLY | os.O_DIRECTORY
_READ = os.O_RDONLY | os.O_NONBLOCK
"""Flags to list a folder and to read a file; O_NONBLOCK, as a FIFO put in the file's place would wait for a writer."""


def scan_folder(root: Root, folder: str = "", follow_links: bool = False) -> dict[str, SourceFile | Refused]:
    """Return the files in one folder of the source by name, from one directory scan; sub-folders are left out.

    Args:
        root: The source folder.
        folder: Path of the folder relative to it; '' for the source folder itself.
        follow_links: Whether to follow links out of the source folder as well.

    Raises:
        FolderError: The folder is missing, unreadable, or outside the source folder.
        RemoteError: A folder in object storage cannot be listed.
    """
    if isinstance(root, RemoteFolder):
        return _scan_objects(root, folder)
    path = root / folder
    real = None if follow_links else _real(path, root)
    if not follow_links and real is None:
        remedy = _how_to_replace(root, folder)
        found = f"leads to {printable(_resolved(path))}, outside --src"
        raise FolderError(folder, found, "a folder", remedy, fault=("refused",)) from _not_followed()
    files: dict[str, SourceFile | Refused] = {}
    try:
        path.stat()  # raises the system's own error if the folder is missing
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
            remedy = f"Pass as --src the folder that contains {folder}; if SRC/ is that one, extract the archive again."
            if alike := _names_like(path):
                remedy = f"Rename SRC/{Path(folder).with_name(alike[0])} to {path.name}."
        expected = "a folder as extracted from the archive"
        raise FolderError(folder or ".", "no such folder", expected, remedy, fault=("missing",)) from error
    except OSError as error:
        remedy = to_read(error, f"SRC/{folder}", _DISK)
        found = f"cannot be listed ({why(error)})"
        raise FolderError(folder or ".", found, "", remedy, fault=(UNREADABLE,)) from error
    return files


def _scan_objects(root: RemoteFolder, folder: str) -> dict[str, SourceFile | Refused]:
    files = root.files(folder)
    if not files and not root.level(folder).folders:
        above, _, name = folder.rpartition("/")
        raise missing_folder(folder, names_alike(root.level(above).folders, name) if folder else [])
    return dict(files)


def is_there(root: Root, path: str) -> bool:
    """Return whether the source folder has a file or folder of this path."""
    return root.has(path) if isinstance(root, RemoteFolder) else (root / path).exists()


def has_folder(root: Root, path: str) -> bool:
    """Return whether the source folder has a folder of this path."""
    return root.has_folder(path) if isinstance(root, RemoteFolder) else (root / path).is_dir()


def _not_followed() -> OSError:
    """Return the cause of a refused link: EPERM, which counts as a reason outside the data (is_outside), because the
    link's target may be intact."""
    return OSError(errno.EPERM, "links out of the source folder are not followed")


def _look_at(root: Path, place: str, folder: str | None, entry: os.DirEntry[str]) -> SourceFile | Refused | None:
    """Return the file or refused path of an entry in ``folder`` (resolved; None to follow links); None for a folder."""
    real = None if folder is None else f"{folder}/{entry.name}"
    link = entry.is_symlink()
    if link and folder is not None and (real := _real(root / place, root)) is None:
        target = printable(_resolved(root / place))
        return Refused(place, f"is a link to {target}, outside --src", _FOLLOW_FILE, _not_followed())
    try:
        info = entry.stat(follow_symlinks=link)
    except FileNotFoundError:
        return Refused(place, f"is a link to {printable(_resolved(root / place))}, which is missing", _FETCH)
    except OSError as error:
        return Refused(place, f"cannot be inspected ({why(error)})", cause=error)
    if stat.S_ISDIR(info.st_mode):
        return None
    if not stat.S_ISREG(info.st_mode):
        return Refused(place, "is neither a file nor a folder")
    return SourceFile(place, info.st_size, info.st_mtime_ns, info.st_dev, info.st_ino, real)


def names_alike(names: Iterable[str], wanted: str) -> list[str]:
    """Return the names that differ from the wanted one only in case."""
    return sorted(name for name in names if name != wanted and name.casefold() == wanted.casefold())


def _names_like(path: Path) -> list[str]:
    """Return the names beside a missing folder that differ from its own only in case."""
    try:
        return names_alike([sibling.name for sibling in path.parent.iterdir()], path.name)
    except OSError:
        return []


def _how_to_replace(root: Path, folder: str) -> str:
    """Return the remedy for a folder outside the source folder, which names the link that leads there."""
    names = Path(folder).parts
    for link in (Path(*names[: n + 1]) for n in range(len(names))):
        if (root / link).is_symlink() and _real(root / link, root) is None:
            target = _resolved(root / link)
            copy = f"Delete the link SRC/{link} and copy the folder there (cp -r {shlex.quote(target)} SRC/{link})"
            return f"{copy}, or pass {FOLLOW}, if you trust the target."
    return "Pass as --src the folder that this one is in, or extract the archive again."


def _real(path: Path, root: Path) -> str | None:
    """Return a path, links resolved but for loops, relative to the source folder; None if it leads out of it."""
    real, base = Path(_resolved(path)), _resolved(root)
    return str(real.relative_to(base)) if real.is_relative_to(base) else None


def _resolved(path: Path) -> str:
    """Return a path with its links resolved; unresolved if a link changes meanwhile, which is not followed later."""
    try:
        return os.path.realpath(path)
    except OSError:
        return str(path.absolute())


def _open_below(root: Path, path: str, flags: int) -> int:
    """Open a file or folder below the source folder without following links; return its descriptor.

    Raises:
        OSError: It cannot be opened; ELOOP or ENOTDIR if there may be a link on the path.
    """
    *folders, last = path.split("/")
    here = open_descriptor(root, _TRAVERSE)
    try:
        for folder in folders:
            inner = open_descriptor(folder, _TRAVERSE | os.O_NOFOLLOW, here)
            outer, here = here, inner  # before the close: after an interrupt in it, ``finally`` must not close it again
            os.close(outer)
        return open_descriptor(last, flags | os.O_NOFOLLOW, here)
    finally:
        os.close(here)


def read_file(root: Root, file: SourceFile, most: int = MAX_FILE_BYTES) -> bytes:
    """Return the bytes of a file that is unchanged since the scan.

    Raises:
        SourceChangedError: The file is missing or replaced, or its size or modification time has changed.
        UnreadableError: The system refuses to read it.
        FolderError: It is larger than ``most`` bytes.
        RemoteError: An object cannot be read.
    """
    if file.size > most:
        found, fault = f"has {file.size} bytes", ("file-too-large", file.size)
        raise FolderError(file.path, found, f"at most {most}", "Extract the archive again.", fault=fault)
    if isinstance(root, RemoteFolder):
        return root.read(file)
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
            found = "the file or its folder was replaced by a link after the command began"
            remedy = f"Put a regular file at {here}. Then run the command again."
            expected = "the file that was listed"
            raise SourceChangedError(file.path, found, expected, remedy, fault=(CHANGED,)) from error
        remedy = to_read(error, here, _DISK)
        if is_no_file(error):
            remedy = f"Move the folder, pipe or device at {here} away, and extract the archive again."
        found = unread(error)
        raise UnreadableError(file.path, found, "", remedy, fault=(UNREADABLE,)) from error
    if data is None:
        expected = f"the file that was listed, with {file.size} bytes"
        remedy = f"{wait}; otherwise stop the program that writes to {here}. Then run the command again."
        found = "changed after the command began"
        raise SourceChangedError(file.path, found, expected, remedy, fault=(CHANGED,))
    return data


def _read(descriptor: int, file: SourceFile) -> bytes | None:
    """Return all bytes of an open file; None if it differs from ``file`` before or after reading."""
    if not file.is_still(os.fstat(descriptor)):
        return None  # without reading: it may be a pipe or a device
    data = os.read(descriptor, file.size + 1)
    while 0 < len(data) < file.size and (more := os.read(descriptor, file.size + 1 - len(data))):
        data += more  # some network file systems return less than requested
    return data if len(data) == file.size and file.is_still(os.fstat(descriptor)) else None
