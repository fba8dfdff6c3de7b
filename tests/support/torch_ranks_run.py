"""Start processes that train together (torch_ranks.py), and compare their results with one process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import numpy as np
import torch
from places import SUPPORT
from torch_ranks import PATIENCE, STEPS, config, run
from torch_weights import weights

from mhpmodels.engines.engine import open_engine

SMALL = "torch_ranks:small"
SCRIPT = SUPPORT / "torch_ranks.py"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def run_ranks(world_size, folder, *arguments):
    """Start processes as torchrun does, without killing them when one fails; return their (exit status, output)."""
    deadline = time.monotonic() + PATIENCE
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    shared = {"WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size, **meeting}
    with ExitStack() as stack:
        processes = []
        for rank in range(world_size):
            own = {k: str(v) for k, v in {**shared, "RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": 1}.items()}
            log = stack.enter_context((folder / f"rank_{rank}.log").open("w"))
            process = subprocess.Popen(
                [sys.executable, "-W", "error::FutureWarning", SCRIPT, *arguments],
                env={**os.environ, **own},
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        statuses = [process.wait(timeout=max(0.0, deadline - time.monotonic())) for process in processes]
    return [(status, (folder / f"rank_{rank}.log").read_text()) for rank, status in enumerate(statuses)]


def run_one(small, model):
    """Return losses and weights of one process with the joined batch."""
    engine = open_engine(config(model))
    losses = run(engine, small)
    state = weights(engine)
    engine.close()
    assert len(losses) == STEPS and min(losses) < 0.95 * losses[0], "nothing was learnt"
    return losses, state


def check_equal(out, one, tolerance):
    """Return the results of two ranks in a folder, and those of ``run_one``."""
    losses, state = one
    found = [json.loads((out / f"rank_{rank}.json").read_text()) for rank in (0, 1)]
    assert found[0] == found[1]
    np.testing.assert_allclose(found[0], losses, rtol=0, atol=1e-4)
    assert (out / "rank_0.pt").read_bytes() == (out / "rank_1.pt").read_bytes(), "not the same weights on both"
    weights = torch.load(out / "rank_0.pt", weights_only=True)
    assert list(weights) == list(state)
    for name, tensor in weights.items():
        np.testing.assert_allclose(tensor, state[name], rtol=0, atol=tolerance, err_msg=name)
