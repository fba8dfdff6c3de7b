"""Write one shard from converted entries, given in order, and publish it through the journal.

Two callers decide which entries a shard gets: ShardStream (mhpdata.packing.shard_stream), while entries are converted,
and the assembly of parts that tasks have written (mhpdata.packing.tasks.assembly). Both write every byte of a shard
through this class, so their shards are byte-identical.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mhpdata.errors import SourceError
from mhpdata.images.notes import Note
from mhpdata.labels import IGNORE
from mhpdata.packing.convert import Converted, Refused
from mhpdata.packing.journal import Finished, Journal
from mhpdata.source.entry import Entry
from mhpdata.storage.digests import SOURCE_BYTES, Digests
from mhpdata.storage.packed import Shard, ShardFile, Skipped
from mhpdata.storage.record import number_record
from mhpdata.storage.shards import formats
from mhpdata.storage.statistics import Statistics


def class_bits(pixels: np.ndarray) -> int:
    """Return the labels that occur as bits, bit c for label c without 255, from their pixels: int64 (256,)."""
    return int.from_bytes(np.packbits(pixels[:IGNORE] > 0, bitorder="little").tobytes(), "little")


def skipped(split: str, name: str, error: SourceError) -> Skipped:
    """Return the manifest's description of an entry, or a line of a list, that was skipped for an error."""
    code, *values = error.fault
    return Skipped(split, name, error.place, str(code), tuple(values))


class Target(NamedTuple):
    """A split that shards are written for.

    Attributes:
        journal: Journal of this pack.
        format: Format of the shards.
        split: Name of the split.
        entries: Entries of the split, in order.
        classes: Number of labels of the dataset.
    """

    journal: Journal
    format: str
    split: str
    entries: Sequence[Entry]
    classes: int


class OpenShard:
    """Shard that is being written, with the metadata of its records.

    Args:
        target: Split that it belongs to.
        number: Its number in the split.
        start: Index of its first entry in the split.
        index: Index of its first record in the split.

    Attributes:
        held: Bytes of its records.
        position: Index, in the split's entries, of the next one to add or skip.
    """

    def __init__(self, target: Target, number: int, start: int, index: int) -> None:
        self._target, self._start, self._index = target, start, index
        self._stem = target.journal.unfinished(target.split, number)
        self._writer = formats.writer(target.format, self._stem)
        self.held, self.position = 0, start
        self._names: list[str] = []
        self._images: list[str] = []
        self._contents: list[bytes] = []
        self._packed: list[bytes] = []
        self._sources: list[bytes] = []
        self._classes: list[int] = []
        self._skipped: list[Skipped] = []
        self._notes: list[Note] = []
        self._counts = Statistics()
        self._pixels, self._with_label = np.zeros(256, np.int64), np.zeros(256, np.int64)

    def add(self, converted: Converted) -> None:
        """Write the record of the next entry; labels are counted in arrays, since all records pass through here."""
        number_record(converted.data, self._index + len(self._names))
        self._writer.write(converted.data)
        split, name = self._target.split, self._target.entries[self.position].name
        self._notes += [Note(split, name, code, values) for code, values in converted.notes.items()]
        self.held += len(converted.data)
        self.position += 1
        self._names.append(name)
        self._images.append(converted.source_sha256)
        self._contents.append(converted.content)
        self._packed.append(converted.source)
        self._sources.append(converted.source)
        self._classes.append(class_bits(converted.pixels))
        self._pixels += converted.pixels
        self._with_label += converted.pixels > 0
        counts = self._counts
        counts.images += 1
        counts.persons += converted.persons
        counts.unlabelled_persons += converted.unlabelled
        counts.gray += converted.gray
        counts.contested_images += converted.contested > 0
        counts.contested += converted.contested
        counts.conflicting += converted.conflicting

    def skip(self, refused: Refused) -> None:
        """Skip the next entry, and record its error."""
        self._skipped.append(skipped(self._target.split, self._target.entries[self.position].name, refused.error))
        self._sources.append(refused.source)
        self.position += 1

    def publish(self, source: bytes) -> Finished:
        """Complete the shard, sync it and give it its final name; call this at most once, after the last entry.

        Args:
            source: Digest of the files of the next entry; empty for the last shard.
        """
        self._sources.append(source)
        if not self._names:  # only skipped entries, at the end of the split; a resumed pack tries them again
            self._writer.abort()
            return self._finish(Shard((), ()))
        hashes = self._writer.close()
        paths = [self._stem.with_suffix(suffix) for suffix in formats.SUFFIXES[self._target.format]]
        files = tuple(ShardFile(p.name, h.size, h.sha256, h.blocks) for p, h in zip(paths, hashes, strict=True))
        packed = Digests(b"".join(self._packed), SOURCE_BYTES)
        whole = Shard(files, tuple(self._names), Digests.of(self._images), packed, tuple(self._classes))
        done = self._finish(whole)
        self._target.journal.publish(done, self._target.entries)
        return done

    def abort(self) -> None:
        """Close its files without completing them."""
        with contextlib.suppress(OSError):  # such as a full disk, which was reported already
            self._writer.abort()

    def _finish(self, whole: Shard) -> Finished:
        contents, sources = Digests(b"".join(self._contents)), Digests(b"".join(self._sources), SOURCE_BYTES)
        statistics = replace(
            self._counts,
            class_pixels=self._pixels[: self._target.classes].tolist(),
            class_images=self._with_label[: self._target.classes].tolist(),
            ignored_pixels=int(self._pixels[IGNORE]),
        )
        where = (self._target.split, self._start, self.position, self._index)
        return Finished(*where, whole, contents, sources, statistics, tuple(self._skipped), tuple(self._notes))
