"""Write a shard's file sequentially while hashing it; read it at any offset with pread.

Any number of threads may read. The file is never memory-mapped: truncating a mapped file kills the process, while pread
reports an error that names the file. The file is closed with the last reference, so ``mhpdata.open(...)[0]`` needs no
``close()``.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import resource
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mhpdata.errors import OutputError, ShardChangedError, ShardError, copy_again
from mhpdata.filesystem.descriptors import open_descriptor
from mhpdata.filesystem.ours import create
from mhpdata.filesystem.regular import open_regular
from mhpdata.storage.digests import FileHash
from mhpdata.wording import is_no_file, to_read, unread

DISK = (
    "Try again. If it fails again, the disk may be failing (dmesg lists its errors): copy the packed folder from its "
    "original to another disk, or pack again there."
)
"""Remedy for a shard that the system fails to read."""
_REOPEN = "call mhpdata.open or create the mhpdata.Loader again."


def how_to_open(error: OSError, path: Path) -> str:
    """Return the remedy for a shard's file that the system fails to open."""
    if error.errno == errno.EMFILE:
        return "Run ulimit -n 4096 in the shell first, or pack again with --shard-mb 1024 --overwrite: fewer shards."
    if isinstance(error, FileNotFoundError):
        return copy_again(path.name)
    if is_no_file(error):
        return f"Move the folder, pipe or device at {path} elsewhere. {copy_again(path.name)}"
    return to_read(error, path, DISK if error.errno == errno.EIO else copy_again(path.name))


def not_opened(error: OSError, path: Path) -> ShardError:
    """Return the error for a shard's file that is missing, or that the system fails to open."""
    listed = "this file, which the manifest lists"
    if path.suffix == ".idx":
        listed = f"the index of {path.with_suffix('.rec').name}"
    return ShardError(path, unread(error), listed, how_to_open(error, path))


def hash_file(path: Path) -> FileHash:
    """Return the hash of a file's bytes. Raises OSError."""
    digest, block = FileHash(), memoryview(bytearray(1 << 20))
    with io.FileIO(open_descriptor(path, os.O_RDONLY)) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
    return digest


def check_size(path: Path, size: int) -> None:
    """Raise ShardError if a file exists and its size is not ``size`` bytes, that of the manifest."""
    try:
        actual = path.stat().st_size
    except OSError:
        return  # reported when the file is opened
    if actual != size:
        raise ShardError(path, f"has {actual} bytes", f"{size}, as the manifest says", copy_again(path.name))


def check_written(path: Path, size: int) -> None:
    """Raise OutputError unless a file that was just written has ``size`` bytes, the number written to it."""
    actual = path.stat().st_size
    if actual != size:
        remedy = (
            "Stop other programs that write to it, check the disk (dmesg lists its errors), and run the command again."
        )
        raise OutputError(path, f"has {actual} bytes", f"the {size} that were written to it", remedy)


class HashedFile:
    """A new file that is hashed while it is written."""

    def __init__(self, path: Path) -> None:
        self._file = create(path)
        self._path, self._hash = path, FileHash()

    def write(self, *buffers: bytes | bytearray | memoryview) -> None:
        """Append the bytes of each buffer, in order."""
        self._file.writelines(buffers)
        for buffer in buffers:
            self._hash.update(buffer)

    def close(self) -> FileHash:
        """Close the file and return the hash of its bytes.

        Raises:
            OutputError: The size of the file is not the number of bytes written to it.
        """
        if not self._file.closed:
            self._file.close()
            check_written(self._path, self._hash.size)
        return self._hash

    def abort(self) -> None:
        """Close the file without checking it."""
        self._file.close()


