"""Files of mhp 0.2 are read, resumed, scored and written as in 0.2; ``tests/support/make_golden_02.py`` made them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from folder import tree
from make_golden_01 import losses, source, stopping
from make_golden_02 import SCORED, pack_own, printed, run_config
from places import TESTS

import mhpdata
from mhpmodels.files import checkpoint
from mhpmodels.training.train import train

GOLDEN = TESTS / "golden/0.2"
CURVES = json.loads((GOLDEN / "curves.json").read_text())
RUNS = ("numpy", "torch")


def needs_torch():
    pytest.importorskip("torch", reason="PyTorch is not installed here; environment A has it")


@pytest.mark.parametrize("name", ["rec", "own/rec"])
def test_a_pack_is_sound(name):
    report = mhpdata.verify_packed(GOLDEN / name, deep=True)
    assert report.findings == []


def test_the_same_download_packs_to_the_same_bytes(tmp_path):
    mhpdata.pack(source(tmp_path), tmp_path / "rec", workers=2, size=48)
    assert tree(tmp_path / "rec") == tree(GOLDEN / "rec")


def test_a_label_file_packs_the_same_dataset_to_the_same_bytes(tmp_path):
    pack_own(GOLDEN / "own/mine.json", tmp_path / "rec")
    assert tree(tmp_path / "rec") == tree(GOLDEN / "own/rec")


@pytest.mark.parametrize("name", RUNS)
def test_a_stopped_run_is_resumed_as_if_nothing_had_happened(name, tmp_path, monkeypatch):
    if name == "torch":
        needs_torch()
    for folder in ("rec", name):
        shutil.copytree(GOLDEN / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    left = checkpoint.read(name)
    assert left.position.iteration == {"numpy": 3, "torch": 2}[name]
    done = train(left.config, name, resume=name, open_engine=stopping(name))
    np.testing.assert_allclose(losses(done.folder), CURVES[name]["steps"], rtol=1e-4)
    assert done.best.name == CURVES[name]["best"]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_was_configured_as_the_fields_say(name):
    assert checkpoint.read(GOLDEN / name).config == run_config(name)


def test_weights_say_where_they_come_from(monkeypatch):
    from mhptools.convert import main as convert

    monkeypatch.chdir(GOLDEN)
    assert printed(convert, "--info", "torch") == (GOLDEN / "origin.txt").read_text()


@pytest.mark.parametrize("name", ["pred", "persons"])
def test_predictions_score_as_they_did(name, monkeypatch):
    from mhptools.score import main as score

    monkeypatch.chdir(GOLDEN)
    now = json.loads(printed(score, *SCORED, "--pred", name))
    then = json.loads((GOLDEN / "score.json").read_text())[name]
    assert {key: now[key] for key in then} == then


@pytest.mark.parametrize("name", ["pred", "persons"])
def test_predictions_are_made_again_from_the_checkpoint(name, tmp_path):
    needs_torch()
    from mhpmodels.files.png import decode_labels
    from mhptools.predict import main as predict

    persons = ["--persons"] if name == "persons" else []
    of = ["--checkpoint", GOLDEN / "torch", "--data", GOLDEN / "rec", "--split", "test", "--base-size", "48"]
    printed(predict, *map(str, of), "--out", str(tmp_path / name), *persons)
    maps = sorted((GOLDEN / name).rglob("*.png"))
    assert len(maps) == 4 * (1 + len(persons))
    for path in maps:
        again = tmp_path / name / path.relative_to(GOLDEN / name)
        then, now = (decode_labels(file.read_bytes(), path.name, (48, 64), 256) for file in (path, again))
        assert np.mean(then != now) < 0.002, "another processor may round a logit otherwise"


def test_an_export_has_the_same_bytes(tmp_path):
    from mhptools.export import main as export

    printed(export, str(GOLDEN / "rec"), "--to", "coco", "--out", str(tmp_path / "coco"), "--split", "test")
    assert tree(tmp_path / "coco") == tree(GOLDEN / "coco")
