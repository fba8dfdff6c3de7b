"""Lightning and Accelerate iterate over mhp's batches, in the environment .venv/lightning (make slow)."""

from __future__ import annotations

import subprocess

import pytest
from places import ROOT, SUPPORT

LOOPS = ("epochs_differ", "fewer_batches", "resumes", "resumes_at_an_epochs_end", "samples", "accelerate")


@pytest.fixture(scope="module")
def python():
    """Return the environment's Python."""
    path = ROOT / ".venv" / "lightning" / "bin" / "python"
    assert path.exists(), f"{path}: missing; make slow makes it"
    code = "import importlib.util as u; print(*(name for name in ('torchvision',) if u.find_spec(name)))"
    found = subprocess.run([path, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not found
    return path


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_of(loop, python, small, tmp_path):
    command = [python, SUPPORT / "lightning_loops.py", loop, small, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
