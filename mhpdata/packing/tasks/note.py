"""Describe a part, the converted entries of one block, as JSON: what the assembly needs beside the records' bytes.

::

    {"mhp_part": 1, "options": {...}, "maker": {...}, "tasks": 100,
     "names": [...], "paths": "...", "entries": "...", "sources": "...",     as in mhpdata.packing.journal
     "file": "part-000003-0123456789abcdef.bin", "bytes": 123456, "sha256": "...",
     "made": [{"length": 4711, ...}, {"place": ..., "code": ..., "values": [...]}, ...]}       one object per entry

A note is untrusted, like every file: whatever is not such a note raises ValueError, and every size is checked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mhpdata.errors import WITHOUT, SourceError
from mhpdata.faults import FAULTS, Value, describe
from mhpdata.fields import count_at, digest_at, field_of, list_at, object_at, parse_json, text_at
from mhpdata.images.size import MAX_PIXELS
from mhpdata.packing.convert import Converted, Refused
from mhpdata.packing.tasks.plan import BLOCK, MOST
from mhpdata.storage.digests import SOURCE_BYTES, Digests, digests_at
from mhpdata.storage.manifest_2 import truth_at
from mhpdata.storage.record import IR_HEADER

START = '{"mhp_part": 1, '
"""First characters of every note."""
MAGIC = b"mhp part 1\n"
"""First bytes of every file of records; the records follow without gaps."""
_COUNTS = ("persons", "unlabelled", "contested", "conflicting")
_MOST_BYTES = 1 << 62


class Kept(NamedTuple):
    """An entry that has a record.

    Attributes:
        length: Bytes of its record.
        converted: Everything else about it; ``data`` is empty.
    """

    length: int
    converted: Converted


@dataclass(frozen=True)
class PartNote:
    """Note on a part.

    Attributes:
        options: Layout and options of the pack.
        maker: Libraries that made the records (mhpdata.packing.tasks.maker).
        tasks: Number of tasks among which its task divided the blocks.
        names, paths, entries: Identity of its entries, as in mhpdata.packing.journal.
        sources: Digest of the files of each entry.
        file, bytes, sha256: Name, size and SHA-256 (hex) of its file of records.
        made: Result of each entry.
    """

    options: dict[str, Any]
    maker: dict[str, str]
    tasks: int
    names: tuple[str, ...]
    paths: str
    entries: str
    sources: Digests
    file: str
    bytes: int
    sha256: str
    made: tuple[Kept | Refused, ...]

    @property
    def lengths(self) -> list[int]:
        """Bytes of each entry's record; 0 for a skipped entry."""
        return [one.length if isinstance(one, Kept) else 0 for one in self.made]

    @property
    def codes(self) -> set[str]:
        """Codes of the faults for which entries were skipped."""
        return {str(one.error.fault[0]) for one in self.made if isinstance(one, Refused)}

    def to_json(self) -> str:
        """Return its text."""
        fields = {**vars(self), "sources": self.sources.hex(), "made": [_result(one) for one in self.made]}
        return START + json.dumps(fields)[1:]


def parse_note(text: str) -> PartNote:
    """Return the note in a text.

    Raises:
        ValueError: The text is not a note; the message names the field.
        RecursionError: Brackets are nested too deeply.
    """
    content = parse_json(text)
    names = tuple(text_at(name, "names") for name in list_at(field_of(content, "names", ""), "names"))
    sources = digests_at(field_of(content, "sources", ""), "sources", len(names), SOURCE_BYTES)
    listed = list_at(field_of(content, "made", ""), "made")
    if field_of(content, "mhp_part", "") != 1 or not 1 <= len(names) <= BLOCK or len(listed) != len(names):
        raise ValueError(f"it has {len(names)} names and {len(listed)} results, not 1 to {BLOCK} of both")
    maker = object_at(field_of(content, "maker", ""), "maker")
    note = PartNote(
        options=object_at(field_of(content, "options", ""), "options"),
        maker={name: text_at(value, "maker") for name, value in maker.items()},
        tasks=_at_most(MOST, field_of(content, "tasks", ""), "tasks"),
        names=names,
        paths=digest_at(field_of(content, "paths", ""), "paths"),
        entries=digest_at(field_of(content, "entries", ""), "entries"),
        sources=sources,
        file=text_at(field_of(content, "file", ""), "file"),
        bytes=count_at(field_of(content, "bytes", ""), "bytes"),
        sha256=digest_at(field_of(content, "sha256", ""), "sha256"),
        made=tuple(_parse_result(one, sources.raw(i)) for i, one in enumerate(listed)),
    )
    if note.bytes != len(MAGIC) + sum(note.lengths) or not note.tasks:
        raise ValueError(f"bytes is {note.bytes}, but its records have {sum(note.lengths)}")
    return note


def _result(made: Kept | Refused) -> dict[str, Any]:
    if isinstance(made, Refused):
        code, *values = made.error.fault
        return {"place": made.error.place, "code": code, "values": values}
    length, converted = made
    return {
        "length": length,
        "image": converted.source_sha256,
        "content": converted.content.hex(),
        "gray": bool(converted.gray),
        **{name: int(getattr(converted, name)) for name in _COUNTS},
        "pixels": [[int(label), int(converted.pixels[label])] for label in np.flatnonzero(converted.pixels)],
        "notes": [[code, list(values)] for code, values in converted.notes.items()],
    }


def _parse_result(content: Any, source: bytes) -> Kept | Refused:
    if "code" in object_at(content, "made"):
        place, code = (text_at(field_of(content, name, "made"), f"made.{name}") for name in ("place", "code"))
        values = _values(field_of(content, "values", "made"))
        return Refused(
            SourceError(place, describe(FAULTS, code, values), remedy=WITHOUT, fault=(code, *values)), source
        )
    length = _at_most(_MOST_BYTES, field_of(content, "length", "made"), "made.length")
    if length < IR_HEADER.size:
        raise ValueError(f"made.length is {length}, less than the header of a record")
    pixels = np.zeros(256, np.int64)
    for label, count in (_pair(one, "made.pixels") for one in list_at(field_of(content, "pixels", "made"), "pixels")):
        pixels[_at_most(255, label, "made.pixels")] = _at_most(MAX_PIXELS, count, "made.pixels")
    notes = [_pair(one, "made.notes") for one in list_at(field_of(content, "notes", "made"), "made.notes")]
    counts = {name: count_at(field_of(content, name, "made"), f"made.{name}") for name in _COUNTS}
    converted = Converted(
        data=bytearray(),
        source_sha256=digest_at(field_of(content, "image", "made"), "made.image"),
        content=bytes.fromhex(digest_at(field_of(content, "content", "made"), "made.content")),
        source=source,
        gray=truth_at(field_of(content, "gray", "made"), "made.gray"),
        pixels=pixels,
        notes={text_at(code, "made.notes"): _values(values) for code, values in notes},
        **counts,
    )
    return Kept(length, converted)


def _pair(value: Any, place: str) -> Sequence[Any]:
    if len(list_at(value, place)) != 2:
        raise ValueError(f"{place} has a list of {len(value)} values, not 2")
    return list_at(value, place)


def _values(value: Any) -> tuple[Value, ...]:
    return tuple(one if isinstance(one, str) else count_at(one, "values") for one in list_at(value, "values"))


def _at_most(most: int, value: Any, place: str) -> int:
    if count_at(value, place) > most:
        raise ValueError(f"{place} is {value}, more than {most}")
    return int(value)
