"""Identify the source files of an entry: by their content, with size and time of change as a shortcut.

::

    fingerprint       paths, sizes, and times of change (ETags of objects), without reading a file
    source_digest     SHA-256 over the SHA-256 of each file of an entry, the image first: the first 16 bytes
    state_of          a hash of either for all entries, and of the problems with lists and names

Equal fingerprints count as equal files. If they differ, as for a copy of the download, the files are read and their
digests are compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mhpdata.errors import SourceError
from mhpdata.faults import Renamed
from mhpdata.processes.threads import crew
from mhpdata.source.entry import Entry, Listing, Problem
from mhpdata.source.files import read_file
from mhpdata.source.remote import RemoteFolder, Root, ahead, held
from mhpdata.source.source_file import SourceFile
from mhpdata.storage.digests import SOURCE_BYTES, Digests
from mhpdata.terms import SYNTHETIC_BYTES, SYNTHETIC_NAME, Terms, terms_by, terms_of


def fingerprint(entries: Sequence[Entry]) -> str:
    """Return a hash (hex) of the paths and states of the source files of these entries, without reading them."""
    digest = hashlib.sha256()
    for entry in entries:
        files = [file.state for file in entry.files]
        digest.update(repr((entry.split, entry.name, files)).encode() + entry.state)
    return digest.hexdigest()


def paths_of(entries: Iterable[Entry]) -> str:
    """Return a hash (hex) of the files' paths below the source folder."""
    paths = [[file.path for file in entry.files] for entry in entries]
    return hashlib.sha256(repr(paths).encode()).hexdigest()


def source_digest(root: Root, entry: Entry, image: bytes | None = None) -> bytes:
    """Return the digest of all files of an entry (SOURCE_BYTES bytes).

    Args:
        root: Source folder.
        entry: Entry of the layout's scan.
        image: SHA-256 of the image's file, for an entry that is packed; None for any other entry, where the reason
            replaces the content of an unreadable file.

    Raises:
        SourceError: A mask of an entry that is packed has become unreadable.
    """
    whole = hashlib.sha256(file_digest(root, entry.image) if image is None else image)
    for file in entry.masks or ():
        whole.update(file_digest(root, file) if image is None else hashlib.sha256(read_file(root, file)).digest())
    if entry.state:
        whole.update(hashlib.sha256(entry.state).digest())
    return whole.digest()[:SOURCE_BYTES]


def file_digest(root: Root, file: SourceFile) -> bytes:
    """Return the SHA-256 of a file's content, or for an unreadable file that of the reason."""
    try:
        return hashlib.sha256(read_file(root, file)).digest()
    except SourceError as error:
        return hashlib.sha256(repr(error.fault).encode()).digest()


def state_of(files: str, problems: Iterable[Problem], renamed: Iterable[Renamed]) -> str:
    """Return a hash (hex) of a source: its files, and by codes its problems and renamed files.

    Args:
        files: Hash of the files: their ``fingerprint``, or a hash of their digests.
        problems, renamed: Problems and renamed files of the scan.
    """
    wrong = [(problem.split, problem.name, problem.error.place, problem.error.fault) for problem in problems]
    taken = [(one.split, one.place, one.code, one.values) for one in renamed]
    return hashlib.sha256(repr((files, wrong, taken)).encode("utf-8", "surrogateescape")).hexdigest()


def state_1(entries: Sequence[Entry], problems: Iterable[Problem], renamed: Iterable[Renamed]) -> str:
    """Return the hash of a source as mhp 0.1 did: over the messages of its problems, in today's wording."""
    wrong = [(problem.split, problem.name, str(problem.error)) for problem in problems]
    taken = tuple(one.text for one in renamed)
    state = f"{fingerprint(entries)} {wrong}" + (f" {taken}" if taken else "")
    return hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Source:
    """Scanned download, with the splits to pack.

    Attributes:
        root: Its folder.
        listing: Result of the scan.
        splits: Splits to pack, in order.
        workers: Number of threads that read.
        progress: Whether to show a bar.
    """

    root: Root
    listing: Listing
    splits: tuple[str, ...]
    workers: int
    progress: bool

    @property
    def entries(self) -> list[Entry]:
        """Return all entries of the selected splits."""
        return [entry for split in self.splits for entry in self.listing.entries[split]]

    @property
    def problems(self) -> list[Problem]:
        """Return the problems of the selected splits, and those of no particular split."""
        return [problem for problem in self.listing.problems if problem.split in ("", *self.splits)]

    @property
    def renamed(self) -> tuple[Renamed, ...]:
        """Return the files of the selected splits, and the lists, that were accepted under another name."""
        return tuple(renamed for renamed in self.listing.renamed if renamed.split in ("", *self.splits))

    def state(self) -> str:
        """Return a hash (hex) of names and states, without reading a file."""
        return state_of(fingerprint(self.entries), self.problems, self.renamed)

    def content(self, digests: Sequence[str]) -> str:
        """Return a hash (hex) of names, paths below the source folder, and contents.

        Args:
            digests: Digest of the files of each entry, in the order of ``entries``.
        """
        named = hashlib.sha256()
        for entry, digest in zip(self.entries, digests, strict=True):
            named.update(repr((entry.split, entry.name, paths_of([entry]), digest)).encode())
        return state_of(named.hexdigest(), self.problems, self.renamed)

    def read(self, entries: Sequence[Entry]) -> Digests:
        """Read the files of these entries on threads, and return the digest of each entry."""
        with (
            crew(len(entries), "images compared", self.workers, self.progress) as threads,
            self.fetching(entries) as some,
        ):
            return Digests(b"".join(threads.each(self._digest, some)), SOURCE_BYTES)

    @contextmanager
    def fetching(self, entries: Iterable[Entry]) -> Iterator[Iterable[Entry]]:
        """Yield the entries to convert; those in object storage are fetched in advance while they are taken."""
        if not isinstance(self.root, RemoteFolder):
            yield entries
            return
        try:
            yield ahead(self.root, entries)
        finally:
            self.root.clear()

    def terms(self) -> Terms:
        """Return licence and citation of the download."""
        if not isinstance(self.root, RemoteFolder):
            return terms_of(self.root, self.listing.layout, self.listing.terms)
        file = self.root.files("").get(SYNTHETIC_NAME)
        short = file is not None and file.size < SYNTHETIC_BYTES
        text = read_file(self.root, file) if short and file else b""
        return terms_by(self.listing.layout, text, self.listing.terms)

    def _digest(self, entry: Entry) -> bytes:
        with held(self.root, entry.files):
            return source_digest(self.root, entry)
