"""The devices that a network's replicas are on, and what MXNet must be told before several can work together.

MXNet's SyncBatchNorm is an operator that waits, inside MXNet's engine, for the same operator on the other contexts.
On GPUs each context has its own resources. CPU contexts share them, and what waits for a shared resource behind a
waiting operator waits forever. Three settings, which MXNet reads when it is imported, keep CPU contexts apart:

- ``MXNET_CPU_TEMP_COPY``: pieces of scratch memory, lent in turn; more than a step lends (2,048 at several GB, where 4
  are usual).
- ``MXNET_CPU_WORKER_NTHREADS``: threads a context. With one, branches of a network that come in another order on the
  other context wait for each other.
- ``MXNET_EXEC_BULK_EXEC_TRAIN``: 0, or operators are bundled and the bundle waits for all that any of them needs.

Imports nothing heavy: it must run before MXNet is imported.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from mhpdata.errors import EngineError, OptionError

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

APART = {"MXNET_CPU_TEMP_COPY": "2048", "MXNET_CPU_WORKER_NTHREADS": "16", "MXNET_EXEC_BULK_EXEC_TRAIN": "0"}
"""Environment of a process in which CPU contexts wait for each other."""


def keep_apart(config: TrainConfig) -> None:
    """Tells MXNet to keep the CPU contexts of ``config`` apart, where they wait for each other.

    Raises:
        EngineError: MXNet has been imported already and was not told.
    """
    if config.ngpus or config.contexts == 1 or not config.syncbn:
        return
    missing = {name: value for name, value in APART.items() if name not in os.environ}
    if missing and "mxnet" in sys.modules:
        raise EngineError(
            "engine mxnet",
            f"MXNet is imported already, and {', '.join(missing)} not set",
            "a process that can synchronise several CPU contexts",
            f"Start Python with {' '.join(f'{name}={value}' for name, value in missing.items())}.",
        )
    os.environ.update(missing)


def open_contexts(config: TrainConfig) -> list[Any]:
    """The contexts of ``config``: that many GPUs, or CPU contexts.

    Raises:
        EngineError: MXNet does not see so many GPUs.
    """
    from mhpmodels.engines.mxnet.libraries import mx

    if not config.ngpus:
        return [mx.cpu(number) for number in range(config.contexts)]
    try:
        seen = mx.context.num_gpus()
    except mx.MXNetError as error:  # a driver that does not answer
        raise EngineError("engine mxnet", f"no GPU ({error})", remedy="Pass --ngpus 0.") from error
    if seen < config.ngpus:
        remedy = "Pass --ngpus 0 for the CPU, or install the mxnet-cu build of your CUDA."
        raise EngineError("ngpus", f"{config.ngpus}, of which MXNet {mx.__version__} sees {seen}", "", remedy)
    return [mx.gpu(number) for number in range(config.ngpus)]


def check_supported(config: TrainConfig) -> None:
    """Raises OptionError for what this engine does not have."""
    if config.dtype != "float32":
        remedy = "Use --engine torch for mixed precision."
        raise OptionError("dtype", f"{config.dtype} with engine mxnet", "float32 (SyncBatchNorm has no other)", remedy)
