"""The devices that a network's replicas are on, and what MXNet must be told before several can work together.

MXNet's SyncBatchNorm is an operator that waits, inside MXNet's engine, for the same operator on the other contexts.
GPUs have resources of their own. CPU contexts share them, and an operator that wants what another holds while it waits
may be the one that is waited for. Two settings, which MXNet reads when it is imported, keep CPU contexts apart:

- ``MXNET_CPU_TEMP_COPY``: pieces of scratch memory, lent in turn; more than a step lends (2,048 where 4 are usual, and
  they take several GB).
- ``MXNET_CPU_WORKER_NTHREADS``: threads a context. With one, branches of a network that come in another order on the
  other context wait for each other.

And such a network is not hybridised: a graph's bundles of operators, and the memory that its branches share, let a
dropout on one context wait for one on the other behind a SyncBatchNorm.

Imports nothing heavy: it must run before MXNet is imported.
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
"""Environment of a process in which CPU contexts wait for each other."""


def wait_on_cpu(config: TrainConfig) -> bool:
    """Whether CPU contexts of ``config`` wait for each other."""
    return config.network.syncbn and config.machine.contexts > 1 and not config.machine.ngpus


def keep_apart(config: TrainConfig) -> None:
    """Tells MXNet to keep the CPU contexts of ``config`` apart, where they wait for each other.

    Raises:
        EngineError: MXNet has been imported already and was not told.
    """
    missing = {name: value for name, value in APART.items() if name not in os.environ}
    if not wait_on_cpu(config) or not missing:
        return
    if "mxnet" in sys.modules:
        raise EngineError(
            "contexts",
            f"{config.machine.contexts} on the CPU with syncbn, and MXNet is imported already without "
            f"{' and '.join(missing)}",
            remedy=f"Set them before Python starts: {' '.join(f'{n}={value}' for n, value in missing.items())} python "
            "...; or leave syncbn out.",
        )
    os.environ.update(missing)


def open_contexts(config: TrainConfig) -> list[Any]:
    """The contexts of ``config``: that many GPUs, or CPU contexts.

    Raises:
        EngineError: MXNet does not see so many GPUs.
    """
    from mhpmodels.engines.mxnet.libraries import mx

    if not config.machine.ngpus:
        return [mx.cpu(number) for number in range(config.machine.contexts)]
    try:
        seen = mx.context.num_gpus()
    except mx.MXNetError as error:  # a driver that does not answer
        remedy = "Pass --ngpus 0 to use the CPU, or let nvidia-smi show whether the driver works."
        raise EngineError("engine mxnet", f"no GPU answers ({error})", remedy=remedy) from error
    if seen < config.machine.ngpus:
        remedy = (
            f"Pass --ngpus {seen}{' for the CPU' if not seen else ''}; or, with CUDA 11.2 on this machine: "
            f"{install('mxnet-cu112')}; with CUDA 10.1 the same with mxnet-cu101."
        )
        raise EngineError("ngpus", f"{config.machine.ngpus}, of which MXNet {mx.__version__} sees {seen}", "", remedy)
    return [mx.gpu(number) for number in range(config.machine.ngpus)]


def check_supported(config: TrainConfig) -> None:
    """Raises OptionError for what this engine does not have."""
    if config.optim.dtype != "float32":
        remedy = f"For {config.optim.dtype} pass --engine torch; to stay with MXNet leave --dtype out, or pass float32."
        raise OptionError(
            "dtype", f"{config.optim.dtype} with engine mxnet", "float32 (SyncBatchNorm has no other)", remedy
        )
