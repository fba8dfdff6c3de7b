"""Bootstrap over images: recompute the figures of a score on samples of its images drawn with replacement.

::

    PerImage ─┐
              ├─replicate─> {(figure, class or threshold): float64 (samples,)}
    draw ─────┘ int32 (samples, images): how often each sample contains each image

Two predictions of the same images are compared on the same samples (paired bootstrap): the difficulty of the images
cancels out of the difference. An image that a sample contains w times counts as w images with equal scores that follow
each other in the ranking.

The same seed gives the same samples with every version of NumPy and every number of threads: the draws are the raw
output of Philox, and sums are computed in one order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mhpdata.kernels.arrays import Bytes, Doubles, Ints, Longs
from mhpdata.kernels.jit import kernel
from mhpdata.processes.threads import crew
from mhpmodels.persons.precision import THRESHOLDS, Ranked
from mhpmodels.scoring.instances import HUMAN_THRESHOLDS, Pool

Floats = NDArray[np.float64]
Key = tuple[str, str]
"""A figure's name, and its class or threshold; "" if it has neither."""


@dataclass(frozen=True)
class PerImage:
    """Results per image from which all figures of a set of images follow.

    Attributes:
        pixels: int64 (images, 3, classes) correct, true and predicted pixels of each class, the last without ignored
            ones; None without labels.
        persons: claims of the predicted persons; None without persons with labels.
        parts: instances of parts; None without them.
        humans: instances of persons; None without them.
        boundary: float64 (images, classes) boundary F-scores, or NaN; None if they were not asked for.
    """

    pixels: NDArray[np.int64] | None
    persons: Ranked | None
    parts: Pool | None
    humans: Pool | None
    boundary: Floats | None = None


def draw(images: int, samples: int, seed: int) -> NDArray[np.int32]:
    """Draw samples of ``images`` images with replacement.

    Returns:
        int32 (samples, images): how often each sample contains each image; each row sums to ``images``.
    """
    bits, weights = np.random.Philox(key=seed), np.empty((samples, images), np.int32)
    for sample in range(samples):
        numbers = np.asarray(bits.random_raw(images), np.uint64) >> np.uint64(32)
        weights[sample] = np.bincount((numbers * np.uint64(images) >> np.uint64(32)).astype(np.int64), minlength=images)
    return weights


def replicate(
    found: PerImage, classes: Sequence[str], weights: NDArray[np.int32], threads: int | None = None
) -> dict[Key, Floats]:
    """Recompute the figures for each sample.

    Args:
        found: results per image.
        classes: class names.
        weights: int32 (samples, images) from ``draw``.
        threads: number of threads; None for one per core.

    Returns:
        float64 (samples,) of each figure; NaN for samples in which it is undefined.
    """
    values: dict[Key, Floats] = {}
    if found.pixels is not None:
        values |= _labels(found.pixels, classes, weights)
    if found.boundary is not None:
        values |= _boundaries(found.boundary, classes, weights)
    if found.persons is not None:
        values |= _persons(found.persons, weights, threads)
    if found.parts is not None:
        ap = _instances(found.parts, range(1, len(classes)), THRESHOLDS, weights, threads)
        values["AP^r", "0.5"] = np.nan_to_num(ap[:, 4]).mean(axis=0)
        values["AP^r_vol", ""] = np.nan_to_num(ap).mean(axis=(0, 1))
        of_class = ap.mean(axis=1)
        values["AP^r_vol_present", ""] = _mean_of_known(of_class)
        values |= {("AP^r_of_class", name): row for name, row in zip(classes[1:], of_class, strict=True)}
    if found.humans is not None:
        (ap,) = _instances(found.humans, range(1), HUMAN_THRESHOLDS, weights, threads)
        values |= {("AP^h", "0.50"): ap[0], ("AP^h", "0.75"): ap[5], ("AP^h_vol", ""): ap.mean(axis=0)}
    return values


def _labels(pixels: NDArray[np.int64], classes: Sequence[str], weights: NDArray[np.int32]) -> dict[Key, Floats]:
    shape = len(weights), *pixels.shape[1:]
    correct, true, predicted = np.moveaxis(_sums(pixels.reshape(len(pixels), -1), weights).reshape(shape), 1, 0)
    union = true + predicted - correct
    iou = correct / np.maximum(union, 1)
    values = {("pixAcc", ""): correct.sum(axis=1) / np.maximum(true.sum(axis=1), 1), ("mIoU", ""): iou.mean(axis=1)}
    values["mIoU_present", ""] = _mean_of_known(np.where(union > 0, iou, np.nan).T)
    return values | {("IoU", name): column for name, column in zip(classes, iou.T, strict=True)}


