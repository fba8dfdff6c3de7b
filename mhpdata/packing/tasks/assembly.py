"""Complete a pack from the parts of its tasks.

::

    notes of all blocks ──lengths──> cuts ──> shards, several at a time: records of parts ──OpenShard──> a shard
                                                                                    manifest last, then the parts go

Before anything is written, all notes are checked (mhpdata.packing.tasks.checks). Shards and manifest are those of a
pack in one process, byte for byte. An interrupted assembly keeps its finished shards, as every pack does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mhpdata.address import parse_address
from mhpdata.errors import OptionError, OutputError
from mhpdata.options import Folder, check_path
from mhpdata.packing.convert import Converted, Refused
from mhpdata.packing.cuts import cut_shards
from mhpdata.packing.journal import Finished
from mhpdata.packing.open_shard import OpenShard, Target
from mhpdata.packing.output.contents import Wanted
from mhpdata.packing.pack import Choices, open_run, remove_parts
from mhpdata.packing.run import Run
from mhpdata.packing.tasks.bucket_parts import parts_of
from mhpdata.packing.tasks.checks import Checked, check_parts, rerun
from mhpdata.packing.tasks.maker import describe_maker
from mhpdata.packing.tasks.note import Kept
from mhpdata.packing.tasks.parts import Parts
from mhpdata.packing.tasks.plan import place_of
from mhpdata.processes.threads import crew
from mhpdata.storage.content import record_digest
from mhpdata.storage.manifest import Manifest

if TYPE_CHECKING:
    from typing_extensions import Unpack


def merge_tasks(src: str | Folder, out: str | Folder, **choices: Unpack[Choices]) -> Manifest:
    """Complete a pack whose tasks have all ended (``pack_task``). Call it again to resume it.

    Args:
        src: Download, as for ``mhpdata.pack``.
        out: Packed folder that the tasks wrote to.
        choices: Further arguments of ``mhpdata.pack``, those of the tasks; ``workers`` may differ.

    Returns:
        The manifest that was written. If ``out`` already holds this dataset, nothing is written.

    Raises:
        OutputError: Parts are missing, or were made with other options or libraries; or ``out`` cannot be written.
        SourceError: The download has changed since the tasks, or is damaged or incomplete.
        OptionError: An argument is invalid, or ``out`` is a path that does not exist.
    """
    if parse_address("out", out) is None and not check_path("out", out).is_dir():  # type: ignore[arg-type]  # a path
        remedy = "Pass the --out of the tasks, or run these first, such as --task 1/8 to --task 8/8."
        raise OptionError("out", f"folder {out} not found", "the folder that tasks packed to", remedy)
    with open_run(src, out, choices) as run:
        manifest = run.already_done()
        if manifest is None:
            parts = parts_of(run.output, run.key, describe_maker())
            if parts.is_there():
                parts.begin()
            checked = check_parts(run, parts)
            run.output.begin(Wanted(run.key, False, run.skip, run.source.listing.labels.names))
            manifest = _Assembly(run, parts, checked).write()
        run.output.end(manifest)
        remove_parts(run)
        return manifest


class _Piece(NamedTuple):
    """A shard to write: its number, its entries in the split, its first record, and the split's first entry."""

    target: Target
    number: int
    start: int
    stop: int
    record: int
    offset: int


class _Assembly:
    """Writer of all shards from parts."""

    def __init__(self, run: Run, parts: Parts, checked: list[Checked]) -> None:
        self._run, self._parts, self._checked = run, parts, checked

    def write(self) -> Manifest:
        """Write the shards that an interrupted assembly has not finished, then the manifest."""
        started = time.perf_counter()
        source, finished, pieces = self._run.source, self._run.finished(), self._pieces()
        kept = {split: _matching(done, pieces[split]) for split, done in finished.items()}
        todo = [piece for split in source.splits for piece in pieces[split][len(kept[split]) :]]
        with crew(len(todo), "shards", source.workers, source.progress) as threads:
            made = threads.each(self._assemble, todo)
            packed = {split: kept[split] + [next(made) for _ in pieces[split][len(kept[split]) :]] for split in kept}
        return self._run.finish(packed, time.perf_counter() - started)

    def _pieces(self) -> dict[str, list[_Piece]]:
        """Cut each split into shards."""
        lengths = [length for one in self._checked for length in one.lengths]
        pieces, offset = {}, 0
        for split, target in self._run.targets().items():
            count = len(target.entries)
            records = [i for i in range(count) if lengths[offset + i]]
            stops = cut_shards((lengths[offset + i] for i in records), self._run.limit)
            ends = [records[stop] if stop < len(records) else count for stop in stops] or [count] * (count > 0)
            place = zip(ends, [0, *ends], [0, *stops], strict=False)
            pieces[split] = [_Piece(target, n, start, end, at, offset) for n, (end, start, at) in enumerate(place)]
            offset += count
        return pieces

    def _assemble(self, piece: _Piece) -> Finished:
        """Write one shard."""
        shard = OpenShard(piece.target, piece.number, piece.start, piece.record)
        try:
            for made in self._made(piece.offset + piece.start, piece.offset + piece.stop):
                if isinstance(made, Refused):
                    shard.skip(made)
                else:
                    shard.add(made)
            if piece.stop == len(piece.target.entries):
                return shard.publish(b"")
            block, index = place_of(piece.offset + piece.stop)
            return shard.publish(self._checked[block].sources.raw(index))
        except BaseException:
            shard.abort()
            raise

    def _made(self, start: int, stop: int) -> Iterator[Converted | Refused]:
        """Yield the converted entries of a range, of all entries of the pack, from their parts."""
        for checked in self._checked[place_of(start)[0] : place_of(stop - 1)[0] + 1]:
            note = self._parts.note(checked.block)
            if note is None or (note.file, note.lengths) != (checked.file, checked.lengths.tolist()):
                raise self._changed(checked, "has been replaced meanwhile")
            first, end = max(start - checked.block.start, 0), min(stop, checked.block.stop) - checked.block.start
            records = self._parts.records(note, first, end)
            for made in note.made[first:end]:
                if not isinstance(made, Kept):
                    yield made
                    continue
                data = next(records)
                if len(data) != made.length or record_digest(data) != made.converted.content:
                    raise self._changed(checked, "is damaged: its records are not those that were written (SHA-256)")
                yield replace(made.converted, data=data)

    def _changed(self, checked: Checked, found: str) -> OutputError:
        return OutputError(self._parts.place / checked.file, found, "", rerun([checked.block], checked.tasks))


def _matching(finished: list[Finished], pieces: list[_Piece]) -> list[Finished]:
    """Return the finished shards of a split that are those to be written."""
    same = [(done.start, done.stop, done.index) == piece[2:5] for done, piece in zip(finished, pieces, strict=False)]
    return finished[: same.index(False) if False in same else len(same)]
