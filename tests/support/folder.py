"""A tiny download in the form of LV-MHP v1, for tests that pack or scan one.

With the default of 8 images: train 0001-0005, val 0006 (the last quarter of train_list), test 0007-0008. Images are
textured, so that JPEG is not trivial; 0002 is gray; the last image is a byte-identical copy of 0001. Images have 2 or 3
persons alternately; each overlaps the next by a few columns, where some pixels have the same label from both persons
and some have conflicting labels.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np

PARTS = (2, 11, 4, 14, 6, 12, 9)
"""Labels of a person from the head down: hair, face, upper clothes, left arm, pants, left leg, left shoe."""


def write_folder(root: Path, images: int = 8, seed: int = 0, size: tuple[int, int] = (96, 128)) -> Path:
    """Write the folder and return its path, ``root``.

    Args:
        root: Folder to write; created if missing.
        images: Number of images, at least 4; three quarters are in train_list, the rest in test_list.
        seed: Seed of the textures.
        size: (height, width) of each image, at least (32, 48).
    """
    for name in ("images", "annotations"):
        (root / name).mkdir(parents=True)
    names = [f"{i:04d}" for i in range(1, images + 1)]
    tested = images // 4
    write_list(root / "train_list.txt", names[:-tested])
    write_list(root / "test_list.txt", names[-tested:])
    for i, name in enumerate(names):
        again = i == images - 1
        image = photo(seed if again else seed + i, size)
        (root / "images" / f"{name}.jpg").write_bytes(encode(".jpg", image[..., 1] if i == 1 else image))
        count = 2 + i % 2
        for person in range(1, count + 1):
            path = root / "annotations" / f"{name}_{count:02d}_{person:02d}.png"
            path.write_bytes(encode(".png", mask(person, count, size)))
    return root


def write_list(path: Path, names: list[str]) -> None:
    """Write a list as in the release: one image name per line."""
    path.write_text("".join(f"{name}.jpg\n" for name in names))


def photo(seed: int, size: tuple[int, int]) -> np.ndarray:
    """Return a textured image: uint8 (height, width, 3), BGR."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    fine = rng.integers(0, 48, (*size, 3), dtype=np.uint8)
    return cv2.add(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), fine)


def mask(person: int, persons: int, size: tuple[int, int]) -> np.ndarray:
    """Return the mask of a person, counted from 1: bands of labels in a box that overlaps the next one by 4 columns."""
    height, width = size
    labels = np.zeros(size, np.uint8)
    left, right = (person - 1) * width // (persons + 1) + 4, person * width // (persons + 1) + 8
    top = 3 + 2 * person  # bands of neighbours are shifted, so that labels agree in some rows of the overlap only
    band = (height - top - 4) // len(PARTS)
    for i, part in enumerate(PARTS):
        labels[top + i * band : top + (i + 1) * band, left:right] = part
    return labels


def encode(suffix: str, image: np.ndarray) -> bytes:
    """Encode an image file."""
    return cv2.imencode(suffix, image)[1].tobytes()


def tree(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file except build.json, the only file that may differ."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "build.json")
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def packed_at(size: int, source: Path, root: Path) -> Path:
    """Pack a download at a size, 0 for that of the source, and return the packed folder, ``root / "rec"``."""
    import mhpdata  # only after kernel_cache has set the cache folder

    mhpdata.pack(source, root / "rec", size=size, workers=1)
    return root / "rec"
