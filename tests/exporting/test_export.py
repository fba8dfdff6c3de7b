"""All forms: bytes, resuming, what is refused, and the licence."""

import errno
import json
from dataclasses import replace

import pytest
from exports import ABOUT, small_blocks
from folder import tree
from stored import NEEDS_OBSTORE, served

import mhpdata
from mhpdata.errors import OptionError, OutputError, RecordError
from mhpdata.exporting.output import NAME, WORK, Output
from mhpdata.options import EXPORT_FORMS
from mhpdata.terms import SYNTHETIC, SYNTHETIC_NAME

FORMS = [form for form in EXPORT_FORMS if form != "parquet"]
"""The forms that need nothing but the core."""


@pytest.mark.parametrize("form", FORMS)
def test_bytes_do_not_depend_on_threads_and_an_interrupted_export_resumes(form, whole, tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    one = mhpdata.export(whole, tmp_path / "one", form, workers=1)
    mhpdata.export(whole, tmp_path / "four", form, workers=4)
    wanted = tree(tmp_path / "one")
    assert tree(tmp_path / "four") == wanted
    written, write, out = [], Output.write, tmp_path / "resumed"

    def interrupted(self, name, data):
        if len(written) == limit:
            raise KeyboardInterrupt
        written.append(name)
        write(self, name, data)

    files = one.files - len(list((tmp_path / "one").glob("annotations/*.json")))
    limits = [1, 2 * files // 3, files - 1]  # the last stops before README.txt
    while limits:
        limit = limits.pop(0)
        monkeypatch.setattr(Output, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mhpdata.export(whole, out, form, workers=1)
        assert not (out / NAME).exists()
    monkeypatch.setattr(Output, "write", write)
    repeated = len(written)
    again = mhpdata.export(whole, out, form, workers=1)
    assert tree(out) == wanted and again.as_dict() == {**one.as_dict(), "out": str(out)}
    assert repeated < 2 * files, "finished blocks are not made again"
    assert one.files == len(wanted) - 1 and not (out / WORK).exists()


def test_a_complete_export_is_not_written_again(whole, tmp_path):
    first = mhpdata.export(whole, tmp_path / "out", "coco")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    again = mhpdata.export(whole, tmp_path / "out", "coco")
    assert first.written and again == replace(first, written=False)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_a_block_that_lost_a_file_is_made_again(whole, tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    mhpdata.export(whole, tmp_path / "one", "coco")
    finish = mhpdata.exporting.run.Run._finish
    monkeypatch.setattr(mhpdata.exporting.run.Run, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        mhpdata.export(whole, tmp_path / "out", "coco")
    monkeypatch.setattr(mhpdata.exporting.run.Run, "_finish", finish)
    (tmp_path / "out/train/0001.jpg").write_bytes(b"")
    (tmp_path / "out" / WORK / "train-00001.parts").unlink()
    mhpdata.export(whole, tmp_path / "out", "coco")
    assert tree(tmp_path / "out") == tree(tmp_path / "one")


def test_blocks_of_another_size_are_made_again(whole, tmp_path, monkeypatch):
    mhpdata.export(whole, tmp_path / "one", "coco")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        small_blocks(patch, 3)
        patch.setattr(mhpdata.exporting.run.Run, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        mhpdata.export(whole, tmp_path / "out", "coco")
    mhpdata.export(whole, tmp_path / "out", "coco")
    assert tree(tmp_path / "out") == tree(tmp_path / "one")


def test_a_full_disk_is_one_error_and_the_export_resumes(whole, tmp_path, monkeypatch):
    def full(self, name, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(self.out / name))

    with monkeypatch.context() as patch:
        patch.setattr(Output, "write", full)
        with pytest.raises(OutputError, match=r"No space left.*Free space.*run the same command again to resume"):
            mhpdata.export(whole, tmp_path / "out", "coco")
    assert mhpdata.export(whole, tmp_path / "out", "coco").splits["train"]["images"] == 5


def test_other_folders_are_refused_and_stay(whole, tmp_path):
    out = tmp_path / "out"
    mhpdata.export(whole, out, "coco")
    before = tree(out)
    with pytest.raises(OutputError, match="holds an export of other data or options"):
        mhpdata.export(whole, out, "coco", splits=["val"])
    assert tree(out) == before
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds mine\.txt"):
        mhpdata.export(whole, full, "coco")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is not a folder"):
        mhpdata.export(whole, tmp_path / "file", "coco")
    assert tree(full).keys() == {"mine.txt"}


def test_links_in_an_unfinished_export_are_not_followed(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(Output, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    with pytest.raises(KeyboardInterrupt):
        mhpdata.export(whole, out, "coco")
    monkeypatch.undo()
    elsewhere.mkdir()
    (out / "train").rmdir()
    (out / "train").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="is a link"):
        mhpdata.export(whole, out, "coco")
    (out / "train").unlink()
    (out / "train").mkdir()
    (out / "train/0001.jpg").symlink_to(elsewhere / "0001.jpg")
    with pytest.raises(OutputError, match="is a link"):
        mhpdata.export(whole, out, "coco")
    assert not list(elsewhere.iterdir())


def test_two_exports_do_not_write_into_one_folder(whole, tmp_path):
    with Output(tmp_path / "out"), pytest.raises(OutputError, match="another mhp export"):
        mhpdata.export(whole, tmp_path / "out", "coco")


def test_source_size_needs_images_of_that_size(whole, resized, tmp_path):
    with pytest.raises(OptionError, match=r"holds 64 x 88 of 96 x 128 pixels.*--no-images"):
        mhpdata.export(resized, tmp_path / "one", "coco", at="source")
    mhpdata.export(resized, tmp_path / "two", "coco", at="source", images=False)
    mhpdata.export(whole, tmp_path / "three", "coco", at="source", images=False)
    for name in ("parts_train", "persons_test"):
        two, three = (json.loads((tmp_path / n / f"annotations/{name}.json").read_text()) for n in ("two", "three"))
        assert two["annotations"] == three["annotations"] and two["images"] == three["images"]


@pytest.mark.parametrize("form", [form for form in FORMS if form != "mhp-v1"])
def test_annotations_at_source_size_do_not_depend_on_the_packed_size(form, whole, resized, tmp_path):
    for rec, name in ((whole, "whole"), (resized, "resized")):
        mhpdata.export(rec, tmp_path / name, form, at="source", images=False)
    one, other = ({n: d for n, d in tree(tmp_path / name).items() if n not in ABOUT} for name in ("whole", "resized"))
    assert one == other and len(one) >= 6


def test_the_licence_is_inside(whole, tmp_path):
    mhpdata.export(whole, tmp_path / "out", "coco", splits=["val"])
    assert "non-commercial research only" in (tmp_path / "out/README.txt").read_text()
    about = json.loads((tmp_path / "out" / NAME).read_text())
    assert about["licence"].startswith("non-commercial") and about["splits"] == {"val": {"images": 1, "persons": 3}}
    assert not (tmp_path / "out" / SYNTHETIC_NAME).exists()


def test_a_synthetic_dataset_stays_synthetic(download, tmp_path):
    import shutil

    source = shutil.copytree(download, tmp_path / "source")
    (source / SYNTHETIC_NAME).write_text(f"{SYNTHETIC}\n")
    mhpdata.pack(source, tmp_path / "rec", size=0, splits=["val"])
    mhpdata.export(tmp_path / "rec", tmp_path / "out", "mhp-v1")
    again = mhpdata.pack(tmp_path / "out", tmp_path / "again", size=0, splits=["val"])
    assert again.licence == SYNTHETIC


def test_a_damaged_record_is_an_error_that_names_it(whole, tmp_path):
    import shutil

    rec = shutil.copytree(whole, tmp_path / "rec")
    shard = rec / "val-00000.rec"
    data = bytearray(shard.read_bytes())
    data[5000] ^= 1
    shard.write_bytes(data)
    with pytest.raises(RecordError, match=r"val-00000\.rec, record 0"):
        mhpdata.export(rec, tmp_path / "out", "coco")


@NEEDS_OBSTORE
def test_a_folder_at_an_address_is_exported(whole, tmp_path):
    mhpdata.export(whole, tmp_path / "local", "coco", splits=["train"])
    with served(whole) as (_, address):
        mhpdata.export(address, tmp_path / "remote", "coco", splits=["train"])
    assert tree(tmp_path / "remote") == tree(tmp_path / "local")


def test_names_that_cannot_be_files_are_refused(whole, tmp_path, monkeypatch):
    for names, found in (
        (["a/b"], "called 'a/b'"),
        ([".."], "called"),
        (["x\n"], "called"),
        (["A", "a"], "'A' and 'a'"),
    ):
        monkeypatch.setattr("mhpdata.exporting.export.split_names", lambda *_, names=names: tuple(names))
        with pytest.raises(OptionError, match=found):
            mhpdata.export(whole, tmp_path / "out", "coco")
    assert not (tmp_path / "out").exists()


def test_arguments_are_checked(whole, tmp_path):
    for wrong in ({"to": "voc"}, {"at": "half"}, {"splits": ["dev"]}, {"splits": []}, {"workers": 0}):
        with pytest.raises(OptionError):
            mhpdata.export(whole, tmp_path / "out", **{"to": "coco", **wrong})
    with pytest.raises(OptionError, match="address"):
        mhpdata.export(whole, "s3://bucket/out", "coco")
