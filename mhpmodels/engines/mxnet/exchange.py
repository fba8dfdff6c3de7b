"""Sums over contexts and ranks, by MXNet's kvstore.

One context of one process needs none. ``device`` and ``local`` sum over the contexts of this process, ``dist_sync`` and
``dist_device_sync`` over those of all processes, too. All get the same sum, bit for bit, so all come to the same
decision about a step.

Processes are started as MXNet wants it, by its ``tools/launch.py`` or by hand: a scheduler, servers and workers, told
apart by environment variables. A process that is no worker serves as soon as it imports MXNet.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mhpdata.errors import EngineError, OptionError
from mhpmodels.engines.mxnet.libraries import mx

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

KVSTORES = ("device", "local", "dist_sync", "dist_device_sync")
_ADDRESS = ("DMLC_ROLE", "DMLC_PS_ROOT_URI", "DMLC_PS_ROOT_PORT", "DMLC_NUM_WORKER", "DMLC_NUM_SERVER")


class Exchange:
    """Who trains together, and their sums.

    Args:
        config: kvstore and contexts.
        gradients: of each weight, the arrays on this process's contexts; their shapes are all that is used.

    Attributes:
        rank, world_size: of this process.

    Raises:
        OptionError: no kvstore of that name.
        EngineError: a distributed one without the processes' addresses.
    """

    def __init__(self, config: TrainConfig, gradients: Sequence[Sequence[Any]]) -> None:
        kind = config.machine.kvstore
        if kind not in KVSTORES:
            remedy = "Pass device for one machine, or dist_sync for several."
            raise OptionError("kvstore", repr(kind), " or ".join(KVSTORES), remedy)
        self.rank, self.world_size = 0, 1
        self._store: Any = None
        distributed = kind.startswith("dist")
        if distributed:
            missing = [name for name in _ADDRESS if name not in os.environ]
            if missing:
                remedy = (
                    "On one machine pass --kvstore device; on several, start it by tools/launch.py of MXNet's source."
                )
                raise EngineError("kvstore", f"{kind} without {', '.join(missing)} in the environment", "", remedy)
        if not distributed and len(gradients[0]) == 1:
            return
        self._store = mx.kv.create(kind)
        self.rank, self.world_size = self._store.rank, self._store.num_workers
        self._number = mx.nd.zeros((1,))
        self._store.init("number", self._number)
        for key, arrays in enumerate(gradients):
            self._store.init(str(key), mx.nd.zeros_like(arrays[0]))

    def sum_gradients(self, gradients: Sequence[Sequence[Any]]) -> None:
        """Replaces every array by the sum over all contexts and ranks."""
        if self._store is None:
            return
        for key, arrays in enumerate(gradients):
            self._store.push(str(key), list(arrays), priority=-key)
        for key, arrays in enumerate(gradients):
            self._store.pull(str(key), out=list(arrays), priority=-key)

    def sum_number(self, value: float) -> float:
        """The sum of a number over all ranks, in float32."""
        if self.world_size == 1:
            return value
        self._store.push("number", mx.nd.full((1,), value))
        self._store.pull("number", out=self._number)
        return float(self._number.asscalar())
