"""cihp: the form of CIHP (Crowd Instance-level Human Parsing), which loaders of multi-human parsing read.

::

    Training/             train_id.txt
                          Images/<name>.jpg
                          Category_ids/<name>.png        8-bit gray: the label of each pixel
                          Human_ids/<name>.png           8-bit gray: the person of each pixel, 0 = nobody
                          Instance_ids/<name>.png .txt   gray: (person - 1) * classes + label; 0 = nothing
    Validation/           val_id.txt, the same folders
    Testing/              test_id.txt, the same folders; Images only if the split has no labels

Each pixel has one owner. Persons that own no pixel are left out, and the others are numbered without gaps, since
SCHP's converter to COCO takes the numbers for 1, 2, 3, ... A pixel with label 255 keeps the first person whose mask has
a value there: readers take no class without a person. A line of an Instance_ids text is "id label person", as in
CIHP_PGN (evaluation/Instance_part_val). The PNG has 16 bits where ids exceed 255.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.exporting.form import SUBSET, Form, Piece, Plan, lines
from mhpdata.exporting.view import Map, View
from mhpdata.images.encode import encode_png
from mhpdata.labels import IGNORE

LISTS = {"train": "Training/train_id.txt", "val": "Validation/val_id.txt", "test": "Testing/test_id.txt"}
IMAGES = "Images"
MAPS = ("Category_ids", "Human_ids", "Instance_ids")


class Exporter(Form):
    """See Form."""

    name = "cihp"
    reader = "Read it with mhp pack --layout cihp if it has the classes of CIHP, or with M2FP, RP R-CNN or SCHP."

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        for split in plan.splits:
            if split not in LISTS:
                raise OptionError("to", f"cihp for split {split!r}", "splits train, val and test", SUBSET)

    def folders(self) -> Iterable[str]:
        """See Form."""
        for split in self.plan.splits:
            names = ([IMAGES] if self.plan.images else []) + ([*MAPS] if self.plan.labelled(split) else [])
            yield from (folder_of(split), *(f"{folder_of(split)}/{name}" for name in names))

    def piece(self, split: str, view: View) -> Piece:
        """See Form."""
        folder = folder_of(split)
        files = self.image(f"{folder}/{IMAGES}", view, ".jpg")
        if not self.plan.labelled(split):
            return Piece(files)
        labels, owners = view.maps()
        give_ignored(view, labels, owners)
        persons = close_gaps(owners)
        ids, text = _instances(labels, owners, len(self.plan.labels))
        for name, pixels in zip(MAPS, (labels, owners, ids), strict=True):
            files.append((f"{folder}/{name}/{view.name}.png", encode_png(pixels)))
        files.append((f"{folder}/{MAPS[2]}/{view.name}.txt", text))
        return Piece(files, persons=persons)

    def finish(self) -> Iterator[tuple[str, bytes]]:
        """See Form."""
        for split, names in self.plan.splits.items():
            yield LISTS[split], lines(names)


def folder_of(split: str) -> str:
    """Return the folder of a split."""
    return LISTS[split].partition("/")[0]


def give_ignored(view: View, labels: Map, owners: Map) -> None:
    """Give each pixel with label 255 to the first person whose mask has a value there; ``owners`` is changed."""
    left = labels == IGNORE
    if not left.any():
        return
    for person, mask in enumerate(view.masks(), 1):
        taken = left & (mask != 0)
        owners[taken] = person
        left &= ~taken


def close_gaps(owners: Map) -> int:
    """Renumber the persons of a map without gaps, in order; return their number."""
    numbers = np.zeros(256, np.uint8)
    present = np.flatnonzero(np.bincount(owners.reshape(-1), minlength=256)[1:]) + 1
    numbers[present] = np.arange(1, len(present) + 1)
    owners[...] = numbers[owners]
    return len(present)


def _instances(labels: Map, owners: Map, classes: int) -> tuple[np.ndarray, bytes]:
    """Return the map of ids of part instances, and the text that lists them."""
    inside = (labels != 0) & (labels != IGNORE)
    ids = np.where(inside, (owners.astype(np.int32) - 1) * classes + labels, 0)
    found = [id for id in np.unique(ids).tolist() if id]
    text = "".join(f"{id} {id % classes} {id // classes + 1}\n" for id in found)
    return ids.astype(np.uint8 if max(found, default=0) < 256 else np.uint16), text.encode()
