"""CIHP (Crowd Instance-level Human Parsing) as released: one folder per split, with maps of classes and of persons.

::

    CIHP/
      Training/             train_id.txt                ids, one per line: 0000006, ...
                            Images/<id>.jpg
                            Category_ids/<id>.png       8-bit gray: the class of each pixel
                            Human_ids/<id>.png          8-bit gray: the person of each pixel, 0 = nobody
                            Instance_ids/               redundant with these two; not read
      Validation/           val_id.txt, the same folders
      Testing/              test_id.txt, Images/        the annotations are withheld

The list of a split is in its folder or beside it. The release has already resolved overlaps, so each pixel has at most
one person. A split without ``Category_ids`` has no labels, which is an error for Training and Validation.
"""

from __future__ import annotations

from dataclasses import replace

from mhpdata.errors import FolderError
from mhpdata.labels import CIHP
from mhpdata.source.entry import MAPS, PHOTO, SPLITS, Entry, Listing, Names, Problem, without_split
from mhpdata.source.files import has_folder, is_there
from mhpdata.source.lists import Lines, read_ids
from mhpdata.source.names import PHOTO_ENDINGS, PNG_ENDINGS, Files, Folders
from mhpdata.source.remote import Root

LABELS = CIHP
FOLDERS = {"train": "Training", "val": "Validation", "test": "Testing"}
NAMES = tuple(FOLDERS.values())
LISTS = {"train": "train_id.txt", "val": "val_id.txt", "test": "test_id.txt"}
IMAGES, CLASSES, PERSONS = "Images", "Category_ids", "Human_ids"


def evidence(root: Root, names: set[str]) -> list[str]:
    """Return the paths that identify CIHP in a folder that contains ``names``; empty if it is not CIHP."""
    return [f"{name}/Images" for name in NAMES if name in names and has_folder(root, f"{name}/Images")]


def scan(root: Root, follow_links: bool = False) -> Listing:
    """Return the entries of every split, in list order, and the problems; list each folder once.

    A list that is not text, or that exists twice, is a problem of its split.

    Raises:
        FolderError: ``root`` cannot be listed.
    """
    folders = Folders(root, follow_links)
    top = folders.list()
    listing = Listing("cihp", LABELS, {})
    unlabelled = set()
    for split in SPLITS:
        listing.entries[split] = []
        try:
            labelled = _scan_split(folders, top, split, listing)
        except FolderError as error:
            listing.problems.append(Problem(split, FOLDERS[split], error, entry=False))
            continue
        if not labelled:
            unlabelled.add(split)
    listing.remarks.extend(folders.remarks())
    return replace(listing, unlabelled=frozenset(unlabelled))


def _scan_split(folders: Folders, top: Names, split: str, listing: Listing) -> bool:
    """Add a split's entries, problems and remarks to ``listing``; return whether it has labels."""
    folder = FOLDERS[split]
    if not is_there(folders.root, folder):
        remedy = without_split(split, SPLITS)
        raise FolderError(folder, "missing", "the folder of a split", remedy, fault=("missing",))
    names = _names(folders, top, split, listing)
    listed = set(names)
    images = Files(folders.list(f"{folder}/{IMAGES}"), f"{folder}/{IMAGES}", PHOTO_ENDINGS, listed)
    labelled = is_there(folders.root, f"{folder}/{CLASSES}")
    if not labelled and split != "test":
        here, remedy = f"{folder}/{CLASSES}", without_split(split, SPLITS)
        raise FolderError(here, "missing", "the maps of classes", remedy, fault=("missing",))
    map_folders = [f"{folder}/{name}" for name in (CLASSES, PERSONS)] if labelled else []
    maps = [Files(folders.list(path), path, PNG_ENDINGS, listed) for path in map_folders]
    for name in names:
        try:
            image = images.find(name, PHOTO)
            files = tuple(files_of.find(name, "the map of the image") for files_of in maps)
            listing.entries[split].append(Entry(name, split, image, files if labelled else None, MAPS))
        except FolderError as error:
            listing.problems.append(Problem(split, name, error))
    for files_of in (images, *maps):
        listing.renamed.extend(files_of.renamed(split, names))
        listing.remarks.extend(files_of.unlisted())
    return labelled


def _names(folders: Folders, top: Names, split: str, listing: Listing) -> list[str]:
    """Return the ids of a split's list, which is in its folder or beside it."""
    inside = folders.list(FOLDERS[split])
    name = LISTS[split]
    if name in inside and name in top:
        found = f"is both in {FOLDERS[split]} and next to it"
        remedy = f"Delete {name} or {FOLDERS[split]}/{name}, whichever does not come from the archive."
        raise FolderError(name, found, "one list", remedy, fault=("list-twice",))
    path, files = (name, top) if name in top else (f"{FOLDERS[split]}/{name}", inside)
    lines = Lines("an id such as 0000006", "", f"{FOLDERS[split]}/{IMAGES}")
    return read_ids(folders, files, path, lines, listing, split)
