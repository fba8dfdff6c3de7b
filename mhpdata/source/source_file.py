"""A file of the download as the scan has listed it, and a path that must not be read."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mhpdata.errors import FolderError, caused

_REGULAR_FILE = "Put a regular file in its place, or extract the archive again."


@dataclass(frozen=True)
class SourceFile:
    """A regular file, or an object, in the state in which the scan listed it.

    Attributes:
        path: Path relative to the source folder, separated by '/'.
        size, mtime_ns: Size in bytes, and modification time in ns; 0 for an object.
        device, inode: Identity of the file; 0 for an object.
        real: Relative path with its links resolved, which must contain no link when the file is read; None if links
            are followed.
        tag: ETag of an object; "" for a file.
    """

    path: str
    size: int
    mtime_ns: int
    device: int
    inode: int
    real: str | None
    tag: str = ""

    @property
    def state(self) -> tuple[str, int, int | str]:
        """Path, size, and modification time or ETag: a file with the same ones counts as unchanged."""
        return self.path, self.size, self.tag or self.mtime_ns

    def is_still(self, state: os.stat_result) -> bool:
        """Return whether the state of an open file equals that of this file."""
        now = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
        return now == (self.device, self.inode, self.size, self.mtime_ns)


@dataclass(frozen=True)
class Refused:
    """A path in the folder that must not be read, with the reason, the remedy and the system's error, if any."""

    path: str
    reason: str
    remedy: str = _REGULAR_FILE
    cause: OSError | None = None

    def error(self, expected: str = "a regular file", otherwise: str = "") -> FolderError:
        """Return the error to raise if this file is needed.

        Args:
            expected: Description of what should be there.
            otherwise: Another remedy, as a sentence, or "".
        """
        remedy = f"{self.remedy} {otherwise}".rstrip()
        return caused(FolderError(self.path, self.reason, expected, remedy, fault=("refused",)), self.cause)
