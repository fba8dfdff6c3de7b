"""Check the parts of a pack before they are assembled; name the tasks to run again."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from mhpdata.errors import SKIP, OutputError, SourceChangedError
from mhpdata.faults import CHANGED
from mhpdata.packing.convert import Refused
from mhpdata.packing.run import Run
from mhpdata.packing.sources import fingerprint
from mhpdata.packing.tasks.note import PartNote
from mhpdata.packing.tasks.parts import Parts
from mhpdata.packing.tasks.plan import Block, blocks_of, tasks_of
from mhpdata.packing.tasks.work import is_of
from mhpdata.storage.digests import Digests
from mhpdata.wording import counted

_NAMED = 20
"""Maximum number of tasks that an error names."""


class Checked(NamedTuple):
    """A block whose part is complete, and what the assembly keeps of its note; the rest is read again.

    Attributes:
        block: The block.
        file: Name of its file of records.
        lengths: Bytes of the record of each entry; 0 for a skipped entry.
        sources: Digest of the files of each entry.
        tasks: Number of tasks among which its task divided the blocks.
    """

    block: Block
    file: str
    lengths: array[int]
    sources: Digests
    tasks: int


def check_parts(run: Run, parts: Parts) -> list[Checked]:
    """Return all blocks of a pack.

    Raises:
        OutputError: Parts are missing, or were made with other options, by other libraries, or with skipped entries.
        SourceChangedError: Entries have changed since their part was made.
    """
    entries, blocks = run.source.entries, blocks_of(len(run.source.entries))
    checked: list[Checked] = []
    others: list[tuple[Block, PartNote]] = []
    skipping: list[tuple[Block, Refused]] = []
    renamed: list[Block] = []
    reread: list[Checked] = []
    for block, note in parts.notes(blocks):
        if note is None:
            continue
        one = Checked(block, note.file, array("Q", note.lengths), note.sources, note.tasks)
        checked.append(one)
        covered = entries[block.start : block.stop]
        if (note.options, note.maker) != (parts.options, parts.maker):
            others.append((block, note))
        elif not is_of(note, covered):
            renamed.append(block)
        elif note.entries != fingerprint(covered):
            reread.append(one)
        skipping += [(block, made) for made in note.made if isinstance(made, Refused)][:1]
    count = _count(checked)
    if others:
        _, note = others[0]
        parts.check(note.options, note.maker, _tasks([block for block, _ in others], count))
    missing = sorted({*blocks} - {one.block for one in checked})
    if missing:
        _raise_missing(parts, missing, len(blocks), count)
    if renamed:
        found = f"the list of entries has changed since {_tasks(renamed, count)} packed them"
        raise SourceChangedError(".", found, "the same entries", rerun(renamed, count), fault=(CHANGED,))
    _compare(run, reread, count)
    if skipping and not run.skip:
        block, refused = skipping[0]
        found = f"{counted(len(skipping), 'block')} with skipped entries, such as {refused.error.place}"
        remedy = f"Pass {SKIP}, as to the tasks; or fix the entries, and run their tasks again without it."
        raise OutputError(parts.place, found, "no skipped entries", remedy)
    return checked


def rerun(blocks: Iterable[Block], count: int) -> str:
    """Return the remedy for parts that must be made again; ``count`` is the number of tasks."""
    tasks = tasks_of(blocks, count)
    named = ", ".join(f"--task {task}" for task in tasks[:_NAMED])
    more = f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else ""
    return f"Run {named}{more} again, then --merge."


def _raise_missing(parts: Parts, missing: list[Block], total: int, count: int) -> None:
    count = parts.tasks() if len(missing) == total else count
    if not count:
        remedy = "Run the command with --task 1/N, --task 2/N to --task N/N for a number N, then with --merge."
        raise OutputError(parts.place, "holds no part", "the parts of all tasks", remedy)
    found = f"lacks {len(missing)} of {counted(total, 'part')}"
    raise OutputError(parts.place, found, "the parts of all tasks", rerun(missing, count))


def _compare(run: Run, blocks: list[Checked], count: int) -> None:
    """Read the entries of blocks whose files have another size or time of change, and compare their digests."""
    entries = [entry for one in blocks for entry in run.source.entries[one.block.start : one.block.stop]]
    actual = run.source.read(entries) if entries else Digests()
    changed: list[Block] = []
    place, at = "", 0
    for one in blocks:
        for i, digest in enumerate(one.sources):
            if digest != actual[at + i]:
                place = place or entries[at + i].image.path
                changed.append(one.block)
        at += len(one.sources)
    if changed:
        found = f"this image or its masks have changed since {_tasks(changed, count)} packed them"
        raise SourceChangedError(place, found, "the same files", rerun(changed, count), fault=(CHANGED,))


def _count(checked: list[Checked]) -> int:
    """Return the number of tasks, that of most parts."""
    return Counter(one.tasks for one in checked).most_common(1)[0][0] if checked else 1


def _tasks(blocks: Iterable[Block], count: int) -> str:
    """Return the tasks of blocks in words."""
    tasks = tasks_of(blocks, count)
    named = ", ".join(map(str, tasks[:_NAMED]))
    return f"{'task' if len(tasks) == 1 else 'tasks'} {named}" + (" and others" if len(tasks) > _NAMED else "")
