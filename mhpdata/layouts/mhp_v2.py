"""LV-MHP v2 as released: a folder a split, one PNG mask a person with the label in the red channel.

::

    LV-MHP-v2/
      list/                 train.txt val.txt test_all.txt          ids, one a line: 1, 2, 4, ... with gaps, not padded
                            test_inter_top20.txt, ...               parts of test, not read
      train/ val/           images/<id>.jpg                         whatever the format, told by the content
                            parsing_annos/<id>_<NN>_<ii>.png        NN persons in the image, ii = 01..NN
                            pose_annos/<id>.mat                     left alone
      test/                 images/                                 the annotations are withheld

A split without ``parsing_annos`` is a split without labels; of train and val that is an error. Ids of different splits
are independent of each other.
"""

from __future__ import annotations

import re
from pathlib import Path

from mhpdata.errors import FolderError
from mhpdata.labels import MHP_V2
from mhpdata.layouts.entry import RED, Entry, Listing, Problem, find_photo, without_split
from mhpdata.layouts.lists import read_ids
from mhpdata.layouts.person_masks import group_masks, order_masks
from mhpdata.source import scan_folder

LABELS = MHP_V2
SPLITS = ("train", "val", "test")
NAMES = ("list", "train", "val", "test")
LISTS = {"train": "train.txt", "val": "val.txt", "test": "test_all.txt"}

_ID = re.compile(r"([0-9]{1,9})", re.ASCII)


def evidence(root: Path, names: set[str]) -> list[str]:
    """What in a folder with these names is LV-MHP v2's, if all that is needed to tell is there; else nothing."""
    splits = [split for split in SPLITS if split in names and (root / split / "images").is_dir()]
    return ["list", *(f"{split}/images" for split in splits)] if "list" in names and splits else []


def scan(root: Path) -> Listing:
    """The entries of every split, in list order, and what is wrong with the rest; one scan of each folder.

    Raises:
        FolderError: there is no ``list`` folder, or a list is not text.
    """
    lists = scan_folder(root, "list")
    listing = Listing("mhp-v2", LABELS, {})
    unlabelled = set()
    for split in SPLITS:
        listing.entries[split] = []
        if LISTS[split] not in lists and not (root / split).exists():
            remedy = without_split(split, SPLITS)
            error = FolderError(split, f"missing, and its list list/{LISTS[split]}", "the folder of a split", remedy)
            listing.problems.append(Problem(split, split, error, entry=False))
            continue
        place, example = f"list/{LISTS[split]}", "an id such as 10"
        names = read_ids(root, lists, place, _ID, example, listing.problems, split)
        try:
            labelled = _scan_split(root, split, names, listing)
        except FolderError as error:
            listing.problems.append(Problem(split, split, error, entry=False))
            continue
        if not labelled:
            unlabelled.add(split)
    extra = sorted(set(lists) - set(LISTS.values()))
    listing.remarks.extend(f"list/{name}: not read; it names a part of a split" for name in extra)
    return Listing("mhp-v2", LABELS, listing.entries, listing.problems, listing.remarks, frozenset(unlabelled))


def _scan_split(root: Path, split: str, names: list[str], listing: Listing) -> bool:
    """Add a split's entries, problems and remarks to ``listing``; whether it has labels."""
    images = scan_folder(root, f"{split}/images")
    folder = f"{split}/parsing_annos"
    labelled = (root / folder).exists()
    if not labelled and split != "test":
        raise FolderError(folder, "missing", "the masks of the split", without_split(split, SPLITS))
    masks, strays = group_masks(scan_folder(root, folder)) if labelled else ({}, [])
    for name in names:
        try:
            image = find_photo(images, f"{split}/images", name)
            ordered = order_masks(folder, name, masks.get(name, {})) if labelled else None
            listing.entries[split].append(Entry(name, split, image, ordered, RED))
        except FolderError as error:
            listing.problems.append(Problem(split, name, error))
    listed = set(names)
    remarks = [f"{folder}/{name}: not a mask's name (<id>_<NN>_<ii>.png)" for name in strays]
    remarks += [f"{folder}: masks of image {name}, which no list names" for name in sorted(set(masks) - listed)]
    unlisted = sorted(name for name in images if name.removesuffix(".jpg") not in listed)
    listing.remarks.extend(remarks + [f"{split}/images/{name}: no list names it" for name in unlisted])
    return labelled