def most_open() -> int:
    """Return the maximum number of open shards: a quarter of the process's limit of open files, from 1 to 1024."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1024 if limit == resource.RLIM_INFINITY else min(max(limit // 4, 1), 1024)


class _Descriptor:
    """The descriptor of an open file, which is closed with the last reference; a reader keeps one while it reads.

    With the number alone, a reader could read another file that has meanwhile been opened under the same number.
    """

    __slots__ = ("__weakref__", "number")

    def __init__(self, path: Path) -> None:
        self.number = open_regular(path)
        weakref.finalize(self, os.close, self.number)


def _identity(state: os.stat_result) -> tuple[int, ...]:
    """Return the values by which a file is distinguished from others, and from itself after a change."""
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


_opened: deque[weakref.ref[OpenFile]] = deque()
"""Files with a descriptor, in the order of opening; may contain duplicates and files without a descriptor."""


class OpenFile:
    """A file open for reading.

    At most ``most_open()`` files are open at a time: further ones close the file that was opened first, which is opened
    again when it is read. Each read holds a reference to the descriptor, so no lock is needed. A file that is opened
    again must be the same: same device, inode, size and modification time.

    Attributes:
        path: Path of the file.
        size: Its size in bytes.

    Raises:
        ShardError: The file cannot be opened.
        ShardChangedError: From any method: the file has been replaced or modified since it was first opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, ...] | None = None
        self._descriptor: _Descriptor | None = None
        self._closed = False
        descriptor = self._open()
        self.size = os.fstat(descriptor.number).st_size

    def close(self) -> None:
        """Close the file; later reads raise ShardError."""
        self._closed, self._descriptor = True, None

    def is_current(self) -> bool:
        """Return whether the path still leads to the opened file, unmodified; True for a closed file, which is never
        opened again."""
        try:
            return self._closed or _identity(self.path.stat()) == self._identity
        except OSError:
            return False

    def _open(self) -> _Descriptor:
        """Open the file for the first time, or again; it must be the same file."""
        if self._closed:
            raise ShardError(self.path, "was closed with close()", "an open shard", f"To continue reading, {_REOPEN}")
        try:
            descriptor = _Descriptor(self.path)
        except OSError as error:
            raise not_opened(error, self.path) from error
        identity = _identity(os.fstat(descriptor.number))
        if self._identity not in (None, identity):
            remedy = f"Run the command again, or in Python {_REOPEN}"
            raise ShardChangedError(self.path, "was replaced by another file while it was open", "", remedy)
        self._identity, self._descriptor = identity, descriptor
        _opened.append(weakref.ref(self))
        while len(_opened) > most_open():
            with contextlib.suppress(IndexError):  # another thread has emptied the queue
                oldest = _opened.popleft()()
                if oldest is not None:
                    oldest._descriptor = None
        return descriptor

    def read(self, offset: int, length: int, place: str) -> bytes:
        """Read ``length`` bytes from ``offset``; fewer at the end of the file.

        Raises:
            ShardError: The system fails to read them; the message names ``place``.
        """
        descriptor = self._descriptor or self._open()  # held until the read is done
        try:
            return os.pread(descriptor.number, length, offset)
        except OSError as error:
            raise ShardError(place, unread(error), "", DISK) from error

    def read_into(self, offset: int, out: np.ndarray, place: Callable[[int], str], index: int) -> None:
        """Read bytes from ``offset`` into ``out``, uint8, until it is full.

        Raises:
            ShardError: The system fails to read them, or the file ends first; the message names ``place(index)``.
        """
        descriptor = self._descriptor or self._open()
        try:
            done = os.preadv(descriptor.number, [out.data], offset)
        except OSError as error:
            raise ShardError(place(index), unread(error), "", DISK) from error
        if done != out.size:
            found = f"the file was truncated after it was opened: {done} bytes at offset {offset}"
            raise ShardError(place(index), found, f"{out.size}", copy_again(self.path.name))

    def expect(self, offset: int, length: int) -> None:
        """Advise the system, if it supports that, that these bytes will be read soon."""
        if hasattr(os, "posix_fadvise"):
            descriptor = self._descriptor or self._open()
            os.posix_fadvise(descriptor.number, offset, length, os.POSIX_FADV_WILLNEED)
