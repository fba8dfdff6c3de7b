"""Batch normalisation over one context or several.

MXNet's SyncBatchNorm takes the variance as E[x^2] - E[x]^2 in float32, without a clamp: where a channel is nearly
constant, rounding makes that negative, and its root NaN. The layer here takes the running mean off first, which changes
nothing in the result, since a shift of x shifts its mean, and everything in the rounding: both terms are then as small
as the batch's distance from the running mean. What the operator then counts as the mean goes into ``shift``, which
``Statistics.settle`` adds to the running mean after each step, so the weights keep GluonCV's names and meaning.

On one context plain BatchNorm is the same function, two to four times faster, and has no such cancellation.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mhpmodels.engines.mxnet.libraries import mx

SHIFT = "shift"


class SyncBatchNorm(mx.gluon.contrib.nn.SyncBatchNorm):  # type: ignore[misc]
    """MXNet's layer about its running mean; float32 (N, C, H, W), equal shares on each of ``num_devices`` contexts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        shape = self.running_mean.shape
        with self.name_scope():
            self.shift = self.params.get(
                SHIFT, grad_req="null", shape=shape, init="zeros", allow_deferred_init=True, differentiable=False
            )

    def hybrid_forward(
        self,
        F: Any,  # noqa: N803
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        shift: Any,
    ) -> Any:
        """``F`` is mx.nd or mx.sym; the others are in the parameters' order of GluonCV and ``shift``."""
        centre = F.reshape(F.BlockGrad(running_mean), shape=(1, -1, 1, 1))
        return super().hybrid_forward(F, F.broadcast_sub(x, centre), gamma, beta, shift, running_var)


def norm_layer(syncbn: bool, contexts: int) -> Any:
    """What makes a normalisation layer, as GluonCV's networks take it.

    The number of contexts is bound here, for every layer: GluonCV hands it on as ``norm_kwargs``, which 9 of ICNet's
    layers drop, and a layer without it waits for every GPU that the machine has.
    """
    if syncbn and contexts > 1:
        return partial(SyncBatchNorm, num_devices=contexts)
    return mx.gluon.nn.BatchNorm


class Statistics:
    """The running means and variances of a network, kept aside during a step.

    Contexts see different images, so without SyncBatchNorm their statistics differ; after each step all have the mean
    of them, which is what GluonCV saves.
    """

    def __init__(self, network: Any) -> None:
        layers: list[Any] = []
        network.apply(lambda block: layers.append(block) if isinstance(block, mx.gluon.nn.BatchNorm) else None)
        self._synchronised = [layer for layer in layers if isinstance(layer, SyncBatchNorm)]
        own = [layer for layer in layers if not isinstance(layer, SyncBatchNorm)]
        self._own = [parameter for layer in own for parameter in (layer.running_mean, layer.running_var)]
        changing = [parameter for layer in self._synchronised for parameter in (layer.shift, layer.running_var)]
        self._arrays = [array for parameter in (*changing, *self._own) for array in parameter.list_data()]
        self._kept = [array.copy() for array in self._arrays]

    def keep(self) -> None:
        """Remember them as they are."""
        for array, kept in zip(self._arrays, self._kept, strict=True):
            array.copyto(kept)

    def restore(self) -> None:
        """Put them back as they were, bit for bit."""
        for array, kept in zip(self._arrays, self._kept, strict=True):
            kept.copyto(array)

    def settle(self) -> None:
        """Carry what the step has counted into what is saved and predicted with."""
        for layer in self._synchronised:
            for mean, shift in zip(layer.running_mean.list_data(), layer.shift.list_data(), strict=True):
                mean += shift
                shift[:] = 0
        for parameter in self._own:
            arrays = parameter.list_data()
            if len(arrays) > 1:
                total = arrays[0].copy()
                for array in arrays[1:]:
                    total += array.as_in_context(total.context)
                total /= len(arrays)
                for array in arrays:
                    total.copyto(array)
