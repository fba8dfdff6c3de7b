"""Batch normalisation with an activation, as the extension InPlaceABN computes it in inference.

The extension (mapillary/inplace_abn, before 1.0; its CPU source is ``modules/src/inplace_abn_cpu.cpp`` of SCHP) needs a
compiler. In inference it is plain batch normalisation with two differences: the scale is |weight| + eps, never weight,
and a leaky ReLU with slope 0.01 follows unless it is switched off.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

EPS, SLOPE = 1e-5, 0.01


class ABN(nn.Module):
    """Normalise float32 (N, C, H, W) by the running statistics, then apply the activation.

    Args:
        channels: number of channels.
        active: apply the leaky ReLU.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, active: bool = True) -> None:
        super().__init__()
        self.active = active
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight.abs() + EPS
        x = F.batch_norm(x, self.running_mean, self.running_var, scale, self.bias, eps=EPS)
        return F.leaky_relu(x, SLOPE, inplace=True) if self.active else x
