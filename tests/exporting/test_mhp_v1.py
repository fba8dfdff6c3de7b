"""mhp-v1: what is packed comes back, from the second round on byte for byte."""

import pytest
from exports import ABOUT, same_samples
from folder import tree

import mhpdata
from mhpdata.errors import OptionError


def content(folder):
    """Return the files of an export that do not name the packed folder."""
    return {name: digest for name, digest in tree(folder).items() if name not in ABOUT}


def test_a_round_trip_keeps_images_labels_persons_and_masks(download, whole, tmp_path):
    mhpdata.export(whole, tmp_path / "one", "mhp-v1")
    mhpdata.pack(tmp_path / "one", tmp_path / "second", size=0)
    assert same_samples(whole, tmp_path / "second") == 8
    mhpdata.export(tmp_path / "second", tmp_path / "two", "mhp-v1")
    mhpdata.pack(tmp_path / "two", tmp_path / "third", size=0)
    assert tree(tmp_path / "third") == tree(tmp_path / "second")
    assert content(tmp_path / "two") == content(tmp_path / "one")
    names = [f"images/{i:04d}.jpg" for i in range(1, 9) if i != 2]  # 0002 is gray, so it is not stored verbatim
    assert all((tmp_path / "one" / name).read_bytes() == (download / name).read_bytes() for name in names)
    assert not (tmp_path / "one/val_list.txt").exists()


@pytest.mark.parametrize("size", [0, 64])
@pytest.mark.parametrize("image", ["jpeg", "raw"])
def test_a_gray_image_comes_back_as_a_colour_image_with_equal_channels(size, image, download, tmp_path):
    mhpdata.pack(download, tmp_path / "first", size=size, image=image, workers=1)
    mhpdata.export(tmp_path / "first", tmp_path / "out", "mhp-v1")
    mhpdata.pack(tmp_path / "out", tmp_path / "second", size=0, workers=1)
    gray = [
        [sample.name for sample in mhpdata.open(tmp_path / name, "train") if sample.record.gray]
        for name in ("first", "second")
    ]
    assert gray == [["0002"], []]
    (pixels,) = (one.image for one in mhpdata.open(tmp_path / "second", "train") if one.name == "0002")
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize("overlap", ["first", "last", "ignore"])
def test_a_resized_pack_keeps_images_labels_and_persons(overlap, download, tmp_path):
    mhpdata.pack(download, tmp_path / "first", size=64, overlap=overlap)
    mhpdata.export(tmp_path / "first", tmp_path / "out", "mhp-v1")
    mhpdata.pack(tmp_path / "out", tmp_path / "second", size=0, overlap=overlap)
    assert same_samples(tmp_path / "first", tmp_path / "second", masks=False) == 8


@pytest.mark.parametrize("image", ["raw", "yuv420"])
def test_pixels_that_are_not_stored_as_jpeg_are_exported_lossless(image, download, tmp_path):
    mhpdata.pack(download, tmp_path / "first", size=0, image=image, splits=["val"])
    mhpdata.export(tmp_path / "first", tmp_path / "out", "mhp-v1")
    mhpdata.pack(tmp_path / "out", tmp_path / "second", size=0, image="raw", splits=["val"])
    (first,), (second,) = (mhpdata.open(tmp_path / name, "val") for name in ("first", "second"))
    assert (first.image == second.image).all()


@pytest.mark.parametrize("splits", [["train"], ["val"], ["test"], ["train", "test"], ["val", "test"]])
def test_a_subset_keeps_its_splits(splits, whole, tmp_path):
    mhpdata.export(whole, tmp_path / "out", "mhp-v1", splits=splits)
    mhpdata.pack(tmp_path / "out", tmp_path / "rec", size=0, splits=splits)
    for split in splits:
        assert mhpdata.open(tmp_path / "rec", split).names == mhpdata.open(whole, split).names
    with pytest.raises(ValueError, match="empty"):
        mhpdata.pack(tmp_path / "out", tmp_path / "all", size=0)


def test_a_val_list_is_written_where_the_rule_of_the_release_gives_another_split(download, tmp_path):
    import shutil

    source = shutil.copytree(download, tmp_path / "source")
    (source / "val_list.txt").write_text("0002.jpg\n0004.jpg\n0005.jpg\n")
    mhpdata.pack(source, tmp_path / "rec", size=0)
    mhpdata.export(tmp_path / "rec", tmp_path / "out", "mhp-v1")
    assert (tmp_path / "out/val_list.txt").read_text() == "0002.jpg\n0004.jpg\n0005.jpg\n"
    mhpdata.pack(tmp_path / "out", tmp_path / "again", size=0)
    assert same_samples(tmp_path / "rec", tmp_path / "again") == 8


def test_what_the_form_cannot_express_is_refused(whole, tmp_path):
    with pytest.raises(OptionError, match="its readers need them"):
        mhpdata.export(whole, tmp_path / "out", "mhp-v1", images=False)
    from mhpdata.synth.writing.folder import synthesize

    synthesize(tmp_path / "cihp", images=3, workers=1, scale=0.1, layout="cihp")
    mhpdata.pack(tmp_path / "cihp", tmp_path / "rec", size=0)
    with pytest.raises(OptionError, match="mhp-v1 for the 20 classes of cihp"):
        mhpdata.export(tmp_path / "rec", tmp_path / "out", "mhp-v1")
    assert not (tmp_path / "out").exists()
