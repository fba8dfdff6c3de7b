"""Read and write the parts of a pack: the converted entries of each block, and the note that commits them.

::

    rec/.tasks/                                  exists until the parts are merged
      options.json                               options and libraries of the pack; tasks with others are refused;
                                                 and the number of tasks, for errors
      part-000003-0123456789abcdef.bin           records of block 3; its name has the first digits of its SHA-256
      part-000003.json                           note on the block (mhpdata.packing.tasks.note), written last

Every file is written under a temporary name of its own and renamed, so any number of tasks may write at once, on
several machines, without a lock. A task that is repeated or late makes the same bytes, and replaces files by equal
ones. If it does not, because it has another source, its records have another name: a note always describes the file
that it names.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mhpdata.errors import OutputError
from mhpdata.fields import count_at, field_of, object_at, parse_json
from mhpdata.options import Folder, differences, recorded
from mhpdata.packing.output.contents import OPTIONS
from mhpdata.packing.tasks.maker import other_libraries
from mhpdata.packing.tasks.note import PartNote, parse_note
from mhpdata.packing.tasks.plan import Block

OPTIONS_START = '{"mhp_tasks": 1, '
MOST_NOTE = 1 << 26


class Parts(ABC):
    """The parts of one pack, in a folder or in object storage.

    Args:
        folder: Their folder, which ``PARTS`` names.
        options: Layout and options of the pack.
        maker: Libraries that make the records.
    """

    def __init__(self, folder: Folder, options: dict[str, Any], maker: dict[str, str]) -> None:
        self._place, self.options, self.maker = folder, options, maker

    @property
    def place(self) -> Folder:
        """Their folder, for errors."""
        return self._place

    def begin(self, tasks: int = 0) -> None:
        """Write the options, or check that the parts there have the same options and libraries.

        Args:
            tasks: Number of tasks, which is noted with the options; 0 if unknown.

        Raises:
            OutputError: The parts there have others, or the folder is not mhp's.
        """
        if (theirs := self.read_options()) is None:
            content = json.dumps({"options": self.options, "maker": self.maker, "tasks": tasks})
            self._write_options(OPTIONS_START + content[1:])
            theirs = self.read_options()  # those of another task, if that has written its own meanwhile
        if theirs is not None:
            self.check(*theirs, "")

    def check(self, options: dict[str, Any], maker: dict[str, str], tasks: str) -> None:
        """Raise OutputError if options or libraries are not those of this pack; ``tasks`` names who made the parts."""
        others = f"holds parts of {tasks}" if tasks else "holds parts"
        again = f"delete the parts ({self._how_to_delete()}) and run all tasks again"
        if options != self.options:
            found = f"{others} with other options ({differences(options, self.options)})"
            typed = recorded(options, self.options)
            remedy = f"Pass {typed} to continue, or {again}." if typed else f"To use these options, {again}."
            raise OutputError(self.place, found, "the same options in all tasks", remedy)
        if maker != self.maker:
            found = f"{others} made by other libraries ({other_libraries(maker, self.maker)})"
            remedy = f"Use the same environment on all machines, or {again}."
            raise OutputError(self.place, found, "the same libraries in all tasks", remedy)

    def note(self, block: Block) -> PartNote | None:
        """Return the note on a block; None if it or its file is missing or damaged, as if the task had not run."""
        try:
            note = self.described(block)
            return note if len(note.made) == block.stop - block.start and self._has(note) else None
        except (FileNotFoundError, ValueError, TypeError, RecursionError):
            return None

    def described(self, block: Block) -> PartNote:
        """Return the note on a block, whose file may be missing. Raises FileNotFoundError; ValueError if damaged."""
        note = parse_note(self._read(note_name(block)).decode())
        if not _is_file_of(block, note.file):
            raise ValueError(f"its file is {note.file}")
        return note

    def notes(self, blocks: Sequence[Block]) -> Iterator[tuple[Block, PartNote | None]]:
        """Yield blocks, each with its ``note``."""
        return ((block, self.note(block)) for block in blocks)

    def commit(self, block: Block, note: PartNote) -> None:
        """Write the note on a block, whose records were written."""
        self._write(note_name(block), note.to_json())

    def read_options(self) -> tuple[dict[str, Any], dict[str, str]] | None:
        """Return options and libraries of the parts; None if there are none yet. Raises OutputError."""
        try:
            content = parse_json(self._read(OPTIONS).decode())
            options, maker = (object_at(field_of(content, name, ""), name) for name in ("options", "maker"))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise self._foreign(OPTIONS) from error
        return options, maker

    def tasks(self) -> int:
        """Return the number of tasks that was noted with the options; 0 if unknown. Raises OutputError."""
        try:
            return count_at(parse_json(self._read(OPTIONS).decode()).get("tasks", 0), "tasks")
        except (FileNotFoundError, ValueError, TypeError, AttributeError, RecursionError):
            return 0

    @abstractmethod
    def is_there(self) -> bool:
        """Return whether there are parts. Raises OutputError if the folder is another's."""

    @abstractmethod
    def is_intact(self, note: PartNote) -> bool:
        """Return whether the file of a part has the bytes that were written; its name was checked by ``note``."""

    @abstractmethod
    def write(self, block: Block, records: Iterable[bytes | bytearray]) -> tuple[str, int, str]:
        """Write the records of a block; return name, size and SHA-256 (hex) of their file."""

    @abstractmethod
    def records(self, note: PartNote, first: int, stop: int) -> Iterator[bytearray]:
        """Yield the records of some entries of a part, without the skipped ones.

        Args:
            note: Note on the part.
            first, stop: Index of the first entry in the part, and of the one after the last.
        """

    @abstractmethod
    def refuse(self, overwrite: bool) -> None:
        """Raise OutputError if there are parts; with ``overwrite``, only if others' files are among them."""

    @abstractmethod
    def remove(self, blocks: Sequence[Block]) -> None:
        """Delete the parts; files that mhp did not write stay."""

    @abstractmethod
    def _has(self, note: PartNote) -> bool:
        """Return whether the file of a part exists and has the size in its note. Raises FileNotFoundError."""

    @abstractmethod
    def _read(self, name: str) -> bytes:
        """Return the content of a small file. Raises OutputError for another's, and FileNotFoundError."""

    @abstractmethod
    def _write(self, name: str, text: str) -> None:
        """Write a small file, which several tasks may do at once. Raises OutputError if another's is in the way."""

    @abstractmethod
    def _write_options(self, text: str) -> None:
        """Write the options, if no other task has written some."""

    @abstractmethod
    def _foreign(self, name: str) -> OutputError:
        """Return the error for a file that mhp did not write."""

    @abstractmethod
    def _how_to_delete(self) -> str:
        """Return how to delete all parts."""


def holds_parts(out: object) -> OutputError:
    """Return the error for a place that holds parts."""
    remedy = "Pass --merge to complete it, --overwrite to pack from scratch, or another --out."
    return OutputError(out, "holds an unfinished pack by tasks", "an empty folder", remedy)


def note_name(block: Block) -> str:
    """Return the name of the note on a block."""
    return f"{stem_of(block)}.json"


def bin_name(block: Block, sha256: str) -> str:
    """Return the name of a block's file of records."""
    return f"{stem_of(block)}-{sha256[:16]}.bin"


def stem_of(block: Block) -> str:
    return f"part-{block.number:06d}"


def _is_file_of(block: Block, name: str) -> bool:
    """Return whether a file of records has a name for this block, and so is below the folder."""
    return re.fullmatch(rf"{stem_of(block)}-[0-9a-f]{{16}}\.bin", name) is not None
