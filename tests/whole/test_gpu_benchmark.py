"""benchmarks/gpu.py without a GPU measures every source."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from places import ROOT

pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
SCRIPT = ROOT / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_tiny_sizes_on_the_cpu(tmp_path):
    tiny = "--device cpu --images 8 --model icnet --dtype bfloat16 --backbone resnet18 --crop 64 --batch 2 --workers 1"
    command = [sys.executable, SCRIPT, *tiny.split(), "--turns", "1", "--steps", "2", "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    peers = ["albumentations", "albumentations uint8"] if find_spec("albumentations") else []
    assert [row["batches"] for row in rows] == [*peers, "mhp", "ready"]
    assert all(row["images/s"] > 0 and 0 <= row["GPU waits %"] < 100 for row in rows)
    assert "device cpu" in (tmp_path / "gpu.md").read_text()
