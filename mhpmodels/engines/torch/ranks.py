"""The processes that train together: started by torchrun, one a GPU, or one on the CPU alone.

::

    torchrun --nproc-per-node 8 -m mhptools.train --engine torch --ngpus 8 ...

torchrun tells each process its rank in the environment. GPUs talk by NCCL, CPUs by gloo. All get the same sums, bit for
bit, so all come to the same decision about a step.

Run here: gloo between CPUs. Not run, for want of a second GPU: NCCL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from mhpdata.errors import EngineError, MhpError
from mhpmodels.engines.batch import less_memory
from mhpmodels.engines.leaving import mark_broken

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

JOINING = timedelta(minutes=10)
"""A process that is not there so long after the first is not waited for."""
PATIENCE = timedelta(hours=4)
"""Those that have met wait so long for rank 0, which validates alone. Of one that ends gloo tells at once, under NCCL
torchrun."""


class Ranks:
    """This process's place and device.

    Args:
        config: ngpus and contexts: of this process, or of all on this machine.
        training: False: alone, whatever the environment says.

    Attributes:
        rank, world_size: 0 and 1 where alone.
        device: of this process.

    Raises:
        EngineError: the GPUs are not there, there are too few processes for them, or the others cannot be reached.
    """

    def __init__(self, config: TrainConfig, training: bool) -> None:
        self._less_memory = less_memory(config, training)
        local, beside = _number("LOCAL_RANK", 0), _number("LOCAL_WORLD_SIZE", 1)
        if training and config.machine.contexts not in (1, beside):
            what = (
                f"--ngpus {config.machine.contexts}"
                if config.machine.ngpus
                else f"--ngpus 0 --contexts {config.machine.contexts}"
            )
            remedy = f"Run: torchrun --nproc-per-node {config.machine.contexts} -m mhptools.train {what} ..."
            found = f"{config.machine.contexts}, and {beside} process{'es' * (beside != 1)} on this machine"
            raise EngineError("contexts", found, "a process for each", remedy)
        self.device = _find_device(local) if config.machine.ngpus else torch.device("cpu")
        self.rank, self.world_size = 0, 1
        self._joined = False
        if training and _number("WORLD_SIZE", 1) > 1:
            self._join()

    def _join(self) -> None:
        if not dist.is_initialized():
            rank, world_size = _number("RANK", 0), _number("WORLD_SIZE", 1)
            if rank >= world_size:
                remedy = (
                    "For several processes use torchrun, which sets both; to train alone, run: unset RANK WORLD_SIZE."
                )
                raise EngineError("RANK", f"{rank}", f"0..{world_size - 1}, as torchrun sets it", remedy)
            try:
                store, rank, world_size = next(dist.rendezvous("env://", timeout=JOINING))
                store.set(f"joined {rank}", "")
                store.wait([f"joined {other}" for other in range(world_size)], JOINING)
                backend = "nccl" if self.device.type == "cuda" else "gloo"
                dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=PATIENCE)
            except (RuntimeError, ValueError) as error:
                found = f"the other processes cannot be reached ({error})"
                remedy = "Start the processes with torchrun, which sets MASTER_ADDR and MASTER_PORT: unset both before."
                raise EngineError("torch.distributed", found, "", remedy) from error
            self._joined = True
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all ranks, in place."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turn what torch raises when another rank is lost, or memory is short, into an EngineError.

        A lost rank leaves the group broken: end the process with :func:`mhpmodels.engines.leaving.leave`.
        """
        try:
            yield
        except MhpError:
            raise
        except torch.OutOfMemoryError as error:
            raise EngineError(f"{self.device}", f"out of memory ({error})", "", self._less_memory) from error
        except RuntimeError as error:
            if self.world_size == 1:
                raise
            mark_broken()
            remedy = (
                "Mend what the message of the process that failed first says; then go on from the last checkpoint with "
                "mhp-train --resume RUN, the run's folder."
            )
            found = f"lost another of the {self.world_size} ranks, or failed in a step ({error})"
            raise EngineError(f"rank {self.rank}", found, "", remedy) from error

    def close(self) -> None:
        """Leave the group, if it was joined here."""
        if self._joined:
            self._joined = False
            dist.destroy_process_group()


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    if not value.isdecimal():
        remedy = f"Run: unset {name}; torchrun sets this environment variable itself."
        raise EngineError(name, repr(value), "a number, as torchrun sets it", remedy)
    return int(value)


def _find_device(local: int) -> torch.device:
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if local >= seen:
        found = f"torch {torch.__version__} sees {seen}, and number {local}, counted from 0, is asked for"
        fewer = f", --ngpus {seen} for {'those' if seen > 1 else 'that one'}" if seen else ""
        remedy = (
            f"Pass --ngpus 0 for the CPU{fewer}. If the machine has more, install the torch of its CUDA "
            "(pytorch.org/get-started)."
        )
        raise EngineError("GPU", found, "", remedy)
    torch.cuda.set_device(local)
    return torch.device("cuda", local)
