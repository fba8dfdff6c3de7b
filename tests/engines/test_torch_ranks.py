"""Several processes that train together over gloo: equal to one with the joined batch; a lost rank is an error."""

from __future__ import annotations

import json
import signal
from datetime import timedelta

import numpy as np
import pytest

from mhpdata.errors import EngineError
from mhpmodels.engines.engine import open_engine

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from torch_ranks import DICE, HALF, PERSONS, config, run  # noqa: E402
from torch_ranks_run import SMALL, check_equal, free_port, run_one, run_ranks  # noqa: E402

from mhpmodels.engines.torch import ranks  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Use one thread, as the ranks do; more threads slow down such small networks."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def one(small):
    return run_one(small, SMALL)


@pytest.fixture(scope="module")
def two(small, tmp_path_factory, one):  # after a single process, which has compiled the kernels that both would compile
    """Return the folder with the results of two ranks."""
    out = tmp_path_factory.mktemp("two")
    for status, said in run_ranks(2, out, small, out, SMALL):
        assert status == 0, said
    return out


def test_two_ranks_equal_one_with_the_joined_batch(one, two):
    check_equal(two, one, 1e-4)


def test_two_ranks_equal_one_with_heads_of_persons_in_both_stages(small, tmp_path):
    one = run_one(small, PERSONS)
    for status, said in run_ranks(2, tmp_path, small, tmp_path, PERSONS):
        assert status == 0, said
    check_equal(tmp_path, one, 1e-4)


@pytest.mark.slow
def test_two_ranks_equal_one_with_the_dice_loss(small, tmp_path):
    one = run_one(small, DICE)
    for status, said in run_ranks(2, tmp_path, small, tmp_path, DICE):
        assert status == 0, said
    check_equal(tmp_path, one, 1e-4)


@pytest.mark.slow
def test_two_ranks_equal_one_for_pspnet(small, tmp_path):
    """Weights agree to 1e-3: the pyramid normalises four values per channel, which amplifies rounding; so does another
    number of threads in one process."""
    one = run_one(small, "psp")
    for status, said in run_ranks(2, tmp_path, small, tmp_path, "psp"):
        assert status == 0, said
    check_equal(tmp_path, one, 1e-3)


def test_one_goes_on_where_two_stopped(two, small):
    engine = open_engine(config(SMALL))
    engine.load(two / "half.pt")
    engine.load_state(two / "half.state")
    expected = json.loads((two / "rank_0.json").read_text())[HALF:]
    np.testing.assert_allclose(run(engine, small, HALF), expected, rtol=0, atol=1e-4)
    engine.close()


def test_a_killed_rank_is_an_error_of_the_others(small, tmp_path, one):
    (status, said), (killed, _) = run_ranks(2, tmp_path, small, tmp_path, SMALL, "3")
    assert (status, killed) == (1, -signal.SIGKILL), said
    assert "EngineError: rank 0: lost another of the 2 ranks" in said and "--resume" in said, said


def test_contexts_ask_for_as_many_processes():
    with pytest.raises(EngineError, match=r"torchrun --nproc-per-node 2 -m mhptools\.train --ngpus 0 --contexts 2"):
        open_engine(config(SMALL, contexts=2))


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineError, match=r"sees 0; expected at least 1\. Pass --ngpus 0"):
        open_engine(config(SMALL, ngpus=1))


@pytest.fixture
def two_announced(monkeypatch):
    """Set the environment of the first of two processes; the second one does not exist."""
    there = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for key, text in there.items():
        monkeypatch.setenv(key, text)
    return monkeypatch


@pytest.mark.parametrize(("name", "value", "found"), [
    ("RANK", None, "RANK expected"), ("RANK", "9", r"9; expected 0\.\.1"), ("WORLD_SIZE", "two", "a number"),
])  # fmt: skip
def test_an_environment_that_makes_no_sense(name, value, found, two_announced):
    two_announced.delenv(name) if value is None else two_announced.setenv(name, value)
    with pytest.raises(EngineError, match=found):
        open_engine(config(SMALL))


@pytest.mark.parametrize("rank", [0, 1])
def test_others_that_never_come_are_not_waited_for(rank, two_announced):
    two_announced.setattr(ranks, "JOINING", timedelta(seconds=1))
    two_announced.setenv("RANK", str(rank))
    two_announced.setenv("MASTER_PORT", str(free_port()))
    with pytest.raises(EngineError, match=r"cannot be reached .* Start the processes with torchrun"):
        open_engine(config(SMALL))


def test_a_prediction_joins_nobody(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    engine = open_engine(config(SMALL), training=False)
    assert (engine.rank, engine.world_size) == (0, 1)
    engine.close()
