"""Images that count: protocols by position, copies by the manifest's duplicates."""

from __future__ import annotations

import numpy as np
import pytest
from folder import write_folder
from loading import open_loader

import mhpdata
from mhpdata.errors import OptionError
from mhpdata.options import PROTOCOLS
from mhpdata.storage.manifest import Manifest
from mhpdata.storage.packed import PackedSplit, Shard, ShardFile, Skipped
from mhpdata.storage.protocol import choose_images, choose_names, copies
from mhpdata.storage.statistics import Statistics


def shards(names, size=300):
    return tuple(
        Shard((ShardFile(f"x-{i:05d}.rec", 1, "0"),), tuple(names[i : i + size])) for i in range(0, len(names), size)
    )


def manifest(splits, duplicates=(), skipped=(), layout="mhp-v1"):
    """Return a manifest with these names and no records."""
    found = {split: PackedSplit(shards(list(names)), Statistics()) for split, names in splits.items()}
    return Manifest(layout, ("background",), (), {}, found, skipped, duplicates)


def ids(first, last):
    return [f"{i:04d}" for i in range(first, last + 1)]


def skip(split, name):
    return Skipped(split, name, f"images/{name}.jpg", "damaged")


RELEASE = {"train": ids(1, 3000), "val": ids(3001, 4000), "test": ids(4001, 4980)}


def test_the_release_has_gluoncvs_999():
    release = manifest(RELEASE)
    assert choose_names(release, "val") == tuple(RELEASE["val"])
    assert choose_names(release, "val", "gluoncv") == tuple((RELEASE["train"] + RELEASE["val"])[3001:4000])
    for split in "train", "test":
        for protocol in PROTOCOLS:
            assert choose_names(release, split, protocol) == tuple(RELEASE[split])


def test_a_photo_that_was_skipped_counts_for_the_position():
    """3492 does not decode; if 3001 did not decode either, GluonCV's slice would lose no further image."""
    without_3492 = {**RELEASE, "val": [name for name in RELEASE["val"] if name != "3492"]}
    chosen = choose_names(manifest(without_3492, skipped=(skip("val", "3492"),)), "val", "gluoncv")
    assert chosen == tuple(without_3492["val"][1:]) and len(chosen) == 998
    without_3001 = {**RELEASE, "val": ids(3002, 4000)}
    skipped = (skip("", "train_list.txt"), skip("train", "0007"), skip("val", "3001"))
    assert choose_names(manifest(without_3001, skipped=skipped), "val", "gluoncv") == tuple(ids(3002, 4000))


def test_smaller_folders_mean_the_same_by_position():
    assert choose_names(manifest({"val": ["9", "4", "7"]}), "val", "gluoncv") == ("4", "7")
    assert choose_names(manifest({"val": ["0006"]}), "val", "gluoncv") == ()
    unordered = manifest({"val": ["9", "4", "7"]}, skipped=(skip("val", "5"),))
    with pytest.raises(OptionError, match="not sorted by id"):
        choose_names(unordered, "val", "gluoncv")
    assert choose_names(manifest({"val": []}, skipped=(skip("val", "5"),)), "val", "gluoncv") == ()
    with pytest.raises(OptionError, match="empty val"):
        choose_names(manifest({"val": []}), "val", "gluoncv")
    with pytest.raises(OptionError, match="gluoncv for cihp"):
        choose_names(manifest({"val": ["1"]}, layout="cihp"), "val", "gluoncv")


COPIES = (
    ("train/0001", "test/0009"),
    ("train/0002", "train/0003"),  # within a split: kept
    ("train/0004", "val/0006", "val/0007"),
    ("val/0008", "test/0010", "test/0011"),
    ("train/0005", "val/0012", "test/0013"),
)


