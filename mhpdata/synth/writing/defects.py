"""Damage a downloaded folder in typical ways, each applied to one valid entry.

The rule: each function causes one defect in one entry or list and changes nothing else, so a test can state exactly
what a reader must report. Every function takes the folder, the id of the image and a random generator.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Defect = Callable[[Path, int, np.random.Generator], None]

HUGE = 60000  # pixels per side: 3.6 Gpixel, declared by a file of a few hundred bytes


def _image(folder: Path, id: int) -> Path:
    return folder / "images" / f"{id:04d}.jpg"


def _masks(folder: Path, id: int) -> list[Path]:
    return sorted((folder / "annotations").glob(f"{id:04d}_*.png"))


def _a_mask(folder: Path, id: int, rng: np.random.Generator) -> Path:
    masks = _masks(folder, id)
    return masks[int(rng.integers(len(masks)))]


def _list(folder: Path, id: int) -> Path:
    """Return the list that names the image."""
    line = f"{id:04d}.jpg".encode()
    return next(p for p in sorted(folder.glob("*_list.txt")) if line in p.read_bytes().splitlines())


def _read(mask: Path) -> NDArray[Any]:
    from mhpdata.opencv import cv2

    return np.asarray(cv2.imdecode(np.frombuffer(mask.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED))


def _write(mask: Path, pixels: NDArray[Any]) -> None:
    from mhpdata.opencv import cv2

    mask.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def missing_image(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Delete an image that the list names."""
    _image(folder, id).unlink()


def missing_mask(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Delete the mask of one of the declared persons."""
    _a_mask(folder, id, rng).unlink()


def extra_mask(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Add one mask more than declared: person NN + 1 of NN."""
    last = _masks(folder, id)[-1]
    stem, declared, _ = last.stem.split("_")
    last.with_name(f"{stem}_{declared}_{int(declared) + 1:02d}.png").write_bytes(last.read_bytes())


def mask_size(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Make a mask smaller than its image by a few rows and columns."""
    mask = _a_mask(folder, id, rng)
    _write(mask, _read(mask)[:-3, :-2])


def rgb_mask(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Store a mask as three channels with the label in the red one, as in LV-MHP v2."""
    mask = _a_mask(folder, id, rng)
    labels = _read(mask)
    _write(mask, np.dstack([np.zeros_like(labels), np.zeros_like(labels), labels]))


def _relabel(folder: Path, id: int, rng: np.random.Generator, label: int) -> None:
    mask = _a_mask(folder, id, rng)
    labels = _read(mask).copy()
    row, column = (int(rng.integers(0, n - 2)) for n in labels.shape)
    labels[row : row + 3, column : column + 3] = label
    _write(mask, labels)


def label_19(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Set nine pixels to the first label that is not a class."""
    _relabel(folder, id, rng, 19)


def label_254(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Set nine pixels to a label far above the classes, next to 255, which is valid (ignored)."""
    _relabel(folder, id, rng, 254)


def empty_image(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Truncate an image to zero bytes."""
    _image(folder, id).write_bytes(b"")


def empty_mask(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Truncate a mask to zero bytes."""
    _a_mask(folder, id, rng).write_bytes(b"")


def _truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])


def truncated_image(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Truncate a JPEG to 60 % of its bytes; lenient decoders fill the rest with gray."""
    _truncate(_image(folder, id))


def truncated_mask(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Truncate a PNG to 60 % of its bytes."""
    _truncate(_a_mask(folder, id, rng))


def huge_image(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Replace an image by a tiny JPEG whose frame header declares 60000 x 60000 pixels."""
    from mhpdata.opencv import cv2

    data = bytearray(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = HUGE.to_bytes(2, "big") * 2
    _image(folder, id).write_bytes(bytes(data))


def huge_mask(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Replace a mask by a tiny PNG whose header, with a valid checksum, declares 60000 x 60000 pixels."""
    from mhpdata.opencv import cv2

    data = bytearray(cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes())
    data[16:24] = HUGE.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    _a_mask(folder, id, rng).write_bytes(bytes(data))


def list_traversal(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Add a list line that leads out of the folder."""
    path = _list(folder, id)
    path.write_bytes(path.read_bytes() + b"../../etc/passwd\n")


def list_duplicate(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Name an image twice in the list."""
    path, line = _list(folder, id), f"{id:04d}.jpg\n".encode()
    path.write_bytes(path.read_bytes().replace(line, line + line, 1))


def list_crlf(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Change the list that names the image to Windows line ends, and no other byte."""
    path = _list(folder, id)
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


def not_an_image(folder: Path, id: int, rng: np.random.Generator) -> None:
    """Replace a JPEG by text, as a failed download does."""
    _image(folder, id).write_bytes(b"<html><body><h1>403 Forbidden</h1></body></html>\n")


DEFECTS: dict[str, Defect] = {
    "missing-image": missing_image,
    "missing-mask": missing_mask,
    "extra-mask": extra_mask,
    "mask-size": mask_size,
    "rgb-mask": rgb_mask,
    "label-19": label_19,
    "label-254": label_254,
    "empty-image": empty_image,
    "empty-mask": empty_mask,
    "truncated-image": truncated_image,
    "truncated-mask": truncated_mask,
    "huge-image": huge_image,
    "huge-mask": huge_mask,
    "not-an-image": not_an_image,
    "list-traversal": list_traversal,
    "list-duplicate": list_duplicate,
    "list-crlf": list_crlf,
}
"""Every defect by name, in the order in which ``mhp synth --defects`` adds them."""
