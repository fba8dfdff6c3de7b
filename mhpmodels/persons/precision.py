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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import PredictionError
from mhpdata.wording import counted
from mhpmodels.persons.grouping import People
from mhpmodels.persons.overlap import Labels, Layer, Overlap, overlap

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

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON types."""
        names = [f"{i / 10:.1f}" for i in range(1, 10)]
        return {
            "AP^p": dict(zip(names, self.ap.tolist(), strict=True)),
            "AP^p_vol": self.ap_vol,
            "PCP": dict(zip(names, self.pcp.tolist(), strict=True)),
            "persons": self.persons,
            "predictions": self.predictions,
        }

    def lines(self) -> list[str]:
        """Return AP^p and PCP at each threshold, and AP^p_vol, as lines of text."""
        return [
            "t     " + "".join(f"{i / 10:8.1f}" for i in range(1, 10)),
            "AP^p  " + "".join(f"{value:8.4f}" for value in self.ap),
            "PCP   " + "".join(f"{value:8.4f}" for value in self.pcp),
            "",
            f"AP^p_vol: {self.ap_vol:.4f}, {counted(self.persons, 'person')}, {self.predictions} predicted",
        ]


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
        masks: float64 (K, J) IoU of the persons without regard to classes.
    """

    scores: Floats
    best: Floats
    person: NDArray[np.int64]
    share: Floats
    covered: Floats
    masks: Floats

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
        nothing, share = np.full(count, -np.inf), np.zeros((count, len(THRESHOLDS)))
        return Claims(confidence, nothing, nobody, share, np.zeros(0), found.whole)
    mean = found.mean
    person = mean.argmax(axis=1)
    of_it = found.iou[np.arange(count), person, 1:]
    above = (of_it[:, None, :] > np.array(THRESHOLDS)[:, None]).sum(axis=2)
    best, share = mean[np.arange(count), person], above / found.distinct[person][:, None]
    return Claims(confidence, best, person, share, mean.max(axis=0, initial=0.0), found.whole)


def claim_people(people: People, labels: Labels, persons: Iterable[Labels], classes: int) -> Claims:
    """Match the persons that ``group`` found in an image with its true persons.

    Args:
        people: the persons found.
        labels: uint8 (height, width), the predicted labels.
        persons: mask of each true person, as for ``overlap``.
        classes: number of classes.
    """
    layers = [Layer(labels, people.persons, len(people.scores))] if people.scores else []
    return claim(people.scores, overlap(layers, persons, classes))


@dataclass(frozen=True)
class Ranked:
    """The predicted persons of a set of images by descending score, with the outcome of their claims.

    Attributes:
        images: int64 (n,) index of each one's image.
        true: uint8 (n, 9) whether it is a true positive at each of THRESHOLDS.
        share: float64 (n, 9) as of ``Claims``.
        persons: int64 (images,) number of true persons of each image.
    """

    images: NDArray[np.int64]
    true: NDArray[np.uint8]
    share: Floats
    persons: NDArray[np.int64]


def rank(images: Sequence[Claims]) -> Ranked:
    """Sort the predicted persons of at least one image, given in the order of the split, and decide who is found."""
    persons = np.array([len(image.covered) for image in images], np.int64)
    scores = np.concatenate([image.scores for image in images])
    best = np.concatenate([image.best for image in images])
    share = np.concatenate([image.share for image in images])
    before = np.append(0, np.cumsum(persons))
    person = np.concatenate([image.person + start for image, start in zip(images, before, strict=False)])
    order = np.argsort(-scores, kind="stable")
    best, person = best[order], person[order]
    true = np.zeros((len(order), len(THRESHOLDS)), np.uint8)
    for t, threshold in enumerate(THRESHOLDS):
        claims = np.flatnonzero(best > threshold)
        true[claims[np.unique(person[claims], return_index=True)[1]], t] = 1
    of_image = np.repeat(np.arange(len(images)), [len(image.scores) for image in images])
    return Ranked(of_image[order], true, share[order], persons)


def score_persons(ranked: Ranked) -> PersonFigures:
    """Compute AP^p and PCP of a set of images.

    Raises:
        PredictionError: no image has a true person.
    """
    persons = int(ranked.persons.sum())
    if not persons:
        remedy = "Pass a --split with persons; to score labels only, move global_tag and masks out of the predictions."
        raise PredictionError("annotated persons", "none in these images", "at least one", remedy)
    true = ranked.true.astype(bool)
    columns = range(len(THRESHOLDS))
    ap = np.array([area(true[:, t], persons) for t in columns])
    pcp = np.array([ranked.share[true[:, t], t].sum() / persons for t in columns])
    return PersonFigures(ap, pcp, persons, len(true))


def area(true: NDArray[np.bool_], persons: int) -> float:
    """Return the area under the precision envelope over recall.

    Args:
        true: bool (n,) whether each prediction is a true positive, by descending score.
        persons: number of true persons or instances.
    """
    hits = np.cumsum(true)
    recall = np.concatenate([[0.0], hits / persons, [1.0]])
    precision = np.concatenate([[0.0], hits / np.arange(1, len(true) + 1), [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1])
    return float(np.sum((recall[steps + 1] - recall[steps]) * envelope[steps + 1]))
