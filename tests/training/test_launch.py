"""mhp train on several devices with torch: the command starts torchrun once; a run of two ranks resumes with one."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from folder import write_folder
from places import SUPPORT

import mhpdata
from mhpmodels.config import TrainConfig
from mhpmodels.training import launch
from mhpmodels.training.tables import STEPS
from mhptools.train import main

PATIENCE = 600
"""Seconds after which torchrun and its children are ended."""
TINY = "--engine torch --model torch_ranks:small --base-size 48 --crop-size 32 --batch-size 4 --workers 1 --no-val"


@pytest.fixture
def executed(monkeypatch):
    calls = []
    monkeypatch.setattr(launch.os, "execv", lambda path, arguments: calls.append((path, arguments)))
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    return calls


def test_a_process_for_each_context(executed, monkeypatch):
    launch.launch_ranks(TrainConfig.of(engine="torch", ngpus=8), "mhptools.train", ["--ngpus", "8"])
    ((path, arguments),) = executed
    assert path == arguments[0] == sys.executable
    assert arguments[1:5] == ["-m", "mhpmodels.engines.torch.torchrun", "--limit", "720"]
    assert arguments[5:7] == ["--standalone", "--nproc-per-node=8"]
    assert arguments[7:] == ["-m", "mhptools.train", "--ngpus", "8"]
    assert os.environ["OMP_NUM_THREADS"] == "3"
    monkeypatch.delenv("OMP_NUM_THREADS")
    launch.launch_ranks(TrainConfig.of(engine="torch", contexts=2), "mhptools.train", [])
    assert int(os.environ["OMP_NUM_THREADS"]) >= 1


def test_not_where_one_will_do_or_torchrun_has_done_it(executed, monkeypatch):
    launch.launch_ranks(TrainConfig.of(engine="torch"), "mhptools.train", [])
    launch.launch_ranks(TrainConfig.of(engine="mxnet", ngpus=8), "mhptools.train", [])
    monkeypatch.setenv("LOCAL_RANK", "0")
    launch.launch_ranks(TrainConfig.of(engine="torch", ngpus=8), "mhptools.train", [])
    assert not executed


# --- the command itself


@contextmanager
def mhp_train(arguments):
    """Run the command; end it after PATIENCE at the latest."""
    tests = str(SUPPORT)  # path of its network, for which several threads are slower
    environment = {**os.environ, "PYTHONPATH": tests, "OMP_NUM_THREADS": "1"}
    environment.pop("LOCAL_RANK", None)
    command = [sys.executable, "-m", "mhptools.train", *arguments.split()]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        timer = threading.Timer(PATIENCE, process.terminate)
        timer.start()
        try:
            yield process
            process.wait(PATIENCE)  # a signal during interpreter exit would abort it
        finally:
            timer.cancel()
            process.terminate()  # torchrun ends its ranks


def test_two_contexts_stop_at_a_signal_and_one_goes_on(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
    rec, out = tmp_path / "rec", tmp_path / "run"
    mhpdata.pack(write_folder(tmp_path / "LV-MHP-v1", images=16, size=(48, 64)), rec, size=0)
    with mhp_train(f"--data {rec} {TINY} --no-cuda --contexts 2 --syncbn --epochs 50 --save-dir {out}") as process:
        first = next((line for line in process.stdout if " iteration " in line), "")
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert process.returncode == 130, first + said
    place, command = re.search(r"Stopped by a signal (in .*)\. Resume with: mhp train (.*)", said).groups()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        done = CliRunner().invoke(
            main, f"{command} --no-cuda --contexts 1".split()
        )  # in this process: one process less to start
    finally:
        torch.set_num_threads(threads)
    assert done.exit_code == 0, done.output
    log = (out / "train.log").read_text()
    assert place in done.output and '"world_size": 1' in log[log.index("Stopped by") :]
    with (out / STEPS).open(newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == list(range(len(steps))) and len(steps) % 50 == 0
