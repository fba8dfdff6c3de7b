"""What a packed folder holds, as one SHA-256: the same for the same samples, whatever files they lie in.

::

    record digest    SHA-256 of the record's bytes after its header, which holds nothing but its index
    content of a split   SHA-256 of its records' digests, in order
    content of a pack    SHA-256 of layout, classes, left/right pairs, and name, records, labelled and content of each
                         split; splits in order of their names

So neither container, shard size, worker nor interruption changes it. Options are not part of it: those that change
samples do so in the records. ``docs/format.md`` gives the bytes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mhpdata.storage.record import IR_HEADER

DOMAIN = "mhp-content-2"


class SplitContent(NamedTuple):
    """What the content of a pack says of one split: name, number of records, labelled or not, content (hex)."""

    name: str
    records: int
    labelled: bool
    content: str


def record_digest(data: bytes | bytearray | memoryview) -> bytes:
    """Return the SHA-256 of what a record holds: of its bytes after its header."""
    return hashlib.sha256(memoryview(data)[IR_HEADER.size :]).digest()


def split_content(digests: Iterable[bytes]) -> str:
    """Return the content of a split (hex).

    Args:
        digests: of its records, in order.
    """
    whole = hashlib.sha256()
    for digest in digests:
        whole.update(digest)
    return whole.hexdigest()


def pack_content(
    layout: str, classes: Sequence[str], flip_pairs: Sequence[tuple[int, int]], splits: Iterable[SplitContent]
) -> str:
    """Return the content of a pack (hex).

    Args:
        layout, classes, flip_pairs: of its manifest.
        splits: all of its splits, in any order.
    """
    ordered = sorted(splits)
    fields: list[object] = [DOMAIN, layout, len(classes), *classes, len(flip_pairs)]
    fields += [label for pair in flip_pairs for label in pair]
    fields += [len(ordered)]
    for split in ordered:
        fields += [split.name, split.records, int(split.labelled), split.content]
    whole = hashlib.sha256()
    for field in fields:
        data = str(field).encode("utf-8", "surrogatepass")
        whole.update(struct.pack("<I", len(data)) + data)
    return whole.hexdigest()
