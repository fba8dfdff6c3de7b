"""Choose the images of a split to use, when a packed folder is read; packing always keeps all images.

The protocol decides which images belong to a split:

========== ==========================================================================================================
official   every image of the split
gluoncv    val without its first entry by position in train_list: GluonCV 0.10.5 uses the slice [3001:4000] for val
           (``gluoncv/data/mhp.py``), which omits the image at position 3000, id 3001 of the release. Other splits are
           those of ``official``
========== ==========================================================================================================

Independently of it, byte-identical copies can be dropped, which the release has in several splits:

``leak_free``, for training, drops images of train that also appear in val or test, and images of val that also appear
in test; test stays complete.

``unseen``, for evaluating a network that was trained without ``leak_free``, drops images of val that also appear in
train, and images of test that also appear in train or val.

With the full release, ``gluoncv`` gives 999 images, and results are comparable with those that GluonCV published. In
any other folder, including synthetic ones, it also omits the first entry of val, whether packed or skipped, but there
are no published results. GluonCV has no such protocol for a folder with a val_list.

In: a Manifest. Out: names, in the split's order, for ``mhpdata.Choose(names=...)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mhpdata.errors import OptionError
from mhpdata.options import PROTOCOLS, check_choice
from mhpdata.storage.manifest import Manifest
from mhpdata.wording import either

HELD_OUT = {"train": ("val", "test"), "val": ("test",)}
"""Splits whose images ``leak_free`` drops from a split."""

EARLIER = {"val": ("train",), "test": ("train", "val")}
"""Splits whose images ``unseen`` drops from a split: networks may have been trained on them."""

_OFFICIAL = "Pass official instead of gluoncv: every image of the split."


def choose_names(
    manifest: Manifest, split: str, protocol: str = "official", leak_free: bool = False, unseen: bool = False
) -> tuple[str, ...]:
    """Return the names of a split's images to use, in the split's order.

    Args:
        manifest: Manifest of the packed folder.
        split: Name of one of its splits.
        protocol: Protocol, of PROTOCOLS; it affects val only.
        leak_free: Whether to drop images that also appear in splits to be evaluated later.
        unseen: Whether to drop images that also appear in splits that networks are trained on.

    Raises:
        OptionError: The split or protocol does not exist; ``gluoncv`` is asked for a dataset other than MHP v1, or the
            first entry is unknown; ``leak_free`` or ``unseen`` needs a split that is not packed.
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
    """The images of a split to use.

    Attributes:
        names: Names of the images, in the split's order.
        indices: Index of each in the split.
        seen: Number of images that also appear in a split that networks may have been trained on.
    """

    names: tuple[str, ...]
    indices: tuple[int, ...]
    seen: int


def choose_images(
    manifest: Manifest, split: str, protocol: str = "official", leak_free: bool = False, unseen: bool = False
) -> Chosen:
    """Choose images as ``choose_names`` does, with the same arguments and errors; also return their indices.

    Unlike a training run, which applies its options to several splits, this rejects those without effect on the split.

    Raises:
        OptionError: As ``choose_names``; ``gluoncv`` for another split than val, or ``unseen`` for another than
            val and test.
    """
    if protocol == "gluoncv" and split != "val":
        remedy = f"Omit --val-protocol: it has no effect on {split}."
        raise OptionError("protocol", f"gluoncv for split {split!r}", "val", remedy)
    if unseen and split not in EARLIER:
        remedy = f"Omit --unseen: it has no effect on {split}."
        raise OptionError("unseen", f"given for split {split!r}", either(EARLIER), remedy)
    names = choose_names(manifest, split, protocol, leak_free, unseen)
    chosen = set(names)
    indices = tuple(index for index, name in enumerate(split_names(manifest, split)) if name in chosen)
    return Chosen(names, indices, len(copies(manifest, split, EARLIER.get(split, ())) & chosen))


def copies(manifest: Manifest, split: str, others: Iterable[str]) -> frozenset[str]:
    """Return the names of a split's images that also appear in one of ``others``, by the manifest's duplicates."""
    prefixes = tuple(f"{other}/" for other in others)
    return frozenset(
        name.removeprefix(f"{split}/")
        for group in manifest.duplicates
        if any(name.startswith(prefixes) for name in group)
        for name in group
        if name.startswith(f"{split}/")
    )


def split_names(manifest: Manifest, split: str) -> tuple[str, ...]:
    """Return the names of all packed images of a split, in order.

    Raises:
        OptionError: There is no such split.
    """
    if split not in manifest.splits:
        remedy = ""
        raise OptionError("split", f"no split {split!r}", either(manifest.splits), remedy)
    return tuple(name for shard in manifest.splits[split].shards for name in shard.names)


def _first_entry(manifest: Manifest, names: tuple[str, ...]) -> str:
    """Return the first name of val by position in train_list, whether it was packed or skipped.

    The manifest has no positions of skipped entries. If the packed entries are in the order of their ids, as in the
    release, the id of a skipped entry tells whether it came first.
    """
    if manifest.layout != "mhp-v1":
        raise OptionError("protocol", f"gluoncv for {manifest.layout}", "a folder of mhp-v1", _OFFICIAL)
    if manifest.selection is not None:
        found = "gluoncv for a folder with a selection of records"
        raise OptionError("protocol", found, "a pack of the whole download", _OFFICIAL)
    skipped = [skip.name for skip in manifest.skipped if skip.split == "val" and skip.name.isdecimal()]
    if not names and not skipped:
        remedy = "Choose a split that has images, or pack again, with --overwrite, a download whose val has some."
        raise OptionError("protocol", "gluoncv for an empty val split", "at least one image in it", remedy)
    if not skipped:
        return names[0]
    if list(names) != sorted(names, key=int):
        found = f"gluoncv, but val entries were skipped ({', '.join(skipped[:5])}) and the list is not sorted by id"
        raise OptionError("protocol", found, "the train_list.txt of the release", _OFFICIAL)
    return min((*names[:1], *skipped), key=int)
