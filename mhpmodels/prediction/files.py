"""Write the files of a prediction to a folder, or to object storage, where nothing is listed.

In object storage, some files are written at the same time; ``finish`` waits for all of them. An object is written only
if it does not exist, unless files may be replaced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from mhpdata.address import Address
from mhpdata.errors import OutputError
from mhpdata.filesystem.ours import head
from mhpdata.filesystem.ours import in_the_way as path_in_the_way
from mhpdata.options import Folder
from mhpdata.processes.task import Task
from mhpdata.remote.requests import stopped, submit
from mhpdata.remote.store import ExistsError, read_range
from mhpdata.remote.writing import in_the_way, look_if_there, put
from mhpmodels.files.output import check_distinct, check_free, make_folder, make_inner_folder, starts_right, write_file
from mhpmodels.files.png import is_label_map
from mhpmodels.persons.person_list import RESULTS, is_list

REMEDY = "Pass --keep to write only missing files, --overwrite to replace all files, or choose another --out."
"""Remedy for files that exist."""
REMEDY_OF_PERSONS = "Pass --overwrite to replace all files, or choose another --out."
"""The same for predictions with persons, which --keep does not complete."""
HEAD = 1024
"""Number of bytes that tell whether a file is one of mhp's."""
_AT_ONCE = 16
"""Maximum number of images whose files are being written to object storage."""

Pieces = Sequence[tuple[Folder, bytes]]
"""Files of an image, in the order of writing."""


class Files(Protocol):
    """The files of a prediction, in one place."""

    def check(self, paths: Collection[Folder], maps: Collection[Folder], allowed: bool) -> set[Folder]:
        """Return the paths that exist.

        Args:
            paths: files that may be written.
            maps: those that are label maps.
            allowed: whether files may exist.

        Raises:
            OutputError: a file exists and may not be replaced.
        """

    def prepare(self, out: Folder, inner: Collection[Folder], names: Collection[str]) -> None:
        """Create the folders: ``out``, and those inside it."""

    def write(self, pieces: Pieces, overwrite: bool) -> None:
        """Write files, the last one after the others. Raises OutputError, also for an earlier call."""

    def finish(self) -> None:
        """Wait until all files are written. Raises OutputError."""


class LocalFiles:
    """Files in a folder on this machine; see Files."""

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy

    def check(self, paths: Collection[Folder], maps: Collection[Folder], allowed: bool) -> set[Folder]:
        """See Files."""
        found = set[Folder]()
        for path in paths:
            assert isinstance(path, Path)
            check_free(path, allowed, self._remedy)
            if path.exists():
                start = head(path, HEAD) or b""
                if (path in maps and not is_label_map(start)) or (path.name == RESULTS and not is_list(start)):
                    raise path_in_the_way(path, "or choose another --out")
                found.add(path)
        return found

    def prepare(self, out: Folder, inner: Collection[Folder], names: Collection[str]) -> None:
        """See Files. Raises OptionError if two names are the same file on this disk."""
        assert isinstance(out, Path)
        make_folder(out)
        for folder in inner:
            assert isinstance(folder, Path)
            make_inner_folder(folder)
        check_distinct(names, out, "the images")

    def write(self, pieces: Pieces, overwrite: bool) -> None:
        """See Files."""
        for path, data in pieces:
            assert isinstance(path, Path)
            write_file(path, data, overwrite)

    def finish(self) -> None:
        """See Files."""


class BucketFiles:
    """Files in object storage; see Files."""

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy
        self._writing: deque[Task[None]] = deque()

    def check(self, paths: Collection[Folder], maps: Collection[Folder], allowed: bool) -> set[Folder]:
        """See Files."""
        found = set[Folder]()
        for path, task in [(path, submit(_start_of, path)) for path in paths]:
            start = task.result()
            if start is None:
                continue
            if not allowed:
                raise OutputError(path, "already exists", "", self._remedy)
            if not _is_ours(str(path), start, path in maps):
                assert isinstance(path, Address)
                raise in_the_way(path)
            found.add(path)
        return found

    def prepare(self, out: Folder, inner: Collection[Folder], names: Collection[str]) -> None:
        """See Files; there are no folders."""

    def write(self, pieces: Pieces, overwrite: bool) -> None:
        """See Files."""
        if pieces:
            self._writing.append(submit(_write, pieces, overwrite, self._remedy))
        if len(self._writing) >= _AT_ONCE:
            self._writing.popleft().result()

    def finish(self) -> None:
        """See Files."""
        while self._writing:
            self._writing.popleft().result()


def files_at(out: Folder, remedy: str = REMEDY) -> Files:
    """Return the files of a prediction in a folder or in object storage; ``remedy`` is that for files that exist."""
    return BucketFiles(remedy) if isinstance(out, Address) else LocalFiles(remedy)


def _is_ours(name: str, start: bytes, is_map: bool) -> bool:
    """Return whether an object of this name begins like one that a prediction writes."""
    if name.rpartition("/")[2] == RESULTS:
        return is_list(start)
    return is_label_map(start) if is_map else starts_right(name, start)


def _start_of(address: Address) -> bytes | None:
    """Return the first bytes of an object; None if it does not exist."""
    version = look_if_there(address, stopped)
    if version is None:
        return None
    size = min(version.size, HEAD)
    return bytes(read_range(address, 0, size, version, stopped)) if size else b""


def _write(pieces: Pieces, overwrite: bool, remedy: str) -> None:
    for address, data in pieces:
        assert isinstance(address, Address)
        try:
            put(address, data, create=not overwrite, stop=stopped)
        except ExistsError as error:
            raise OutputError(address, "already exists", "", remedy) from error
