"""Group the labelled pixels of an image into persons, from the maps of the heads that tell persons apart.

::

    heatmap ─peaks─> centres ─┐
    offsets ──────────────────┴─ each labelled pixel + its offset ─> the nearest centre ─small ones dropped─> persons

As in Panoptic-DeepLab (Cheng et al., CVPR 2020, arXiv 1911.10194). A centre is a pixel of the heatmap that is above a
threshold and has the largest value of a square window around it, a sixth of the image's short side wide; the first of
equal values in reading order is kept. A person's score is the heatmap's value at its centre times the mean probability
of the labels at its first and every SAMPLE-th pixel in reading order: neighbours have nearly the same probability, and
that of all pixels would take most of the time.

In:  logits float32 (C, h, w); maps float32 (3, h, w): heatmap, offset down and to the right in pixels of the maps;
     labels uint8 (H, W), 0 for background. H, W may differ from h, w: a pixel takes the nearest one of the maps.
Out: persons uint8 (H, W), from 1 in order of the heatmap's values, 0 for nobody.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mhpdata.images.nearest_pixel import nearest_index
from mhpdata.kernels.arrays import Bytes, Doubles, Floats, Ints, Longs
from mhpdata.kernels.jit import callee, kernel
from mhpdata.masks.merge import MAX_PERSONS

THRESHOLD = 0.2
"""Value of the heatmap above which a peak is a centre."""
WINDOW_SHARE = 6
"""The window's side is the short side divided by this."""
LEAST = 60
"""Number of pixels below which a person is dropped."""
SAMPLE = 16
"""One of this many pixels of a person counts for its score."""


class People(NamedTuple):
    """The persons of an image.

    Attributes:
        persons: uint8 (H, W), the person of each pixel, from 1; 0 for nobody.
        scores: score of each person, 0..1 for a heatmap that is at most 1.
    """

    persons: NDArray[np.uint8]
    scores: tuple[float, ...]


class _Found(NamedTuple):
    """The person of each pixel, and counts and sums per person: uint8 (H, W), int64 (256,), float64 (256,)."""

    persons: Bytes
    areas: Longs
    sums: Doubles


def group(
    logits: NDArray[np.float32],
    maps: NDArray[np.float32],
    labels: NDArray[np.uint8],
    threshold: float = THRESHOLD,
    window: int | None = None,
    least: int = LEAST,
) -> People:
    """Group an image's labelled pixels into persons.

    Args:
        logits: float32 (C, h, w).
        maps: float32 (3, h, w).
        labels: uint8 (H, W).
        threshold: value of the heatmap above which a peak is a centre.
        window: side of the window of a peak, in pixels of the maps, odd; None for a sixth of their short side.
        least: number of pixels of ``labels`` below which a person is dropped.
    """
    side = max(1, min(maps.shape[1:]) // WINDOW_SHARE) | 1 if window is None else window
    centres, values = find_centres(np.ascontiguousarray(maps[0]), side, threshold)
    persons, areas, sums = np.empty(labels.shape, np.uint8), np.zeros(256, np.int64), np.zeros(256, np.float64)
    rows, columns = (nearest_index(n_in, n_out) for n_in, n_out in zip(maps.shape[1:], labels.shape, strict=True))
    of_labels, of_logits, of_maps = map(np.ascontiguousarray, (labels, logits, maps))
    _assign(of_labels, of_logits, of_maps, rows, columns, centres, _Found(persons, areas, sums))
    kept = [k for k in range(1, len(centres) + 1) if areas[k] >= least]
    seen = -(-areas // SAMPLE)
    scores = tuple(float(max(0.0, values[k - 1]) * sums[k] / seen[k]) for k in kept)
    if len(kept) < len(centres):
        table = np.zeros(256, np.uint8)
        table[kept] = np.arange(1, len(kept) + 1)
        persons = table[persons]
    return People(persons, scores)


def find_centres(
    heat: NDArray[np.float32], window: int, threshold: float = THRESHOLD
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the centres (y, x) and their values, the largest value first: float32 (K, 2) and (K,), K at most 255.

    Args:
        heat: float32 (h, w), contiguous.
        window: side of the window, in pixels, odd.
        threshold: smallest value of a centre, not included.
    """
    found = np.empty(heat.shape, np.uint8)
    _peaks(heat, window // 2, np.float32(threshold), found)
    ys, xs = np.divmod(np.flatnonzero(found.view(np.bool_)), heat.shape[1])
    values = heat[ys, xs]
    order = np.argsort(-values, kind="stable")[:MAX_PERSONS]
    return np.ascontiguousarray(np.stack([ys, xs], 1)[order], np.float32), values[order]


@kernel
def _peaks(heat: Floats, reach: int, threshold: np.float32, found: Bytes) -> None:
    """Mark the peaks above a threshold: float32 (h, w), uint8 (h, w)."""
    height, width = heat.shape
    for y in range(height):
        for x in range(width):
            value = heat[y, x]
            peak = value > threshold
            near, done = 0, not peak
            while not done:
                # neighbours first: they end the search for almost every pixel that is no peak
                near = min(reach, 3 * near + 1)
                for v in range(max(0, y - near), min(height, y + near + 1)):
                    for u in range(max(0, x - near), min(width, x + near + 1)):
                        other = heat[v, u]
                        if other > value or (other == value and (v < y or (v == y and u < x))):
                            peak = False
                            break
                    if not peak:
                        break
                done = not peak or near == reach
            found[y, x] = 1 if peak else 0


@callee
def _probability(logits: Floats, y: int, x: int) -> np.float32:
    """Return the softmax of the largest logit at a pixel: float32 (C, h, w)."""
    top = logits[0, y, x]
    for c in range(1, logits.shape[0]):
        top = max(top, logits[c, y, x])
    total = np.float32(0.0)
    for c in range(logits.shape[0]):
        total += np.exp(logits[c, y, x] - top)
    share: np.float32 = np.float32(1.0) / total
    return share


@kernel
def _assign(
    labels: Bytes, logits: Floats, maps: Floats, rows: Ints, columns: Ints, centres: Floats, found: _Found
) -> None:
    """Write the person of each labelled pixel, count each person's pixels and add up probabilities of some of them.

    For 768 x 768 pixels, half of them labelled, 19 classes and 5 centres: 7 ms, 3 of them for the probabilities, which
    take 40 for all pixels. One centre after the other for a whole row, with arrays of the distances, took 2 ms more.
    """
    persons, areas, sums = found.persons, found.areas, found.sums
    for y in range(labels.shape[0]):
        v = rows[y]
        for x in range(labels.shape[1]):
            owner = 0
            if labels[y, x] != 0:
                u = columns[x]
                cy, cx, best = np.float32(v) + maps[1, v, u], np.float32(u) + maps[2, v, u], np.float32(np.inf)
                for k in range(centres.shape[0]):
                    dy, dx = cy - centres[k, 0], cx - centres[k, 1]
                    distance = dy * dy + dx * dx
                    if distance < best:
                        best, owner = distance, k + 1
                if owner:
                    if areas[owner] % SAMPLE == 0:
                        sums[owner] += _probability(logits, v, u)
                    areas[owner] += 1
            persons[y, x] = owner
