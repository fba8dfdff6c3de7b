"""lip: the form of LIP in which SCHP and CE2P read it: whole images with one label map each, lists, edges.

::

    <split>_images/<name>.jpg                         as stored
    <split>_segmentations/<name>.png                  8-bit gray: the label of each pixel, 255 is ignored
    <split>_id.txt                                    names, for SCHP
    train_segmentations_reversed/<name>.png           the label map mirrored, with left and right swapped, for CE2P
    train_edges/<name>.png                            255 on the borders of labels, for CE2P; SCHP computes its own
    trainList.txt  valList.txt  testList.txt          paths for CE2P, separated by blanks

Persons are merged into the label map, as LIP has one per image. An edge is where a pixel differs from its neighbour to
the right, below or on a diagonal, both with labels other than 255, widened by one pixel: the rule of SCHP
(utils/target_generation, edge_width 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.exporting.form import SUBSET, Form, Piece, Plan, lines
from mhpdata.exporting.view import Map, View
from mhpdata.images.encode import encode_png
from mhpdata.labels import IGNORE

IMAGES, LABELS, REVERSED, EDGES = "images", "segmentations", "segmentations_reversed", "edges"


class Exporter(Form):
    """See Form."""

    name = "lip"
    reader = "SCHP reads it as its data folder of LIP; CE2P reads it through the lists *List.txt."

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        for names in plan.splits.values():
            spaced = [name for name in names if name != "".join(name.split())]
            if spaced:
                found, expected = f"lip for an image called {spaced[0]!r}", "names without spaces: its lists have them"
                raise OptionError("to", found, expected, SUBSET)

    def folders(self) -> Iterable[str]:
        """See Form."""
        for split in self.plan.splits:
            yield from [f"{split}_{IMAGES}"] if self.plan.images else []
            yield from [f"{split}_{LABELS}"] if self.plan.labelled(split) else []
            if split == "train" and self.plan.labelled(split):
                yield f"{split}_{REVERSED}"
                yield f"{split}_{EDGES}"

    def piece(self, split: str, view: View) -> Piece:
        """See Form."""
        files = self.image(f"{split}_{IMAGES}", view, ".jpg")
        if not self.plan.labelled(split):
            return Piece(files)
        labels = view.maps()[0]
        maps = {LABELS: labels}
        if split == "train":
            maps[REVERSED] = self.plan.labels.mirrored[labels[:, ::-1]]
            maps[EDGES] = edges(labels)
        files += [(f"{split}_{name}/{view.name}.png", encode_png(pixels)) for name, pixels in maps.items()]
        return Piece(files, persons=view.persons)

    def finish(self) -> Iterator[tuple[str, bytes]]:
        """See Form."""
        for split, names in self.plan.splits.items():
            yield f"{split}_id.txt", lines(names)
            kinds = [(IMAGES, ".jpg")]
            if self.plan.labelled(split):
                kinds += [(LABELS, ".png")]
                kinds += [(REVERSED, ".png"), (EDGES, ".png")] if split == "train" else []
            paths = (" ".join(f"{split}_{kind}/{name}{ending}" for kind, ending in kinds) for name in names)
            yield f"{split}List.txt", lines(paths)


def edges(labels: Map) -> Map:
    """Return 255 on the borders of labels, widened by one pixel, and 0 elsewhere: uint8 (height, width)."""
    marks = np.zeros((labels.shape[0] + 2, labels.shape[1] + 2), bool)  # a margin for the pixels next to the image
    inner = marks[1:-1, 1:-1]
    counted = labels != IGNORE
    for marked, one, other in (
        (np.s_[1:, :], np.s_[1:, :], np.s_[:-1, :]),
        (np.s_[:, :-1], np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1, :-1], np.s_[:-1, :-1], np.s_[1:, 1:]),
        (np.s_[:-1, 1:], np.s_[:-1, 1:], np.s_[1:, :-1]),
    ):
        inner[marked] |= (labels[one] != labels[other]) & counted[one] & counted[other]
    rows = marks[:-2] | marks[1:-1] | marks[2:]
    return np.where(rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:], 255, 0).astype(np.uint8)
