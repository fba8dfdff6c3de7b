"""A stream of records, in order, to the shards of one split.

Where a shard is cut depends on the lengths of the records alone (mhpdata.packing.cuts). A whole shard is synced and
given its final name by a thread of its own while the next one is being written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from mhpdata.errors import SourceError
from mhpdata.images.notes import Note
from mhpdata.labels import IGNORE
from mhpdata.packing.convert import Converted, Refused
from mhpdata.packing.cuts import is_full
from mhpdata.packing.journal import Finished, Journal
from mhpdata.pool import Pool
from mhpdata.source.entry import Entry
from mhpdata.storage.digests import SOURCE_BYTES, Digests
from mhpdata.storage.packed import Shard, ShardFile, Skipped
from mhpdata.storage.record import number_record
from mhpdata.storage.shards import formats
from mhpdata.storage.statistics import Statistics
from mhpdata.task import Task


def class_bits(pixels: np.ndarray) -> int:
    """The labels that occur, bit c of a number for label c, by int64 (256,) pixels of each; 255 left out."""
    return int.from_bytes(np.packbits(pixels[:IGNORE] > 0, bitorder="little").tobytes(), "little")


class Publisher:
    """A thread that syncs and names whole shards, one after the other, while the next is being written."""

    def __init__(self) -> None:
        self._pool = Pool(1, "mhp-publish")
        self._last: Task[Finished] | None = None

    def submit(self, publish: Callable[[], Finished]) -> Task[Finished]:
        """Have a shard published; waits for the one before, and raises what went wrong there."""
        if self._last is not None:
            self._last.result()
        self._last = self._pool.submit(publish)
        return self._last

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.finish()


class ShardStream:
    """Writes the shards of one split, from where the journal's finished ones end.

    Args:
        journal: of this pack.
        publisher: of this pack.
        format: of the shards.
        limit: bytes of the records of a shard.
        entries: of the split, in order.
        finished: its shards that are already whole.
        classes: how many labels the dataset has.
    """

    def __init__(
        self,
        journal: Journal,
        publisher: Publisher,
        format: str,
        limit: int,
        split: str,
        entries: Sequence[Entry],
        finished: list[Finished],
        classes: int,
    ) -> None:
        self._journal, self._publisher, self._format, self._limit = journal, publisher, format, limit
        self._split, self._entries, self._classes = split, entries, classes
        self._finished = finished
        self._index = sum(len(done.shard.names) for done in finished)
        self._place = finished[-1].stop if finished else 0
        self._publishing: list[Task[Finished]] = []
        self._shard: _OpenShard | None = None

    @property
    def place(self) -> int:
        """The place in the split's entries of the next one to add or skip."""
        return self._place

    def add(self, converted: Converted) -> None:
        """Write the record of the next entry."""
        shard = self._open()
        if is_full(shard.held, len(converted.data), self._limit):
            self.close(converted.source)
            shard = self._open()
        number_record(converted.data, self._index)
        shard.writer.write(converted.data)
        name = self._entries[self._place].name
        shard.note(name, converted)
        shard.notes += [Note(self._split, name, code, values) for code, values in converted.notes.items()]
        self._index += 1
        self._place += 1

    def skip(self, refused: Refused) -> None:
        """Leave the next entry out, and say why."""
        self._open().skip(skipped(self._split, self._entries[self._place].name, refused.error), refused.source)
        self._place += 1

    def close(self, source: bytes = b"") -> None:
        """End the shard that is being written.

        Args:
            source: the digest of the files of the entry that comes next; of the last shard none.
        """
        if self._shard is not None:
            self._shard.sources.append(source)
            publish = partial(self._publish, self._shard, self._place)
            self._publishing.append(self._publisher.submit(publish))
            self._shard = None

    def finished(self) -> list[Finished]:
        """All shards of the closed stream, whole and under their final names; waits for the last."""
        return self._finished + [task.result() for task in self._publishing]

    def abort(self) -> None:
        """Let go of the shard that is being written; whole ones stay."""
        if self._shard is not None:
            with contextlib.suppress(OSError):  # a full disk, said already
                self._shard.writer.abort()

    def _open(self) -> _OpenShard:
        if self._shard is None:
            number = len(self._finished) + len(self._publishing)
            writer = formats.writer(self._format, self._journal.part(self._split, number))
            self._shard = _OpenShard(writer, number, self._place, self._index)
        return self._shard

    def _publish(self, shard: _OpenShard, stop: int) -> Finished:
        if not shard.names:  # nothing but skipped entries at the split's end: they are soon tried again
            shard.writer.abort()
            return self._finish(shard, stop, Shard((), ()))
        hashes = shard.writer.close()
        stem = self._journal.part(self._split, shard.number)
        paths = [stem.with_suffix(suffix) for suffix in formats.SUFFIXES[self._format]]
        files = tuple(ShardFile(p.name, h.size, h.sha256, h.blocks) for p, h in zip(paths, hashes, strict=True))
        packed = Digests(b"".join(shard.packed), SOURCE_BYTES)
        whole = Shard(files, tuple(shard.names), Digests.of(shard.photos), packed, tuple(shard.classes))
        done = self._finish(shard, stop, whole)
        self._journal.publish(done, self._entries)
        return done

    def _finish(self, shard: _OpenShard, stop: int, whole: Shard) -> Finished:
        statistics = shard.statistics(self._classes)
        contents, sources = Digests(b"".join(shard.contents)), Digests(b"".join(shard.sources), SOURCE_BYTES)
        skipped, notes = tuple(shard.skipped), tuple(shard.notes)
        where = (self._split, shard.start, stop, shard.index)
        return Finished(*where, whole, contents, sources, statistics, skipped, notes)


