"""Batch normalisation as MXNet computes it, alone or over all ranks.

The rule: the running variance follows the biased variance of the batch (the sum of squares over n, not n - 1), so that
one value a channel gives variance 0. torch's own layers take n - 1: they refuse a single value, and from two values,
which the pyramid's 1 x 1 pooling sees at batch 2, they learn twice the variance.

All layers have the keys of torch's own: weight, bias, running_mean, running_var, num_batches_tracked.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mhpdata.errors import EngineError


class BatchNorm(nn.BatchNorm2d):
    """Over this process's batch; float32, float16 or bfloat16 (N, C, H, W), statistics in float32."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        # F.batch_norm would do but for a single value a channel, which it refuses
        out, mean, inverse = torch.native_batch_norm(x, self.weight, self.bias, None, None, True, 0.0, self.eps)
        self.follow(mean, inverse**-2 - self.eps)
        return out

    @torch.no_grad()
    def follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch."""
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype).clamp(min=0), self.momentum)


class SyncBatchNorm(BatchNorm):
    """Over the batches of all ranks, by a few all-reduces that autograd differentiates: on any device.

    torch's own layer raises on CPU tensors.

    Args:
        of: the layer that it takes the place of, and whose tensors it takes.

    Raises:
        EngineError: ``of`` has no tensors to take.
    """

    def __init__(self, of: nn.BatchNorm2d) -> None:
        if any(value is None for value in (of.weight, of.running_mean, of.momentum)):
            expected = "gamma and beta, running statistics and a momentum"
            remedy = (
                "Leave out --syncbn; to keep it, give this layer of your network affine=True, track_running_stats=True "
                "and a number as momentum."
            )
            raise EngineError(str(of), "cannot be synchronised on the CPU: it lacks some of these", expected, remedy)
        super().__init__(of.num_features, of.eps, of.momentum)
        _take_tensors(self, of)
        self._missing = 0 if isinstance(of, BatchNorm) else 1  # torch's layers take n - 1

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide = x.to(self.weight.dtype)
        count = _AllReduce.apply(wide.new_full((1,), x.numel() // x.shape[1]))
        mean = _AllReduce.apply(wide.sum((0, 2, 3))) / count
        centred = wide - mean[:, None, None]
        variance = _AllReduce.apply((centred * centred).sum((0, 2, 3))) / count
        self.follow(mean, variance * (count / (count - self._missing)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], centred, scale[:, None, None]).to(x.dtype)


class CudaSyncBatchNorm(nn.SyncBatchNorm):
    """torch's own, on CUDA, with BatchNorm's running variance. All ranks have batches of one size.

    Not run, for want of GPUs.
    """

    def __init__(self, of: nn.BatchNorm2d) -> None:
        super().__init__(of.num_features, of.eps, of.momentum)
        _take_tensors(self, of)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        kept = self.running_var * (1 - self.momentum)
        out = super().forward(x)
        count = x.numel() // x.shape[1] * dist.get_world_size()
        self.running_var.sub_(kept).mul_((count - 1) / count).add_(kept)
        return out


def synchronise(network: nn.Module, cuda: bool) -> None:
    """Puts a layer over all ranks in the place of each BatchNorm2d, torch's or ours, with the same tensors and rule.

    Args:
        network: changed in place; of one's own, too.
        cuda: on GPUs, by torch's own layer.

    Raises:
        EngineError: a layer has no gamma and beta, or no running statistics, and ``cuda`` is False.
    """
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(network, name, _synchronised(child, cuda))
        else:
            synchronise(child, cuda)


def _synchronised(layer: nn.BatchNorm2d, cuda: bool) -> nn.Module:
    if not cuda:
        return SyncBatchNorm(layer)
    if isinstance(layer, BatchNorm):
        return CudaSyncBatchNorm(layer)
    return nn.SyncBatchNorm.convert_sync_batchnorm(layer)


def _take_tensors(layer: nn.Module, of: nn.Module) -> None:
    for name, tensor in (*of.named_parameters(), *of.named_buffers()):
        setattr(layer, name, tensor)


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
