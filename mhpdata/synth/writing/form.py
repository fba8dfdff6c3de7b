"""The form of a dataset: splits, folders, ids and writers; and the encoding of its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mhpdata.synth.planning.plan import Plan

Mask = NDArray[Any]


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
        single: Whether only one person per image is annotated.
    """

    layout: str
    shares: dict[str, int]
    folders: tuple[str, ...]
    id_of: Callable[[int], str]
    write: Callable[[Path, str, str, int, bytes, NDArray[Any], list[Mask]], None]
    lists: Callable[[Path, dict[str, list[str]]], None]
    single: bool = False

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
    return encode(".jpg", image, settings)


def encode(suffix: str, pixels: NDArray[Any], settings: list[int]) -> bytes:
    """Encode an image file; three channels are R, G, B."""
    from mhpdata.opencv import cv2

    done, data = cv2.imencode(suffix, pixels[..., ::-1] if pixels.ndim == 3 else pixels, settings)
    assert done, suffix
    return bytes(data.tobytes())


def png(mask: NDArray[Any]) -> bytes:
    from mhpdata.opencv import cv2

    return encode(".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def save_lines(path: Path, lines: list[str]) -> None:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("ascii"))
