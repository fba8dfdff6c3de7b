"""The five commands of docs/datasets.md lead from a stranger's annotations to a network, a score and a page."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from places import ROOT
from stranger import CLASSES, IMAGES, TRAIN, write_stranger

import mhpdata
from mhpmodels.engines.engine import open_engine
from mhpmodels.prediction.options import Options
from mhpmodels.prediction.predict import predict_split
from mhpmodels.prediction.trained import inference_of, trained_config
from mhpmodels.scoring.score import score

pytestmark = pytest.mark.slow
MACHINE = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
"""Environment of the commands: one thread on the CPU, as several only wait for each other on a busy machine."""


def commands() -> list[list[str]]:
    """Return the commands of the section "Your own dataset", each as a list of words."""
    page = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    section = page.partition("\n## Your own dataset\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```\n(mhp .*?)^```", section, re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for line in block.splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Run the commands as their user does; return the folder and what each command printed."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("stranger")
    write_stranger(folder)
    printed = {}
    for program, name, *arguments in commands():
        command = [sys.executable, "-m", "mhptools", name, *arguments]
        done = subprocess.run(
            command, cwd=folder, env=os.environ | MACHINE, capture_output=True, text=True, timeout=900, check=False
        )
        assert program == "mhp" and done.returncode == 0, f"{name}: {done.stderr[-2000:]}"
        printed[name] = done.stdout + done.stderr
    return folder, printed


def test_five_commands_lead_from_annotations_to_a_page(finished):
    folder, printed = finished
    assert list(printed) == ["pack", "train", "predict", "score", "browse"]
    assert re.search(rf"^all +{IMAGES} ", printed["pack"], re.M) and "Nothing was skipped" in printed["pack"]
    assert "7 classes" in printed["train"] and "engine torch" in printed["train"]
    content = mhpdata.open(folder / "rec", "val").manifest.content_id
    assert content and all(content in printed[name] for name in ("pack", "train", "score"))
    assert len(list((folder / "pred").glob("*.png"))) == IMAGES - TRAIN
    site = folder / "site"
    assert "data/site.js" in (site / "index.html").read_text(encoding="utf-8")
    script = (site / "data" / "site.js").read_text(encoding="utf-8")
    classes = json.loads(script.partition("mhp.site = ")[2].rstrip(";\n"))["classes"]
    assert tuple(one["name"] for one in classes) == CLASSES and len(CLASSES) == 7
    assert all(re.search(rf"^ +\d+ {re.escape(name)} ", printed["score"], re.M) for name in CLASSES)


def test_the_network_is_better_than_background_everywhere_and_than_before_training(finished, monkeypatch):
    folder, printed = finished
    monkeypatch.chdir(folder)
    reached = float(re.search(r"^pixAcc: [\d.]+, mIoU: ([\d.]+)$", printed["score"], re.M)[1])
    val = mhpdata.open("rec", "val")
    background = np.mean(np.concatenate([sample.labels.reshape(-1) for sample in val]) == 0) / len(CLASSES)
    untrained = untrained_score(folder)
    assert background < 0.12 and untrained < 0.15
    assert reached > 0.35, f"mIoU {reached}; background everywhere {background:.3f}, untrained {untrained:.3f}"


def untrained_score(folder: Path) -> float:
    """Return the mIoU of the run's network with its initial weights."""
    _, config = trained_config("run", {"ngpus": 0})
    engine = open_engine(config, training=False)
    try:
        pairs = mhpdata.open("rec", "val").manifest.flip_pairs
        predict_split(inference_of(engine, pairs), "rec", "val", "untrained", None, Options(size=128))
    finally:
        engine.close()
    return float(score("rec", "untrained", "val").as_dict()["mIoU"])
