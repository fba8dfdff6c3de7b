"""Compute the loss: the cross-entropy over labelled pixels, and the errors of the heads of persons.

The cross-entropy uses a float32 log-softmax and is finite for all finite logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from mhpdata.labels import IGNORE
from mhpmodels.networks.resize import resize

_NONE: Mapping[int, int] = MappingProxyType({})


def output_losses(
    outputs: Sequence[Tensor],
    labels: Tensor,
    weights: Sequence[float],
    class_weights: Sequence[float] | None = None,
    resized: Mapping[int, int] = _NONE,
) -> list[Tensor]:
    """Return the weighted cross-entropy of each output, summed over the labelled pixels.

    Args:
        outputs: logits, floating point (N, classes, height, width) each; resized to the labels' size.
        labels: int64 (N, H, W), a class, or 255 for unlabelled pixels.
        weights: one weight per output.
        class_weights: one weight per class for the pixels of its label; None for 1.
        resized: {number of an output: number of an earlier one that is this output at the labels' size}; both have the
            same loss, which is computed once.

    Returns:
        float32 () per output; 0 with gradient 0 if no pixel is labelled.
    """
    rates = None if class_weights is None else torch.tensor(class_weights, device=labels.device)
    entropies: list[Tensor] = []
    for number, logits in enumerate(outputs):
        if number in resized:
            entropies.append(entropies[resized[number]])
            continue
        logits = logits.float().contiguous()  # more than twice as fast as with channels-last logits
        if logits.shape[2:] != labels.shape[1:]:
            logits = resize(logits, labels.shape[1:])
        entropies.append(F.cross_entropy(logits, labels, rates, ignore_index=IGNORE, reduction="sum"))
    return [weight * entropy for weight, entropy in zip(weights, entropies, strict=True)]


def person_loss(maps: Tensor, targets: Tensor, heat_rate: float, offset_rate: float) -> Tensor:
    """Return the weighted errors of the heads of persons, summed over the pixels.

    Args:
        maps: output of the heads, floating point (N, 3, h, w); resized to the targets' size.
        targets: float32 (N, 4, H, W), as in ``mhpdata.Batch``.
        heat_rate: weight of a squared error of the heatmap.
        offset_rate: weight of an absolute error of an offset, which counts where the last target is 1.

    Returns:
        float32 ().
    """
    maps = resize(maps.float().contiguous(), targets.shape[2:])
    heat = (maps[:, 0] - targets[:, 0]).square().sum()
    offsets = ((maps[:, 1:] - targets[:, 1:3]).abs() * targets[:, 3:]).sum()
    return heat_rate * heat + offset_rate * offsets
