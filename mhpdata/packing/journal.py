"""Record the finished shards of a pack, so that the same command can resume it.

A note, ``rec/.packing/train-00000.json``, is written for each finished shard after the shard has its final name. A
resumed pack keeps a shard only if its note has the same options, its records continue the numbers of the shards before
it, the source files of its entries (and of the next entry, which determined its end) are unchanged
(mhpdata.packing.sources), and its own bytes are those that were written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mhpdata.faults import PASSING
from mhpdata.fields import digest_at, object_at, text_at
from mhpdata.images.notes import Note
from mhpdata.packing.output.bucket import AnyOutput
from mhpdata.packing.sources import fingerprint, paths_of
from mhpdata.source.entry import Entry
from mhpdata.storage.digests import SOURCE_BYTES, Digests, digests_at
from mhpdata.storage.manifest_2 import coded, parse_notes, parse_shard, parse_skipped, shard_content
from mhpdata.storage.packed import Shard, Skipped
from mhpdata.storage.statistics import Statistics, parse_statistics

Read = Callable[[Sequence[Entry]], Digests]
"""Function that reads the files of entries and returns the digest of each."""


@dataclass(frozen=True)
class Finished:
    """Finished shard.

    Attributes:
        split, start, stop: Entries that it covers: those of the split from start to before stop.
        index: Index of its first record in the split.
        shard: Its files and names.
        contents: Digest of each record (mhpdata.storage.content).
        sources: Digest of the files of each entry, including skipped entries and the one after the last.
        statistics: Statistics of its records.
        skipped: Entries among these that were skipped.
        notes: Notes on its images.
    """

    split: str
    start: int
    stop: int
    index: int
    shard: Shard
    contents: Digests
    sources: Digests
    statistics: Statistics
    skipped: tuple[Skipped, ...]
    notes: tuple[Note, ...] = ()


class Journal:
    """Notes of a pack.

    Args:
        output: Place of the pack.
        options: Layout, splits and options of the pack.
        read: Function that returns the digests of entries whose files may have changed.
    """

    def __init__(self, output: AnyOutput, options: dict[str, Any], read: Read) -> None:
        self._output, self._options, self._read = output, options, read
        self._tags: dict[str, str] = {}

    def finished(self, split: str, entries: Sequence[Entry], allow_skips: bool) -> list[Finished]:
        """Return the finished shards of a split that still match the source, from the first one up to a gap."""
        done: list[Finished] = []
        while (shard := self._noted(split, entries, done)) is not None:
            if any(not allow_skips or skip.code in PASSING for skip in shard.skipped):
                break  # retry entries that were skipped for a disk error or a permission
            if not all(self._output.is_whole(file, self._tags.get(file.file, "")) for file in shard.shard.files):
                break
            done.append(shard)
        return done

    def unfinished(self, split: str, number: int) -> Path:
        """Return the path, without suffix, at which a shard is written until it is finished."""
        return self._output.folder / f"{split}-{number:05d}"

    def publish(self, done: Finished, entries: Sequence[Entry]) -> None:
        """Give a finished shard its final name, then write its note.

        After a power cut the note may be missing, or the shard's name may be; ``finished`` checks both.
        """
        tags = self._output.publish(done.shard.files)
        content = {
            "options": self._options,
            "split": done.split,
            "start": done.start,
            "stop": done.stop,
            "index": done.index,
            "names": [entry.name for entry in entries[done.start : done.stop + 1]],
            "paths": paths_of(entries[done.start : done.stop + 1]),
            "entries": _fingerprint(entries, done.start, done.stop),
            "sources": done.sources.hex(),
            "contents": done.contents.hex(),
            "shard": shard_content(done.shard),
            "statistics": asdict(done.statistics),
            "skipped": coded(done.skipped),
            "notes": coded(done.notes),
            **({"tags": tags} if tags else {}),
        }
        self._output.write_note(f"{done.shard.stem}.json", content)

    def _noted(self, split: str, entries: Sequence[Entry], done: list[Finished]) -> Finished | None:
        """Return the shard after ``done``, by its note; None if no note fits the options, position and files."""
        content = self._output.read_note(f"{split}-{len(done):05d}.json")
        start = done[-1].stop if done else 0
        index = sum(len(shard.shard.names) for shard in done)
        try:
            if (content["options"], content["start"], content["index"]) != (self._options, start, index):
                return None
            stop = content["stop"]
            if stop not in range(start + 1, len(entries) + 1):
                return None
            covered = entries[start : stop + 1]
            if (content["names"], content["paths"]) != ([entry.name for entry in covered], paths_of(covered)):
                return None
            sources = digests_at(content["sources"], "sources", len(covered), SOURCE_BYTES)
            shard, statistics = parse_shard(content["shard"]), parse_statistics(content["statistics"])
            contents = digests_at(content["contents"], "contents", len(shard.names))
            skipped, notes = parse_skipped(content["skipped"]), parse_notes(content["notes"])
            noted = digest_at(content["entries"], "entries")
            self._tags.update((text_at(name, "tags"), text_at(tag, "tags")) for name, tag in _tags(content).items())
        except (KeyError, TypeError, ValueError, AttributeError):
            return None  # JSON, but not a note
        if noted != _fingerprint(entries, start, stop) and self._read(covered) != sources:
            return None
        return Finished(split, start, stop, index, shard, contents, sources, statistics, skipped, notes)


def _tags(content: dict[str, Any]) -> dict[str, Any]:
    """Return the ETags of the files in a note, which is of a pack in object storage."""
    return object_at(content.get("tags", {}), "tags")


def _fingerprint(entries: Sequence[Entry], start: int, stop: int) -> str:
    """Return the fingerprint of a shard's entries and of the next entry, whose record did not fit into the shard."""
    return fingerprint(entries[start : stop + 1])
