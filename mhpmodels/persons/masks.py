"""AP and PQ of persons' masks, whatever their classes, and how often the number of persons is right.

A mask is all labelled pixels of a person. Pairs of a predicted and a true person whose masks have an IoU above t are
matched one to one, the largest IoU first. AP is the area under the precision envelope of the matched predictions by
descending score, at all points; COCO's AP in mhp score matches in order of score and reads 101 points instead. PQ
(Kirillov et al., "Panoptic segmentation", CVPR 2019, arXiv 1801.00868) is the sum of the IoU of the pairs at .5,
divided by the mean of the numbers of predicted and of true persons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mhpmodels.persons.precision import Claims, Floats, area, rank, score_persons

MASK_THRESHOLDS = (0.5, 0.75)
"""IoU above which a mask is found."""
FIGURES = ("AP^p_vol", "AP^p at .5", "PCP at .5", "mask AP at .5", "PQ", "right number")
"""Names of the figures that a validation in training reports."""


@dataclass(frozen=True)
class MaskFigures:
    """AP and PQ of masks over a set of images.

    Attributes:
        ap: AP at each of MASK_THRESHOLDS, 0..1.
        pq: PQ, 0..1.
        right_number: fraction of the images with as many predicted as true persons, 0..1.
    """

    ap: tuple[float, ...]
    pq: float
    right_number: float

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON types."""
        ap = {str(t): value for t, value in zip(MASK_THRESHOLDS, self.ap, strict=True)}
        return {"AP_masks": ap, "PQ": self.pq, "right_number": self.right_number}

    def lines(self) -> list[str]:
        """Return the figures as lines of text."""
        aps = ", ".join(f"AP at {t} {ap:.4f}" for t, ap in zip(MASK_THRESHOLDS, self.ap, strict=True))
        return [
            f"masks, whatever their classes: {aps}, PQ {self.pq:.4f}",
            f"{self.right_number:.1%} of the images have the right number of persons",
        ]


def score_masks(images: Sequence[Claims]) -> MaskFigures:
    """Compute AP and PQ of masks of a set of images with at least one true person, in the order of the split."""
    persons = sum(len(image.covered) for image in images)
    scores = np.concatenate([image.scores for image in images])
    order = np.argsort(-scores, kind="stable")
    ap = tuple(area(np.concatenate([_pairs(i, t) > 0 for i in images])[order], persons) for t in MASK_THRESHOLDS)
    matched = sum(float(_pairs(image, MASK_THRESHOLDS[0]).sum()) for image in images)
    right = float(np.mean([image.masks.shape[0] == image.masks.shape[1] for image in images]))
    return MaskFigures(ap, 2 * matched / (persons + len(order)), right)


def figures_of(images: Sequence[Claims]) -> tuple[float, ...]:
    """Return FIGURES of a set of images, 0..1; NaN for each if no image has a true person."""
    if not any(len(image.covered) for image in images):
        return (math.nan,) * len(FIGURES)
    persons, masks = score_persons(rank(images)), score_masks(images)
    at_half = float(persons.ap[4]), float(persons.pcp[4])
    return persons.ap_vol, *at_half, masks.ap[0], masks.pq, masks.right_number


def _pairs(image: Claims, threshold: float) -> Floats:
    """Return the IoU of each prediction's mask with its matched true person: float64 (K,), 0 for none."""
    count, persons = image.masks.shape
    matched, free = np.zeros(count), np.ones(persons, bool)
    for pair in np.argsort(-image.masks.reshape(-1), kind="stable").tolist():
        prediction, person = divmod(pair, persons)
        iou = image.masks[prediction, person]
        if iou <= threshold:
            break
        if not matched[prediction] and free[person]:
            matched[prediction], free[person] = iou, False
    return matched
