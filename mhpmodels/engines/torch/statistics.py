"""Change, roll back and average a network's buffers, the running statistics that a forward pass updates.

Layers of ``mhpmodels.networks.norm.BatchNorm`` collect the statistics of a step's batches, and follow them in a few
calls for all layers once the step is known to be finite; other buffers change in the forward pass and are copied first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mhpmodels.engines.torch.ranks import Ranks
from mhpmodels.networks.norm import BatchNorm, follow_pending


class Statistics:
    """The buffers of a network.

    Args:
        network: network on its device; its buffers must stay the same tensors.
        own: each rank computes statistics of its own images, so they differ until ``settle``.
        collect: let the layers collect statistics until ``follow``; False for compiled networks, which fuse the updates
            into their kernels.
    """

    def __init__(self, network: nn.Module, own: bool, collect: bool = True) -> None:
        self._layers = [layer for layer in network.modules() if collect and type(layer) is BatchNorm]
        for layer in self._layers:
            layer.pending = []
        collected = {id(buffer) for layer in self._layers for buffer in layer.buffers()}
        buffers = list(network.buffers())
        self._buffers = [buffer for buffer in buffers if id(buffer) not in collected]
        self._kept = [buffer.clone() for buffer in self._buffers]
        saved = network.state_dict()  # others are constants, whose mean would differ by rounding
        named = network.named_buffers() if own else ()
        self._own = [buffer for name, buffer in named if name in saved and buffer.is_floating_point()]

    def keep(self) -> None:
        """Save the buffers before a forward pass."""
        self._forget()
        if self._buffers:
            torch._foreach_copy_(self._kept, self._buffers)

    def restore(self) -> None:
        """Restore the saved buffers, bit for bit."""
        self._forget()
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._kept)

    def follow(self) -> None:
        """Update the running statistics of the layers that collected some."""
        follow_pending(self._layers)

    def settle(self, ranks: Ranks) -> None:
        """Replace the statistics of all ranks by their mean, which GluonCV saves, too."""
        if ranks.world_size == 1 or not self._own:
            return
        flat: Tensor = ranks.sum(torch.cat([buffer.flatten() for buffer in self._own])) / ranks.world_size
        for buffer, mean in zip(self._own, flat.split([b.numel() for b in self._own]), strict=True):
            buffer.copy_(mean.view_as(buffer))

    def _forget(self) -> None:
        for layer in self._layers:
            layer.pending = []
