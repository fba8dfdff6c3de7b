"""What a manifest notes of its images: what is odd about a source's file, and what was done about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mhpdata.fields import field_of, list_at, text_at
from mhpdata.wording import counted

METADATA, TRAILER, DAMAGED, REENCODED = "metadata", "trailer", "damaged", "re-encoded"
"""The codes of notes; docs/format.md says what each means."""
MEANINGS = {
    METADATA: "damaged metadata left out, pixels whole",
    TRAILER: "bytes after the end of a JPEG left out",
    DAMAGED: "damaged pixels, kept as asked for",
    REENCODED: "JPEG encoded again, as the loader's decoder and libjpeg differ on it",
}
"""The codes in words, for a person."""
_NAMED = 3


@dataclass(frozen=True)
class Note:
    """A record of a split, a code, and what it means for this image in words."""

    split: str
    name: str
    note: str
    message: str


def parse_notes(content: Any) -> tuple[Note, ...]:
    """Return notes from JSON; raises ValueError and its like, which name the field, where they are not that."""
    return tuple(
        Note(**{name: text_at(field_of(note, name, "notes"), f"notes.{name}") for name in Note.__annotations__})
        for note in list_at(content, "notes")
    )


def describe_notes(notes: Iterable[Note]) -> Iterator[str]:
    """Yield a line per code: what it means, of how many images, the first of them."""
    images: dict[str, list[str]] = {}
    for note in notes:
        images.setdefault(note.note, []).append(f"{note.split}/{note.name}")
    for code, names in images.items():
        few = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        yield f"{MEANINGS.get(code, code)}: {counted(len(names), 'image')} ({few})"
