"""Start one process per device for the torch engine, by replacing the command with torchrun."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mhpdata.threads import usable_cores
from mhpmodels.config import TrainConfig


def launch_ranks(config: TrainConfig, module: str, arguments: Sequence[str]) -> None:
    """Replace this process with torchrun if ``config`` needs several processes and torchrun has not started them yet.

    Args:
        config: configuration with the engine and the number of contexts.
        module: module to run, as for ``python -m``.
        arguments: command-line arguments of the module.
    """
    if config.machine.engine != "torch" or config.machine.contexts == 1 or "LOCAL_RANK" in os.environ:
        return
    # if unset, torchrun gives each process one thread and prints a warning
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // config.machine.contexts)))
    torchrun = [sys.executable, "-m", "mhpmodels.engines.torch.torchrun"]
    torchrun += ["--standalone", f"--nproc-per-node={config.machine.contexts}"]
    os.execv(sys.executable, [*torchrun, "-m", module, *arguments])
