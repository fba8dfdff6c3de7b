"""Open the devices of a network's replicas, and configure MXNet so that replicas on the CPU do not deadlock.

MXNet's SyncBatchNorm is an operator that waits, inside MXNet's engine, for the same operator on the other contexts.
GPUs have separate resources, but CPU contexts share them: an operator may wait for a resource that is held by an
operator waiting for it. Two settings, which MXNet reads when it is imported, separate CPU contexts:

- ``MXNET_CPU_TEMP_COPY``: number of scratch buffers, used in turn; 2,048 instead of the default 4 is more than a step
  uses, and takes several GB.
- ``MXNET_CPU_WORKER_NTHREADS``: number of threads per context. With one thread, contexts that run the branches of a
  network in different orders wait for each other.

Such a network is not hybridised, either: a graph bundles operators and shares memory between branches, so a dropout on
one context could wait for one that follows a SyncBatchNorm on the other.

This module imports nothing heavy, because it must run before MXNet is imported.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from mhpdata.errors import EngineError, OptionError
from mhpmodels.engines.engine import install

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

APART = {"MXNET_CPU_TEMP_COPY": "2048", "MXNET_CPU_WORKER_NTHREADS": "16"}
"""Environment variables that separate CPU contexts."""


def wait_on_cpu(config: TrainConfig) -> bool:
    """Return whether the config has several CPU contexts that wait for each other, as with SyncBatchNorm."""
    return config.network.syncbn and config.machine.contexts > 1 and not config.machine.ngpus


def keep_apart(config: TrainConfig) -> None:
    """Set the environment that separates the CPU contexts of ``config``, if they wait for each other.

    Raises:
        EngineError: MXNet was already imported without these settings.
    """
    missing = {name: value for name, value in APART.items() if name not in os.environ}
    if not wait_on_cpu(config) or not missing:
        return
    if "mxnet" in sys.modules:
        raise EngineError(
            "contexts",
            f"{config.machine.contexts} on the CPU with syncbn, but MXNet was already imported without "
            f"{' and '.join(missing)}",
            remedy=f"Run {' '.join(f'{n}={value}' for n, value in missing.items())} python ..., or omit syncbn.",
        )
    os.environ.update(missing)


def open_contexts(config: TrainConfig) -> list[Any]:
    """Return the contexts of ``config``: its GPUs, or CPU contexts if ``ngpus`` is 0.

    Raises:
        EngineError: MXNet finds fewer GPUs.
    """
    from mhpmodels.engines.mxnet.libraries import mx

    if not config.machine.ngpus:
        return [mx.cpu(number) for number in range(config.machine.contexts)]
    try:
        seen = mx.context.num_gpus()
    except mx.MXNetError as error:  # the driver does not respond
        remedy = "Pass --ngpus 0 to use the CPU, or check the driver with nvidia-smi."
        raise EngineError("engine mxnet", f"no GPU responds ({error})", remedy=remedy) from error
    if seen < config.machine.ngpus:
        remedy = (
            f"Pass --ngpus {seen}{' for the CPU' if not seen else ''}, or install MXNet for the machine's CUDA. "
            f"{install('mxnet-cu112')} for CUDA 11.2, or mxnet-cu101 for CUDA 10.1."
        )
        raise EngineError("ngpus", f"{config.machine.ngpus}, but MXNet {mx.__version__} sees {seen}", "", remedy)
    return [mx.gpu(number) for number in range(config.machine.ngpus)]


def check_supported(config: TrainConfig) -> None:
    """Raise OptionError for options that this engine does not support."""
    if config.optim.dtype != "float32":
        remedy = f"Pass --engine torch to use {config.optim.dtype}, or omit --dtype."
        raise OptionError(
            "dtype", f"{config.optim.dtype} with engine mxnet", "float32 (the only type of its SyncBatchNorm)", remedy
        )
