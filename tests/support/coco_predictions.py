"""Write predictions in COCO's formats: regions as run lengths, and panoptic PNGs."""

from __future__ import annotations

import json

import cv2
import numpy as np


def counts(mask):
    """Return the run lengths of a mask, column by column, beginning with those outside."""
    runs, inside = [0], False
    for value in mask.T.ravel().tolist():
        if bool(value) != inside:
            runs.append(0)
            inside = not inside
        runs[-1] += 1
    return runs


def text(runs):
    """Return run lengths as COCO's compressed text, character by character."""
    out = []
    for i, run in enumerate(runs):
        left = run - (runs[i - 2] if i > 2 else 0)
        while True:
            bits, left = left & 31, left >> 5
            more = left != (-1 if bits & 16 else 0)
            out.append(chr(48 + bits + 32 * more))
            if not more:
                break
    return "".join(out)


def region(mask, compressed):
    runs = counts(mask)
    return {"size": list(mask.shape), "counts": text(runs) if compressed else runs}


def annotations(images, scores=(0.9, 0.8, 0.7)):
    """Return the entries of persons.json and parts.json for {name: (labels, owners, masks)}; ids are names."""
    persons, parts = [], []
    for name, (_, _, masks) in images.items():
        for number, mask in enumerate(masks, 1):
            common = {"image_id": name, "score": scores[(number - 1) % len(scores)]}
            id = len(persons) + 1
            persons.append({**common, "id": id, "category_id": 1, "segmentation": region(mask > 0, number % 2)})
            for c in np.unique(mask[mask > 0]).tolist():
                segmentation = region(mask == c, c % 2)
                parts.append({**common, "category_id": c, "person_id": id, "segmentation": segmentation})
    return persons, parts


def write_coco(folder, images, kinds=("persons", "parts")):
    """Write lists of results."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, entries in zip(("persons", "parts"), annotations(images), strict=True):
        if kind in kinds:
            (folder / f"{kind}.json").write_text(json.dumps(entries))
    return folder


def write_panoptic(folder, images, scores=(0.9, 0.8, 0.7)):
    """Write persons and parts of label maps and owners; a segment of a part is label + 256 x person."""
    kinds = {"persons": [], "parts": []}
    for name, (labels, owners, _) in images.items():
        inside = np.where(owners > 0, labels, 0).astype(np.int32)
        maps = {"persons": owners.astype(np.int32), "parts": inside + (owners.astype(np.int32) << 8)}
        for kind, segments in maps.items():
            (folder / kind).mkdir(parents=True, exist_ok=True)
            channels = [segments >> 16 & 255, segments >> 8 & 255, segments & 255]
            cv2.imwrite(str(folder / kind / f"{name}.png"), np.dstack(channels).astype(np.uint8))
            infos = []
            for segment in np.unique(segments[segments > 0]).tolist():
                person, c = (segment, 1) if kind == "persons" else (segment >> 8, segment & 255)
                info = {"id": segment, "category_id": c, "score": scores[(person - 1) % len(scores)]}
                infos.append(info if kind == "persons" else {**info, "person": person})
            infos = [info for info in infos if info["category_id"]]
            kinds[kind].append({"image_id": name, "file_name": f"{name}.png", "segments_info": infos})
    for kind, entries in kinds.items():
        (folder / f"{kind}.json").write_text(json.dumps({"annotations": entries}))
    return folder
