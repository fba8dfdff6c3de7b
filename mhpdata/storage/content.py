"""The content of a packed folder as one SHA-256: equal samples give the same digest, whatever files hold them.

::

    record digest    SHA-256 of the record's bytes after its header, which holds only its index
    content of a split   SHA-256 of its records' digests, in order
    content of a pack    SHA-256 of layout, classes, left/right pairs, and name, records, labelled and content of each
                         split; splits in order of their names

Container, shard size, number of workers and interruptions do not change it. Options are not included: those that change
samples change the records. ``docs/format.md`` specifies the bytes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mhpdata.storage.record import IR_HEADER

DOMAIN = "mhp-content-2"


class SplitContent(NamedTuple):
    """The fields of a split that enter the content of a pack.

    Attributes:
        name: Name of the split.
        records: Number of records.
        labelled: Whether its records have labels.
        content: Its ``split_content`` (hex).
    """

    name: str
    records: int
    labelled: bool
    content: str


def record_digest(data: bytes | bytearray | memoryview) -> bytes:
    """Return the SHA-256 of a record's bytes after its header."""
    return hashlib.sha256(memoryview(data)[IR_HEADER.size :]).digest()


def split_content(digests: Iterable[bytes]) -> str:
    """Return the content of a split (hex).

    Args:
        digests: Digests of its records, in order.
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
        layout, classes, flip_pairs: Fields of its manifest.
        splits: All of its splits, in any order.
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
