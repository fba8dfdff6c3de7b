"""mhp synth's output in the form of MHP v2 and CIHP is scanned, verified and packed like the releases."""

import numpy as np
import pytest

import mhpdata
from mhpdata.errors import OptionError
from mhpdata.source import scan as layouts
from mhpdata.synth.writing.folder import synthesize
from mhpdata.synth.writing.forms import FORMS
from mhpdata.synth.writing.own_forms import OWN_FORMS


@pytest.mark.parametrize("layout", ["mhp-v2", "cihp"])
def test_a_synthetic_folder_has_the_form_and_the_traps(layout, tmp_path):
    folder = synthesize(tmp_path / "set", 40, 7, workers=1, scale=0.1, layout=layout).folder
    listing = layouts.scan(folder)
    assert (listing.layout, listing.problems, listing.unlabelled) == (layout, [], {"test"})
    assert mhpdata.verify_source(folder).clean
    mhpdata.pack(folder, tmp_path / "rec", size=32)
    seen = np.zeros(len(listing.labels), int)
    for sample in mhpdata.open(tmp_path / "rec", "train"):
        seen += np.bincount(sample.labels.reshape(-1), minlength=256)[: len(seen)] > 0
    drawn = {"mhp-v2": 25, "cihp": 15}
    assert np.count_nonzero(seen) >= drawn[layout], [n for n, s in zip(listing.labels.names, seen, strict=True) if s]
    if layout == "mhp-v2":
        names = [entry.name for entries in listing.entries.values() for entry in entries]
        assert names[:5] == ["1", "2", "4", "5", "7"]
        starts = {(folder / e.image.path).read_bytes()[:4] for e in listing.entries["train"]}
        assert {b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1", b"\x89PNG", b"RIFF"} <= starts
        assert any(start.startswith(b"BM") for start in starts)
        kinds = {
            data[25] for e in listing.entries["train"] for m in e.masks for data in [(folder / m.path).read_bytes()]
        }
        assert kinds == {0, 2}, "gray and RGB masks"
        assert (folder / "train" / "pose_annos" / "1.mat").exists()


def test_one_seed_gives_the_same_scenes_in_every_form(tmp_path):
    photos = {}
    for layout in FORMS:
        folder = synthesize(tmp_path / layout, 6, 7, workers=1, scale=0.1, layout=layout).folder
        photos[layout] = {path.read_bytes() for path in folder.rglob("*.jpg")}
    assert photos["mhp-v1"] == photos["cihp"] and len(photos["mhp-v1"] & photos["mhp-v2"]) >= 3


def test_defects_are_of_v1_only(tmp_path):
    with pytest.raises(OptionError, match="with layout cihp; expected layout mhp-v1"):
        synthesize(tmp_path / "set", 3, workers=1, defects=True, layout="cihp")
    with pytest.raises(OptionError, match="folder-maps or folder-coco"):
        synthesize(tmp_path / "set", 3, workers=1, layout="atr")


@pytest.mark.parametrize("layout", ["lip", "ccihp"])
def test_lip_and_ccihp_are_packed_from_their_own_form(layout, tmp_path):
    folder = synthesize(tmp_path / "set", 30, 7, workers=1, scale=0.1, layout=layout).folder
    listing = layouts.scan(folder, layout)
    assert (listing.layout, listing.problems, listing.unlabelled) == (layout, [], {"test"})
    assert layouts.scan(folder).layout == ("lip" if layout == "lip" else "cihp"), "CCIHP must be named"
    assert mhpdata.verify_source(folder, layout=layout).clean
    manifest = mhpdata.pack(folder, tmp_path / "rec", size=32, layout=layout)
    assert mhpdata.verify_packed(tmp_path / "rec", deep=True).clean
    persons = [split.statistics.persons for split in manifest.splits.values() if split.labelled]
    assert layout != "lip" or persons == [split.records for split in manifest.splits.values() if split.labelled]
    seen = set()
    for sample in mhpdata.open(tmp_path / "rec", "train"):
        seen |= {manifest.classes[label] for label in np.unique(sample.labels)}
    assert {"hair", "face", "left-arm"} <= seen and ("torso-skin" in seen) == (layout == "ccihp")
    assert ("bag" in seen) == (layout == "ccihp")


@pytest.mark.parametrize("layout", OWN_FORMS)
def test_a_dataset_of_ones_own_comes_with_its_label_file(layout, tmp_path):
    done = synthesize(tmp_path / "set", 10, 7, workers=1, scale=0.1, layout=layout)
    labels = done.folder / "mine.json"
    report = mhpdata.verify_source(done.folder, labels=labels)
    assert report.clean and report.counts["train"]["persons"] == done.persons["train"], report.text()
    manifest = mhpdata.pack(done.folder, tmp_path / "rec", size=0, labels=labels)
    assert (done.images, len(manifest.classes)) == ({"train": 8, "val": 2}, 7) and not manifest.skipped
    assert manifest.licence.startswith("free to use") and mhpdata.verify_packed(tmp_path / "rec", deep=True).clean


def test_the_forms_of_ones_own_pack_to_the_same_labels(tmp_path):
    seen = []
    for layout in OWN_FORMS:
        folder = synthesize(tmp_path / layout, 6, 3, workers=1, scale=0.1, layout=layout).folder
        mhpdata.pack(folder, tmp_path / f"{layout}-rec", size=0, labels=folder / "mine.json")
        seen.append([(one.name, one.labels, one.persons) for one in mhpdata.open(tmp_path / f"{layout}-rec", "train")])
    for others in seen[1:]:
        for ours, theirs in zip(seen[0], others, strict=True):
            assert ours[0] == theirs[0]
            np.testing.assert_array_equal(ours[1], theirs[1])
            np.testing.assert_array_equal(ours[2], theirs[2])
