"""AP^p and PCP: detection and parsing quality of persons, at all thresholds in one pass.

The definitions are the official ones (ZhaoJ9014/Multi-Human-Parsing, ``eval_mhp.py``, ``voc_eval.py``):

- The predicted persons of all images are sorted by descending score. Each is compared with *all* true persons of its
  image and claims the one with the highest mean IoU; ties go to the first. It is a true positive at threshold t if that
  mean is above t and no earlier prediction has claimed the person at t; otherwise it is a false positive, even if
  another person is unclaimed.
- AP^p is the area under the precision envelope over recall, at all points (VOC since 2010). AP^p_vol is the mean of
  AP^p at .1 ... .9.
- PCP: a true positive counts the fraction of the true person's classes, without background, whose IoU is above t; PCP
  is the sum divided by the number of true persons.

The official code sorts equal scores with an unstable sort; here they keep the order of the images in the split and of
the persons in the prediction. An empty prediction counts like any other: background alone gives it a mean IoU of 0.12
to 0.14 with a typical person, so it passes .1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import PredictionError
from mhpmodels.scoring.overlap import Overlap

THRESHOLDS = tuple(i / 10 for i in range(1, 10))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PersonFigures:
    """AP^p and PCP over a set of images.

    Attributes:
        ap: float64 (9,) AP^p at each of THRESHOLDS, 0..1.
        pcp: float64 (9,) PCP at each of THRESHOLDS, 0..1.
        persons: number of true persons.
        predictions: number of predicted persons.
    """

    ap: Floats
    pcp: Floats
    persons: int
    predictions: int

    @property
    def ap_vol(self) -> float:
        """Mean of ``ap`` over all thresholds."""
        return float(self.ap.mean())


@dataclass(frozen=True)
class Claims:
    """The true persons claimed by the predictions of one image: K predictions, J true persons.

    Attributes:
        scores: float64 (K,) confidence scores.
        best: float64 (K,) mean IoU with the claimed person; -inf if the image has no person.
        person: int64 (K,) index of the claimed person, from 0; -1 if the image has no person.
        share: float64 (K, 9) fraction of the claimed person's classes, without background, with an IoU above each
            threshold.
        covered: float64 (J,) highest mean IoU of any prediction with each true person; 0 without predictions.
    """

    scores: Floats
    best: Floats
    person: NDArray[np.int64]
    share: Floats
    covered: Floats

    def found(self, threshold: float) -> int:
        """Return the number of true persons found at a threshold."""
        return len(np.unique(self.person[self.best > threshold]))


def claim(scores: Sequence[float], found: Overlap) -> Claims:
    """Match each predicted person with the true person that it overlaps most.

    Args:
        scores: confidence scores of the predicted persons.
        found: overlap of the predicted with the true persons.
    """
    count, persons, _ = found.iou.shape
    confidence = np.array(scores, np.float64)
    if not persons:
        nobody = np.full(count, -1, np.int64)
        return Claims(confidence, np.full(count, -np.inf), nobody, np.zeros((count, len(THRESHOLDS))), np.zeros(0))
    mean = found.mean
    person = mean.argmax(axis=1)
    of_it = found.iou[np.arange(count), person, 1:]
    above = (of_it[:, None, :] > np.array(THRESHOLDS)[:, None]).sum(axis=2)
    best, share = mean[np.arange(count), person], above / found.distinct[person][:, None]
    return Claims(confidence, best, person, share, mean.max(axis=0, initial=0.0))


def score_persons(images: Sequence[Claims]) -> PersonFigures:
    """Compute AP^p and PCP of a set of images, given in the order of the split.

    Raises:
        PredictionError: no image has a true person.
    """
    persons = sum(len(image.covered) for image in images)
    if not persons:
        remedy = "Pass a --split with persons; to score labels only, move global_tag and masks out of the predictions."
        raise PredictionError("annotated persons", "none in these images", "at least one", remedy)
    scores = np.concatenate([image.scores for image in images])
    best = np.concatenate([image.best for image in images])
    share = np.concatenate([image.share for image in images])
    before = np.cumsum([0, *(len(image.covered) for image in images)])
    person = np.concatenate([image.person + start for image, start in zip(images, before, strict=False)])
    order = np.argsort(-scores, kind="stable")
    best, share, person = best[order], share[order], person[order]
    ap, pcp = np.zeros((2, len(THRESHOLDS)))
    for t, threshold in enumerate(THRESHOLDS):
        claims = np.flatnonzero(best > threshold)
        first = np.unique(person[claims], return_index=True)[1]
        true = np.zeros(len(order), bool)
        true[claims[first]] = True
        ap[t] = area(true, persons)
        pcp[t] = share[true, t].sum() / persons
    return PersonFigures(ap, pcp, persons, len(order))


def area(true: NDArray[np.bool_], persons: int) -> float:
    """Return the area under the precision envelope over recall; ``true`` is in order of score."""
    hits = np.cumsum(true)
    recall = np.concatenate([[0.0], hits / persons, [1.0]])
    precision = np.concatenate([[0.0], hits / np.arange(1, len(true) + 1), [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1])
    return float(np.sum((recall[steps + 1] - recall[steps]) * envelope[steps + 1]))
