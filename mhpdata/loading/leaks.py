"""Find images of one dataset's evaluation splits in another dataset's training split.

MHP v2's train and val hold about 80 % of the test images of MHP v1. Images are compared by the SHA-256 of their files,
which manifests list; for a manifest of mhp 0.1, every record is read. For copies within one dataset, see
``mhpdata.storage.protocol``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mhpdata.errors import LeakError
from mhpdata.options import Folder
from mhpdata.storage.split import Split, open_split
from mhpdata.wording import counted

EVALUATED = ("val", "test")


def hashes_of(split: Split) -> tuple[str, ...]:
    """Return the SHA-256 (hex) of each image's file, in the split's order."""
    shards = split.manifest.splits[split.name].shards
    if all(len(shard.photos) == len(shard.names) for shard in shards):
        return tuple(sha256 for shard in shards for sha256 in shard.photos)
    return tuple(split.record(index).source_sha256.hex() for index in range(len(split)))


def find_leaks(splits: Sequence[Split]) -> list[dict[int, str]]:
    """Return {index: name of the identical evaluation image} for each of the training splits.

    The evaluation images are those of val and test in the folders of all ``splits``, except in ``splits`` themselves;
    an image is a leak if it is identical to one of another folder.
    """
    folders = {_where(split): split for split in splits}
    trained = {(_where(split), split.name) for split in splits}
    held: dict[str, list[tuple[object, str]]] = {}
    for folder, one in folders.items():
        for name in (name for name in EVALUATED if name in one.manifest.splits and (folder, name) not in trained):
            for sha256, image in _evaluated(one, name):
                held.setdefault(sha256, []).append((folder, image))
    return [
        {
            index: images[0]
            for index, sha256 in enumerate(hashes_of(split))
            if (images := [image for folder, image in held.get(sha256, ()) if folder != _where(split)])
        }
        for split in splits
    ]


def refuse(splits: Sequence[Split], leaks: Sequence[dict[int, str]]) -> None:
    """Raise LeakError, which lists all leaks, if there are any."""
    lines = [
        f"{split.folder}, {split.name}/{split.names[index]} is {image}"
        for split, leaked in zip(splits, leaks, strict=True)
        for index, image in leaked.items()
    ]
    if lines:
        images = counted(len(lines), "image")
        remedy = "\n  ".join(
            ['Exclude these images from training with --leaks skip (in Python: Choose(leaks="skip")):', *lines]
        )
        found = f"{images} shared by training and evaluation splits of other datasets"
        raise LeakError(" + ".join(f"{split.folder}, {split.name}" for split in splits), found, "none", remedy)


def _where(split: Split) -> Folder:
    """Return the address of a split's folder, or its path without links."""
    return split.folder.resolve() if isinstance(split.folder, Path) else split.folder


def _evaluated(one: Split, name: str) -> Iterator[tuple[str, str]]:
    """Yield (SHA-256, name for messages) of each image of another split of a folder."""
    other = open_split(one.folder, name, allow_empty=True)
    try:
        for sha256, image in zip(hashes_of(other), other.names, strict=True):
            yield sha256, f"{one.folder}, {name}/{image}"
    finally:
        other.close()
