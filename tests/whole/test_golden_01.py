"""Files of mhp 0.1 are read, resumed and scored as in 0.1, and the same download still packs to the same shards.

``tests/support/make_golden_01.py`` made the files, with the code of 0.1.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from folder import tree
from make_golden_01 import PACKS, batches, digests, losses, run_config, source, stopping
from places import TESTS

import mhpdata
from mhpdata.errors import OutputError
from mhpdata.packing.sources import state_1
from mhpdata.packing.summary import FORMAT_1
from mhpdata.source.scan import scan
from mhpmodels.files import checkpoint
from mhpmodels.training.train import train

GOLDEN = TESTS / "golden/0.1"
DIGESTS = json.loads((GOLDEN / "digests.json").read_text())
CURVES = json.loads((GOLDEN / "curves.json").read_text())


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    return source(tmp_path_factory.mktemp("download"))


@pytest.mark.parametrize("name", DIGESTS)
def test_a_pack_is_sound_and_holds_what_it_held(name):
    report = mhpdata.verify_packed(GOLDEN / name, deep=True)
    assert report.findings == []
    for split, samples in DIGESTS[name]["samples"].items():
        assert digests(GOLDEN / name, split) == samples


@pytest.mark.parametrize("name", [name for name in DIGESTS if "batches" in DIGESTS[name]])
def test_a_loader_draws_the_same_batches(name):
    assert batches(GOLDEN / name) == DIGESTS[name]["batches"]


@pytest.mark.parametrize("name", PACKS)
def test_the_same_download_packs_to_the_same_shards(name, download, tmp_path):
    """The manifest then has version 2 and the content id of 0.1's records."""
    manifest = mhpdata.pack(download, tmp_path / "rec", workers=2, **PACKS[name])
    assert f"content {manifest.content_id}" in mhpdata.verify_packed(GOLDEN / name).remarks
    packed, golden = tree(tmp_path / "rec"), tree(GOLDEN / name)
    assert packed.pop("manifest.json") != golden.pop("manifest.json")
    if name == "hdf5":  # HDF5 may store the same records in another layout; the records are compared above
        assert packed.keys() == golden.keys()
    else:
        assert packed == golden


def packed_by_01(download, out):
    """Return the golden pack as 0.1 left it after packing this same download: build.json has its files' times."""
    shutil.copytree(GOLDEN / "rec", out)
    entries = [entry for split in scan(download).entries.values() for entry in split]
    build = json.loads((out / "build.json").read_text())
    (out / "build.json").write_text(json.dumps(build | {"source_state": state_1(entries, [], [])}))
    return {path: path.stat().st_mtime_ns for path in out.iterdir()}


def test_the_same_command_over_a_pack_of_01_does_nothing_and_says_what_may_be_done(download, tmp_path, capsys):
    from mhptools.pack import main as pack

    before = packed_by_01(download, tmp_path / "rec")
    pack(["--src", str(download), "--out", str(tmp_path / "rec"), "--size", "48"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[2] == f"Complete. {FORMAT_1}"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "rec").iterdir()} == before


def test_a_pack_of_01_is_replaced_only_with_overwrite(download, tmp_path):
    before = packed_by_01(download, tmp_path / "rec")
    with pytest.raises(OutputError, match=r"holds a packed folder of format 1, which every command reads.*overwrite"):
        mhpdata.pack(download, tmp_path / "rec", size=40)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "rec").iterdir()} == before
    manifest = mhpdata.pack(download, tmp_path / "rec", size=48, overwrite=True)
    assert manifest.version == 2 and mhpdata.verify_packed(tmp_path / "rec", deep=True).clean


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_stopped_run_is_resumed_as_if_nothing_had_happened(name, tmp_path, monkeypatch):
    if name == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed here; environment A has it")
    for folder in ("rec", name):
        shutil.copytree(GOLDEN / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    left = checkpoint.read(name)
    assert left.position.iteration == {"numpy": 3, "torch": 2}[name]
    done = train(left.config, name, resume=name, open_engine=stopping(name))
    np.testing.assert_allclose(losses(done.folder), CURVES[name]["steps"], rtol=1e-4)
    assert done.best.name == CURVES[name]["best"]


def test_a_run_was_configured_as_the_fields_say():
    assert checkpoint.read(GOLDEN / "torch").config == run_config("torch")


def test_predictions_score_as_they_did(monkeypatch, capsys):
    from mhptools.score import main as score

    monkeypatch.chdir(GOLDEN)
    score(["--data", "rec", "--split", "test", "--pred", "pred", "--json"], standalone_mode=False)
    now, then = json.loads(capsys.readouterr().out), json.loads((GOLDEN / "score.json").read_text())
    assert {key: now[key] for key in then} == then


def test_predictions_are_made_again_from_the_checkpoint(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed here; environment A has it")
    from mhpmodels.files.png import decode_labels
    from mhptools.predict import main as predict

    arguments = ["--checkpoint", GOLDEN / "torch", "--data", GOLDEN / "rec", "--split", "test", "--out", tmp_path / "p"]
    predict([*map(str, arguments), "--base-size", "48"], standalone_mode=False)
    for path in (GOLDEN / "pred").glob("*.png"):
        then, now = (
            decode_labels(file.read_bytes(), path.name, (48, 64), 19) for file in (path, tmp_path / "p" / path.name)
        )
        assert np.mean(then != now) < 0.002, "another processor may round a logit otherwise"
