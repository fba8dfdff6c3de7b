"""examples/real_image.py in .venv/real (make slow): ImageNet's classes by our backbone, and a portrait's way."""

from __future__ import annotations

import json
import os
import subprocess

import cv2
import pytest
from places import ROOT

import mhpdata


@pytest.mark.slow
def test_the_example_runs(tmp_path, small):
    python = ROOT / ".venv" / "real" / "bin" / "python"
    assert python.exists(), f"{python}: missing; make slow makes it"

    def run(*command):
        environment = {name: text for name, text in os.environ.items() if name != "MHP_SAMPLES"}
        given = {"capture_output": True, "text": True, "env": environment, "timeout": 900, "check": False}
        done = subprocess.run(list(map(str, (python, *command))), **given)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    flags = "--engine torch --no-cuda --backbone efficientnet_lite0 --pretrained-base package --epochs 1 --batch-size 2"
    sizes = ("--crop-size", 48, "--base-size", 48, "--save-dir", tmp_path / "run")
    run("-m", "mhptools.train", "--data", small, *flags.split(), *sizes)
    lines = run(
        ROOT / "examples" / "real_image.py", "--work", tmp_path / "work", "--run", tmp_path / "run"
    ).splitlines()
    assert [line.split(" with")[0] for line in lines[:4]] == [
        *("coffee.png: class 967", "camera.png: class 872", "chelsea.png: class 282", "rocket.jpg: class 657")
    ]
    out = tmp_path / "work" / "portrait"
    (sample,) = mhpdata.open(out / "rec", "val")
    assert sample.image.shape == (512, 512, 3) and set(sample.labels.ravel().tolist()) == {0, 2, 4, 11}
    assert json.loads((out / "rec" / "manifest.json").read_text())["licence"].startswith("public domain")
    for name in ("pred/astronaut.png", "pred-image/astronaut.png"):
        assert cv2.imread(str(out / name), cv2.IMREAD_UNCHANGED).shape[:2] == (512, 512)
    assert (out / "sheet.png").stat().st_size > 10_000
