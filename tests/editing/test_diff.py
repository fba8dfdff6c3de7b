"""Comparing packed folders: equal samples whatever holds them, and every kind of difference named."""

import shutil

import numpy as np
import pytest
from folder import encode, photo, write_folder, write_list

import mhpdata
from mhpdata.editing.diff import diff
from mhpdata.editing.edit import edit
from mhpdata.editing.plan import EditOptions
from mhpdata.errors import PackedError


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a pack and a pack of the changed download."""
    root = tmp_path_factory.mktemp("diff")
    download, size = write_folder(root / "LV-MHP-v1", images=16), (96, 128)
    mhpdata.pack(download, root / "a", size=0)
    (download / "images" / "0002.jpg").write_bytes(encode(".jpg", photo(77, size)))
    (download / "annotations" / "0003_02_02.png").write_bytes(encode(".png", np.zeros(size, np.uint8)))
    write_list(download / "test_list.txt", ["0013", "0015", "0014"])
    mhpdata.pack(download, root / "b", size=0)
    return root / "a", root / "b"


def test_differences_are_named(folders):
    found = diff(folders)
    assert not found.equal and not found.notes
    assert {c.name: c.parts for c in found.splits["train"].changed} == {
        "0002": ("image", "source image", "other fields"),
        "0003": ("labels", "masks of persons", "other fields"),
    }
    assert found.splits["val"].equal and found.splits["train"].same == 7
    assert (found.splits["test"].only_a, found.splits["test"].only_b, found.splits["test"].moved) == (
        ["0016"],
        [],
        True,
    )
    text = found.text()
    assert "0003 (labels, masks of persons, other fields)" in text and "in another order" in text
    assert "The two folders differ." in text
    assert found.as_dict()["splits"]["train"]["changed"]["0002"] == ["image", "source image", "other fields"]


def test_shards_and_containers_do_not_matter(folders, tmp_path):
    edit([folders[0]], tmp_path / "c", EditOptions(format="hdf5", shard_mb=1))
    found = diff((folders[0], tmp_path / "c"))
    assert found.equal and "hold the same samples" in found.text()


def test_the_opposite_has_the_opposite_lists(folders):
    ours, theirs = diff(folders), diff(folders[::-1])
    for name, split in ours.splits.items():
        other = theirs.splits[name]
        assert (split.only_a, split.only_b, split.same) == (other.only_b, other.only_a, other.same)
        assert split.changed == other.changed


def test_splits_options_and_names_beyond_the_limit(folders, tmp_path):
    edit([folders[0]], tmp_path / "c", EditOptions(splits=("train",), where="name == '0001'"))
    found = diff((folders[0], tmp_path / "c"))
    assert found.notes == ["split test is only in a.", "split val is only in a."]
    assert "  ... and 6 more (--all shows them)" in found.text(2) and "more" not in found.text(None)
    mhpdata.pack(folders[0].parent / "LV-MHP-v1", tmp_path / "d", size=64)
    assert "options of a: --size 0, now 64 in b." in diff((folders[0], tmp_path / "d")).notes


def test_a_damaged_record_is_an_error_though_the_manifests_are_equal(folders, tmp_path):
    copy = shutil.copytree(folders[0], tmp_path / "copy")
    data = bytearray((copy / "val-00000.rec").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "val-00000.rec").write_bytes(data)
    with pytest.raises(PackedError, match="val-00000"):
        diff((folders[0], copy))
