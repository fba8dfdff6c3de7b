"""A small dataset of a stranger: 50 drawn images with seven classes, annotated with polygons in one COCO JSON.

Nothing of mhp is used. The file is as an annotation tool writes it: ids that begin anywhere, an annotation with the
box of each whole person, parts with that person's id, parts of several polygons, fields that mhp does not know, file
names with a folder. Its category ``person`` is no class.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

IMAGES, TRAIN = 50, 40
CLASSES = ("background", "hair", "face", "shirt", "left-arm", "right-arm", "trousers")
IDS = {"person": 3, "hair": 11, "face": 12, "shirt": 20, "left-arm": 31, "right-arm": 32, "trousers": 40}
COLOURS = {"hair": (60, 40, 30), "face": (225, 180, 150), "trousers": (50, 60, 130)}
"""RGB; arms have the colour of faces, shirts a random one."""


def write_stranger(root: Path, seed: int = 0) -> None:
    """Write images, annotations and lists to ``root/mine``, and the label file ``root/mine.json``."""
    rng = np.random.default_rng(seed)
    mine = root / "mine"
    (mine / "photos").mkdir(parents=True)
    categories = [{"id": id, "name": name, "supercategory": ""} for name, id in IDS.items()]
    content: dict[str, Any] = {"info": {"version": "1.0"}, "licenses": [], "categories": categories}
    content |= {"images": [], "annotations": []}
    names = [f"IMG_{2000 + 3 * k}" for k in range(IMAGES)]
    for number, name in enumerate(names, 500):
        image, persons = draw(rng)
        height, width = image.shape[:2]
        cv2.imwrite(str(mine / "photos" / f"{name}.jpg"), image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        about = {"id": number, "file_name": f"photos/{name}.jpg", "height": height, "width": width, "license": 1}
        content["images"].append(about)
        for parts in persons:
            annotate(content["annotations"], number, parts)
    (mine / "export.json").write_text(json.dumps(content), encoding="utf-8")
    for split, listed in (("train", names[:TRAIN]), ("val", names[TRAIN:])):
        (mine / f"{split}.txt").write_text("".join(f"{name}.jpg\n" for name in listed), encoding="utf-8")
    folder = {"form": "coco", "images": "photos", "annotations": "export.json", "person": "attributes.person"}
    folder |= {"splits": {"train": "train.txt", "val": "val.txt"}, "left_out": ["person"]}
    table = {"name": "stranger", "classes": CLASSES, "licence": "CC BY 4.0", "folder": folder}
    (root / "mine.json").write_text(json.dumps(table, indent=1), encoding="utf-8")


def annotate(annotations: list[dict[str, Any]], image: int, parts: dict[str, list[np.ndarray]]) -> None:
    """Append the annotations of a person and of its parts."""
    person = 7000 + len(annotations)
    everything = np.concatenate([polygon for polygons in parts.values() for polygon in polygons])
    x, y, width, height = cv2.boundingRect(everything.astype(np.float32))
    for name, polygons in {"person": [], **parts}.items():
        regions = [polygon.round(1).ravel().tolist() for polygon in polygons]
        one = {"id": 7000 + len(annotations), "image_id": image, "category_id": IDS[name], "segmentation": regions}
        one |= {"iscrowd": 0, "attributes": {"person": person}}
        annotations.append(one | ({"bbox": [x, y, width, height]} if name == "person" else {}))


def draw(rng: np.random.Generator) -> tuple[np.ndarray, list[dict[str, list[np.ndarray]]]]:
    """Return an RGB image of one or two persons, uint8 (height, width, 3), and each person's parts as polygons."""
    count = int(rng.integers(1, 3))
    height, width = int(rng.integers(130, 170)), int(rng.integers(80, 110)) * count
    image = np.full((height, width, 3), rng.integers(150, 215, 3), np.uint8)
    image[int(height * 0.8) :] = rng.integers(90, 140, 3)
    persons = []
    for k in range(count):
        middle = width * (k + 0.5) / count + rng.uniform(-6, 6)
        parts = figure(rng, middle, height * rng.uniform(0.03, 0.1), height * rng.uniform(0.8, 0.88))
        shirt = [(200, 50, 50), (40, 140, 70), (220, 190, 60)][int(rng.integers(3))]
        for name, polygons in parts.items():
            colour = shirt if name == "shirt" else COLOURS["face"] if name.endswith("arm") else COLOURS[name]
            for polygon in polygons:
                cv2.fillPoly(image, [polygon.round().astype(np.int32)], colour)
        persons.append(parts)
    return np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8), persons


def figure(rng: np.random.Generator, x: float, top: float, tall: float) -> dict[str, list[np.ndarray]]:
    """Return the parts of a person who faces the viewer, so that the left arm is on the right; later ones cover."""
    broad = tall * rng.uniform(0.11, 0.14)
    head, waist, feet = top + tall * 0.1, top + tall * 0.55, top + tall
    shoulder = top + tall * 0.2
    arms = {}
    for side, sign in (("left-arm", 1), ("right-arm", -1)):
        hand = (x + sign * broad * rng.uniform(1.6, 2.2), top + tall * rng.uniform(0.45, 0.6))
        inner, outer = x + sign * broad * 0.8, x + sign * broad * 1.35
        points = [(inner, shoulder), (outer, shoulder), (hand[0] + sign * 3, hand[1]), (hand[0] - sign * 5, hand[1])]
        arms[side] = [np.array(points)]
    legs = [
        [(x, waist - 2), (x + s * broad, waist - 2), (x + s * broad * 1.1, feet), (x + s * 3, feet)] for s in (-1, 1)
    ]
    shirt = [(x - broad, shoulder), (x + broad, shoulder), (x + broad, waist), (x - broad, waist)]
    return {
        "trousers": [np.array(leg) for leg in legs],
        **arms,
        "shirt": [np.array(shirt)],
        "hair": [ellipse(x, head - tall * 0.02, tall * 0.085, tall * 0.1)],
        "face": [ellipse(x, head + tall * 0.02, tall * 0.06, tall * 0.075)],
    }


def ellipse(x: float, y: float, wide: float, high: float) -> np.ndarray:
    """Return the corners of a polygon, float64 (16, 2), each as (x, y)."""
    turn = np.arange(16) * (2 * np.pi / 16)
    return np.stack([x + wide * np.cos(turn), y + high * np.sin(turn)], 1)
