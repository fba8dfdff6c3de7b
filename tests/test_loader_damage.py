"""The loader and shards that are damaged, cut short or gone: an error that names the record, or a record left out."""

import dataclasses
import os
import shutil

import naive_loader as naive
import numpy as np
import pytest
from loading import FORMATS, IMAGES, epoch, loader, write_packed

import mhpdata
from mhpdata.codec import CODECS
from mhpdata.errors import PackedError, RecordError, ShardError
from mhpdata.record import encode_record, number_record, parse_record


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("loader"))


@pytest.fixture
def damaged(packed, tmp_path):
    def copy(image, format, damage):
        folder = shutil.copytree(packed[image, format], tmp_path / "rec")
        path = next(folder.glob("train-00000.rec" if format == "recordio" else "train-00000.h5"))
        data = bytearray(path.read_bytes())
        _, at, size = mhpdata.open(folder, "train").span(7)
        damage(data, at, size)
        path.write_bytes(data)
        return folder

    return copy


def flip_a_bit(data, at, size):
    data[at + size // 2] ^= 4


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("image", IMAGES)
def test_a_damaged_record_is_one_error_or_is_left_out(damaged, image, format):
    folder = damaged(image, format, flip_a_bit)
    with pytest.raises(RecordError, match=r"train-00000.*record 7.*again"):
        epoch(loader(folder))
    ours = loader(folder, on_error="skip", persons=True)
    whole = epoch(ours)
    assert set(ours.skipped) == {7}
    assert sorted(int(i) for b in whole for i in b[2]) == [-1, *range(7), *range(8, 18)]
    for images, labels, indices, persons, boxes, counts in whole:
        for i in np.flatnonzero(indices == -1):
            assert (labels[i] == 255).all()
            assert not persons[i].any()
            assert not boxes[i].any()
            assert counts[i] == 0
            np.testing.assert_array_equal(images[i], naive.normalise(np.zeros((48, 48, 3), np.uint8), "float32"))


def with_image(change):
    """Damage that a record's CRC-32 does not show: another image of as many bytes."""

    def damage(data, at, size):
        record = parse_record(bytes(data[at : at + size]), 7)
        image = change(bytes(record.image))
        whole = encode_record(dataclasses.replace(record, image=image))
        number_record(whole, 7)
        assert len(whole) == size
        data[at : at + size] = whole

    return damage


def half(image):
    return (image[: len(image) // 2] + b"\xff\xd9" * len(image))[: len(image)]


def lower(image):
    at = image.index(b"\xff\xc0") + 5
    return image[:at] + b"\0\x3c" + image[at + 2 :]


@pytest.mark.parametrize(("change", "message"), [(half, "codes are wrong or end too"), (lower, "a JPEG of 60 x 83")])
def test_a_jpeg_that_is_not_the_record_s(damaged, change, message):
    folder = damaged("jpeg", "hdf5", with_image(change))
    with pytest.raises(RecordError, match=rf"train-00000.*record 7.*{message}.*again"):
        epoch(loader(folder, augment=False, whole=True, batch_size=1))
    ours = loader(folder, augment=False, whole=True, batch_size=1, on_error="skip")
    epoch(ours)
    assert set(ours.skipped) == {7}


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("codec", [0, 1, 2, 3, 9, 255])
def test_another_codec_than_the_record_s_is_refused_before_anything_is_drawn(damaged, image, codec):
    def damage(data, at, size):
        record = parse_record(bytes(data[at : at + size]), 7)
        whole = encode_record(dataclasses.replace(record, codec=codec))
        number_record(whole, 7)
        assert len(whole) == size
        data[at : at + size] = whole

    folder = damaged(image, "hdf5", damage)
    if codec == CODECS[image]:
        epoch(loader(folder))
        return
    with pytest.raises(RecordError, match=r"train-00000.*record 7.*again"):
        epoch(loader(folder))


def test_an_announcement_that_fails_is_no_error(packed, monkeypatch):
    """What is wrong comes up where the record is read, so that it can be left out."""

    def gone(*_):
        raise ShardError("train-00000.rec", "vanished")

    ours = loader(packed["yuv420", "recordio"])
    monkeypatch.setattr(mhpdata.split.Split, "span", gone)
    for index in range(3):
        ours._data.expect(index)


def test_a_file_cut_short_while_it_is_read(damaged):
    folder = damaged("yuv420", "recordio", lambda *_: None)
    ours = loader(folder)
    epoch(ours)
    path = folder / "train-00000.rec"
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ShardError, match=r"train-00000.rec, record.*cut short.*again"):
        epoch(ours)


def test_a_missing_shard_is_named(damaged):
    folder = damaged("yuv420", "recordio", lambda *_: None)
    (folder / "train-00000.rec").unlink()
    with pytest.raises(PackedError, match=r"train-00000\.rec"):
        loader(folder)
