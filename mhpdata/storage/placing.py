"""Open the shards of a split where they are: in a local folder, or in object storage or on a web server.

A remote folder is read record by record, or through a cache in blocks (mhpdata.storage.shards.remote).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from mhpdata.address import Address
from mhpdata.errors import OptionError
from mhpdata.options import Folder
from mhpdata.remote.blocks import Blocks
from mhpdata.remote.disk import BlockDisk
from mhpdata.remote.window import Window
from mhpdata.settings.caching import Cache
from mhpdata.storage.digests import BLOCK
from mhpdata.storage.manifest import Manifest
from mhpdata.storage.packed import Shard
from mhpdata.storage.shards import formats
from mhpdata.storage.shards.file import check_size
from mhpdata.storage.shards.formats import Reader
from mhpdata.storage.shards.opening import Opened
from mhpdata.storage.shards.remote import RemoteStem, prepare

Span = tuple[Opened, int, int]
"""Location of a record: the file, the offset, and the length."""


class Place(Protocol):
    """The place of the shards of a split.

    Attributes:
        remote: Whether reads are requests, so that it helps to ask for records in advance.
        by_record: Whether records should be read whole and only once: nothing keeps them.
    """

    remote: bool
    by_record: bool

    def open_shards(self, shards: Sequence[Shard]) -> list[Reader]:
        """Open shards, whose files must have the manifest's sizes. Raises ShardError, RemoteError."""

    def ask(self, spans: Iterable[Span]) -> None:
        """Fetch records in advance, each of which will be read and dropped once."""

    def drop(self, span: Span) -> None:
        """Forget a record that was asked for, after its use."""

    def doubt(self, span: Span) -> bool:
        """Return whether reading a record again, after wrong bytes, may give others."""

    def clear(self) -> None:
        """Forget all records that were asked for."""

    def halt(self, halted: bool) -> None:
        """Say whether failed requests need not be tried again, since nobody waits for them."""


class LocalPlace:
    """Shards in a folder on this machine."""

    remote = by_record = False

    def __init__(self, folder: Path, format: str) -> None:
        self._folder, self._format = folder, format

    def open_shards(self, shards: Sequence[Shard]) -> list[Reader]:
        """See Place."""
        readers = []
        for shard in shards:
            for file in shard.files:
                check_size(self._folder / file.file, file.bytes)
            readers.append(formats.reader(self._format, self._folder / shard.stem, len(shard.names)))
        return readers

    def ask(self, spans: Iterable[Span]) -> None:
        """See Place."""

    def drop(self, span: Span) -> None:
        """See Place."""

    def doubt(self, span: Span) -> bool:
        """See Place."""
        return False

    def clear(self) -> None:
        """See Place."""

    def halt(self, halted: bool) -> None:
        """See Place."""


class RemotePlace:
    """Shards below an address.

    Args:
        folder: Address of the packed folder.
        manifest: Its manifest.
        cache: Cache to read through; None for none.

    Raises:
        OptionError: The format of the shards, or the version of the manifest with a cache, is unsupported.
        OutputError: The cache cannot be used.
    """

    remote = True

    def __init__(self, folder: Address, manifest: Manifest, cache: Cache | None) -> None:
        self._folder, self._format = folder, str(manifest.options["format"])
        if self._format != "recordio":
            found = f"{folder} holds HDF5 shards, and the HDF5 library reads them in many small steps, each a request"
            remedy = "Pack again with --format recordio, or copy the folder to a local disk."
            raise OptionError("folder", found, "RecordIO shards at an address", remedy)
        if cache is not None and manifest.version == 1:
            found = f"{folder} has format 1, without the digests that a cache compares"
            raise OptionError("cache", found, "format 2", "Pack again, or omit the cache.")
        self._window = Window()
        self.by_record = cache is None
        self._blocks = None if cache is None else Blocks(BlockDisk(Path(cache.folder), cache.bytes, BLOCK))

    def open_shards(self, shards: Sequence[Shard]) -> list[Reader]:
        """See Place; all requests are made at once."""
        stems = [RemoteStem(self._folder, shard, self._blocks, self._window) for shard in shards]
        prepare(stems)
        return [formats.reader(self._format, stem, len(shard.names)) for stem, shard in zip(stems, shards, strict=True)]

    def ask(self, spans: Iterable[Span]) -> None:
        """See Place; records that are close together in a file become one request."""
        files: dict[Any, list[tuple[int, int]]] = defaultdict(list)
        for file, at, length in spans:
            files[file].append((at, at + length))
        for file, ranges in files.items():
            file.ask(ranges)

    def drop(self, span: Span) -> None:
        """See Place."""
        file, at, length = span
        file.drop(at, at + length)  # type: ignore[attr-defined]  # a RemoteFile

    def doubt(self, span: Span) -> bool:
        """See Place."""
        file, at, length = span
        return bool(file.doubt(at, at + length))  # type: ignore[attr-defined]

    def clear(self) -> None:
        """See Place."""
        self._window.clear()

    def halt(self, halted: bool) -> None:
        """See Place."""
        self._window.halted = halted


def place_of(folder: Folder, manifest: Manifest, cache: Cache | None) -> Place:
    """Return the place of a packed folder's shards. Raises as RemotePlace; a local folder needs no cache."""
    if isinstance(folder, Address):
        return RemotePlace(folder, manifest, cache)
    return LocalPlace(folder, str(manifest.options["format"]))
