"""mhp synth's output in the form of MHP v2 and CIHP is scanned, verified and packed like the releases."""

import numpy as np
import pytest

import mhpdata
from mhpdata.errors import OptionError
from mhpdata.source import scan as layouts
from mhpdata.source.scan import LAYOUTS
from mhpdata.synth.writing.folder import synthesize


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
    for layout in LAYOUTS:
        folder = synthesize(tmp_path / layout, 6, 7, workers=1, scale=0.1, layout=layout).folder
        photos[layout] = {path.read_bytes() for path in folder.rglob("*.jpg")}
    assert photos["mhp-v1"] == photos["cihp"] and len(photos["mhp-v1"] & photos["mhp-v2"]) >= 3


def test_defects_are_of_v1_only(tmp_path):
    with pytest.raises(OptionError, match="with layout cihp; expected layout mhp-v1"):
        synthesize(tmp_path / "set", 3, workers=1, defects=True, layout="cihp")
    with pytest.raises(OptionError, match="mhp-v1, mhp-v2 or cihp"):
        synthesize(tmp_path / "set", 3, workers=1, layout="lip")
