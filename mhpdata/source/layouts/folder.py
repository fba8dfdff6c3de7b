"""A dataset of one's own: images and annotations where a label file says (mhpdata.source.own.description).

An image and its annotation have the same name, without the ending. The order of a split is that of its list, or else of
the names. What is missing is reported in the words of the label file.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path

from mhpdata.errors import FolderError
from mhpdata.faults import Renamed, counted_code
from mhpdata.label_sets.sides import remarks_on_sides
from mhpdata.label_sets.table import LabelTable
from mhpdata.source.entry import COCO, GRAY, MAPS, Entry, Listing, Own, Problem
from mhpdata.source.entry import SPLITS as SPLITS
from mhpdata.source.files import read_file
from mhpdata.source.names import PHOTO_ENDINGS, Folders
from mhpdata.source.own import description
from mhpdata.source.own.coco import CocoImage, read_coco
from mhpdata.source.own.description import Description, describe
from mhpdata.source.own.lists import read_list
from mhpdata.source.own.tree import Images, OwnMasks, Tree, ending_of
from mhpdata.source.remote import Root
from mhpdata.terms import SYNTHETIC, SYNTHETIC_NAME, Terms, terms_of
from mhpdata.wording import counted, printable

LABELS = None
"""The classes are in the label file."""


def scan(root: Root, follow_links: bool, table: LabelTable, place: str) -> Listing:
    """Return the entries of every split, and the problems.

    Args:
        root: The source folder.
        follow_links: Whether to follow links out of it.
        table: The classes, and the description of the files.
        place: Path of the label file, for errors.

    Raises:
        OptionError: The description is wrong.
        FolderError: A folder that it names is missing, or a list or JSON file cannot be read.
    """
    about = describe(table, place)
    folders = Folders(root, follow_links)
    terms = Terms(table.texts.get("licence"), table.texts.get("citation"))
    listing = Listing("folder", table.labels, {}, unlabelled=about.unlabelled, terms=terms)
    scanned = _Scan(root, Tree(folders, place), table, about, place)
    for split in about.lists:
        listing.entries[split] = []
        scanned.add(split, listing)
    listing.remarks.extend([*remarks_on_sides(table.labels), *scanned.remarks(), *folders.remarks()])
    listing.renamed.extend(scanned.unread())
    if isinstance(root, Path) and terms_of(root, listing.layout, terms).licence == SYNTHETIC:
        drawn = "the pack will say that mhp synth drew the images; delete the file if the images are your own"
        listing.remarks.append(f"{SYNTHETIC_NAME}: {drawn}")
    return listing


class _Scan:
    """The scan of one folder; arguments as for ``scan``."""

    def __init__(self, root: Root, tree: Tree, table: LabelTable, about: Description, place: str) -> None:
        self._root, self._tree, self._table, self._about, self._place = root, tree, table, about, place
        self._images: dict[str, Images] = {}
        self._masks: dict[str, OwnMasks] = {}  # by path, which several splits may share
        self._taken: dict[str, set[str]] = {}
        self._last: tuple[str, dict[str, CocoImage]] | None = None
        values = tuple(table.of_values.tolist())
        what = [table.labels.names, table.labels.flip_pairs, values, table.folder, table.texts]
        self._own = Own(values, hashlib.sha256(json.dumps(what, sort_keys=True).encode()).digest())

    def add(self, split: str, listing: Listing) -> None:
        """Add the entries and problems of a split."""
        folder = self._about.images.replace("{split}", split)
        if folder not in self._images:
            self._images[folder] = Images(self._tree.list(folder, "images"), folder)
        images = self._images[folder]
        annotated: dict[str, CocoImage] = {}
        path = self._about.annotations.get(split)
        if path is not None:
            annotated = self._annotated(path, images, split, listing)
        ids = self._ids(split, images, annotated if path is not None else None, listing)
        if self._about.masks is not None:
            self._masks_of(split).expect(ids)
        taken = self._taken.setdefault(folder, set())
        for id in ids:
            try:
                if id in taken:
                    found, remedy = f"image {id} is in two splits", "Keep it in one of them."
                    raise FolderError(folder, found, "each image in one split", remedy, fault=("list-repeat", id))
                taken.add(id)
                listing.entries[split].append(self._entry(id, split, images, annotated.get(id)))
            except FolderError as error:
                listing.problems.append(Problem(split, id, error))

    def remarks(self) -> list[str]:
        """Return remarks on files that are not used."""
        found = []
        for folder, images in self._images.items():
            others = [id for id in images.ids if id not in self._taken.get(folder, ())]
            if others:
                found.append(f"{folder}: {counted(len(others), 'image')} in no split, such as {others[0]}")
            if images.others:
                found.append(f"{folder}/{images.others[0]}: not an image" + " (and others)" * (len(images.others) > 1))
        for masks in self._masks.values():
            found += masks.remarks()
        return found + [f"{path}: not read: {masks.unfit}" for path, masks in self._strays()]

    def unread(self) -> list[Renamed]:
        """Return a note for each path of masks beside which lie images that are not read; each may show a person."""
        found: dict[str, list[str]] = defaultdict(list)
        for path, masks in self._strays():
            if ending_of(path) in PHOTO_ENDINGS:
                found[printable(masks.path)].append(printable(path))  # a name need not be Unicode, but a manifest is
        return [
            Renamed("", "", *counted_code(len(paths), "unread-mask", paths[0], path)) for path, paths in found.items()
        ]

    def _strays(self) -> list[tuple[str, OwnMasks]]:
        """Return (path, the masks that it does not fit) of each file beside the masks that is not read."""
        every = list(self._masks.values())
        strays = {path: masks for masks in every for path in masks.strays()}
        return [(path, masks) for path, masks in strays.items() if not any(one.fits(path) for one in every)]

    def _masks_of(self, split: str) -> OwnMasks:
        """Return the masks of a split."""
        path = str(self._about.masks).replace("{split}", split)
        if path not in self._masks:
            self._masks[path] = OwnMasks(self._tree, path)
        return self._masks[path]

    def _ids(self, split: str, images: Images, annotated: dict[str, CocoImage] | None, listing: Listing) -> list[str]:
        """Return the ids of a split: of its list, its annotations, or its folder."""
        path = self._about.lists[split]
        if path is None:
            return images.ids if annotated is None else list(annotated)
        file = self._tree.file(path, f"splits.{split}", "the list of the split", "")
        return read_list(read_file(self._root, file), path, images, split, listing)

    def _annotated(self, path: str, images: Images, split: str, listing: Listing) -> dict[str, CocoImage]:
        """Return the images of a COCO file by id; a file of several splits is read once."""
        if self._last is not None and self._last[0] == path:
            return self._last[1]
        self._last = None  # frees the images of the last file before this one is read
        file = self._tree.file(path, f"annotations.{split}", "the COCO JSON of the split", "")
        found: dict[str, CocoImage] = {}
        for image in read_coco(read_file(self._root, file), path, self._table, self._about, self._place):
            id = images.id_of(image.name)
            if id in found:
                error = FolderError(
                    path,
                    f"has two images called {id} ({found[id].name} and {image.name})",
                    "images with different names",
                    "Rename one of them.",
                    fault=("list-repeat", id),
                )
                listing.problems.append(Problem(split, id, error))
                continue
            found[id] = image
        self._last = path, found
        return found

    def _entry(self, id: str, split: str, images: Images, annotated: CocoImage | None) -> Entry:
        """Return an entry. Raises FolderError if something of it is missing."""
        image, about = images.find(id), self._about
        if split in about.unlabelled:
            return Entry(id, split, image, None, own=self._own)
        if about.form == description.COCO:
            path = about.annotations[split]
            if annotated is None:
                found = f"has no image {id}, which the list of {split} names"
                remedy = "Add the image to the annotations, or remove it from the list."
                raise FolderError(path, found, "all images of the split", remedy, fault=("no-masks", id))
            if annotated.problem is not None:
                raise annotated.problem
            own = Own(self._own.values, self._own.digest, path, annotated.as_json())
            return Entry(id, split, image, (), COCO, own)
        if about.form == description.PERSONS:
            return Entry(id, split, image, self._masks_of(split).find(id), GRAY, self._own)
        files = []
        for key, path_of in (("labels", about.labels), ("persons", about.persons)):
            if path_of is not None:
                path = path_of.replace("{split}", split).replace("{image}", id)
                files.append(self._tree.file(path, key, f"the map of {key} of image {id}"))
        return Entry(id, split, image, tuple(files), MAPS if len(files) > 1 else GRAY, self._own)
