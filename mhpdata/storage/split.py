"""A split of a packed folder as a sequence of samples, the result of ``mhpdata.open``.

Reading a sample takes a pread, a CRC and a decode; any number of threads may read at once. A Split can be pickled (the
copy opens the files again), so it works in the worker processes of any framework.

Shards are checked against the manifest: the sizes of their files when they are opened, and the name, index and CRC-32
of each record when it is read. A file that was replaced or modified since then is opened and checked again.
"""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from mhpdata import thumbnails
from mhpdata.address import Address
from mhpdata.errors import ANOTHER, MhpError, OptionError, PackedError, RecordError, copy_again
from mhpdata.options import Folder, check_folder
from mhpdata.settings.caching import Cache
from mhpdata.settings.rules import check_kind
from mhpdata.storage.manifest import Manifest, read_manifest
from mhpdata.storage.placing import Span, place_of
from mhpdata.storage.record import Record, parse_record
from mhpdata.storage.sample import Sample, decode_record
from mhpdata.storage.shards.formats import Reader
from mhpdata.wording import counted, either, printable


def open_split(
    folder: str | os.PathLike[str] | Address, split: str, *, allow_empty: bool = False, cache: Cache | None = None
) -> Split:
    """Open one split of a packed folder.

    Args:
        folder: Folder that mhp pack has written, or its address: s3://, gs://, http:// or https:// (docs/cluster.md).
        split: Name of the split: "train", "val" or "test".
        allow_empty: Whether to allow a split without samples.
        cache: Cache on a local disk for a folder that has an address.

    Raises:
        ManifestError: ``folder`` is not a packed dataset.
        OptionError: There is no such split, or it has no samples.
        ShardError: A shard is missing or damaged.
        RemoteError: A request fails.
        MissingError: The folder has an address, and obstore is not installed.
    """
    if cache is not None:
        check_kind("cache", cache, Cache)
    opened = Split(check_folder("folder", folder), split, cache)
    if not allow_empty:
        refuse_empty(opened)
    return opened


def no_split(folder: Folder, name: str, manifest: Manifest) -> OptionError:
    """Return the error for a split that a packed folder does not have."""
    remedy = "Check the spelling."
    if name in ("train", "val", "test"):
        remedy = f"Pass one of these, or pack again with --split {name}."
    return OptionError("split", f"{folder} has no split {name!r}", either(manifest.splits), remedy)


def refuse_empty(split: Split) -> None:
    """Raise OptionError for a split without samples."""
    if not len(split):
        others = [name for name, one in split.manifest.splits.items() if one.records]
        remedy = f"Pass {' or '.join(others)}." if others else f"Pack again: {split.folder} has no samples at all."
        raise OptionError("split", f"{split.name!r} of {split.folder} is empty", "a split with samples", remedy)


