"""Join the processes that train together: one process per GPU started by torchrun, or a single process.

::

    torchrun --nproc-per-node 8 -m mhptools.train --engine torch --ngpus 8 ...

torchrun sets each process's rank in its environment. GPUs communicate by NCCL, CPUs by gloo. All ranks get the same
sums, bit for bit, so all decide the same about a step.

Tested with gloo between CPUs. Not yet tested: NCCL, which needs a second GPU.
"""

from __future__ import annotations

import os
import signal
import threading
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
"""Longest time that a process waits for others to join."""
IN_A_STEP = 0.5
"""Part of --timeout that a process waits for the others; torchrun may need the rest (mhpmodels.training.launch)."""


class Ranks:
    """Rank and device of this process.

    Args:
        config: ngpus and contexts are used, as numbers of this process or of all processes on this machine.
        training: False ignores the environment and uses a single process.

    Attributes:
        rank: rank of this process, from 0.
        world_size: number of processes, at least 1.
        device: device of this process.

    Raises:
        EngineError: a GPU is missing, the number of processes does not match, or the others cannot be reached.
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
            raise EngineError("contexts", found, "one process per context", remedy)
        self.device = _find_device(local) if config.machine.ngpus else torch.device("cpu")
        self.rank, self.world_size = 0, 1
        self._joined = False
        self._timeout = timedelta(seconds=config.machine.timeout * IN_A_STEP)
        if training and _number("WORLD_SIZE", 1) > 1:
            self._join()

    def _join(self) -> None:
        if not dist.is_initialized():
            rank, world_size = _number("RANK", 0), _number("WORLD_SIZE", 1)
            if rank >= world_size:
                remedy = (
                    "Start several processes with torchrun, which sets RANK and WORLD_SIZE; for a single process, run: "
                    "unset RANK WORLD_SIZE."
                )
                raise EngineError("RANK", f"{rank}", f"0..{world_size - 1}", remedy)
            try:
                with _ended_by_sigterm():
                    joining = min(JOINING, self._timeout)
                    store, rank, world_size = next(dist.rendezvous("env://", timeout=joining))
                    store.set(f"joined {rank}", "")
                    store.wait([f"joined {other}" for other in range(world_size)], joining)
                    backend = "nccl" if self.device.type == "cuda" else "gloo"
                    dist.init_process_group(
                        backend, store=store, rank=rank, world_size=world_size, timeout=self._timeout
                    )
            except (RuntimeError, ValueError) as error:
                found = f"the other processes cannot be reached ({error})"
                remedy = "Run unset MASTER_ADDR MASTER_PORT. Start the processes with torchrun, which sets both."
                raise EngineError("torch.distributed", found, "", remedy) from error
            self._joined = True
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()

    def sum(self, values: Tensor) -> Tensor:
        """Sum a tensor over all ranks, in place, and return it."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def broadcast(self, value: float) -> float:
        """Return rank 0's value on all ranks, once all have called this."""
        if self.world_size == 1:
            return value
        with self.watched():  # a sum, because rank 0 does not wait for the others in torch's own broadcast
            own = torch.tensor(0.0 if self.rank else value, dtype=torch.float64, device=self.device)
            return float(self.sum(own).item())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Convert torch's errors about a lost rank or exhausted memory to EngineError.

        A lost rank leaves the group broken; end the process with :func:`mhpmodels.engines.leaving.leave`.
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
                "Fix the error of the process that failed first, then resume from the last checkpoint with mhp train "
                "--resume and the run's folder."
            )
            found = f"lost another of the {self.world_size} ranks, or failed in a step ({error})"
            raise EngineError(f"rank {self.rank}", found, "", remedy) from error

    def close(self) -> None:
        """Leave the process group if this object joined it."""
        if self._joined:
            self._joined = False
            dist.destroy_process_group()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the process at once: torchrun sends it before a restart, while a call of torch may wait."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    if not value.isdecimal():
        remedy = f"Run unset {name}; torchrun sets this environment variable."
        raise EngineError(name, repr(value), "a number", remedy)
    return int(value)


def _find_device(local: int) -> torch.device:
    check_gpus(local + 1)
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def check_gpus(count: int) -> None:
    """Raise EngineError unless this machine has ``count`` GPUs that torch can use."""
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if seen < count:
        fewer = f", or --ngpus {seen}" if seen else ""
        remedy = (
            f"Pass --ngpus 0 for the CPU{fewer}. If the machine has more GPUs, install torch for its CUDA version "
            "(pytorch.org/get-started)."
        )
        raise EngineError("GPU", f"torch {torch.__version__} sees {seen}", f"at least {count}", remedy)
