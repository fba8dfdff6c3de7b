"""A small download whose persons are boxes that share columns, for tests of figures."""

from __future__ import annotations

import cv2
import numpy as np

import mhpdata


def box(size, y, x, height, width, label):
    mask = np.zeros(size, np.uint8)
    mask[y : y + height, x : x + width] = label
    return mask


def persons_of(size):
    """Return the masks of two persons who share two columns: equal labels (4) except in two rows (4 and 11)."""
    left, right = box(size, 4, 4, 30, 20, 4), box(size, 4, 22, 30, 18, 4)
    right[4:6, 22:30] = 11
    return [left, right]


def write_folder(root, sizes=((40, 60), (60, 44), (40, 60), (48, 50), (64, 42))):
    """Write a small LV-MHP-v1: four images in train_list (the last is val), one in test_list; 0002 is gray."""
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    rng = np.random.default_rng(0)
    names = [f"{i + 1:04}" for i in range(len(sizes))]
    for name, size in zip(names, sizes, strict=True):
        photo = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), size[::-1])
        cv2.imwrite(str(root / f"images/{name}.jpg"), photo[:, :, 0] if name == "0002" else photo)
        masks = persons_of(size) if name != "0003" else [box(size, 8, 8, 20, 30, 1)]
        for k, mask in enumerate(masks, 1):
            cv2.imwrite(str(root / f"annotations/{name}_{len(masks):02}_{k:02}.png"), mask)
    (root / "train_list.txt").write_text("".join(f"{name}.jpg\n" for name in names[:4]))
    (root / "test_list.txt").write_text("".join(f"{name}.jpg\n" for name in names[4:]))
    return root


def write_packed(root):
    """Pack the folder at source size."""
    mhpdata.pack(write_folder(root / "LV-MHP-v1"), root / "rec", size=0, workers=1)
    return root / "rec"
