"""The packed folders that an edit takes records from, and what they must have in common."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mhpdata.address import Address
from mhpdata.errors import ManifestError, NoObjectError, OptionError
from mhpdata.fields import parse_json
from mhpdata.options import Folder, check_folder, differences
from mhpdata.packing.output.contents import read_json
from mhpdata.remote.requests import stopped, submit
from mhpdata.remote.store import read_object
from mhpdata.storage.manifest import BUILD_NAME, MAX_BYTES, NAME, Manifest, read_manifest
from mhpdata.storage.record import Record
from mhpdata.storage.split import Split, open_split
from mhpdata.wording import counted

Folders = Sequence[str | os.PathLike[str] | Address]
FREE = ("splits", "format", "shard_mb")
"""Options that may differ between packs: they change no record."""


class Pack:
    """A packed folder, with its splits open.

    Args:
        folder: The folder, or its address.

    Attributes:
        folder: The folder.
        manifest: Its manifest, of version 2.
        splits: Its splits by name.

    Raises:
        ManifestError: The folder is not a packed folder, or is of format 1.
        ShardError: A shard is missing or damaged.
        RemoteError: A request fails.
    """

    def __init__(self, folder: str | os.PathLike[str] | Address) -> None:
        self.folder: Folder = check_folder("from", folder)
        self.manifest: Manifest = read_manifest(self.folder)
        if self.manifest.version == 1:
            remedy = "Pack the download again: format 1 has no digests of the source files."
            raise ManifestError(self.folder / NAME, "has format 1", "format 2", remedy)
        self.splits = {name: open_split(self.folder, name, allow_empty=True) for name in self.manifest.splits}
        self.content_id = str(self.manifest.content_id)

    def split(self, name: str) -> Split:
        """Return a split of the pack."""
        return self.splits[name]

    def read(self, split: str, index: int) -> tuple[bytes | memoryview, Record]:
        """Read a record: its bytes, and its fields. Raises PackedError if it is damaged, RemoteError."""
        opened = self.splits[split]
        try:
            return opened.whole(index)
        finally:
            opened.drop(index)

    def close(self) -> None:
        """Close all files."""
        for split in self.splits.values():
            split.close()


def fixed_options(manifest: Manifest) -> dict[str, Any]:
    """Return the options of a pack that determine its records."""
    return {name: value for name, value in manifest.options.items() if name not in FREE}


def refuse_differences(packs: Sequence[Pack]) -> None:
    """Raise OptionError unless the records of all packs can be in one pack: same layout, classes and options."""
    first = packs[0].manifest
    for pack in packs[1:]:
        other = pack.manifest
        if other.layout != first.layout:
            _refuse(pack, f"is of layout {other.layout}", f"{first.layout}, as in {packs[0].folder}")
        if (other.classes, other.flip_pairs) != (first.classes, first.flip_pairs):
            found = f"has {counted(len(other.classes), 'class', 'classes')} or left/right pairs of its own"
            _refuse(pack, found, f"those of {packs[0].folder}")
        theirs, ours = fixed_options(other), fixed_options(first)
        if theirs != ours:
            found = f"was packed with other options than {packs[0].folder} ({differences(theirs, ours)})"
            _refuse(pack, found, "the same options")


def _refuse(pack: Pack, found: str, expected: str) -> None:
    raise OptionError("from", f"{pack.folder} {found}", expected, "Pack its download again with the same options.")


def read_build(folder: Folder) -> dict[str, Any]:
    """Return the build.json of a packed folder; empty if there is none, or none that is an object."""
    if isinstance(folder, Path):
        content = read_json(folder / BUILD_NAME)
    else:
        try:
            content = parse_json(bytes(submit(read_object, folder / BUILD_NAME, MAX_BYTES, stopped).result()).decode())
        except (NoObjectError, ValueError, RecursionError):
            content = None
    return content if isinstance(content, dict) else {}


def refuse_same(earlier: Folder, out: Folder) -> None:
    """Raise OptionError if a packed folder that is read is also the output."""
    places = [place.resolve() if isinstance(place, Path) else place for place in (earlier, out)]
    if places[0] == places[1]:
        raise OptionError("out", f"{out} is also --from", "another folder", "Pass a new folder as --out.")
