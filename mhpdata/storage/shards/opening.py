"""Open a file of a shard on a local disk or over a network; both kinds of open files have the same methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from mhpdata.address import Address
from mhpdata.filesystem.regular import read_regular
from mhpdata.storage.shards.file import OpenFile
from mhpdata.storage.shards.remote import RemoteFile, RemoteObject


class Opened(Protocol):
    """A file open for reading; see OpenFile for what its methods return and raise."""

    @property
    def path(self) -> Path | Address:
        """Its path or address."""

    size: int
    """Its size in bytes."""

    def close(self) -> None:
        """Close the file."""

    def is_current(self) -> bool:
        """Return whether it is still the file that was opened."""

    def read(self, offset: int, length: int, place: str) -> bytes | memoryview:
        """Read bytes; fewer at the end of the file."""

    def read_into(self, offset: int, out: np.ndarray, place: Callable[[int], str], index: int) -> None:
        """Read bytes until ``out`` is full."""

    def expect(self, offset: int, length: int) -> None:
        """Advise the system that these bytes will be read soon."""


def open_shard(path: Path | RemoteObject) -> Opened:
    """Open a file of records. Raises ShardError."""
    if isinstance(path, Path):
        return OpenFile(path)
    return RemoteFile(path)


def read_whole(path: Path | RemoteObject, most: int) -> bytes | memoryview:
    """Return all bytes of a small file, at most ``most``. Raises OSError."""
    if isinstance(path, Path):
        return read_regular(path, most)
    assert path.data is not None
    return path.data
