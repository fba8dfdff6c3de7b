"""HDF5 shards: contiguous datasets uint8 ``records`` and uint64 ``offsets`` (n + 1), documented by attributes.

Record i is ``records[offsets[i]:offsets[i + 1]]``, the same bytes as in RecordIO from IRHeader on. Both datasets are
contiguous and uncompressed, so a reader can access them by offsets in the file, as Reader does. The length of a
contiguous dataset must be known when it is created, so records are written to a spool file until the shard is closed.

Source: HDF5 file format specification, version 3 (contiguous layout); written with the oldest format that holds it,
without times.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np

from mhpdata.errors import ShardError, copy_again
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.filesystem.ours import create, head
from mhpdata.storage.digests import FileHash
from mhpdata.storage.shards.file import OpenFile, check_written, hash_file
from mhpdata.storage.shards.remote import RemoteStem

FORMAT = "mhp-records"
_ABOUT = "Record i is records[offsets[i]:offsets[i+1]]; its layout is in docs/format.md of mhp"
_SYSTEM = re.compile(r"error message = '([^']*)'")
_CHUNK = 1 << 22
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_COMPLETE = "a complete HDF5 file written by mhp pack"


class Writer:
    """Writes ``stem``.h5; see mhpdata.storage.shards.formats.Writer."""

    def __init__(self, stem: Path) -> None:
        self.size = 0
        self._offsets = [0]
        self._path = stem.with_suffix(".h5")
        self._spool_path = stem.with_suffix(".spool")
        self._spool = create(self._spool_path, "x+b")

    def write(self, record: bytes | bytearray) -> None:
        """Append a record."""
        self._spool.write(record)
        self.size += len(record)
        self._offsets.append(self.size)

    def close(self) -> tuple[FileHash, ...]:
        """Copy the spool into the shard, then hash it: HDF5 writes its headers last, so it cannot be hashed earlier."""
        try:
            self._spool.flush()
            check_written(self._spool_path, self.size)
            target = _Target(self._path)
            with target, h5py.File(target, "w", libver=("earliest", "v108")) as file:
                self._fill(file)
            check_written(self._path, target.end)
        finally:
            self.abort()
        return (hash_file(self._path),)

    def _fill(self, file: h5py.File) -> None:
        file.attrs["format"], file.attrs["version"], file.attrs["about"] = FORMAT, np.uint32(1), _ABOUT
        file.create_dataset("offsets", data=np.array(self._offsets, "<u8"), track_times=False)
        records = file.create_dataset("records", (self.size,), "u1", track_times=False)
        self._spool.seek(0)
        for start in range(0, self.size, _CHUNK):
            block = self._spool.read(_CHUNK)
            records[start : start + len(block)] = np.frombuffer(block, np.uint8)

    def abort(self) -> None:
        """Close and delete the spool file."""
        self._spool.close()
        self._spool_path.unlink(missing_ok=True)


class _Target(io.RawIOBase):
    """A new file for HDF5 that never reports a failed write; the error is raised when the file is closed.

    A failed write corrupts the library's state: closing its file on a full disk has crashed the process.

    Attributes:
        end: Size of the file in bytes, by the writes to it.
    """

    def __init__(self, path: Path) -> None:
        self._file = cast(io.FileIO, create(path, "x+b", buffering=0))
        self._error: OSError | None = None
        self.end = 0

    def write(self, data: Any) -> int:
        """Write all of ``data``, or nothing after an error; return its length in both cases."""
        left = memoryview(data)
        while left.nbytes and self._error is None:
            try:
                left = left[self._file.write(left) :]
            except OSError as error:
                self._error = error
        if self._error is None:
            self.end = max(self.end, self._file.tell())
        return len(data)

    def readinto(self, buffer: Any) -> int | None:
        """Read into a buffer, as for any file."""
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move the position, as for any file."""
        return self._file.seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        """Resize the file, as for any file; an error is raised when the file is closed."""
        try:
            self.end = self._file.truncate(size)
            return self.end
        except OSError as error:
            self._error = self._error or error
            return size or 0

    def __exit__(self, *raised: object) -> None:
        self._file.close()
        if self._error is not None:
            raise self._error


