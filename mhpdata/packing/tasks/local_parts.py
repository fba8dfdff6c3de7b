"""Keep the parts of a pack in a folder that all tasks share (mhpdata.packing.tasks.parts)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Any

from mhpdata.errors import OutputError
from mhpdata.filesystem.atomic import part_of, replacing, sync_file
from mhpdata.filesystem.ours import begins, check_folder, create, head, in_the_way, is_folder, remove
from mhpdata.filesystem.regular import open_regular, read_regular
from mhpdata.packing.output.contents import ADVICE, OPTIONS, PARTS
from mhpdata.packing.tasks.note import MAGIC, START, PartNote
from mhpdata.packing.tasks.parts import MOST_NOTE, OPTIONS_START, Parts, bin_name, holds_parts, stem_of
from mhpdata.packing.tasks.plan import Block
from mhpdata.storage.shards.file import hash_file

_NAME = re.compile(r"part-[0-9]{6,}(-[0-9a-f]{16}\.bin|\.json)|options\.json")
_TEMPORARY = re.compile(r"\.(part-[0-9]{6,}\.(bin|json)|options\.json)\.[0-9a-f]{32}\.part")


def is_part(path: Path) -> bool:
    """Return whether mhp wrote a file in the folder of parts, by its name and its first bytes."""
    named = _NAME.fullmatch(path.name) or _TEMPORARY.fullmatch(path.name)
    return named is not None and begins(path, MAGIC, START.encode(), OPTIONS_START.encode())


class LocalParts(Parts):
    """The parts of one pack in a folder.

    Args:
        out: Packed folder.
        options, maker: As for Parts.
    """

    def __init__(self, out: Path, options: dict[str, Any], maker: dict[str, str]) -> None:
        super().__init__(out / PARTS, options, maker)
        self.folder = out / PARTS

    def begin(self, tasks: int = 0) -> None:
        """See Parts; create the folder."""
        self.folder.mkdir(exist_ok=True)
        if not is_folder(self.folder):
            raise in_the_way(self.folder, ADVICE)
        super().begin(tasks)

    def is_there(self) -> bool:
        """See Parts."""
        return os.path.lexists(self.folder)

    def is_intact(self, note: PartNote) -> bool:
        """See Parts."""
        try:
            return hash_file(self.folder / note.file).sha256 == note.sha256
        except FileNotFoundError:
            return False

    def write(self, block: Block, records: Iterable[bytes | bytearray]) -> tuple[str, int, str]:
        """See Parts."""
        size, digest = 0, hashlib.sha256()
        part = part_of(self.folder / f"{stem_of(block)}.bin", shared=True)
        try:
            with create(part) as file:
                for data in chain([MAGIC], records):
                    file.write(data)
                    digest.update(data)
                    size += len(data)
            sync_file(part)
            path = self.folder / bin_name(block, digest.hexdigest())
            self._refuse_foreign(path)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return path.name, size, digest.hexdigest()

    def records(self, note: PartNote, first: int, stop: int) -> Iterator[bytearray]:
        """See Parts."""
        with os.fdopen(open_regular(self.folder / note.file), "rb") as file:
            file.seek(len(MAGIC) + sum(note.lengths[:first]))
            for length in filter(None, note.lengths[first:stop]):
                data = bytearray(length)
                del data[file.readinto(data) :]
                yield data

    def refuse(self, overwrite: bool) -> None:
        """See Parts."""
        if not self.is_there():
            return
        if overwrite:
            check_folder(self.folder, is_part, ADVICE)
            return
        if not is_folder(self.folder):
            raise in_the_way(self.folder, ADVICE)
        if any(self.folder.iterdir()):
            raise holds_parts(self.folder.parent)

    def remove(self, blocks: Sequence[Block]) -> None:
        """See Parts."""
        with suppress(OSError):  # parts that cannot be removed do no harm: the dataset is complete
            if is_folder(self.folder):
                # the options last: a task that finds them finds the notes as well
                remove(
                    self.folder, sorted(filter(is_part, self.folder.iterdir()), key=lambda path: path.name == OPTIONS)
                )

    def _has(self, note: PartNote) -> bool:
        path = self.folder / note.file
        return begins(path, MAGIC) and path.stat().st_size == note.bytes

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        if os.path.lexists(path) and head(path, 1) is None:
            raise in_the_way(path, ADVICE)
        return read_regular(path, MOST_NOTE)

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        self._refuse_foreign(path)
        with replacing(path, shared=True, sync=True) as part, create(part) as file:
            file.write(text.encode())

    def _write_options(self, text: str) -> None:
        self._write(OPTIONS, text)

    def _refuse_foreign(self, path: Path) -> None:
        """Raise OutputError if a file of others has the name of a part."""
        if os.path.lexists(path) and not is_part(path):
            raise in_the_way(path, ADVICE)

    def _foreign(self, name: str) -> OutputError:
        return in_the_way(self.folder / name, ADVICE)

    def _how_to_delete(self) -> str:
        return f"rm -r {quote(str(self.folder))}"
