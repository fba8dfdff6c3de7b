"""One process a device, for the torch engine: the command becomes torchrun, which starts it again so many times."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mhpdata.threads import usable_cores
from mhpmodels.config import TrainConfig


def launch_ranks(config: TrainConfig, module: str, arguments: Sequence[str]) -> None:
    """Replaces this process by torchrun where ``config`` asks for several and nobody has started them yet.

    Args:
        config: engine and contexts.
        module: to run, as ``python -m`` takes it.
        arguments: of the command line.
    """
    if config.machine.engine != "torch" or config.machine.contexts == 1 or "LOCAL_RANK" in os.environ:
        return
    # torchrun gives each one thread only, and a warning, where nothing is set
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // config.machine.contexts)))
    torchrun = [sys.executable, "-m", "mhpmodels.engines.torch.torchrun"]
    torchrun += ["--standalone", f"--nproc-per-node={config.machine.contexts}"]
    os.execv(sys.executable, [*torchrun, "-m", module, *arguments])
