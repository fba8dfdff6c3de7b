"""Write the folders of each dataset as released: splits, file names and file contents.

They include the irregularities of the releases. MHP v2: ids with gaps and without padding, labels in the red channel
(every twelfth mask is gray), other image formats named ``.jpg``, broken EXIF blocks, pose files, no labels in test.
CIHP: maps of classes and persons, no labels in Testing.

The rule: an image's file depends only on the index of its plan, so copies (``plan.source``) are byte-identical, and an
image of a seed is the same file in every dataset in which it is a JPEG without EXIF.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.synth.planning.plan import Plan

Mask = NDArray[Any]
V1, V2, CIHP = "mhp-v1", "mhp-v2", "cihp"
EXIF = b"Exif\0\0MM\0*\xff\xff\xff\xf0broken"
"""An EXIF block whose first directory has an invalid offset."""
GRAY_MASKS = 12


@dataclass(frozen=True)
class Form:
    """Form of a dataset.

    Attributes:
        layout: Its name.
        shares: {split or list: number of images in the release}, in order of id.
        folders: Folders that hold files.
        id_of: Function that returns an image's id, by its index from 1.
        write: Function (folder, split, id, source, jpeg, image, masks) that writes the files of one image.
        lists: Function (folder, {split: ids}) that writes the lists and other files of the release.
    """

    layout: str
    shares: dict[str, int]
    folders: tuple[str, ...]
    id_of: Callable[[int], str]
    write: Callable[[Path, str, str, int, bytes, NDArray[Any], list[Mask]], None]
    lists: Callable[[Path, dict[str, list[str]]], None]

    def split(self, images: int) -> dict[str, range]:
        """Return {split: indices} in the release's proportion; no split is empty if there are enough images."""
        counts, left, total = {}, images, sum(self.shares.values())
        for k, (name, share) in enumerate(self.shares.items()):
            later = len(self.shares) - k - 1
            counts[name] = (
                left if not later else min(max(1, round(left * share / total)), max(min(left, 1), left - later))
            )
            left, total = left - counts[name], total - share
        ranges, start = {}, 1
        for name, count in counts.items():
            ranges[name], start = range(start, start + count), start + count
        return ranges


def encode_jpeg(plan: Plan, image: NDArray[Any]) -> bytes:
    """Encode the image, RGB or gray, as a JPEG with the settings of the plan."""
    from mhpdata.opencv import cv2

    factors = {"420": 0x221111, "422": 0x211111, "444": 0x111111}
    settings = [cv2.IMWRITE_JPEG_QUALITY, plan.quality, cv2.IMWRITE_JPEG_PROGRESSIVE, int(plan.progressive)]
    if not plan.gray:
        settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors[plan.sampling]]
    return _encode(".jpg", image, settings)


def _encode(suffix: str, pixels: NDArray[Any], settings: list[int]) -> bytes:
    """Encode an image file; three channels are R, G, B."""
    from mhpdata.opencv import cv2

    done, data = cv2.imencode(suffix, pixels[..., ::-1] if pixels.ndim == 3 else pixels, settings)
    assert done, suffix
    return bytes(data.tobytes())


def _png(mask: NDArray[Any]) -> bytes:
    from mhpdata.opencv import cv2

    return _encode(".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def _save_lines(path: Path, lines: list[str]) -> None:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("ascii"))


# LV-MHP v1


def _write_v1(
    folder: Path, split: str, id: str, source: int, jpeg: bytes, image: NDArray[Any], masks: list[Mask]
) -> None:
    (folder / "images" / f"{id}.jpg").write_bytes(jpeg)
    for k, mask in enumerate(masks, 1):
        (folder / "annotations" / f"{id}_{len(masks):02d}_{k:02d}.png").write_bytes(_png(mask))


def _list_v1(folder: Path, ids: dict[str, list[str]]) -> None:
    for name, listed in ids.items():
        _save_lines(folder / f"{name}.txt", [f"{id}.jpg" for id in listed])


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
        return _encode({5: ".png", 8: ".bmp", 11: ".webp"}[remainder], image, [])
    return jpeg


def _write_v2(
    folder: Path, split: str, id: str, source: int, jpeg: bytes, image: NDArray[Any], masks: list[Mask]
) -> None:
    (folder / split / "images" / f"{id}.jpg").write_bytes(v2_file(source, jpeg, image))
    if split == "test":
        return
    for k, mask in enumerate(masks, 1):
        red = np.dstack([mask, np.zeros_like(mask), np.zeros_like(mask)])
        data = _png(mask if (int(id) + k) % GRAY_MASKS == 0 else red)
        (folder / split / "parsing_annos" / f"{id}_{len(masks):02d}_{k:02d}.png").write_bytes(data)
    (folder / split / "pose_annos" / f"{id}.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM")


def _list_v2(folder: Path, ids: dict[str, list[str]]) -> None:
    for split, listed in ids.items():
        _save_lines(folder / "list" / ("test_all.txt" if split == "test" else f"{split}.txt"), listed)
    for share in (10, 20):
        crowded = ids["test"][: -(-len(ids["test"]) * share // 100)]
        _save_lines(folder / "list" / f"test_inter_top{share}.txt", crowded)


# CIHP


def _write_cihp(
    folder: Path, split: str, id: str, source: int, jpeg: bytes, image: NDArray[Any], masks: list[Mask]
) -> None:
    (folder / split / "Images" / f"{id}.jpg").write_bytes(jpeg)
    if split == "Testing":
        return
    classes, persons = np.zeros(masks[0].shape, np.uint8), np.zeros(masks[0].shape, np.uint8)
    for k, mask in enumerate(masks, 1):
        free = (mask > 0) & (persons == 0)
        classes[free], persons[free] = mask[free], k
    pairs = persons.astype(np.uint16) * 256 + classes
    instances = np.unique(pairs, return_inverse=True)[1].reshape(pairs.shape).astype(np.uint16)
    for kind, pixels in (("Category_ids", classes), ("Human_ids", persons), ("Instance_ids", instances)):
        (folder / split / kind / f"{id}.png").write_bytes(_png(pixels))


def _list_cihp(folder: Path, ids: dict[str, list[str]]) -> None:
    names = {"Training": "train_id.txt", "Validation": "val_id.txt", "Testing": "test_id.txt"}
    for split, listed in ids.items():
        _save_lines(folder / split / names[split], listed)


_CIHP_FOLDERS = ("Images", "Category_ids", "Human_ids", "Instance_ids")
FORMS = {
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
"""Forms by name of the layout."""
