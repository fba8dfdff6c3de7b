"""mhp train on two machines, each a network namespace: equal to one process; no wait outlasts --timeout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from folder import write_folder
from namespaces import missing, namespaces
from places import SUPPORT

import mhpdata
from mhpmodels.files import checkpoint
from mhpmodels.training.tables import STEPS, read_steps
from mhptools.train import main

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

pytestmark = pytest.mark.slow

SMALL = "--engine torch --base-size 48 --crop-size 32 --batch-size 4 --workers 1 --no-cuda --syncbn"
LONG = "--model torch_ranks:small --epochs 100000 --auto-resume --no-val"
BEGUN, PATIENCE_S = 20, 120
"""Steps after which a run counts as begun; longest wait for anything that is not measured."""


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    root = tmp_path_factory.mktemp("nodes")
    mhpdata.pack(write_folder(root / "LV-MHP-v1", images=16, size=(48, 64)), root / "rec", size=0)
    return root / "rec"


@pytest.fixture
def nodes():
    reason = missing()
    if reason:
        pytest.skip(reason)
    with namespaces(2) as (_, found):
        yield found


def command(nodes, rec, out, flags, count="2"):
    """Return the command that runs on each of the nodes."""
    together = f"--nodes {count} --rendezvous {nodes[0].address}"
    return f"-m mhptools.train --data {rec} {SMALL} --save-dir {out} {together} {flags}".split()


@contextmanager
def running(nodes, out, arguments):
    """Run a command on all nodes; yield the processes. Their output is in log files beside ``out``."""
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT), "OMP_NUM_THREADS": "1"}
    for name in ("LOCAL_RANK", "GLOO_SOCKET_IFNAME"):
        environment.pop(name, None)
    processes = []
    try:
        for node in nodes:
            with (out.parent / f"{node.name}.log").open("a") as log:
                words = [*node.prefix, sys.executable, *arguments]
                processes.append(
                    subprocess.Popen(words, env=environment, stdout=log, stderr=log, start_new_session=True)
                )
        yield processes
    finally:
        for node in nodes:
            node.kill()
        for process in processes:
            process.wait(PATIENCE_S)


def until(is_so, seconds=PATIENCE_S):
    """Wait until something is so; return the seconds that it took."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < seconds, f"not so after {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - begun


@contextmanager
def running_mxnet(nodes, out, flags):
    """Run a scheduler and a server on the first node, and a worker on each; yield the workers."""
    meeting = f"DMLC_PS_ROOT_URI={nodes[0].address} DMLC_PS_ROOT_PORT=9091 DMLC_NUM_SERVER=1 DMLC_NUM_WORKER=2"
    meeting = ["env", *meeting.split(), "DMLC_INTERFACE=eth0", "OMP_NUM_THREADS=1"]
    serve = ["-c", "import mxnet"]
    train = f"-m mhptools.train --engine mxnet --kvstore dist_sync --save-dir {out} {flags}".split()
    jobs = [("scheduler", nodes[0], serve), ("server", nodes[0], serve), *(("worker", node, train) for node in nodes)]
    with (out.parent / "log").open("w") as said:
        processes = [
            subprocess.Popen(
                [*node.prefix, *meeting, f"DMLC_ROLE={role}", sys.executable, *words], stdout=said, stderr=said
            )
            for role, node, words in jobs
        ]
        try:
            yield processes[2:]
        finally:
            for node in nodes:
                node.kill()
            for process in processes:
                process.wait(PATIENCE_S)


def begun(out):
    """Wait until a run has begun."""
    until(lambda: (out / STEPS).exists() and len((out / STEPS).read_text().splitlines()) > BEGUN)


def log(out, node):
    return (out.parent / f"{node.name}.log").read_text()


def weights(out):
    return torch.load(checkpoint.read(out).weights, weights_only=True)


@pytest.mark.parametrize(("model", "epochs", "steps", "tolerance"), [("small", 2, 3, 1e-4), ("double", 5, 10, 1e-8)])
def test_two_machines_equal_one_process(rec, nodes, tmp_path, model, epochs, steps, tolerance):
    flags, two, one = f"--model torch_ranks:{model} --epochs {epochs} --lr 0.01", tmp_path / "two", tmp_path / "one"
    with running(nodes, two, command(nodes, rec, two, flags)) as processes:
        assert [process.wait(PATIENCE_S) for process in processes] == [0, 0], log(two, nodes[0])
    done = CliRunner().invoke(main, f"--data {rec} {SMALL} --save-dir {one} {flags}".split())
    assert done.exit_code == 0, done.output
    losses = [[row.loss for row in read_steps(out)[:steps]] for out in (two, one)]
    assert len(losses[0]) == steps and len(set(losses[1])) == steps, "nothing was learnt"
    np.testing.assert_allclose(*losses, rtol=0, atol=max(tolerance, 1e-6))  # the loss is logged in float32
    found, expected = weights(two), weights(one)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_allclose(found[name], tensor, rtol=0, atol=tolerance, err_msg=name)
    # only rank 0 saves; each rank reads half of each batch
    assert checkpoint.listing(two) and not checkpoint.listing(two / "rank_1")
    assert {row.images for row in read_steps(two)} == {row.images for row in read_steps(one)}
    assert [row.loss for row in read_steps(two / "rank_1")] == [row.loss for row in read_steps(two)]


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("event", ["killed", "cut", "off"])
def test_a_lost_machine_ends_the_other_within_the_timeout(rec, nodes, tmp_path, event, victim):
    """With restarts, torchrun alone would wait for the lost machine, and after a cut link forever."""
    out, limit = tmp_path / "run", 24
    flags = f"{LONG} --timeout {limit} --restarts 3"
    with running(nodes, out, command(nodes, rec, out, flags)) as processes:
        begun(out)
        if event != "killed":
            nodes[victim].link("down")
        if event != "cut":
            nodes[victim].kill()
        others = processes if event == "cut" else [processes[1 - victim]]
        until(lambda: all(process.poll() is not None for process in others), limit)
        assert [process.returncode for process in others] == [3] * len(others)
    said = log(out, nodes[1 - victim])
    assert "EngineError" in said and "mhp train --resume" in said


def test_one_machine_goes_on_alone_and_the_other_comes_back(rec, nodes, tmp_path):
    out, limit = tmp_path / "run", 30
    arguments = command(nodes, rec, out, f"{LONG} --timeout {limit} --restarts 3", "1:2")
    with running(nodes, out, arguments) as processes:
        begun(out)
        nodes[1].link("down")
        nodes[1].kill()

        def said(text):
            return text in (out / "train.log").read_text()

        until(lambda: said('"world_size": 1'), limit + 20)  # the new process also needs time to import torch
        assert said("Resumed from") and processes[0].poll() is None
        nodes[1].link("up")
        with running(nodes[1:], out, arguments) as (back,):
            until(lambda: (out / "train.log").read_text().count('"world_size": 2') == 2)
            steps = len(read_steps(out))
            until(lambda: len((out / STEPS).read_text().splitlines()) > steps + BEGUN)
            assert back.poll() is None
        until(lambda: (out / "train.log").read_text().count('"world_size": 1') == 2)
    assert [row.step for row in read_steps(out)] == list(range(len(read_steps(out))))


def test_a_killed_rank_restarts_all(rec, nodes, tmp_path):
    out, limit = tmp_path / "run", 30
    with running(nodes, out, command(nodes, rec, out, f"{LONG} --timeout {limit} --restarts 1")) as processes:
        begun(out)
        os.kill(_rank_on(nodes[1]), signal.SIGKILL)
        until(lambda: (out / "train.log").read_text().count('"world_size": 2') == 2, limit + 20)
        assert all(process.poll() is None for process in processes)


def _rank_on(node):
    """Return the process number of the rank on a node."""
    found = subprocess.run(["ip", "netns", "pids", node.name], capture_output=True, text=True, check=True)
    for process in found.stdout.split():
        with suppress(OSError):  # it has ended
            if b"LOCAL_RANK=" in Path("/proc", process, "environ").read_bytes():
                return int(process)
    raise AssertionError("no rank runs there")


def test_ranks_that_find_another_checkpoint_are_refused(rec, nodes, tmp_path):
    """A save folder that the machines do not share."""
    outs = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    for out in outs:
        out.parent.mkdir()
    first = f"--data {rec} {SMALL} --save-dir {outs[0]} --model torch_ranks:small --epochs 1 --no-val"
    assert CliRunner().invoke(main, first.split()).exit_code == 0
    flags = "--model torch_ranks:small --epochs 1 --auto-resume --no-val --timeout 24"
    with (
        running(nodes[:1], outs[0], command(nodes, rec, outs[0], flags)) as (one,),
        running(nodes[1:], outs[1], command(nodes, rec, outs[1], flags)) as (other,),
    ):
        assert (one.wait(PATIENCE_S), other.wait(PATIENCE_S)) == (3, 3)
    assert "EngineError: rank 1: begins at step 0; expected step 2, as rank 0" in log(outs[1], nodes[1])


MXNET = "--model icnet --backbone resnet18 --base-size 64 --crop-size 64 --batch-size 2 --workers 1 --dropout 0"


def test_mxnet_on_two_machines_equals_one_process(rec, nodes, tmp_path):
    pytest.importorskip("mxnet", reason="MXNet is not installed here; environment A has it")
    flags, two, one = f"--data {rec} {MXNET} --epochs 1", tmp_path / "two", tmp_path / "one"
    with running_mxnet(nodes, two, flags) as workers:
        assert [worker.wait(PATIENCE_S) for worker in workers] == [0, 0], (tmp_path / "log").read_text()
    alone = f"-m mhptools.train --engine mxnet --contexts 2 --save-dir {one} {flags}"
    subprocess.run([sys.executable, *alone.split()], check=True)
    losses = [[row.loss for row in read_steps(out)[:3]] for out in (two, one)]
    np.testing.assert_allclose(*losses, rtol=1e-3)  # each process normalises by its own images, as each context does
    assert checkpoint.listing(two) and not checkpoint.listing(two / "rank_1")


def test_mxnet_ends_within_the_timeout_after_a_machine_is_lost(rec, nodes, tmp_path):
    pytest.importorskip("mxnet", reason="MXNet is not installed here; environment A has it")
    out, limit = tmp_path / "run", 15
    with running_mxnet(nodes, out, f"--data {rec} {MXNET} --epochs 1000 --no-val --timeout {limit}") as workers:
        begun(out)
        nodes[1].link("down")
        nodes[1].kill()
        until(lambda: workers[0].poll() is not None, limit + 1)
        assert workers[0].returncode == 3
    assert f": the other processes have not answered for {limit} s" in (tmp_path / "log").read_text()
