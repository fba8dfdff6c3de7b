"""verify_packed and verify_source: clean is clean; each kind of damage is found and named; none hides another."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
import zlib

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import mhpdata
from mhpdata import shards, survey
from mhpdata.errors import FolderError, ImageError, ManifestError, MaskError, OptionError, RecordError, ShardError
from mhpdata.findings import Report
from mhpdata.manifest import identical, read_manifest
from mhpdata.masks import deflate_mask, inflate_mask
from mhpdata.record import encode_record, number_record, parse_record
from mhpdata.runs import decode_runs, encode_runs
from mhpdata.shards.recordio import read_index
from mhpdata.verify import verify_packed, verify_source
from mhptools.verify import main

HEIGHT, WIDTH = 96, 128
SPLITS = {"train": ["0001", "0002", "0003", "0004", "0005"], "val": ["0006"], "test": ["0007", "0008"]}
OPTIONS = {  # by format; in both, train has two shards
    "recordio": {"format": "recordio", "size": 256, "image": "raw", "shard_mb": 1},
    "hdf5": {"format": "hdf5", "size": 256, "image": "raw", "shard_mb": 1, "overlap": "nearest"},
    "verbatim": {"format": "recordio", "size": 0, "overlap": "last"},
}


# --- a download and its packed folders


def build(folder):
    """A download of 8 images in true form: train_list of 6 (the last is val), test_list of 2; person boxes overlap."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for id in range(1, 9):
        name, persons = f"{id:04d}", 2 + id % 2
        photo = cv2.resize(rng.integers(0, 256, (12, 16, 3), np.uint8), (WIDTH, HEIGHT))
        (folder / "images" / f"{name}.jpg").write_bytes(cv2.imencode(".jpg", photo)[1].tobytes())
        for person in range(1, persons + 1):
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            left = 8 + 30 * person
            for row in range(10, 80, 10):
                mask[row : row + 10, left - 8 : left + 34] = rng.integers(1, 19)
            write_mask(folder, f"{name}_{persons:02d}_{person:02d}", mask)
    (folder / "train_list.txt").write_text("".join(f"{id:04d}.jpg\n" for id in range(1, 7)), newline="\n")
    (folder / "test_list.txt").write_text("0007.jpg\n0008.jpg\n", newline="\n")
    return folder


