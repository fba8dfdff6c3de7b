"""Many SHA-256 digests as one value: a text of hexadecimal digits in a manifest, bytes in memory.

A folder of 600,000 records has two digests per record. As a list of texts, each would take 250 bytes of memory, and
half of the JSON would be quotes and commas. They are therefore stored back to back, and extracted on access.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, overload

from mhpdata.fields import shown

BLOCK = 1 << 22
"""Bytes of each block of a shard's file that is hashed separately; the last block of a file may be shorter."""
SIZE = 32
SOURCE_BYTES = 16
"""Bytes of a digest, and of a digest of an entry's source files, whose first half is enough to detect a change."""
_DIGITS = re.compile("[0-9a-f]*")


class Digests(Sequence[str]):
    """Digests of one size, each as hexadecimal digits.

    Args:
        data: The digests, back to back.
        size: Bytes of each digest.
    """

    __slots__ = ("_data", "_size")

    def __init__(self, data: bytes = b"", size: int = SIZE) -> None:
        assert len(data) % size == 0
        self._data, self._size = data, size

    @staticmethod
    def of(digests: Iterable[str]) -> Digests:
        """Return SHA-256 digests that are given as hexadecimal digits."""
        return Digests(bytes.fromhex("".join(digests)))

    def __len__(self) -> int:
        return len(self._data) // self._size

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Digests: ...
    def __getitem__(self, index: int | slice) -> str | Digests:
        """Return one digest as hexadecimal digits, or for a slice several digests."""
        if isinstance(index, slice):
            return Digests(b"".join(self.raw(i) for i in range(*index.indices(len(self)))), self._size)
        return self.raw(range(len(self))[index]).hex()

    def raw(self, index: int) -> bytes:
        """Return the bytes of one digest, by its index from 0."""
        return self._data[index * self._size : (index + 1) * self._size]

    def hex(self) -> str:
        """Return all digests as one text, which ``digests_at`` reads."""
        return self._data.hex()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digests) and (self._data, self._size) == (other._data, other._size)

    def __hash__(self) -> int:
        return hash((self._data, self._size))

    def __repr__(self) -> str:
        return f"<{len(self)} digests of {self._size} bytes>"


def digests_at(value: Any, place: str, count: int, size: int = SIZE) -> Digests:
    """Return ``count`` digests from JSON. Raises ValueError with the field's name for any other value."""
    if not isinstance(value, str) or not _DIGITS.fullmatch(value) or len(value) != 2 * size * count:
        found = f"a text of {len(value)} characters" if isinstance(value, str) else shown(value)
        raise ValueError(f"{place} has {found}, not {count} digests of {2 * size} hexadecimal digits")
    return Digests(bytes.fromhex(value), size)


def blocks_of(size: int) -> int:
    """Return the number of blocks in a file of ``size`` bytes."""
    return -(-size // BLOCK)


class FileHash:
    """SHA-256 of a file and of each of its blocks, computed in one pass over its bytes.

    Attributes:
        size: Number of bytes so far.
    """

    def __init__(self) -> None:
        self.size = 0
        self._whole, self._block = hashlib.sha256(), hashlib.sha256()
        self._blocks: list[bytes] = []

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Add the next bytes."""
        view = memoryview(data)
        self._whole.update(view)
        while len(view) >= (room := BLOCK - self.size % BLOCK):
            self._block.update(view[:room])
            self._blocks.append(self._block.digest())
            self._block = hashlib.sha256()
            self.size, view = self.size + room, view[room:]
        self._block.update(view)
        self.size += len(view)

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole file (hex)."""
        return self._whole.hexdigest()

    @property
    def blocks(self) -> Digests:
        """SHA-256 of each block, including the last one, which may be shorter."""
        last = [self._block.digest()] if self.size % BLOCK else []
        return Digests(b"".join([*self._blocks, *last]))
