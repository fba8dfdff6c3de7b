"""LIP (Look into Person) as released, or as SCHP's code arranges it: one person per image, one map of labels.

::

    LIP/
      TrainVal_images/               train_id.txt val_id.txt           ids, one per line: 100_400007
                                     train_images/ val_images/         <id>.jpg
      TrainVal_parsing_annotations/  train_segmentations/ ...          <id>.png, the label of each pixel
      Testing_images/                test_id.txt testing_images/       the annotations are withheld

Archives that extract into a folder of their own name (``TrainVal_images/TrainVal_images``) and SCHP's arrangement, all
folders and lists at the top, are read, too. A split without a folder of images is left out. Sources: the README of
GoGoDuck912/Self-Correction-Human-Parsing, and public code that reads the archives. The developers have never seen LIP.
"""

from __future__ import annotations

from dataclasses import replace

from mhpdata.errors import FolderError
from mhpdata.labels import LABEL_SETS
from mhpdata.source.entry import GRAY, PHOTO, SPLITS, Entry, Listing, Names, Problem
from mhpdata.source.lists import Lines, read_ids
from mhpdata.source.names import PHOTO_ENDINGS, PNG_ENDINGS, Files, Folders
from mhpdata.source.remote import Root

LABELS = LABEL_SETS["lip"]
NAMES = ("TrainVal_images", "TrainVal_parsing_annotations")
_FLAT = ("train_images", "train_segmentations")
_ID = r"[0-9]{1,12}(?:_[0-9]{1,12})*"
_IMAGES = {
    split: tuple(f"{prefix}{split}_images" for prefix in ("", "TrainVal_images/", "TrainVal_images/TrainVal_images/"))
    for split in ("train", "val")
}
_IMAGES["test"] = (
    *("testing_images", "test_images", "Testing_images/testing_images"),
    "Testing_images/Testing_images/testing_images",
)
"""Folders that may hold the images of a split."""


def evidence(root: Root, names: set[str]) -> list[str]:
    """Return the names that identify LIP in a folder that contains ``names``; empty if it is not LIP."""
    return [name for name in (*NAMES, *_FLAT) if name in names] if names & {NAMES[0], _FLAT[1]} else []


def scan(root: Root, follow_links: bool = False) -> Listing:
    """Return the entries of every split, in list order, and the problems; list each folder once.

    Raises:
        FolderError: No split has a folder of images.
    """
    folders = Folders(root, follow_links)
    listing = Listing("lip", LABELS, {}, unlabelled=frozenset({"test"}))
    for split in SPLITS:
        found = _first(folders, _IMAGES[split])
        if found is None:
            continue
        listing.entries[split] = []
        try:
            _scan_split(folders, split, found, listing)
        except FolderError as error:
            listing.problems.append(Problem(split, split, error, entry=False))
    if not listing.entries:
        raise FolderError(
            ".",
            "no folder of images",
            f"{_IMAGES['train'][1]} or {_IMAGES['train'][0]}",
            "Pass as --src the folder that contains these.",
            fault=("missing",),
        )
    listing.remarks.extend(folders.remarks())
    return replace(listing, unlabelled=frozenset({"test"} & set(listing.entries)))


def _first(folders: Folders, candidates: tuple[str, ...]) -> tuple[str, Names] | None:
    """Return the first of these folders that exists, with its files; None if there is none."""
    for path in candidates:
        try:
            return path, folders.list(path)
        except FolderError as error:
            if error.fault != ("missing",):
                raise
    return None


def _scan_split(folders: Folders, split: str, found: tuple[str, Names], listing: Listing) -> None:
    """Add a split's entries, problems and remarks to ``listing``."""
    folder, files = found
    above = folder.rpartition("/")[0]
    name = f"{split}_id.txt"
    lists = [
        place for place in dict.fromkeys((above, folder.partition("/")[0] if above else "", "")) if place != folder
    ]
    place = next((one for one in lists if name in folders.list(one)), above)
    lines = Lines("an id such as 100034_483681", "", folder, _ID)
    ids = read_ids(folders, folders.list(place), f"{place}/{name}" if place else name, lines, listing, split)
    images = Files(files, folder, PHOTO_ENDINGS, set(ids))
    masks = None
    if split != "test":
        candidates = tuple(
            f"{prefix}{split}_segmentations" for prefix in ("", f"{NAMES[1]}/", f"{NAMES[1]}/{NAMES[1]}/")
        )
        annotated = _first(folders, candidates)
        if annotated is None:
            remedy = f"Extract {NAMES[1]}.zip beside the images."
            raise FolderError(candidates[1], "missing", "the maps of labels", remedy, fault=("missing",))
        masks = Files(annotated[1], annotated[0], PNG_ENDINGS, set(ids))
    for id in ids:
        try:
            image = images.find(id, PHOTO)
            own = None if masks is None else (masks.find(id, "the map of the image"),)
            listing.entries[split].append(Entry(id, split, image, own, GRAY))
        except FolderError as error:
            listing.problems.append(Problem(split, id, error))
    for files_of in (images, *([masks] if masks else [])):
        listing.renamed.extend(files_of.renamed(split, ids))
        listing.remarks.extend(files_of.unlisted())