def write_mask(folder, stem, mask):
    (folder / "annotations" / f"{stem}.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """The download as "source", and a packed folder for each of OPTIONS; never written to."""
    root = tmp_path_factory.mktemp("clean")
    build(root / "source")
    for name, options in OPTIONS.items():
        mhpdata.pack(root / "source", root / name, **options)
    return root


@pytest.fixture
def source(clean, tmp_path):
    return shutil.copytree(clean / "source", tmp_path / "MHP")


@pytest.fixture(params=["recordio", "hdf5"])
def packed(request, clean, tmp_path):
    return shutil.copytree(clean / request.param, tmp_path / "rec")


@pytest.fixture
def recordio(clean, tmp_path):
    return shutil.copytree(clean / "recordio", tmp_path / "rec")


def data_file(folder, stem="train-00000"):
    """The file of a shard that holds its records."""
    return next(path for path in (folder / f"{stem}.rec", folder / f"{stem}.h5") if path.exists())


def stored_image(folder, index):
    """The image of a record of train as it is stored."""
    with contextlib.closing(mhpdata.open(folder, "train")) as split:
        return bytes(split.record(index).image)


def edit_manifest(folder, change):
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def fix_hashes(folder):
    """Make the manifest agree with the files as they are."""

    def change(content):
        for split in content["splits"].values():
            for file in (file for shard in split["shards"] for file in shard["files"]):
                data = (folder / file["file"]).read_bytes()
                file.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    edit_manifest(folder, change)


def rewrite(folder, change, split="train", index=1):
    """Encode a record of the split's first shard anew after ``change``: CRC and manifest agree with what is written."""
    manifest = read_manifest(folder)
    names, format = manifest.splits[split].shards[0].names, manifest.options["format"]
    reader = shards.reader(format, folder / f"{split}-00000", len(names))
    records = [bytearray(reader.read(i)) for i in range(len(names))]
    reader.close()
    records[index] = encode_record(change(parse_record(bytes(records[index]), index)))
    number_record(records[index], index)
    writer = shards.writer(format, folder / f"{split}-00000")
    for record in records:
        writer.write(record)
    writer.close()
    fix_hashes(folder)


def maps_changed(change):
    """A ``change`` for ``rewrite``: labels and persons through ``change``."""

    def of_record(record):
        maps = change(*decode_runs(record.row_offsets, record.runs, record.size))
        row_offsets, runs = encode_runs(*maps)
        return dataclasses.replace(record, row_offsets=row_offsets, runs=runs)

    return of_record


def kinds(report):
    return [type(error) for error in report.findings]


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
        assert report.counts[split]["contested px"] == statistics.contested > 0
    assert len(manifest.splits["train"].shards) == (1 if name == "verbatim" else 2)


def test_clean_source(clean):
    report = verify_source(clean / "source")
    assert report.clean, report.text()
    assert {split: row["images"] for split, row in report.counts.items()} == {s: len(n) for s, n in SPLITS.items()}
    assert {split: row["usable"] for split, row in report.counts.items()} == {s: len(n) for s, n in SPLITS.items()}
    assert sum(row["persons"] for row in report.counts.values()) == 20
    assert "no two photos are byte-identical" in report.remarks
    assert any("not the full release" in remark and "14969" in remark for remark in report.remarks)


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
    assert report.findings[0].expected == f"{len(content)}, by the manifest"
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
    (packed / ".packing").mkdir()
    report = verify_packed(packed)
    assert report.clean
    assert any(".packing" in remark for remark in report.remarks)


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


# --- the manifest


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"format": "mhp-packed", "version": 2}'])
def test_no_manifest_is_raised(recordio, text):
    (recordio / "manifest.json").unlink()
    if text is not None:
        (recordio / "manifest.json").write_text(text)
    with pytest.raises(ManifestError, match=r"manifest\.json"):
        verify_packed(recordio)


def test_sums_that_do_not_add_up_are_raised(recordio):
    edit_manifest(recordio, lambda content: content["splits"]["train"].update(records=6))
    with pytest.raises(ManifestError, match="6 records, 5 in its shards"):
        verify_packed(recordio)


def statistic(name, value):
    return lambda content: content["splits"]["train"]["statistics"].update({name: value})


def class_pixels(content):
    content["splits"]["train"]["statistics"]["class_pixels"][0] += 1


def names(content):
    content["splits"]["train"]["shards"][0]["names"][1] = "0042"


def names_twice(content):
    content["splits"]["train"]["shards"][0]["names"][1] = "0001"


def classes(content):
    content["classes"][3] = "spectacles"


def a_hash(content):
    content["splits"]["val"]["shards"][0]["files"][0]["sha256"] = "0" * 64


def a_length(content):
    content["splits"]["val"]["shards"][0]["files"][0]["bytes"] += 1


def shard_of_another_split(content):
    content["splits"]["test"]["shards"] = content["splits"]["val"]["shards"]
    content["splits"]["test"]["records"] = 1


def skipped(content):
    content["skipped"] = [{"split": "dev", "name": "0009", "error": "ImageError", "message": "no"}]


