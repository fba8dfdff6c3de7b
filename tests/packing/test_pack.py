"""Packing a folder: the same bytes for any workers, each defect a distinct error or recorded skip; nothing partial."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from folder import tree

import mhpdata
from mhpdata.errors import FolderError, ImageError, MaskError, OptionError, SourceChangedError, SourceError
from mhpdata.options import FORMATS
from mhpdata.packing import build
from mhpdata.packing import pack as packing
from mhpdata.source import scan as layouts
from mhpdata.synth.writing.defects import DEFECTS
from mhpdata.synth.writing.folder import synthesize

IMAGES = 15

# defect -> the error, words in its message, and its code in the manifest when the entry is skipped
EXPECTED = {
    "missing-image": (FolderError, "missing; expected the listed image", "missing"),
    "missing-mask": (FolderError, "is missing", "persons"),
    "extra-mask": (FolderError, " has a mask for person ", "persons"),
    "mask-size": (MaskError, "the size of its image", "mask-size"),
    "rgb-mask": (MaskError, "is a colour image (its channels differ in", "not-labels"),
    "label-19": (MaskError, "holds label 19; expected labels 0 to 18", "label"),
    "label-254": (MaskError, "holds label 254; expected labels 0 to 18, or 255", "label"),
    "empty-image": (ImageError, "empty file", "empty"),
    "empty-mask": (MaskError, "empty file", "empty"),
    "truncated-image": (ImageError, "truncated JPEG: ", "damaged"),
    "truncated-mask": (MaskError, "truncated PNG", "damaged"),
    "huge-image": (ImageError, "declares 60000 x 60000 = 3,600,000,000 pixels", "too-large"),
    "huge-mask": (MaskError, "declares 60000 x 60000 = 3,600,000,000 pixels", "too-large"),
    "list-traversal": (FolderError, "'../../etc/passwd' leads out of the dataset; expected an image name", "list-line"),
    "list-duplicate": (FolderError, " does; expected each image once", "list-repeat"),
    "list-crlf": (FolderError, "Windows line endings (CRLF); expected LF", "list-crlf"),
    "not-an-image": (
        ImageError,
        "is a web page, not an image (starts with '<html>'); expected JPEG, PNG",
        "unknown-format",
    ),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "MHP_v1"
    synthesize(folder, images=IMAGES, seed=3, scale=0.35)
    return folder


@pytest.fixture(scope="module")
def packed(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "rec"
    mhpdata.pack(source, out, size=256, workers=1)
    return out


def samples(folder: Path) -> dict[str, tuple]:
    manifest = mhpdata.Manifest.from_json((folder / "manifest.json").read_text(), "manifest")
    return {
        f"{split}/{s.name}": (s.image.tobytes(), s.labels.tobytes(), s.persons.tobytes())
        for split in manifest.splits
        for s in mhpdata.open(folder, split)
    }


def test_splits_are_the_lists_in_order_and_the_last_quarter_is_val(source, packed):
    train = (source / "train_list.txt").read_text().split()
    names = {split: [f"{n}.jpg" for n in mhpdata.open(packed, split).names] for split in ("train", "val", "test")}
    assert names["train"] + names["val"] == train and len(names["val"]) == len(train) // 4
    assert names["test"] == (source / "test_list.txt").read_text().split()


def test_a_sample_has_what_the_source_has(source, packed):
    train = mhpdata.open(packed, "train")
    for entry, sample in zip(layouts.scan(source).entries["train"], train, strict=True):
        assert sample.name == entry.name and len(sample.masks) == len(entry.masks)
        assert min(sample.image.shape[:2]) == 256 and sample.image.shape[:2] == sample.labels.shape
        assert ((sample.labels == 0) == (sample.persons == 0)).all()
        digest = hashlib.sha256((source / entry.image.path).read_bytes()).digest()
        assert sample.record.source_sha256 == digest
    assert train[-1].index == len(train) - 1
    with pytest.raises(IndexError):
        train[len(train)]


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_bytes_for_any_number_of_workers(source, tmp_path, format):
    for workers in (1, 2, 7):
        mhpdata.pack(source, tmp_path / str(workers), size=256, workers=workers, format=format, shard_mb=1)
    assert tree(tmp_path / "1") == tree(tmp_path / "2") == tree(tmp_path / "7")
    assert len([name for name in tree(tmp_path / "1") if name.endswith((".rec", ".h5"))]) >= 3
    assert not (tmp_path / "1" / ".packing").exists()


def test_both_formats_hold_the_same_samples(source, packed, tmp_path):
    mhpdata.pack(source, tmp_path / "h5", size=256, format="hdf5")
    assert samples(tmp_path / "h5") == samples(packed)


def test_raw_images_are_what_was_resized(source, tmp_path):
    from mhpdata.images.decode import decode_image
    from mhpdata.images.resize import resize_image

    mhpdata.pack(source, tmp_path / "raw", size=256, image="raw", splits=["val"])
    for entry, sample in zip(layouts.scan(source).entries["val"], mhpdata.open(tmp_path / "raw", "val"), strict=True):
        photo, _ = decode_image((source / entry.image.path).read_bytes(), entry.name)
        assert (sample.image == resize_image(photo, sample.image.shape[:2])).all()


def test_the_manifest_counts_what_the_samples_hold(packed):
    manifest = mhpdata.Manifest.from_json((packed / "manifest.json").read_text(), "manifest")
    assert manifest.skipped == ()
    for name, split in manifest.splits.items():
        pixels, images = np.zeros(19, int), np.zeros(19, int)
        for sample in mhpdata.open(packed, name):
            counts = np.bincount(sample.labels.ravel(), minlength=19)
            pixels, images = pixels + counts, images + (counts > 0)
        assert split.statistics.class_pixels == pixels.tolist()
        assert split.statistics.class_images == images.tolist()


def test_byte_identical_photos_are_kept_and_recorded(source, tmp_path):
    folder = tmp_path / "source"
    shutil.copytree(source, folder)
    for twin in ("0002", "0014"):  # one in train, one in test
        shutil.copy(folder / "images/0001.jpg", folder / f"images/{twin}.jpg")
        size = layouts.scan(folder).entries["train"][0].masks
        for mask in folder.glob(f"annotations/{twin}_*"):
            mask.unlink()
        for person, mask in enumerate(size, 1):
            shutil.copy(folder / mask.path, folder / f"annotations/{twin}_{len(size):02d}_{person:02d}.png")
    manifest = mhpdata.pack(folder, tmp_path / "rec", size=0)
    assert ("train/0001", "train/0002", "test/0014") in manifest.duplicates
    assert sum(split.records for split in manifest.splits.values()) == IMAGES


@pytest.fixture(params=sorted(DEFECTS))
def broken(request, source, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(source, folder)
    DEFECTS[request.param](folder, 2, np.random.default_rng(0))
    return request.param, folder


def test_each_defect_is_its_own_error_and_with_skip_a_recorded_one(broken, packed, tmp_path):
    defect, folder = broken
    kind, words, code = EXPECTED[defect]
    with pytest.raises(SourceError) as caught:
        mhpdata.pack(folder, tmp_path / "rec", size=256)
    assert type(caught.value) is kind and words in str(caught.value)
    assert caught.value.place.startswith(str(folder)) and "--on-error skip" in caught.value.remedy
    assert not (tmp_path / "rec" / "manifest.json").exists()

    manifest = mhpdata.pack(folder, tmp_path / "rec", size=256, on_error="skip")
    assert [skip.code for skip in manifest.skipped] == [code]
    assert (folder / manifest.skipped[0].place.partition(" line ")[0]).parent.exists()
    assert not set("{}") & set(manifest.skipped[0].message)
    clean = samples(packed)
    lost = set() if defect.startswith("list") else {"train/0002"}
    assert samples(tmp_path / "rec") == {name: clean[name] for name in clean if name not in lost}


def test_every_defect_has_an_expectation():
    assert set(EXPECTED) == set(DEFECTS)


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_a_source_that_changes_while_packing(source, packed, tmp_path, monkeypatch, on_error):
    folder = tmp_path / "changing"
    shutil.copytree(source, folder)

    def scan_then_change(*args):
        listing = layouts.scan(*args)
        (folder / listing.entries["val"][0].masks[0].path).write_bytes(b"another mask")
        (folder / listing.entries["val"][1].image.path).unlink()
        return listing

    monkeypatch.setattr(packing, "scan", scan_then_change)
    if on_error == "fail":
        with pytest.raises(SourceChangedError, match="changed after the command began"):
            mhpdata.pack(folder, tmp_path / "rec", size=256)
    else:
        manifest = mhpdata.pack(folder, tmp_path / "rec", size=256, on_error="skip")
        assert [skip.code for skip in manifest.skipped] == ["changed"] * 2
        assert manifest.splits["val"].records == mhpdata.open(packed, "val").__len__() - 2


def test_all_entries_of_a_split_skipped(source, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(source, folder)
    for entry in layouts.scan(folder).entries["val"]:
        (folder / entry.image.path).write_bytes(b"")
    options = {"size": 64, "on_error": "skip"}
    found = r"broken: split val: all 3 entries were skipped .for example 0010 is an empty file"
    for _ in range(2):
        with pytest.raises(FolderError, match=found) as caught:
            mhpdata.pack(folder, tmp_path / "rec", **options)
        assert (
            "pass --split train --split test; to pack the split without images, pass --allow-empty"
            in caught.value.remedy
        )
        assert not (tmp_path / "rec" / "manifest.json").exists()
    before = (tmp_path / "rec" / "train-00000.rec").stat().st_ino
    manifest = mhpdata.pack(folder, tmp_path / "rec", allow_empty=True, **options)
    assert (tmp_path / "rec" / "train-00000.rec").stat().st_ino == before, "nothing is packed again"
    assert manifest.splits["val"].records == 0 and len(manifest.skipped) == 3
    assert len(mhpdata.open(tmp_path / "rec", "val", allow_empty=True)) == 0
    assert not list((tmp_path / "rec").glob("val-*"))
    with pytest.raises(FolderError, match=found):
        mhpdata.pack(folder, tmp_path / "rec", **options)


def test_an_error_leaves_whole_shards_that_the_next_run_takes_over(source, packed, tmp_path):
    folder, out = tmp_path / "broken", tmp_path / "rec"
    shutil.copytree(source, folder)
    last = layouts.scan(folder).entries["test"][-1].masks[0].path
    good = (folder / last).read_bytes()
    (folder / last).write_bytes(good[:-20])
    with pytest.raises(MaskError):
        mhpdata.pack(folder, out, size=256)
    before = (out / "train-00000.rec").stat().st_mtime_ns
    (folder / last).write_bytes(good)
    mhpdata.pack(folder, out, size=256)
    assert (out / "train-00000.rec").stat().st_mtime_ns == before and tree(out) == tree(packed)


def test_a_shard_whose_source_has_another_time_is_taken_over_and_one_whose_changed_is_not(source, packed, tmp_path):
    folder, out = tmp_path / "source", tmp_path / "rec"
    shutil.copytree(source, folder)
    last = folder / layouts.scan(folder).entries["test"][-1].masks[0].path
    good = last.read_bytes()
    last.write_bytes(b"")
    with pytest.raises(MaskError):
        mhpdata.pack(folder, out, size=256)
    last.write_bytes(good)
    first = folder / layouts.scan(folder).entries["train"][0].image.path
    first.write_bytes((folder / layouts.scan(folder).entries["train"][0].image.path).read_bytes())
    before = (out / "train-00000.rec").stat().st_ino
    mhpdata.pack(folder, out, size=256)
    assert (out / "train-00000.rec").stat().st_ino == before and tree(out) == tree(packed)
    shutil.rmtree(out)
    last.write_bytes(b"")
    with pytest.raises(MaskError):
        mhpdata.pack(folder, out, size=256)
    last.write_bytes(good)
    first.write_bytes(first.read_bytes() + b"a trailer")
    before = (out / "train-00000.rec").stat().st_ino
    mhpdata.pack(folder, out, size=256)
    assert (out / "train-00000.rec").stat().st_ino != before
    assert tree(out)["val-00000.rec"] == tree(packed)["val-00000.rec"]


def test_opencv_of_another_name_has_no_version(source, tmp_path, monkeypatch):
    known = build.metadata.version

    def headless(name):
        if name == "opencv-python":
            raise build.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(build.metadata, "version", headless)
    mhpdata.pack(source, tmp_path / "rec", size=64, splits=["val"])
    libraries = json.loads((tmp_path / "rec/build.json").read_text())["libraries"]
    assert libraries["opencv-python"] is None and libraries["numpy"] == np.__version__


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 7},
        {"size": -1},
        {"quality": 0},
        {"overlap": "best"},
        {"format": "zip"},
        {"image": "png"},
        {"workers": 0},
        {"splits": ["dev"]},
        {"splits": []},
        {"on_error": "ignore"},
        {"layout": "coco"},
        {"shard_mb": 0},
        {"size_of": "width"},
    ],
)
def test_wrong_options(source, tmp_path, wrong):
    with pytest.raises(OptionError):
        mhpdata.pack(source, tmp_path / "rec", **wrong)
    assert not (tmp_path / "rec").exists()


def test_a_source_that_is_no_dataset(tmp_path):
    with pytest.raises(FolderError, match="no such folder"):
        mhpdata.pack(tmp_path / "nowhere", tmp_path / "rec")
    with pytest.raises(FolderError, match="no known dataset layout"):
        mhpdata.pack(tmp_path, tmp_path / "rec")


def test_opencv_keeps_its_threads(source, tmp_path):
    import cv2

    before = cv2.getNumThreads()
    mhpdata.pack(source, tmp_path / "rec", size=64)
    assert cv2.getNumThreads() == before


def test_the_working_folder_does_not_matter(source, packed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mhpdata.pack(os.path.relpath(source), "rec", size=256)
    assert tree(Path("rec")) == tree(packed)
