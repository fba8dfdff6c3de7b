"""What an unfinished pack has done: the shards that are whole, so that the same command goes on from there.

::

    rec/.packing/                  there while a pack is unfinished
      options.json                 what is being packed; another command must not go on with it
      train-00000.json             one for each finished shard, written after the shard has its final name
      train-00001.rec .idx         the shard that is being written

A shard is taken over only if its note is of the same options, its records are numbered on from the shards before it,
the source files of its entries (and of the next, which decided where it ends) are the ones it was made from, by path,
size and time of change, and its own bytes are the ones that were written. The folder is locked while a pack runs; the
lock goes with the process.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from mhpdata.errors import OutputError, UnreadableError
from mhpdata.layouts import Entry
from mhpdata.manifest import (
    BUILD_NAME,
    NAME,
    Shard,
    ShardFile,
    Skipped,
    Statistics,
    parse_shard,
    parse_skipped,
    parse_statistics,
    shard_content,
    statistics_content,
    write_atomically,
)
from mhpdata.notes import Note, parse_notes
from mhpdata.shards.file import sha256_file
from mhpdata.wording import why

FOLDER = ".packing"


@dataclass(frozen=True)
class Finished:
    """A finished shard.

    Attributes:
        split, start, stop: the entries that it covers: start <= place < stop.
        index: of its first record in the split.
        shard: its files and names.
        statistics: of its records.
        skipped: entries that were left out on the way.
        notes: what is to be known of its images.
    """

    split: str
    start: int
    stop: int
    index: int
    shard: Shard
    statistics: Statistics
    skipped: tuple[Skipped, ...]
    notes: tuple[Note, ...] = ()


def fingerprint(entries: Sequence[Entry]) -> str:
    """A hash of which source files, in which state, make up these entries (hex)."""
    digest = hashlib.sha256()
    for entry in entries:
        files = [(file.path, file.size, file.mtime_ns) for file in entry.files]
        digest.update(repr((entry.split, entry.name, files)).encode())
    return digest.hexdigest()


class Journal:
    """The state of a pack in ``out``; a context manager that holds the folder's lock.

    Args:
        out: the packed folder, which exists.
        splits: every split that the layout has; only files named after them are ever deleted.

    Raises:
        OutputError: another pack is running there, or ``out`` cannot be locked.
    """

    def __init__(self, out: Path, splits: Sequence[str]) -> None:
        self.out = out
        self._ours = re.compile(rf"({'|'.join(splits)})-[0-9]{{5}}\.(rec|idx|h5)")
        self._options: dict[str, Any] = {}
        self.folder = out / FOLDER
        self._lock = os.open(out, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            found, remedy = "another mhp-pack is writing here", "Wait until it has ended, or pass another --out."
            if not isinstance(error, BlockingIOError):
                found = f"cannot be locked ({why(error)})"
                remedy = "Pass an --out on a file system that has locks, such as a local disk (mount NFS with locks)."
            raise OutputError(out, found, "", remedy) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    def begin(self, options: dict[str, Any], overwrite: bool) -> None:
        """Make ``out`` ready for a pack with these options: new, gone on with, or (``overwrite``) in another's place.

        Raises:
            OutputError: something else is in the folder.
        """
        self._options = options
        key = self.folder / "options.json"
        names = {path.name for path in self.out.iterdir()} - {FOLDER}
        theirs = _read_object(key)
        if theirs == options and NAME not in names:
            return
        if not overwrite:
            if NAME in names:
                found, remedy = "holds a packed dataset", "Pass another --out to keep it, or --overwrite to replace it."
                raise OutputError(self.out, found, "an empty folder", remedy)
            if theirs is not None:
                found = f"holds an unfinished pack with other options ({_difference(theirs, options)})"
                remedy = f"Pass{_flags(theirs, options)} to go on with it, or --overwrite to start anew."
                raise OutputError(self.out, found, "the same options", remedy)
        foreign = sorted(n for n in names if not self._ours.fullmatch(n) and n not in (NAME, BUILD_NAME))
        foreign = sorted(names) if theirs is None and NAME not in names else foreign
        foreign = [name for name in foreign if name not in (f".{NAME}.part", f".{BUILD_NAME}.part")]
        if foreign:
            found = f"holds {foreign[0]} and {len(foreign) - 1} more" if len(foreign) > 1 else f"holds {foreign[0]}"
            what = "what it holds" if len(foreign) > 1 else foreign[0]
            raise OutputError(self.out, found, "an empty folder", f"Move {what} elsewhere, or pass another --out.")
        # First of all the options: after a kill at any later point the same command goes on, and every note says
        # which options it is of.
        self.folder.mkdir(exist_ok=True)
        write_atomically(key, json.dumps(options))
        for path in self.folder.iterdir():
            if path != key:
                path.unlink()
        for name in (NAME, BUILD_NAME):
            (self.out / name).unlink(missing_ok=True)
        self.remove_others(set())

    def finished(self, split: str, entries: Sequence[Entry], allow_skips: bool) -> list[Finished]:
        """The shards of a split that are whole and still true of the source, from the first one without a gap."""
        done: list[Finished] = []
        while (shard := self._noted(split, entries, done)) is not None:
            if any(not allow_skips or skip.error == UnreadableError.__name__ for skip in shard.skipped):
                break  # what the disk or a permission kept from us is tried again
            if not all(self._whole(file) for file in shard.shard.files):
                break
            done.append(shard)
        return done

    def part(self, split: str, number: int) -> Path:
        """Where a shard is written until it is whole: its path without suffix."""
        return self.folder / f"{split}-{number:05d}"

    def publish(self, done: Finished, entries: Sequence[Entry]) -> None:
        """Sync a whole shard, give it its final name, then note that it is there.

        The note is not synced: a power cut may lose it, or keep it and lose the name, and ``finished`` looks at both.
        """
        for file in done.shard.files:
            with (self.folder / file.file).open("rb") as whole:
                os.fsync(whole.fileno())
        for file in done.shard.files:
            (self.folder / file.file).replace(self.out / file.file)
        content = asdict(done) | {"options": self._options, "entries": _entries_of(entries, done.start, done.stop)}
        content["shard"], content["statistics"] = shard_content(done.shard), statistics_content(done.statistics)
        note = self.folder / f"{done.shard.stem}.json"
        note.with_suffix(".part").write_text(json.dumps(content))
        note.with_suffix(".part").replace(note)

    def remove_others(self, keep: set[str]) -> None:
        """Delete the shards of an earlier pack that are not in ``keep``."""
        for path in self.out.iterdir():
            if self._ours.fullmatch(path.name) and path.name not in keep:
                path.unlink()

    def end(self) -> None:
        """The manifest is written: nothing is left to go on with."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def read_build(self) -> dict[str, Any]:
        """The build.json of the dataset in the folder; empty where there is none."""
        return _read_object(self.out / BUILD_NAME) or {}

    def _noted(self, split: str, entries: Sequence[Entry], done: list[Finished]) -> Finished | None:
        """The shard after those, by its note; None where there is none of these options, place and source files."""
        content = _read_json(self.folder / f"{split}-{len(done):05d}.json")
        start = done[-1].stop if done else 0
        index = sum(len(shard.shard.names) for shard in done)
        try:
            if (content["options"], content["start"], content["index"]) != (self._options, start, index):
                return None
            stop = content["stop"]
            if stop not in range(start + 1, len(entries) + 1) or content["entries"] != _entries_of(
                entries, start, stop
            ):
                return None
            shard, statistics = parse_shard(content["shard"]), parse_statistics(content["statistics"])
            skipped, notes = parse_skipped(content["skipped"]), parse_notes(content["notes"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None  # JSON, but no note
        if len(shard.photos) != len(shard.names) or len(shard.classes) != len(shard.names):
            return None  # noted by an mhp that did not count these
        return Finished(split, start, stop, index, shard, statistics, skipped, notes)

    def _whole(self, file: ShardFile) -> bool:
        path = self.out / file.file
        return path.is_file() and path.stat().st_size == file.bytes and sha256_file(path) == file.sha256


def _entries_of(entries: Sequence[Entry], start: int, stop: int) -> str:
    """The fingerprint of a shard's entries, and of the next: a shard is cut where the next record would be too much."""
    return fingerprint(entries[start : stop + 1])


def _read_json(path: Path) -> Any:
    """The content of a file of ours; None where there is none, or a power cut has left something else."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def _read_object(path: Path) -> dict[str, Any] | None:
    """As ``_read_json``; None, too, where the content is not an object."""
    content = _read_json(path)
    return content if isinstance(content, dict) else None


def _difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    names = [name for name in ours if theirs.get(name) != ours[name]]
    return ", ".join(f"{name} {theirs.get(name)!r} instead of {ours[name]!r}" for name in names)


def _flags(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """The options of an unfinished pack as they are typed, of those that differ, each after a space."""
    said = ""
    for name in (name for name in ours if theirs.get(name) != ours[name]):
        values, flag = theirs.get(name), "split" if name == "splits" else name.replace("_", "-")
        said += "".join(f" --{flag} {value}" for value in (values if isinstance(values, list) else [values]))
    return said