EDITS = {
    "images": (statistic("images", 4), "statistics of split train: images 4"),
    "persons": (statistic("persons", 1), "persons 1"),
    "gray": (statistic("gray", 2), "gray 2"),
    "contested": (statistic("contested", 1), "contested 1"),
    "ignored": (statistic("ignored_pixels", 7), "ignored_pixels 7"),
    "class_pixels": (class_pixels, "of label 0 (background)"),
    "class_images": (statistic("class_images", [0] * 18), "class_images of 18 classes"),
    "classes": (classes, "spectacles"),
    "flip_pairs": (lambda content: content.update(flip_pairs=[[9, 10]]), "flip pairs ((9, 10),)"),
    "layout": (lambda content: content.update(layout="mhp-v9"), "layout 'mhp-v9'"),
    "name": (names, "is named '0002'"),
    "name_twice": (names_twice, "names 0001 2 times"),
    "hash": (a_hash, "SHA-256"),
    "length": (a_length, "by the manifest"),
    "duplicate_name": (lambda content: content.update(duplicates=[["train/0001", "val/9999"]]), "val/9999"),
    "duplicate_group": (lambda content: content.update(duplicates=[["train/0001", "val/0006"]]), "duplicates group"),
    "splits": (lambda content: content["options"].update(splits=["train"]), "options of splits ['train']"),
    "overlap": (lambda content: content["options"].update(overlap="best"), "option overlap: 'best'"),
    "size": (lambda content: content["options"].update(size=128), "128 x"),
    "image": (lambda content: content["options"].update(image="jpeg"), "image codec 2"),
    "option_missing": (lambda content: content["options"].pop("quality"), "option quality: missing or unknown"),
    "shards": (shard_of_another_split, "shard 0 of split test"),
    "skipped": (skipped, "split 'dev'"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_manifest(packed, edit):
    change, says = EDITS[edit]
    edit_manifest(packed, change)
    report = verify_packed(packed)
    assert any(says in str(error) for error in report.findings), report.text()


def test_a_manifest_without_a_format_is_no_manifest(packed):
    edit_manifest(packed, lambda content: content["options"].pop("format"))
    with pytest.raises(ManifestError, match="a field is wrong"):
        verify_packed(packed)


def test_duplicates_are_counted_anew(source, tmp_path):
    shutil.copy(source / "images" / "0001.jpg", source / "images" / "0007.jpg")
    mhpdata.pack(source, tmp_path / "rec", size=0)
    report = verify_packed(tmp_path / "rec")
    assert report.clean
    assert "byte-identical photos: 1 group of 2 in all" in report.remarks
    edit_manifest(tmp_path / "rec", lambda content: content.update(duplicates=[]))
    assert "train/0001, test/0007" in verify_packed(tmp_path / "rec").findings[0].found


# --- records that were altered with their CRC and hash


def test_altered_labels_show_in_the_statistics_and_deep(packed):
    def change(labels, persons):
        labels[labels == labels[persons > 0][0]] = 3
        return labels, persons

    rewrite(packed, maps_changed(change))
    assert set(kinds(verify_packed(packed))) == {ManifestError}
    report = verify_packed(packed, deep=True)
    assert any("record 1 (0002)" in e.place and "not those of its masks" in e.found for e in report.findings)


def owners_exchanged(labels, persons):
    return labels, np.array([0, 2, 1, 3], np.uint8)[persons]


def mask_shifted(record):
    mask = np.roll(inflate_mask(record.masks[0], record.source_size), 9, axis=1)
    return dataclasses.replace(record, masks=[deflate_mask(mask), *record.masks[1:]])


def mask_of_label_19(record):
    mask = inflate_mask(record.masks[0], record.source_size).copy()
    mask[0, 0] = 19
    return dataclasses.replace(record, masks=[deflate_mask(mask), *record.masks[1:]])


def masks_garbage(record):
    return dataclasses.replace(record, masks=[b"garbage"] * len(record.masks))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (maps_changed(owners_exchanged), ["not those of its masks"]),
        (mask_shifted, ["contested pixels"]),
        (mask_of_label_19, ["mask of person 1: label 19"]),
        (masks_garbage, ["mask of person 1: a damaged zlib", "mask of person 2: a damaged zlib"]),
    ],
    ids=["owners", "shifted", "label", "garbage"],
)
def test_only_deep_finds_it(packed, change, says):
    rewrite(packed, change)
    assert verify_packed(packed).clean
    report = verify_packed(packed, deep=True)
    assert not report.clean
    assert all(isinstance(error, RecordError) and "record 1 (0002)" in error.place for error in report.findings)
    for text in says:
        assert any(text in str(error) for error in report.findings), report.text()


