"""Save, restore and average a network's buffers, the running statistics that a forward pass changes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mhpmodels.engines.torch.ranks import Ranks


class Statistics:
    """The buffers of a network.

    Args:
        network: network on its device; its buffers must stay the same tensors.
        own: each rank computes statistics of its own images, so they differ until ``settle``.
    """

    def __init__(self, network: nn.Module, own: bool) -> None:
        self._buffers = list(network.buffers())
        self._kept = [buffer.clone() for buffer in self._buffers]
        self._own = [buffer for buffer in self._buffers if buffer.is_floating_point()] if own else []

    def keep(self) -> None:
        """Save the buffers."""
        if self._buffers:
            torch._foreach_copy_(self._kept, self._buffers)

    def restore(self) -> None:
        """Restore the saved buffers, bit for bit."""
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._kept)

    def settle(self, ranks: Ranks) -> None:
        """Replace the statistics of all ranks by their mean, which GluonCV saves, too."""
        if ranks.world_size == 1 or not self._own:
            return
        flat: Tensor = ranks.sum(torch.cat([buffer.flatten() for buffer in self._own])) / ranks.world_size
        for buffer, mean in zip(self._own, flat.split([b.numel() for b in self._own]), strict=True):
            buffer.copy_(mean.view_as(buffer))
