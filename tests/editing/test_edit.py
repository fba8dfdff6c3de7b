"""Packs made from packs: byte-identical where nothing is left out, the same samples everywhere, resumable."""

import json
import shutil

import numpy as np
import pytest
from folder import tree, write_folder
from stored import NEEDS_OBSTORE, served

import mhpdata
from mhpdata.editing import edit as editing
from mhpdata.editing.edit import edit, preview_edit
from mhpdata.editing.plan import EditOptions
from mhpdata.errors import ManifestError, OptionError, OutputError, PackedError
from mhpdata.images import decode
from mhpdata.packing import open_shard
from mhpdata.storage.manifest import read_manifest
from mhpdata.storage.protocol import choose_names


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    """Return a download with 24 images, one of which is not an image, and one with a damaged trailer."""
    root = write_folder(tmp_path_factory.mktemp("many") / "LV-MHP-v1", images=24)
    (root / "images" / "0004.jpg").write_bytes(b"no image")
    photo = root / "images" / "0003.jpg"
    photo.write_bytes(photo.read_bytes() + b"trailing bytes")
    return root


@pytest.fixture(scope="module")
def rec(download, tmp_path_factory):
    out = tmp_path_factory.mktemp("rec") / "rec"
    mhpdata.pack(download, out, size=0, on_error="skip", workers=2)
    return out


def samples(folder):
    """Return the bytes of every record of a pack, without its header, by split and name."""
    opened = [mhpdata.open(folder, split, allow_empty=True) for split in read_manifest(folder).splits]
    return {(one.name, name): bytes(one.raw(n))[24:] for one in opened for n, name in enumerate(one.names)}


@pytest.mark.parametrize(("format", "limit"), [("recordio", 1), ("hdf5", 256)])
def test_shards_of_another_size_or_format_are_those_of_a_pack_of_the_download(
    download, rec, tmp_path, format, limit, monkeypatch
):
    monkeypatch.setattr("mhpdata.packing.run.MB", 20_000), monkeypatch.setattr(editing, "MB", 20_000)
    mhpdata.pack(download, tmp_path / "a", size=0, on_error="skip", format=format, shard_mb=limit)
    monkeypatch.setattr(decode, "decode_file", None)
    edit([rec], tmp_path / "b", EditOptions(format=format, shard_mb=limit, workers=3))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert len(read_manifest(tmp_path / "b").splits["train"].shards) > (limit == 1)
    builds = [json.loads((tmp_path / one / "build.json").read_text()) for one in "ab"]
    assert builds[0]["maker"] == builds[1]["maker"] and builds[1]["source"] == [str(rec)]


def test_a_subset_by_condition_and_by_names(rec, tmp_path):
    options = EditOptions(where="persons == 3", splits=("train", "test"))
    taken = preview_edit([rec], options)
    manifest = edit([rec], tmp_path / "a", options)
    assert manifest.selection == {"where": "persons == 3"} and list(manifest.splits) == ["train", "test"]
    assert {name: tuple(names) for name, names in taken.items()} == {
        name: mhpdata.open(tmp_path / "a", name).names for name in manifest.splits
    }
    assert mhpdata.verify_packed(tmp_path / "a", deep=True).clean
    whole = samples(rec)
    assert samples(tmp_path / "a").items() <= whole.items()
    assert all(len(mhpdata.open(rec, "train").record(i).masks) in (2, 3) for i in range(4))
    listed = tmp_path / "names.txt"
    listed.write_text("# a selection\n0002\n\ntrain/0003\ntest/0020\n")
    manifest = edit([rec], tmp_path / "b", EditOptions(names=listed, allow_empty=True))
    assert {name: list(mhpdata.open(tmp_path / "b", name, allow_empty=True).names) for name in manifest.splits} == {
        "train": ["0002", "0003"],
        "val": [],
        "test": ["0020"],
    }
    assert [note.code for note in manifest.notes] == ["trailer"] and [s.name for s in manifest.skipped] == ["0004"]


@pytest.mark.parametrize("where", ["persons >= 3", "contested>0", "gray", "name < '0005'", "duplicate", "width > 1"])
def test_a_condition_and_its_opposite_divide_a_pack(rec, tmp_path, where):
    parts = []
    for n, condition in enumerate((where, f"not ({where})")):
        parts.append(tmp_path / str(n))
        edit([rec], parts[-1], EditOptions(where=condition, allow_empty=True))
    a, b = map(samples, parts)
    assert not a.keys() & b.keys() and a | b == samples(rec)
    manifest = edit(parts, tmp_path / "both", EditOptions())
    assert samples(tmp_path / "both") == samples(rec) and len(manifest.selection["packs"]) == 2
    assert mhpdata.verify_packed(tmp_path / "both", deep=True).clean
    assert manifest.selection["of"] == [{"where": where}, {"where": f"not ({where})"}]


def test_a_split_is_divided_and_moved(rec, tmp_path):
    names = mhpdata.open(rec, "train").names
    held = tmp_path / "held.txt"
    held.write_text("\n".join(names[1::3]))
    edit([rec], tmp_path / "val", EditOptions(names=held, splits=("val=train",)))
    (tmp_path / "rest.txt").write_text("\n".join(sorted(set(names) - set(names[1::3]))))
    edit([rec], tmp_path / "train", EditOptions(names=tmp_path / "rest.txt", splits=("train",)))
    manifest = edit([tmp_path / "train", tmp_path / "val"], tmp_path / "new")
    assert mhpdata.open(tmp_path / "new", "val").names == names[1::3]
    assert mhpdata.open(tmp_path / "new", "train").names == tuple(sorted(set(names) - set(names[1::3])))
    assert mhpdata.verify_packed(tmp_path / "new", deep=True).clean
    assert {skip.split for skip in manifest.skipped} == {"train", "val"}  # 0004 is left out of what was train
    with pytest.raises(OptionError, match="gluoncv for a folder with a selection of records"):
        choose_names(manifest, "val", "gluoncv")


