"""Read blocks of objects through a cache on disk; each is fetched once, and compared with its SHA-256."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from typing import NamedTuple

from mhpdata.errors import ShardError, copy_again
from mhpdata.processes.task import Task
from mhpdata.remote.disk import BlockDisk
from mhpdata.remote.requests import stopped, submit

AT_ONCE = 16
"""Maximum number of blocks that are fetched at once; each takes 4 MiB of memory."""
_TRIES = 3


class Block(NamedTuple):
    """A block of an object.

    Attributes:
        digest: SHA-256 of its bytes.
        start, end: Range in the object, end exclusive.
        place: The object, for errors.
        name: Name of the object's file, for errors.
    """

    digest: bytes
    start: int
    end: int
    place: str
    name: str

    @property
    def size(self) -> int:
        """The number of its bytes."""
        return self.end - self.start


Fetch = Callable[[int, int], memoryview]
"""Returns the bytes of an object from a start to an end."""


class Blocks:
    """Blocks in a cache, and those that this process is fetching into it; any number of threads may use it."""

    def __init__(self, disk: BlockDisk) -> None:
        self._disk = disk
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._under_way: dict[bytes, Task[memoryview | None]] = {}
        self._room = threading.Semaphore(AT_ONCE)

    def ask(self, block: Block, fetch: Fetch) -> None:
        """Fetch a block in advance, unless it is here."""
        if not self._disk.has(block.digest):
            self._begin(block, fetch)

    def read(self, block: Block, offset: int, out: memoryview, fetch: Fetch) -> None:
        """Fill ``out`` from a block, from its byte ``offset``; fetch the block if it is not here.

        Args:
            block: The block.
            offset: Offset in the block of the first byte.
            out: Memory for the bytes, all of which must be in the block.
            fetch: Function that reads a range of the object.

        Raises:
            ShardError: The block was fetched twice, with wrong bytes both times.
            RemoteError, OutputError: It cannot be fetched, or kept.
        """
        for _ in range(_TRIES):
            if self._disk.read(block.digest, offset, out):
                return
            data = self._begin(block, fetch).result()
            if data is not None:
                break
        else:  # other processes evict each block as soon as it is here
            data = _checked(block, fetch)
        out[:] = data[offset : offset + len(out)]

    def discard(self, block: Block) -> bool:
        """Remove a block from the cache if its bytes are wrong, as after a disk fault; return whether they were."""
        data = memoryview(bytearray(block.size))
        if not self._disk.has(block.digest):
            return False
        if self._disk.read(block.digest, 0, data) and hashlib.sha256(data).digest() == block.digest:
            return False
        self._disk.remove(block.digest)
        return True

    def _begin(self, block: Block, fetch: Fetch) -> Task[memoryview | None]:
        """Begin to fetch a block, unless that has begun; in a forked child, requests of the parent never end."""
        if self._process != os.getpid():
            self._start()
        with self._lock:
            task = self._under_way.get(block.digest)
            if task is None:
                task = self._under_way[block.digest] = submit(self._fetch, block, fetch)
            return task

    def _fetch(self, block: Block, fetch: Fetch) -> memoryview | None:
        try:
            with self._room:
                return self._disk.fetch(block.digest, block.size, lambda: _checked(block, fetch), stopped)
        finally:
            with self._lock:
                self._under_way.pop(block.digest, None)


def _checked(block: Block, fetch: Fetch) -> memoryview:
    """Return the bytes of a block; fetch it again once if they are wrong."""
    for _ in range(2):
        data = fetch(block.start, block.end)
        if hashlib.sha256(data).digest() == block.digest:
            return data
    found = f"bytes {block.start} to {block.end - 1} are not those that were packed (SHA-256), fetched twice"
    raise ShardError(block.place, found, "", copy_again(block.name))
