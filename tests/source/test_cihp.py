"""CIHP: maps of classes and persons become masks; their possible errors."""

import shutil

import numpy as np
import pytest
from releases import IDS, labels_of, write_cihp, write_maps

import mhpdata
from mhpdata.errors import MaskError
from mhpdata.labels import CIHP
from mhpdata.source import scan as layouts


@pytest.fixture(scope="module")
def cihp(tmp_path_factory):
    return write_cihp(tmp_path_factory.mktemp("cihp") / "CIHP", IDS)


def test_maps_of_classes_and_persons_become_masks(cihp, tmp_path):
    manifest = mhpdata.pack(cihp, tmp_path / "rec", size=0)
    assert (manifest.layout, manifest.classes, manifest.flip_pairs) == ("cihp", CIHP.names, CIHP.flip_pairs)
    assert [split.labelled for split in manifest.splits.values()] == [True, True, False]
    sample = mhpdata.open(tmp_path / "rec", "train")[0]
    assert sample.name == "0000001"
    np.testing.assert_array_equal(sample.labels, labels_of(5, 14, 19))
    np.testing.assert_array_equal(sample.persons, labels_of(1, 2, 3))
    assert [set(np.unique(mask)) for mask in sample.masks] == [{0, 5}, {0, 14}, {0, 19}]
    assert sample.record.contested == 0 and mhpdata.verify_packed(tmp_path / "rec", deep=True).clean
    assert mhpdata.verify_source(cihp).clean
    assert mhpdata.open(tmp_path / "rec", "test")[0].labels is None


def test_gaps_in_the_numbers_of_persons_are_closed_and_background_is_nobodys(cihp, tmp_path):
    root = shutil.copytree(cihp, tmp_path / "cihp")
    write_maps(root / "Training", 1, labels_of(5, 0, 19), labels_of(2, 2, 9))
    write_maps(root / "Training", 4, labels_of(0), labels_of(0))
    mhpdata.pack(root, tmp_path / "rec", size=0)
    first, nobody = mhpdata.open(tmp_path / "rec", "train")[:2]
    np.testing.assert_array_equal(first.persons, labels_of(1, 0, 2))
    assert not nobody.labels.any() and nobody.record.masks == []
    assert mhpdata.verify_packed(tmp_path / "rec", deep=True).clean


def test_a_class_without_a_person_is_an_error(cihp, tmp_path):
    root = shutil.copytree(cihp, tmp_path / "cihp")
    persons = labels_of(1, 2, 3)
    persons[5, 2:6] = 0
    write_maps(root / "Training", 4, labels_of(5, 14, 19), persons)
    found = r"Human_ids/0000004.png: 4 pixels have a class in .*Category_ids/0000004.png but no person"
    with pytest.raises(MaskError, match=found):
        mhpdata.pack(root, tmp_path / "rec", size=0)
    assert [type(error) for error in mhpdata.verify_source(root).findings] == [MaskError]


def test_both_maps_of_an_image_are_looked_at(cihp, tmp_path):
    root = shutil.copytree(cihp, tmp_path / "cihp")
    write_maps(root / "Training", 4, labels_of(20), labels_of(1)[:-1])
    (root / "Training/Human_ids/0000010.png").write_bytes(b"")
    (root / "Training/Images/0000010.jpg").write_bytes(b"")
    report = mhpdata.verify_source(root)
    assert [str(error.place).rpartition("Training/")[2] for error in report.findings] == [
        "Category_ids/0000004.png",
        "Human_ids/0000004.png",
        "Images/0000010.jpg",
        "Human_ids/0000010.png",
    ]
    assert report.counts["train"]["usable"] == 2 and report.counts["train"]["persons"] == 6


def test_the_list_lies_in_the_folder_or_beside_it(cihp, tmp_path):
    root = shutil.copytree(cihp, tmp_path / "cihp")
    (root / "Training" / "train_id.txt").rename(root / "train_id.txt")
    assert len(layouts.scan(root).entries["train"]) == 4
    shutil.copy(root / "train_id.txt", root / "Training")
    (problem,) = layouts.scan(root).problems
    assert "is both in Training and next to it" in str(problem.error)
