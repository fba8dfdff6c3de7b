"""Processes that train together through MXNet's kvstore: a scheduler, a server and two workers on one machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from places import SUPPORT

from mhpmodels.engines.engine import installed, open_engine
from mhpmodels.files.params import read_params

if "mxnet" not in installed():
    pytest.skip("MXNet is not installed here; environment A has it", allow_module_level=True)

import one_worker

SERVE = "import warnings; warnings.simplefilter('ignore'); import mxnet"


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """Return the output of the two workers, by rank, and the path of their weights."""
    path = str(tmp_path_factory.mktemp("dist") / "weights.params")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = {"DMLC_PS_ROOT_URI": "127.0.0.1", "DMLC_PS_ROOT_PORT": str(port), "DMLC_INTERFACE": "lo"}
    counts = {"DMLC_NUM_WORKER": "2", "DMLC_NUM_SERVER": "1", "OMP_NUM_THREADS": "1"}
    script = str(SUPPORT / "one_worker.py")
    commands = {"scheduler": ["-c", SERVE], "server": ["-c", SERVE], "worker": [script, path]}
    processes = []
    for role in ("scheduler", "server", "worker", "worker"):
        environment = {**os.environ, **address, **counts, "DMLC_ROLE": role}
        command = [sys.executable, *commands[role]]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    try:
        done = [process.communicate(timeout=600) for process in processes]
    finally:
        for process in processes:
            process.kill()
    errors = "\n".join(err[-1500:] for _, err in done)
    assert [process.returncode for process in processes] == [0] * 4, errors
    return sorted((json.loads(out) for out, _ in done[2:]), key=lambda found: found["rank"]), path


def test_ranks_agree_and_equal_one_process(workers, tmp_path):
    (first, second), path = workers
    assert [(w["rank"], w["world_size"]) for w in (first, second)] == [(0, 2), (1, 2)]
    together = open_engine(one_worker.CONFIG.changed(contexts=2))
    expected = [together.train_step(*one_worker.batch(seed), 0.01, seed) for seed in (1, 3)]
    for step, also in zip(first["steps"], second["steps"], strict=True):
        assert json.dumps(step) == json.dumps(also)
    assert [step["applied"] for step in first["steps"]] == [True, False, True]
    for step, wanted in zip((first["steps"][0], first["steps"][2]), expected, strict=True):
        assert step["loss"] == pytest.approx(wanted.loss, rel=1e-4)
        assert step["gradient"] == pytest.approx(wanted.gradient, rel=1e-3)
    weights, also = read_params(path + "0"), read_params(path + "1")
    together.save(tmp_path / "weights.params")
    for name, array in read_params(tmp_path / "weights.params").items():
        if "running" not in name:  # each process has the statistics of its own images; those of rank 0 are saved
            np.testing.assert_array_equal(weights[name], also[name], err_msg=name)
            np.testing.assert_allclose(weights[name], array, atol=1e-3 * np.abs(array).max() + 1e-5, err_msg=name)
    together.close()
