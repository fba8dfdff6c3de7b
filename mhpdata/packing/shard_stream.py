"""Write a stream of records, in order, to the shards of one split.

The lengths of the records alone determine the cuts (mhpdata.packing.cuts). A separate thread syncs a finished shard and
gives it its final name while the next one is being written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mhpdata.packing.convert import Converted, Refused
from mhpdata.packing.cuts import is_full
from mhpdata.packing.journal import Finished
from mhpdata.packing.open_shard import OpenShard, Target
from mhpdata.processes.pool import Pool
from mhpdata.processes.task import Task


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
        target: The split.
        publisher: Publisher of this pack.
        limit: Maximum bytes of records per shard.
        finished: Shards of the split that are already finished.
    """

    def __init__(self, target: Target, publisher: Publisher, limit: int, finished: list[Finished]) -> None:
        self._target, self._publisher, self._limit = target, publisher, limit
        self._finished = finished
        self._index = sum(len(done.shard.names) for done in finished)
        self._position = finished[-1].stop if finished else 0
        self._publishing: list[Task[Finished]] = []
        self._shard: OpenShard | None = None

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
        shard.add(converted)
        self._index += 1
        self._position += 1

    def skip(self, refused: Refused) -> None:
        """Skip the next entry, and record its error."""
        self._open().skip(refused)
        self._position += 1

    def close(self, source: bytes = b"") -> None:
        """Finish the shard that is being written.

        Args:
            source: Digest of the files of the next entry; empty for the last shard.
        """
        if self._shard is not None:
            self._publishing.append(self._publisher.submit(partial(self._shard.publish, source)))
            self._shard = None

    def finished(self) -> list[Finished]:
        """Return all shards of the closed stream, published under their final names; wait for the last."""
        return self._finished + [task.result() for task in self._publishing]

    def abort(self) -> None:
        """Discard the shard that is being written; finished ones stay."""
        if self._shard is not None:
            self._shard.abort()

    def _open(self) -> OpenShard:
        if self._shard is None:
            number = len(self._finished) + len(self._publishing)
            self._shard = OpenShard(self._target, number, self._position, self._index)
        return self._shard
