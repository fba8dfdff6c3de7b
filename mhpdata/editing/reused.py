"""Packed records as converted entries: their bytes stay, and their statistics are counted again."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from mhpdata.editing.packs import Pack
from mhpdata.editing.selection import unlabelled_persons
from mhpdata.faults import Value
from mhpdata.images.notes import Note
from mhpdata.masks.joint_runs import count_labels
from mhpdata.packing.convert import Converted
from mhpdata.storage.content import record_digest
from mhpdata.storage.digests import SOURCE_BYTES, Digests


class Reused:
    """Reader of the records of a pack.

    Args:
        pack: The pack.
    """

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._sources = {name: _sources(pack, name) for name in pack.splits}
        self._notes = notes_by_image(pack.manifest.notes)

    def source(self, split: str, index: int) -> bytes:
        """Return the digest of the source files of a record (mhpdata.packing.sources)."""
        return self._sources[split].raw(index)

    def read(self, split: str, index: int) -> Converted:
        """Read and check a record.

        Raises:
            PackedError: It is damaged.
            RemoteError: A request fails.
        """
        data, record = self._pack.read(split, index)
        return Converted(
            data=bytearray(data),
            source_sha256=record.source_sha256.hex(),
            content=record_digest(data),
            source=self.source(split, index),
            gray=record.gray,
            persons=len(record.masks),
            unlabelled=unlabelled_persons(record),
            contested=record.contested,
            conflicting=record.conflicting,
            pixels=_pixels(record.row_offsets, record.runs),
            notes=self._notes.get((split, record.name), {}),
        )


def notes_by_image(notes: Iterable[Note]) -> dict[tuple[str, str], dict[str, tuple[Value, ...]]]:
    """Return the notes of each image, by split and name: values by code."""
    found: dict[tuple[str, str], dict[str, tuple[Value, ...]]] = {}
    for note in notes:
        found.setdefault((note.split, note.name), {})[note.code] = note.values
    return found


def _pixels(row_offsets: np.ndarray | None, runs: np.ndarray | None) -> np.ndarray:
    """Return the number of pixels of each label, int64 (256,); the views of a record are copied for the kernel."""
    if row_offsets is None or runs is None:
        return np.zeros(256, np.int64)
    return count_labels(row_offsets.copy(), runs.copy())


def _sources(pack: Pack, split: str) -> Digests:
    """Return the digest of the source files of each record of a split."""
    shards = pack.manifest.splits[split].shards
    raw = itertools.chain.from_iterable((shard.sources.raw(i) for i in range(len(shard.names))) for shard in shards)
    return Digests(b"".join(raw), SOURCE_BYTES)
