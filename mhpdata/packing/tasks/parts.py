"""Read and write the parts of a pack: the converted entries of each block, and the note that commits them.

::

    rec/.tasks/                                  exists until the parts are merged
      options.json                               options and libraries of the pack; tasks with others are refused
      part-000003-0123456789abcdef.bin           records of block 3; its name has the first digits of its SHA-256
      part-000003.json                           note on the block (mhpdata.packing.tasks.note), written last

Every file is written under a temporary name of its own and renamed, so any number of tasks may write at once, on
several machines, without a lock. A task that is repeated or late makes the same bytes, and replaces files by equal
ones. If it does not, because it has another source, its records have another name: a note always describes the file
that it names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Any

from mhpdata.errors import OutputError
from mhpdata.fields import field_of, object_at, parse_json
from mhpdata.filesystem.atomic import part_of, replacing, sync_file
from mhpdata.filesystem.ours import begins, check_folder, create, head, in_the_way, is_folder, remove
from mhpdata.filesystem.regular import open_regular, read_regular
from mhpdata.options import differences, recorded
from mhpdata.packing.output import PARTS
from mhpdata.packing.tasks.maker import other_libraries
from mhpdata.packing.tasks.note import MAGIC, START, PartNote, parse_note
from mhpdata.packing.tasks.plan import Block
from mhpdata.storage.shards.file import hash_file

_OPTIONS = "options.json"
_OPTIONS_START = '{"mhp_tasks": 1, '
_MOST_NOTE = 1 << 26
_ADVICE = "or pass another --out"
_NAME = re.compile(r"part-[0-9]{6,}(-[0-9a-f]{16}\.bin|\.json)|options\.json")
_TEMPORARY = re.compile(r"\.(part-[0-9]{6,}\.(bin|json)|options\.json)\.[0-9a-f]{32}\.part")


def is_part(path: Path) -> bool:
    """Return whether mhp wrote a file in the folder of parts, by its name and its first bytes."""
    named = _NAME.fullmatch(path.name) or _TEMPORARY.fullmatch(path.name)
    return named is not None and begins(path, MAGIC, START.encode(), _OPTIONS_START.encode())


def refuse_parts(out: Path, overwrite: bool) -> None:
    """Raise OutputError if ``out`` holds parts of tasks; with ``overwrite``, only if others' files are among them."""
    folder = out / PARTS
    if not os.path.lexists(folder):
        return
    if overwrite:
        check_folder(folder, is_part, _ADVICE)
        return
    if not is_folder(folder):
        raise in_the_way(folder, _ADVICE)
    if any(folder.iterdir()):
        remedy = "Pass --merge to complete it, --overwrite to pack from scratch, or another --out."
        raise OutputError(out, "holds parts of a pack by tasks", "an empty folder", remedy)


def remove_parts(out: Path) -> None:
    """Delete the parts in ``out``; files that mhp did not write stay."""
    folder = out / PARTS
    with suppress(OSError):  # parts that cannot be removed do no harm: the dataset is complete
        if is_folder(folder):
            # the options last: a task that finds them finds the notes as well
            remove(folder, sorted(filter(is_part, folder.iterdir()), key=lambda path: path.name == _OPTIONS))


