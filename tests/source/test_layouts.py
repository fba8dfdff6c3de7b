"""Detection of MHP v2 and CIHP, the irregularities of MHP v2, left and right in all three sets, unlabelled splits."""

import os
import shutil

import cv2
import numpy as np
import pytest
from folder import encode, photo, write_folder
from images import save
from loading import open_loader
from networks import ByColour
from releases import IDS, SIZE, labels_of, red, write_cihp, write_v2
from verified import edit_manifest

import mhpdata
from mhpdata import CentreCrop, Output, Whole
from mhpdata.errors import FolderError, ImageError, MaskError, OptionError, RecordError
from mhpdata.images.decode import decode_image
from mhpdata.images.label_png import decode_mask
from mhpdata.labels import CIHP, COMMON, IGNORE, LABEL_SETS, MHP_V1, MHP_V2, label_set
from mhpdata.loading.loader import Loader
from mhpdata.source import scan as layouts
from mhpdata.source.scan import LAYOUTS
from mhpdata.synth.writing.forms import EXIF
from mhpmodels.evaluation.evaluate import evaluate
from mhpmodels.inference.pieces import Inference
from mhpmodels.prediction.options import Options
from mhpmodels.prediction.predict import predict_split
from mhpmodels.showing.sheet import contact_sheet

SETS = pytest.mark.parametrize("labels", [MHP_V1, MHP_V2, CIHP, COMMON], ids=lambda labels: labels.name)


@pytest.fixture(scope="module")
def v2(tmp_path_factory):
    return write_v2(tmp_path_factory.mktemp("v2") / "LV-MHP-v2", IDS)


@pytest.fixture(scope="module")
def cihp(tmp_path_factory):
    return write_cihp(tmp_path_factory.mktemp("cihp") / "CIHP", IDS)


