"""Every benchmark that measures this checkout alone runs to its end, on sets too small for meaningful figures."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from places import ROOT

pytestmark = pytest.mark.slow
BENCHMARKS = {
    "pack": ("--images", "8", "--runs", "1"),
    "score": ("--images", "10", "--large", "10", "--runs", "1"),
    "loader": ("--images", "8", "--runs", "1", "--threads", "1"),
    "loader_parts": ("--images", "8", "--runs", "1"),
    "scale": ("--records", "1500", "--runs", "1"),
    "pack_memory": ("--images", "20", "--scale", "0.1", "--size", "32"),
    "train_step": ("--rounds", "1", "--steps", "1", "--task", "icnet,resnet18,64,2,sgd"),
}
NEEDS = {"pack": ("PIL",), "train_step": ("torch", "mxnet", "onnxruntime", "onnxscript")}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs(name, tmp_path):
    lacking = [module for module in NEEDS.get(name, ()) if find_spec(module) is None]
    if lacking:
        pytest.skip(f"needs {', '.join(lacking)}; environment A has them")
    command = [sys.executable, str(ROOT / f"benchmarks/{name}.py"), *BENCHMARKS[name], "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    content = json.loads((tmp_path / f"{name}.json").read_text())
    assert content["machine"]["mhp"] and (tmp_path / f"{name}.md").exists()
