"""What a manifest describes: files of shards, shards, splits, and entries that were left out."""

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
    """A file of a shard: its name in the packed folder, its length, its SHA-256 (hex), and that of each block of it.

    In a manifest of version 1 there are no blocks.
    """

    file: str
    bytes: int
    sha256: str
    blocks: Digests = Digests()  # noqa: RUF009  # it does not change


@dataclass(frozen=True)
class Shard:
    """One shard: its files, and the names of its records in order.

    Attributes:
        photos: SHA-256 (hex) of each record's image file in the source.
        sources: of each record, a digest of all its files in the source (mhpdata.packing.sources).
        classes: of each record, the labels that occur in it as packed: bit c of a number for label c.

    In a manifest of version 1 there are no ``sources``, and of the first of them neither photos nor classes.
    """

    files: tuple[ShardFile, ...]
    names: tuple[str, ...]
    photos: Digests = Digests()  # noqa: RUF009
    sources: Digests = Digests()  # noqa: RUF009
    classes: tuple[int, ...] = ()

    @property
    def stem(self) -> str:
        """The files' common name without suffix."""
        return Path(self.files[0].file).stem

    def __repr__(self) -> str:
        files = ", ".join(file.file for file in self.files)
        return printable(f"<Shard of {counted(len(self.names), 'record')}: {files}>")


@dataclass(frozen=True)
class PackedSplit:
    """One split of a manifest: its shards in order, its statistics, whether its records have labels, and its content.

    ``content`` is that of mhpdata.storage.content (hex); empty in a manifest of version 1.
    """

    shards: tuple[Shard, ...]
    statistics: Statistics
    labelled: bool = True
    content: str = ""

    @property
    def records(self) -> int:
        """How many records the split has."""
        return sum(len(shard.names) for shard in self.shards)

    def __repr__(self) -> str:
        return f"<PackedSplit of {counted(self.records, 'record')} in {counted(len(self.shards), 'shard')}>"

    def in_words(self, name: str) -> tuple[str, ...]:
        """Return the split's line of a table: its name, images, persons, shards and megabytes."""
        megabytes = sum(file.bytes for shard in self.shards for file in shard.files) / 1e6
        persons = f"{self.statistics.persons:,}"
        return name, f"{self.records:,}", persons, f"{len(self.shards):,}", f"{megabytes:,.1f}"


@dataclass(frozen=True)
class Skipped:
    """An entry, or a line of a list, that was left out, and why.

    Attributes:
        split: the entry's split; "" where what is wrong concerns every split.
        name: the entry, the line, or the list.
        place: the file below the source folder, of a list with the line.
        code, values: what is wrong there, of mhpdata.faults.FAULTS.
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
    """Return what the content of a pack says of each of these splits."""
    return [SplitContent(name, split.records, split.labelled, split.content) for name, split in splits.items()]
