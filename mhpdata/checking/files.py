"""Check the files of a packed folder: presence, length, digest of each block, and shards not in the manifest."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from mhpdata.address import Address
from mhpdata.errors import ShardError, caused, copy_again
from mhpdata.options import Folder
from mhpdata.storage.digests import BLOCK, FileHash
from mhpdata.storage.manifest import Manifest
from mhpdata.storage.packed import ShardFile
from mhpdata.storage.shards import formats
from mhpdata.storage.shards.file import hash_file, not_opened
from mhpdata.storage.shards.remote import hash_object
from mhpdata.wording import counted

_NAMED = 4
"""Maximum number of ranges of damaged bytes in an error."""


def find_strays(folder: Path, manifest: Manifest) -> Iterator[ShardError]:
    """Yield an error for each shard in the folder that the manifest does not list."""
    known = {file.file for file in manifest.files}
    endings = {suffix for suffixes in formats.SUFFIXES.values() for suffix in suffixes}
    for path in sorted(folder.iterdir()):
        if path.suffix in endings and path.name not in known:
            remedy = f"Move {path.name} to another folder."
            yield ShardError(path, "a shard that the manifest does not list", "", remedy)


def check_file(folder: Folder, file: ShardFile) -> ShardError | None:
    """Return the error of a file, or None: missing, wrong length, wrong SHA-256 (with the damaged blocks if known).

    Raises:
        RemoteError: A request for an object fails.
    """
    path = folder / file.file
    copy = copy_again(file.file)
    if isinstance(path, Address):
        try:
            error = _compare(path, file, hash_object(path, file))
            return error and _compare(path, file, hash_object(path, file))  # bytes may be changed on their way
        except ShardError as wrong:
            return wrong
    try:
        if not path.is_file():
            return not_opened(OSError(errno.EINVAL if path.exists() else errno.ENOENT, "not a regular file"), path)
        size = path.stat().st_size
        if size != file.bytes:
            return ShardError(path, f"has {size} bytes", f"{file.bytes}, as the manifest says", copy)
        actual = hash_file(path)
    except OSError as error:
        return caused(not_opened(error, path), error)
    return _compare(path, file, actual)


def _compare(path: Folder, file: ShardFile, actual: FileHash) -> ShardError | None:
    copy = copy_again(file.file)
    if actual.size != file.bytes:
        return ShardError(path, f"has {actual.size} bytes now", f"{file.bytes}, as the manifest says", copy)
    if actual.sha256 == file.sha256:
        if not file.blocks or actual.blocks == file.blocks:
            return None
        wrong = "matches its SHA-256, but not the block digests in the manifest"
        return ShardError(path, wrong, "", copy_again("manifest.json"))
    return ShardError(path, f"its bytes are not those that were written (SHA-256{_where(file, actual)})", "", copy)


def _where(file: ShardFile, actual: FileHash) -> str:
    """Return in words which bytes of a file are damaged, by its blocks."""
    if not file.blocks:
        return ""
    ranges = damaged_ranges(file, actual)
    if not ranges:
        return " of the file, though all its blocks match: the manifest is damaged"
    few = ", ".join(f"{first} to {last}" for first, last in ranges[:_NAMED])
    more = f" and {counted(len(ranges) - _NAMED, 'other range')}" if len(ranges) > _NAMED else ""
    return f" of bytes {few}{more}"


def damaged_ranges(file: ShardFile, actual: FileHash) -> list[tuple[int, int]]:
    """Return the first and last byte of each run of blocks whose SHA-256 differs from the manifest's.

    Both must have the same number of blocks.
    """
    ranges: list[tuple[int, int]] = []
    for block, (right, here) in enumerate(zip(file.blocks, actual.blocks, strict=True)):
        if right == here:
            continue
        first, last = block * BLOCK, min((block + 1) * BLOCK, file.bytes) - 1
        if ranges and ranges[-1][1] + 1 == first:
            first = ranges.pop()[0]
        ranges.append((first, last))
    return ranges
