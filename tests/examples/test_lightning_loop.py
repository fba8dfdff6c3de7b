"""The Lightning example (in .venv/lightning, make slow) resumes in the middle of an epoch, in one process and two."""

from __future__ import annotations

import json
import subprocess

import pytest
from folder import write_folder
from places import ROOT, SUPPORT

import mhpdata

EPOCHS, STEPS, TOGETHER = 2, 4, 2
"""Steps per epoch: 9 training images, 2 per step over all processes; the last one is dropped."""


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lightning")
    mhpdata.pack(write_folder(folder / "LV-MHP-v1", 16), folder / "rec", size=64, workers=1)
    return folder / "rec"


def run(rec, out, processes, stop=0):
    """Return the steps that each process recorded, by file name, and the exit status."""
    python = ROOT / ".venv" / "lightning" / "bin" / "python"
    assert python.exists(), f"{python}: missing; make slow makes it"
    numbers = map(str, (EPOCHS, processes, TOGETHER // processes, stop))
    command = [python, SUPPORT / "lightning_example.py", rec, out, *numbers]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode == 0) == (stop == 0), done.stderr[-3000:]
    assert stop == 0 or "StoppedError" in done.stderr, done.stderr[-3000:]
    return {path.stem: json.loads(path.read_text()) for path in sorted(out.glob("rank_*.json"))}


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("stop", [1, STEPS + 3])
def test_a_stopped_run_resumes_with_the_batch_that_would_have_come_next(rec, tmp_path, processes, stop):
    whole = run(rec, tmp_path / "whole", processes)
    run(rec, tmp_path / "stopped", processes, stop)
    both = run(rec, tmp_path / "stopped", processes)
    for rank in range(processes):
        steps = whole[f"rank_{rank}_0"]["steps"]
        assert len(steps) == EPOCHS * STEPS and steps[:STEPS] != steps[STEPS:]
        first, second = both[f"rank_{rank}_0"], both[f"rank_{rank}_{stop}"]
        assert first["steps"] == steps[:stop] and second["steps"] == steps[stop:]
    accuracy = whole["rank_0_0"]["metrics"]["val_acc"]
    assert 0 < accuracy < 1 and both[f"rank_0_{stop}"]["metrics"]["val_acc"] == accuracy, "the same weights"


@pytest.mark.slow
def test_two_processes_see_each_sample_once_an_epoch(rec, tmp_path):
    one, two = run(rec, tmp_path / "one", 1), run(rec, tmp_path / "two", 2)
    shares = zip(two["rank_0_0"]["steps"], two["rank_1_0"]["steps"], strict=True)
    assert [sorted(a + b) for a, b in shares] == [sorted(step) for step in one["rank_0_0"]["steps"]]
