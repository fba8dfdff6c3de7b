"""Boundary F-score of label maps: how well predicted boundaries follow the true ones (mhp score --boundary).

The definition follows Csurka, Larlus and Perronnin, "What is a good evaluation measure for semantic segmentation?"
(BMVC 2013), the boundary F1 of MATLAB's ``bfscore``:

- A pixel is a boundary pixel of its class if one of its four neighbours has another class. Pixels that are 255 in the
  truth are no part of either map.
- A boundary pixel is matched if the other map has a boundary pixel of the same class at a distance below 0.75 % of the
  image's diagonal.
- Of an image and a class: precision is the fraction of predicted boundary pixels that are matched, recall that of true
  ones, and F = 2 precision recall / (precision + recall). F is 0 if only one map has a boundary of the class, and
  undefined if neither has.
- The F of a class is the mean over the images in which it is defined. The F of a set is the mean over images of the
  mean over the classes of the image.

In: uint8 (height, width) labels; 255 in the truth for pixels that are not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.kernels.arrays import Bytes, Ints, Longs
from mhpdata.kernels.jit import kernel
from mhpdata.labels import IGNORE
from mhpmodels.persons.overlap import Labels

TOLERANCE = 0.0075
"""Maximum distance of a matched boundary pixel, as a fraction of the image's diagonal."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BoundaryFigures:
    """Boundary F-scores of a set of images.

    Attributes:
        of_image: float64 (images, classes) F of each image and class, 0..1; NaN where it is undefined.
    """

    of_image: Floats

    @property
    def of_class(self) -> Floats:
        """float64 (classes,): mean over the images in which F is defined; NaN if there are none."""
        return _mean(self.of_image.T)

    @property
    def mean(self) -> float:
        """Mean over images of the mean over classes, 0..1; NaN if no image has a boundary."""
        return float(_mean(_mean(self.of_image)[None])[0])

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return the figures as JSON types."""
        known = [None if value != value else value for value in (self.mean, *self.of_class.tolist())]
        return {"boundary_F": known[0], "boundary_F_of_class": dict(zip(classes, known[1:], strict=True))}

    def lines(self, classes: Sequence[str]) -> list[str]:
        """Return the figures as lines of text."""
        lines, width = [], max(map(len, classes))
        for c, (name, value) in enumerate(zip(classes, self.of_class.tolist(), strict=True)):
            lines.append(f"{c:3} {name:{width}} boundary F" + (f" {value:8.4f}" if value == value else "   absent"))
        return [*lines, "", f"boundary F, within {TOLERANCE:.2%} of the diagonal: {self.mean:.4f}"]


def boundary_f(predicted: Labels, truth: Labels, classes: int) -> Floats:
    """Return the boundary F-score of each class, float64 (classes,), 0..1; NaN where neither map has a boundary.

    Args:
        predicted: uint8 (height, width) labels; out-of-range ones are other classes.
        truth: uint8 of the same shape.
        classes: number of classes.
    """
    height, width = truth.shape
    offsets = _offsets(TOLERANCE * float(np.hypot(height, width)))
    compared = np.ascontiguousarray(truth != IGNORE, np.uint8)
    edges = [np.zeros(truth.shape, np.uint8) for _ in range(2)]
    for labels, edge in zip((predicted, truth), edges, strict=True):
        _edges(np.ascontiguousarray(labels), compared, edge)
    matched, pixels = np.zeros((2, 2, 256), np.int64)
    for i in range(2):
        plane = np.ascontiguousarray((predicted, truth)[i]), np.ascontiguousarray((predicted, truth)[1 - i])
        _match(*plane, edges[i], edges[1 - i], offsets, matched[i], pixels[i])
    both = pixels[:, :classes].sum(axis=0)
    with np.errstate(invalid="ignore"):
        precision, recall = matched[:, :classes] / np.maximum(pixels[:, :classes], 1)
        score = 2 * precision * recall / (precision + recall)
    return np.where(both > 0, np.nan_to_num(score), np.nan)


def _offsets(tolerance: float) -> NDArray[np.int32]:
    """Return all (rows, columns) closer than ``tolerance``, at least (0, 0), nearest first: int32 (n, 2)."""
    reach = int(tolerance)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    squares = rows**2 + columns**2
    order = np.argsort(squares, kind="stable")
    order = order[(squares[order] < tolerance**2) | (squares[order] == 0)]
    return np.ascontiguousarray(np.stack([rows[order], columns[order]], axis=1), np.int32)


def _mean(values: Floats) -> Floats:
    """Return the mean of each row without NaN; NaN for a row of them."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0).sum(axis=1) / known.sum(axis=1))


@kernel
def _edges(labels: Bytes, compared: Bytes, edge: Bytes) -> None:
    """Mark both pixels of each pair of neighbours with different labels. uint8 (height, width) three times."""
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            if compared[y, x] != 0:
                if x + 1 < width and compared[y, x + 1] != 0 and labels[y, x + 1] != labels[y, x]:
                    edge[y, x] = edge[y, x + 1] = 1
                if y + 1 < height and compared[y + 1, x] != 0 and labels[y + 1, x] != labels[y, x]:
                    edge[y, x] = edge[y + 1, x] = 1


@kernel
def _match(
    labels: Bytes, others: Bytes, edge: Bytes, other_edge: Bytes, offsets: Ints, matched: Longs, pixels: Longs
) -> None:
    """Count the boundary pixels of each label, and those with one of the same label near them in the other map.

    uint8 (height, width) four times, int32 (n, 2), int64 (256,) twice.
    """
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            if edge[y, x] != 0:
                label = labels[y, x]
                pixels[label] += 1
                for i in range(offsets.shape[0]):
                    v, u = y + offsets[i, 0], x + offsets[i, 1]
                    inside = 0 <= v < height and 0 <= u < width
                    if inside and other_edge[v, u] != 0 and others[v, u] == label:
                        matched[label] += 1
                        break
