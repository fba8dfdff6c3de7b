"""Records altered together with their CRC and hash: findings of the normal check, and of the deep check only."""

from __future__ import annotations

import dataclasses
import shutil
import zlib

import numpy as np
import pytest
from verified import (
    edit_manifest,
    kinds,
    maps_changed,
    mask_shifted,
    masks_garbage,
    rewrite,
    statistic,
    stored_image,
    write_packed,
)

from mhpdata.checking.packed import verify_packed
from mhpdata.errors import ManifestError, RecordError, ShardError
from mhpdata.masks.mask_runs import deflate_mask, inflate_mask
from mhpdata.storage.record import parse_record
from mhpdata.storage.shards import formats


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Read-only."""
    return write_packed(tmp_path_factory.mktemp("clean"))


@pytest.fixture(params=["recordio", "hdf5"])
def packed(request, clean, tmp_path):
    return shutil.copytree(clean / request.param, tmp_path / "rec")


def test_altered_labels_show_in_the_statistics_and_deep(packed):
    def change(labels, persons):
        labels[labels == labels[persons > 0][0]] = 3
        return labels, persons

    rewrite(packed, maps_changed(change))
    assert set(kinds(verify_packed(packed))) == {ManifestError}
    report = verify_packed(packed, deep=True)
    assert any("record 1 (0002)" in e.place and "differ from those of its masks" in e.found for e in report.findings)


def owners_exchanged(labels, persons):
    return labels, np.array([0, 2, 1, 3], np.uint8)[persons]


def mask_of_label_19(record):
    mask = inflate_mask(record.masks[0], record.source_size).copy()
    mask[0, 0] = 19
    return dataclasses.replace(record, masks=[deflate_mask(mask), *record.masks[1:]])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (maps_changed(owners_exchanged), ["differ from those of its masks"]),
        (mask_shifted, ["is damaged: states ", " overlapping pixels; expected "]),
        (mask_of_label_19, ["mask of person 1: has label 19; expected labels 0 to 18"]),
        (masks_garbage, ["mask of person 1: is damaged (zlib", "mask of person 2: is damaged (zlib"]),
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
        (lambda record: dataclasses.replace(record, verbatim=True), "marked as an unchanged source JPEG"),
        (lambda record: dataclasses.replace(record, source_size=(96, 100)), "from a source image of 96 x 100"),
        (lambda record: dataclasses.replace(record, source_size=(0, 100)), "0 x 100 pixels"),
        (lambda record: dataclasses.replace(record, source_size=(60000, 60000)), "60000 x 60000 pixels"),
        (lambda record: dataclasses.replace(record, size=(256, 336)), "expected 1 to 336, ascending."),
        (lambda record: dataclasses.replace(record, runs=np.zeros_like(record.runs)), "row 0"),
        (lambda record: dataclasses.replace(record, conflicting=9), "conflicting"),
    ],
)
def test_claims_of_a_record(packed, change, says):
    rewrite(packed, change)
    report = verify_packed(packed)
    assert any(says in str(error) for error in report.findings), report.text()
    assert not verify_packed(packed, deep=True).clean


def test_no_damage_escapes_as_another_error(clean, tmp_path):
    """Random bytes in a record with a corrected CRC give a finding or nothing, never another error."""
    rng = np.random.default_rng(5)
    folder = shutil.copytree(clean / "verbatim", tmp_path / "rec")
    reader = formats.reader("recordio", folder / "val-00000", 1)
    original = bytes(reader.read(0))
    reader.close()
    image_end = 24 + len(parse_record(original, 0).image)
    for _ in range(40):
        record = bytearray(original)
        start = image_end if rng.random() < 0.5 else len(record) - 76
        for _ in range(rng.integers(1, 4)):
            record[rng.integers(start, len(record) - 8)] = rng.integers(256)
        record[-8:-4] = zlib.crc32(record[24:-8]).to_bytes(4, "little")
        writer = formats.writer("recordio", folder / "val-00000")
        writer.write(record)
        writer.close()
        for error in verify_packed(folder, deep=True, workers=1).findings[1:]:
            assert isinstance(error, RecordError | ShardError | ManifestError)
