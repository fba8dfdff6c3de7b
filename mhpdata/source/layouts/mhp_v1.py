"""LV-MHP v1 as released: images, one PNG mask per person, two lists.

::

    LV-MHP-v1/
      train_list.txt        0001.jpg .. 4000.jpg, one per line
      test_list.txt         4001.jpg .. 4980.jpg
      val_list.txt          not in the release; used if present
      images/               <id>.jpg
      annotations/          <id>_<NN>_<ii>.png       NN persons in the image, ii = 01..NN

The release has no list of the validation split, which is the last quarter of train_list (3,000 + 1,000 images in the
paper). If there is a val_list.txt, it defines the validation split, and its images are removed from the training split.
"""

from __future__ import annotations

from functools import partial

from mhpdata.errors import FolderError
from mhpdata.labels import MHP_V1
from mhpdata.source.entry import PHOTO, SPLITS, Entry, Listing, Names, Problem
from mhpdata.source.files import names_alike
from mhpdata.source.layouts.person_masks import PersonMasks
from mhpdata.source.lists import Lines, read_ids
from mhpdata.source.names import PHOTO_ENDINGS, Files, Folders
from mhpdata.source.remote import Root

LABELS = MHP_V1
IMAGES, MASKS = "images", "annotations"
NAMES = ("train_list.txt", "test_list.txt", IMAGES, MASKS)
VAL_LIST = "val_list.txt"


def evidence(root: Root, names: set[str]) -> list[str]:
    """Return the names that identify LV-MHP v1 in a folder that contains ``names``; empty if it is not LV-MHP v1."""
    matches = set(NAMES[1:]) <= names or {NAMES[0], *NAMES[2:]} <= names
    return [name for name in NAMES if name in names] if matches else []


def scan(root: Root, follow_links: bool = False) -> Listing:
    """Return the entries of every split, in list order, and the problems; list each folder once.

    Raises:
        FolderError: A folder is missing, or a list is not text.
    """
    folders = Folders(root, follow_links)
    top, in_images, in_masks = (folders.list(folder) for folder in ("", IMAGES, MASKS))
    listing = Listing("mhp-v1", LABELS, {})  # problems of the lists come first: they concern every split
    names = _split_names(folders, top, listing)
    listed = {name for split in SPLITS for name in names[split]}
    images, masks = Files(in_images, IMAGES, PHOTO_ENDINGS, listed), PersonMasks(in_masks, MASKS, listed)
    for split in SPLITS:
        entries = listing.entries[split] = []
        for name in names[split]:
            try:
                image = images.find(name, PHOTO)
                entries.append(Entry(name, split, image, masks.find(name)))
            except FolderError as error:
                listing.problems.append(Problem(split, name, error))
        listing.renamed.extend([*images.renamed(split, names[split]), *masks.renamed(split, names[split])])
    listing.remarks.extend([*masks.unlisted(), *images.unlisted(), *folders.remarks()])
    return listing


def _split_names(folders: Folders, top: Names, listing: Listing) -> dict[str, list[str]]:
    """Return the image ids of each split; an id belongs to the first list that names it."""
    lines = Lines("an image name such as 0001.jpg", ".jpg", IMAGES)
    read = partial(read_ids, folders, top, lines=lines, listing=listing, taken={})
    given = VAL_LIST in top
    for alike in [] if given else names_alike(top, VAL_LIST):
        remedy = f"Rename it to {VAL_LIST}, if it is the list of the validation split; otherwise move it away."
        error = FolderError(alike, "is not read because of its name", VAL_LIST, remedy, fault=("list-name",))
        listing.problems.append(Problem("", alike, error, entry=False))
    val = read(VAL_LIST) if given else []
    test = read("test_list.txt")
    train = read("train_list.txt", leave=set(val))
    if not given:
        cut = len(train) - len(train) // 4
        train, val = train[:cut], train[cut:]
    return {"train": train, "val": val, "test": test}
