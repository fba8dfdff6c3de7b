"""LV-MHP v1 as released: photos, one PNG mask a person, two lists.

::

    LV-MHP-v1/
      train_list.txt        0001.jpg .. 4000.jpg, one a line
      test_list.txt         4001.jpg .. 4980.jpg
      val_list.txt          not in the release; obeyed where somebody gives one
      images/               <id>.jpg
      annotations/          <id>_<NN>_<ii>.png       NN persons in the image, ii = 01..NN

The release has no list of the validation split: it is the last quarter of train_list (3,000 + 1,000 images in the
paper). A val_list.txt names it instead; its images leave the training split.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from mhpdata.errors import FolderError
from mhpdata.labels import MHP_V1
from mhpdata.layouts.entry import Entry, Found, Listing, Problem, find_photo
from mhpdata.layouts.lists import read_ids
from mhpdata.layouts.person_masks import Group, group_masks, order_masks
from mhpdata.source import scan_folder

LABELS = MHP_V1
SPLITS = ("train", "val", "test")
NAMES = ("train_list.txt", "test_list.txt", "images", "annotations")

_IMAGE = re.compile(r"([0-9]{1,9})\.jpg", re.ASCII)


def evidence(root: Path, names: set[str]) -> list[str]:
    """What in a folder with these names is LV-MHP v1's, if all that is needed to tell is there; else nothing."""
    tells = set(NAMES[1:]) <= names or {NAMES[0], *NAMES[2:]} <= names
    return [name for name in NAMES if name in names] if tells else []


def scan(root: Path) -> Listing:
    """The entries of every split, in list order, and what is wrong with the rest; one scan of each folder.

    Raises:
        FolderError: a folder is missing, or a list is not text.
    """
    top = scan_folder(root)
    images = scan_folder(root, "images")
    masks, strays = group_masks(scan_folder(root, "annotations"))
    problems: list[Problem] = []  # those of the lists first: they concern every split
    names = _split_names(root, top, problems)
    entries: dict[str, list[Entry]] = {}
    for split in SPLITS:
        entries[split] = []
        for name in names[split]:
            try:
                entries[split].append(_entry(name, split, images, masks.get(name, {})))
            except FolderError as error:
                problems.append(Problem(split, name, error))
    listed = {name for split in SPLITS for name in names[split]}
    remarks = [f"annotations/{name}: not a mask's name (<id>_<NN>_<ii>.png)" for name in strays]
    remarks += [f"annotations: masks of image {name}, which no list names" for name in sorted(set(masks) - listed)]
    unlisted = sorted(name for name in images if name.removesuffix(".jpg") not in listed)
    remarks += [f"images/{name}: no list names it" for name in unlisted]
    return Listing("mhp-v1", LABELS, entries, problems, remarks)


def _split_names(root: Path, top: Found, problems: list[Problem]) -> dict[str, list[str]]:
    """The image ids of each split; a name is taken once, by the first list that has it."""
    read = partial(
        read_ids, root, top, line_of=_IMAGE, example="an image name such as 0001.jpg", problems=problems, taken={}
    )
    given = "val_list.txt" in top
    val = read("val_list.txt") if given else []
    test = read("test_list.txt")
    train = read("train_list.txt", leave=set(val))
    if not given:
        cut = len(train) - len(train) // 4
        train, val = train[:cut], train[cut:]
    return {"train": train, "val": val, "test": test}


def _entry(name: str, split: str, images: Found, masks: Group) -> Entry:
    image = find_photo(images, "images", name)
    return Entry(name, split, image, order_masks("annotations", name, masks))
