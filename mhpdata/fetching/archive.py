"""Read a zip archive that is not trusted: no name in it is used as a path, and no size in it is believed.

The list of the release (mhpdata.checking.release) says which files there are. A name in the archive only looks up one
of them, below the folder that most of them share; every other name is ignored. So an absolute name, one with ``..``,
one that differs in case, or a file of ``__MACOSX`` leads nowhere. Each file is read once, up to its size in the list,
and counts only if its SHA-256 is that of the list. So bombs, overlapping entries and lies in headers cost at most the
files that they concern.

Memory is bounded by the largest file of the list and by the archive's directory, which has a limit.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mhpdata.checking.release import ReleaseFile, digest_of
from mhpdata.errors import ArchiveError, UnreadableError
from mhpdata.filesystem.regular import open_regular
from mhpdata.wording import to_open, unread

MAX_DIRECTORY = 16 << 20
"""Maximum bytes of the archive's directory; that of LV-MHP v1 has about 2 MB."""
_INVALID = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OverflowError, struct.error)
"""Errors of zipfile for damaged, encrypted and unsupported archives; UnicodeDecodeError is a ValueError."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compression methods that mhp reads: others, such as LZMA, allocate as much memory as the archive says."""
_ENCRYPTED = 0x1
AGAIN = "Download the archive again."


class Archive:
    """An open zip archive of a release.

    Args:
        place: Name of the archive for messages.
        file: The archive, open for reading.
        release: Files of the release by path.

    Attributes:
        ignored: Names of files in the archive that are not in the list, in their order.

    Raises:
        ArchiveError: It is not a zip archive, is damaged, or has no file of the release.
        OSError: The system fails to read it.
    """

    def __init__(self, place: str, file: IO[bytes], release: Mapping[str, ReleaseFile]) -> None:
        self._place, self._release = place, release
        try:
            self._zip = zipfile.ZipFile(_Bounded(file))
        except _INVALID as error:
            found = f"is not a complete zip archive ({_reason(error)})"
            raise ArchiveError(place, found, "the archive of the release", AGAIN) from error
        infos = [info for info in self._zip.infolist() if not info.filename.endswith("/")]
        root = _root([info.filename for info in infos if _is_plain(info)], release)
        self._infos: dict[str, list[zipfile.ZipInfo]] = {}
        self.ignored: list[str] = []
        for info in infos:
            path = info.filename.removeprefix(root)
            if _is_plain(info) and path in release and len(path) + len(root) == len(info.filename):
                self._infos.setdefault(path, []).append(info)
            else:
                self.ignored.append(info.orig_filename)
        if not self._infos:
            found = f"none of its {len(infos)} files is one of the release" if infos else "has no files"
            remedy = "Pass the archive of the release."
            raise ArchiveError(place, found, "LV-MHP-v1/images/0001.jpg and the like", remedy)

    def has(self, path: str) -> bool:
        """Return whether the archive has an entry, right or wrong, for a file of the release."""
        return path in self._infos

    def read(self, path: str) -> bytes:
        """Return the content of a file of the release.

        Raises:
            ArchiveError: It is missing, damaged, or has another content; other files may be right.
            UnreadableError: The system fails to read the archive.
        """
        place, wanted, infos = f"{self._place}: {path}", self._release[path], self._infos.get(path, [])
        if not infos:
            raise ArchiveError(place, "missing", "a file of the release", AGAIN)
        if refusal := self._refusal(infos, wanted):
            found, expected = refusal
            raise ArchiveError(place, found, expected, AGAIN)
        try:
            with self._zip.open(infos[0]) as file:
                data = file.read(wanted.size + 1)
        except OSError as error:
            raise _failing(self._place, error) from error
        except _INVALID as error:
            raise ArchiveError(place, f"is damaged ({_reason(error)})", "a file of the release", AGAIN) from error
        if len(data) != wanted.size or digest_of(data) != wanted.digest:
            raise ArchiveError(place, "differs from the file of the release", "its bytes (SHA-256)", AGAIN)
        return data

    def _refusal(self, infos: list[zipfile.ZipInfo], wanted: ReleaseFile) -> tuple[str, str] | None:
        """Return why an entry is not read, and what was expected; None if it is read."""
        info = infos[0]
        if len(infos) > 1:
            return f"stands {len(infos)} times in the archive", "each file once"
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            return "is a link or a special file", "a regular file"
        if info.flag_bits & _ENCRYPTED:
            return "is encrypted", "an archive without a password, as the release has none"
        if info.compress_type not in _METHODS:
            return f"has compression method {info.compress_type}, which mhp does not read", "a stored or deflated file"
        if info.file_size != wanted.size:
            return f"has {info.file_size} bytes instead of {wanted.size}", "a file of the release"
        return None


@contextmanager
def open_archive(path: Path, release: Mapping[str, ReleaseFile]) -> Iterator[Archive]:
    """Open the archive of a release.

    Args:
        path: The archive.
        release: Files of the release by path.

    Raises:
        UnreadableError: The system refuses to read the archive.
        ArchiveError: As for ``Archive``.
    """
    try:
        file = os.fdopen(open_regular(path), "rb")
    except OSError as error:
        raise UnreadableError(path, unread(error), "", to_open(error, path, "a zip archive")) from error
    with file:
        try:
            archive = Archive(str(path), file, release)
        except OSError as error:
            raise _failing(path, error) from error
        yield archive


def _failing(path: object, error: OSError) -> UnreadableError:
    remedy = "Check the disk (dmesg lists its errors), then run the same command again."
    return UnreadableError(path, unread(error), "", remedy)


class _Bounded:
    """A file for zipfile, which reads the whole directory at once, however long the archive says it is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def read(self, count: int = -1) -> bytes:
        """Return up to ``count`` bytes; all others if it is negative. Raises BadZipFile above the limit."""
        left = max(self._size - self._file.tell(), 0)
        count = left if count is None or count < 0 else min(count, left)
        if count > MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"a directory of {count} bytes")
        return self._file.read(count)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place in the file. Raises BadZipFile before its start."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._file.tell(), os.SEEK_END: self._size}[whence]
        if not 0 <= start + offset < 1 << 63:
            raise zipfile.BadZipFile("an offset outside the file")
        return self._file.seek(start + offset)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return True: zipfile asks."""
        return True


def _root(names: list[str], release: Mapping[str, ReleaseFile]) -> str:
    """Return the folder, with its slash, below which most names are paths of the release; "" for none."""
    depths = {path.count("/") + 1 for path in release}
    counts = Counter[str]()
    for name in names:
        parts = name.split("/")
        for below in ("/".join(parts[-depth:]) for depth in depths):
            if below in release:
                counts[name[: len(name) - len(below)]] += 1
    return max(counts, key=lambda root: (counts[root], -len(root), root)) if counts else ""


def _is_plain(info: zipfile.ZipInfo) -> bool:
    """Return whether a name is a plain relative path; no archive of a release has others."""
    name = info.filename
    return info.orig_filename == name and not name.startswith("/") and ".." not in name.split("/") and "\\" not in name


def _reason(error: BaseException) -> str:
    """Return an error of zipfile or zlib in a few words."""
    text = str(error).split("\n")[0]
    return text[:100] or type(error).__name__
