"""A manifest that contradicts itself, its layout or its records: each edit is reported."""

from __future__ import annotations

import shutil

import pytest
from verified import edit_manifest, statistic, write_packed

import mhpdata
from mhpdata.checking.packed import verify_packed
from mhpdata.errors import ManifestError
from mhpdata.storage.duplicates import count_shared, identical


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Read-only."""
    return write_packed(tmp_path_factory.mktemp("clean"), ["recordio", "hdf5"])


@pytest.fixture
def source(clean, tmp_path):
    return shutil.copytree(clean / "source", tmp_path / "MHP")


@pytest.fixture(params=["recordio", "hdf5"])
def packed(request, clean, tmp_path):
    return shutil.copytree(clean / request.param, tmp_path / "rec")


@pytest.fixture
def recordio(clean, tmp_path):
    return shutil.copytree(clean / "recordio", tmp_path / "rec")


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"format": "mhp-packed", "version": 2}'])
def test_no_manifest_is_raised(recordio, text):
    (recordio / "manifest.json").unlink()
    if text is not None:
        (recordio / "manifest.json").write_text(text)
    with pytest.raises(ManifestError, match=r"manifest\.json"):
        verify_packed(recordio)


def test_sums_that_do_not_add_up_are_raised(recordio):
    edit_manifest(recordio, lambda content: content["splits"]["train"].update(records=6))
    with pytest.raises(ManifestError, match="6 records, but 5 in its shards"):
        verify_packed(recordio)


def class_pixels(content):
    content["splits"]["train"]["statistics"]["class_pixels"][0] += 1


def names(content):
    content["splits"]["train"]["shards"][0]["names"][1] = "0042"


def names_twice(content):
    content["splits"]["train"]["shards"][0]["names"][1] = "0001"


def classes(content):
    content["classes"][3] = "spectacles"


def a_hash(content):
    content["splits"]["val"]["shards"][0]["files"][0]["sha256"] = "0" * 64  # but not the digests of its blocks


def content_of_val(content):
    content["splits"]["val"]["content"] = "0" * 64


def a_block(content):
    content["splits"]["val"]["shards"][0]["files"][0]["blocks"] = "0" * 64


def a_length(content):
    content["splits"]["val"]["shards"][0]["files"][0]["bytes"] += 1


def shard_of_another_split(content):
    content["splits"]["test"]["shards"] = content["splits"]["val"]["shards"]
    content["splits"]["test"]["records"] = 1


def skipped(content):
    content["skipped"] = [{"split": "dev", "name": "0009", "place": "images/0009.jpg", "code": "empty", "values": []}]


CONTESTED = "contested"  # the key in a manifest of what the pages call overlapping pixels
EDITS = {
    "images": (statistic("images", 4), "statistics of split train: images 4"),
    "persons": (statistic("persons", 1), "persons 1"),
    "gray": (statistic("gray", 2), "gray 2"),
    CONTESTED: (statistic(CONTESTED, 1), f"{CONTESTED} 1"),
    "ignored": (statistic("ignored_pixels", 7), "ignored_pixels 7"),
    "class_pixels": (class_pixels, "of label 0 (background)"),
    "class_images": (statistic("class_images", [0] * 18), "class_images of 18 classes"),
    "classes": (classes, "spectacles"),
    "flip_pairs": (lambda content: content.update(flip_pairs=[[9, 10]]), "flip_pairs ((9, 10),)"),
    "layout": (lambda content: content.update(layout="mhp-v9"), "layout 'mhp-v9'"),
    "name": (names, "is named '0002'"),
    "name_twice": (names_twice, "names 0001 2 times"),
    "hash": (a_hash, "SHA-256 of the file, though all its blocks match: the manifest is damaged"),
    "length": (a_length, "as the manifest says"),
    "duplicate_name": (lambda content: content.update(duplicates=[["train/0001", "val/9999"]]), "val/9999"),
    "duplicate_group": (lambda content: content.update(duplicates=[["train/0001", "val/0006"]]), "duplicates group"),
    "splits": (lambda content: content["options"].update(splits=["train"]), "option splits ['train']"),
    "quality": (lambda content: content["options"].update(quality=101), "option quality: 101"),
    "size": (lambda content: content["options"].update(size=128), "128 x"),
    "image": (lambda content: content["options"].update(image="jpeg"), "image codec 2"),
    "option_missing": (lambda content: content["options"].pop("quality"), "option quality: missing or unknown"),
    "shards": (shard_of_another_split, "shard 0 of split test"),
    "content": (content_of_val, "content of split val 0000"),
    "a_block": (a_block, "matches its SHA-256, but not the block digests in the manifest"),
    "skipped": (skipped, "split 'dev'"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_manifest(packed, edit):
    change, says = EDITS[edit]
    edit_manifest(packed, change)
    report = verify_packed(packed)
    assert any(says in str(error) for error in report.findings), report.text()


@pytest.mark.parametrize("option", ["format", "overlap"])
def test_a_manifest_without_what_every_reader_asks_for_is_no_manifest(packed, option):
    edit_manifest(packed, lambda content: content["options"].pop(option))
    with pytest.raises(ManifestError, match=rf"invalid field: options\.{option} is missing\. .* copy manifest\.json"):
        verify_packed(packed)


def test_duplicates_are_counted_anew(source, tmp_path):
    shutil.copy(source / "images" / "0001.jpg", source / "images" / "0007.jpg")
    mhpdata.pack(source, tmp_path / "rec", size=0)
    report = verify_packed(tmp_path / "rec")
    assert report.clean
    assert "byte-identical images: 2 in 1 group" in report.remarks
    edit_manifest(tmp_path / "rec", lambda content: content.update(duplicates=[]))
    assert "train/0001, test/0007" in verify_packed(tmp_path / "rec").findings[0].found


def test_identical_groups():
    assert identical([("a", b"1"), ("b", b"2"), ("c", b"1"), ("d", b"3")]) == (("a", "c"),)


def test_what_groups_share():
    groups = [
        ("train/1", "train/2", "val/3"),
        ("train/4", "test/5"),
        ("val/6", "val/7"),
        ("train/8", "val/9", "test/0"),
    ]
    within, across = count_shared(groups, ("train", "val", "test"))
    assert within == 2
    assert across == {("train", "val"): 2, ("train", "test"): 2, ("val", "test"): 1}
    assert count_shared([], ["train"]) == (0, {})
