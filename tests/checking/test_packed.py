"""verify_packed: clean folders pass; damaged, missing and stray files are all reported."""

from __future__ import annotations

import shutil

import pytest
from verified import (
    OPTIONS,
    SPLITS,
    data_file,
    edit_manifest,
    fix_hashes,
    kinds,
    mask_shifted,
    masks_garbage,
    rewrite,
    statistic,
    stored_image,
    write_packed,
)

from mhpdata.checking.packed import verify_packed, verify_source
from mhpdata.errors import OptionError, RecordError, ShardError
from mhpdata.storage.manifest import read_manifest
from mhpdata.storage.shards.recordio import read_index


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Read-only."""
    return write_packed(tmp_path_factory.mktemp("clean"))


@pytest.fixture(params=["recordio", "hdf5"])
def packed(request, clean, tmp_path):
    return shutil.copytree(clean / request.param, tmp_path / "rec")


@pytest.fixture
def recordio(clean, tmp_path):
    return shutil.copytree(clean / "recordio", tmp_path / "rec")


# --- clean folders


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_clean_packed(clean, name, deep):
    report = verify_packed(clean / name, deep=deep)
    assert report.clean, report.text()
    manifest = read_manifest(clean / name)
    for split, names in SPLITS.items():
        statistics = manifest.splits[split].statistics
        assert report.counts[split]["records"] == len(names)
        assert report.counts[split]["unreadable"] == 0
        assert report.counts[split]["overlapping px"] == statistics.contested > 0
    assert len(manifest.splits["train"].shards) == (1 if name == "verbatim" else 2)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_says_the_same(packed, workers):
    data = data_file(packed)
    spoiled = bytearray(data.read_bytes())
    spoiled[len(spoiled) // 3] ^= 1
    spoiled[len(spoiled) // 2] ^= 1
    data.write_bytes(spoiled)
    assert verify_packed(packed, deep=True, workers=workers).text() == verify_packed(packed, deep=True).text()


@pytest.mark.parametrize("verify", [verify_packed, verify_source])
def test_workers_out_of_range(clean, verify):
    with pytest.raises(OptionError):
        verify(clean / ("source" if verify is verify_source else "recordio"), workers=0)


# --- damaged bytes


def test_the_bytes_of_a_missing_shard_are_not_counted(recordio):
    before = verify_packed(recordio).counts["train"]["kB"]
    files = read_manifest(recordio).splits["train"].shards[0].files
    size = sum(file.bytes for file in files)
    for file in files:
        (recordio / file.file).unlink()
    report = verify_packed(recordio)
    assert abs(before - report.counts["train"]["kB"] - size / 1000) <= 1 and size > 1000


def test_one_record_is_in_the_singular(recordio):
    names = read_manifest(recordio).splits["val"].shards[0].names
    (recordio / "val-00000.rec").unlink()
    assert len(names) == 1
    wanted = "split val: statistics not compared, since 1 record cannot be read"
    assert wanted in verify_packed(recordio).remarks


@pytest.mark.parametrize("place", ["header", "image", "runs", "masks", "name", "footer", "crc", "magic"])
def test_flipped_byte_is_found_in_its_shard_and_record(packed, place):
    record = stored_image(packed, 1)
    data = data_file(packed)
    content = bytearray(data.read_bytes())
    image = content.index(record)
    end = content.index(b"mhp1", image + len(record)) + 4
    at = {
        "header": image - 16,
        "image": image + len(record) // 2,
        "runs": image + len(record) + 2000,
        "masks": end - 90,
        "name": end - 78,
        "footer": end - 60,
        "crc": end - 8,
        "magic": end - 1,
    }[place]
    content[at] ^= 0x10
    data.write_bytes(content)
    report = verify_packed(packed)
    assert kinds(report) == [ShardError, RecordError], report.text()
    assert report.findings[0].place == str(data)
    assert report.findings[1].place == f"{data}, record 1 (0002)"
    assert report.counts["train"]["unreadable"] == 1
    assert any("statistics not compared" in remark for remark in report.remarks)


@pytest.mark.parametrize("word", [0, 4])
def test_damaged_frame_is_found(recordio, word):
    data = data_file(recordio)
    at = int(read_index(data.with_suffix(".idx"), 3)[2]) + word
    content = bytearray(data.read_bytes())
    content[at + 1] ^= 0x10
    data.write_bytes(content)
    report = verify_packed(recordio)
    assert len(report.findings) == 2
    assert report.findings[1].place == f"{data}, record 2 (0003)"


def test_every_damaged_record_is_listed(packed):
    images = [stored_image(packed, i) for i in range(5)]
    for stem in ("train-00000", "train-00001"):
        data = data_file(packed, stem)
        content = bytearray(data.read_bytes())
        for image in images:
            at = content.find(image)
            if at >= 0:
                content[at + 5] ^= 1
        data.write_bytes(content)
    report = verify_packed(packed)
    assert kinds(report) == [ShardError] * 2 + [RecordError] * 5
    assert report.counts["train"]["unreadable"] == 5


@pytest.mark.parametrize("left", [0.9, 0.2, 0.0])
def test_truncated_shard(packed, left):
    data = data_file(packed)
    content = data.read_bytes()
    data.write_bytes(content[: int(len(content) * left)])
    report = verify_packed(packed, deep=True)
    assert len(report.findings) >= 2
    assert all(str(data) in error.place for error in report.findings)
    assert report.findings[0].expected == f"{len(content)}, as the manifest says"
    assert report.counts["val"]["unreadable"] == report.counts["test"]["unreadable"] == 0


def test_missing_shard(packed):
    data = data_file(packed, "train-00001")
    data.unlink()
    report = verify_packed(packed)
    assert [(type(e), e.place, e.found) for e in report.findings] == [(ShardError, str(data), "missing")]
    assert report.counts["train"]["unreadable"] == 2


def test_stray_shard(packed):
    data = data_file(packed)
    stray = data.with_name("train-00007" + data.suffix)
    shutil.copy(data, stray)
    report = verify_packed(packed)
    assert [(type(e), e.place) for e in report.findings] == [(ShardError, str(stray))]


def test_other_files_do_not_matter(packed):
    (packed / "notes.txt").write_text("mine")
    for name in (".packing", ".tasks"):
        (packed / name).mkdir()
    report = verify_packed(packed)
    assert report.clean
    for name in (".packing", ".tasks"):
        assert any(name in remark for remark in report.remarks)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: lines[:2],
        lambda lines: [*lines[:2], "2\t123456789012\n"],
        lambda lines: [lines[0], f"1\t{int(lines[1].split()[1]) + 4}\n", lines[2]],
        lambda lines: ["not an index\n"],
        lambda lines: [],
    ],
    ids=["order", "short", "beyond", "shifted", "text", "empty"],
)
def test_wrong_index(recordio, change):
    index = recordio / "train-00000.idx"
    index.write_text("".join(change(index.read_text().splitlines(keepends=True))))
    fix_hashes(recordio)
    report = verify_packed(recordio)
    assert report.findings and all(isinstance(error, ShardError) for error in report.findings)
    assert all("train-00000" in error.place for error in report.findings)


# --- everything at once


def test_several_problems_at_once(packed):
    rewrite(packed, mask_shifted)
    rewrite(packed, masks_garbage, index=0)
    data_file(packed, "val-00000").unlink()
    spoiled = data_file(packed, "test-00000")
    content = bytearray(spoiled.read_bytes())
    content[content.index(b"mhp1") - 4] ^= 1  # the CRC of the first record
    spoiled.write_bytes(content)
    shutil.copy(spoiled, packed / ("train-00009" + spoiled.suffix))
    edit_manifest(packed, statistic("persons", 1))
    text = verify_packed(packed, deep=True).text()
    for says in (
        "train-00009",
        "missing",
        "SHA-256",
        "record 0 (0007)",
        "record 1 (0002)",
        "record 0 (0001), mask of person 3",
        "persons 1",
    ):
        assert says in text
