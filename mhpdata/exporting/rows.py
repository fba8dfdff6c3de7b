"""Rows: lines that samples add to files of a whole split, collected block by block on disk, then joined.

A row is written as ",\\n" and its text, so blocks are joined without parsing them; the first separator of a file is
left out. Memory does not depend on the number of samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from mhpdata.filesystem.descriptors import open_file
from mhpdata.filesystem.ours import create

SEPARATOR = b",\n"
_CHUNK = 1 << 20


class Block(NamedTuple):
    """Some consecutive samples of a split.

    Attributes:
        number: Number of the block in its split.
        of: Number of blocks of the split.
        indices: Indices of its samples.
    """

    number: int
    of: int
    indices: range


def blocks(samples: int, size: int) -> list[Block]:
    """Divide the samples of a split into blocks of ``size``; the last may be smaller."""
    of = -(-samples // size)
    return [Block(k, of, range(k * size, min(samples, (k + 1) * size))) for k in range(of)]


class Sink(Protocol):
    """Collects what the samples of a block add, in order."""

    def add(self, rows: Any, values: Any) -> None:
        """Add the rows and values of a Piece."""

    def close(self, complete: bool) -> dict[str, int]:
        """Close the files, which are ``complete`` or to be thrown away; return the size of each, by name."""


class Rows:
    """Writes one file of rows per key, ``STEM.KEY``.

    Args:
        stem: Path of the files without suffix.
    """

    def __init__(self, stem: Path) -> None:
        self._stem, self._files, self._stack = stem, dict[str, IO[bytes]](), ExitStack()

    def add(self, rows: dict[str, list[bytes]], values: Any) -> None:
        """See Sink."""
        for key, texts in rows.items():
            if key not in self._files:
                path = self._stem.with_name(f"{self._stem.name}.{key}")
                self._files[key] = self._stack.enter_context(create(path))
            for text in texts:
                self._files[key].write(SEPARATOR + text)

    def close(self, complete: bool) -> dict[str, int]:
        """See Sink."""
        sizes = {Path(file.name).name: file.tell() for file in self._files.values()}
        self._stack.close()
        return sizes


def join(parts: Iterable[bytes | tuple[str]], paths: Iterable[Path], out: IO[bytes]) -> None:
    """Write a file of texts and rows.

    Args:
        parts: Text, or the key (a tuple of one) of rows to insert.
        paths: The files of rows of all blocks, in order; those of a key have it as their suffix.
        out: The file.
    """
    paths = list(paths)
    for part in parts:
        if isinstance(part, bytes):
            out.write(part)
            continue
        skip = len(SEPARATOR)
        for path in paths:
            if path.suffix != f".{part[0]}":
                continue
            with open_file(path, "rb") as file:
                file.seek(skip)
                skip = 0
                while chunk := file.read(_CHUNK):
                    out.write(chunk)
