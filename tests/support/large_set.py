"""A set of 150 GB that takes 1 GB of disk: a server repeats one shard, and numbers its records as it answers.

The CRC-32 of a record does not cover its header, which holds its index, so the shards differ in these bytes only. The
digests of blocks are computed once, from what the server sends, by the script that writes the manifest.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_left
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from range_server import RangeServer

import mhpdata
from mhpdata.storage.digests import BLOCK, SOURCE_BYTES, Digests, FileHash
from mhpdata.storage.manifest import NAME, read_manifest
from mhpdata.storage.packed import PackedSplit, Shard, ShardFile
from mhpdata.storage.record import IR_HEADER
from mhpdata.storage.shards.recordio import Writer, read_index

_PART = 8
"""Bytes before a record in a .rec file."""
_INDEX = struct.calcsize("<If")
"""Offset of the index in a record's header."""


class LargeSet:
    """A packed folder whose split train repeats one shard.

    Args:
        small: Packed folder with the records to repeat.
        folder: Folder to write one shard and the manifest to.
        size: Bytes of the shard.
        copies: Number of shards that the manifest names.
        digests: Whether to compute the digests of all blocks; otherwise all are zero, for reading without a cache.
    """

    def __init__(self, small: Path, folder: Path, size: int, copies: int, digests: bool = False) -> None:
        folder.mkdir()
        split = mhpdata.open(small, "train")
        records = [bytes(split.raw(index)) for index in range(len(split))]
        writer = Writer(folder / "one")
        names = []
        while writer.size < size:
            number = len(names) % len(records)
            writer.write(records[number])
            names.append(split.names[number])
        rec, idx = writer.close()
        self.folder, self._rec, self._copies = folder, folder / "one.rec", copies
        self.records, self.bytes = len(names), rec.size
        self._starts = read_index(folder / "one.idx", self.records).astype(np.int64) + _PART
        shards = [self._shard(number, names, idx, digests) for number in range(copies)]
        manifest = read_manifest(small)
        packed = PackedSplit(tuple(shards), manifest.splits["train"].statistics, content="0" * 64)
        whole = replace(manifest, splits={"train": packed}, duplicates=(), skipped=(), notes=())
        (folder / NAME).write_text(whole.to_json(), encoding="utf-8")

    def _shard(self, number: int, names: list[str], idx: FileHash, digests: bool) -> Shard:
        blocks = range(0, self.bytes, BLOCK)
        each = [hashlib.sha256(self.read(number, b, b + BLOCK)).digest() if digests else bytes(32) for b in blocks]
        stem, count = f"train-{number:05d}", len(names)
        return Shard(
            (
                ShardFile(f"{stem}.rec", self.bytes, "0" * 64, Digests(b"".join(each))),
                ShardFile(f"{stem}.idx", idx.size, idx.sha256, idx.blocks),
            ),
            tuple(names),
            Digests(bytes(32) * count),
            Digests(bytes(SOURCE_BYTES) * count, SOURCE_BYTES),
            (1,) * count,
        )

    def read(self, number: int, first: int, end: int) -> bytes:
        """Return the bytes of a shard from ``first`` to ``end``, or to its end."""
        end = min(end, self.bytes)
        with self._rec.open("rb") as file:
            file.seek(max(first - IR_HEADER.size, 0))
            begin = file.tell()
            data = bytearray(file.read(end + IR_HEADER.size - begin))
        low, high = bisect_left(self._starts, begin), bisect_left(self._starts, end)
        for record in range(low, high):
            at = int(self._starts[record]) + _INDEX - begin
            if at + 8 <= len(data):
                struct.pack_into("<Q", data, at, number * self.records + record)
        return bytes(data[first - begin : end - begin])


class LargeServer(RangeServer):
    """A server of a LargeSet, below /set/."""

    def __init__(self, large: LargeSet, **options: Any) -> None:
        self._large = large
        super().__init__(large.folder, **options)

    def length(self, path: str) -> int | None:
        """Return the size of an object; None if it does not exist."""
        name = path.removeprefix("/set/")
        if name.endswith(".rec"):
            return self._large.bytes
        return (self.folder / ("one.idx" if name.endswith(".idx") else name)).stat().st_size

    def content(self, path: str, first: int, end: int) -> bytes:
        """Return a range of an object."""
        name = path.removeprefix("/set/")
        if name.endswith(".rec"):
            return self._large.read(int(name[6:11]), first, end)
        return (self.folder / ("one.idx" if name.endswith(".idx") else name)).read_bytes()[first:end]
