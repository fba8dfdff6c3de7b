"""AP^r and AP^h: detection quality of parts and of whole persons as instance masks; and COCO's AP of the same masks.

::

    Overlap of an image ─┬─part_instances──> Instances ─┐
                         └─human_instances─> Instances ─┴─pool, all images─> Pool ─figures─> InstanceFigures

An instance of AP^r is a part: all pixels of one class of one person. An instance of AP^h is a person: all its labelled
pixels, whatever their classes. Three definitions, each as its source computes it:

- AP^r, of each class at .1 ... .9 (Engineering-Course/CIHP_PGN, ``evaluation/test_inst_part_ap.py``): predictions of
  all images by descending score; a true positive if the highest IoU with any true part of its class in its image is
  above the threshold. Nothing is claimed: several predictions of one true part are all true positives, so recall and AP
  may exceed 1. AP is the area under the precision envelope over recall, at all points. The mean is over all classes but
  background; AP^r_vol is the mean over the thresholds.
- AP^h, the same for persons at .5, .55 ... .95 (soeaver/M2FP, ``m2fp/evaluation/parsing_eval``); its mean is AP^h_vol.
- COCO's AP at .5, .55 ... .95 (pycocotools, ``COCOeval``, all areas, at most 100 predictions per image and class, no
  crowds): by descending score, each prediction claims the unclaimed true instance with the highest IoU of at least the
  threshold; precision is read at 101 recalls.

Differences from the sources:

- Both scripts sort scores with ``np.argsort`` and reverse the result. That sort is unstable: AP of equal scores depends
  on NumPy's version and the CPU. Here it is stable, so of equal scores the last prediction comes first. COCO's AP takes
  the first one first, as COCOeval does.
- A class without a true instance has no AP (NaN); in the mean over all classes it counts 0, as in the official script
  if it is not predicted either (the script's mean is NaN if it is). COCO's AP leaves it out, as COCOeval does.
- Pixels that are 255 in a true person's mask are not compared with that person, as in AP^p; the scripts have no 255.
- A predicted part scores as its person, unless the predictions give each part a score of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mhpdata.kernels.arrays import Bytes, Doubles, Longs
from mhpdata.kernels.jit import kernel
from mhpmodels.persons.overlap import Overlap
from mhpmodels.persons.precision import THRESHOLDS, area

HUMAN_THRESHOLDS = tuple(i / 100 for i in range(50, 100, 5))
COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCOeval's own floats, which differ from HUMAN_THRESHOLDS in the last bit."""
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = 100
"""Number of predictions per image and class that COCO's AP takes."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Instances:
    """K predicted instances of one image, compared with the true instances of their category.

    Attributes:
        categories: int64 (K,) category of each; a class, or 0 for persons.
        scores: float64 (K,) confidence scores.
        best: float64 (K,) highest IoU with a true instance of the category, 0..1; 0 if there is none.
        claimed: uint8 (K, 10): at each of COCO_THRESHOLDS, 1 if it claims a true instance, otherwise 0; 2 if it is not
            among the MOST of its category.
        truths: int64 (categories,) number of true instances.
    """

    categories: NDArray[np.int64]
    scores: Floats
    best: Floats
    claimed: NDArray[np.uint8]
    truths: NDArray[np.int64]


def part_instances(scores: Sequence[float], found: Overlap) -> Instances:
    """Compare the parts of an image's predicted persons with those of the true persons.

    Args:
        scores: confidence score of each predicted person.
        found: overlap of the predicted with the true persons.
    """
    classes = found.areas.shape[1]
    person, predicted = np.nonzero(found.areas)
    owner, true = np.nonzero(found.true_areas)
    iou = found.parts[person[:, None], owner, predicted[:, None]]
    iou = np.where(predicted[:, None] == true, np.nan_to_num(iou), -1.0)
    return compare(predicted, np.array(scores, np.float64)[person], iou, np.bincount(true, minlength=classes))


def human_instances(scores: Sequence[float], found: Overlap) -> Instances:
    """Compare an image's predicted persons with the true persons, without regard to classes; arguments as above."""
    nobody = np.zeros(len(scores), np.int64)
    return compare(nobody, np.array(scores, np.float64), found.whole, np.array([found.whole.shape[1]]))


def compare(categories: NDArray[np.int64], scores: Floats, iou: Floats, truths: NDArray[np.int64]) -> Instances:
    """Compare K predicted with J true instances of an image.

    Args:
        categories: int64 (K,) category of each prediction.
        scores: float64 (K,) confidence scores.
        iou: float64 (K, J), 0..1; -1 where the categories differ.
        truths: int64 (categories,) number of true instances.
    """
    claimed = np.zeros((len(scores), len(COCO_THRESHOLDS)), np.uint8)
    order = np.argsort(-scores, kind="stable")
    taken = np.zeros((len(COCO_THRESHOLDS), iou.shape[1]), np.uint8)
    _claim(np.ascontiguousarray(iou), order, COCO_THRESHOLDS, taken, claimed)
    if len(scores) > MOST:
        for category in np.unique(categories):
            claimed[order[categories[order] == category][MOST:]] = 2
    return Instances(categories, scores, iou.max(axis=1, initial=0.0), claimed, truths)


