"""coco-panoptic: COCO's panoptic format, in which each pixel belongs to one segment; once for persons, once for parts.

::

    <split>/<name>.jpg                        as stored
    annotations/persons_<split>.json          a segment is a person; segment id = number of the person
    annotations/persons_<split>/<name>.png    segment id of each pixel: R + 256 G + 65536 B
    annotations/parts_<split>.json            a segment is a part of a person; segment id = label + 256 * person
    annotations/parts_<split>/<name>.png

Each pixel has one owner, as in the packed map of persons. The background is a segment, too, of category 0 with isthing
0: pixels without a segment are void, which scores do not count, so persons found in the background would cost nothing.
Pixels with label 255 are void. Ids of images are those of ``coco``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mhpdata.exporting.coco_ids import image_ids
from mhpdata.exporting.form import Form, Joined, Piece, Plan
from mhpdata.exporting.forms.coco import ANNOTATIONS, PERSON, encode, opening, part_categories
from mhpdata.exporting.segments import segments
from mhpdata.exporting.view import Map, View
from mhpdata.images.encode import encode_png
from mhpdata.images.formats.chunks import RGB

BACKGROUND = 1 << 16
"""Segment id of the background."""
KINDS = ("persons", "parts")


class Exporter(Form):
    """See Form."""

    name = "coco-panoptic"
    reader = (
        "annotations/persons_SPLIT.json and annotations/parts_SPLIT.json are read by panopticapi, each with the folder "
        "of PNGs beside it; the images of a split are in the folder SPLIT."
    )

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._ids = {split: image_ids(names) for split, names in plan.splits.items()}

    def folders(self) -> Iterable[str]:
        """See Form."""
        labelled = [split for split in self.plan.splits if self.plan.labelled(split)]
        pngs = [f"{ANNOTATIONS}/{kind}_{split}" for kind in KINDS for split in labelled]
        return (ANNOTATIONS, *pngs, *(self.plan.splits if self.plan.images else ()))

    def piece(self, split: str, view: View) -> Piece:
        """See Form."""
        id = self._ids[split][view.index]
        image = {"id": id, "file_name": f"{view.name}{self.plan.ending}"}
        rows = {"images": [encode({**image, "height": view.size[0], "width": view.size[1], "license": 1})]}
        files, persons = self.image(split, view), 0
        if self.plan.labelled(split):
            labels, owners = view.maps()
            png = {"image_id": id, "file_name": f"{view.name}.png"}
            for kind, (pixels, keys) in zip(KINDS, _keys(labels, owners), strict=True):
                files.append((f"{ANNOTATIONS}/{kind}_{split}/{view.name}.png", encode_png(pixels, RGB)))
                found = [_info(kind, *segment) for segment in segments(keys) if segment.key]
                rows[kind] = [encode({**png, "segments_info": found})]
                persons += sum(one["category_id"] != 0 for one in found) if kind == "persons" else 0
        return Piece(files, rows, persons)

    def joined(self) -> Iterable[Joined]:
        """See Form."""
        background = {"id": 0, "name": self.plan.labels.names[0], "supercategory": "background", "isthing": 0}
        for split in self.plan.splits:
            for kind, things in (("persons", [PERSON]), ("parts", part_categories(self.plan))):
                head = opening(self.plan, split, kind, [background, *({**one, "isthing": 1} for one in things)])
                parts = (head, (kind,), b'\n],\n"images": [\n', ("images",), b"\n]}\n")
                yield Joined(f"{ANNOTATIONS}/{kind}_{split}.json", split, parts)


def _keys(labels: Map, owners: Map) -> Iterable[tuple[Map, Any]]:
    """Yield, for persons and parts, the PNG's pixels (height, width, 3) and the map of segment ids."""
    background = (labels == 0).astype(np.uint8)
    nothing = np.zeros_like(labels)
    inside = np.where(owners > 0, labels, 0).astype(np.uint8)
    for red, green in ((owners, nothing), (inside, owners)):
        ids = red.astype(np.int32) + (green.astype(np.int32) << 8) + (background.astype(np.int32) << 16)
        yield np.dstack((red, green, background)), ids


def _info(kind: str, key: int, area: int, box: list[int]) -> dict[str, Any]:
    """Return a segment's entry of segments_info."""
    info = {"id": key, "category_id": 0, "iscrowd": 0, "area": area, "bbox": box}
    if key == BACKGROUND:
        return info
    if kind == "persons":
        return {**info, "category_id": 1}
    return {**info, "category_id": key & 255, "person": key >> 8}