def test_leak_free_leaves_out_copies_of_what_is_evaluated_later():
    folder = manifest({"train": ids(1, 5), "val": [*ids(6, 8), "0012"], "test": [*ids(9, 11), "0013"]}, COPIES)
    assert choose_names(folder, "train", leak_free=True) == ("0002", "0003")
    assert choose_names(folder, "val", leak_free=True) == ("0006", "0007")
    assert choose_names(folder, "test", leak_free=True) == ("0009", "0010", "0011", "0013")
    assert choose_names(folder, "val", "gluoncv", leak_free=True) == ("0007",)
    assert choose_names(folder, "train", unseen=True) == tuple(ids(1, 5))
    assert choose_names(folder, "val", unseen=True) == ("0008",)
    assert choose_names(folder, "val", leak_free=True, unseen=True) == ()
    assert choose_names(folder, "test", unseen=True) == ()
    assert choose_names(folder, "train") == tuple(ids(1, 5))
    assert copies(folder, "val", ["train"]) == {"0006", "0007", "0012"}
    assert copies(folder, "test", ["train", "val"]) == {"0009", "0010", "0011", "0013"}
    assert copies(folder, "train", []) == frozenset()


def test_what_counts_by_index_and_what_of_it_was_seen():
    folder = manifest({"train": ids(1, 5), "val": [*ids(6, 8), "0012"], "test": [*ids(9, 11), "0013"]}, COPIES)
    assert choose_images(folder, "val") == (("0006", "0007", "0008", "0012"), (0, 1, 2, 3), 3)
    assert choose_images(folder, "val", "gluoncv") == (("0007", "0008", "0012"), (1, 2, 3), 2)
    assert choose_images(folder, "val", unseen=True) == (("0008",), (2,), 0)
    assert choose_images(folder, "test") == (("0009", "0010", "0011", "0013"), (0, 1, 2, 3), 4)
    assert choose_images(folder, "train", leak_free=True) == (("0002", "0003"), (1, 2), 0)
    assert choose_images(manifest({"val": []}), "val") == ((), (), 0)
    with pytest.raises(OptionError, match=r"gluoncv for split 'test'; expected val\. .*no effect on test"):
        choose_images(folder, "test", "gluoncv")
    with pytest.raises(
        OptionError, match=r"unseen: given for split 'train'; expected val or test\. .*no effect on train"
    ):
        choose_images(folder, "train", unseen=True)


def test_a_split_whose_name_begins_like_another_is_another():
    folder = manifest({"test": ["1"], "test_inter": ["2"], "val": ["3"]}, (("test_inter/2", "val/3"),))
    assert copies(folder, "val", ["test"]) == frozenset()
    assert copies(folder, "test", ["val"]) == frozenset()


@pytest.mark.parametrize(("split", "there"), [("train", ("train", "val")), ("train", ("train",)), ("val", ("val",))])
def test_copies_of_a_split_that_is_not_packed_are_not_known(split, there):
    with pytest.raises(OptionError, match="packed without"):
        choose_names(manifest({name: RELEASE[name] for name in there}), split, leak_free=True)
    with pytest.raises(OptionError, match="unseen: the folder was packed without train and val"):
        choose_names(manifest({"test": RELEASE["test"]}), "test", unseen=True)


def test_wrong_arguments():
    with pytest.raises(OptionError, match="split: no split 'vall'; expected"):
        choose_names(manifest(RELEASE), "vall")
    with pytest.raises(OptionError, match="official or gluoncv"):
        choose_names(manifest(RELEASE), "val", "torch")


def test_a_packed_folder_read_by_these_names(tmp_path):
    """Image 0012 (test) is a copy of 0001 (train), and 0011 (test) of 0008 (val)."""
    source = write_folder(tmp_path / "LV-MHP-v1", images=12, size=(32, 48))
    (source / "images" / "0011.jpg").write_bytes((source / "images" / "0008.jpg").read_bytes())
    mhpdata.pack(source, tmp_path / "rec", size=0)
    found = mhpdata.open(tmp_path / "rec", "train").manifest
    assert set(found.duplicates) == {("train/0001", "test/0012"), ("val/0008", "test/0011")}
    options = {"batch_size": 4, "view": mhpdata.CentreCrop(32), "threads": 1}
    for split, expected in (("train", [1, 2, 3, 4, 5, 6]), ("val", [1]), ("test", [0, 1, 2])):
        names = choose_names(found, split, "gluoncv" if split == "val" else "official", leak_free=split != "val")
        loader = open_loader(tmp_path / "rec", split, names=names, **options)
        np.testing.assert_array_equal(np.concatenate([batch.indices for batch in loader]), expected)
        loader.close()
    assert choose_names(found, "val", leak_free=True) == ("0009",) == choose_names(found, "val", "gluoncv")
