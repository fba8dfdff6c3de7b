"""From the queries of an image to scores of its labels and to its persons.

Labels: Mask2Former's semantic inference, the sum over all queries of the probability of the class times that of the
mask at a pixel. ``label_scores`` returns its logarithm: as logits, it has the same order and, as its softmax, the share
of each label.

Persons: a query's score is its probability of the class *person* times the mean probability of its mask's pixels. Of
two masks that overlap by more than OVERLAP, the one with the lower score is dropped. Each pixel belongs to the person
with the largest product of score and probability of the mask there, and to nobody below LEAST_PROBABILITY.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

CERTAIN = 0.3
"""Probability of the class *person* above which a query is a person."""
OVERLAP = 0.5
"""IoU above which two masks are the same person."""
LEAST_PROBABILITY = 0.25
"""Probability of a mask below which a pixel does not belong to it."""
MOST = 255
"""Maximum number of persons: they are stored as bytes."""
_SMALLEST = 1e-8


def label_scores(classes: Tensor, masks: Tensor, labels: int, size: tuple[int, int]) -> Tensor:
    """Return the logarithm of the semantic inference of an image: float32 (labels, H, W).

    Args:
        classes: (Q, C + 1), logits of the classes, the last one of no mask.
        masks: (Q, h, w), logits.
        labels: number of labels, the first classes.
        size: (H, W) of the image.
    """
    of_class = classes.float().softmax(-1)[:, :labels]
    probability = enlarged(masks, size).sigmoid_()
    sums = (of_class.T @ probability.flatten(1)).view(labels, *size)
    return sums.clamp_(min=_SMALLEST).log_()


def person_maps(probability: Tensor, masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Return which person owns each pixel, from 1 by descending score, and that person's score: float32 (2, H, W).

    Args:
        probability: float32 (Q,), probability that a query is a person.
        masks: (Q, h, w), logits.
        size: (H, W) of the image.
    """
    chosen = (probability > CERTAIN).nonzero()[:, 0]
    logits = masks[chosen].float()
    inside = (logits > 0).flatten(1).float()
    mean = (logits.sigmoid().flatten(1) * inside).sum(1) / inside.sum(1).clamp(min=1)
    scores = probability[chosen].float() * mean
    kept = distinct(scores, inside)[:MOST]
    result = torch.zeros((2, *size), device=masks.device)
    if not len(kept):
        return result
    scores, inner = scores[kept], enlarged(logits[kept], size).sigmoid_()
    owner = (inner * scores[:, None, None]).argmax(0)
    owned = inner.gather(0, owner[None])[0] > LEAST_PROBABILITY
    result[0] = torch.where(owned, owner + 1.0, 0.0)
    result[1] = torch.where(owned, scores[owner], 0.0)
    return result


def distinct(scores: Tensor, masks: Tensor) -> list[int]:
    """Return the masks that are not empty and overlap no mask of a higher score by more than OVERLAP, best first.

    Args:
        scores: float32 (K,).
        masks: float32 (K, P), 0 or 1.
    """
    areas, shared = masks.sum(1), masks @ masks.T
    overlaps = (shared / (areas[:, None] + areas[None] - shared).clamp(min=1)).tolist()
    kept: list[int] = []
    for k in scores.argsort(descending=True, stable=True).tolist():
        if areas[k] > 0 and all(overlaps[k][other] <= OVERLAP for other in kept):
            kept.append(k)
    return kept


def enlarged(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Return logits (Q, h, w) at the size of the image, as transformers does: float32 (Q, H, W)."""
    return F.interpolate(masks[None].float(), size, mode="bilinear", align_corners=False)[0]
