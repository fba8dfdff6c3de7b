"""Losses of the overlap of classes, beside the cross-entropy: Dice and Lovász-softmax, over labelled pixels.

Both are means over the classes that have a labelled pixel, 0 without one, in 0..1.

Dice, Milletari et al., "V-Net", 3DV 2016 (arXiv 1606.04797), with sums in place of squares as in Sudre et al., DLMIA
2017 (arXiv 1707.03237): 1 - 2 sum(p t) / (sum(p) + sum(t)) for the probabilities p and the truth t of a class. The sums
are over the images of all ranks, so the loss does not depend on their number.

Lovász-softmax, Berman et al., CVPR 2018 (arXiv 1705.08790), equation 11 with algorithm 1: the convex extension of
1 - IoU, from the errors of a class's pixels in descending order. The order of all pixels would need those of all
ranks; so each rank sorts the pixels of its own images, and the loss is the mean over the ranks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mhpdata.labels import IGNORE
from mhpmodels.networks.resize import resize


class OverlapLoss:
    """The weighted sum of both losses.

    Args:
        dice, lovasz: weights.
        world_size: number of ranks.
        total: function that returns the sum of a tensor over the ranks.
    """

    def __init__(self, dice: float, lovasz: float, world_size: int, total: Callable[[Tensor], Tensor]) -> None:
        self.dice, self.lovasz, self.world_size, self._total = dice, lovasz, world_size, total

    def __bool__(self) -> bool:
        return self.dice > 0 or self.lovasz > 0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return this rank's share of the loss.

        Args:
            logits: floating point (N, classes, h, w); resized to the labels' size.
            labels: int64 (N, H, W), a class, or 255 for unlabelled pixels.

        Returns:
            float32 (). Its values and its gradients, summed over the ranks, are those of the loss.
        """
        logits = logits.float().contiguous()
        if logits.shape[2:] != labels.shape[1:]:
            logits = resize(logits, labels.shape[1:])
        chances = logits.softmax(1).movedim(1, -1)[labels != IGNORE]
        truth = labels[labels != IGNORE]
        loss = torch.zeros((), device=logits.device)
        if self.dice:
            loss = loss + self.dice * self._dice(chances, truth)
        if self.lovasz:
            loss = loss + self.lovasz / self.world_size * lovasz_softmax(chances, truth)
        return loss

    def _dice(self, chances: Tensor, truth: Tensor) -> Tensor:
        sums = dice_sums(chances, truth)
        # the value of the sums over all ranks, with the gradient of this rank's part
        everywhere = sums + (self._total(sums.detach().clone()) - sums.detach())
        loss = dice_of_sums(everywhere)
        return loss + (loss / self.world_size - loss).detach()


def dice_sums(chances: Tensor, truth: Tensor) -> Tensor:
    """Return float32 (3, classes): the sums of p t, of p and of t over pixels; chances (P, classes), truth (P,)."""
    hits = chances.new_zeros(chances.shape[1]).index_add(0, truth, chances.gather(1, truth[:, None])[:, 0])
    counts = torch.bincount(truth, minlength=chances.shape[1])
    return torch.stack([hits, chances.sum(0), counts.to(hits)])


def dice_of_sums(sums: Tensor) -> Tensor:
    """Return the Dice loss of ``dice_sums``, float32 ()."""
    hits, chances, counts = sums
    present = counts > 0
    losses = 1 - 2 * hits / (chances + counts).clamp(min=1e-12)
    return (losses * present).sum() / present.sum().clamp(min=1)


def lovasz_softmax(chances: Tensor, truth: Tensor) -> Tensor:
    """Return the Lovász-softmax loss of pixels, float32 (); chances (P, classes), truth (P,)."""
    losses = [_lovasz(chances[:, label], truth == label) for label in truth.unique().tolist()]
    return torch.stack(losses).mean() if losses else chances.sum() * 0.0


def _lovasz(chances: Tensor, is_class: Tensor) -> Tensor:
    """Return the loss of a class with at least one pixel."""
    errors, order = torch.where(is_class, 1 - chances, chances).sort(descending=True, stable=True)
    hit = is_class[order].double()
    intersection = hit.sum() - hit.cumsum(0)
    union = hit.sum() + (1 - hit).cumsum(0)
    jaccard = 1 - intersection / union
    steps = jaccard.diff(prepend=jaccard.new_zeros(1))
    return (errors * steps.to(errors.dtype)).sum()
