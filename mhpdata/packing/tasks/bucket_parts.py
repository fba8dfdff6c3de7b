"""Keep the parts of a pack in object storage; their names are those in a folder, and nothing is listed.

The options are written only if there are none yet. Other objects are replaced by equal ones, as in a folder. A part
that was replaced by one with other records (its source has changed) stays below ``.tasks/`` when the pack is complete.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from tempfile import TemporaryFile
from typing import Any

from mhpdata.address import Address
from mhpdata.errors import OutputError
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.packing.output.bucket import AnyOutput
from mhpdata.packing.output.contents import OPTIONS, PARTS
from mhpdata.packing.tasks.local_parts import LocalParts
from mhpdata.packing.tasks.note import MAGIC, START, PartNote
from mhpdata.packing.tasks.parts import MOST_NOTE, OPTIONS_START, Parts, bin_name, holds_parts, note_name
from mhpdata.packing.tasks.plan import Block
from mhpdata.processes.task import Task
from mhpdata.remote.requests import stopped, submit
from mhpdata.remote.store import ExistsError, read_object, read_range
from mhpdata.remote.writing import delete, in_the_way, look_if_there, put, put_file, read_if_there

_AHEAD = 32
"""Number of notes to request ahead."""
_AT_ONCE = 1 << 24
"""Maximum bytes of several records that are read in one request."""
_STARTS = tuple(text.encode() if isinstance(text, str) else text for text in (MAGIC, START, OPTIONS_START))


class BucketParts(Parts):
    """The parts of one pack in object storage.

    Args:
        out: Address of the packed folder.
        options, maker: As for Parts.
    """

    def __init__(self, out: Address, options: dict[str, Any], maker: dict[str, str]) -> None:
        super().__init__(out / PARTS, options, maker)
        self.folder, self._out = out / PARTS, out

    def is_there(self) -> bool:
        """See Parts."""
        return self.read_options() is not None

    def notes(self, blocks: Sequence[Block]) -> Iterator[tuple[Block, PartNote | None]]:
        """See Parts; some are requested ahead."""
        waiting, rest = deque[tuple[Block, Task[PartNote | None]]](), iter(blocks)
        while True:
            waiting.extend((block, submit(self.note, block)) for block in islice(rest, _AHEAD - len(waiting)))
            if not waiting:
                return
            block, task = waiting.popleft()
            yield block, task.result()

    def is_intact(self, note: PartNote) -> bool:
        """See Parts."""
        data = read_if_there(self.folder / note.file, note.bytes, stopped)
        return data is not None and hashlib.sha256(data).hexdigest() == note.sha256

    def write(self, block: Block, records: Iterable[bytes | bytearray]) -> tuple[str, int, str]:
        """See Parts; the records go through a temporary file without a name, in TMPDIR."""
        size, digest = 0, hashlib.sha256()
        hold_standard()
        with TemporaryFile() as file:
            for data in chain([MAGIC], records):
                file.write(data)
                digest.update(data)
                size += len(data)
            file.flush()
            name = bin_name(block, digest.hexdigest())
            self._refuse_foreign(name)
            put_file(self.folder / name, file, stopped)
        return name, size, digest.hexdigest()

    def records(self, note: PartNote, first: int, stop: int) -> Iterator[bytearray]:
        """See Parts."""
        start = len(MAGIC) + sum(note.lengths[:first])
        lengths = deque(filter(None, note.lengths[first:stop]))
        while lengths:
            some = [lengths.popleft()]
            while lengths and sum(some) + lengths[0] <= _AT_ONCE:
                some.append(lengths.popleft())
            data = read_range(self.folder / note.file, start, start + sum(some), None, stopped)
            start, at = start + sum(some), 0
            for length in some:
                yield bytearray(data[at : at + length])
                at += length

    def refuse(self, overwrite: bool) -> None:
        """See Parts."""
        if self.is_there() and not overwrite:
            raise holds_parts(self._out)

    def remove(self, blocks: Sequence[Block]) -> None:
        """See Parts."""
        with suppress(OSError):  # parts that cannot be removed do no harm: the dataset is complete
            for task in [submit(self._remove, block) for block in blocks]:
                task.result()
            if self.is_there():
                delete(self.folder / OPTIONS)

    def _remove(self, block: Block) -> None:
        """Delete a part; the note last, since it names the other file."""
        with suppress(FileNotFoundError, ValueError, TypeError, RecursionError):  # there is none, or it is damaged
            delete(self.folder / self.described(block).file, stopped)
            delete(self.folder / note_name(block), stopped)

    def _has(self, note: PartNote) -> bool:
        version = look_if_there(self.folder / note.file, stopped)
        return version is not None and version.size == note.bytes

    def _read(self, name: str) -> bytes:
        data = bytes(read_object(self.folder / name, MOST_NOTE, stopped))
        if not data.startswith(_STARTS):
            raise self._foreign(name)
        return data

    def _write(self, name: str, text: str) -> None:
        self._refuse_foreign(name)
        put(self.folder / name, text.encode(), stop=stopped)

    def _write_options(self, text: str) -> None:
        with suppress(ExistsError):
            put(self.folder / OPTIONS, text.encode(), create=True)

    def _refuse_foreign(self, name: str) -> None:
        """Raise OutputError if an object of others has the name of a part."""
        address = self.folder / name
        version = look_if_there(address, stopped)
        if version is None:
            return
        size = min(version.size, max(map(len, _STARTS)))
        if not size or not bytes(read_range(address, 0, size, version, stopped)).startswith(_STARTS):
            raise self._foreign(name)

    def _foreign(self, name: str) -> OutputError:
        return in_the_way(self.folder / name)

    def _how_to_delete(self) -> str:
        return f"all objects below {self.folder}/"


def parts_of(output: AnyOutput, options: dict[str, Any], maker: dict[str, str]) -> Parts:
    """Return the parts of a pack: its output, its layout and options, and the libraries that make its records."""
    kind = BucketParts if isinstance(output.out, Address) else LocalParts
    return kind(output.out, options, maker)  # type: ignore[arg-type]  # each with its kind of place
