"""CIHP (Crowd Instance-level Human Parsing) as released: a folder a split, a map of classes and a map of persons.

::

    CIHP/
      Training/             train_id.txt                ids, one a line: 0000006, ...
                            Images/<id>.jpg
                            Category_ids/<id>.png       8-bit gray: the class of each pixel
                            Human_ids/<id>.png          8-bit gray: the person of each pixel, 0 nobody
                            Instance_ids/               says nothing that the two do not; not read
      Validation/           val_id.txt, the same folders
      Testing/              test_id.txt, Images/        the annotations are withheld

The list of a split lies in its folder or beside it. The release has resolved overlaps itself, so persons never share a
pixel. A split without ``Category_ids`` is one without labels; of Training and Validation that is an error.
"""

from __future__ import annotations

import re
from pathlib import Path

from mhpdata.errors import FolderError
from mhpdata.labels import CIHP
from mhpdata.layouts.entry import MAPS, Entry, Found, Listing, Problem, find_file, find_photo, without_split
from mhpdata.layouts.lists import read_ids
from mhpdata.source import scan_folder

LABELS = CIHP
SPLITS = ("train", "val", "test")
FOLDERS = {"train": "Training", "val": "Validation", "test": "Testing"}
NAMES = tuple(FOLDERS.values())
LISTS = {"train": "train_id.txt", "val": "val_id.txt", "test": "test_id.txt"}
CLASSES, PERSONS = "Category_ids", "Human_ids"

_ID = re.compile(r"([0-9]{1,9})", re.ASCII)


def evidence(root: Path, names: set[str]) -> list[str]:
    """What in a folder with these names is CIHP's, if all that is needed to tell is there; else nothing."""
    return [f"{name}/Images" for name in NAMES if name in names and (root / name / "Images").is_dir()]


def scan(root: Path) -> Listing:
    """The entries of every split, in list order, and what is wrong with the rest; one scan of each folder.

    A list that is not text, or lies in two places, is a problem of its split.

    Raises:
        FolderError: ``root`` cannot be listed.
    """
    top = scan_folder(root)
    listing = Listing("cihp", LABELS, {})
    unlabelled = set()
    for split in SPLITS:
        listing.entries[split] = []
        try:
            labelled = _scan_split(root, top, split, listing)
        except FolderError as error:
            listing.problems.append(Problem(split, FOLDERS[split], error, entry=False))
            continue
        if not labelled:
            unlabelled.add(split)
    return Listing("cihp", LABELS, listing.entries, listing.problems, listing.remarks, frozenset(unlabelled))


def _scan_split(root: Path, top: Found, split: str, listing: Listing) -> bool:
    """Add a split's entries, problems and remarks to ``listing``; whether it has labels."""
    folder = FOLDERS[split]
    if not (root / folder).exists():
        raise FolderError(folder, "missing", "the folder of a split", without_split(split, SPLITS))
    names = _names(root, top, split, listing.problems)
    images = scan_folder(root, f"{folder}/Images")
    labelled = (root / folder / CLASSES).exists()
    if not labelled and split != "test":
        raise FolderError(f"{folder}/{CLASSES}", "missing", "the maps of classes", without_split(split, SPLITS))
    maps = {kind: scan_folder(root, f"{folder}/{kind}") if labelled else {} for kind in (CLASSES, PERSONS)}
    for name in names:
        try:
            image = find_photo(images, f"{folder}/Images", name)
            files = [
                find_file(found, f"{folder}/{kind}", f"{name}.png", "the map of the photo")
                for kind, found in maps.items()
                if labelled
            ]
            listing.entries[split].append(Entry(name, split, image, tuple(files) if labelled else None, MAPS))
        except FolderError as error:
            listing.problems.append(Problem(split, name, error))
    listed = set(names)
    for place, found in {"Images": images, **maps}.items():
        unlisted = sorted(name for name in found if name.rpartition(".")[0] not in listed)
        listing.remarks.extend(f"{folder}/{place}/{name}: no list names it" for name in unlisted)
    return labelled


def _names(root: Path, top: Found, split: str, problems: list[Problem]) -> list[str]:
    """The ids of a split's list, in its folder or beside it."""
    inside = scan_folder(root, FOLDERS[split])
    name = LISTS[split]
    if name in inside and name in top:
        found = f"is in {FOLDERS[split]} and beside it"
        remedy = f"Delete {name} or {FOLDERS[split]}/{name}, whichever does not come from the archive."
        raise FolderError(name, found, "one list", remedy)
    place, where = (name, top) if name in top else (f"{FOLDERS[split]}/{name}", inside)
    return read_ids(root, where, place, _ID, "an id such as 0000006", problems, split)
