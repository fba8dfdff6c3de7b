"""Batch normalisation as MXNet computes it, within one process or over all ranks.

The rule: the running variance follows the biased variance of the batch (the sum of squares over n, not n - 1), so one
value per channel gives variance 0. torch's own layers divide by n - 1: they reject a single value, and from two values,
as in the pyramid's 1 x 1 pooling at batch 2, they record twice the variance.

All layers have the state-dict keys of torch's layers: weight, bias, running_mean, running_var, num_batches_tracked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mhpdata.errors import EngineError


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation of this process's batch: float32, float16 or bfloat16 (N, C, H, W), float32 statistics.

    Attributes:
        pending: the mean and the inverse deviation of each batch that the running statistics have not yet followed, in
            order, for ``follow_pending``; None, the default, follows each batch at once.
    """

    pending: list[tuple[Tensor, Tensor]] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        # unlike F.batch_norm, native_batch_norm accepts a single value per channel
        out, mean, inverse = torch.native_batch_norm(x, self.weight, self.bias, None, None, True, 0.0, self.eps)
        if self.pending is None:
            self.follow(mean, inverse**-2 - self.eps)
        else:
            self.pending.append((mean, inverse))
        return out

    @torch.no_grad()
    def follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards a batch's mean and variance, each float32 (C,)."""
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype).clamp(min=0), self.momentum)


@torch.no_grad()
def follow_pending(layers: Sequence[BatchNorm]) -> None:
    """Let layers follow their pending batches: the results of ``follow``, bit for bit, in few calls for all layers."""
    while waiting := [(layer, layer.pending.pop(0)) for layer in layers if layer.pending]:
        groups: dict[tuple[Any, ...], list[tuple[BatchNorm, tuple[Tensor, Tensor]]]] = {}
        for layer, batch in waiting:
            groups.setdefault((layer.eps, layer.momentum, layer.running_mean.dtype), []).append((layer, batch))
        for (eps, momentum, dtype), pairs in groups.items():
            group, batches = [layer for layer, _ in pairs], [batch for _, batch in pairs]
            variances = torch._foreach_pow([inverse for _, inverse in batches], -2)
            torch._foreach_sub_(variances, eps)
            means, variances = [mean.to(dtype) for mean, _ in batches], [variance.to(dtype) for variance in variances]
            torch._foreach_clamp_min_(variances, 0)
            torch._foreach_add_([layer.num_batches_tracked for layer in group], 1)
            torch._foreach_lerp_([layer.running_mean for layer in group], means, momentum)
            torch._foreach_lerp_([layer.running_var for layer in group], variances, momentum)


class SyncBatchNorm(BatchNorm):
    """Batch normalisation over the batches of all ranks, by differentiable all-reduces, on any device.

    torch's own layer supports CUDA tensors only.

    Args:
        of: the layer to replace; its tensors are shared.

    Raises:
        EngineError: ``of`` has no gamma and beta, no running statistics or no momentum.
    """

    def __init__(self, of: nn.BatchNorm2d) -> None:
        if any(value is None for value in (of.weight, of.running_mean, of.momentum)):
            expected = "gamma and beta, running statistics and a momentum"
            remedy = (
                "Omit --syncbn, or construct this layer of your network with affine=True, track_running_stats=True and "
                "a number as momentum."
            )
            raise EngineError(str(of), "cannot be synchronised on the CPU", f"a layer with {expected}", remedy)
        super().__init__(of.num_features, of.eps, of.momentum)
        _take_tensors(self, of)
        self._missing = 0 if isinstance(of, BatchNorm) else 1  # torch's layers divide by n - 1

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
    """torch's SyncBatchNorm on CUDA, with BatchNorm's running variance. All ranks need batches of the same size.

    Not yet tested, because it needs two GPUs.

    Args:
        of: the layer to replace; its tensors are shared.
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
    """Replace each BatchNorm2d, torch's or ours, by a layer over all ranks that shares its tensors and variance rule.

    Args:
        network: any network; changed in place.
        cuda: use torch's own synchronised layer, which needs GPUs.

    Raises:
        EngineError: ``cuda`` is False, and a layer has no gamma and beta, no running statistics or no momentum.
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
    """Sum a tensor over all ranks. Every rank's loss depends on the sum, so the gradient is summed, too."""

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
