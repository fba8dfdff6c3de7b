"""Read a shard's files from object storage or a web server; what OpenFile is for a local file.

::

    without a cache   whole records, kept in memory from the time that they are asked for; their CRC-32 at every read
    with a cache      blocks of 4 MiB, compared with the manifest's SHA-256 when they are fetched, then local files

The manifest names every file, with its length and digest; nothing is listed. The length of each object is compared when
it is opened, and its ETag, if the server sends one, with each answer.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

from mhpdata.address import Address
from mhpdata.errors import NoObjectError, OutputError, RemoteError, ShardChangedError, ShardError, caused, copy_again
from mhpdata.remote.blocks import Block, Blocks
from mhpdata.remote.requests import stopped, submit
from mhpdata.remote.store import OtherVersionError, Version, look, read_object, read_range
from mhpdata.remote.window import Window
from mhpdata.storage.digests import BLOCK, FileHash
from mhpdata.storage.packed import Shard, ShardFile
from mhpdata.wording import to_write, why

_AHEAD = 4
"""Number of blocks to request ahead while an object is hashed."""
_MORE = 1 << 20
"""Bytes above the length in the manifest that are read, so that an error can give the actual length."""
_REOPEN = "call mhpdata.open or create the mhpdata.Loader again."


class RemoteObject:
    """A file of a shard that can be opened.

    Args:
        address: Its address.
        file: Its description in the manifest.
        blocks: Cache to read it through; None for none.
        window: Ranges that are fetched in advance, without a cache.
    """

    def __init__(self, address: Address, file: ShardFile, blocks: Blocks | None, window: Window) -> None:
        self.address, self.file, self.blocks, self.window = address, file, blocks, window
        self.version: Version | None = None
        self.data: memoryview | None = None

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.address.name

    def __str__(self) -> str:
        return str(self.address)

    def with_suffix(self, suffix: str) -> Address:
        """Return the address of the file's neighbour, for errors."""
        return self.address.with_suffix(suffix)

    def prepare(self, whole: bool) -> None:
        """Make the requests that opening takes; runs on a thread of requests.

        Args:
            whole: Whether to read all of it, which compares its SHA-256, or only its length and ETag.

        Raises:
            ShardError: The object is missing, or differs from the manifest.
            RemoteError: It cannot be read.
        """
        try:
            if not whole:
                self.version = self._fitting(look(self.address, stopped))
                return
            for _ in range(2):
                data = read_object(self.address, self.file.bytes + _MORE, stopped)
                if hashlib.sha256(data).hexdigest() == self.file.sha256:
                    self.data = data
                    return
        except NoObjectError as error:
            raise caused(self._wrong("missing", f"a file of {self.file.bytes} bytes"), error) from error
        if len(data) != self.file.bytes:
            raise self._wrong(f"has {len(data)} bytes", f"{self.file.bytes}, as the manifest says")
        raise self._wrong("its bytes are not those that were written (SHA-256), fetched twice")

    def _fitting(self, version: Version) -> Version:
        if version.size != self.file.bytes:
            raise self._wrong(f"has {version.size} bytes", f"{self.file.bytes}, as the manifest says")
        return version

    def _wrong(self, found: str, expected: str = "") -> ShardError:
        return ShardError(self.address, found, expected, copy_again(self.name))


class RemoteStem:
    """The files of a shard, by their suffixes, as a reader opens them.

    Args:
        folder: Address of the packed folder.
        shard: The shard in the manifest.
        blocks, window: As for RemoteObject.
    """

    def __init__(self, folder: Address, shard: Shard, blocks: Blocks | None, window: Window) -> None:
        self._files = {
            f".{file.file.rpartition('.')[2]}": RemoteObject(folder / file.file, file, blocks, window)
            for file in shard.files
        }

    def prepare(self) -> None:
        """Make the requests of ``RemoteObject.prepare``: read the index whole, look at the other file."""
        for suffix, file in self._files.items():
            file.prepare(whole=suffix == ".idx")

    def with_suffix(self, suffix: str) -> RemoteObject:
        """Return a file of the shard."""
        return self._files[suffix]


def prepare(stems: Sequence[RemoteStem]) -> None:
    """Make the requests that opening shards takes, many at once. Raises as ``RemoteObject.prepare``."""
    tasks = [submit(stem.prepare) for stem in stems]
    for task in tasks:
        task.result()