class Reader:
    """Reads ``stem``.h5; see mhpdata.storage.shards.formats.Reader."""

    def __init__(self, stem: Path | RemoteStem, records: int) -> None:
        assert isinstance(stem, Path), "mhpdata.storage.placing refuses it"
        path = stem.with_suffix(".h5")
        self._file = OpenFile(path)
        try:
            hold_standard()  # HDF5 opens the file itself
            with h5py.File(path, "r") as file:
                self._begin, self._offsets = _layout(file, self._file)
        except ShardError:
            raise
        except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
            system = _SYSTEM.search(str(error))  # HDF5 describes a disk error in ten lines with memory addresses
            reason = system[1] if system else str(error)
            raise ShardError(path, f"cannot be opened ({reason})", _COMPLETE, copy_again(path.name)) from error
        if len(self) != records:
            raise ShardError(
                path, f"has {len(self)} records", f"{records}, as the manifest says", copy_again(path.name)
            )

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def read(self, index: int) -> bytes:
        """Return a record by its index in this shard."""
        place = f"{self._file.path}, record {index}"
        start, end = int(self._offsets[index]), int(self._offsets[index + 1])
        data = self._file.read(self._begin + start, end - start, place)
        if len(data) != end - start:
            remedy = copy_again(self._file.path.name)
            raise ShardError(place, f"is truncated: ends after {len(data)} bytes", f"{end - start}", remedy)
        return data

    def span(self, index: int) -> tuple[OpenFile, int, int]:
        """Return the location of a record: the file, the offset and the length."""
        start = int(self._offsets[index])
        return self._file, self._begin + start, int(self._offsets[index + 1]) - start

    def plain(self, index: int) -> int:
        """Return the offset of a record in the file; records are always contiguous."""
        return self._begin + int(self._offsets[index])

    def is_current(self) -> bool:
        """Return whether the file of records is still the one that was opened."""
        return self._file.is_current()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _layout(file: h5py.File, opened: OpenFile) -> tuple[int, np.ndarray]:
    """Return the offset of ``records`` in the file, and its offsets, after checking them against its length."""
    records, offsets = (_contiguous(file, opened, *dataset) for dataset in (("records", "u1"), ("offsets", "<u8")))
    table = offsets[:]
    if len(table) == 0 or table[0] != 0 or (table[1:] < table[:-1]).any() or table[-1] != records.size:
        remedy = copy_again(opened.path.name)
        raise ShardError(opened.path, "has offsets that do not fit its records", "ascending offsets from 0", remedy)
    return int(records.id.get_offset() or 0), table


def _contiguous(file: h5py.File, opened: OpenFile, name: str, dtype: str) -> h5py.Dataset:
    """Return a dataset that is contiguous in this file: no link, no chunks, no external file. Raises ShardError."""
    data = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    if (
        not isinstance(data, h5py.Dataset)
        or data.dtype != dtype
        or data.ndim != 1
        or data.external
        or data.id.get_create_plist().get_layout() != h5py.h5d.CONTIGUOUS
    ):
        found = f"has no contiguous dataset '{name}' of type {dtype}"
        raise ShardError(opened.path, found, _COMPLETE, copy_again(opened.path.name))
    if data.size and (data.id.get_offset() is None or data.id.get_offset() + data.nbytes > opened.size):
        found, expected = f"is truncated ({opened.size} bytes)", f"all its {name}, {data.nbytes} bytes"
        raise ShardError(opened.path, found, expected, copy_again(opened.path.name))
    return data


def begins(path: Path) -> bool:
    """Return whether a ``.h5`` file begins as mhp writes it: HDF5's signature, then the attribute ``format``."""
    start = head(path, 1 << 13) or b""
    return start.startswith(_SIGNATURE) and FORMAT.encode() in start
