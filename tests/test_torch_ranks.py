"""Several processes that train together, over gloo: the same as one with the joined batch; a lost one is an error."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mhpdata
from mhpdata.errors import EngineError
from mhpmodels.engines import open_engine

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from torch_ranks import HALF, STEPS, config, run  # noqa: E402

SCRIPT = Path(__file__).parent / "torch_ranks.py"


@pytest.fixture(scope="module")
def packed(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "rec"
    mhpdata.pack(source, out, size=64, workers=1)
    return out


def start(world_size, *arguments):
    """The processes, as torchrun would start them, but for its killing of all when one has failed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, SCRIPT, *arguments],
            env={**os.environ, **{k: str(v) for k, v in {**shared, "RANK": rank, "LOCAL_RANK": rank}.items()}},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world_size)
    ]


@pytest.fixture(scope="module")
def two(packed, tmp_path_factory):
    """The folder where two ranks left what they found."""
    out = tmp_path_factory.mktemp("two")
    for process in start(2, packed, out):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    return out


@pytest.fixture(scope="module")
def one(packed):
    """The losses and weights of one process with the joined batch."""
    engine = open_engine(config())
    losses = run(engine, packed)
    state = {name: tensor.clone() for name, tensor in engine._network.state_dict().items()}
    engine.close()
    return losses, state


def test_two_ranks_equal_one_with_the_joined_batch(two, one):
    losses, state = one
    found = [json.loads((two / f"rank_{rank}.json").read_text()) for rank in (0, 1)]
    assert found[0] == found[1] and len(losses) == STEPS
    np.testing.assert_allclose(found[0], losses, rtol=0, atol=1e-4)
    assert (two / "rank_0.pt").read_bytes() == (two / "rank_1.pt").read_bytes(), "not the same weights on both"
    for name, tensor in torch.load(two / "rank_0.pt", weights_only=True).items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}")


def test_one_goes_on_where_two_stopped(two, packed):
    engine = open_engine(config())
    engine.load(two / "half.pt")
    engine.load_state(two / "half.state")
    expected = json.loads((two / "rank_0.json").read_text())[HALF:]
    np.testing.assert_allclose(run(engine, packed, HALF), expected, rtol=0, atol=1e-4)
    engine.close()


def test_a_killed_rank_is_an_error_of_the_others(packed, tmp_path):
    first, killed = start(2, packed, tmp_path, "3")
    _, errors = first.communicate(timeout=300)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert first.returncode == 1
    assert "EngineError: rank 0: lost another of the 2 ranks" in errors and "--resume" in errors


def test_contexts_ask_for_as_many_processes():
    with pytest.raises(EngineError, match=r"torchrun --nproc-per-node 2 -m mhptools\.train --ngpus 0 --contexts 2"):
        open_engine(config(contexts=2))


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineError, match=r"number 0 of 0 .* Pass --ngpus 0"):
        open_engine(config(ngpus=1))


@pytest.mark.parametrize(("name", "value"), [("RANK", None), ("WORLD_SIZE", "two"), ("RANK", "9")])
def test_an_environment_that_makes_no_sense(name, value, monkeypatch):
    there = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "0"}
    for key, text in {**there, name: value}.items():
        monkeypatch.delenv(key, raising=False) if text is None else monkeypatch.setenv(key, text)
    with pytest.raises(EngineError):
        open_engine(config())


def test_a_prediction_joins_nobody(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    engine = open_engine(config(), training=False)
    assert (engine.rank, engine.world_size) == (0, 1)
    engine.close()
