"""Random small images with true masks and predicted maps of persons, which may overlap, for the scorers of persons."""

from __future__ import annotations

import numpy as np

from mhpmodels.persons.overlap import Layer


def layer(labels):
    """Return a layer with one person."""
    return Layer(labels, np.ones(labels.shape, np.uint8), 1)


def noisy(rng, mask, classes):
    """Return a prediction of a person: the mask with some wrong pixels, an unrelated, empty or exact one."""
    kind = rng.integers(5)
    if kind == 0:
        return np.zeros_like(mask)
    if kind == 1:
        return rng.integers(0, classes, mask.shape).astype(np.uint8)
    wrong = rng.random(mask.shape) < (0, 0.1, 0.4)[kind - 2]
    return np.where(wrong, rng.integers(0, classes, mask.shape), np.where(mask < classes, mask, 0)).astype(np.uint8)


def masks_as_predictions(masks, classes):
    return [np.where(mask < classes, mask, 0).astype(np.uint8) for mask in masks]


def random_case(seed, crowded=False):
    """Return a few small images with empty and duplicate persons, equal scores and ignored pixels, or one crowd."""
    rng = np.random.default_rng(seed)
    classes = int(rng.choice([2, 3, 5, 19]))
    images = []
    for _ in range(1 if crowded else rng.integers(1, 4)):
        size = tuple(rng.integers(1, 4 if crowded else 7, 2))
        masks = []
        for _ in range(rng.integers(8, 17) if crowded else rng.integers(0, 5)):
            mask = rng.integers(0, classes, size).astype(np.uint8) * (rng.random(size) < rng.random())
            mask[rng.random(size) < 0.1] = 255
            masks.append(mask.astype(np.uint8))
        sources = [*masks, np.zeros(size, np.uint8)]
        persons = [noisy(rng, sources[rng.integers(len(sources))], classes) for _ in range(rng.integers(0, 7))]
        persons += persons[: rng.integers(0, 2)] + masks_as_predictions(masks, classes) * crowded
        images.append((masks, [(float(rng.choice([0.1, 0.5, 0.5, 0.9, rng.random()])), p) for p in persons]))
    return images, classes
