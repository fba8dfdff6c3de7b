"""Format version 2 as first released, tests/golden/2: every later mhp reads it, and this one still writes it.

``tests/support/make_golden.py`` made the files.
"""

from __future__ import annotations

import pytest
from folder import tree
from make_golden import GOLDEN_2, PACKS, pack_source, source

import mhpdata
from mhpdata.storage.manifest import BUILD_NAME, read_manifest


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    return source(tmp_path_factory.mktemp("download"))


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_is_sound(name):
    report = mhpdata.verify_packed(GOLDEN_2 / name, deep=True)
    assert report.findings == []
    assert f"content {read_manifest(GOLDEN_2 / name).content_id}" in report.remarks


@pytest.mark.parametrize("name", PACKS)
def test_the_same_download_packs_to_the_same_bytes(name, download, tmp_path):
    pack_source(download, tmp_path / "rec", name)
    packed, golden = tree(tmp_path / "rec"), tree(GOLDEN_2 / name)
    assert (tmp_path / "rec" / BUILD_NAME).exists()
    if (
        name == "hdf5"
    ):  # HDF5 may store the same records in another layout; then the file's digests differ, but not the content id
        assert packed.keys() == golden.keys()
        here, there = (read_manifest(folder) for folder in (tmp_path / "rec", GOLDEN_2 / name))
        assert here.content_id == there.content_id
    else:
        assert packed == golden


def test_they_say_what_was_left_out_renamed_and_odd():
    manifest = read_manifest(GOLDEN_2 / "yuv420")
    said = [skip.message for skip in manifest.skipped] + [one.text for one in manifest.renamed]
    assert said == [
        "annotations: has masks for image 0003 for persons 1, but the file names declare 2",
        "images: 1 file used under another name: 0005.JPG for 0005.jpg",
    ]
    assert [(note.split, note.name, note.code, note.values) for note in manifest.notes] == [
        ("train", "0004", "trailer", (6,))
    ]
