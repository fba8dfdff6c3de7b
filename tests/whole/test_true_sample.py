"""Image 1528 of LV-MHP v1, which must not be distributed: MHP_SAMPLES is the folder that contains mhp_v1_1528/."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import mhpdata
from mhpdata.options import FORMATS

SAMPLE = Path(os.environ.get("MHP_SAMPLES", "/nonexistent")) / "mhp_v1_1528"
HISTOGRAM = {0: 331849, 2: 14790, 4: 255718, 6: 68458, 11: 31834, 14: 2844, 15: 4507}

pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason="the licence keeps the true sample out; see MHP_SAMPLES")


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Write the sample in the release's form: one image, four masks, two lists."""
    root = tmp_path_factory.mktemp("release")
    for folder, pattern in (("images", "*.jpg"), ("annotations", "*.png")):
        (root / folder).mkdir()
        for path in SAMPLE.glob(pattern):
            shutil.copyfile(path, root / folder / path.name)
    (root / "train_list.txt").write_text("1528.jpg\n")
    (root / "test_list.txt").write_text("")
    return root


@pytest.mark.parametrize("format", FORMATS)
def test_it_comes_back_as_it_was(release, tmp_path, format):
    mhpdata.pack(release, tmp_path / "rec", size=0, format=format, splits=["train"])
    (sample,) = mhpdata.open(tmp_path / "rec", "train")
    labels, counts = np.unique(sample.labels, return_counts=True)
    assert dict(zip(labels.tolist(), counts.tolist(), strict=True)) == HISTOGRAM
    assert (sample.record.contested, sample.record.conflicting) == (630, 15)
    assert sample.record.verbatim and bytes(sample.record.image) == (release / "images/1528.jpg").read_bytes()
    assert len(sample.masks) == 4 and sample.masks[0].shape == sample.labels.shape == (710, 1000)


@pytest.mark.parametrize(("rule", "least"), [("last", 15), ("smallest", 0), ("nearest", 0), ("ignore", 15)])
def test_the_rules_differ_in_the_conflicting_pixels_only(release, tmp_path, rule, least):
    mhpdata.pack(release, tmp_path / "first", size=0, splits=["train"])
    mhpdata.pack(release, tmp_path / rule, size=0, overlap=rule, splits=["train"])
    first, other = (mhpdata.open(tmp_path / name, "train")[0] for name in ("first", rule))
    assert least <= (first.labels != other.labels).sum() <= 15
    assert (first.persons != other.persons).sum() <= 630


def test_packed_at_768_it_verifies(release, tmp_path):
    mhpdata.pack(release, tmp_path / "rec", splits=["train"])
    assert mhpdata.open(tmp_path / "rec", "train")[0].image.shape == (768, 1080, 3)
    report = mhpdata.verify_packed(tmp_path / "rec", deep=True)
    assert report.clean, report.text()


def test_its_files_are_the_release_s(release):
    report = mhpdata.verify_source(release, allow_empty=True)
    assert report.clean, report.text()
    assert report.release["same"] == 5 and len(report.release["missing"]) == 19953 - 7
    assert report.release["changed"] == ["test_list.txt", "train_list.txt"]
