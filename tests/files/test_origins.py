"""Finding the provenance of weights beside them, and that of a run."""

import hashlib
import json
from dataclasses import replace

import pytest
from checkpoints import CONFIG, LOADER, ended
from numpy_engine import NumpyEngine
from origins import FIRST, OWN, SECOND, V1

from mhpdata.errors import CheckpointError, OutputError
from mhpmodels.files import checkpoint, checkpoint_writer
from mhpmodels.files.origins import begun_with, continued, measured, origins_of, write_origins
from mhpmodels.files.packaged import PACKAGES
from mhpmodels.files.provenance import WeightFile, parse_provenance, to_fields
from mhpmodels.models import EFFICIENTNET

BOTH = (FIRST, SECOND)
NOW = replace(FIRST, backbone=None)


@pytest.fixture
def trained(tmp_path):
    (tmp_path / "run").mkdir()
    return checkpoint_writer.save(tmp_path / "run", NumpyEngine(CONFIG), ended(0), LOADER, None, BOTH)


@pytest.fixture
def converted(tmp_path):
    path = tmp_path / "a.params"
    path.write_bytes(b"weights")
    write_origins(path, path, BOTH)
    return path


def test_a_checkpoint_holds_it_and_may_lack_it(trained):
    assert checkpoint.read(trained).provenance == BOTH == origins_of(trained)
    beside = trained.with_suffix(".json")
    content = json.loads(beside.read_text())
    del content["provenance"]  # as mhp 0.1 wrote it
    beside.write_text(json.dumps(content))
    assert checkpoint.read(trained).provenance == () == origins_of(trained)
    beside.write_text(json.dumps(content | {"provenance": [3]}))
    with pytest.raises(CheckpointError, match=r"is damaged \(provenance\.0 is 3, not an object"):
        checkpoint.read(trained)


def test_converted_weights_have_it_beside_them(converted):
    assert origins_of(converted) == BOTH
    assert origins_of(converted.with_name("b.params")) == ()


def test_it_does_not_count_for_other_bytes(trained, converted, caplog):
    for path in (trained, converted):
        path.write_bytes(b"others")
        assert origins_of(path) == ()
        assert f"{path}: has other bytes" in caplog.text


@pytest.mark.parametrize("text", ["{", "{}", "3", '{"format": "mhp-provenance", "version": 2}', None])
def test_a_damaged_description_is_a_warning(converted, text, caplog):
    beside = converted.with_name("a.params.provenance.json")
    content = json.loads(beside.read_text())
    beside.write_text(json.dumps(content | {"weights": 3}) if text is None else text)
    assert origins_of(converted) == ()
    assert "its origin is unknown" in caplog.text and "a.params.provenance.json: is damaged" in caplog.text


def test_only_a_description_by_mhp_is_replaced(converted, tmp_path):
    write_origins(converted, converted, (FIRST,))
    assert origins_of(converted) == (FIRST,)
    beside = converted.with_name("a.params.provenance.json")
    beside.write_text("mine")
    with pytest.raises(OutputError, match="was not written by mhp"):
        write_origins(converted, converted, BOTH)
    assert beside.read_text() == "mine"
    beside.unlink()
    beside.symlink_to(tmp_path / "none")
    with pytest.raises(OutputError, match="is a link"):
        write_origins(converted, converted, BOTH)


def test_a_run_begins_with_what_its_weights_come_from(trained, tmp_path):
    assert begun_with(CONFIG, None, NOW) == (NOW,)
    file = measured(trained)
    assert (file.name, file.bytes) == (trained.name, trained.stat().st_size)
    assert begun_with(CONFIG, trained, NOW) == (*BOTH, replace(NOW, weights=file))
    (tmp_path / "bare.params").write_bytes(b"bare")
    assert begun_with(CONFIG, tmp_path / "bare.params", NOW)[0].weights.name == "bare.params"
    stored = begun_with(CONFIG.changed(pretrained_base="store"), None, NOW)
    assert stored == (replace(NOW, backbone=WeightFile("store")),)
    base = begun_with(CONFIG.changed(pretrained_base=str(trained)), None, NOW)
    assert base == (replace(NOW, backbone=file),)


def test_a_backbone_is_the_file_of_a_folder_or_of_a_package(tmp_path, monkeypatch):
    def backbone(base, **options):
        begun = begun_with(CONFIG.changed(pretrained_base=str(base), **options), None, NOW)
        assert parse_provenance(to_fields(begun)) == begun
        return begun[0].backbone

    folder, content = tmp_path / "mit-b0", b"weights"
    folder.mkdir()
    digest = hashlib.sha256(content).hexdigest()
    for name in ("pytorch_model.bin", "model.safetensors"):  # the latter is read if there are both
        (folder / name).write_bytes(content)
        assert backbone(folder) == WeightFile(f"mit-b0/{name}", 7, digest)
    monkeypatch.chdir(folder)
    assert backbone(".") == WeightFile("model.safetensors", 7, digest)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text("{}")
    assert backbone(folder) == WeightFile("mit-b0")
    assert backbone("nvidia/mit-b0") == WeightFile("mit-b0")

    requirement, _, name, _ = PACKAGES[EFFICIENTNET]
    module = "mhp_test_of_the_origin"
    monkeypatch.setitem(PACKAGES, EFFICIENTNET, (requirement, module, name, digest))
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / module / name
    file.parent.mkdir(parents=True)
    (tmp_path / module / "__init__.py").write_text("raise SystemExit('the code of the package ran')")
    file.write_bytes(content)
    lite = {"engine": "torch", "backbone": EFFICIENTNET}
    assert backbone("package", **lite) == WeightFile("efficientnet-lite0-57934424.pth", 7, digest)


def test_a_resumed_run_adds_an_origin_only_for_other_data_or_another_mhp(trained):
    begun = checkpoint.read(trained)
    same = replace(SECOND, step=90, weights=None, command="mhp train --resume run")
    assert continued(begun, same) == BOTH
    assert continued(begun, replace(same, data=(replace(V1, folder="/moved"), OWN))) == BOTH
    for change in ({"mhp": "0.3.0"}, {"data": (V1,)}, {"data": (OWN, V1)}, {"data": (replace(V1, content=None), OWN)}):
        assert continued(begun, replace(same, **change)) == (*BOTH, replace(same, **change))
    assert continued(replace(begun, provenance=()), same) == (same,)
