"""LV-MHP v2 as released: one folder per split, one PNG mask per person with the label in the red channel.

::

    LV-MHP-v2/
      list/                 train.txt val.txt test_all.txt          ids, one per line: 1, 2, 4, ... gaps, no padding
                            test_inter_top20.txt, ...               subsets of test, not read
      train/ val/           images/<id>.jpg                         of any format, recognised by its content
                            parsing_annos/<id>_<NN>_<ii>.png        NN persons in the image, ii = 01..NN
                            pose_annos/<id>.mat                     not read
      test/                 images/                                 the annotations are withheld

A split without ``parsing_annos`` has no labels, which is an error for train and val. Ids of different splits are
independent of each other.
"""

from __future__ import annotations

from dataclasses import replace

from mhpdata.errors import FolderError
from mhpdata.labels import MHP_V2
from mhpdata.source.entry import PHOTO, RED, SPLITS, Entry, Listing, Problem, without_split
from mhpdata.source.files import has_folder, is_there
from mhpdata.source.layouts.person_masks import PersonMasks
from mhpdata.source.lists import Lines, read_ids
from mhpdata.source.names import PHOTO_ENDINGS, Files, Folders
from mhpdata.source.remote import Root

LABELS = MHP_V2
NAMES = ("list", "train", "val", "test")
LISTS = {"train": "train.txt", "val": "val.txt", "test": "test_all.txt"}


def evidence(root: Root, names: set[str]) -> list[str]:
    """Return the paths that identify LV-MHP v2 in a folder that contains ``names``; empty if it is not LV-MHP v2."""
    splits = [split for split in SPLITS if split in names and has_folder(root, f"{split}/images")]
    return ["list", *(f"{split}/images" for split in splits)] if "list" in names and splits else []


def scan(root: Root, follow_links: bool = False) -> Listing:
    """Return the entries of every split, in list order, and the problems; list each folder once.

    Raises:
        FolderError: The folder ``list`` is missing, or a list is not text.
    """
    folders = Folders(root, follow_links)
    lists = folders.list("list")
    listing = Listing("mhp-v2", LABELS, {})
    unlabelled = set()
    for split in SPLITS:
        listing.entries[split] = []
        if LISTS[split] not in lists and not is_there(root, split):
            remedy = without_split(split, SPLITS)
            found, fault = f"missing, as is its list list/{LISTS[split]}", ("missing",)
            error = FolderError(split, found, "the folder of a split", remedy, fault=fault)
            listing.problems.append(Problem(split, split, error, entry=False))
            continue
        lines = Lines("an id such as 10", "", f"{split}/images")
        names = read_ids(folders, lists, f"list/{LISTS[split]}", lines, listing, split)
        try:
            labelled = _scan_split(folders, split, names, listing)
        except FolderError as error:
            listing.problems.append(Problem(split, split, error, entry=False))
            continue
        if not labelled:
            unlabelled.add(split)
    extra = sorted(set(lists) - set(LISTS.values()))
    listing.remarks.extend(f"list/{name}: not read; it names a subset of a split" for name in extra)
    listing.remarks.extend(folders.remarks())
    return replace(listing, unlabelled=frozenset(unlabelled))


def _scan_split(folders: Folders, split: str, names: list[str], listing: Listing) -> bool:
    """Add a split's entries, problems and remarks to ``listing``; return whether it has labels."""
    listed = set(names)
    images = Files(folders.list(f"{split}/images"), f"{split}/images", PHOTO_ENDINGS, listed)
    folder = f"{split}/parsing_annos"
    labelled = is_there(folders.root, folder)
    if not labelled and split != "test":
        remedy = without_split(split, SPLITS)
        raise FolderError(folder, "missing", "the masks of the split", remedy, fault=("missing",))
    masks = PersonMasks(folders.list(folder) if labelled else {}, folder, listed)
    for name in names:
        try:
            image = images.find(name, PHOTO)
            listing.entries[split].append(Entry(name, split, image, masks.find(name) if labelled else None, RED))
        except FolderError as error:
            listing.problems.append(Problem(split, name, error))
    listing.renamed.extend([*images.renamed(split, names), *masks.renamed(split, names)])
    listing.remarks.extend([*masks.unlisted(), *images.unlisted()])
    return labelled
