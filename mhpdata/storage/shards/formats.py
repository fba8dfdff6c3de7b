"""Shards: files of records. A format is a module with a ``Writer`` and a ``Reader`` of the shapes below.

==========  ==============================  ====================================================================
format      files of a shard                read with
==========  ==============================  ====================================================================
recordio    train-00000.rec, .idx           MXNet, mhp
hdf5        train-00000.h5                  anything that reads HDF5, mhp
==========  ==============================  ====================================================================

Both hold the same record bytes. Nothing here looks into a record.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from mhpdata.storage.digests import FileHash
from mhpdata.storage.shards.file import OpenFile

SUFFIXES = {"recordio": (".rec", ".idx"), "hdf5": (".h5",)}


class Writer(Protocol):
    """Writes one shard below a temporary folder; the files are whole once ``close`` has returned."""

    def __init__(self, stem: Path) -> None:
        """Begin the shard whose files are ``stem`` plus the format's suffixes."""

    size: int
    """How many bytes of records it holds so far, with what the format adds to each."""

    def write(self, record: bytes | bytearray) -> None:
        """Append a record."""

    def close(self) -> tuple[FileHash, ...]:
        """End the shard; what it holds is in its files afterwards, if not yet on the disk.

        Returns:
            The hash of each file, in the order of SUFFIXES.
        """

    def abort(self) -> None:
        """Let go of the files without ending them; after ``close`` nothing happens."""


class Reader(Protocol):
    """Reads the records of one shard, by any number of threads at once."""

    def __init__(self, stem: Path, records: int) -> None:
        """Open the shard ``stem``; raises ShardError where it does not hold ``records`` records."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes | memoryview:
        """The bytes of the record at a place in this shard; raises ShardError."""

    def span(self, index: int) -> tuple[OpenFile, int, int]:
        """Where a record lies: the file, the first byte, how many, with what the format adds."""

    def plain(self, index: int) -> int:
        """The first byte in the file of the record itself; -1 where it does not lie there in one piece."""

    def is_current(self) -> bool:
        """Whether the file of records is still the one that was opened."""

    def close(self) -> None:
        """Let go of the files."""


def writer(format: str, stem: Path) -> Writer:
    """A writer of a shard in a format of FORMATS."""
    return cast(Writer, importlib.import_module(f"mhpdata.storage.shards.{format}").Writer(stem))


def reader(format: str, stem: Path, records: int) -> Reader:
    """A reader of a shard in a format of FORMATS.

    Raises:
        ShardError: the shard is missing, damaged, or holds another number of records.
    """
    return cast(Reader, importlib.import_module(f"mhpdata.storage.shards.{format}").Reader(stem, records))


def begins_a_shard(path: Path) -> bool:
    """Whether a file begins, by its suffix, as one of a shard that mhp wrote; False for a link."""
    format = next((name for name, suffixes in SUFFIXES.items() if path.suffix in suffixes), None)
    return format is not None and bool(importlib.import_module(f"mhpdata.storage.shards.{format}").begins(path))
