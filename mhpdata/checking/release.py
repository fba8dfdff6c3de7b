"""The files of a published release, by path, size and SHA-256, and the comparison of a folder with them; offline.

A list is package data: a gzip file with one line ``path<TAB>bytes`` per file, sorted by path; an empty line; then the
first 16 bytes of the SHA-256 of each file, in the same order. ``tests/support/make_release_list.py`` writes it. Hashes
are facts about the files and contain none of their pixels.

A path of a list has '/' and is relative to the folder of the download.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mhpdata.errors import FolderError, SourceError
from mhpdata.filesystem.regular import read_regular
from mhpdata.source.files import read_file, scan_folder
from mhpdata.source.source_file import SourceFile

DIGEST_BYTES = 16
"""Bytes of a SHA-256 that a list has: enough that no other content with the same digest can be made."""
FEW = 3
"""Number of missing files that are named one by one."""
LISTS = {"mhp-v1": ("LV-MHP v1", "lv_mhp_v1.gz")}
"""Name of the release, and file of its list, by layout."""
_RESTORE = "Extract the archive again, or move the file away and run mhp fetch mhp-v1 with this folder as --out."


class ReleaseFile(NamedTuple):
    """Size in bytes of a file of the release, and the first DIGEST_BYTES of its SHA-256."""

    size: int
    digest: bytes


def digest_of(data: bytes) -> bytes:
    """Return the part of the SHA-256 of a file's content that lists have."""
    return hashlib.sha256(data).digest()[:DIGEST_BYTES]


@cache
def release_files(layout: str) -> Mapping[str, ReleaseFile]:
    """Return the files of a release by path, in the order of the paths; the layout is a key of LISTS."""
    text, _, digests = gzip.decompress(read_regular(Path(__file__).with_name(LISTS[layout][1]), 1 << 24)).partition(
        b"\n\n"
    )
    files = {}
    for index, line in enumerate(text.decode().split("\n")):
        path, size = line.split("\t")
        files[path] = ReleaseFile(int(size), digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES])
    return files


@dataclass(frozen=True)
class Compared:
    """Comparison of a folder with a release.

    Attributes:
        name: Name of the release.
        files: Number of files of the release.
        same: Number of files of the folder that are the release's.
        missing: Paths of the release that the folder lacks.
        changed: Paths of the release at which the folder has other bytes.
        unread: Paths of the release that could not be read.
        extra: Files in the folders of the release that it does not have.
    """

    name: str
    files: int
    same: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    unread: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def is_release(self) -> bool:
        """Whether the folder comes from the release, complete or not: at least half of the files of its names do."""
        return self.same > 0 and self.same >= len(self.changed)

    def findings(self) -> Iterator[SourceError]:
        """Yield an error for each image and mask that differs from the release; lists may differ on purpose."""
        for path in self.changed if self.is_release else ():
            if "/" in path:
                found = f"differs from the file of the {self.name} release"
                yield FolderError(path, found, "the release's bytes (SHA-256)", _RESTORE)

    def remarks(self) -> Iterator[str]:
        """Yield the result as sentences: the numbers first, then every file that is missing, changed or extra.

        More than FEW missing files, as in a subset of the release, are one sentence; ``absent`` has one for each.
        """
        if not self.is_release:
            here = "none" if self.same == 0 else f"{self.same:,}"
            yield f"not the {self.name} release: {here} of its {self.files:,} files found in this folder"
            return
        kinds = {"missing": self.missing, "changed": self.changed, "unread": self.unread, "extra": self.extra}
        more = "".join(f", {len(paths):,} {kind}" for kind, paths in kinds.items() if paths)
        yield f"{self.same:,} of {self.files:,} files are those of the {self.name} release{more}"
        for kind, paths in kinds.items():
            if kind == "missing" and len(paths) > FEW:
                few = ", ".join(paths[:FEW])
                yield f"{len(paths):,} files: {_SENTENCES[kind].format(self.name)} ({few}, ...; --all lists them)"
            else:
                yield from self._sentences(kind, paths)

    def absent(self) -> Iterator[str]:
        """Yield a sentence for each missing file, if ``remarks`` does not."""
        if self.is_release and len(self.missing) > FEW:
            yield from self._sentences("missing", self.missing)

    def _sentences(self, kind: str, paths: tuple[str, ...]) -> Iterator[str]:
        return (f"{path}: {_SENTENCES[kind].format(self.name)}" for path in paths)

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON types; the lists are left out if the folder is not the release."""
        numbers: dict[str, Any] = {"name": self.name, "files": self.files, "same": self.same}
        if self.is_release:
            numbers |= {kind: list(getattr(self, kind)) for kind in _SENTENCES}
        return numbers


_SENTENCES = {
    "missing": "missing, but in the {0} release",
    "changed": "not the file of the {0} release",
    "unread": "not compared with the {0} release, as it cannot be read",
    "extra": "not in the {0} release",
}


def compare_with_release(
    root: Path, layout: str, hashed: Mapping[str, bytes], follow_links: bool = False
) -> Compared | None:
    """Compare a download with the release of its layout, file by file.

    Args:
        root: Folder of the download.
        layout: Its layout.
        hashed: ``digest_of`` each file that was read already, by path; other files are read here.
        follow_links: As for mhpdata.source.scan.

    Returns:
        The comparison; None if mhp has no list of a release of this layout.

    Raises:
        FolderError: A folder of the release is missing or cannot be listed.
    """
    if layout not in LISTS:
        return None
    release = release_files(layout)
    here = dict[str, object]()
    for folder in sorted({path.rpartition("/")[0] for path in release}):
        files = scan_folder(root, folder, follow_links)
        here |= {f"{folder}/{name}" if folder else name: file for name, file in files.items()}
    paths: dict[str, list[str]] = {kind: [] for kind in _SENTENCES}
    same = 0
    for path, wanted in release.items():
        kind = _state(root, here.get(path), wanted, hashed.get(path))
        if kind:
            paths[kind].append(path)
        same += not kind
    paths["extra"] = sorted(set(here) - set(release))
    sorted_paths = {kind: tuple(found) for kind, found in paths.items()}
    return Compared(LISTS[layout][0], len(release), same, **sorted_paths)


def _state(root: Path, file: object, wanted: ReleaseFile, digest: bytes | None) -> str:
    """Return the kind of difference of a file, a key of _SENTENCES; "" if it is the release's."""
    if file is None:
        return "missing"
    if not isinstance(file, SourceFile):
        return "unread"
    if file.size != wanted.size:
        return "changed"
    try:
        digest = digest or digest_of(read_file(root, file))
    except SourceError:
        return "unread"
    return "" if digest == wanted.digest else "changed"
