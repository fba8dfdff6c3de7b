"""Several processes that train together, over gloo: the same as one with the joined batch; a lost one is an error."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import mhpdata
from mhpdata.errors import EngineError
from mhpmodels.engines import open_engine

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from torch_ranks import HALF, STEPS, config, run  # noqa: E402

SMALL = "torch_ranks:small"
SCRIPT = Path(__file__).parent / "torch_ranks.py"


@pytest.fixture(scope="module")
def packed(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "rec"
    mhpdata.pack(source, out, size=64, workers=1)
    return out


def run_ranks(world_size, folder, *arguments):
    """(exit status, what it said) of processes that are started as by torchrun, but not killed when one has failed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    with ExitStack() as stack:
        processes = []
        for rank in range(world_size):
            own = {k: str(v) for k, v in {**shared, "RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": 1}.items()}
            log = stack.enter_context((folder / f"rank_{rank}.log").open("w"))
            process = subprocess.Popen(
                [sys.executable, SCRIPT, *arguments], env={**os.environ, **own}, stdout=log, stderr=log
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        statuses = [process.wait(timeout=600) for process in processes]
    return [(status, (folder / f"rank_{rank}.log").read_text()) for rank, status in enumerate(statuses)]


@pytest.fixture(scope="module")
def two(packed, tmp_path_factory):
    """The folder where two ranks left what they found."""
    out = tmp_path_factory.mktemp("two")
    for status, said in run_ranks(2, out, packed, out, SMALL):
        assert status == 0, said
    return out


def check_equal_to_one(out, packed, model, tolerance):
    engine = open_engine(config(model))
    losses = run(engine, packed)
    found = [json.loads((out / f"rank_{rank}.json").read_text()) for rank in (0, 1)]
    assert found[0] == found[1] and len(losses) == STEPS
    assert losses[-1] < 0.95 * losses[0], "nothing was learnt"
    np.testing.assert_allclose(found[0], losses, rtol=0, atol=1e-4)
    assert (out / "rank_0.pt").read_bytes() == (out / "rank_1.pt").read_bytes(), "not the same weights on both"
    state = engine._network.state_dict()
    for name, tensor in torch.load(out / "rank_0.pt", weights_only=True).items():
        torch.testing.assert_close(
            tensor, state[name], rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )
    engine.close()


def test_two_ranks_equal_one_with_the_joined_batch(two, packed):
    check_equal_to_one(two, packed, SMALL, 1e-4)


@pytest.mark.slow
def test_two_ranks_equal_one_for_pspnet(packed, tmp_path):
    """Weights to 1e-3: the pyramid normalises four values a channel, which makes rounding large; so does another number
    of threads in one process."""
    for status, said in run_ranks(2, tmp_path, packed, tmp_path, "psp"):
        assert status == 0, said
    check_equal_to_one(tmp_path, packed, "psp", 1e-3)


def test_one_goes_on_where_two_stopped(two, packed):
    engine = open_engine(config(SMALL))
    engine.load(two / "half.pt")
    engine.load_state(two / "half.state")
    expected = json.loads((two / "rank_0.json").read_text())[HALF:]
    np.testing.assert_allclose(run(engine, packed, HALF), expected, rtol=0, atol=1e-4)
    engine.close()


def test_a_killed_rank_is_an_error_of_the_others(packed, tmp_path):
    (status, said), (killed, _) = run_ranks(2, tmp_path, packed, tmp_path, SMALL, "3")
    assert (status, killed) == (1, -signal.SIGKILL)
    assert "EngineError: rank 0: lost another of the 2 ranks" in said and "--resume" in said


def test_contexts_ask_for_as_many_processes():
    with pytest.raises(EngineError, match=r"torchrun --nproc-per-node 2 -m mhptools\.train --ngpus 0 --contexts 2"):
        open_engine(config(SMALL, contexts=2))


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineError, match=r"number 0 of 0 .* Pass --ngpus 0"):
        open_engine(config(SMALL, ngpus=1))


@pytest.mark.parametrize(("name", "value"), [("RANK", None), ("WORLD_SIZE", "two"), ("RANK", "9")])
def test_an_environment_that_makes_no_sense(name, value, monkeypatch):
    there = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "0"}
    for key, text in {**there, name: value}.items():
        monkeypatch.delenv(key, raising=False) if text is None else monkeypatch.setenv(key, text)
    with pytest.raises(EngineError):
        open_engine(config(SMALL))


def test_a_prediction_joins_nobody(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    engine = open_engine(config(SMALL), training=False)
    assert (engine.rank, engine.world_size) == (0, 1)
    engine.close()
