"""A download in object storage: list each of its folders once, and fetch its files, some of them in advance.

::

    entries ── ahead: ask ──> requests, at most HELD bytes ──> read, by the workers ──> drop, when the entry is done

An object is unchanged if its size and ETag are those of the listing; every answer is compared with both. A file that
was not asked for in advance is fetched when it is read.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from mhpdata.address import OBJECT_STORES, Address
from mhpdata.errors import FolderError, NoObjectError, OptionError, RemoteError, SourceChangedError
from mhpdata.faults import CHANGED
from mhpdata.options import Folder, check_folder
from mhpdata.processes.task import Task
from mhpdata.remote.listing import Level, list_level
from mhpdata.remote.requests import stopped, submit
from mhpdata.remote.store import OtherVersionError, Version, read_object
from mhpdata.source.entry import Entry
from mhpdata.source.source_file import SourceFile

HELD = 1 << 28
"""Maximum bytes of files that are fetched in advance, beyond those of the entries that are being converted."""
AHEAD = 16
"""Number of entries whose files are fetched in advance, beyond those that workers have taken."""


class RemoteFolder:
    """A download in object storage, by any number of threads.

    Args:
        address: Its address, s3:// or gs://.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._levels: dict[str, Level] = {}
        self._asked: dict[str, Task[bytes]] = {}
        self._held = 0

    def __str__(self) -> str:
        return str(self.address)

    def level(self, folder: str = "") -> Level:
        """Return what is directly in a folder; empty if it does not exist. Raises RemoteError."""
        with self._lock:
            if folder not in self._levels:
                self._levels[folder] = submit(list_level, self._at(folder), stopped).result()
            return self._levels[folder]

    def has(self, path: str) -> bool:
        """Return whether there is a file or folder of this path."""
        folder, _, name = path.rpartition("/")
        level = self.level(folder)
        return name in level.folders or name in level.objects

    def has_folder(self, path: str) -> bool:
        """Return whether there are files or folders in a folder of this path."""
        folder, _, name = path.rpartition("/")
        return name in self.level(folder).folders

    def files(self, folder: str) -> dict[str, SourceFile]:
        """Return the files in a folder by name.

        Raises:
            RemoteError: It cannot be listed, or the service lists no ETags.
        """
        found = {}
        for name, version in self.level(folder).objects.items():
            path = f"{folder}/{name}" if folder else name
            if not version.tag:
                remedy = "Copy the download to another service, or to a local folder."
                raise RemoteError(self._at(path), "is listed without an ETag, so changes cannot be seen", "", remedy)
            found[name] = SourceFile(path, version.size, 0, 0, 0, "", version.tag)
        return found

    def read(self, file: SourceFile) -> bytes:
        """Return the bytes of a file that is unchanged since it was listed.

        Raises:
            SourceChangedError: The object is missing or has another size or ETag.
            RemoteError: It cannot be read.
        """
        with self._lock:
            task = self._asked.get(file.path)
        return (submit(self._fetch, file) if task is None else task).result()

    def ask(self, files: Sequence[SourceFile], most: int | None = HELD) -> bool:
        """Fetch files in advance; they are kept until they are dropped.

        Args:
            files: The files.
            most: Maximum bytes that may be kept then; None for any.

        Returns:
            Whether they are being fetched.
        """
        with self._lock:
            size = sum(file.size for file in files if file.path not in self._asked)
            if most is not None and self._held + size > most:
                return False
            for file in files:
                if file.path not in self._asked:
                    self._asked[file.path] = submit(self._fetch, file)
                    self._held += file.size
        return True

    def drop(self, files: Iterable[SourceFile]) -> None:
        """Forget files, if they were asked for."""
        with self._lock:
            for file in files:
                if self._asked.pop(file.path, None) is not None:
                    self._held -= file.size

    def clear(self) -> None:
        """Forget all files."""
        with self._lock:
            self._asked.clear()
            self._held = 0

    def _fetch(self, file: SourceFile) -> bytes:
        """Return the bytes of a file; runs on a thread of requests."""
        try:
            return bytes(read_object(self._at(file.path), file.size, stopped, Version(file.size, file.tag)))
        except NoObjectError as error:
            found = "was deleted after the command began"
            raise _changed(file, found, "put it back") from error
        except OtherVersionError:
            raise _changed(file, "was replaced after the command began", "stop the program that writes there") from None

    def _at(self, path: str) -> Address:
        key = "/".join(part for part in (self.address.key, path) if part)
        return Address(self.address.scheme, self.address.store, key)


Root = Path | RemoteFolder
"""Place of a download: a folder on this machine, or in object storage."""


def open_place(name: str, value: str | Folder) -> Folder:
    """Return the path or address that an argument names; object storage can be listed and written, web servers cannot.

    Raises:
        OptionError: The path is empty, or the address is invalid or that of a web server.
    """
    place = check_folder(name, value)
    if isinstance(place, Address) and place.scheme not in OBJECT_STORES:
        found = "an address of a web server, whose files mhp can neither list nor write"
        expected, remedy = (
            "a path, s3://bucket/prefix or gs://bucket/prefix",
            "Copy the data from or to a local folder.",
        )
        raise OptionError(name, found, expected, remedy)
    return place


def open_root(name: str, value: str | Folder) -> Root:
    """Return the download that an argument names. Raises OptionError as ``open_place``."""
    place = open_place(name, value)
    return RemoteFolder(place) if isinstance(place, Address) else place


def missing_folder(folder: str, names: Iterable[str]) -> FolderError:
    """Return the error for a folder without files.

    Args:
        folder: Path of the folder; "" for the download's own.
        names: Names of folders beside it that differ only in case.
    """
    if not folder:
        remedy = "Correct the address: pass that of the folder that has the files of the archive."
        expected = "a dataset as extracted from its archive"
        return FolderError(".", "no object has this address", expected, remedy, fault=("missing",))
    remedy = f"Pass as --src the address that contains {folder}; if SRC/ is that one, upload the download again."
    for name in names:
        remedy = f"Rename the prefix SRC/{Path(folder).with_name(name)} to {Path(folder).name}."
    return FolderError(folder, "no such folder", "a folder as extracted from the archive", remedy, fault=("missing",))


def _changed(file: SourceFile, found: str, what: str) -> SourceChangedError:
    expected = f"the object that was listed, with {file.size} bytes"
    remedy = f"If an upload is still running, wait until it ends; otherwise {what}. Then run the command again."
    return SourceChangedError(file.path, found, expected, remedy, fault=(CHANGED,))


@contextmanager
def held(root: Root, files: Sequence[SourceFile]) -> Iterator[None]:
    """Keep files of a download in memory during the context; those of a folder on this machine need no such help."""
    if isinstance(root, Path):
        yield
        return
    root.ask(files, most=None)
    try:
        yield
    finally:
        root.drop(files)


def ahead(root: RemoteFolder, entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield entries, and fetch the files of the next AHEAD ones meanwhile, as far as HELD allows."""
    waiting, rest = deque[Entry](), iter(entries)
    asked = 0
    while True:
        waiting.extend(islice(rest, AHEAD - len(waiting)))
        if not waiting:
            return
        while asked < len(waiting) and root.ask(waiting[asked].files):
            asked += 1
        asked = max(asked - 1, 0)
        yield waiting.popleft()
