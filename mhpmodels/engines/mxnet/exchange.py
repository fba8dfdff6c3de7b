"""Sum over contexts and ranks with MXNet's kvstore.

A single context in a single process needs no kvstore. ``device`` and ``local`` sum over the contexts of this process,
``dist_sync`` and ``dist_device_sync`` over those of all processes. All get the same sum, bit for bit, so all decide the
same about a step.

The processes (a scheduler, servers and workers) are started by MXNet's ``tools/launch.py`` or by hand; environment
variables set their roles (docs/cluster.md). The scheduler and the servers start to serve as soon as they import MXNet.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from mhpdata.errors import EngineError, OptionError
from mhpdata.wording import either
from mhpmodels.engines.leaving import limited
from mhpmodels.engines.mxnet.libraries import mx

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

KVSTORES = ("device", "local", "dist_sync", "dist_device_sync")
_ADDRESS = ("DMLC_ROLE", "DMLC_PS_ROOT_URI", "DMLC_PS_ROOT_PORT", "DMLC_NUM_WORKER", "DMLC_NUM_SERVER")


class Exchange:
    """Sums over contexts and ranks.

    Args:
        config: kvstore and contexts are used.
        gradients: per weight, the arrays on this process's contexts; only their shapes are used.

    Attributes:
        rank: rank of this process, from 0.
        world_size: number of processes that train together, at least 1.

    Raises:
        OptionError: the kvstore is unknown.
        EngineError: a distributed kvstore, but the addresses of the processes are missing.
    """

    def __init__(self, config: TrainConfig, gradients: Sequence[Sequence[Any]]) -> None:
        kvstore = config.machine.kvstore
        if kvstore not in KVSTORES:
            remedy = "Pass device for one machine, or dist_sync for several."
            raise OptionError("kvstore", repr(kvstore), either(KVSTORES), remedy)
        self.rank, self.world_size = 0, 1
        self._store: Any = None
        distributed = kvstore.startswith("dist")
        self._timeout = config.machine.timeout if distributed else None
        if distributed:
            missing = [name for name in _ADDRESS if name not in os.environ]
            if missing:
                remedy = (
                    "Pass --kvstore device for one machine, or start a scheduler, servers and workers as "
                    "docs/cluster.md describes."
                )
                raise EngineError("kvstore", f"{kvstore} without {', '.join(missing)} in the environment", "", remedy)
        if not distributed and len(gradients[0]) == 1:
            return
        with self.limited():
            self._store = mx.kv.create(kvstore)
            self.rank, self.world_size = self._store.rank, self._store.num_workers
            self._number = mx.nd.zeros((1,))
            self._store.init("number", self._number)
            for key, arrays in enumerate(gradients):
                self._store.init(str(key), mx.nd.zeros_like(arrays[0]))

    def limited(self) -> AbstractContextManager[None]:
        """Return a block that ends the process after --timeout: MXNet waits forever for a process that is lost."""
        if self._timeout is None:
            return nullcontext()
        return limited(
            self._timeout,
            f"rank {self.rank}: the other processes have not answered for {self._timeout:g} s. End all processes, "
            "the scheduler and the servers, too, and start them again with --auto-resume.",
        )

    def sum_gradients(self, gradients: Sequence[Sequence[Any]]) -> None:
        """Replace every array by the sum over all contexts and ranks."""
        if self._store is None:
            return
        for key, arrays in enumerate(gradients):
            self._store.push(str(key), list(arrays), priority=-key)
        for key, arrays in enumerate(gradients):
            self._store.pull(str(key), out=list(arrays), priority=-key)

    def sum_number(self, value: float) -> float:
        """Return the sum of a number over all ranks, computed in float32."""
        if self.world_size == 1:
            return value
        with self.limited():
            self._store.push("number", mx.nd.full((1,), value))
            self._store.pull("number", out=self._number)
            return float(self._number.asscalar())