def test_the_same_sample_in_two_packs_is_taken_once_and_two_of_one_name_are_an_error(rec, download, tmp_path):
    edit([rec], tmp_path / "a", EditOptions(where="name < '0008'", splits=("train",)))
    edit([rec], tmp_path / "b", EditOptions(where="name > '0003'", splits=("train",)))
    assert edit([tmp_path / "a", tmp_path / "b"], tmp_path / "c").splits["train"].records == len(
        mhpdata.open(rec, "train")
    )
    other = shutil.copytree(download, tmp_path / "other")
    shutil.copy(other / "images" / "0006.jpg", other / "images" / "0005.jpg")
    mhpdata.pack(other, tmp_path / "d", size=0, on_error="skip", splits=["train"])
    with pytest.raises(OptionError, match="have different samples named '0005'"):
        edit([tmp_path / "a", tmp_path / "d"], tmp_path / "e")


def test_an_interrupted_edit_is_resumed_with_the_same_bytes(rec, tmp_path, monkeypatch):
    monkeypatch.setattr(editing, "MB", 20_000)
    options = EditOptions(shard_mb=1, where="persons > 0", workers=1)
    edit([rec], tmp_path / "a", options)
    for stop in (1, 7, 12):
        added = []
        add = open_shard.OpenShard.add

        def stopping(shard, converted, added=added, stop=stop, add=add):
            added.append(converted)
            if len(added) > stop:
                raise KeyboardInterrupt
            add(shard, converted)

        with monkeypatch.context() as patched:
            patched.setattr(open_shard.OpenShard, "add", stopping)
            with pytest.raises(KeyboardInterrupt):
                edit([rec], tmp_path / "b", options)
        assert not (tmp_path / "b" / "manifest.json").exists()
    with pytest.raises(
        OutputError, match=r"with other options \(another selection of records\).*the same --from, --nam"
    ):
        edit([rec], tmp_path / "b", options._replace(where="persons > 1"))
    edit([rec], tmp_path / "b", options)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    before = (tmp_path / "b" / "build.json").read_bytes()
    edit([rec], tmp_path / "b", options)
    assert (tmp_path / "b" / "build.json").read_bytes() == before  # nothing is written a second time
    with pytest.raises(OutputError, match=r"other options \(another selection of records\).*--overwrite"):
        edit([rec], tmp_path / "b", options._replace(where="persons > 1"))
    edit([rec], tmp_path / "b", options._replace(where="persons > 2"), overwrite=True)
    assert mhpdata.verify_packed(tmp_path / "b", deep=True).clean


def test_what_does_not_fit_together_is_refused(rec, download, tmp_path):
    mhpdata.pack(download, tmp_path / "small", size=64, on_error="skip")
    for folders, options, words in (
        ([rec, tmp_path / "small"], {}, r"with other options than .* \(--size 64, now 0\)"),
        ([], {}, "no packed folder"),
        ([rec], {"splits": ("dev",)}, "no split 'dev' in the packed folders; expected train, val or test"),
        ([rec], {"splits": ("dev=train",)}, "'dev' is not a split of the layout"),
        ([rec], {"splits": ("train", "val=train")}, "train is given twice"),
        ([rec], {"where": "persons > 99"}, "split train would be empty"),
        ([rec], {"format": "zip"}, "'zip'; expected recordio or hdf5"),
        ([rec], {"shard_mb": 0}, "0; expected a whole number from 1"),
        ([rec], {"names": tmp_path / "none.txt"}, "cannot be read"),
    ):
        with pytest.raises(OptionError, match=words):
            edit(folders, tmp_path / "out", EditOptions(**options))
        assert not (tmp_path / "out").exists()
    (tmp_path / "names.txt").write_text("0001\n9999\nval/0001\n")
    with pytest.raises(OptionError, match="'9999' and 1 other in none of the splits"):
        edit([rec], tmp_path / "out", EditOptions(names=tmp_path / "names.txt"))
    (tmp_path / "names.txt").write_text("# none\n")
    with pytest.raises(OptionError, match="has no names"):
        edit([rec], tmp_path / "out", EditOptions(names=tmp_path / "names.txt"))
    with pytest.raises(OptionError, match="is also --from"):
        edit([rec], rec)
    with pytest.raises(ManifestError, match="missing"):
        edit([tmp_path], tmp_path / "out")


def test_a_damaged_record_is_an_error_and_nothing_is_published(rec, tmp_path):
    copy = shutil.copytree(rec, tmp_path / "copy")
    shard = copy / "train-00000.rec"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(PackedError, match="copy"):
        edit([copy], tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_batches_of_a_subset_are_those_of_its_samples(rec, tmp_path):
    edit([rec], tmp_path / "a", EditOptions(splits=("train",), where="persons == 2"))
    choose = mhpdata.Choose(names=mhpdata.open(tmp_path / "a", "train").names)
    given = {"batch_size": 2, "view": mhpdata.CentreCrop(32), "threads": 1}
    mine = mhpdata.Loader(tmp_path / "a", "train", **given)
    whole = mhpdata.Loader(rec, "train", choose=choose, **given)
    for one, other in zip(mine, whole, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)
    mine.close()
    whole.close()


@NEEDS_OBSTORE
def test_records_come_from_an_address(rec, tmp_path):
    options = EditOptions(where="persons > 0", workers=2)
    edit([rec], tmp_path / "a", options)
    with served(rec) as (_, address):
        edit([address], tmp_path / "b", options)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert json.loads((tmp_path / "b" / "build.json").read_text())["source"] == [address]
