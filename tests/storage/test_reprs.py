"""Representations of samples, splits and manifests: short, robust to damaged records, and escaped in notebooks."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

import mhpdata
from mhpdata.faults import FAULTS
from mhpdata.storage.packed import Skipped

HOSTILE = "<script>alert(1)</script>\n\x1b[31m"


@pytest.fixture
def train(small):
    split = mhpdata.open(small, "train")
    yield split
    split.close()


def test_reprs_are_short(small, train):
    manifest, packed = train.manifest, train.manifest.splits["train"]
    assert repr(train) == f"<5 samples of {small}, split train>"
    assert repr(manifest) == "<Manifest of mhp-v1, 19 classes: train 5, val 1, test 2>"
    assert repr(packed) == "<PackedSplit of 5 records in 1 shard>"
    assert repr(packed.shards[0]) == "<Shard of 5 records: train-00000.rec, train-00000.idx>"
    height, width = train[0].image.shape[:2]
    assert repr(train[0].record) == f"<Record '0001': {height} x {width}, 2 persons>"
    assert repr(train[0]).startswith("Sample(name='0001', image=uint8 (") and len(repr(train[0])) < 150


def test_a_name_is_no_index(train):
    for read in (train.__getitem__, train.record, train.span):
        with pytest.raises(TypeError, match=r"'0003': .* not by name\. Pass 2, which is split\.names\.index\('0003'"):
            read("0003")
    with pytest.raises(TypeError, match=r"Pass an index from 0 to 4; split\.names lists the names in order\.$"):
        train["nobody"]
    with pytest.raises(TypeError, match="sample None"):
        train[None]


def test_a_long_name_is_cut():
    image = np.zeros((8, 8, 3), np.uint8)
    sample = mhpdata.Sample("x" * 5000, image, None, None, 0, None)
    assert len(repr(sample)) < 150


def test_a_split_shows_its_first_samples(train):
    page = train._repr_html_()
    assert page.count("<img ") == 5 and "0: 0001" in page and "split train" in page
    assert len(page) < 200_000


def test_a_split_shows_at_most_six(train, monkeypatch):
    monkeypatch.setattr("mhpdata.thumbnails.MOST", 2)
    assert train._repr_html_().count("<img ") == 2


def test_a_damaged_record_is_named_in_its_place(small, tmp_path):
    rec = shutil.copytree(small, tmp_path / "rec")
    path = next(rec.glob("train-*.rec"))
    data = bytearray(path.read_bytes())
    data[100] ^= 255
    path.write_bytes(data)
    split = mhpdata.open(rec, "train")
    page = split._repr_html_()
    assert page.count("<img ") == 4 and "CRC" in page
    split.close()


def test_a_sample_shows_its_image(train):
    page = train[0]._repr_html_()
    assert page.count("<img ") == 1 and 'alt="0001"' in page


def test_collated_samples_have_no_pictures(train):
    sample = train[0]
    assert type(sample)({**sample, "image": [sample.image]})._repr_html_() is None


def test_hostile_names_are_escaped(train):
    sample = train[0]
    page = type(sample)({**sample, "name": HOSTILE})._repr_html_()
    assert "<script" not in page and "&lt;script&gt;" in page and "\x1b" not in page and "\n" not in page
    train.name = HOSTILE
    assert "<script" not in train._repr_html_() and "\n" not in repr(train)
    hostile = replace(train.manifest, layout=HOSTILE, licence=HOSTILE, citation=HOSTILE)
    page = replace(hostile, splits={HOSTILE: train.manifest.splits["train"]})._repr_html_()
    assert "<script" not in page and page.count("&lt;script&gt;") == 5 and "\x1b" not in page


def test_a_manifest_shows_its_splits(train):
    code = next(iter(FAULTS))
    manifest = replace(train.manifest, licence="for research", skipped=(Skipped("train", "9", "", code),) * 2)
    page = manifest._repr_html_()
    assert "<td>train</td><td>5</td>" in page and "Licence: for research" in page and "2 entries skipped" in page