def test_only_deep_finds_an_image_that_does_not_decode_or_is_another(clean, tmp_path):
    folder = shutil.copytree(clean / "verbatim", tmp_path / "rec")
    other = stored_image(folder, 2)
    rewrite(folder, lambda record: dataclasses.replace(record, image=other), index=0)
    rewrite(
        folder, lambda record: dataclasses.replace(record, image=bytes(record.image)[:-300], verbatim=False), index=1
    )
    rewrite(folder, lambda record: dataclasses.replace(record, gray=True), index=2)
    edit_manifest(folder, statistic("gray", 1))
    assert verify_packed(folder).clean
    report = verify_packed(folder, deep=True)
    assert [error.place for error in report.findings] == [
        f"{folder}/train-00000.rec, record {i} (000{i + 1}), image" for i in range(3)
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: dataclasses.replace(record, name="9999"), "is named '9999'"),
        (lambda record: dataclasses.replace(record, codec=0), "image codec 0"),
        (lambda record: dataclasses.replace(record, verbatim=True), "claims to be the source's own JPEG"),
        (lambda record: dataclasses.replace(record, source_size=(96, 100)), "from a photo of 96 x 100"),
        (lambda record: dataclasses.replace(record, source_size=(0, 100)), "0 x 100 pixels"),
        (lambda record: dataclasses.replace(record, source_size=(60000, 60000)), "60000 x 60000 pixels"),
        (lambda record: dataclasses.replace(record, size=(256, 336)), "expected 1..336, rising"),
        (lambda record: dataclasses.replace(record, runs=np.zeros_like(record.runs)), "runs"),
        (lambda record: dataclasses.replace(record, conflicting=9), "conflicting"),
    ],
)
def test_claims_of_a_record(packed, change, says):
    rewrite(packed, change)
    report = verify_packed(packed)
    assert any(says in str(error) for error in report.findings), report.text()
    assert not verify_packed(packed, deep=True).clean


def test_no_damage_escapes_as_another_error(clean, tmp_path):
    """Random bytes of a record with its CRC made right: whatever they say, a finding or nothing."""
    rng = np.random.default_rng(5)
    folder = shutil.copytree(clean / "verbatim", tmp_path / "rec")
    reader = shards.reader("recordio", folder / "val-00000", 1)
    original = bytes(reader.read(0))
    reader.close()
    image_end = 24 + len(parse_record(original, 0).image)
    for _ in range(40):
        record = bytearray(original)
        start = image_end if rng.random() < 0.5 else len(record) - 76
        for _ in range(rng.integers(1, 4)):
            record[rng.integers(start, len(record) - 8)] = rng.integers(256)
        record[-8:-4] = zlib.crc32(record[24:-8]).to_bytes(4, "little")
        writer = shards.writer("recordio", folder / "val-00000")
        writer.write(record)
        writer.close()
        for error in verify_packed(folder, deep=True, workers=1).findings[1:]:
            assert isinstance(error, RecordError | ShardError | ManifestError)


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


# --- a download


def image(source, name="0002"):
    return source / "images" / f"{name}.jpg"


def mask(source, name="0002_02_01"):
    return source / "annotations" / f"{name}.png"


def missing_image(source):
    image(source).unlink()


def missing_mask(source):
    mask(source).unlink()


def no_mask(source):
    mask(source).unlink()
    mask(source, "0002_02_02").unlink()


def extra_mask(source):
    shutil.copy(mask(source), mask(source, "0002_02_03"))


def two_counts(source):
    shutil.copy(mask(source), mask(source, "0002_03_03"))


def mask_size(source):
    write_mask(source, "0002_02_01", np.ones((HEIGHT - 3, WIDTH), np.uint8))


def rgb_mask(source):
    write_mask(source, "0002_02_01", np.ones((HEIGHT, WIDTH, 3), np.uint8))


def mask_label(label):
    return lambda source: write_mask(source, "0002_02_01", np.full((HEIGHT, WIDTH), label, np.uint8))