@pytest.fixture(scope="module")
def packed_v2(v2, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "v2"
    mhpdata.pack(v2, out, size=0)
    return out


@pytest.fixture
def copy(v2, tmp_path):
    return shutil.copytree(v2, tmp_path / "LV-MHP-v2")


# Names, colours, left and right.


@SETS
def test_a_label_set_is_whole(labels):
    assert [c.id for c in labels.classes] == list(range(len(labels)))
    assert len(set(labels.names)) == len(labels)
    for c in labels.classes:
        assert c.mirror is None or labels.classes[c.mirror].mirror == c.id
        other = c.name.replace("left", "right") if "left" in c.name else c.name.replace("right", "left")
        assert (c.mirror is None) == (other == c.name) and (c.mirror is None or labels.names[c.mirror] == other)
    assert label_set(labels.names, labels.flip_pairs) is labels


def test_the_sets_are_the_releases():
    assert [len(labels) for labels in (MHP_V1, MHP_V2, CIHP)] == [19, 59, 20]
    assert MHP_V2.names[1:4] == ("cap/hat", "helmet", "face") and MHP_V2.names[58] == "other-lower-body-clothes"
    assert MHP_V2.flip_pairs == ((5, 6), (7, 8), (22, 23), (24, 25), (26, 27), (28, 29), (30, 31), (32, 33))
    assert CIHP.names[1] == "hat" and CIHP.names[13:15] == ("face", "left-arm")
    assert CIHP.flip_pairs == ((14, 15), (16, 17), (18, 19))
    for labels in (MHP_V2, CIHP):
        assert len(np.unique(labels.palette[: len(labels)], axis=0)) == len(labels), "a colour for each class"
        assert (labels.palette[0] == 255).all() and (labels.palette[IGNORE] == 0).all()
    assert set(LAYOUTS) - {"folder"} < set(LABEL_SETS)


def test_a_set_of_ones_own_has_the_colours_of_voc():
    mine = label_set(("background", "left", "right"), ((1, 2),))
    assert mine.flip_pairs == ((1, 2),) and mine.palette[1:3].tolist() == [[128, 0, 0], [0, 128, 0]]


@pytest.mark.parametrize("layout", [name for name, module in LAYOUTS.items() if module.LABELS])
def test_a_left_only_picture_mirrored_is_right_only_and_twice_is_itself(layout, tmp_path):
    """Load bands of all left labels: the flip turns them into the right ones, in reverse order."""
    labels = LAYOUTS[layout].LABELS
    left = tuple(pair[0] for pair in labels.flip_pairs)
    right = dict(labels.flip_pairs)
    root = tmp_path / "source"
    if layout == "mhp-v1":
        write_folder(root, size=SIZE)
        for path in (root / "annotations").iterdir():
            path.write_bytes(encode(".png", labels_of(*left)))
    elif layout == "mhp-v2":
        write_v2(root, IDS, left)
    else:
        write_cihp(root, IDS, left)
    mhpdata.pack(root, tmp_path / "rec", size=0)
    options = {"batch_size": 1, "base_size": SIZE[1], "size": 64, "scales": (1.0, 1.0), "blur_prob": 0.0}

    def first(split="train", **more):
        with_threads = open_loader(tmp_path / "rec", split, threads=1, **options, **more)
        return next(iter(with_threads)).labels[0].copy()

    plain, flipped = first(flip_prob=0.0), first(flip_prob=1.0)
    height, width = SIZE
    plain, flipped = plain[:height, :width], flipped[:height, :width]
    assert set(np.unique(plain)) == {0, *left} and set(np.unique(flipped)) == {0, *right.values()}
    swap = np.arange(256, dtype=np.uint8)
    for a, b in labels.flip_pairs:
        swap[[a, b]] = b, a
    np.testing.assert_array_equal(flipped, swap[plain[:, ::-1]])
    np.testing.assert_array_equal(swap[flipped[:, ::-1]], plain)
    np.testing.assert_array_equal(swap[swap], np.arange(256))
    unswapped = first(flip_prob=1.0, swap_sides=False)[:height, :width]
    np.testing.assert_array_equal(unswapped, plain[:, ::-1])


# Detection of the layout.


def test_the_layout_is_told_from_the_folder(source, v2, cihp):
    assert [layouts.scan(root).layout for root in (source, v2, cihp)] == ["mhp-v1", "mhp-v2", "cihp"]
    with pytest.raises(OptionError, match="auto, mhp-v1, mhp-v2, cihp, lip, ccihp or folder"):
        layouts.scan(v2, "mhp-v3")
    with pytest.raises(FolderError, match="list: no such folder"):
        layouts.scan(cihp, "mhp-v2")


def test_a_folder_of_two_layouts_is_an_error_that_names_both(v2, tmp_path):
    both = shutil.copytree(v2, tmp_path / "both")
    write_cihp(both / "x", {"train": [1]})
    (both / "x" / "Training").rename(both / "Training")
    found = r"mhp-v2 \(list, train/images, val/images, test/images\) and cihp \(Training/Images\)"
    with pytest.raises(FolderError, match=found):
        layouts.scan(both)
    assert layouts.scan(both, "mhp-v2").layout == "mhp-v2"


@pytest.mark.parametrize("names", [(), ("list",), ("train", "val", "images"), ("Training",)])
def test_a_folder_of_no_layout_says_what_it_holds(names, tmp_path):
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(
        FolderError, match=rf"\(found {', '.join(sorted(names)) or 'nothing'}\); expected .*Category|cihp"
    ):
        layouts.scan(tmp_path)


# MHP v2.


def test_ids_have_gaps_and_are_never_matched_by_prefix(v2):
    entries = layouts.scan(v2).entries
    assert {split: [int(entry.name) for entry in found] for split, found in entries.items()} == IDS
    ten, hundred = entries["train"][2:]
    assert [file.path for file in ten.masks] == ["train/parsing_annos/10_01_01.png"]
    assert [file.path for file in hundred.masks] == ["train/parsing_annos/100_01_01.png"]
    assert entries["test"][0].name == "10" and entries["test"][0].masks is None, "ids of splits are independent"


def test_labels_are_read_from_the_red_channel(packed_v2):
    for split in ("train", "val"):
        for sample in mhpdata.open(packed_v2, split):
            np.testing.assert_array_equal(sample.labels, labels_of(3, 58))
            assert set(np.unique(sample.persons)) == {0, 1}


@pytest.mark.parametrize("label", [1, 2, 3, 57, 58])
def test_labels_that_a_gray_conversion_confuses_survive(label):
    mask = labels_of(label)
    np.testing.assert_array_equal(decode_mask(red(mask), "m", SIZE, 59, red=True), mask)
    np.testing.assert_array_equal(decode_mask(encode(".png", mask), "m", SIZE, 59, red=True), mask, "a 2-D mask")
    alike = encode(".png", np.dstack([mask] * 3))
    np.testing.assert_array_equal(decode_mask(alike, "m", SIZE, 59, red=True), mask)
    with pytest.raises(
        MaskError, match=r"is a colour image \(its channels differ in .* expected a gray or palette PNG with"
    ):
        decode_mask(red(mask), "m", SIZE, 59)


@pytest.mark.parametrize("channel", [0, 1])
def test_a_mask_whose_other_channels_differ_is_an_error(channel):
    pixels = np.dstack([np.zeros_like(labels_of(3)), np.zeros_like(labels_of(3)), labels_of(3)])
    pixels[10, 20, channel] = 7
    with pytest.raises(MaskError, match=r"its channels differ in 1 pixels\); expected a gray.* in the red channel"):
        decode_mask(encode(".png", pixels), "m", SIZE, 59, red=True)


def test_a_mask_with_a_label_beyond_58_is_an_error():
    with pytest.raises(MaskError, match="holds label 59; expected labels 0 to 58, or 255"):
        decode_mask(red(labels_of(59)), "m", SIZE, 59, red=True)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp"])
def test_photos_of_other_formats_are_read_by_content(suffix, copy, tmp_path):
    pixels = photo(4, SIZE)
    data = save(pixels[..., ::-1], "WEBP", lossless=True) if suffix == ".webp" else encode(suffix, pixels)
    (copy / "train" / "images" / "4.jpg").write_bytes(data)
    mhpdata.pack(copy, tmp_path / "rec", size=0, image="raw")
    np.testing.assert_array_equal(mhpdata.open(tmp_path / "rec", "train")[1].image, pixels[..., ::-1])
    for cut in (len(data) - 40, 40, 20):
        with pytest.raises(ImageError, match=r"truncated|damaged"):
            decode_image(data[:cut], "4.jpg")


@pytest.mark.parametrize("size", [0, 32])
def test_a_broken_exif_block_does_no_harm(size, copy, tmp_path):
    """Tested through packing (verbatim and resized) and the loader's decoder; pixels equal those without the block."""
    path = copy / "train" / "images" / "4.jpg"
    data = path.read_bytes()
    broken = data[:2] + b"\xff\xe1" + (len(EXIF) + 2).to_bytes(2, "big") + EXIF + data[2:]
    path.write_bytes(broken)
    np.testing.assert_array_equal(decode_image(broken, "4.jpg")[0], decode_image(data, "4.jpg")[0])
    mhpdata.pack(copy, tmp_path / "rec", size=size)
    images = [batch.images.copy() for batch in Loader(tmp_path / "rec", "train", 1, view=Whole())]
    path.write_bytes(data)
    mhpdata.pack(copy, tmp_path / "plain", size=size)
    plain = [batch.images.copy() for batch in Loader(tmp_path / "plain", "train", 1, view=Whole())]
    np.testing.assert_array_equal(images[1], plain[1])


def test_pose_files_are_left_alone(copy, tmp_path):
    (copy / "train" / "pose_annos").mkdir()
    os.mkfifo(copy / "train" / "pose_annos" / "1.mat")  # opening it blocks
    report = mhpdata.verify_source(copy)
    assert report.clean and "pose_annos" not in report.text()
    assert mhpdata.pack(copy, tmp_path / "rec", size=0).splits["train"].records == 4


def test_photos_that_the_release_broke_are_skipped_and_named(tmp_path):
    root = write_v2(tmp_path / "v2", {"train": [1395, 1396], "val": [1], "test": [1]})
    path = root / "train" / "images" / "1396.jpg"
    path.write_bytes(path.read_bytes()[:-300])
    report = mhpdata.verify_source(root)
    assert not report.clean and "1396.jpg: damaged in the release itself" in report.text()
    with pytest.raises(ImageError, match=r"1396\.jpg: (truncated|damaged) JPEG"):
        mhpdata.pack(root, tmp_path / "no", size=0)
    manifest = mhpdata.pack(root, tmp_path / "rec", size=0, on_error="skip")
    assert [(skip.split, skip.name) for skip in manifest.skipped] == [("train", "1396")]


def test_a_missing_split_concerns_only_itself(copy, tmp_path):
    shutil.rmtree(copy / "test")
    (copy / "list" / "test_all.txt").unlink()
    with pytest.raises(FolderError, match=r"test: missing, as is its list.*--split train --split val"):
        mhpdata.pack(copy, tmp_path / "rec", size=0)
    manifest = mhpdata.pack(copy, tmp_path / "rec", size=0, splits=["train", "val"])
    assert list(manifest.splits) == ["train", "val"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_only_test_may_be_without_labels(split, copy):
    shutil.rmtree(copy / split / "parsing_annos")
    (problem,) = layouts.scan(copy).problems
    assert problem.split == split and "parsing_annos: missing" in str(problem.error)


def test_lists_and_folders_that_do_not_agree(copy):
    (copy / "list" / "train.txt").write_text("1\n4\n4\n010x\n10\n99\n")
    (copy / "train" / "parsing_annos" / "4_02_01.png").write_bytes(red(labels_of(3)))
    (copy / "train" / "parsing_annos" / "4-1.png").write_bytes(b"")
    listing = layouts.scan(copy)
    assert [entry.name for entry in listing.entries["train"]] == ["1", "10"]
    found = [str(problem.error) for problem in listing.problems]
    assert [problem.split for problem in listing.problems] == ["train"] * 4
    assert "lists 4, as line" in found[0] and "'010x'; expected an id such as 10" in found[1]
    assert "declare 1 and 2 persons" in found[2] and "99.jpg: missing" in found[3]
    assert "train/parsing_annos/4-1.png: not a mask's name (<id>_<NN>_<ii>.png)" in listing.remarks
    assert "train/images/100.jpg: in no list" in listing.remarks


# Splits without labels.


def test_without_labels_labels_are_none_through_everything(v2, packed_v2, tmp_path):
    assert layouts.scan(v2).unlabelled == {"test"}
    manifest = mhpdata.open(packed_v2, "test").manifest
    assert [split.labelled for split in manifest.splits.values()] == [True, True, False]
    assert '"labelled": false' in manifest.to_json()
    for sample in mhpdata.open(packed_v2, "test"):
        assert sample.labels is None and sample.persons is None and sample.record.masks == []
    modes = ({"batch_size": 1, "view": Whole()}, {"view": CentreCrop(32)}, {})
    for options in modes:
        small = {"batch_size": 2, "base_size": 48, "size": 32, "threads": 2, "persons": True, **options}
        batches = list(open_loader(packed_v2, "test", **small))
        assert sum(len(batch.indices) for batch in batches) == 2
        for batch in batches:
            assert (batch.labels, batch.persons, batch.boxes, batch.counts) == (None, None, None, None)
            assert np.isfinite(batch.images).all() and batch.images.std() > 0
    report = mhpdata.verify_packed(packed_v2, deep=True)
    assert report.clean and report.counts["test"]["persons"] == 0


def test_images_without_labels_are_those_of_a_split_with_them(packed_v2, v2, tmp_path):
    seen = []

    def note(image, labels, persons, rng):
        assert labels is None and persons is None
        seen.append(image.shape)

    ours = Loader(packed_v2, "test", 2, view=CentreCrop(32), output=Output(transform=note))
    images = next(iter(ours)).images
    assert seen == [(3, 32, 32)] * 2
    root = tmp_path / "v2"
    shutil.copytree(v2, root)
    (root / "test" / "parsing_annos").mkdir()
    for name in IDS["test"]:
        (root / "test" / "parsing_annos" / f"{name}_01_01.png").write_bytes(red(labels_of(3)))
    mhpdata.pack(root, tmp_path / "rec", size=0)
    batch = next(iter(Loader(tmp_path / "rec", "test", 2, view=CentreCrop(32))))
    np.testing.assert_array_equal(images, batch.images)
    assert batch.labels is not None and set(np.unique(batch.labels)) == {0, 3}


def test_a_split_without_labels_is_predicted_and_shown(packed_v2, tmp_path):
    inference = Inference(ByColour(59), 59, 8, flip_pairs=MHP_V2.flip_pairs)
    done = predict_split(inference, packed_v2, "test", tmp_path / "pred", None, Options(size=32, threads=1))
    assert [path.name for path in done.labels] == ["10.png", "23.png"]
    for path in done.labels:
        found = cv2.imread(str(path))
        assert found.shape == (*SIZE, 3)
        assert {tuple(c) for c in found.reshape(-1, 3)[:, ::-1]} <= {tuple(c) for c in MHP_V2.palette[:59]}
    with pytest.raises(OptionError, match="no labels; expected a split with labels"):
        evaluate(inference, packed_v2, "test", size=32)


def test_a_split_without_labels_is_drawn(packed_v2):
    pytest.importorskip("matplotlib")
    sheet = contact_sheet(mhpdata.open(packed_v2, "test"), (0, 1))
    assert sheet.shape[1] == 1840 and len(np.unique(sheet)) > 50


def test_a_damaged_record_without_labels_may_be_skipped(v2, tmp_path):
    mhpdata.pack(v2, tmp_path / "rec", size=0)
    path = tmp_path / "rec" / "test-00000.rec"
    data = bytearray(path.read_bytes())
    data[300] ^= 255
    path.write_bytes(bytes(data))
    options = {"batch_size": 2, "view": CentreCrop(32)}
    (batch,) = open_loader(tmp_path / "rec", "test", on_error="skip", **options)
    assert batch.labels is None and batch.indices.tolist() == [-1, 1]
    with pytest.raises(RecordError):
        next(iter(open_loader(tmp_path / "rec", "test", **options)))


def test_a_manifest_that_is_wrong_about_labels_hashes_or_classes_is_found(packed_v2, tmp_path):
    rec = shutil.copytree(packed_v2, tmp_path / "rec")
    text = (rec / "manifest.json").read_text()
    manifest = mhpdata.Manifest.from_json(text, "m")
    (shard,) = manifest.splits["train"].shards
    assert len(shard.photos) == 4 and shard.classes == (1 | 1 << 3 | 1 << 58,) * 4

    def findings(changed):
        (rec / "manifest.json").write_text(changed)
        return mhpdata.verify_packed(rec).text()

    edit_manifest(rec, lambda content: content["splits"]["test"].update(labelled=True))
    assert "no labels; expected labels, as the manifest says" in mhpdata.verify_packed(rec).text()
    assert "as in its record" in findings(text.replace(shard.photos[0], "0" * 64))
    bits = f"{shard.classes[0]:x}"
    assert "labels 0 in train/1; expected 0, 3, 58, as in its record" in findings(text.replace(f'["{bits}"', '["1"'))
