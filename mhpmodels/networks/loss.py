"""Networks that compute a loss of their own, in place of the cross-entropy of their logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class LossNetwork(nn.Module, ABC):
    """A network with a loss of its own.

    A loss is a sum over an image's pixels or masks, divided by amounts of the whole batch. The trainer adds these up
    over the parts of a batch and over all ranks, so the gradient does not depend on how a batch is divided.
    """

    @abstractmethod
    def amounts(self, labels: Tensor, persons: Tensor | None) -> Tensor:
        """Return the amounts of these images: float64 (k,).

        Args:
            labels: int64 (N, H, W), a label, or 255 for unlabelled pixels.
            persons: uint8 (N, K, H, W), the whole mask of each person as in ``mhpdata.Batch.masks``; None for none.
        """

    @abstractmethod
    def loss(self, outputs: Any, labels: Tensor, persons: Tensor | None, amounts: list[float]) -> Tensor:
        """Return the share of these images in the loss: float32 ().

        Args:
            outputs: what the network returned for the images in training.
            labels, persons: as for ``amounts``.
            amounts: amounts of the whole batch, of all ranks.
        """
