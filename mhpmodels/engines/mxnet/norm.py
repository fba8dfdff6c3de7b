"""Batch normalisation over one or several contexts.

MXNet's SyncBatchNorm computes the variance as E[x^2] - E[x]^2 in float32 without a clamp: if a channel is nearly
constant, rounding makes it negative, and its root is NaN. The layer here subtracts the running mean first. This does
not change the variance, but avoids the cancellation: both terms are then as small as the batch's distance from the
running mean. The operator's running mean is kept in ``shift``, which ``Statistics.settle`` adds to the layer's running
mean after each step, so the weights keep GluonCV's names and meaning.

On a single context BatchNorm computes the same, two to four times faster and without this cancellation.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mhpmodels.engines.mxnet.libraries import mx

SHIFT = "shift"


class SyncBatchNorm(mx.gluon.contrib.nn.SyncBatchNorm):  # type: ignore[misc]
    """MXNet's SyncBatchNorm, centred on the running mean.

    Each of the ``num_devices`` contexts has an equal share of the batch, float32 (N, C, H, W).
    """

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
        """Normalise ``x``, as MXNet's layer; ``F`` is mx.nd or mx.sym, and parameters are in the order of MXNet."""
        centre = F.reshape(F.BlockGrad(running_mean), shape=(1, -1, 1, 1))
        return super().hybrid_forward(F, F.broadcast_sub(x, centre), gamma, beta, shift, running_var)


def norm_layer(syncbn: bool, contexts: int) -> Any:
    """Return the constructor of a normalisation layer, as GluonCV's networks expect it.

    The number of contexts is bound here: GluonCV would pass it as ``norm_kwargs``, which 9 of ICNet's layers drop, and
    a layer without it waits for all GPUs of the machine.
    """
    if syncbn and contexts > 1:
        return partial(SyncBatchNorm, num_devices=contexts)
    return mx.gluon.nn.BatchNorm


class Statistics:
    """The running means and variances of a network, with a backup during a step.

    Without SyncBatchNorm, contexts have different images and thus different statistics; after each step all contexts
    get the mean, which GluonCV saves, too.
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
        """Save the statistics."""
        for array, kept in zip(self._arrays, self._kept, strict=True):
            array.copyto(kept)

    def restore(self) -> None:
        """Restore the saved statistics, bit for bit."""
        for array, kept in zip(self._arrays, self._kept, strict=True):
            kept.copyto(array)

    def settle(self) -> None:
        """Update the running statistics that are saved and used for prediction with those of the step."""
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
