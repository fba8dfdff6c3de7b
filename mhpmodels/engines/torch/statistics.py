"""A network's buffers, the running statistics, which a forward pass changes: kept aside, put back, averaged."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mhpmodels.engines.torch.ranks import Ranks


class Statistics:
    """The buffers of a network.

    Args:
        network: on its device; its buffers stay the same tensors.
        own: each rank's follow its own images, so they differ until ``settle``.
    """

    def __init__(self, network: nn.Module, own: bool) -> None:
        self._buffers = list(network.buffers())
        self._kept = [buffer.clone() for buffer in self._buffers]
        self._own = [buffer for buffer in self._buffers if buffer.is_floating_point()] if own else []

    def keep(self) -> None:
        """Remember them as they are."""
        if self._buffers:
            torch._foreach_copy_(self._kept, self._buffers)

    def restore(self) -> None:
        """Put them back as they were, bit for bit."""
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._kept)

    def settle(self, ranks: Ranks) -> None:
        """Give all ranks the mean of their own statistics, which is what GluonCV saves."""
        if ranks.world_size == 1 or not self._own:
            return
        flat: Tensor = ranks.sum(torch.cat([buffer.flatten() for buffer in self._own])) / ranks.world_size
        for buffer, mean in zip(self._own, flat.split([b.numel() for b in self._own]), strict=True):
            buffer.copy_(mean.view_as(buffer))
