"""A stream of records, in order, to the shards of one split.

A shard is cut where the next record would take it past the limit, so the cut depends on the bytes alone. A whole
shard is synced and given its final name by a thread of its own while the next one is being written.
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
from mhpdata.packing.convert import Converted
from mhpdata.packing.journal import Finished, Journal
from mhpdata.pool import Pool
from mhpdata.source.entry import Entry
from mhpdata.storage.manifest import Shard, ShardFile, Skipped, Statistics
from mhpdata.storage.record import number_record
from mhpdata.storage.shards import formats
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
        limit: bytes of a shard.
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
        if shard.names and shard.writer.size + len(converted.data) > self._limit:
            self.close()
            shard = self._open()
        number_record(converted.data, self._index)
        shard.writer.write(converted.data)
        name = self._entries[self._place].name
        shard.note(name, converted)
        shard.notes += [Note(self._split, name, code, message) for code, message in converted.notes.items()]
        self._index += 1
        self._place += 1

    def skip(self, error: SourceError) -> None:
        """Leave the next entry out, and say why."""
        name = self._entries[self._place].name
        self._open().skipped.append(Skipped(self._split, name, type(error).__name__, str(error)))
        self._place += 1

    def close(self) -> None:
        """End the last shard; the stream takes no more."""
        if self._shard is not None:
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
        files = tuple(ShardFile(p.name, p.stat().st_size, sha256) for p, sha256 in zip(paths, hashes, strict=True))
        whole = Shard(files, tuple(shard.names), tuple(shard.photos), tuple(shard.classes))
        done = self._finish(shard, stop, whole)
        self._journal.publish(done, self._entries)
        return done

    def _finish(self, shard: _OpenShard, stop: int, whole: Shard) -> Finished:
        statistics = shard.statistics(self._classes)
        skipped, notes = tuple(shard.skipped), tuple(shard.notes)
        return Finished(self._split, shard.start, stop, shard.index, whole, statistics, skipped, notes)


class _OpenShard:
    """The shard that is being written: which entries, and what is to be said of its records."""

    def __init__(self, writer: formats.Writer, number: int, start: int, index: int) -> None:
        self.writer, self.number, self.start, self.index = writer, number, start, index
        self.names: list[str] = []
        self.photos: list[str] = []
        self.classes: list[int] = []
        self.skipped: list[Skipped] = []
        self.notes: list[Note] = []
        self._counts = Statistics()
        self._pixels, self._images = np.zeros(256, np.int64), np.zeros(256, np.int64)

    def note(self, name: str, converted: Converted) -> None:
        """Count a record; the labels in arrays, not lists, for this thread is in the way of all others."""
        self.names.append(name)
        self.photos.append(converted.source_sha256)
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

    def statistics(self, classes: int) -> Statistics:
        """Of all its records; ``classes`` is how many labels the dataset has."""
        return replace(
            self._counts,
            class_pixels=self._pixels[:classes].tolist(),
            class_images=self._images[:classes].tolist(),
            ignored_pixels=int(self._pixels[IGNORE]),
        )
