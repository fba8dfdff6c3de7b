"""Write datasets of one's own, each with its label file, ``mine.json``: masks per person, two maps, or COCO JSON.

In COCO JSON, the parts of an image are first kept in a file of their own, ``parts/ID.json``, because images are made by
several processes; ``_list_coco`` joins them. Regions are run lengths, so they draw to the same pixels.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.fields import parse_json
from mhpdata.labels import label_set
from mhpdata.synth.writing.form import Form, Mask, png, save_lines

PERSONS, MAPS, COCO = "folder", "folder-maps", "folder-coco"
LABEL_FILE = "mine.json"
SPLITS = ("train", "val")
OWN = label_set(("background", "head", "body", "left-arm", "right-arm", "left-leg", "right-leg"), ((3, 4), (5, 6)))
"""Classes of the datasets."""
_SHARES = {"train": 4, "val": 1}


def _save_table(folder: Path, about: dict[str, Any]) -> None:
    table = {"name": "synthetic", "source": "drawn by mhp synth", "classes": list(OWN.names), "folder": about}
    (folder / LABEL_FILE).write_text(json.dumps(table, indent=1) + "\n", encoding="ascii", newline="\n")


def _write_persons(
    folder: Path, split: str, id: str, source: int, jpeg: bytes, image: NDArray[Any], masks: list[Mask]
) -> None:
    (folder / "images" / f"{id}.jpg").write_bytes(jpeg)
    for k, mask in enumerate(masks, 1):
        (folder / "masks" / f"{id}_{k}.png").write_bytes(png(mask))


def _list_persons(folder: Path, ids: dict[str, list[str]]) -> None:
    for split, listed in ids.items():
        save_lines(folder / f"{split}.txt", listed)
    splits = {split: f"{split}.txt" for split in ids}
    about = {"form": "persons", "images": "images", "masks": "masks/{image}_{person}.png", "splits": splits}
    _save_table(folder, about)


def merge(masks: list[Mask]) -> tuple[Mask, Mask]:
    """Return a map of labels and a map of persons; the first person with a label keeps a pixel."""
    labels, persons = np.zeros(masks[0].shape, np.uint8), np.zeros(masks[0].shape, np.uint8)
    for k, mask in enumerate(masks, 1):
        free = (mask > 0) & (persons == 0)
        labels[free], persons[free] = mask[free], k
    return labels, persons


def _write_maps(
    folder: Path, split: str, id: str, source: int, jpeg: bytes, image: NDArray[Any], masks: list[Mask]
) -> None:
    (folder / split / "images" / f"{id}.jpg").write_bytes(jpeg)
    for kind, pixels in zip(("labels", "persons"), merge(masks), strict=True):
        (folder / split / kind / f"{id}.png").write_bytes(png(pixels))


def _list_maps(folder: Path, ids: dict[str, list[str]]) -> None:
    about: dict[str, Any] = {"form": "maps", "images": "{split}/images", "splits": list(ids)}
    about |= {kind: f"{{split}}/{kind}/{{image}}.png" for kind in ("labels", "persons")}
    _save_table(folder, about)


def _write_coco(
    folder: Path, split: str, id: str, source: int, jpeg: bytes, image: NDArray[Any], masks: list[Mask]
) -> None:
    (folder / "images" / f"{id}.jpg").write_bytes(jpeg)
    height, width = masks[0].shape
    parts = [
        {"person": k, "category_id": label, "segmentation": {"size": [height, width], "counts": _runs(mask == label)}}
        for k, mask in enumerate(masks, 1)
        for label in np.unique(mask[mask > 0]).tolist()
    ]
    (folder / "parts" / f"{id}.json").write_text(json.dumps({"size": [height, width], "parts": parts}))


def _list_coco(folder: Path, ids: dict[str, list[str]]) -> None:
    for split, listed in ids.items():
        categories = [{"id": label, "name": name} for label, name in enumerate(OWN.names) if label]
        content: dict[str, Any] = {"images": [], "annotations": [], "categories": categories}
        for number, id in enumerate(listed, 1):
            path = folder / "parts" / f"{id}.json"
            made = parse_json(path.read_text(), 1)
            height, width = made["size"]
            content["images"].append({"id": number, "file_name": f"{id}.jpg", "height": height, "width": width})
            for part in made["parts"]:
                about = {"id": len(content["annotations"]) + 1, "image_id": number, "iscrowd": 0}
                content["annotations"].append(about | part)
            path.unlink()
        (folder / f"{split}.json").write_text(json.dumps(content) + "\n", encoding="ascii", newline="\n")
    (folder / "parts").rmdir()
    _save_table(folder, {"form": "coco", "images": "images", "annotations": {split: f"{split}.json" for split in ids}})


def _runs(region: NDArray[np.bool_]) -> list[int]:
    """Return the run lengths of a region in column order, beginning with those outside."""
    flat = np.concatenate(([False], region.T.ravel()))
    cuts = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(length) for length in np.diff(np.concatenate(([0], cuts, [region.size])))]


OWN_FORMS = {
    PERSONS: Form(PERSONS, _SHARES, ("images", "masks"), "{:05d}".format, _write_persons, _list_persons),
    MAPS: Form(
        MAPS,
        _SHARES,
        tuple(f"{split}/{kind}" for split in SPLITS for kind in ("images", "labels", "persons")),
        "{:05d}".format,
        _write_maps,
        _list_maps,
    ),
    COCO: Form(COCO, _SHARES, ("images", "parts"), "{:05d}".format, _write_coco, _list_coco),
}
"""Forms of datasets of one's own, by name."""
