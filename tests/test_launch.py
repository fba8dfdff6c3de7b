"""mhp-train on several devices with torch: the command becomes torchrun, once."""

from __future__ import annotations

import sys

import pytest

from mhpmodels import launch
from mhpmodels.config import TrainConfig


@pytest.fixture
def executed(monkeypatch):
    calls = []
    monkeypatch.setattr(launch.os, "execv", lambda path, arguments: calls.append((path, arguments)))
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    return calls


def test_a_process_for_each_context(executed):
    launch.launch_ranks(TrainConfig(engine="torch", ngpus=8), "mhptools.train", ["--ngpus", "8"])
    ((path, arguments),) = executed
    assert path == arguments[0] == sys.executable
    assert arguments[1:5] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=8"]
    assert arguments[5:] == ["-m", "mhptools.train", "--ngpus", "8"]


def test_not_where_one_will_do_or_torchrun_has_done_it(executed, monkeypatch):
    launch.launch_ranks(TrainConfig(engine="torch"), "mhptools.train", [])
    launch.launch_ranks(TrainConfig(engine="mxnet", ngpus=8), "mhptools.train", [])
    monkeypatch.setenv("LOCAL_RANK", "0")
    launch.launch_ranks(TrainConfig(engine="torch", ngpus=8), "mhptools.train", [])
    assert not executed
