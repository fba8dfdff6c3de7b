"""A tiny download in the true form of LV-MHP v1, for every test that packs or scans one.

With the default of 8 images: train 0001-0005, val 0006 (the last quarter of train_list), test 0007-0008. Photos have
texture, so that JPEG is not trivial; 0002 is gray; the last photo is 0001 again, byte for byte. Images have 2 and 3
persons in turn; each overlaps the next by a few columns, in which some pixels have one label from both (contested) and
some two (conflicting).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np

PARTS = (2, 11, 4, 14, 6, 12, 9)
"""Labels from a person's head down: hair, face, upper clothes, left arm, pants, left leg, left shoe."""


def write_folder(root: Path, images: int = 8, seed: int = 0, size: tuple[int, int] = (96, 128)) -> Path:
    """Write the folder and return its path, ``root``.

    Args:
        root: where to write; made if it is not there.
        images: how many, at least 4; three quarters are in train_list, the rest in test_list.
        seed: of the photos.
        size: (height, width) of each photo, at least (32, 48).
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
    """A list as released: one image name a line."""
    path.write_text("".join(f"{name}.jpg\n" for name in names))


def photo(seed: int, size: tuple[int, int]) -> np.ndarray:
    """A textured photo: uint8 (height, width, 3), BGR."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    fine = rng.integers(0, 48, (*size, 3), dtype=np.uint8)
    return cv2.add(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), fine)


def mask(person: int, persons: int, size: tuple[int, int]) -> np.ndarray:
    """The mask of one person from 1: bands of labels in a box that reaches 4 columns into the next person's."""
    height, width = size
    labels = np.zeros(size, np.uint8)
    left, right = (person - 1) * width // (persons + 1) + 4, person * width // (persons + 1) + 8
    top = 3 + 2 * person  # bands of neighbours are shifted: some rows of the overlap agree, some do not
    band = (height - top - 4) // len(PARTS)
    for i, part in enumerate(PARTS):
        labels[top + i * band : top + (i + 1) * band, left:right] = part
    return labels


def encode(suffix: str, image: np.ndarray) -> bytes:
    """An image file's bytes."""
    return cv2.imencode(suffix, image)[1].tobytes()


def tree(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but build.json, which alone may differ."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "build.json")
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
