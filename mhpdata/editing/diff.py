"""Compare two packed folders, sample by sample.

Samples are compared by split and name. Both records of every common name are read and checked: equal bytes are an equal
sample; for others, the differing parts are listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mhpdata.editing.packs import Folders, Pack, fixed_options
from mhpdata.editing.selection import AHEAD
from mhpdata.options import differences
from mhpdata.processes.threads import crew
from mhpdata.storage.content import record_digest
from mhpdata.storage.record import Record
from mhpdata.wording import counted, printable


class Change(NamedTuple):
    """A sample that is in both folders and differs.

    Attributes:
        name: Its name.
        parts: What differs: image, labels, persons' masks, sizes or other fields.
    """

    name: str
    parts: tuple[str, ...]


@dataclass
class SplitDifference:
    """Differences of one split.

    Attributes:
        same: Number of equal samples.
        only_a, only_b: Names in one folder only.
        changed: Samples that differ.
        moved: Whether the common samples are in another order.
    """

    same: int = 0
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    moved: bool = False

    @property
    def equal(self) -> bool:
        """Whether the split holds the same samples in the same order."""
        return not (self.only_a or self.only_b or self.changed or self.moved)


@dataclass
class Difference:
    """Result of ``diff``.

    Attributes:
        a: The first folder.
        b: The second folder.
        notes: Differences of layout, classes, options and splits, as sentences.
        splits: Differences of each common split.
    """

    a: str
    b: str
    notes: list[str] = field(default_factory=list)
    splits: dict[str, SplitDifference] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether the folders hold the same samples, classes and splits; shards may differ."""
        return not self.notes and all(split.equal for split in self.splits.values())

    def text(self, shown: int | None = None) -> str:
        """Return the differences as text.

        Args:
            shown: Maximum number of names per list; None for all.
        """
        lines = [f"a: {self.a}", f"b: {self.b}", "", *self.notes]
        lines.append(f"{'split':8}{'same':>9}{'changed':>9}{'only in a':>11}{'only in b':>11}")
        for name, split in self.splits.items():
            counts = f"{split.same:9}{len(split.changed):9}{len(split.only_a):11}{len(split.only_b):11}"
            lines.append(f"{name:8}{counts}" + ("  in another order" if split.moved else ""))
        for name, split in self.splits.items():
            changes = [f"{change.name} ({', '.join(change.parts)})" for change in split.changed]
            for title, names in (("changed", changes), ("only in a", split.only_a), ("only in b", split.only_b)):
                lines += _listed(f"{name}, {title}", names, shown)
        lines += ["", "The two folders hold the same samples." if self.equal else "The two folders differ."]
        return "\n".join(map(printable, lines))

    def as_dict(self) -> dict[str, Any]:
        """Return the differences as JSON types."""
        splits = {
            name: {
                "same": split.same,
                "changed": {change.name: list(change.parts) for change in split.changed},
                "only_a": split.only_a,
                "only_b": split.only_b,
                "moved": split.moved,
            }
            for name, split in self.splits.items()
        }
        return {"a": self.a, "b": self.b, "equal": self.equal, "notes": self.notes, "splits": splits}


def diff(folders: Folders, *, workers: int | None = None, progress: bool = False) -> Difference:
    """Compare two packed folders.

    Args:
        folders: The two folders, or their addresses.
        workers: Number of threads; one per core by default.
        progress: Whether to show a bar on a terminal.

    Raises:
        PackedError: A folder is damaged, or of format 1.
    """
    first, second = map(Pack, folders)
    try:
        found = Difference(str(first.folder), str(second.folder), _notes(first, second))
        for name in first.splits:
            if name in second.splits:
                found.splits[name] = _compare(first, second, name, workers, progress)
        return found
    finally:
        first.close()
        second.close()


def _notes(a: Pack, b: Pack) -> list[str]:
    """Return the differences of two manifests as sentences."""
    notes = []
    if a.manifest.layout != b.manifest.layout:
        notes.append(f"layout: {a.manifest.layout} in a, {b.manifest.layout} in b.")
    if (a.manifest.classes, a.manifest.flip_pairs) != (b.manifest.classes, b.manifest.flip_pairs):
        notes.append("The classes or their left/right pairs differ.")
    ours, theirs = fixed_options(a.manifest), fixed_options(b.manifest)
    if ours != theirs:
        notes.append(f"options of a: {differences(ours, {**ours, **theirs})} in b.")
    for name in sorted(a.splits.keys() ^ b.splits.keys()):
        notes.append(f"split {name} is only in {'a' if name in a.splits else 'b'}.")
    return notes


def _compare(a: Pack, b: Pack, split: str, workers: int | None, progress: bool) -> SplitDifference:
    ours, theirs = a.split(split), b.split(split)
    index = {name: n for n, name in enumerate(theirs.names)}
    both = [(n, index[name]) for n, name in enumerate(ours.names) if name in index]
    known = set(ours.names)
    found = SplitDifference(
        only_a=[name for name in ours.names if name not in index],
        only_b=[name for name in theirs.names if name not in known],
        moved=[there for _, there in both] != sorted(there for _, there in both),
    )

    def parts(pair: tuple[int, int]) -> tuple[str, ...]:
        (data, record), (other, another) = a.read(split, pair[0]), b.read(split, pair[1])
        return () if record_digest(data) == record_digest(other) else _parts(record, another)

    def asked() -> Iterator[tuple[int, int]]:
        for start in range(0, len(both), AHEAD):
            for opened, side in ((ours, 0), (theirs, 1)):
                opened.ask(pair[side] for pair in both[start : start + AHEAD])
            yield from both[start : start + AHEAD]

    with crew(len(both), f"images of {split}", workers, progress) as threads:
        for (here, _), differing in zip(both, threads.each(parts, asked()), strict=True):
            if differing:
                found.changed.append(Change(ours.names[here], differing))
            else:
                found.same += 1
    return found


def _parts(a: Record, b: Record) -> tuple[str, ...]:
    """Return which parts of two records differ."""
    differing = {
        "image": a.image != b.image,
        "labels": not (_same(a.row_offsets, b.row_offsets) and _same(a.runs, b.runs)),
        "masks of persons": list(a.masks) != list(b.masks),
        "size": (a.size, a.source_size) != (b.size, b.source_size),
        "source image": a.source_sha256 != b.source_sha256,
        "other fields": (a.codec, a.contested, a.conflicting, a.gray, a.verbatim)
        != (b.codec, b.contested, b.conflicting, b.gray, b.verbatim),
    }
    return tuple(name for name, differs in differing.items() if differs)


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return (a is None) == (b is None) and (a is None or b is None or np.array_equal(a, b))


def _listed(title: str, names: list[str], shown: int | None) -> list[str]:
    if not names:
        return []
    more = len(names) - len(names[:shown])
    lines = ["", f"{title}: {counted(len(names), 'sample')}", *(f"  {name}" for name in names[:shown])]
    return lines + [f"  ... and {more} more (--all shows them)"] * (more > 0)
