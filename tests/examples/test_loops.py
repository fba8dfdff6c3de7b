"""The loops of examples/ run and learn: own_loop.py on PyTorch, gluon_loop.py on MXNet."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from places import ROOT


def run(script, *arguments):
    """Return the lines that an example prints."""
    command = [sys.executable, ROOT / "examples" / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def check(lines, epochs):
    """Assert one line per epoch and a falling loss."""
    pattern = r"Epoch (\d+): loss (\d+\.\d+), pixAcc ([01]\.\d+), mIoU ([01]\.\d+)"
    found = [re.fullmatch(pattern, line) for line in lines]
    assert len(found) == epochs and all(found), lines
    assert [int(one[1]) for one in found] == list(range(epochs))
    assert float(found[-1][2]) < float(found[0][2]), lines


def test_help_shows_the_arguments():
    pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
    lines = run("own_loop.py", "--help")
    assert lines[0] == "usage: own_loop.py [-h] rec [epochs] [crop]"


def test_own_loop(small):
    pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
    check(run("own_loop.py", small, 6, 32), 6)


def test_own_loop_with_its_own_crops(small):
    pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
    assert len(run("own_loop.py", small, 1)) == 1


def test_gluon_loop(small, mx):
    check(run("gluon_loop.py", small, 6, 32), 6)
