"""benchmarks/persons.py for one seed: the heads tell persons apart, and cost neither labels nor time."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from places import ROOT

pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
SCRIPT = ROOT / "benchmarks" / "persons.py"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_heads_find_persons_that_components_do_not(tmp_path):
    """600 images of mhp-synth, 630 steps with and without heads: 16 minutes with one thread on a busy machine.

    benchmarks/results/persons.md has three seeds. Components are connected components of the same predicted labels;
    true persons have these labels, too.
    """
    command = [sys.executable, SCRIPT, "--work", tmp_path / "work", "--out", tmp_path, "--seed", "0"]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=1750
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads((tmp_path / "persons.json").read_text())
    rows = {row["persons"]: row for row in found["rows"]}
    ours = rows["heads"]
    assert ours["AP^p_vol"] >= 15
    assert ours["AP^p_vol"] >= 2 * rows["components"]["AP^p_vol"]
    assert ours["AP^p_vol"] >= 0.65 * rows["true persons"]["AP^p_vol"]
    assert rows["heads, true labels"]["AP^p_vol"] >= 55
    assert ours["mask AP .5"] >= 60
    assert ours["right number %"] >= 60
    labels = found["labels"][0]
    assert labels["mIoU with heads"] >= labels["without"] - 1
    assert found["step"] <= 1.15
