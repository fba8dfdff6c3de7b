"""Notes of a manifest on its images: anomalies of source files, and how they were handled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mhpdata.faults import Value
from mhpdata.wording import counted

METADATA, TRAILER, DAMAGED, REENCODED = "metadata", "trailer", "damaged", "re-encoded"
"""Codes of notes; docs/format.md defines them."""
MEANINGS = {
    METADATA: "damaged metadata removed, pixels intact",
    TRAILER: "bytes after the end of a JPEG removed",
    DAMAGED: "damaged pixels kept, as requested",
    REENCODED: "JPEG encoded again, because the loader's decoder and libjpeg differ on it",
}
"""Descriptions of the codes."""
_NAMED = 3


@dataclass(frozen=True)
class Note:
    """A note on one image.

    Attributes:
        split: Name of the split.
        name: Id of the image.
        code: A key of MEANINGS.
        values: The code's values for this image.
    """

    split: str
    name: str
    code: str
    values: tuple[Value, ...] = ()


def describe_notes(notes: Iterable[Note]) -> Iterator[str]:
    """Yield one line per code: its description, the number of images, and the first of them."""
    images: dict[str, list[str]] = {}
    for note in notes:
        images.setdefault(note.code, []).append(f"{note.split}/{note.name}")
    for code, names in images.items():
        few = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        yield f"{MEANINGS.get(code, code)}: {counted(len(names), 'image')} ({few})"
