"""Tiny downloads in the form of MHP v2 and CIHP, written file by file, for tests of their irregularities."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from folder import encode, photo

SIZE = (40, 56)
IDS = {"train": [1, 4, 10, 100], "val": [7], "test": [10, 23]}
"""Ids with gaps; one id is in two splits."""


def labels_of(*labels: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return a mask of these labels in bands from left to right, with background above and below."""
    mask = np.zeros(size, np.uint8)
    for band, label in zip(np.array_split(np.arange(size[1]), len(labels)), labels, strict=True):
        mask[4:-4, band] = label
    return mask


def red(mask: np.ndarray) -> bytes:
    """Return a mask in MHP v2's form: the label in the red channel."""
    return encode(".png", np.dstack([np.zeros_like(mask), np.zeros_like(mask), mask]))


def write_v2(root: Path, ids: dict[str, list[int]], labels: tuple[int, ...] = (3, 58)) -> Path:
    """Write MHP v2 with these ids in its splits, one person per image; test has no labels."""
    (root / "list").mkdir(parents=True)
    for split, names in ids.items():
        (root / split / "images").mkdir(parents=True)
        lines = "".join(f"{name}\n" for name in names)
        (root / "list" / ("test_all.txt" if split == "test" else f"{split}.txt")).write_text(lines)
        for name in names:
            (root / split / "images" / f"{name}.jpg").write_bytes(encode(".jpg", photo(name, SIZE)))
            if split == "test":
                continue
            (root / split / "parsing_annos").mkdir(exist_ok=True)
            (root / split / "parsing_annos" / f"{name}_01_01.png").write_bytes(red(labels_of(*labels)))
    return root


CIHP_FOLDERS = {"train": "Training", "val": "Validation", "test": "Testing"}


def write_cihp(root: Path, ids: dict[str, list[int]], labels: tuple[int, ...] = (5, 14, 19)) -> Path:
    """Write CIHP with these ids in its splits, one person per label; test has no labels."""
    for split, names in ids.items():
        folder = root / CIHP_FOLDERS[split]
        (folder / "Images").mkdir(parents=True)
        (folder / f"{split}_id.txt").write_text("".join(f"{name:07d}\n" for name in names))
        for name in names:
            (folder / "Images" / f"{name:07d}.jpg").write_bytes(encode(".jpg", photo(name, SIZE)))
            if split == "test":
                continue
            write_maps(folder, name, labels_of(*labels), labels_of(*range(1, len(labels) + 1)))
    return root


def write_maps(folder: Path, name: int, classes: np.ndarray, persons: np.ndarray) -> None:
    """Write the maps of one image of CIHP."""
    for kind, pixels in (("Category_ids", classes), ("Human_ids", persons)):
        (folder / kind).mkdir(exist_ok=True)
        (folder / kind / f"{name:07d}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
