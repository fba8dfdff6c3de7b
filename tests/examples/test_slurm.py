"""examples/slurm/ in the environment that Slurm documents, with a scontrol and an srun that stand in for Slurm's."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from places import ROOT

import mhptools.pack
import mhptools.train
from mhpmodels.training.launch import Machines

SCRIPTS = sorted((ROOT / "examples/slurm").glob("*.sh"))
SHOW = '#!/bin/bash\nprintf "%s\\n" "$@"\n'
"""A command that prints its arguments, one per line."""
COMMANDS = {
    "mhp": SHOW,
    "scontrol": '#!/bin/bash\n[ "$*" = "show hostnames a[1-2]" ] && printf "a1\\na2\\n"\n',
    "srun": '#!/bin/bash\nwhile [ "$1" != mhp ]; do shift; done\nexec "$@"\n',
}


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a script, and returns the arguments of the mhp that it starts."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed here")
    for name, text in COMMANDS.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def run(script, *arguments, **environment):
        path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", ROOT / "examples/slurm" / script, *arguments],
            env={**path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def given(command, arguments):
    """Return the parameters that a command takes from arguments."""
    assert arguments[0] == command.__name__.rpartition(".")[2]
    return command.main.make_context("mhp", arguments[1:]).params


def test_the_scripts_are_valid():
    assert [path.name for path in SCRIPTS] == ["pack.sh", "train.sh"]
    for path in SCRIPTS:
        subprocess.run(["bash", "-n", path], check=True)
        assert path.stat().st_mode & 0o100


def test_a_task_and_the_merge(run):
    environment = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_CPUS_PER_TASK": "4"}
    task = given(mhptools.pack, run("pack.sh", "/data/a b", "/rec", **environment))
    assert (task["src"], str(task["out"]), task["task"], task["workers"]) == ("/data/a b", "/rec", "7/20", 4)
    merge = given(mhptools.pack, run("pack.sh", "/data/a b", "/rec", "--merge", **environment))
    assert merge["merge"] and merge["task"] is None
    for option in ("src", "out", "on_error", "size"):
        assert merge[option] == task[option]


def test_training(run, tmp_path):
    slurm = {"JOB_NODELIST": "a[1-2]", "JOB_NUM_NODES": "2", "JOB_ID": "1234567", "GPUS_ON_NODE": "8"}
    environment = {f"SLURM_{name}": value for name, value in slurm.items()}
    found = given(mhptools.train, run("train.sh", "--batch-size", "32", "--save-dir", "run", **environment))
    machines = Machines.of(found["nodes"], found["rendezvous"], found["restarts"])
    assert machines == Machines("2", "a1", 24567, 0)
    assert (found["ngpus"], found["batch_size"], found["auto_resume"], found["timeout"]) == (8, 32, True, 600)
