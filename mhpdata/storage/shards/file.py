"""A shard's file: written once, from its beginning to its end, and hashed on the way; read by place, by pread.

Read by any number of threads, and never by a memory map: a file that is cut short under a map kills the process; under
pread it is an error that names the file. It is closed with the last reference, so that ``mhpdata.open(...)[0]`` needs
no ceremony.
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
from mhpdata.wording import is_no_file, to_read, why

DISK = "Try again; if that fails, check the disk (dmesg lists its errors) and copy the shard to another disk."
"""What to do about a shard that the system does not give."""
_ANEW = "call mhpdata.open or create the mhpdata.Loader again."


def how_to_open(error: OSError, path: Path) -> str:
    """What to do about a shard's file that the system does not open."""
    if error.errno == errno.EMFILE:
        return "Run ulimit -n 4096 in the shell first, or pack again with --shard-mb 1024 --overwrite: fewer shards."
    if isinstance(error, FileNotFoundError):
        return copy_again(path.name)
    if is_no_file(error):
        return f"Move away what is at {path}, a folder, pipe or device. {copy_again(path.name)}"
    return to_read(error, path, DISK if error.errno == errno.EIO else copy_again(path.name))


def hash_file(path: Path) -> FileHash:
    """The hash of a file's bytes. Raises OSError."""
    digest, block = FileHash(), memoryview(bytearray(1 << 20))
    with io.FileIO(open_descriptor(path, os.O_RDONLY)) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
    return digest


def check_size(path: Path, size: int) -> None:
    """Raise ShardError where a file is there and has not the bytes that the manifest says."""
    try:
        found = path.stat().st_size
    except OSError:
        return  # said where the file is opened
    if found != size:
        raise ShardError(path, f"has {found} bytes", f"{size}, by the manifest", copy_again(path.name))


def check_written(path: Path, size: int) -> None:
    """Raise OutputError unless a file that was just written has as many bytes as were written to it."""
    found = path.stat().st_size
    if found != size:
        remedy = (
            "Stop other programs that write to it, check the disk (dmesg lists its errors), and run the command again."
        )
        raise OutputError(path, f"has {found} bytes", f"the {size} that were written to it", remedy)


class HashedFile:
    """A new file, never read again for its hash."""

    def __init__(self, path: Path) -> None:
        self._file = create(path)
        self._path, self._hash = path, FileHash()

    def write(self, *buffers: bytes | bytearray | memoryview) -> None:
        """Append these bytes, one after the other."""
        self._file.writelines(buffers)
        for buffer in buffers:
            self._hash.update(buffer)

    def close(self) -> FileHash:
        """End the file; the hash of its bytes.

        Raises:
            OutputError: the file has not the bytes that were written to it.
        """
        if not self._file.closed:
            self._file.close()
            check_written(self._path, self._hash.size)
        return self._hash

    def abort(self) -> None:
        """Let go of the file; what is in it does not matter."""
        self._file.close()


def most_open() -> int:
    """How many shards may be open at a time: a quarter of the files that the process may open, from 1 to 1024."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1024 if limit == resource.RLIM_INFINITY else min(max(limit // 4, 1), 1024)


class _Descriptor:
    """The system's number of an open file, which is closed with the last reference: a reader keeps one while it reads.

    Whoever kept the number alone might read another file, which the system has given the same number meanwhile.
    """

    __slots__ = ("__weakref__", "number")

    def __init__(self, path: Path) -> None:
        self.number = open_regular(path)
        weakref.finalize(self, os.close, self.number)


def _identity(state: os.stat_result) -> tuple[int, ...]:
    """Return what tells a file from another, and from itself after a change."""
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


_opened: deque[weakref.ref[OpenFile]] = deque()
"""Who has a descriptor, in the order of opening; perhaps more than once, or no longer."""


class OpenFile:
    """A file open for reading.

    Of many files only so many are open at a time as ``ulimit -n`` comfortably grants: the one that was opened first
    makes room, and is opened again when it is read again. Who reads holds the descriptor meanwhile, so that takes no
    lock. The file must then be the one that was opened at first: the same device, inode, size and time of change.

    Attributes:
        path: of the file.
        size: its bytes.

    Raises:
        ShardError: it cannot be opened.
        ShardChangedError: by any method, once it was opened: it is another file now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, ...] | None = None
        self._descriptor: _Descriptor | None = None
        self._closed = False
        descriptor = self._open()
        self.size = os.fstat(descriptor.number).st_size

    def close(self) -> None:
        """Let go of the file."""
        self._closed, self._descriptor = True, None

    def is_current(self) -> bool:
        """Whether the path still leads to the file that was opened, with its size and time of change, or the file was
        closed: then it is not opened again."""
        try:
            return self._closed or _identity(self.path.stat()) == self._identity
        except OSError:
            return False

    def _open(self) -> _Descriptor:
        """Open the file, for the first time or anew; it must be the same one."""
        if self._closed:
            raise ShardError(self.path, "was closed with close()", "an open shard", f"To continue reading, {_ANEW}")
        try:
            descriptor = _Descriptor(self.path)
        except OSError as error:
            found = f"cannot be opened ({why(error)})"
            remedy = how_to_open(error, self.path)
            raise ShardError(self.path, found, "a shard that the manifest names", remedy) from error
        identity = _identity(os.fstat(descriptor.number))
        if self._identity not in (None, identity):
            remedy = f"Run the command again, or in Python {_ANEW}"
            raise ShardChangedError(self.path, "was replaced by another file while it was open", "", remedy)
        self._identity, self._descriptor = identity, descriptor
        _opened.append(weakref.ref(self))
        while len(_opened) > most_open():
            with contextlib.suppress(IndexError):  # another thread has made room, too
                oldest = _opened.popleft()()
                if oldest is not None:
                    oldest._descriptor = None
        return descriptor

    def read(self, offset: int, length: int, place: str) -> bytes:
        """``length`` bytes from ``offset`` on; fewer where the file has ended.

        Raises:
            ShardError: the system could not read them; the message names ``place``.
        """
        descriptor = self._descriptor or self._open()  # held until the read is done
        try:
            return os.pread(descriptor.number, length, offset)
        except OSError as error:
            raise ShardError(place, f"cannot be read ({why(error)})", "", DISK) from error

    def read_into(self, offset: int, out: np.ndarray, place: Callable[[int], str], index: int) -> None:
        """Fill ``out``, uint8, from ``offset`` on.

        Raises:
            ShardError: the system could not read them, or the file ends before; the message names ``place(index)``.
        """
        descriptor = self._descriptor or self._open()
        try:
            done = os.preadv(descriptor.number, [out.data], offset)
        except OSError as error:
            raise ShardError(place(index), f"cannot be read ({why(error)})", "", DISK) from error
        if done != out.size:
            found = f"the file was cut short since it was opened: {done} bytes at {offset}"
            raise ShardError(place(index), found, f"{out.size}", copy_again(self.path.name))

    def expect(self, offset: int, length: int) -> None:
        """Tell the system that these bytes will soon be read, where it listens."""
        if hasattr(os, "posix_fadvise"):
            descriptor = self._descriptor or self._open()
            os.posix_fadvise(descriptor.number, offset, length, os.POSIX_FADV_WILLNEED)
