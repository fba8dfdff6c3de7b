"""What a manifest notes of its images: what is odd about a source's file, and what was done about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mhpdata.faults import Value
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
    """A record of a split, a code, and its values for this image."""

    split: str
    name: str
    code: str
    values: tuple[Value, ...] = ()


def describe_notes(notes: Iterable[Note]) -> Iterator[str]:
    """Yield a line per code: what it means, of how many images, the first of them."""
    images: dict[str, list[str]] = {}
    for note in notes:
        images.setdefault(note.code, []).append(f"{note.split}/{note.name}")
    for code, names in images.items():
        few = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        yield f"{MEANINGS.get(code, code)}: {counted(len(names), 'image')} ({few})"
