"""Packed folders to export, and comparisons of what comes back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from folder import encode, mask, write_folder

import mhpdata
from mhpdata.exporting.form import Form
from mhpdata.exporting.output import NAME

ABOUT = ("README.txt", NAME)
"""Files that name the packed folder's content."""


def write_source(root: Path, images: int = 8) -> Path:
    """Write the folder of folder.py, in which image 0001 has ignored pixels and an additional person without labels."""
    folder = write_folder(root, images)
    for person in (1, 2, 3):
        path = folder / "annotations" / f"0001_02_{person:02d}.png"
        labels = mask(person, 2, (96, 128)) if person < 3 else np.zeros((96, 128), np.uint8)
        if person == 1:
            labels[20:40, 10:20] = 255
        path.unlink(missing_ok=True)
        path.with_name(f"0001_03_{person:02d}.png").write_bytes(encode(".png", labels))
    return folder


def same_samples(one: Path, other: Path, masks: bool = True) -> int:
    """Assert that two packed folders have the same samples; return their number."""
    count = 0
    splits = mhpdata.open(one, "train").manifest.splits
    assert set(splits) == set(mhpdata.open(other, "train").manifest.splits)
    for split in splits:
        ours, theirs = mhpdata.open(one, split), mhpdata.open(other, split)
        assert ours.names == theirs.names
        for a, b in zip(ours, theirs, strict=True):
            assert bytes(a.record.image) == bytes(b.record.image)
            assert np.array_equal(a.labels, b.labels) and np.array_equal(a.persons, b.persons)
            assert len(a.masks) == len(b.masks)
            if masks:
                assert all((x == y).all() for x, y in zip(a.masks, b.masks, strict=True))
            count += 1
    return count


def read(path: Path) -> np.ndarray:
    """Return the pixels of a PNG as stored; three channels are R, G, B."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return pixels[..., ::-1] if pixels.ndim == 3 else pixels


def small_blocks(monkeypatch, size: int = 2) -> None:
    """Let exports have blocks of so many samples."""
    monkeypatch.setattr(Form, "block", size)
