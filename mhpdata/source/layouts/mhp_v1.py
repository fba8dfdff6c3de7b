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

from functools import partial
from pathlib import Path

from mhpdata.errors import FolderError
from mhpdata.labels import MHP_V1
from mhpdata.source.entry import PHOTO, SPLITS, Entry, Found, Listing, Problem
from mhpdata.source.files import names_alike
from mhpdata.source.layouts.person_masks import PersonMasks
from mhpdata.source.lists import Lines, read_ids
from mhpdata.source.names import PHOTO_ENDINGS, Files, Folders

LABELS = MHP_V1
IMAGES, MASKS = "images", "annotations"
NAMES = ("train_list.txt", "test_list.txt", IMAGES, MASKS)
VAL_LIST = "val_list.txt"


def evidence(root: Path, names: set[str]) -> list[str]:
    """What in a folder with these names is LV-MHP v1's, if all that is needed to tell is there; else nothing."""
    tells = set(NAMES[1:]) <= names or {NAMES[0], *NAMES[2:]} <= names
    return [name for name in NAMES if name in names] if tells else []


def scan(root: Path, follow_links: bool = False) -> Listing:
    """The entries of every split, in list order, and what is wrong with the rest; one scan of each folder.

    Raises:
        FolderError: a folder is missing, or a list is not text.
    """
    folders = Folders(root, follow_links)
    top, photos, annotations = (folders.list(folder) for folder in ("", IMAGES, MASKS))
    listing = Listing("mhp-v1", LABELS, {})  # problems of the lists come first: they concern every split
    names = _split_names(folders, top, listing)
    listed = {name for split in SPLITS for name in names[split]}
    images, masks = Files(photos, IMAGES, PHOTO_ENDINGS, listed), PersonMasks(annotations, MASKS, listed)
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


def _split_names(folders: Folders, top: Found, listing: Listing) -> dict[str, list[str]]:
    """The image ids of each split; a name is taken once, by the first list that has it."""
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
