"""The loss: cross-entropy over labelled pixels, by log-softmax in float32, finite for any gap of finite logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from mhpdata.labels import IGNORE
from mhpmodels.networks.resize import resize


def output_losses(
    outputs: Sequence[Tensor], labels: Tensor, weights: Sequence[float], class_weights: Sequence[float] | None = None
) -> list[Tensor]:
    """The weight of each output x its cross-entropy, summed over the labelled pixels.

    Args:
        outputs: floating (N, classes, height, width) each, logits; resized to the labels' size.
        labels: int64 (N, H, W), a class, or 255: not labelled.
        weights: one for each output.
        class_weights: a pixel's entropy counts times that of its label; None for 1.

    Returns:
        float32 () for each output, 0 with gradient 0 where no pixel is labelled.
    """
    rates = None if class_weights is None else torch.tensor(class_weights, device=labels.device)
    parts = []
    for logits, weight in zip(outputs, weights, strict=True):
        logits = logits.float().contiguous()  # the entropy takes less than half as long as of channels-last logits
        if logits.shape[2:] != labels.shape[1:]:
            logits = resize(logits, labels.shape[1:])
        parts.append(weight * F.cross_entropy(logits, labels, rates, ignore_index=IGNORE, reduction="sum"))
    return parts
