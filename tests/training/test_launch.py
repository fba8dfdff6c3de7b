"""mhp train on several devices with torch: the command starts torchrun once; a run of two ranks resumes with one."""

from __future__ import annotations

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from folder import write_folder
from places import SUPPORT

import mhpdata
import mhpmodels.engines.engine
from mhpdata.errors import EngineError, OptionError
from mhpmodels.config import TrainConfig
from mhpmodels.training import launch
from mhpmodels.training.launch import Machines
from mhpmodels.training.tables import STEPS
from mhptools.train import main

PATIENCE = 600
"""Seconds after which torchrun and its children are ended."""
TINY = "--engine torch --model torch_ranks:small --base-size 48 --crop-size 32 --batch-size 4 --workers 1 --no-val"


@pytest.fixture
def executed(monkeypatch):
    calls = []
    monkeypatch.setattr(launch.os, "execv", lambda path, arguments: calls.append((path, arguments)))
    monkeypatch.setattr(launch, "check_installed", lambda name: None)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    return calls


def test_a_process_for_each_context(executed, monkeypatch):
    launch.launch_ranks(TrainConfig.of(engine="torch", contexts=8), "mhptools.train", ["--x", "8"])
    ((path, arguments),) = executed
    assert path == arguments[0] == sys.executable
    assert arguments[1:5] == ["-m", "mhpmodels.engines.torch.torchrun", "--limit", "720"]
    assert arguments[5:7] == ["--standalone", "--nproc-per-node=8"]
    assert arguments[7:] == ["-m", "mhptools.train", "--x", "8"]
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


def test_missing_gpus_are_one_error_before_processes_start(executed, monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    with pytest.raises(EngineError, match=r"^GPU: torch \S+ sees 3; expected at least 8\. .*, or --ngpus 3\."):
        launch.launch_ranks(TrainConfig.of(engine="torch", ngpus=8), "mhptools.train", ["--ngpus", "8"])
    assert not executed
    launch.launch_ranks(TrainConfig.of(engine="torch", ngpus=3, batch_size=3), "mhptools.train", ["--ngpus", "3"])
    assert executed


def test_torch_that_is_missing_is_an_error_before_processes_start(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(mhpmodels.engines.engine, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"engine torch: torch .*not installed"):
        launch.launch_ranks(TrainConfig.of(engine="torch", contexts=2), "mhptools.train", [])


# --- several machines


def test_the_options_of_torchrun_for_a_machine(executed, monkeypatch):
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    config = TrainConfig.of(engine="torch", timeout=60.0)
    launch.launch_ranks(config, "mhptools.train", ["--x"], Machines.of("1:2", "127.0.0.1", 3))
    ((_, arguments),) = executed
    settings = "is_host=1,keep_alive_interval=3,keep_alive_max_attempt=3,last_call_timeout=6"
    assert arguments[3:] == [
        *("--limit", "24", "--nnodes=1:2", "--max-restarts=3", "--rdzv-backend=c10d", "--rdzv-id=mhp"),
        *("--rdzv-endpoint=127.0.0.1:29400", f"--rdzv-conf={settings}", "--local-addr=127.0.0.1"),
        *("--nproc-per-node=1", "-m", "mhptools.train", "--x"),
    ]
    assert os.environ["GLOO_SOCKET_IFNAME"] == launch.interface_of("127.0.0.1")


def test_the_interface_of_an_address():
    names = [name for _, name in socket.if_nameindex()]
    assert launch.interface_of("127.0.0.1") in names
    assert launch.interface_of("192.0.2.1") == launch.interface_of("2001:db8::1") == ""  # addresses of no machine


@pytest.mark.parametrize(("given", "expected"), [
    ((None, None, 0), None),
    (("2", "node-1", 0), Machines("2", "node-1")),
    (("1:16", "[::1]:99", 2), Machines("1:16", "::1", 99, 2)),
])  # fmt: skip
def test_machines(given, expected):
    assert Machines.of(*given) == expected


@pytest.mark.parametrize(("given", "found"), [
    (("2", None, 0), r"rendezvous: missing; expected with --nodes"),
    ((None, "a", 0), r"nodes: missing; expected with --rendezvous"),
    ((None, None, 3), r"nodes: missing; expected with --restarts"),
    (("0", "a", 0), r"nodes: '0'"), (("3:2", "a", 0), r"nodes: '3:2'"), (("two", "a", 0), "a number, or MIN:MAX"),
    (("2", "a:b", 0), "HOST or HOST:PORT"), (("2", "a:70000", 0), "HOST:PORT"), (("2", "s3://a", 0), "HOST"),
    (("2", "a", -1), r"restarts: -1"),
])  # fmt: skip
def test_machines_that_make_no_sense(given, found):
    with pytest.raises(OptionError, match=found):
        Machines.of(*given)


def test_several_machines_need_torch_a_timeout_and_a_host(executed):
    machines = Machines("2", "127.0.0.1")
    with pytest.raises(OptionError, match="nodes: 2 with engine mxnet"):
        launch.launch_ranks(TrainConfig.of(engine="mxnet"), "m", [], machines)
    with pytest.raises(OptionError, match="timeout: 19 for several machines; expected at least 20"):
        launch.launch_ranks(TrainConfig.of(engine="torch", timeout=19.0), "m", [], machines)
    with pytest.raises(EngineError, match=r"--rendezvous nowhere\.invalid: cannot be found"):
        launch.launch_ranks(TrainConfig.of(engine="torch"), "m", [], Machines("2", "nowhere.invalid"))
    assert not executed


STUCK = """
import subprocess, sys, time
from mhpmodels.engines.torch import torchrun

def never_returns():
    subprocess.Popen(["sleep", "1"])
    time.sleep(60)

torchrun.torchrun = never_returns
sys.argv = ["torchrun", "--limit", "1", "--nnodes", "2"]
sys.exit(torchrun.main())
"""


def test_a_torchrun_that_waits_without_ranks_is_ended():
    pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 3
    assert "EngineError: no process has run here for 1 s" in done.stderr and "mhp train --resume" in done.stderr


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
