"""Ids of images in files of COCO's formats: mhp export writes them, and mhp score finds images by them."""

from __future__ import annotations

from collections.abc import Sequence


def image_ids(names: Sequence[str]) -> list[int]:
    """Return the ids of a split's images: their names if these are different numbers, otherwise 1, 2, 3, ..."""
    if all(name.isascii() and name.isdecimal() and len(name) <= 9 for name in names):
        ids = [int(name) for name in names]
        if len(set(ids)) == len(ids):
            return ids
    return list(range(1, len(names) + 1))
