"""A command that finds an earlier pack of a changed download names the change."""

from __future__ import annotations

import shutil

import pytest
from folder import write_folder, write_list

import mhpdata
from mhpdata.errors import OutputError


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Make a download and its pack. Read-only."""
    folder = tmp_path_factory.mktemp("packed")
    mhpdata.pack(write_folder(folder / "src", size=(40, 56)), folder / "rec", size=0)
    return folder


@pytest.fixture
def source(packed, tmp_path):
    return shutil.copytree(packed / "src", tmp_path / "src")


def refusal(packed, source):
    with pytest.raises(OutputError) as caught:
        mhpdata.pack(source, packed / "rec", size=0)
    assert caught.value.remedy == "Pass another --out, or --overwrite to replace it."
    return caught.value.found


def test_an_image_is_named_by_its_file(packed, source):
    shutil.copy(source / "images/0004.jpg", source / "images/0002.jpg")
    assert refusal(packed, source) == "packed from other files (changed: train/0002, images/0002.jpg)"


def test_an_annotation_is_named_by_its_entry(packed, source):
    for name in ("0003", "0007"):
        masks = sorted((source / "annotations").glob(f"{name}_*.png"))
        masks[0].write_bytes(masks[-1].read_bytes() + b"more")
    found = refusal(packed, source)
    assert found.startswith("packed from other files (changed: train/0003, its annotation, and 1 more)"), found


def test_new_and_missing_images(packed, source):
    write_list(source / "train_list.txt", [f"{number:04}" for number in (1, 2, 3, 4, 5, 6, 8)])
    write_list(source / "test_list.txt", ["0007"])
    found = refusal(packed, source)
    assert found == "packed from other files (new: train/0006, and 1 more; missing: val/0006, and 1 more)", found


def test_nothing_but_a_copy_is_no_change(packed, source):
    assert not mhpdata.pack(source, packed / "rec", size=0).written


def test_what_no_record_holds_is_named_in_general(packed, source):
    with (source / "train_list.txt").open("ab") as file:
        file.write(b"../../etc/passwd\n")
    with pytest.raises(OutputError, match=r"\(changed: a list, the name of a file, or what was skipped\)"):
        mhpdata.pack(source, packed / "rec", size=0, on_error="skip")
