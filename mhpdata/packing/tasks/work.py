"""Convert the blocks of one task and write their parts.

::

    blocks of the task ── no valid part yet ──> convert, on threads ──records, in order──> part ──> note, the commit

A task locks nothing and shares nothing with other tasks but the folder of parts. It may be killed, repeated, started
twice or end late: a block whose note is valid is skipped, and any other is converted to the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from mhpdata.faults import PASSING
from mhpdata.kernels import compiling
from mhpdata.options import Folder
from mhpdata.packing.convert import Converted, Refused
from mhpdata.packing.pack import Choices, open_run
from mhpdata.packing.run import COMPILING_S, Run
from mhpdata.packing.sources import fingerprint, paths_of
from mhpdata.packing.tasks.bucket_parts import parts_of
from mhpdata.packing.tasks.environment import find_task
from mhpdata.packing.tasks.maker import describe_maker
from mhpdata.packing.tasks.note import Kept, PartNote
from mhpdata.packing.tasks.parts import Parts
from mhpdata.packing.tasks.plan import BLOCK, Block, Task, blocks_of, taken
from mhpdata.processes.threads import crew
from mhpdata.source.entry import Entry
from mhpdata.storage.digests import SOURCE_BYTES, Digests
from mhpdata.wording import counted

if TYPE_CHECKING:
    from typing_extensions import Unpack

_NEXT = "When all tasks have ended, run the command with --merge in place of --task."
Each = Callable[[Callable[[Entry], Converted | Refused], Iterable[Entry]], Iterator[Converted | Refused]]
"""Map that keeps the order, such as ``Crew.each``."""


@dataclass(frozen=True)
class Done:
    """Result of a task.

    Attributes:
        task: The task.
        blocks: Number of its blocks.
        kept: Number of those that had a valid part already.
        images: Number of entries that it converted.
        skipped: Number of those that it skipped.
        complete: Whether the pack is complete already, so that there is nothing to do.
    """

    task: Task
    blocks: int = 0
    kept: int = 0
    images: int = 0
    skipped: int = 0
    complete: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as JSON types."""
        return {**vars(self), "task": str(self.task)}

    def text(self) -> str:
        """Return what was done, and what to do next."""
        if self.complete:
            return f"Task {self.task}: the pack is complete; nothing to do."
        if not self.blocks:
            found = f"Task {self.task}: nothing to convert, since there are fewer blocks of {BLOCK} images than tasks."
            return f"{found}\n{_NEXT}"
        blocks, skipped = counted(self.blocks, "block"), counted(self.skipped, "entry", "entries")
        images = counted(self.images, "image")
        lines = [f"Task {self.task}: {blocks}, {self.kept} of them complete before; {images} converted."]
        lines += [f"{skipped} skipped; the manifest will record each."] if self.skipped else []
        return "\n".join([*lines, _NEXT])


def pack_task(
    src: str | Folder,
    out: str | Folder,
    task: str,
    environ: Mapping[str, str] = os.environ,
    **choices: Unpack[Choices],
) -> Done:
    """Convert the entries of one task of a pack; mhpdata.packing.tasks.assembly completes the pack.

    Args:
        src: Download, as for ``mhpdata.pack``; all tasks must see the same one.
        out: Packed folder, as for ``mhpdata.pack``; the same for all tasks.
        task: Number of the task, from 1, and number of tasks, as 3/100; auto or auto/100 to find them in ``environ``.
        environ: Environment variables.
        choices: Further arguments of ``mhpdata.pack``, the same for all tasks; ``workers`` may differ.

    Raises:
        SourceError: The download is damaged or incomplete.
        OutputError: ``out`` cannot be written, or holds something else.
        OptionError: An argument is invalid.
    """
    this = find_task(task, environ)
    with open_run(src, out, choices, lock=False) as run:
        if run.already_done() is not None:
            return Done(this, complete=True)
        compiling.expect(COMPILING_S)
        parts = begin_parts(run, this.of)
        entries = run.source.entries
        blocks = taken(this, blocks_of(len(entries)))
        todo = [block for block in blocks if not is_packed(run, parts, block, entries)]
        total = sum(block.stop - block.start for block in todo)
        try:
            with crew(total, "images", run.source.workers, run.source.progress) as threads:
                skips = write_blocks(run, parts, todo, this.of, threads.each)
        except FileNotFoundError:
            if parts.is_there() or run.already_done() is None:
                raise
            return Done(this, complete=True)  # another run of this task was faster, and the pack was merged meanwhile
        if todo and not parts.is_there() and run.already_done() is not None:  # as above, in object storage
            parts.remove(todo)
            return Done(this, complete=True)
        return Done(this, len(blocks), len(blocks) - len(todo), total, skips)


def begin_parts(run: Run, tasks: int) -> Parts:
    """Begin the parts of a pack of so many tasks, or check that those there are of this pack. Raises OutputError."""
    run.output.refuse_for_tasks()
    parts = parts_of(run.output, run.key, describe_maker())
    parts.begin(tasks)
    return parts


def is_packed(run: Run, parts: Parts, block: Block, entries: Sequence[Entry]) -> bool:
    """Return whether a block has a valid part. An entry that the system refused to read is tried again."""
    note = parts.note(block)
    if note is None or (note.options, note.maker) != (parts.options, parts.maker):
        return False
    if note.codes and (not run.skip or note.codes & PASSING):
        return False
    covered = entries[block.start : block.stop]
    if not is_of(note, covered):
        return False
    if note.entries != fingerprint(covered) and replace(run.source, progress=False).read(covered) != note.sources:
        return False
    return parts.is_intact(note)


def is_of(note: PartNote, entries: Sequence[Entry]) -> bool:
    """Return whether a note is on these entries, by their names and paths."""
    return (note.names, note.paths) == (_names(entries), paths_of(entries))


def write_blocks(run: Run, parts: Parts, blocks: Sequence[Block], tasks: int, each: Each) -> int:
    """Convert blocks and write their parts; return the number of entries that were skipped.

    Args:
        run: The pack.
        parts: Its parts.
        blocks: Blocks to convert.
        tasks: Number of tasks, for the notes.
        each: Map that converts the entries.
    """
    entries = run.source.entries
    covered = [entries[block.start : block.stop] for block in blocks]
    skips = 0
    with run.source.fetching(chain.from_iterable(covered)) as fetched:
        made = each(run.convert, fetched)
        for block, some in zip(blocks, covered, strict=True):
            results: list[Kept | Refused] = []
            written = parts.write(block, _records(islice(made, len(some)), results))
            sources = b"".join(one.source if isinstance(one, Refused) else one.converted.source for one in results)
            identity = (_names(some), paths_of(some), fingerprint(some), Digests(sources, SOURCE_BYTES))
            parts.commit(block, PartNote(parts.options, parts.maker, tasks, *identity, *written, tuple(results)))
            skips += sum(isinstance(one, Refused) for one in results)
    return skips


def _records(made: Iterable[Converted | Refused], results: list[Kept | Refused]) -> Iterator[bytearray]:
    """Yield the records of converted entries, and append what a note says of each entry to ``results``."""
    for one in made:
        if isinstance(one, Refused):
            results.append(one)
        else:
            results.append(Kept(len(one.data), replace(one, data=bytearray())))
            yield one.data


def _names(entries: Sequence[Entry]) -> tuple[str, ...]:
    return tuple(f"{entry.split}/{entry.name}" for entry in entries)
