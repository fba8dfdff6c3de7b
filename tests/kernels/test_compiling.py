"""One process at a time compiles kernels, with a helper, and reports it; clocks exclude it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from mhpdata.kernels import compiling

KERNELS = """
import json, logging, os, sys, time
import numpy as np
from mhpdata.kernels import compiling
from mhpdata.kernels.jit import kernel

@kernel
def first(a):
    return a.sum()

@kernel
def second(a):
    return np.sort(a)[0]

def one():
    first(np.arange(3))

def two():
    second(np.arange(3))
"""
RUN = KERNELS.replace("'''", "") + '''

def counts():
    return [sum(f.stats.cache_misses.values()) for f in (first, second)]

if __name__ == "__main__":
    import kernels
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s", stream=sys.stdout)
    if "prepare" in sys.argv:
        compiling.prepare([kernels.one, kernels.two], 7, int(sys.argv[2]))
    else:
        kernels.one()
    print(json.dumps([kernels.counts(), compiling.seconds() > 0]))
'''  # fmt: skip


@pytest.fixture
def start(tmp_path):
    """Start a process that compiles; its last line is [[misses of first, of second], whether it compiled]."""
    (tmp_path / "kernels.py").write_text(RUN)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}

    def begin(*arguments):
        command = [sys.executable, str(tmp_path / "kernels.py"), *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return begin


def end(process):
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out.splitlines()


def test_what_is_compiled_is_told_once_and_later_taken_from_the_folder(start, tmp_path):
    line, counts = end(start("prepare", "1"))
    assert line.startswith("mhpdata Compiling kernels for this machine, about 7 s; later runs load them from ")
    assert line.endswith(".") and str(tmp_path / "cache") in line
    assert json.loads(counts) == [[1, 1], True]
    assert end(start("prepare", "1")) == ["[[0, 0], false]"]


def test_a_helper_compiles_the_last_task(start):
    _, counts = end(start("prepare", "2"))
    assert json.loads(counts) == [[1, 0], True], "the second one was taken from the disk, where the helper had put it"


def test_where_nothing_can_be_kept_one_process_compiles_all(start, tmp_path):
    (tmp_path / "cache").write_text("a file")
    told, warned, counts = end(start("prepare", "2"))
    assert told == "mhpdata Compiling kernels for this machine, about 7 s."
    assert warned.startswith("mhpdata Compiled kernels cannot be written to ")
    assert json.loads(counts) == [[1, 1], True]


def test_processes_that_start_together_compile_once(start):
    processes = [start("prepare", "2") for _ in range(4)]
    found = [end(process) for process in processes]
    misses = [json.loads(lines[-1])[0] for lines in found]
    # a late process finds the file at once; the others look for it again in their turn
    assert sum("Compiling" in line for lines in found for line in lines) == 1, found
    assert max(map(max, misses)) == 1
    assert sum("Waiting for another process" in line for lines in found for line in lines) == 3


HOLD = """
import sys, time
from pathlib import Path
from mhpdata.kernels import compiling
from mhpdata.kernels.cache import folders
with compiling.turn(folders()):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_lock_of_a_killed_process_is_free(start, tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    holder = subprocess.Popen([sys.executable, "-c", HOLD], env=environment, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    waiting = start("one")
    assert waiting.stdout.readline().startswith("mhpdata Waiting for another process, which is compiling kernels")
    assert waiting.poll() is None
    holder.kill()
    holder.communicate()
    told, counts = end(waiting)
    assert "Compiling kernels" in told and json.loads(counts) == [[1, 0], True]


def test_a_turn_counts_and_may_be_entered_again(tmp_path):
    before = compiling.seconds()
    with compiling.turn([tmp_path / "a"]), compiling.turn([tmp_path / "a"]):
        time.sleep(0.05)
    assert 0.05 <= compiling.seconds() - before < 5
    assert (tmp_path / "a" / "compiling.lock").exists()


def test_a_lock_that_cannot_be_had_is_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling.fcntl, "lockf", lambda *of: (_ for _ in ()).throw(OSError(37, "no locks")))
    with compiling.turn([tmp_path]):
        assert compiling._state.lock is None
