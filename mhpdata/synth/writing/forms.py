"""Write the folders of each dataset as released: splits, file names and file contents.

They include the irregularities of the releases. MHP v2: ids with gaps and without padding, labels in the red channel
(every twelfth mask is gray), other image formats named ``.jpg``, broken EXIF blocks, pose files, no labels in test.
CIHP: maps of classes and persons, no labels in Testing. CCIHP: the same with other classes.

The rule: an image's file depends only on the index of its plan, so copies (``plan.source``) are byte-identical, and an
image of a seed is the same file in every dataset in which it is a JPEG without EXIF.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.synth.writing.form import Form, Mask, encode, png, save_lines
from mhpdata.synth.writing.lip_form import LIP, LIP_FORM
from mhpdata.synth.writing.own_forms import OWN_FORMS, merge

V1, V2, CIHP, CCIHP = "mhp-v1", "mhp-v2", "cihp", "ccihp"
EXIF = b"Exif\0\0MM\0*\xff\xff\xff\xf0broken"
"""An EXIF block whose first directory has an invalid offset."""
GRAY_MASKS = 12


# LV-MHP v1


def _write_v1(
    folder: Path, split: str, id: str, source: int, jpeg: bytes, image: NDArray[Any], masks: list[Mask]
) -> None:
    (folder / "images" / f"{id}.jpg").write_bytes(jpeg)
    for k, mask in enumerate(masks, 1):
        (folder / "annotations" / f"{id}_{len(masks):02d}_{k:02d}.png").write_bytes(png(mask))


def _list_v1(folder: Path, ids: dict[str, list[str]]) -> None:
    for name, listed in ids.items():
        save_lines(folder / f"{name}.txt", [f"{id}.jpg" for id in listed])


# LV-MHP v2


def id_v2(index: int) -> str:
    """Return the id of an image: 1, 2, 4, 5, 7, ...; every third id is missing."""
    return str(index + (index - 1) // 2)


def v2_file(source: int, jpeg: bytes, image: NDArray[Any]) -> bytes:
    """Return the bytes of a ``.jpg`` file: of 16, 13 are JPEGs (2 with a broken EXIF block), a PNG, a BMP, a WebP."""
    remainder = source % 16
    if remainder in (3, 9):
        return jpeg[:2] + b"\xff\xe1" + (len(EXIF) + 2).to_bytes(2, "big") + EXIF + jpeg[2:]
    if remainder in (5, 8, 11):
        return encode({5: ".png", 8: ".bmp", 11: ".webp"}[remainder], image, [])
    return jpeg


def _write_v2(
    folder: Path, split: str, id: str, source: int, jpeg: bytes, image: NDArray[Any], masks: list[Mask]
) -> None:
    (folder / split / "images" / f"{id}.jpg").write_bytes(v2_file(source, jpeg, image))
    if split == "test":
        return
    for k, mask in enumerate(masks, 1):
        red = np.dstack([mask, np.zeros_like(mask), np.zeros_like(mask)])
        data = png(mask if (int(id) + k) % GRAY_MASKS == 0 else red)
        (folder / split / "parsing_annos" / f"{id}_{len(masks):02d}_{k:02d}.png").write_bytes(data)
    (folder / split / "pose_annos" / f"{id}.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM")


def _list_v2(folder: Path, ids: dict[str, list[str]]) -> None:
    for split, listed in ids.items():
        save_lines(folder / "list" / ("test_all.txt" if split == "test" else f"{split}.txt"), listed)
    for share in (10, 20):
        crowded = ids["test"][: -(-len(ids["test"]) * share // 100)]
        save_lines(folder / "list" / f"test_inter_top{share}.txt", crowded)


# CIHP


def _write_cihp(
    folder: Path, split: str, id: str, source: int, jpeg: bytes, image: NDArray[Any], masks: list[Mask]
) -> None:
    (folder / split / "Images" / f"{id}.jpg").write_bytes(jpeg)
    if split == "Testing":
        return
    classes, persons = merge(masks)
    pairs = persons.astype(np.uint16) * 256 + classes
    instances = np.unique(pairs, return_inverse=True)[1].reshape(pairs.shape).astype(np.uint16)
    for kind, pixels in (("Category_ids", classes), ("Human_ids", persons), ("Instance_ids", instances)):
        (folder / split / kind / f"{id}.png").write_bytes(png(pixels))


def _list_cihp(folder: Path, ids: dict[str, list[str]]) -> None:
    names = {"Training": "train_id.txt", "Validation": "val_id.txt", "Testing": "test_id.txt"}
    for split, listed in ids.items():
        save_lines(folder / split / names[split], listed)


_CIHP_FOLDERS = ("Images", "Category_ids", "Human_ids", "Instance_ids")
FORMS: dict[str, Form] = {
    V1: Form(
        V1, {"train_list": 4000, "test_list": 980}, ("images", "annotations"), "{:04d}".format, _write_v1, _list_v1
    ),
    V2: Form(
        V2,
        {"train": 15403, "val": 5000, "test": 5000},
        (
            "list",
            "test/images",
            *(f"{split}/{kind}" for split in ("train", "val") for kind in ("images", "parsing_annos", "pose_annos")),
        ),
        id_v2,
        _write_v2,
        _list_v2,
    ),
    CIHP: Form(
        CIHP,
        {"Training": 28280, "Validation": 5000, "Testing": 5000},
        ("Testing/Images", *(f"{split}/{kind}" for split in ("Training", "Validation") for kind in _CIHP_FOLDERS)),
        "{:07d}".format,
        _write_cihp,
        _list_cihp,
    ),
}
FORMS |= {LIP: LIP_FORM, CCIHP: replace(FORMS[CIHP], layout=CCIHP), **OWN_FORMS}
"""Forms by name of the layout."""