class Parts:
    """The parts of one pack.

    Args:
        out: Packed folder.
        options: Layout and options of the pack.
        maker: Libraries that make the records.
    """

    def __init__(self, out: Path, options: dict[str, Any], maker: dict[str, str]) -> None:
        self.folder = out / PARTS
        self.options, self.maker = options, maker

    def begin(self) -> None:
        """Create the folder, or check that its parts have the same options and libraries.

        Raises:
            OutputError: The parts there have others, or the folder is not mhp's.
        """
        self.folder.mkdir(exist_ok=True)
        if not is_folder(self.folder):
            raise in_the_way(self.folder, _ADVICE)
        if (theirs := self._options()) is None:
            content = json.dumps({"options": self.options, "maker": self.maker})
            self._write(_OPTIONS, _OPTIONS_START + content[1:])
            theirs = self._options()  # those of another task, if that has written its own meanwhile
        if theirs is not None:
            self.check(*theirs, "")

    def check(self, options: dict[str, Any], maker: dict[str, str], tasks: str) -> None:
        """Raise OutputError if options or libraries are not those of this pack; ``tasks`` names who made the parts."""
        others = f"holds parts of {tasks}" if tasks else "holds parts"
        again = f"delete the parts (rm -r {quote(str(self.folder))}) and run all tasks again"
        if options != self.options:
            found = f"{others} with other options ({differences(options, self.options)})"
            typed = recorded(options, self.options)
            remedy = f"Pass {typed} to continue, or {again}." if typed else f"To use these options, {again}."
            raise OutputError(self.folder, found, "the same options in all tasks", remedy)
        if maker != self.maker:
            found = f"{others} made by other libraries ({other_libraries(maker, self.maker)})"
            remedy = f"Use the same environment on all machines, or {again}."
            raise OutputError(self.folder, found, "the same libraries in all tasks", remedy)

    def note(self, block: Block) -> PartNote | None:
        """Return the note on a block; None if it or its file is missing or damaged, as if the task had not run."""
        try:
            note = parse_note(self._read(f"{_stem(block)}.json").decode())
            if not _is_file_of(block, note.file) or len(note.made) != block.stop - block.start:
                return None
            path = self.folder / note.file
            return note if begins(path, MAGIC) and path.stat().st_size == note.bytes else None
        except (FileNotFoundError, ValueError, TypeError, RecursionError):
            return None

    def is_intact(self, note: PartNote) -> bool:
        """Return whether the file of a part has the bytes that were written; its name was checked by ``note``."""
        try:
            return hash_file(self.folder / note.file).sha256 == note.sha256
        except FileNotFoundError:
            return False

    def write(self, block: Block, records: Iterable[bytes | bytearray]) -> tuple[str, int, str]:
        """Write the records of a block; return name, size and SHA-256 (hex) of their file."""
        size, digest = 0, hashlib.sha256()
        part = part_of(self.folder / f"{_stem(block)}.bin", shared=True)
        try:
            with create(part) as file:
                for data in chain([MAGIC], records):
                    file.write(data)
                    digest.update(data)
                    size += len(data)
            sync_file(part)
            path = self.folder / f"{_stem(block)}-{digest.hexdigest()[:16]}.bin"
            self._refuse(path)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return path.name, size, digest.hexdigest()

    def commit(self, block: Block, note: PartNote) -> None:
        """Write the note on a block, whose records were written."""
        self._write(f"{_stem(block)}.json", note.to_json())

    def records(self, note: PartNote, first: int, stop: int) -> Iterator[bytearray]:
        """Yield the records of some entries of a part, without the skipped ones.

        Args:
            note: Note on the part.
            first, stop: Index of the first entry in the part, and of the one after the last.
        """
        with os.fdopen(open_regular(self.folder / note.file), "rb") as file:
            file.seek(len(MAGIC) + sum(note.lengths[:first]))
            for length in filter(None, note.lengths[first:stop]):
                data = bytearray(length)
                del data[file.readinto(data) :]
                yield data

    def _options(self) -> tuple[dict[str, Any], dict[str, str]] | None:
        """Return options and libraries of the parts; None if there are none yet."""
        try:
            content = parse_json(self._read(_OPTIONS).decode())
            options, maker = (object_at(field_of(content, name, ""), name) for name in ("options", "maker"))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise in_the_way(self.folder / _OPTIONS, _ADVICE) from error
        return options, maker

    def _read(self, name: str) -> bytes:
        """Return the content of a small file. Raises OutputError for a link, and FileNotFoundError."""
        path = self.folder / name
        if os.path.lexists(path) and head(path, 1) is None:
            raise in_the_way(path, _ADVICE)
        return read_regular(path, _MOST_NOTE)

    def _write(self, name: str, text: str) -> None:
        """Write a small file, which several tasks may do at once."""
        path = self.folder / name
        self._refuse(path)
        with replacing(path, shared=True, sync=True) as part, create(part) as file:
            file.write(text.encode())

    def _refuse(self, path: Path) -> None:
        """Raise OutputError if a file of others has the name of a part."""
        if os.path.lexists(path) and not is_part(path):
            raise in_the_way(path, _ADVICE)


def _stem(block: Block) -> str:
    return f"part-{block.number:06d}"


def _is_file_of(block: Block, name: str) -> bool:
    """Return whether a file of records has a name for this block, and so is below the folder."""
    return re.fullmatch(rf"{_stem(block)}-[0-9a-f]{{16}}\.bin", name) is not None
