"""A shard's file: written once, from its beginning to its end, and hashed on the way; read by place, by pread.

Read by any number of threads, and never by a memory map: a file that is cut short under a map kills the process; under
pread it is an error that names the file. It is closed with the last reference, so that ``mhpdata.open(...)[0]`` needs
no ceremony.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mhpdata.errors import ShardError


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes (hex)."""
    digest, block = hashlib.sha256(), memoryview(bytearray(1 << 20))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
    return digest.hexdigest()


class HashedFile:
    """A new file, never read again for its hash."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()

    def write(self, *buffers: bytes | bytearray | memoryview) -> None:
        """Append these bytes, one after the other."""
        self._file.writelines(buffers)
        for buffer in buffers:
            self._digest.update(buffer)

    def close(self) -> str:
        """End the file; SHA-256 of its bytes (hex)."""
        self._file.close()
        return self._digest.hexdigest()


class OpenFile:
    """A file open for reading.

    Attributes:
        path: of the file.
        size: its bytes when it was opened.

    Raises:
        ShardError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            found = f"cannot be opened ({error.strerror})"
            raise ShardError(path, found, "a shard that the manifest names", "Copy it again, or pack again.") from error
        self.close = weakref.finalize(self, os.close, self._descriptor)
        self.size = os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int, place: str) -> bytes:
        """``length`` bytes from ``offset`` on; fewer where the file has ended.

        Raises:
            ShardError: the system could not read them; the message names ``place``.
        """
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise ShardError(
                place, f"cannot be read ({error.strerror})", "", "Check the disk and try again."
            ) from error

    def read_into(self, offset: int, out: np.ndarray, place: Callable[[int], str], index: int) -> None:
        """Fill ``out``, uint8, from ``offset`` on.

        Raises:
            ShardError: the system could not read them, or the file ends before; the message names ``place(index)``.
        """
        try:
            done = os.preadv(self._descriptor, [out.data], offset)
        except OSError as error:
            raise ShardError(
                place(index), f"cannot be read ({error.strerror})", "", "Check the disk and try again."
            ) from error
        if done != out.size:
            remedy = "The file was cut short since it was opened: copy it again, or pack again."
            raise ShardError(place(index), f"{done} bytes at {offset}", f"{out.size}", remedy)

    def expect(self, offset: int, length: int) -> None:
        """Tell the system that these bytes will soon be read, where it listens."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, offset, length, os.POSIX_FADV_WILLNEED)
