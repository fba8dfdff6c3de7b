"""The loss of Mask2Former: match the queries of each image to its masks, and compare classes and masks.

::

    labels, persons ─> masks ─┐
    a decoder layer's queries ─┴─ costs at random points ─assignment─> pairs ─> cross-entropy, mask and Dice losses

As in Cheng et al., "Masked-attention mask transformer for universal image segmentation", CVPR 2022 (arXiv 2112.01527).
Costs, losses and their weights are those of transformers. Its own ``Mask2FormerLoss`` draws points anywhere in the
image, interpolates with 0 beyond the border, and averages over one process. Here points are centres of *labelled*
pixels, so unlabelled pixels and padding do not count; masks continue beyond the border, as in inference; and the caller
passes the amounts that the sums are divided by, added up over all parts of a batch and all ranks.

Points are drawn from torch's global generator: the same seed gives the same loss.
"""

from __future__ import annotations

from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from transformers.models.mask2former.modeling_mask2former import (
    dice_loss,
    pair_wise_dice_loss,
    pair_wise_sigmoid_cross_entropy_loss,
    sample_point,
    sigmoid_cross_entropy_loss,
)

from mhpmodels.networks.mask2former.targets import Layer, Targets


def layer_loss(
    layer: Layer, targets: list[Targets], weights: Tensor, amounts: tuple[float, float], config: Any
) -> Tensor:
    """Return the loss of a layer's predictions.

    Args:
        layer: predictions for N images, in any floating-point type.
        targets: targets of the N images.
        weights: weight of each class and of "no mask" in the cross-entropy, float32 (classes + 1,).
        amounts: number of masks, and sum of the weights of the queries' classes, that the sums are divided by.
        config: weights of the losses and numbers of points.

    Returns:
        float32 ().
    """
    classes, masks = layer.classes.float(), layer.masks.float()
    wanted = torch.full(classes.shape[:2], len(weights) - 1, dtype=torch.int64, device=classes.device)
    found, positions, true = [], [], []
    for i, of_image in enumerate(targets):
        if not len(of_image.classes):
            continue
        queries, matches = match(classes[i].detach(), masks[i].detach(), of_image, config)
        wanted[i, queries] = of_image.classes[matches]
        places = important_points(masks[i, queries].detach(), of_image, config)
        found.append(values_at(masks[i, queries], places, of_image.size))
        true.append(of_image.masks[matches].gather(1, places).float())
        positions.append(places)
    loss = F.cross_entropy(classes.transpose(1, 2), wanted, weights, reduction="sum") * config.class_weight / amounts[1]
    if not found:
        return loss + 0.0 * masks.sum()  # DDP waits for a gradient of each weight
    logits, labels = torch.cat(found), torch.cat(true)
    loss = loss + config.mask_weight * sigmoid_cross_entropy_loss(logits, labels, amounts[0])
    return loss + config.dice_weight * dice_loss(logits, labels, amounts[0])


@torch.no_grad()
def match(classes: Tensor, masks: Tensor, targets: Targets, config: Any) -> tuple[Tensor, Tensor]:
    """Assign queries to the masks of an image at the lowest total cost.

    Args:
        classes: float32 (Q, classes + 1), logits.
        masks: float32 (Q, h, w), logits.
        targets: M masks.
        config: weights of the costs and number of points.

    Returns:
        int64 (K,) queries and int64 (K,) masks, K = min(Q, M).
    """
    points = random_points(targets.labelled, (1, config.train_num_points))
    logits = values_at(masks, points.expand(len(masks), -1), targets.size)
    true = targets.masks.gather(1, points.expand(len(targets.masks), -1)).float()
    cost = -config.class_weight * classes.softmax(-1)[:, targets.classes]
    cost = cost + config.mask_weight * pair_wise_sigmoid_cross_entropy_loss(logits, true)
    cost = cost + config.dice_weight * pair_wise_dice_loss(logits, true)
    # a step with non-finite logits has a non-finite loss, and the trainer rolls it back
    rows, columns = linear_sum_assignment(torch.nan_to_num(cost, 1e9, 1e9, -1e9).cpu().numpy())
    return torch.from_numpy(rows).to(classes.device), torch.from_numpy(columns).to(classes.device)


@torch.no_grad()
def important_points(masks: Tensor, targets: Targets, config: Any) -> Tensor:
    """Draw labelled pixels for each mask, most of them where its logit is near 0: int64 (K, points), places in a row.

    Args:
        masks: float32 (K, h, w), logits.
        targets: targets of the image.
        config: number of points, and shares of those chosen.
    """
    count = config.train_num_points
    near = int(config.importance_sample_ratio * count)
    drawn = random_points(targets.labelled, (len(masks), int(config.oversample_ratio * count)))
    uncertain = values_at(masks, drawn, targets.size).abs().topk(near, 1, largest=False).indices
    return torch.cat([drawn.gather(1, uncertain), random_points(targets.labelled, (len(masks), count - near))], 1)


def random_points(labelled: Tensor, shape: tuple[int, int]) -> Tensor:
    """Draw labelled pixels, with replacement: int64 of ``shape``, places in a row."""
    return labelled[torch.randint(len(labelled), shape, device=labelled.device)]


def values_at(masks: Tensor, places: Tensor, size: tuple[int, int]) -> Tensor:
    """Return logits (K, h, w), bilinearly interpolated, at pixels (K, P) of an image of ``size``: float32 (K, P)."""
    height, width = size
    x, y = (places % width + 0.5) / width, (places.div(width, rounding_mode="floor") + 0.5) / height
    at = torch.stack([x, y], -1)
    values: Tensor = sample_point(masks[:, None], at, padding_mode="border", align_corners=False)
    return values[:, 0]
