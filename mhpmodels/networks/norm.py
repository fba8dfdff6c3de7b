"""Batch normalisation as MXNet computes it, alone or over all ranks.

The rule: the running variance follows the biased variance of the batch (the sum of squares over n, not n - 1), so that
one value a channel gives variance 0. torch's own layers take n - 1: they refuse a single value, and from two values,
which the pyramid's 1 x 1 pooling sees at batch 2, they learn twice the variance.

The state dict has torch's own keys: weight, bias, running_mean, running_var, num_batches_tracked.

On CUDA, SyncBatchNorm is torch's, with its running variance put right afterwards. torch's raises on CPU tensors; there
a twin of a few all-reduces stands in, which autograd differentiates.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class BatchNorm(nn.BatchNorm2d):
    """Over this process's batch; float32, float16 or bfloat16 (N, C, H, W), statistics in float32."""

    def forward(self, x: Tensor) -> Tensor:
        return _alone(self, x)


class SyncBatchNorm(nn.SyncBatchNorm):
    """Over the batches of all ranks, which may differ in size or be empty; alone, the same as BatchNorm."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not dist.is_initialized() or dist.get_world_size() == 1:
            return _alone(self, x)
        return self._on_cuda(x) if x.is_cuda else self._by_all_reduce(x)

    def _on_cuda(self, x: Tensor) -> Tensor:
        kept = self.running_var * (1 - self.momentum)
        out = super().forward(x)
        count = x.numel() // x.shape[1] * dist.get_world_size()  # asking the others would cost a collective a layer
        if count > 1:
            self.running_var.sub_(kept).mul_((count - 1) / count).add_(kept)
        return out

    def _by_all_reduce(self, x: Tensor) -> Tensor:
        wide = x.to(self.weight.dtype)
        count = _AllReduce.apply(wide.new_full((1,), x.numel() // x.shape[1]))
        mean = _AllReduce.apply(wide.sum((0, 2, 3))) / count
        centred = wide - mean[:, None, None]
        variance = _AllReduce.apply((centred * centred).sum((0, 2, 3))) / count
        _follow(self, mean, variance)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], centred, scale[:, None, None]).to(x.dtype)


class _AllReduce(torch.autograd.Function):
    """The sum over all ranks; every rank's loss depends on it, so the gradient is summed, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


def _alone(layer: nn.Module, x: Tensor) -> Tensor:
    if not layer.training:
        return F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=layer.eps)
    if not len(x):
        return x
    # F.batch_norm would do but for a single value a channel, which it refuses
    out, mean, inverse = torch.native_batch_norm(x, layer.weight, layer.bias, None, None, True, 0.0, layer.eps)
    _follow(layer, mean, inverse**-2 - layer.eps)
    return out


@torch.no_grad()
def _follow(layer: nn.Module, mean: Tensor, variance: Tensor) -> None:
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), layer.momentum)
    layer.running_var.lerp_(variance.to(layer.running_var.dtype).clamp(min=0), layer.momentum)