@dataclass(frozen=True)
class Pool:
    """The predicted instances of a set of images, in the order of the images.

    Attributes:
        images: int64 (n,) index of each one's image.
        categories: int64 (n,) category of each.
        scores: float64 (n,) confidence scores.
        best: float64 (n,) as of ``Instances``.
        claimed: uint8 (n, 10) as of ``Instances``.
        truths: int64 (images, categories) number of true instances.
    """

    images: NDArray[np.int64]
    categories: NDArray[np.int64]
    scores: Floats
    best: Floats
    claimed: NDArray[np.uint8]
    truths: NDArray[np.int64]

    def ranked(self, category: int) -> NDArray[np.int64]:
        """Return the indices of a category's instances by falling score; of equal scores, the last one first."""
        here = np.flatnonzero(self.categories == category)
        return here[np.argsort(self.scores[here], kind="stable")[::-1]]


def pool(images: Sequence[Instances]) -> Pool:
    """Collect the instances of at least one image."""
    return Pool(
        images=np.repeat(np.arange(len(images)), [len(image.scores) for image in images]),
        categories=np.concatenate([image.categories for image in images]),
        scores=np.concatenate([image.scores for image in images]),
        best=np.concatenate([image.best for image in images]),
        claimed=np.concatenate([image.claimed for image in images]),
        truths=np.stack([image.truths for image in images]),
    )


@dataclass(frozen=True)
class InstanceFigures:
    """AP of instances over a set of images, per category.

    Attributes:
        ap: float64 (categories, thresholds) AP^r or AP^h, from 0; NaN for a category without true instances.
        coco: float64 (10, 101, categories) COCO's precision at COCO_THRESHOLDS and RECALLS, 0..1 or NaN.
        truths: int64 (categories,) number of true instances.
        predictions: int64 (categories,) number of predicted instances.
    """

    ap: Floats
    coco: Floats
    truths: NDArray[np.int64]
    predictions: NDArray[np.int64]

    @property
    def present(self) -> NDArray[np.bool_]:
        """bool (categories,): the category has true instances."""
        return np.asarray(self.truths > 0)

    @property
    def mean(self) -> Floats:
        """float64 (thresholds,): mean of ``ap`` over all categories; one without true instances counts 0."""
        return np.asarray(np.mean(np.nan_to_num(self.ap), axis=0))

    @property
    def vol(self) -> float:
        """Mean of ``mean`` over the thresholds."""
        return float(self.mean.mean())

    @property
    def vol_present(self) -> float:
        """The same over the categories that have true instances; NaN if none has any."""
        return float(self.ap[self.present].mean(axis=0).mean()) if self.present.any() else float("nan")

    def coco_ap(self, threshold: int | None = None) -> float:
        """Return COCO's AP, or at one index of COCO_THRESHOLDS, over the present categories; NaN if there are none."""
        taken = self.coco if threshold is None else self.coco[threshold : threshold + 1]
        return float(taken[..., self.present].ravel().mean()) if self.present.any() else float("nan")


def part_figures(found: Pool) -> InstanceFigures:
    """Compute AP^r, and COCO's AP of parts, of the classes but background (category 0)."""
    return _figures(found, range(1, found.truths.shape[1]), THRESHOLDS)


def human_figures(found: Pool) -> InstanceFigures:
    """Compute AP^h, and COCO's AP of persons."""
    return _figures(found, range(1), HUMAN_THRESHOLDS)


def _figures(found: Pool, categories: range, thresholds: Sequence[float]) -> InstanceFigures:
    truths = found.truths.sum(axis=0)[categories.start :]
    ap = np.full((len(categories), len(thresholds)), np.nan)
    coco = np.full((len(COCO_THRESHOLDS), len(RECALLS), len(categories)), np.nan)
    predictions = np.bincount(found.categories, minlength=categories.stop)[categories.start :]
    for i, category in enumerate(categories):
        if truths[i]:
            best = found.best[found.ranked(category)]
            ap[i] = [area(best > threshold, int(truths[i])) for threshold in thresholds]
            coco[..., i] = _precision(found, category, int(truths[i]))
    return InstanceFigures(ap, coco, truths, predictions)


def _precision(found: Pool, category: int, truths: int) -> Floats:
    """Return COCO's precision of one category at COCO_THRESHOLDS and RECALLS: float64 (10, 101)."""
    here = np.flatnonzero((found.categories == category) & (found.claimed[:, 0] != 2))
    order = here[np.argsort(-found.scores[here], kind="stable")]
    hits = np.cumsum(found.claimed[order] == 1, axis=0, dtype=np.float64)
    precision = hits / (np.arange(1, len(order) + 1)[:, None] + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    read = np.zeros((len(COCO_THRESHOLDS), len(RECALLS)))
    for t in range(len(COCO_THRESHOLDS)):
        places = np.searchsorted(hits[:, t] / truths, RECALLS, side="left")
        inside = places < len(order)
        read[t, inside] = envelope[places[inside], t]
    return read


@kernel
def _claim(iou: Doubles, order: Longs, thresholds: Doubles, taken: Bytes, claimed: Bytes) -> None:
    """Let predictions claim true instances; of equal IoUs the last one, as in COCOeval.

    float64 (K, J), int64 (K,), float64 (T,), uint8 (T, J) of zeros, uint8 (K, T) of zeros.
    """
    for t in range(thresholds.size):
        for i in range(order.size):
            k, most, which = order[i], thresholds[t], -1
            for j in range(iou.shape[1]):
                if taken[t, j] == 0 and iou[k, j] >= most:
                    most, which = iou[k, j], j
            if which >= 0:
                taken[t, which] = 1
                claimed[k, t] = 1
