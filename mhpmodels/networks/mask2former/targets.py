"""The masks that Mask2Former's queries learn: each label of an image, all persons together, and each person, whole.

Class c is label c, including 0 for background; the class after the last label is *person*. The product of a person's
mask and the masks of the labels is that person's parse.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mhpdata.labels import IGNORE


class Layer(NamedTuple):
    """The predictions of one layer: class logits (N, Q, classes + 1), the last of no mask; mask logits (N, Q, h, w)."""

    classes: Tensor
    masks: Tensor


class Targets(NamedTuple):
    """The targets of an image: M masks of P pixels.

    Attributes:
        classes: int64 (M,), class of each mask.
        masks: bool (M, P), pixels in reading order.
        labelled: int64 (L,), places of the labelled pixels; losses look at no other.
        size: (height, width) of the image.
    """

    classes: Tensor
    masks: Tensor
    labelled: Tensor
    size: tuple[int, int]


def targets_of(labels: Tensor, persons: Tensor | None, classes: int) -> Targets:
    """Return the targets of an image.

    Args:
        labels: int64 (H, W), a label, or 255 for unlabelled pixels.
        persons: uint8 (K, H, W), the whole mask of each person, 0 outside, 255 where unlabelled; None for no persons.
            Persons without a labelled pixel have no target.
        classes: number of labels, the class of persons.
    """
    flat = labels.reshape(-1)
    labelled = (flat != IGNORE).nonzero()[:, 0]
    present = flat[labelled].unique()
    masks = flat[None] == present[:, None]
    if persons is not None:
        people = persons.flatten(1)
        people = (people != 0) & (people != IGNORE)
        people = people[people[:, labelled].any(1)]
        masks = torch.cat([masks, people])
        present = torch.cat([present, present.new_full((len(people),), classes)])
    height, width = labels.shape
    return Targets(present, masks, labelled, (height, width))
