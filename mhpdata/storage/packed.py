"""The items of a manifest: files of shards, shards, splits, and skipped entries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mhpdata.faults import FAULTS, Value, describe, place_before
from mhpdata.storage.content import SplitContent
from mhpdata.storage.digests import Digests
from mhpdata.storage.statistics import Statistics
from mhpdata.wording import counted, printable


@dataclass(frozen=True)
class ShardFile:
    """A file of a shard.

    Attributes:
        file: Name in the packed folder.
        bytes: Size in bytes.
        sha256: SHA-256 (hex).
        blocks: SHA-256 of each block; empty in a manifest of version 1.
    """

    file: str
    bytes: int
    sha256: str
    blocks: Digests = Digests()  # noqa: RUF009  # immutable


@dataclass(frozen=True)
class Shard:
    """One shard.

    Attributes:
        files: Its files.
        names: Names of its records, in order.
        ``photos``: SHA-256 (hex) of each record's image file in the source.
        sources: Digest of all source files of each record (mhpdata.packing.sources).
        classes: Labels that occur in each packed record: bit c of a number is label c.

    A manifest of version 1 has no ``sources``; the first such manifests have neither ``photos`` nor ``classes``.
    """

    files: tuple[ShardFile, ...]
    names: tuple[str, ...]
    photos: Digests = Digests()  # noqa: RUF009
    sources: Digests = Digests()  # noqa: RUF009
    classes: tuple[int, ...] = ()

    @property
    def stem(self) -> str:
        """The common name of its files, without suffix."""
        return Path(self.files[0].file).stem

    def __repr__(self) -> str:
        files = ", ".join(file.file for file in self.files)
        return printable(f"<Shard of {counted(len(self.names), 'record')}: {files}>")


@dataclass(frozen=True)
class PackedSplit:
    """One split of a manifest.

    Attributes:
        shards: Its shards, in order.
        statistics: Counts over its records.
        labelled: Whether its records have labels.
        content: Its content (hex) by mhpdata.storage.content; empty in a manifest of version 1.
    """

    shards: tuple[Shard, ...]
    statistics: Statistics
    labelled: bool = True
    content: str = ""

    @property
    def records(self) -> int:
        """The number of records in the split."""
        return sum(len(shard.names) for shard in self.shards)

    def __repr__(self) -> str:
        return f"<PackedSplit of {counted(self.records, 'record')} in {counted(len(self.shards), 'shard')}>"

    def in_words(self, name: str) -> tuple[str, ...]:
        """Return the split's row of a table: its name, images, persons, shards and megabytes."""
        megabytes = sum(file.bytes for shard in self.shards for file in shard.files) / 1e6
        persons = f"{self.statistics.persons:,}"
        return name, f"{self.records:,}", persons, f"{len(self.shards):,}", f"{megabytes:,.1f}"


@dataclass(frozen=True)
class Skipped:
    """An entry, or a line of a list, that was skipped, and why.

    Attributes:
        split: Name of the split; "" if every split is concerned.
        name: Name of the entry, the line, or the list.
        place: Path of the file, relative to the source folder; for a list with the line.
        code, values: What is wrong there; a key of mhpdata.faults.FAULTS and its values.
    """

    split: str
    name: str
    place: str
    code: str
    values: tuple[Value, ...] = ()

    @property
    def message(self) -> str:
        """The reason in words."""
        return place_before(self.place, describe(FAULTS, self.code, self.values))


def contents(splits: dict[str, PackedSplit]) -> list[SplitContent]:
    """Return the fields of these splits that enter the content of a pack."""
    return [SplitContent(name, split.records, split.labelled, split.content) for name, split in splits.items()]
