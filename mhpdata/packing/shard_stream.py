"""Write a stream of records, in order, to the shards of one split.

The lengths of the records alone determine the cuts (mhpdata.packing.cuts). A separate thread syncs a finished shard and
gives it its final name while the next one is being written.
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
    """Return the labels that occur as bits, bit c for label c without 255, from their pixels: int64 (256,)."""
    return int.from_bytes(np.packbits(pixels[:IGNORE] > 0, bitorder="little").tobytes(), "little")


class Publisher:
    """Thread that syncs and names finished shards, one after the other, while the next is being written."""

    def __init__(self) -> None:
        self._pool = Pool(1, "mhp-publish")
        self._last: Task[Finished] | None = None

    def submit(self, publish: Callable[[], Finished]) -> Task[Finished]:
        """Publish a shard in the thread; wait for the previous one, and raise its error if it had one."""
        if self._last is not None:
            self._last.result()
        self._last = self._pool.submit(publish)
        return self._last

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.finish()


class ShardStream:
    """Writer of the shards of one split, after the journal's finished ones.

    Args:
        journal: Journal of this pack.
        publisher: Publisher of this pack.
        format: Format of the shards.
        limit: Maximum bytes of records per shard.
        split: Name of the split.
        entries: Entries of the split, in order.
        finished: Shards of the split that are already finished.
        classes: Number of labels of the dataset.
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
        self._position = finished[-1].stop if finished else 0
        self._publishing: list[Task[Finished]] = []
        self._shard: _OpenShard | None = None

    @property
    def position(self) -> int:
        """Return the index, in the split's entries, of the next one to add or skip."""
        return self._position

    def add(self, converted: Converted) -> None:
        """Write the record of the next entry."""
        shard = self._open()
        if is_full(shard.held, len(converted.data), self._limit):
            self.close(converted.source)
            shard = self._open()
        number_record(converted.data, self._index)
        shard.writer.write(converted.data)
        name = self._entries[self._position].name
        shard.note(name, converted)
        shard.notes += [Note(self._split, name, code, values) for code, values in converted.notes.items()]
        self._index += 1
        self._position += 1

    def skip(self, refused: Refused) -> None:
        """Skip the next entry, and record its error."""
        self._open().skip(skipped(self._split, self._entries[self._position].name, refused.error), refused.source)
        self._position += 1

    def close(self, source: bytes = b"") -> None:
        """Finish the shard that is being written.

        Args:
            source: Digest of the files of the next entry; empty for the last shard.
        """
        if self._shard is not None:
            self._shard.sources.append(source)
            publish = partial(self._publish, self._shard, self._position)
            self._publishing.append(self._publisher.submit(publish))
            self._shard = None

    def finished(self) -> list[Finished]:
        """Return all shards of the closed stream, published under their final names; wait for the last."""
        return self._finished + [task.result() for task in self._publishing]

    def abort(self) -> None:
        """Discard the shard that is being written; finished ones stay."""
        if self._shard is not None:
            with contextlib.suppress(OSError):  # such as a full disk, which was reported already
                self._shard.writer.abort()

    def _open(self) -> _OpenShard:
        if self._shard is None:
            number = len(self._finished) + len(self._publishing)
            writer = formats.writer(self._format, self._journal.unfinished(self._split, number))
            self._shard = _OpenShard(writer, number, self._position, self._index)
        return self._shard

    def _publish(self, shard: _OpenShard, stop: int) -> Finished:
        if not shard.names:  # only skipped entries, at the end of the split; a resumed pack tries them again
            shard.writer.abort()
            return self._finish(shard, stop, Shard((), ()))
        hashes = shard.writer.close()
        stem = self._journal.unfinished(self._split, shard.number)
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
    """Return the manifest's description of an entry, or a line of a list, that was skipped for an error."""
    code, *values = error.fault
    return Skipped(split, name, error.place, str(code), tuple(values))


class _OpenShard:
    """Shard that is being written, with the metadata of its records.

    Attributes:
        held: Bytes of its records.
        sources: Digest of the files of each of its entries.
        packed: Digest of the files of each entry that has a record.
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
        """Add a record to the metadata; labels are counted in arrays, since all records pass through this thread."""
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
        """Add a skipped entry to the metadata."""
        self.skipped.append(skipped)
        self.sources.append(source)

    def statistics(self, classes: int) -> Statistics:
        """Return the statistics of its records; ``classes`` is the number of labels of the dataset."""
        return replace(
            self._counts,
            class_pixels=self._pixels[:classes].tolist(),
            class_images=self._images[:classes].tolist(),
            ignored_pixels=int(self._pixels[IGNORE]),
        )
