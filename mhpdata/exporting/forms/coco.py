"""coco: COCO's object detection format, with one file for persons and one for parts per split.

::

    <split>/<name>.jpg                        as stored
    annotations/persons_<split>.json          an annotation per person, category 1
    annotations/parts_<split>.json            an annotation per part of a person; the category is the label

Segmentations are compressed RLE of each person's own mask, so persons may overlap, and so may their parts: nothing but
pixels with label 255 is lost. A person without a labelled pixel has no annotation. Ids follow from the position of an
image in its split (index) and the number of the person: index * 256 + person for persons, 256 times that plus the label
for parts, whose ``person_id`` is the id of their person; those of images are in mhpdata.exporting.coco_ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mhpdata.exporting.coco_ids import image_ids
from mhpdata.exporting.form import Form, Joined, Piece, Plan
from mhpdata.exporting.rle import regions
from mhpdata.exporting.view import View
from mhpdata.wording import counted

ANNOTATIONS = "annotations"
PERSON = {"id": 1, "name": "person", "supercategory": "person"}


class Exporter(Form):
    """See Form."""

    name = "coco"
    reader = (
        "annotations/persons_SPLIT.json and annotations/parts_SPLIT.json are read by pycocotools.coco.COCO; the images "
        "of a split are in the folder SPLIT."
    )

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._ids = {split: image_ids(names) for split, names in plan.splits.items()}

    def folders(self) -> Iterable[str]:
        """See Form."""
        return (ANNOTATIONS, *(self.plan.splits if self.plan.images else ()))

    def piece(self, split: str, view: View) -> Piece:
        """See Form."""
        id = self._ids[split][view.index]
        persons, parts = [], []
        for number, mask in enumerate(view.masks() if self.plan.labelled(split) else (), 1):
            whole, by_label = regions(mask)
            if whole is None:
                continue
            person = view.index * 256 + number
            persons.append(_annotation(person, id, 1, whole))
            for label, region in by_label.items():
                parts.append(_annotation(person * 256 + label, id, label, region, person_id=person))
        image = {"id": id, "file_name": f"{view.name}{self.plan.ending}"}
        rows = {"images": [encode({**image, "height": view.size[0], "width": view.size[1], "license": 1})]}
        return Piece(self.image(split, view), {**rows, "persons": persons, "parts": parts}, len(persons))

    def joined(self) -> Iterable[Joined]:
        """See Form."""
        for split in self.plan.splits:
            for key, categories in (("persons", [PERSON]), ("parts", part_categories(self.plan))):
                head = opening(self.plan, split, key, categories)
                parts = (head, (key,), b'\n],\n"images": [\n', ("images",), b"\n]}\n")
                yield Joined(f"{ANNOTATIONS}/{key}_{split}.json", split, parts)


def part_categories(plan: Plan) -> list[dict[str, Any]]:
    """Return the categories of parts: every class but the background, with colour and left/right counterpart."""
    categories = []
    for one in plan.labels.classes[1:]:
        category = {"id": one.id, "name": one.name, "supercategory": "person", "color": list(one.color)}
        categories.append(category if one.mirror is None else {**category, "mirror": one.mirror})
    return categories


def opening(plan: Plan, split: str, what: str, categories: list[dict[str, Any]]) -> bytes:
    """Return the beginning of a JSON file up to its annotations."""
    manifest = plan.manifest
    about = (
        f"{what} of {manifest.layout}, split {split}, {counted(len(plan.splits[split]), 'image')}, at {plan.at} size"
    )
    info = {"description": about, "citation": manifest.citation}
    licences = [{"id": 1, "name": manifest.licence or "unknown to mhp; see the terms of the dataset", "url": ""}]
    texts = (b'"info": ' + encode(info), b'"licenses": ' + encode(licences), b'"categories": ' + encode(categories))
    return b"{" + b",\n".join(texts) + b',\n"annotations": [\n'


def encode(value: Any) -> bytes:
    """Return a value as JSON, on one line."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _annotation(id: int, image: int, category: int, region: Any, **more: int) -> bytes:
    content = {"id": id, "image_id": image, "category_id": category, **more, "iscrowd": 0}
    return encode({**content, "area": region.area, "bbox": region.box, "segmentation": region.rle})
