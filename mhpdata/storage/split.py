"""A split of a packed folder as a sequence of samples: what ``mhpdata.open`` returns.

Reading a sample is a pread, a CRC and a decode; any number of threads may do it at once. A Split can be pickled (the
copy opens the files again), so it works inside any framework's worker processes.

A shard must be the manifest's: its files have the manifest's sizes when they are opened, each record its name, place
and CRC-32 whenever it is read. A file that was replaced or written to since then is opened again, and checked again.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from mhpdata import thumbnails
from mhpdata.errors import MhpError, OptionError, PackedError, RecordError, copy_again
from mhpdata.options import check_path
from mhpdata.storage.manifest import Manifest, read_manifest
from mhpdata.storage.record import Record, parse_record
from mhpdata.storage.sample import Sample, decode_record
from mhpdata.storage.shards import formats
from mhpdata.storage.shards.file import OpenFile, check_size
from mhpdata.storage.shards.formats import Reader
from mhpdata.wording import counted, printable


def open_split(folder: str | Path, split: str, *, allow_empty: bool = False) -> Split:
    """Open one split of a packed folder.

    Args:
        folder: where mhp-pack has written.
        split: "train", "val" or "test".
        allow_empty: a split without samples is no error.

    Raises:
        ManifestError: ``folder`` is not a packed dataset.
        OptionError: it has no such split, or one without samples.
        ShardError: a shard is missing or damaged.
    """
    opened = Split(check_path("folder", folder), split)
    if not allow_empty:
        refuse_empty(opened)
    return opened


def refuse_empty(split: Split) -> None:
    """Raises OptionError for a split without samples."""
    if not len(split):
        others = [name for name, one in split.manifest.splits.items() if one.records]
        remedy = f"Pass {' or '.join(others)}." if others else f"Pack again: {split.folder} has no samples at all."
        raise OptionError("split", f"{split.name!r} of {split.folder} is empty", "a split with samples", remedy)


class Split(Sequence[Sample]):
    """A split of a packed folder: ``len(split)``, ``split[i] -> Sample``.

    Attributes:
        folder, name: what was opened.
        manifest: of the folder.
        classes: class names, indexed by label.
        flip_pairs: (left, right) labels that change places when a picture is mirrored.
        names: the images' ids, in order.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.manifest: Manifest = read_manifest(folder)
        if name not in self.manifest.splits:
            remedy = f"Pass one of these, the only splits of {folder}."
            raise OptionError("split", repr(name), " or ".join(self.manifest.splits), remedy)
        self.classes, self.flip_pairs = self.manifest.classes, self.manifest.flip_pairs
        self._shards = self.manifest.splits[name].shards
        self.names = tuple(itertools.chain.from_iterable(shard.names for shard in self._shards))
        self._starts = list(itertools.accumulate((len(shard.names) for shard in self._shards), initial=0))
        self._readers = list(map(self._open, range(len(self._shards))))
        self._stale: set[int] = set()
        self._changes = [0] * len(self._readers)

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """A sample, decoded anew at each call; a slice is a list of them.

        Raises:
            IndexError: beyond the split.
            ShardError, RecordError: its bytes are not what was packed.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index, shard = self._place(index)
        record = self.record(index)
        try:
            return decode_record(record, index, len(self.classes))
        except RecordError as error:
            raise self._in_shard(error, shard) from error.__cause__

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def record(self, index: int) -> Record:
        """A record's parts, checked but not decoded: CRC-32, sizes, place in the split and name.

        Raises:
            IndexError: beyond the split.
            ShardError, RecordError: its bytes are not what was packed.
        """
        return self.whole(index)[1]

    def whole(self, index: int) -> tuple[bytes | memoryview, Record]:
        """Return what ``record`` does, after the bytes that it was parsed from."""
        index, shard = self._place(index)
        try:
            return self._whole(index, shard)
        except PackedError:
            if not self.renew(index):
                raise
            return self._whole(index, shard)  # of the file that has replaced the damaged one

    def __repr__(self) -> str:
        return printable(f"<{counted(len(self), 'sample')} of {self.folder}, split {self.name}>")

    def _repr_html_(self) -> str:
        """Return the first samples with their labels, for notebooks; the error in place of a damaged one."""
        return thumbnails.row(repr(self), map(self._cell, range(min(len(self), thumbnails.MOST))))

    def _cell(self, index: int) -> str:
        try:
            sample = self[index]
        except MhpError as error:
            return thumbnails.note(error)
        return thumbnails.picture(sample.image, sample.labels, f"{index}: {sample.name}")

    def raw(self, index: int) -> bytes | memoryview:
        """A record's bytes, unchecked."""
        index, shard = self._place(index)
        return self._reader(shard).read(index - self._starts[shard])

    def span(self, index: int) -> tuple[OpenFile, int, int]:
        """Where a record lies: the file, the first byte, how many."""
        index, shard = self._place(index)
        return self._reader(shard).span(index - self._starts[shard])

    def plain(self, index: int) -> int:
        """The first byte in the file of the record itself; -1 where it does not lie there in one piece."""
        index, shard = self._place(index)
        return self._reader(shard).plain(index - self._starts[shard])

    def place(self, index: int) -> str:
        """How an error names a record: its shard's file and its number."""
        index, shard = self._place(index)
        return f"{self.folder / self._file(shard)}, record {index} ({self.names[index]})"

    def file(self, index: int) -> str:
        """The name of the shard's file that a record is in."""
        return self._file(self._place(index)[1])

    def close(self) -> None:
        """Let go of the files; samples that were read stay valid."""
        self._stale.clear()
        for reader in self._readers:
            reader.close()

    def refresh(self) -> list[tuple[range, int]]:
        """Compare each shard with the file that was opened. One that was replaced or written to since then is opened
        again when it is next read, and is an error if it is not the manifest's.

        Returns:
            The records of each shard, and how often it was found to have changed.
        """
        for shard in range(len(self._readers)):
            self._compare(shard)
        ranges = map(range, self._starts, self._starts[1:])
        return list(zip(ranges, self._changes, strict=True))

    def renew(self, index: int) -> bool:
        """Compare the shard of a record as ``refresh`` does; whether it will be opened again."""
        return self._compare(self._place(index)[1])

    def _compare(self, shard: int) -> bool:
        if shard not in self._stale and not self._readers[shard].is_current():
            self._changes[shard] += 1
            self._stale.add(shard)
        return shard in self._stale

    def __reduce__(self) -> tuple[type[Split], tuple[Path, str]]:
        return type(self), (self.folder, self.name)

    def _place(self, index: int) -> tuple[int, int]:
        """An index from 0, and the shard that it is in."""
        if not -len(self) <= index < len(self):
            held = f"{self.folder}, split {self.name}, holds {len(self)} samples"
            raise IndexError(f"sample {index}: {held}. Pass an index from 0 on, below {len(self)}.")
        return index % len(self), bisect.bisect_right(self._starts, index % len(self)) - 1

    def _open(self, shard: int) -> Reader:
        """Open a shard, whose files must have the manifest's sizes. Raises ShardError."""
        packed = self._shards[shard]
        for file in packed.files:
            check_size(self.folder / file.file, file.bytes)
        return formats.reader(str(self.manifest.options["format"]), self.folder / packed.stem, len(packed.names))

    def _reader(self, shard: int) -> Reader:
        """The reader of a shard, opened again where its files have changed; threads that do so at once both may."""
        if shard in self._stale:
            self._readers[shard] = self._open(shard)
            self._stale.discard(shard)
        return self._readers[shard]

    def _whole(self, index: int, shard: int) -> tuple[bytes | memoryview, Record]:
        """A record by its index from 0, checked."""
        data = self._reader(shard).read(index - self._starts[shard])
        try:
            record = parse_record(data, index)
        except RecordError as error:
            raise self._in_shard(error, shard) from error.__cause__
        if record.name != self.names[index]:
            found, expected = f"is named {record.name!r}", f"{self.names[index]!r}, by the manifest"
            raise RecordError(self.place(index), found, expected, copy_again(self._file(shard)))
        return data, record

    def _file(self, shard: int) -> str:
        return self._shards[shard].files[0].file

    def _in_shard(self, error: RecordError, shard: int) -> RecordError:
        file = self._file(shard)
        return error.in_shard(f"{self.folder / file}, {error.place}", file)
