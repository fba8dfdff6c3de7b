"""The loader on damaged, truncated or missing shards: an error that names the record, or a skipped record."""

import dataclasses
import json
import os
import pickle
import shutil

import naive_loader as naive
import numpy as np
import pytest
from loading import FORMATS, IMAGES, digest, epoch, loader, write_packed

import mhpdata
from mhpdata import Output, TrainCrop, Whole
from mhpdata.errors import OptionError, PackedError, RecordError, ShardChangedError, ShardError
from mhpdata.loading.loader import Loader
from mhpdata.storage.codec import CODECS
from mhpdata.storage.record import encode_record, number_record, parse_record
from mhpdata.storage.shards import file as shard_file
from mhpdata.storage.split import Split


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
    ours = loader(folder, persons=True, on_error="skip")
    whole = epoch(ours)
    assert set(ours.skipped) == {7}
    assert sorted(int(i) for b in whole for i in b[2]) == [-1, *range(7), *range(8, 18)]
    for images, labels, indices, persons, boxes, counts, *_ in whole:
        for i in np.flatnonzero(indices == -1):
            assert (labels[i] == 255).all()
            assert not persons[i].any()
            assert not boxes[i].any()
            assert counts[i] == 0
            np.testing.assert_array_equal(images[i], naive.normalise(np.zeros((48, 48, 3), np.uint8), "float32"))


def with_image(change):
    """Make damage that a record's CRC-32 does not show: another image of the same length."""

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


@pytest.mark.parametrize(("change", "message"), [(half, "invalid or truncated"), (lower, "a JPEG of 60 x 83")])
def test_a_jpeg_that_is_not_the_record_s(damaged, change, message):
    folder = damaged("jpeg", "hdf5", with_image(change))
    with pytest.raises(RecordError, match=rf"train-00000.*record 7.*{message}.*again"):
        epoch(loader(folder, view=Whole(), batch_size=1))
    ours = loader(folder, view=Whole(), batch_size=1, on_error="skip")
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
    """The error is raised when the record is read, so that it can be skipped."""

    def gone(*_):
        raise ShardError("train-00000.rec", "vanished")

    ours = loader(packed["yuv420", "recordio"])
    monkeypatch.setattr(mhpdata.storage.split.Split, "span", gone)
    for index in range(3):
        ours._data.handle(index).regions.expect(index)


def test_a_file_cut_short_while_it_is_read(damaged):
    folder = damaged("yuv420", "recordio", lambda *_: None)
    ours = loader(folder)
    iterator = iter(ours)
    next(iterator)
    path = folder / "train-00000.rec"
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ShardError, match=r"train-00000.rec(, record.*truncated|: has \d+ bytes).*again"):
        list(iterator)
    with pytest.raises(ShardError, match=r"train-00000.rec: has \d+ bytes; expected \d+, as the manifest says.*again"):
        epoch(ours)


def test_a_missing_shard_is_named(damaged):
    folder = damaged("yuv420", "recordio", lambda *_: None)
    (folder / "train-00000.rec").unlink()
    with pytest.raises(PackedError, match=r"train-00000\.rec"):
        loader(folder)


# --- files that change after opening


def in_place(folder, index, change):
    """Change a record's bytes in its file with ``change(data, at, size)``."""
    split = mhpdata.open(folder, "train")
    path = split.span(index)[0].path
    data = bytearray(path.read_bytes())
    change(data, split.plain(index), len(split.raw(index)))
    with path.open("r+b") as shard:  # the same inode
        shard.write(data)
    os.utime(path, ns=(1, 1))  # a different time, even on file systems with coarse times


def same_time(path, change):
    """Make a change that the file's times do not show."""
    before = path.stat()
    change()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def label_77(data, at, size):
    """Set the first run of a record's map to label 77 without changing its CRC-32."""
    record = parse_record(bytes(data[at : at + size]), 7)
    runs = at + 24 + len(record.image) + -len(record.image) % 8 + 4 * (record.size[0] + 1)
    data[runs + 2] = 77


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("change", [flip_a_bit, label_77])
def test_bytes_that_change_between_two_epochs(damaged, format, change):
    folder = damaged("yuv420", format, lambda *_: None)
    ours, lenient = loader(folder), loader(folder, on_error="skip")
    epoch(ours)
    epoch(lenient)
    in_place(folder, 7, change)
    with pytest.raises(RecordError, match=r"train-00000.*record 7: its bytes are not those .*CRC-32.*again"):
        epoch(ours)
    epoch(lenient)
    assert set(lenient.skipped) == {7}


@pytest.mark.parametrize("image", ["jpeg", "yuv420"])
def test_every_reading_is_checked_on_request(damaged, image, monkeypatch):
    folder = damaged(image, "hdf5", lambda *_: None)
    path = folder / "train-00000.h5"
    first, always = loader(folder), loader(folder, persons=True, check="always")
    rare = loader(folder, check="always")
    monkeypatch.setattr(Split, "plain", lambda *_: -1)  # as for records in several parts
    batches = epoch(first), epoch(rare)
    monkeypatch.undo()
    plain = epoch(loader(folder, persons=True))
    assert digest(epoch(always)) == digest(plain) and digest(batches[0]) == digest(batches[1])
    same_time(path, lambda: in_place(folder, 7, flip_a_bit))
    first.close()
    for ours in (always, rare):
        with pytest.raises(RecordError, match=r"train-00000.*record 7: its bytes are not those"):
            epoch(ours)
    same_time(path, lambda: in_place(folder, 7, flip_a_bit))
    for ours in (always, rare):
        epoch(ours)


def test_a_check_that_is_none(packed):
    with pytest.raises(OptionError, match="check: 'never'; expected first or always"):
        loader(packed["jpeg", "hdf5"], check="never")


