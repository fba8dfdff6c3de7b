"""A tiny dataset of one's own in each form of a label file, with the scenes of ``folder.write_folder``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from folder import encode, write_folder

from mhpdata.labels import MHP_V1

FORMS = ("persons", "maps", "coco")
SHIFT = 100
"""Value of label 1 in the masks of the form persons; background is 7."""
NAMES = ["background", *(name.replace(" ", "_") for name in MHP_V1.names[1:])]


def write_own(root: Path, form: str, images: int = 8) -> Path:
    """Write ``root/data`` and its label file, and return the path of that; val has the last two images."""
    release = write_folder(root / "release", images)
    data = root / "data"
    masks = {path.stem[:4]: masks_of(release, path.stem[:4]) for path in sorted((release / "images").iterdir())}
    names = [f"img {id}" for id in masks]
    splits = {"train": names[:-2], "val": names[-2:]}
    table: dict[str, Any] = {"name": "mine", "classes": NAMES, "licence": "ours", "ignore": [255]}
    about: dict[str, Any] = {"form": form, "images": "images"}
    for split, listed in splits.items():
        for name in listed:
            folder = data / (f"{split}/images" if form == "maps" else "images")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.jpg").write_bytes((release / "images" / f"{name[4:]}.jpg").read_bytes())
            if form == "persons":
                (data / "masks" / name).mkdir(parents=True)
                for k, mask in enumerate(masks[name[4:]], 1):
                    moved = np.where(mask == 0, 7, np.where(mask == 255, 254, mask + SHIFT)).astype(np.uint8)
                    (data / "masks" / name / f"p{5 * k}.png").write_bytes(encode(".png", moved))
            if form == "maps":
                labels, persons = first_of(masks[name[4:]])
                for key, pixels in (("labels", labels), ("persons", persons)):
                    (data / split / key).mkdir(exist_ok=True)
                    (data / split / key / f"{name}.png").write_bytes(encode(".png", pixels))
        if form == "coco":
            content = coco({name: masks[name[4:]] for name in listed})
            (data / f"{split}.json").write_text(json.dumps(content))
        if form == "persons":
            (data / f"{split}.txt").write_text("".join(f"images/{name}.jpg\n" for name in listed))
    if form == "persons":
        classes = [{"name": name, "value": label + SHIFT if label else 7} for label, name in enumerate(NAMES)]
        table["classes"] = classes[1:] + classes[:1]
        table |= {"background": "background", "ignore": 254}
        about |= {"masks": "masks/{image}/p{person}.png", "splits": {split: f"{split}.txt" for split in splits}}
    elif form == "maps":
        about |= {"images": "{split}/images", "splits": list(splits)}
        about |= {key: f"{{split}}/{key}/{{image}}.png" for key in ("labels", "persons")}
    else:
        about |= {"annotations": {split: f"{split}.json" for split in splits}, "person": "attributes.who"}
    path = root / "mine.json"
    path.write_text(json.dumps(table | {"folder": about}))
    return path


def masks_of(release: Path, id: str) -> list[np.ndarray]:
    """Return the masks of an image of ``write_folder``, in person order."""
    paths = sorted((release / "annotations").glob(f"{id}_*.png"))
    return [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths]


def first_of(masks: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return a map of labels and a map of persons, in which the first person with a label keeps a pixel."""
    labels, persons = np.zeros_like(masks[0]), np.zeros_like(masks[0])
    for k, mask in enumerate(masks, 1):
        free = (mask > 0) & (persons == 0)
        labels[free], persons[free] = mask[free], 3 * k
    return labels, persons


def coco(images: dict[str, list[np.ndarray]]) -> dict[str, Any]:
    """Return COCO JSON with a part per person and class, as run lengths, and an annotation per person."""
    content: dict[str, Any] = {"images": [], "annotations": []}
    content["categories"] = [{"id": 50 + label, "name": name} for label, name in enumerate(NAMES) if label]
    content["categories"].append({"id": 1, "name": "person"})
    parts = content["annotations"]
    for number, (name, masks) in enumerate(images.items(), 1):
        height, width = masks[0].shape
        content["images"].append({"id": number, "file_name": f"{name}.jpg", "height": height, "width": width})
        for person, mask in reversed(list(enumerate(masks, 1))):
            about = {"image_id": number, "iscrowd": 0, "attributes": {"who": person}}
            parts.append({"id": len(parts) + 1, "category_id": 1, "bbox": [0, 0, 9, 9], "segmentation": []} | about)
            for label in np.unique(mask[mask > 0]).tolist():
                region = {"size": [height, width], "counts": runs(mask == label)}
                parts.append({"id": len(parts) + 1, "category_id": 50 + label, "segmentation": region} | about)
    return content


def runs(region: np.ndarray) -> list[int]:
    """Return the run lengths of a region in column order, beginning with those outside."""
    flat = np.concatenate(([False], region.T.ravel()))
    cuts = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate(([0], cuts, [region.size]))).tolist()
