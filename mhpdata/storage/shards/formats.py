"""Shards: files of records. Each format is a module with a ``Writer`` and a ``Reader`` that follow these protocols.

==========  ==============================  ====================================================================
format      files of a shard                read with
==========  ==============================  ====================================================================
recordio    train-00000.rec, .idx           MXNet, mhp
hdf5        train-00000.h5                  any HDF5 library, mhp
==========  ==============================  ====================================================================

Both hold the same bytes of records. This room's formats do not interpret records.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from mhpdata.storage.digests import FileHash
from mhpdata.storage.shards.opening import Opened
from mhpdata.storage.shards.remote import RemoteStem

SUFFIXES = {"recordio": (".rec", ".idx"), "hdf5": (".h5",)}


class Writer(Protocol):
    """Writes one shard in a temporary folder; its files are complete when ``close`` has returned."""

    def __init__(self, stem: Path) -> None:
        """Begin a shard; its files are ``stem`` plus the format's suffixes."""

    size: int
    """Number of bytes of records so far, including the format's overhead per record."""

    def write(self, record: bytes | bytearray) -> None:
        """Append a record."""

    def close(self) -> tuple[FileHash, ...]:
        """Complete the shard's files; they are not synced to disk.

        Returns:
            The hash of each file, in the order of SUFFIXES.
        """

    def abort(self) -> None:
        """Close the files without completing them; does nothing after ``close``."""


class Reader(Protocol):
    """Reads the records of one shard, by any number of threads at once."""

    def __init__(self, stem: Path | RemoteStem, records: int) -> None:
        """Open the shard ``stem``. Raises ShardError unless it holds ``records`` records."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes | memoryview:
        """Return the bytes of a record by its index in this shard. Raises ShardError."""

    def span(self, index: int) -> tuple[Opened, int, int]:
        """Return the location of a record: the file, the offset, and the length with the format's overhead."""

    def plain(self, index: int) -> int:
        """Return the offset in the file of the record's own bytes; -1 if they are not contiguous."""

    def is_current(self) -> bool:
        """Return whether the file of records is still the one that was opened."""

    def close(self) -> None:
        """Close the files."""


def writer(format: str, stem: Path) -> Writer:
    """Return a writer for a shard in a format of FORMATS."""
    return cast(Writer, importlib.import_module(f"mhpdata.storage.shards.{format}").Writer(stem))


def reader(format: str, stem: Path | RemoteStem, records: int) -> Reader:
    """Return a reader for a shard in a format of FORMATS.

    Raises:
        ShardError: The shard is missing, damaged, or does not hold ``records`` records.
    """
    return cast(Reader, importlib.import_module(f"mhpdata.storage.shards.{format}").Reader(stem, records))


def begins_a_shard(path: Path) -> bool:
    """Return whether a file begins like a shard's file with its suffix that mhp wrote; False for a link."""
    format = next((name for name, suffixes in SUFFIXES.items() if path.suffix in suffixes), None)
    return format is not None and bool(importlib.import_module(f"mhpdata.storage.shards.{format}").begins(path))
