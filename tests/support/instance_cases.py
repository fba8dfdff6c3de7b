"""Small images with true and predicted persons for AP^r and AP^h: random ones, and those that scorers get wrong.

Numbers come from the raw output of PCG64, which NumPy never changes, so the cases are the same with every version.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CLASSES = 20
"""Number of classes of CIHP."""


class Image(NamedTuple):
    """An image: true masks that do not overlap, and predicted persons 1, 2, ... of one label map."""

    masks: list[np.ndarray]
    labels: np.ndarray
    owners: np.ndarray
    scores: list[float]


class _Draws:
    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def __call__(self, below: int) -> int:
        return int(self._bits.random_raw() >> 11) % below


def cases() -> dict[str, list[Image]]:
    """Return the images of each case."""
    found = {f"random {seed}": [_image(_Draws(100 * seed + i), seed) for i in range(6)] for seed in range(6)}
    plain = _image(_Draws(7), 1)
    size = plain.labels.shape
    empty = np.zeros(size, np.uint8)
    found["nobody predicted"] = [plain._replace(labels=empty, owners=empty, scores=[]), _image(_Draws(8), 2)]
    found["nobody predicted at all"] = [plain._replace(labels=empty, owners=empty, scores=[])]
    found["nobody there"] = [plain._replace(masks=[]), _image(_Draws(9), 3)]
    found["nothing in one of the images"] = [Image([], empty, empty, []), plain]
    found["equal scores"] = [_image(_Draws(20 + i), 4)._replace(scores=[0.5] * 4) for i in range(3)]
    found["a perfect prediction"] = [_perfect(plain)]
    found["a part that nobody has"] = [plain, _strange(plain)]
    found["one true person in fragments"] = [_fragments()]
    return found


def _image(draw: _Draws, kind: int) -> Image:
    """Return boxes of classes in the columns of up to 4 persons, and a prediction that is shifted and in part wrong."""
    height, width = 18 + draw(8), 28 + draw(8)
    classes, persons = [3, 6, CLASSES][kind % 3], 1 + draw(4)
    owners, labels = np.zeros((2, height, width), np.uint8)
    for person in range(persons):
        for _ in range(2 + draw(5)):
            top, left = draw(height), person * width // persons + draw(max(width // persons, 1))
            box = slice(top, top + 2 + draw(8)), slice(left, left + 2 + draw(6))
            owners[box], labels[box] = person + 1, 1 + draw(classes - 1)
    masks = [np.where(owners == person + 1, labels, 0).astype(np.uint8) for person in range(persons)]
    moved = draw(3), draw(3)
    predicted, whose = np.roll(labels, moved, (0, 1)), np.roll(owners, moved, (0, 1))
    for _ in range(draw(4)):
        box = slice(draw(height), height), slice(draw(width), width)
        predicted[box] = np.where(whose[box] > 0, 1 + draw(classes - 1), 0)
    if draw(2):
        whose[:, width // 2 :] = np.where(whose[:, width // 2 :] > 0, persons + 1, 0)
    scores = [round(0.05 + 0.9 * draw(10**6) / 10**6, 6) for _ in range(persons + 1)]
    return Image(masks, predicted, whose, scores)


def _perfect(image: Image) -> Image:
    owners = np.zeros_like(image.owners)
    for person, mask in enumerate(image.masks, 1):
        owners[mask > 0] = person
    return Image(image.masks, np.sum(image.masks, axis=0, dtype=np.uint8), owners, [0.9, 0.8, 0.7, 0.6])


def _strange(image: Image) -> Image:
    labels = image.labels.copy()
    labels[:4] = np.where(image.owners[:4] > 0, CLASSES - 1, 0)
    return image._replace(labels=labels)


def _fragments() -> Image:
    """Return one true part that three predicted persons hit: at .1 and .2 all are true positives of AP^r."""
    mask = np.zeros((12, 20), np.uint8)
    mask[2:10, 2:14] = 5
    owners = np.zeros_like(mask)
    for person, columns in enumerate((slice(2, 6), slice(6, 10), slice(10, 16)), 1):
        owners[2:10, columns] = person
    return Image([mask], np.where(owners > 0, 5, 0).astype(np.uint8), owners, [0.9, 0.5, 0.7])
