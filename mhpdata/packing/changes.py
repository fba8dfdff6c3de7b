"""Name what has changed in a download since it was packed, for the error that keeps the finished pack.

A manifest has a digest of the files of each record, and one of its image; the names of skipped entries have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mhpdata.packing.sources import Source, file_digest, state_1
from mhpdata.source.entry import Entry
from mhpdata.source.remote import held
from mhpdata.storage.manifest import Manifest

_OTHERWISE = "a list, the name of a file, or what was skipped"
"""Possible changes if all records are of the same files."""


def find_changes(manifest: Manifest, build: dict[str, Any], source: Source) -> str | None:
    """Return how a source differs from that of a finished pack: None if it does not, empty if it is unknown.

    Args:
        manifest, build: Manifest and build.json of the finished pack.
        source: Download to pack.
    """
    if manifest.version == 1:
        same = build.get("source_state") == state_1(source.entries, source.problems, source.renamed)
        return None if same else ""
    if build.get("source_state") == source.state():
        return None
    digests = source.read(source.entries)
    if build.get("source_content") == source.content(digests):
        return None
    is_of_download = isinstance(build.get("source"), str)  # not of mhp pack --from
    return _describe(manifest, source, digests) if is_of_download else ""


def _describe(manifest: Manifest, source: Source, digests: Sequence[str]) -> str:
    """Return what has changed, in words; empty if that is a label file, which the caller describes."""
    labels = source.listing.labels
    if (manifest.classes, manifest.flip_pairs) != (labels.names, labels.flip_pairs):
        return ""
    packed = {
        (split, name): (digest, image)
        for split, one in manifest.splits.items()
        for shard in one.shards
        for name, digest, image in zip(shard.names, shard.sources, shard.photos, strict=True)
    }
    skipped = {(one.split, one.name) for one in manifest.skipped}
    count, changed, new = len(packed), list[tuple[Entry, str]](), list[str]()
    for entry, digest in zip(source.entries, digests, strict=True):
        before = packed.pop((entry.split, entry.name), None)
        if before is None:
            new += [f"{entry.split}/{entry.name}"] if (entry.split, entry.name) not in skipped else []
        elif before[0] != digest:
            changed.append((entry, before[1]))
    if changed and all(entry.own is not None for entry, _ in changed) and len(changed) == count:
        return ""
    missing = [f"{split}/{name}" for split, name in packed]
    parts = [f"changed: {_which(source, *changed[0])}{_more(changed)}"] if changed else []
    parts += [f"new: {new[0]}{_more(new)}"] if new else []
    parts += [f"missing: {missing[0]}{_more(missing)}"] if missing else []
    return "; ".join(parts) or f"changed: {_OTHERWISE}"


def _which(source: Source, entry: Entry, image: str) -> str:
    """Return the name of a changed entry, and its file if that can be told."""
    with held(source.root, [entry.image]):
        same = file_digest(source.root, entry.image).hex() == image
    return f"{entry.split}/{entry.name}, {'its annotation' if same else entry.image.path}"


def _more(items: Sequence[object]) -> str:
    return f", and {len(items) - 1} more" if len(items) > 1 else ""
