"""Write the folders of LIP as its archives extract: one person per image, and test without labels.

Of the persons in a scene, the one with the most pixels is annotated; the others are background.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.synth.writing.form import Form, Mask, png, save_lines

LIP = "lip"
IMAGES = {
    "train": "TrainVal_images/train_images",
    "val": "TrainVal_images/val_images",
    "test": "Testing_images/testing_images",
}
MASKS = {split: f"TrainVal_parsing_annotations/{split}_segmentations" for split in ("train", "val")}


def id_lip(index: int) -> str:
    """Return the id of an image: two numbers, as in the release."""
    return f"{100 + index}_{400000 + 7 * index}"


def _write_lip(
    folder: Path, split: str, id: str, source: int, jpeg: bytes, image: NDArray[Any], masks: list[Mask]
) -> None:
    (folder / IMAGES[split] / f"{id}.jpg").write_bytes(jpeg)
    if split in MASKS:
        largest = max(masks, key=np.count_nonzero)
        (folder / MASKS[split] / f"{id}.png").write_bytes(png(largest))


def _list_lip(folder: Path, ids: dict[str, list[str]]) -> None:
    for split, listed in ids.items():
        save_lines(folder / IMAGES[split].partition("/")[0] / f"{split}_id.txt", listed)


LIP_FORM = Form(
    LIP,
    {"train": 30462, "val": 10000, "test": 10000},
    (*IMAGES.values(), *MASKS.values()),
    id_lip,
    _write_lip,
    _list_lip,
    single=True,
)
