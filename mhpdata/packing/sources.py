"""What an entry was made from: its source files, known by their content, and by size and time of change as a shortcut.

::

    fingerprint       paths, sizes and times of change: told without reading a file
    source_digest     SHA-256 over the SHA-256 of each file of an entry, the image first: the first 16 bytes
    state_of          all entries, and what is wrong with lists and names, as one hash of either

Where the fingerprint is the same, the files are taken for the same. Where it is not, as in a copy of the download, they
are read, and the digests decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mhpdata.errors import SourceError
from mhpdata.faults import Renamed
from mhpdata.source.entry import Entry, Listing, Problem
from mhpdata.source.files import SourceFile, read_file
from mhpdata.storage.digests import SOURCE_BYTES, Digests
from mhpdata.threads import crew


def fingerprint(entries: Sequence[Entry]) -> str:
    """A hash of which source files, in which state, make up these entries (hex)."""
    digest = hashlib.sha256()
    for entry in entries:
        files = [(file.path, file.size, file.mtime_ns) for file in entry.files]
        digest.update(repr((entry.split, entry.name, files)).encode())
    return digest.hexdigest()


def paths_of(entries: Iterable[Entry]) -> str:
    """A hash of where the files of these entries lie below the source folder (hex)."""
    paths = [[file.path for file in entry.files] for entry in entries]
    return hashlib.sha256(repr(paths).encode()).hexdigest()


def source_digest(root: Path, entry: Entry, image: bytes | None = None) -> bytes:
    """The digest of all files of an entry (SOURCE_BYTES bytes).

    Args:
        root: the source folder.
        entry: of a layout's scan.
        image: SHA-256 of the image's file, of an entry that is packed. Of any other, a file that cannot be read counts
            with the reason.

    Raises:
        SourceError: a mask of an entry that is packed cannot be read any more.
    """
    whole = hashlib.sha256(_file_digest(root, entry.image) if image is None else image)
    for file in entry.masks or ():
        whole.update(_file_digest(root, file) if image is None else hashlib.sha256(read_file(root, file)).digest())
    return whole.digest()[:SOURCE_BYTES]


def _file_digest(root: Path, file: SourceFile) -> bytes:
    try:
        return hashlib.sha256(read_file(root, file)).digest()
    except SourceError as error:
        return hashlib.sha256(repr(error.fault).encode()).digest()


def state_of(files: str, problems: Iterable[Problem], renamed: Iterable[Renamed]) -> str:
    """A hash of a source (hex): of its files, and of what is wrong with lists and names or was renamed, by codes.

    Args:
        files: a hash of them, by ``fingerprint`` or of their digests.
        problems, renamed: of the scan.
    """
    wrong = [(problem.split, problem.name, problem.error.place, problem.error.fault) for problem in problems]
    taken = [(one.split, one.place, one.code, one.values) for one in renamed]
    return hashlib.sha256(repr((files, wrong, taken)).encode("utf-8", "surrogateescape")).hexdigest()


def state_1(entries: Sequence[Entry], problems: Iterable[Problem], renamed: Iterable[Renamed]) -> str:
    """As ``state_of`` a fingerprint, in the way of mhp 0.1: with the sentences as they are now."""
    wrong = [(problem.split, problem.name, str(problem.error)) for problem in problems]
    taken = tuple(one.text for one in renamed)
    state = f"{fingerprint(entries)} {wrong}" + (f" {taken}" if taken else "")
    return hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Source:
    """A scanned download, of which some splits are packed.

    Attributes:
        root: its folder.
        listing: what the scan found.
        splits: those that are packed, in order.
        workers: threads that read.
        progress: show a bar.
    """

    root: Path
    listing: Listing
    splits: tuple[str, ...]
    workers: int
    progress: bool

    @property
    def entries(self) -> list[Entry]:
        """All entries of the chosen splits."""
        return [entry for split in self.splits for entry in self.listing.entries[split]]

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with the chosen splits, and with what concerns all."""
        return [problem for problem in self.listing.problems if problem.split in ("", *self.splits)]

    @property
    def renamed(self) -> tuple[Renamed, ...]:
        """What was taken under another name in the chosen splits and the lists."""
        return tuple(renamed for renamed in self.listing.renamed if renamed.split in ("", *self.splits))

    def state(self) -> str:
        """A hash of names, sizes and times of change (hex)."""
        return state_of(fingerprint(self.entries), self.problems, self.renamed)

    def content(self, digests: Sequence[str]) -> str:
        """A hash of names, paths below the source folder, and contents (hex).

        Args:
            digests: of the files of each entry, in the order of ``entries``.
        """
        named = hashlib.sha256()
        for entry, digest in zip(self.entries, digests, strict=True):
            named.update(repr((entry.split, entry.name, paths_of([entry]), digest)).encode())
        return state_of(named.hexdigest(), self.problems, self.renamed)

    def read(self, entries: Sequence[Entry]) -> Digests:
        """The digest of each of these entries, whose files are read on threads."""
        with crew(len(entries), "images compared", self.workers, self.progress) as threads:
            return Digests(b"".join(threads.each(partial(source_digest, self.root), entries)), SOURCE_BYTES)