class RemoteFile:
    """An object open for reading, by any number of threads; see OpenFile, whose methods it has.

    Args:
        opened: The object; its ``prepare`` has been called.

    Attributes:
        path: Its address.
        size: Its size in bytes.
    """

    def __init__(self, opened: RemoteObject) -> None:
        assert opened.version is not None
        self.path, self.size = opened.address, opened.version.size
        self._file, self._version = opened.file, opened.version
        self._blocks, self._window = opened.blocks, opened.window
        self._closed = self._changed = False

    def close(self) -> None:
        """Close the file; later reads raise ShardError."""
        self._closed = True

    def is_current(self) -> bool:
        """Return whether no answer came from another object than the one that was opened; makes no request."""
        return self._closed or not self._changed

    def read(self, offset: int, length: int, place: str) -> bytes | memoryview:
        """Read ``length`` bytes from ``offset``; fewer at the end of the file.

        Raises:
            ShardError, RemoteError: As for ``read_into``.
        """
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        if self._blocks is None:
            return self._range(offset, end)
        out = np.empty(end - offset, np.uint8)
        self.read_into(offset, out, lambda _: place, 0)
        return out.data

    def read_into(self, offset: int, out: np.ndarray, place: Callable[[int], str], index: int) -> None:
        """Read bytes from ``offset`` into ``out``, uint8, until it is full.

        Raises:
            ShardError: The file ends first, or its bytes are not those that were packed.
            ShardChangedError: The object was replaced after it was opened.
            RemoteError: The object cannot be read.
        """
        end = offset + out.size
        if end > self.size:
            found = f"the file has {self.size} bytes, too few for offset {offset}"
            raise ShardError(place(index), found, f"{out.size} more", copy_again(self.path.name))
        if self._blocks is None:
            out[:] = np.frombuffer(self._range(offset, end), np.uint8)
            return
        self._check_open()
        try:
            for block in self._covering(offset, end):
                first, last = max(offset, block.start), min(end, block.end)
                part = out[first - offset : last - offset].data
                self._blocks.read(block, first - block.start, part, self._fetch)
        except (OutputError, RemoteError):
            raise
        except OSError as error:
            cache = error.filename or "the cache"
            remedy = to_write(error, cache, "run the command again")
            raise OutputError(cache, f"cannot be used ({why(error)})", "", remedy) from error

    def expect(self, offset: int, length: int) -> None:
        """Do nothing: ``ask`` takes many ranges at once."""

    def ask(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Fetch ranges (start, end) in advance, each of which will be read and dropped once."""
        if self._closed:
            return
        if self._blocks is None:
            self._window.ask(self, ranges, self._fetch)
            return
        for block in dict.fromkeys(block for start, end in ranges for block in self._covering(start, end)):
            self._blocks.ask(block, self._fetch)

    def drop(self, start: int, end: int) -> None:
        """Forget a range that was asked for, after its use."""
        self._window.drop(self, start, end)

    def doubt(self, start: int, end: int) -> bool:
        """Forget a range whose bytes turned out to be wrong; return whether reading it again may give others."""
        self._window.drop(self, start, end, entirely=True)
        if self._blocks is None:
            return True
        wrong = [block for block in self._covering(start, end) if self._blocks.discard(block)]
        return bool(wrong)

    def _range(self, start: int, end: int) -> memoryview:
        self._check_open()
        data = self._window.take(self, start, end)
        return submit(self._fetch, start, end).result() if data is None else data

    def _fetch(self, start: int, end: int) -> memoryview:
        """Return a range of the object; runs on a thread of requests."""
        try:
            return read_range(self.path, start, end, self._version, lambda: stopped() or self._window.halted)
        except OtherVersionError:
            self._changed = True
            remedy = f"Run the command again, or in Python {_REOPEN}"
            raise ShardChangedError(self.path, "was replaced by another object while it was open", "", remedy) from None

    def _check_open(self) -> None:
        if self._closed:
            raise ShardError(self.path, "was closed with close()", "an open shard", f"To continue reading, {_REOPEN}")

    def _covering(self, start: int, end: int) -> Iterator[Block]:
        """Yield the blocks that hold a range."""
        for number in range(start // BLOCK, -(-end // BLOCK)):
            low = number * BLOCK
            high = min(low + BLOCK, self.size)
            yield Block(self._file.blocks.raw(number), low, high, str(self.path), self.path.name)


def hash_object(address: Address, file: ShardFile) -> FileHash:
    """Return the hash of an object's bytes, which are read block by block, some blocks ahead.

    Raises:
        ShardError: The object is missing, or has not the length in the manifest.
        RemoteError: It cannot be read.
    """
    opened = RemoteObject(address, file, None, Window())
    submit(opened.prepare, False).result()
    source, digest, ranges = RemoteFile(opened), FileHash(), deque[tuple[int, int]]()
    starts = iter(range(0, file.bytes, BLOCK))
    while True:
        for start in islice(starts, _AHEAD - len(ranges)):
            ranges.append((start, min(start + BLOCK, file.bytes)))
            source.ask([ranges[-1]])
        if not ranges:
            return digest
        start, end = ranges.popleft()
        digest.update(source.read(start, end - start, str(address)))
        source.drop(start, end)