def _boundaries(of_image: Floats, classes: Sequence[str], weights: NDArray[np.int32]) -> dict[Key, Floats]:
    mean = _mean_of_known(of_image.T)[:, None]  # of each image
    columns = np.concatenate([of_image, mean], axis=1)
    known = ~np.isnan(columns)
    with np.errstate(invalid="ignore"):
        means = _sums(np.where(known, columns, 0), weights) / _sums(known.astype(np.int64), weights)
    values = {("boundary_F_of_class", name): column for name, column in zip(classes, means.T, strict=False)}
    return {("boundary_F", ""): means[:, -1], **values}


def _persons(ranked: Ranked, weights: NDArray[np.int32], threads: int | None) -> dict[Key, Floats]:
    total = _sums(ranked.persons[:, None], weights)[:, 0]
    curves = [_Curve(ranked.images, ranked.true[:, t], total) for t in range(len(THRESHOLDS))]
    ap = _areas(curves, weights, threads)
    shares = np.zeros((weights.shape[1], 1))
    np.add.at(shares[:, 0], ranked.images, ranked.share[:, 4] * ranked.true[:, 4])
    with np.errstate(invalid="ignore"):
        pcp = _sums(shares, weights)[:, 0] / total
    return {("AP^p", "0.5"): ap[4], ("AP^p_vol", ""): ap.mean(axis=0), ("PCP", "0.5"): pcp}


def _instances(
    found: Pool, categories: range, thresholds: Sequence[float], weights: NDArray[np.int32], threads: int | None
) -> Floats:
    """Return AP of each category: float64 (categories, thresholds, samples)."""
    totals, curves = _sums(found.truths, weights), []
    for category in categories:
        ranked = found.ranked(category)
        images, best, total = found.images[ranked], found.best[ranked], totals[:, category]
        curves += [_Curve(images, best > threshold, total) for threshold in thresholds]
    return _areas(curves, weights, threads).reshape(len(categories), len(thresholds), -1)


class _Curve(NamedTuple):
    """Ranked predictions at one threshold: images (n,), true positives (n,), true instances of each sample."""

    images: NDArray[np.int64]
    true: NDArray[np.bool_] | NDArray[np.uint8]
    totals: Floats


def _areas(curves: Sequence[_Curve], weights: NDArray[np.int32], threads: int | None) -> Floats:
    """Return the area under the precision envelope of each curve: float64 (curves, samples)."""
    with crew(len(curves), "curves", threads, False) as workers:
        return np.stack(list(workers.each(partial(_area_of, weights), curves)))


def _area_of(weights: NDArray[np.int32], curve: _Curve) -> Floats:
    last = int(np.append(0, np.flatnonzero(curve.true) + 1)[-1])  # predictions after the last hit change no area
    true, totals = np.ascontiguousarray(curve.true[:last], np.uint8), np.ascontiguousarray(curve.totals)
    out = np.empty(len(weights))
    _area(np.ascontiguousarray(curve.images[:last]), true, totals, weights, out)
    return out


def _mean_of_known(rows: Floats) -> Floats:
    """Return the mean of each column without NaN; NaN if it has nothing else."""
    known = ~np.isnan(rows)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, rows, 0).sum(axis=0) / known.sum(axis=0))


def _sums(values: NDArray[np.int64] | Floats, weights: NDArray[np.int32]) -> Floats:
    """Return the weighted sums of values (images, m) in each sample: float64 (samples, m)."""
    out = np.zeros((len(weights), values.shape[1]))
    _weighted(np.ascontiguousarray(values, np.float64), weights, out)
    return out


@kernel
def _weighted(values: Doubles, weights: Ints, out: Doubles) -> None:
    """Add weights x values to ``out``: float64 (I, m), int32 (B, I), float64 (B, m). Not BLAS, whose order varies."""
    for b in range(weights.shape[0]):
        for i in range(values.shape[0]):
            if weights[b, i] != 0:
                for m in range(values.shape[1]):
                    out[b, m] += weights[b, i] * values[i, m]


@kernel
def _area(images: Longs, true: Bytes, totals: Doubles, weights: Ints, out: Doubles) -> None:
    """Write the area under the precision envelope of each sample; NaN for a sample without true instances.

    int64 (n,), uint8 (n,), float64 (B,), int32 (B, I), float64 (B,). The envelope changes at true positives only.
    """
    for b in range(weights.shape[0]):
        hits, count = 0, 0
        for i in range(images.size):
            weight = weights[b, images[i]]
            count += weight
            hits += weight * true[i]
        best, area = 0.0, 0.0
        for i in range(images.size - 1, -1, -1):
            weight = weights[b, images[i]]
            if true[i] != 0 and weight != 0:
                precision = hits / count
                best = precision if precision > best else best
                area += weight * best
                hits -= weight
            count -= weight
        out[b] = area / totals[b] if totals[b] > 0 else np.nan
