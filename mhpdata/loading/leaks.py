"""Images of one dataset's evaluation split in another's training split: MHP v2's train and val hold about 80 % of the
test images of MHP v1.

Photos are compared by the SHA-256 of their files, which every manifest holds (of one that an older mhp wrote, every
record is asked). Copies within one dataset are another matter: ``mhpdata.storage.protocol``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mhpdata.errors import LeakError
from mhpdata.storage.split import Split, open_split
from mhpdata.wording import counted

EVALUATED = ("val", "test")


def photos_of(split: Split) -> tuple[str, ...]:
    """The SHA-256 (hex) of each photo's file, in the split's order."""
    shards = split.manifest.splits[split.name].shards
    if all(len(shard.photos) == len(shard.names) for shard in shards):
        return tuple(photo for shard in shards for photo in shard.photos)
    return tuple(split.record(index).source_sha256.hex() for index in range(len(split)))


def find_leaks(splits: Sequence[Split]) -> list[dict[int, str]]:
    """For each of the splits that are trained on: index -> the evaluated image that is the same photo.

    Evaluated are val and test of every folder that one of the splits is of, but not those splits themselves; an image
    is a leak if it is in one of another folder.
    """
    folders = {split.folder.resolve(): split for split in splits}
    trained = {(split.folder.resolve(), split.name) for split in splits}
    held: dict[str, list[tuple[object, str]]] = {}
    for folder, one in folders.items():
        for name in (name for name in EVALUATED if name in one.manifest.splits and (folder, name) not in trained):
            for photo, place in _evaluated(one, name):
                held.setdefault(photo, []).append((folder, place))
    return [
        {
            index: places[0]
            for index, photo in enumerate(photos_of(split))
            if (places := [place for folder, place in held.get(photo, ()) if folder != split.folder.resolve()])
        }
        for split in splits
    ]


def refuse(splits: Sequence[Split], leaks: Sequence[dict[int, str]]) -> None:
    """Raises LeakError, which lists all, if there are any."""
    lines = [
        f"{split.folder}, {split.name}/{split.names[index]} is {place}"
        for split, found in zip(splits, leaks, strict=True)
        for index, place in found.items()
    ]
    if lines:
        images = counted(len(lines), "image")
        remedy = "\n  ".join(
            ['Exclude these images from training with --leaks skip, in Python Choose(leaks="skip"):', *lines]
        )
        found = f"{images} shared by training and evaluation splits of other datasets"
        raise LeakError(" + ".join(f"{split.folder}, {split.name}" for split in splits), found, "none", remedy)


def _evaluated(one: Split, name: str) -> Iterator[tuple[str, str]]:
    """Photos of another split of a folder, and how they are named."""
    other = open_split(one.folder, name, allow_empty=True)
    try:
        for photo, image in zip(photos_of(other), other.names, strict=True):
            yield photo, f"{one.folder}, {name}/{image}"
    finally:
        other.close()
