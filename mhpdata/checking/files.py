"""The files of a packed folder as a whole: present, of the right length, and every block's bytes those that were
written; shards that the manifest does not name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mhpdata.errors import ShardError, caused, copy_again
from mhpdata.storage.digests import BLOCK, FileHash
from mhpdata.storage.manifest import Manifest
from mhpdata.storage.packed import ShardFile
from mhpdata.storage.shards import formats
from mhpdata.storage.shards.file import hash_file, how_to_open
from mhpdata.wording import counted, why

_NAMED = 4
"""Ranges of damaged bytes that an error names."""


def find_strays(folder: Path, manifest: Manifest) -> Iterator[ShardError]:
    """Yield an error for each shard in the folder that the manifest does not name."""
    known = {file.file for file in manifest.files}
    kinds = {suffix for suffixes in formats.SUFFIXES.values() for suffix in suffixes}
    for path in sorted(folder.iterdir()):
        if path.suffix in kinds and path.name not in known:
            remedy = f"Move {path.name} to another folder."
            yield ShardError(path, "a shard that the manifest does not name", "", remedy)


def check_file(folder: Path, file: ShardFile) -> ShardError | None:
    """What is wrong with a file: presence, length, SHA-256; where it has blocks, which of them are damaged."""
    path = folder / file.file
    copy = copy_again(file.file)
    try:
        if not path.is_file():
            return ShardError(path, "missing", f"a file of {file.bytes} bytes", copy)
        size = path.stat().st_size
        if size != file.bytes:
            return ShardError(path, f"has {size} bytes", f"{file.bytes}, by the manifest", copy)
        found = hash_file(path)
    except OSError as error:
        return caused(ShardError(path, f"cannot be read ({why(error)})", "", how_to_open(error, path)), error)
    if found.size != file.bytes:
        return ShardError(path, f"has {found.size} bytes now", f"{file.bytes}, by the manifest", copy)
    if found.sha256 == file.sha256:
        if not file.blocks or found.blocks == file.blocks:
            return None
        wrong = "matches its SHA-256, but not the block digests in the manifest"
        return ShardError(path, wrong, "", copy_again("manifest.json"))
    return ShardError(path, f"its bytes are not those that were written (SHA-256{_where(file, found)})", "", copy)


def _where(file: ShardFile, found: FileHash) -> str:
    """Which bytes of a file are damaged, by its blocks."""
    if not file.blocks:
        return ""
    ranges = damaged_ranges(file, found)
    if not ranges:
        return " of the whole, though that of each block is right: the manifest is damaged"
    few = ", ".join(f"{first} to {last}" for first, last in ranges[:_NAMED])
    more = f" and {counted(len(ranges) - _NAMED, 'other range')}" if len(ranges) > _NAMED else ""
    return f" of bytes {few}{more}"


def damaged_ranges(file: ShardFile, found: FileHash) -> list[tuple[int, int]]:
    """First and last byte of each run of blocks whose SHA-256 is not the manifest's; both lists are of one length."""
    ranges: list[tuple[int, int]] = []
    for block, (right, here) in enumerate(zip(file.blocks, found.blocks, strict=True)):
        if right == here:
            continue
        first, last = block * BLOCK, min((block + 1) * BLOCK, file.bytes) - 1
        if ranges and ranges[-1][1] + 1 == first:
            first = ranges.pop()[0]
        ranges.append((first, last))
    return ranges
