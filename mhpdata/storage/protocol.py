"""Which images of a split count: chosen when a packed folder is read, never when it is packed.

Two questions that are independent of each other:

========== ==========================================================================================================
official   every image of the split
gluoncv    val without its first entry by position in train_list: GluonCV 0.10.5 takes the slice [3001:4000] for val
           (``gluoncv/data/mhp.py``), which loses the image at position 3000, id 3001 of the release. Other splits are
           those of ``official``
========== ==========================================================================================================

``leak_free`` leaves out byte-identical copies, which the release has in several splits: of train those that val or test
has, too; of val those that test has. test is always whole. It is for who trains, and keeps what is evaluated.

``unseen`` is for who evaluates a network that was trained without that: it leaves out of val what train has, too, and
of test what train or val has.

In the full release ``gluoncv`` gives 999 images, and figures compare with those that GluonCV published. In any other
folder, the synthetic ones, too, it means the same by position (val without its first entry, be it packed or skipped),
and compares with nothing published. A folder with a val_list of its own has no such protocol at GluonCV.

In: a Manifest. Out: names, in the split's order, for ``mhpdata.Choose(names=...)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mhpdata.errors import OptionError
from mhpdata.options import PROTOCOLS, check_choice
from mhpdata.storage.manifest import Manifest

HELD_OUT = {"train": ("val", "test"), "val": ("test",)}
"""Whose copies ``leak_free`` leaves out of a split."""

EARLIER = {"val": ("train",), "test": ("train", "val")}
"""Whose copies ``unseen`` leaves out of a split: networks may have been trained on these."""

_OFFICIAL = "Pass official instead of gluoncv: every image of the split."


def choose_names(
    manifest: Manifest, split: str, protocol: str = "official", leak_free: bool = False, unseen: bool = False
) -> tuple[str, ...]:
    """The names of a split's images that count, in the split's order.

    Args:
        manifest: of the packed folder.
        split: one of its splits.
        protocol: of PROTOCOLS; acts on val only.
        leak_free: leave out the copies of images of splits that are evaluated later.
        unseen: leave out the copies of images of splits that networks are trained on.

    Raises:
        OptionError: no such split or protocol; ``gluoncv`` for another dataset than MHP v1, or where nobody can tell
            which entry was the first; ``leak_free`` or ``unseen`` where a split is not packed, so that its copies are
            not known.
    """
    check_choice("protocol", protocol, PROTOCOLS)
    names = split_names(manifest, split)
    left_out: set[str] = set()
    if protocol == "gluoncv" and split == "val":
        left_out.add(_first_entry(manifest, names))
    for option, wanted, others in (
        ("leak_free", leak_free, HELD_OUT.get(split, ())),
        ("unseen", unseen, EARLIER.get(split, ())),
    ):
        missing = [other for other in others if other not in manifest.splits]
        if wanted and missing:
            found = f"the folder was packed without {' and '.join(missing)}, so the duplicates in {split} are unknown"
            remedy = "Pack the download again with --overwrite and without --split."
            raise OptionError(option, found, "a folder with all splits", remedy)
        left_out |= copies(manifest, split, others) if wanted else frozenset()
    return tuple(name for name in names if name not in left_out)


class Chosen(NamedTuple):
    """The images of a split that count.

    Attributes:
        names: in the split's order.
        indices: of each in the split.
        seen: how many of them have a copy in a split that networks may have been trained on.
    """

    names: tuple[str, ...]
    indices: tuple[int, ...]
    seen: int


def choose_images(
    manifest: Manifest, split: str, protocol: str = "official", leak_free: bool = False, unseen: bool = False
) -> Chosen:
    """``choose_names``, for who reads them by index: arguments and errors are its own."""
    names = choose_names(manifest, split, protocol, leak_free, unseen)
    chosen = set(names)
    indices = tuple(index for index, name in enumerate(split_names(manifest, split)) if name in chosen)
    return Chosen(names, indices, len(copies(manifest, split, EARLIER.get(split, ())) & chosen))


def copies(manifest: Manifest, split: str, others: Iterable[str]) -> frozenset[str]:
    """The names of a split's images that are byte-identical with one of ``others``, by the manifest's duplicates."""
    prefixes = tuple(f"{other}/" for other in others)
    return frozenset(
        name.removeprefix(f"{split}/")
        for group in manifest.duplicates
        if any(name.startswith(prefixes) for name in group)
        for name in group
        if name.startswith(f"{split}/")
    )


def split_names(manifest: Manifest, split: str) -> tuple[str, ...]:
    """The names of all packed images of a split, in order.

    Raises:
        OptionError: no such split.
    """
    if split not in manifest.splits:
        remedy = ""
        raise OptionError("split", repr(split), " or ".join(manifest.splits), remedy)
    return tuple(name for shard in manifest.splits[split].shards for name in shard.names)


def _first_entry(manifest: Manifest, names: tuple[str, ...]) -> str:
    """The first of the val range by position in train_list, whether it was packed or skipped.

    The manifest has no positions of skipped entries; where the packed ones are in the order of their ids, as in the
    release, a skipped one's id says whether it came first.
    """
    if manifest.layout != "mhp-v1":
        raise OptionError("protocol", f"gluoncv for {manifest.layout}", "a folder of mhp-v1", _OFFICIAL)
    skipped = [skip.name for skip in manifest.skipped if skip.split == "val" and skip.name.isdecimal()]
    if not names and not skipped:
        remedy = "Choose a split that has images, or pack again, with --overwrite, a download whose val has some."
        raise OptionError("protocol", "gluoncv for an empty val split", "at least one image in it", remedy)
    if not skipped:
        return names[0]
    if list(names) != sorted(names, key=int):
        found = f"gluoncv where val entries were skipped ({', '.join(skipped[:5])}) and the list is not in order of id"
        raise OptionError("protocol", found, "the train_list.txt of the release", _OFFICIAL)
    return min((*names[:1], *skipped), key=int)
