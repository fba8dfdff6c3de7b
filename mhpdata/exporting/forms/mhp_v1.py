"""mhp-v1: the form of LV-MHP v1, without loss of pixels, labels or persons: images, one mask per person, lists.

::

    images/<id>.jpg                      as stored; a PNG under this name if the images are not stored as JPEGs
    annotations/<id>_<NN>_<ii>.png       the mask of person ii of NN, with overlaps
    train_list.txt  test_list.txt        as in the release: train_list names the images of train, then those of val
    val_list.txt                         only if the rule of the release would divide train_list otherwise

Packs store a gray image with three equal channels, so it is a colour image here, and in a pack of the export.

The release has no list of val: it is the last quarter of train_list. mhp pack reads a val_list.txt where there is one
(mhpdata.source.layouts.mhp_v1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mhpdata.errors import OptionError
from mhpdata.exporting.form import SUBSET, Form, Piece, Plan, lines
from mhpdata.exporting.view import View
from mhpdata.images.encode import encode_png
from mhpdata.labels import MHP_V1

IMAGES, MASKS = "images", "annotations"
LISTS = {"train": "train_list.txt", "val": "val_list.txt", "test": "test_list.txt"}
_ID = re.compile("[0-9]{1,9}", re.ASCII)
_OTHER = "Choose another form, such as --to coco."
MOST = 99
"""Maximum number of persons per image: the name of a mask has two digits for it."""


class Exporter(Form):
    """See Form."""

    name = "mhp-v1"
    reader = (
        "Read it with mhp pack --size 0 --src, with the --overlap of the packed folder and --split for each split in "
        "export.json, or with any loader of LV-MHP v1."
    )

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        manifest = plan.manifest
        if manifest.classes != MHP_V1.names:
            found = f"mhp-v1 for the {len(manifest.classes)} classes of {manifest.layout}"
            raise OptionError("to", found, f"the {len(MHP_V1)} classes of LV-MHP v1", _OTHER)
        if not plan.images:
            raise OptionError("images", "none with --to mhp-v1", "images: its readers need them", _OTHER)
        owner: dict[str, str] = {}
        for split, names in plan.splits.items():
            if split not in LISTS or not plan.labelled(split):
                found = f"mhp-v1 for split {split!r}" + (" without labels" if split in LISTS else "")
                raise OptionError("to", found, "labelled splits train, val and test", SUBSET)
            for name in names:
                if not _ID.fullmatch(name):
                    found = f"mhp-v1 for an image called {name!r}"
                    raise OptionError("to", found, "numbers of up to 9 digits, as in LV-MHP v1", _OTHER)
                if owner.setdefault(name, split) != split:
                    found = f"mhp-v1 for an image {name} in {owner[name]} and another in {split}"
                    raise OptionError("to", found, "different ids: all images are in one folder", SUBSET)

    def folders(self) -> Iterable[str]:
        """See Form."""
        return IMAGES, MASKS

    def piece(self, split: str, view: View) -> Piece:
        """See Form."""
        if not 1 <= view.persons <= MOST:
            found = f"mhp-v1 for image {view.name} of split {split}, which has {view.persons} persons"
            raise OptionError("to", found, f"1 to {MOST} persons per image", _OTHER)
        files = self.image(IMAGES, view, ".jpg")
        for person, mask in enumerate(view.masks(), 1):
            files.append((f"{MASKS}/{view.name}_{view.persons:02d}_{person:02d}.png", encode_png(mask)))
        return Piece(files, persons=view.persons)

    def finish(self) -> Iterator[tuple[str, bytes]]:
        """See Form."""
        train, val, test = (self.plan.splits.get(split, ()) for split in LISTS)
        listed = (*train, *val)
        yield LISTS["train"], lines(listed, ".jpg")
        yield LISTS["test"], lines(test, ".jpg")
        if len(val) != len(listed) // 4:
            yield LISTS["val"], lines(val, ".jpg")