def skipped(split: str, name: str, error: SourceError) -> Skipped:
    """What a manifest says of an entry, or a line of a list, that was left out for an error."""
    code, *values = error.fault
    return Skipped(split, name, error.place, str(code), tuple(values))


class _OpenShard:
    """The shard that is being written: which entries, and what is to be said of its records.

    Attributes:
        held: bytes of its records.
        sources: the digest of the files of each of its entries; ``packed`` of those that have a record.
    """

    def __init__(self, writer: formats.Writer, number: int, start: int, index: int) -> None:
        self.writer, self.number, self.start, self.index = writer, number, start, index
        self.held = 0
        self.names: list[str] = []
        self.photos: list[str] = []
        self.contents: list[bytes] = []
        self.packed: list[bytes] = []
        self.sources: list[bytes] = []
        self.classes: list[int] = []
        self.skipped: list[Skipped] = []
        self.notes: list[Note] = []
        self._counts = Statistics()
        self._pixels, self._images = np.zeros(256, np.int64), np.zeros(256, np.int64)

    def note(self, name: str, converted: Converted) -> None:
        """Count a record; the labels in arrays, not lists, for this thread is in the way of all others."""
        self.held += len(converted.data)
        self.names.append(name)
        self.photos.append(converted.source_sha256)
        self.contents.append(converted.content)
        self.packed.append(converted.source)
        self.sources.append(converted.source)
        self.classes.append(class_bits(converted.pixels))
        self._pixels += converted.pixels
        self._images += converted.pixels > 0
        counts = self._counts
        counts.images += 1
        counts.persons += converted.persons
        counts.unlabelled_persons += converted.unlabelled
        counts.gray += converted.gray
        counts.contested_images += converted.contested > 0
        counts.contested += converted.contested
        counts.conflicting += converted.conflicting

    def skip(self, skipped: Skipped, source: bytes) -> None:
        """Leave an entry out."""
        self.skipped.append(skipped)
        self.sources.append(source)

    def statistics(self, classes: int) -> Statistics:
        """Of all its records; ``classes`` is how many labels the dataset has."""
        return replace(
            self._counts,
            class_pixels=self._pixels[:classes].tolist(),
            class_images=self._images[:classes].tolist(),
            ignored_pixels=int(self._pixels[IGNORE]),
        )
