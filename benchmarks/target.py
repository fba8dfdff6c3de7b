"""Draw target images in the form of LV-MHP v1, whose crops reveal what a loader does: they test every peer.

In a target image red grows with the column and green with the row, so a crop shows its scale, position and flip. Cells
of 64 pixels alternate between two levels of blue, the lower of which encodes the image's number, and between two groups
of labels, so a crop shows whether image and labels are aligned. No label is 0, so padding is visible, and none has a
left or right. benchmarks/peers/check.py reads the crops.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from peers.check import CELL, COUNT, DARK, GREEN_RED, LIGHT, blue_levels, target_size


def write_target(folder: Path) -> Path:
    """Write COUNT training images, and one each for the other splits, to the new ``folder``; return it."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    names = [f"{index + 1:04d}" for index in range(COUNT + 2)]
    for index, name in enumerate(names):
        image, labels = draw_target(index % COUNT)
        flags = [cv2.IMWRITE_JPEG_QUALITY, 95]
        (folder / "images" / f"{name}.jpg").write_bytes(cv2.imencode(".jpg", image[:, :, ::-1], flags)[1].tobytes())
        (folder / "annotations" / f"{name}_01_01.png").write_bytes(cv2.imencode(".png", labels)[1].tobytes())
    write_lists(folder, names)
    return folder


def write_lists(folder: Path, names: list[str]) -> None:
    """Write lists that put all images but the last two into the training split."""
    lines = [f"{name}.jpg\n" for name in names]
    (folder / "train_list.txt").write_text("".join(lines[:-1]))
    (folder / "val_list.txt").write_text(lines[-2])
    (folder / "test_list.txt").write_text(lines[-1])


def draw_target(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw target image ``index``: image uint8 (h, w, 3), RGB; labels uint8 (h, w)."""
    height, width = target_size(index)
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    image = np.empty((height, width, 3), np.uint8)
    low, high = GREEN_RED
    image[..., 0] = np.rint(low + (high - low) * columns / (width - 1))
    image[..., 1] = np.rint(low + (high - low) * rows / (height - 1))
    cells = rows // CELL + columns // CELL
    dark, light = blue_levels(index)
    image[..., 2] = np.where(cells % 2, light, dark)
    pick = (cells // 2) % len(DARK)
    labels = np.where(cells % 2, np.array(LIGHT)[pick], np.array(DARK)[pick])
    return image, labels.astype(np.uint8)