def test_a_label_that_changes_after_the_first_reading_is_not_handed_out(damaged):
    folder = damaged("yuv420", "hdf5", lambda *_: None)
    ours = loader(folder, view=Whole(), batch_size=1)
    epoch(ours)
    same_time(folder / "train-00000.h5", lambda: in_place(folder, 7, label_77))
    with pytest.raises(RecordError, match=r"record 7.*invalid labels"):
        epoch(ours)


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("format", FORMATS)
def test_a_touch_or_a_copy_ends_no_run(damaged, image, format, monkeypatch):
    """Changes are noticed between epochs, and within one whose files are reopened repeatedly."""
    folder = damaged(image, format, lambda *_: None)
    whole = loader(folder)
    expected = [digest(epoch(whole)) for _ in range(3)]
    monkeypatch.setattr(shard_file, "most_open", lambda: 1)
    ours = Loader([(folder, "train"), (folder, "val")], batch_size=3, view=TrainCrop(48, base_size=64), threads=2)
    alone = loader(folder)
    assert digest(epoch(alone)) == expected[0]
    count = sum(len(batch[2]) for batch in epoch(ours))
    for path in folder.glob("*-00000.*"):
        os.utime(path, ns=(1, 1))
    assert digest(epoch(alone)) == expected[1]
    for number, batch in enumerate(ours):
        count -= len(batch.indices)
        for path in folder.glob("*-00000.*"):
            os.utime(path, ns=(number, number))
    assert count == 0
    for path in folder.glob("*-00000.*"):
        shutil.copy(path, folder / "new")
        (folder / "new").replace(path)
    assert digest(epoch(alone)) == expected[2]


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("fails", ["open", "changed", "size"])
def test_a_whole_picture_has_the_memory_of_its_own_size(packed, monkeypatch, dtype, fails):
    """A record that is unreadable or of another size when its batch is allocated is not drawn past the batch's end."""
    ours = Loader(packed["raw", "hdf5"], "val", 1, view=Whole(), output=Output(dtype=dtype), threads=1)
    regions, begun = ours._data.handle(0).regions, []
    find = regions.find

    def changed(index, reading=None):
        found = find(index, reading)
        begun.append(index)
        if reading is None and index == 1 and begun.count(index) == 1:
            if fails == "changed":
                raise ShardChangedError("shard", "was replaced", "")
            if fails == "size":
                return found._replace(size=(83, 61))
            raise ShardError("shard", "cannot be opened", "")
        return found

    monkeypatch.setattr(regions, "find", changed)
    if fails == "changed":
        assert [batch.labels.shape for batch in ours] == [(1, 61, 83)] * 6
        return
    with pytest.raises(PackedError, match="cannot be opened" if fails == "open" else r"61 x 83.*83 x 61"):
        list(ours)


def test_a_changed_shard_is_looked_at_in_a_forked_child(damaged):
    folder = damaged("yuv420", "hdf5", lambda *_: None)
    ours = loader(folder)
    epoch(ours)
    in_place(folder, 7, flip_a_bit)
    child = os.fork()
    if child == 0:
        try:
            epoch(ours)
        except RecordError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# --- shards of another manifest


def renamed(packed, tmp_path, image="jpeg", format="hdf5"):
    """Make a folder with the manifest of another pack with records of the same sizes: record 7 has another name."""
    folder = shutil.copytree(packed[image, format], tmp_path / "rec")
    manifest = json.loads((folder / "manifest.json").read_text())
    names = manifest["splits"]["train"]["shards"][0]["names"]
    names[7] = "0999"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("format", FORMATS)
def test_a_record_of_another_name(packed, tmp_path, format):
    folder = renamed(packed, tmp_path, format=format)
    opened = mhpdata.open(folder, "train")
    for split in (opened, pickle.loads(pickle.dumps(opened))):
        assert split[6].name == "0007"
        for read in (split.__getitem__, split.record):
            with pytest.raises(
                RecordError,
                match=r"record 7: is named '0008'; expected '0999', as the manifest says\. The shard may be",
            ):
                read(7)
    with pytest.raises(RecordError, match="is named '0008'"):
        epoch(loader(folder))
    ours = loader(folder, on_error="skip")
    epoch(ours)
    assert set(ours.skipped) == {7}


@pytest.mark.parametrize("suffix", ["rec", "idx", "h5"])
def test_a_shard_of_another_size(packed, tmp_path, suffix):
    folder = shutil.copytree(packed["jpeg", "hdf5" if suffix == "h5" else "recordio"], tmp_path / "rec")
    opened = mhpdata.open(folder, "train")
    data = pickle.dumps(opened)
    with (folder / f"train-00000.{suffix}").open("ab") as file:
        file.write(bytes(4))
    for read in (lambda: mhpdata.open(folder, "train"), lambda: pickle.loads(data), lambda: loader(folder)):
        with pytest.raises(
            ShardError, match=rf"train-00000\.{suffix}: has \d+ bytes; expected \d+, as the manifest says"
        ):
            read()


@pytest.mark.parametrize("format", FORMATS)
def test_an_opened_split_reads_what_has_replaced_a_damaged_shard(damaged, packed, format):
    folder = damaged("jpeg", format, flip_a_bit)
    opened = mhpdata.open(folder, "train")
    with pytest.raises(RecordError, match="its bytes are not those"):
        opened.record(7)
    for path in packed["jpeg", format].glob("train-00000.*"):
        shutil.copy(path, folder / "new")
        (folder / "new").replace(folder / path.name)
    assert opened[7].name == "0008"
    next(folder.glob("train-00000.[rh]*")).unlink()
    assert opened[6].name == "0007", "it is open, whatever becomes of its name"
    opened.close()
    with pytest.raises(ShardError, match="was closed"):
        opened.record(7)