def empty_image(source):
    image(source).write_bytes(b"")


def empty_mask(source):
    mask(source).write_bytes(b"")


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


def not_an_image(source):
    image(source).write_bytes(b"<html>403 Forbidden</html>")


def huge_image(source):
    data = bytearray(image(source).read_bytes())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = (60000).to_bytes(2, "big") * 2
    image(source).write_bytes(data)


def line(text):
    def append(source):
        with (source / "test_list.txt").open("ab") as file:
            file.write(text)

    return append


def crlf(source):
    path = source / "train_list.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def link_out(source):
    image(source).unlink()
    image(source).symlink_to("/etc/hostname")


DEFECTS = {
    "missing_image": (missing_image, FolderError, "images/0002.jpg: missing"),
    "missing_mask": (missing_mask, FolderError, "person 1 is missing"),
    "no_mask": (no_mask, FolderError, "image 0002 has no masks"),
    "extra_mask": (extra_mask, FolderError, "person 3 is extra"),
    "two_counts": (two_counts, FolderError, "declare 2 and 3 persons"),
    "mask_size": (mask_size, MaskError, "93 x 128 (height x width); expected 96 x 128"),
    "rgb_mask": (rgb_mask, MaskError, "0002_02_01.png: 3-channel 8-bit PNG"),
    "label_19": (mask_label(19), MaskError, "0002_02_01.png: holds label 19"),
    "label_255": (mask_label(255), MaskError, "0002_02_01.png: holds label 255"),
    "empty_image": (empty_image, ImageError, "images/0002.jpg: an empty file"),
    "empty_mask": (empty_mask, MaskError, "0002_02_01.png: an empty file"),
    "truncated_image": (lambda source: truncate(image(source)), ImageError, "images/0002.jpg: does not decode"),
    "truncated_mask": (lambda source: truncate(mask(source)), MaskError, "0002_02_01.png: truncated PNG"),
    "not_an_image": (not_an_image, ImageError, "images/0002.jpg: starts with"),
    "huge_image": (huge_image, ImageError, "declares 60000 x 60000 pixels"),
    "traversal": (line(b"../../etc/passwd\n"), FolderError, "test_list.txt line 3: '../../etc/passwd'"),
    "duplicate_line": (line(b"0007.jpg\n"), FolderError, "test_list.txt line 3: 0007.jpg again"),
    "crlf": (crlf, FolderError, "train_list.txt: lines end with CR LF"),
    "link_out": (link_out, FolderError, "images/0002.jpg: a link out of the source folder"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_one_finding(source, defect):
    spoil, kind, says = DEFECTS[defect]
    spoil(source)
    report = verify_source(source)
    assert kinds(report) == [kind], report.text()
    assert says in str(report.findings[0])
    assert report.findings[0].place.startswith(str(source))
    in_entry = defect not in ("traversal", "duplicate_line", "crlf")
    assert report.counts["train"]["images"] == 5
    assert report.counts["train"]["usable"] == 5 - in_entry


def test_all_defects_are_listed(source):
    mask(source).unlink()  # 0002
    truncate(image(source, "0001"))
    write_mask(source, "0001_03_03", np.ones((9, 9), np.uint8))
    write_mask(source, "0001_03_02", np.full((HEIGHT, WIDTH), 77, np.uint8))
    image(source, "0003").unlink()
    truncate(mask(source, "0006_02_02"))
    image(source, "0008").write_bytes(b"")
    line(b"0007.jpg\nx\n")(source)
    crlf(source)
    report = verify_source(source)
    assert len(report.findings) == 10, report.text()
    assert [report.counts[split]["usable"] for split in SPLITS] == [2, 0, 1]


def test_masks_are_checked_where_the_photo_says_no_size(source):
    empty_image(source)
    mask_label(20)(source)
    assert kinds(verify_source(source)) == [ImageError, MaskError]


def test_identical_photos_and_strays_are_remarks(source):
    for name in ("0002", "0006", "0007"):
        shutil.copy(image(source, "0001"), image(source, name))
    shutil.copy(image(source, "0003"), image(source, "0300"))
    (source / "annotations" / "Thumbs.db").write_bytes(b"")
    report = verify_source(source)
    assert report.clean
    for says in (
        "byte-identical photos: 1 group of 4 in all",
        "byte-identical photos within a split: 1 group",
        "byte-identical photos in train and val: 1 group",
        "byte-identical photos in val and test: 1 group",
        "the same photo: train/0001, train/0002, val/0006, test/0007",
        "images/0300.jpg: no list names it",
        "annotations/Thumbs.db: not a mask's name (<id>_<NN>_<ii>.png)",
    ):
        assert says in report.remarks


def test_full_release_is_recognised(source, monkeypatch):
    counts = {split: len(names) for split, names in SPLITS.items()}
    monkeypatch.setitem(survey.RELEASES, "mhp-v1", survey.Release(counts, 20, ("images/0006.jpg",)))
    truncate(image(source, "0006"))
    report = verify_source(source)
    remark = "the counts are those of the full release: 5 train, 1 val, 2 test images, 20 masks"
    assert remark in report.remarks
    assert any(text.startswith("images/0006.jpg: broken in the release itself") for text in report.remarks)
    assert report.counts["train"]["release"] == 5


def test_not_a_download_is_raised(tmp_path):
    with pytest.raises(FolderError, match=str(tmp_path)):
        verify_source(tmp_path)
    with pytest.raises(OptionError):
        verify_source(tmp_path, layout="coco")


# --- the report and the command


def test_report_is_cut_and_counted():
    report = Report("rec", [ShardError(f"file {i}", "broken") for i in range(5)], {"train": {"images": 3}})
    report.counts["val"] = {"images": 4}
    assert report.text(shown=2).splitlines() == [
        "rec",
        "",
        "split       images",
        "train            3",
        "val              4",
        "all              7",
        "",
        "5 problems:",
        "  ShardError: file 0: broken.",
        "  ShardError: file 1: broken.",
        "  ... and 3 more (--all shows them)",
    ]
    assert "file 4" in report.text()


def test_names_that_no_terminal_can_show(source):
    (source / "annotations" / "a\x1b[2J\n\udcff.png").write_bytes(b"")
    result = run("--src", source)
    assert result.exit_code == 0
    assert "annotations/a\\x1b[2J\\n\\udcff.png: not a mask's name" in result.stdout


def test_identical_groups():
    assert identical([("a", b"1"), ("b", b"2"), ("c", b"1"), ("d", b"3")]) == (("a", "c"),)


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_command_on_a_packed_folder(recordio):
    clean = run(recordio, "--deep")
    assert (clean.exit_code, clean.stdout.splitlines()[-1]) == (0, "Nothing wrong.")
    data_file(recordio).unlink()
    broken = run(recordio)
    assert broken.exit_code == 1
    assert f"ShardError: {recordio}/train-00000.rec: missing" in broken.stdout


def test_command_on_a_download(source):
    assert run("--src", source, "--layout", "mhp-v1").exit_code == 0
    empty_image(source)
    broken = run("--src", source, "--workers", 1, "--all")
    assert broken.exit_code == 1
    assert "1 problem:" in broken.stdout


def test_command_cuts_long_lists(source):
    line(b"x\n" * 60)(source)
    assert "... and 10 more (--all shows them)" in run("--src", source).stdout
    assert "more (--all" not in run("--src", source, "--all").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["rec", "--src", "MHP"],
        ["rec", "--layout", "auto"],
        ["--src", "MHP", "--deep"],
        ["--src", "MHP", "--layout", "x"],
    ],
)
def test_wrong_usage(arguments):
    assert run(*arguments).exit_code == 2


def test_wrong_number_of_workers_is_wrong_usage(recordio):
    assert run(recordio, "--workers", 0).exit_code == 2


def test_no_folder_is_an_error(tmp_path):
    result = run(tmp_path / "nothing")
    assert result.exit_code == 1
    assert "ManifestError" in result.stderr