class Split(Sequence[Sample]):
    """A split of a packed folder: ``len(split)``, ``split[i] -> Sample``.

    Attributes:
        folder: The packed folder, a path or an address.
        name: Name of the split.
        manifest: Manifest of the folder.
        classes: Class names, indexed by label.
        flip_pairs: (left, right) labels to swap when an image is mirrored.
        names: Ids of the images, in order.
        cache: Cache that it is read through; None for none.
        remote: Whether the folder has an address.
        by_record: Whether records should be read whole and only once: each read is a request.
    """

    folder: Folder
    name: str
    classes: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    names: tuple[str, ...]
    cache: Cache | None
    remote: bool
    by_record: bool

    def __init__(self, folder: Folder, name: str, cache: Cache | None = None) -> None:
        self.folder, self.name = folder, name
        self.manifest: Manifest = read_manifest(folder)
        if name not in self.manifest.splits:
            raise no_split(folder, name, self.manifest)
        self.classes, self.flip_pairs = self.manifest.classes, self.manifest.flip_pairs
        self._shards = self.manifest.splits[name].shards
        self.names = tuple(itertools.chain.from_iterable(shard.names for shard in self._shards))
        self._starts = list(itertools.accumulate((len(shard.names) for shard in self._shards), initial=0))
        self.cache, self._place = cache, place_of(folder, self.manifest, cache)
        self.remote, self.by_record = self._place.remote, self._place.by_record
        self._readers = self._place.open_shards(self._shards)
        self._stale: set[int] = set()
        self._changes = [0] * len(self._readers)

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Decode a sample, at each call again; a slice gives a list of samples.

        Raises:
            IndexError: The index is past the end of the split.
            TypeError: The index is not a whole number.
            ShardError, RecordError: The bytes differ from those that were packed.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index, shard = self._locate(index)
        record = self.record(index)
        try:
            return decode_record(record, index, len(self.classes))
        except RecordError as error:
            raise self._in_shard(error, shard) from error.__cause__

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def record(self, index: int) -> Record:
        """Read a record without decoding it; check its CRC-32, sizes, index and name.

        Raises:
            IndexError: The index is past the end of the split.
            ShardError, RecordError: The bytes differ from those that were packed.
        """
        return self.whole(index)[1]

    def whole(self, index: int) -> tuple[bytes | memoryview, Record]:
        """Return the bytes of a record, and the record as ``record`` does."""
        index, shard = self._locate(index)
        try:
            return self._whole(index, shard)
        except PackedError:
            if not self.renew(index) and not self._place.doubt(self.span(index)):
                raise
            return self._whole(index, shard)  # from the file that has replaced the damaged one, or requested again

    def __repr__(self) -> str:
        return printable(f"<{counted(len(self), 'sample')} of {self.folder}, split {self.name}>")

    def _repr_html_(self) -> str:
        """Return the first samples with their labels as HTML, for notebooks; an error in place of a damaged sample."""
        return thumbnails.row(repr(self), map(self._cell, range(min(len(self), thumbnails.MOST))))

    def _cell(self, index: int) -> str:
        try:
            sample = self[index]
        except MhpError as error:
            return thumbnails.note(error)
        return thumbnails.picture(sample.image, sample.labels, f"{index}: {sample.name}")

    def raw(self, index: int) -> bytes | memoryview:
        """Return a record's bytes, unchecked."""
        index, shard = self._locate(index)
        return self._reader(shard).read(index - self._starts[shard])

    def span(self, index: int) -> Span:
        """Return the location of a record: the file, the offset and the length."""
        index, shard = self._locate(index)
        return self._reader(shard).span(index - self._starts[shard])

    def plain(self, index: int) -> int:
        """Return the offset in the file of the record's own bytes; -1 if they are not contiguous."""
        index, shard = self._locate(index)
        return self._reader(shard).plain(index - self._starts[shard])

    def place(self, index: int) -> str:
        """Return the name of a record for errors: its shard's file, index and name."""
        index, shard = self._locate(index)
        return f"{self.folder / self._file(shard)}, record {index} ({self.names[index]})"

    def file(self, index: int) -> str:
        """Return the name of the shard's file that contains a record."""
        return self._file(self._locate(index)[1])

    def close(self) -> None:
        """Close the files; samples that were read stay valid."""
        self._place.clear()
        self._stale.clear()
        for reader in self._readers:
            reader.close()

    def refresh(self) -> list[tuple[range, int]]:
        """Compare each shard with the file that was opened.

        A shard that was replaced or modified is opened again at the next read, and checked against the manifest.

        Returns:
            The indices of each shard's records, and the number of changes detected so far.
        """
        for shard in range(len(self._readers)):
            self._compare(shard)
        ranges = map(range, self._starts, self._starts[1:])
        return list(zip(ranges, self._changes, strict=True))

    def renew(self, index: int) -> bool:
        """Compare the shard of a record as ``refresh`` does; return whether it will be opened again."""
        return self._compare(self._locate(index)[1])

    def _compare(self, shard: int) -> bool:
        if shard not in self._stale and not self._readers[shard].is_current():
            self._changes[shard] += 1
            self._stale.add(shard)
        return shard in self._stale

    def ask(self, indices: Iterable[int]) -> None:
        """Fetch records in advance from an address; each will be read and dropped once."""
        self._place.ask(map(self.span, indices))

    def drop(self, index: int) -> None:
        """Forget a record that was asked for, after its use."""
        self._place.drop(self.span(index))

    def forget(self) -> None:
        """Forget all records that were asked for."""
        self._place.clear()

    def halt(self, halted: bool) -> None:
        """Say whether failed requests need not be tried again, since nobody waits for them."""
        self._place.halt(halted)

    def __reduce__(self) -> tuple[type[Split], tuple[Folder, str, Cache | None]]:
        return type(self), (self.folder, self.name, self.cache)

    def _locate(self, index: int) -> tuple[int, int]:
        """Return an index from 0 for one that may be negative, and its shard. Raises IndexError, TypeError."""
        try:
            inside = -len(self) <= index < len(self)
        except TypeError as error:
            raise self._no_number(index) from error
        if not inside:
            held = f"{self.folder}, split {self.name}, holds {len(self)} samples"
            raise IndexError(f"sample {index}: {held}. Pass an index from 0 to {len(self) - 1}.")
        return index % len(self), bisect.bisect_right(self._starts, index % len(self)) - 1

    def _no_number(self, index: object) -> TypeError:
        """Return the error for an index that is no number, such as the name of a sample."""
        remedy = f"Pass an index from 0 to {len(self) - 1}; split.names lists the names in order."
        if index in self.names:
            remedy = f"Pass {self.names.index(str(index))}, which is split.names.index({index!r})."
        return TypeError(f"sample {index!r}: samples are indexed by whole numbers, not by name. {remedy}")

    def _reader(self, shard: int) -> Reader:
        """Return the reader of a shard, opened again if its files have changed; several threads may do so at once."""
        if shard in self._stale:
            (self._readers[shard],) = self._place.open_shards([self._shards[shard]])
            self._stale.discard(shard)
        return self._readers[shard]

    def _whole(self, index: int, shard: int) -> tuple[bytes | memoryview, Record]:
        """Return the bytes and the record for an index from 0, checked."""
        data = self._reader(shard).read(index - self._starts[shard])
        try:
            record = parse_record(data, index)
        except RecordError as error:
            raise self._in_shard(error, shard) from error.__cause__
        if record.name != self.names[index]:
            place = f"{self.folder / self._file(shard)}, record {index}"
            found, expected = f"is named {record.name!r}", f"{self.names[index]!r}, as the manifest says"
            raise RecordError(place, found, expected, f"{ANOTHER} {copy_again(self._file(shard))}")
        return data, record

    def _file(self, shard: int) -> str:
        return self._shards[shard].files[0].file

    def _in_shard(self, error: RecordError, shard: int) -> RecordError:
        file = self._file(shard)
        return error.in_shard(f"{self.folder / file}, {error.place}", file)
