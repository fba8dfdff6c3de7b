"""A kernel from the cache is the kernel of the sources that are there now."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mhpdata

SPLIT = """
import numpy as np
from mhpdata import render
out = np.zeros(64, np.uint8)
render.split_channels(0, np.arange(64, dtype=np.uint8), 0, 2, out, 8)
print(*out[[0, 1, 8, 9, 16, 17]])
"""


def split(folder: Path) -> str:
    """What the plain kernel of the package in ``folder`` makes of two pixels."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-c", SPLIT], env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_change_of_a_called_kernel_in_another_file_is_seen(tmp_path):
    shutil.copytree(Path(mhpdata.__file__).parent, tmp_path / "mhpdata", ignore=shutil.ignore_patterns("__pycache__"))
    assert split(tmp_path) == "0 3 1 4 2 5"
    kept = sorted((tmp_path / "cache").rglob("render._split_channels*.nbc"))
    assert kept, "the kernel was not kept, so nothing is tested"
    written = kept[0].stat().st_mtime_ns
    assert split(tmp_path) == "0 3 1 4 2 5"
    assert kept[0].stat().st_mtime_ns == written, "a kernel whose sources are the same is not compiled again"
    callee = tmp_path / "mhpdata" / "kernels.py"
    old = "out[i] = pixels[3 * i]\n"
    assert callee.read_text().count(old) == 1
    callee.write_text(callee.read_text().replace(old, "out[i] = pixels[3 * i] + 100\n"))
    assert split(tmp_path) == "100 103 1 4 2 5"


def test_bounds_are_checked_where_asked_whatever_is_cached(tmp_path):
    shutil.copytree(Path(mhpdata.__file__).parent, tmp_path / "mhpdata", ignore=shutil.ignore_patterns("__pycache__"))
    assert split(tmp_path) == "0 3 1 4 2 5"
    beyond = SPLIT.replace("0, 2, out, 8", "0, 30, out, 8")  # reads and writes behind the end of both arrays
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    environment["NUMBA_BOUNDSCHECK"] = "1"
    done = subprocess.run([sys.executable, "-c", beyond], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "IndexError" in done.stderr
