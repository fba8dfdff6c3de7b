"""Label 255 in masks and persons without a label, from the download to the score: the same counts everywhere.

Masks occur in every form that holds labels, so each form is followed through the whole pipeline.
"""

from __future__ import annotations

import json
import shutil

import naive
import numpy as np
import pytest
from folder import write_folder
from images import encode_png, save
from predictions import submit
from releases import labels_of, write_cihp, write_maps

import mhpdata
from mhpdata import Output, Whole
from mhpdata.images.nearest_pixel import resize_labels
from mhpdata.labels import MHP_V1
from mhpdata.loading.loader import Loader
from mhpdata.options import OVERLAPS
from mhpdata.packing.summary import report
from mhpmodels.files.png import encode_indexed
from mhpmodels.scoring.score import score

pytestmark = pytest.mark.compiled
SIZE = (40, 60)
FORMS = [
    lambda mask: save(mask, "PNG"),
    lambda mask: encode_indexed(mask, MHP_V1.palette),
    lambda mask: save(np.dstack([mask] * 3), "PNG"),
    lambda mask: save(np.dstack([mask] * 3 + [np.full_like(mask, 255)]), "PNG"),
    lambda mask: save(mask.astype(np.uint16), "PNG"),
    lambda mask: encode_png(np.dstack([mask, np.full_like(mask, 255)]), 8, 4, interlaced=True),
]


def masks_of(name):
    """Return three persons, overlapping blobs of labels and 255; the third has labels if the name is even."""
    rng = np.random.default_rng(name)
    masks = np.zeros((3, *SIZE), np.uint8)
    for k, mask in enumerate(masks):
        box = slice(4 + 3 * k, 30 + 3 * k), slice(3 + 9 * k, 35 + 9 * k)
        mask[box] = rng.choice([0, 255, 2, 4], (26, 32))
        mask[box][:12] = [2, 255, 4][k]
    masks[2][(masks[2] != 255) & bool(name % 2)] = 0
    return list(masks)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = write_folder(tmp_path_factory.mktemp("not-counted") / "MHP", images=6, size=SIZE)
    for path in (root / "annotations").iterdir():
        path.unlink()
    for name in range(1, 7):
        for person, mask in enumerate(masks_of(name), 1):
            data = FORMS[(name + person) % len(FORMS)](mask)
            (root / "annotations" / f"{name:04d}_03_{person:02d}.png").write_bytes(data)
    return root


@pytest.fixture(scope="module")
def packed(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "rec"
    mhpdata.pack(source, out, size=48, workers=2)
    return out


@pytest.mark.parametrize("rule", OVERLAPS)
def test_packed_or_read_by_any_rule_the_maps_are_the_slow_twins(packed, source, tmp_path, rule):
    mhpdata.pack(source, tmp_path / "rec", size=48, overlap=rule, workers=2)
    assert mhpdata.verify_packed(tmp_path / "rec", deep=True).clean
    again = Loader(packed, "train", 1, view=Whole(), output=Output(overlap=rule, persons=True))
    drawn = {int(batch.indices[0]): batch for batch in again}
    for sample in mhpdata.open(tmp_path / "rec", "train"):
        masks = masks_of(int(sample.name))
        for mine, given in zip(sample.masks, masks, strict=True):
            np.testing.assert_array_equal(mine, given)
        labels, persons, contested, conflicting = naive.merge(masks, rule)
        size = sample.record.size
        np.testing.assert_array_equal(sample.labels, resize_labels(labels, size))
        np.testing.assert_array_equal(sample.persons, resize_labels(persons, size))
        assert (sample.record.contested, sample.record.conflicting) == (contested, conflicting)
        assert (labels == 255).any() and contested
        batch = drawn[sample.index]
        np.testing.assert_array_equal(batch.labels[0][: size[0], : size[1]], sample.labels)
        np.testing.assert_array_equal(batch.persons[0][: size[0], : size[1]], sample.persons)


def test_a_person_without_a_label_is_counted_alike_everywhere(source, packed, tmp_path):
    """Checks table, verification before and after, and the scorer, which skips the person as the official one does."""
    content = json.loads((packed / "manifest.json").read_text())
    for split, unlabelled in (("train", 2), ("val", 1), ("test", 0)):
        statistics = content["splits"][split]["statistics"]
        images = statistics["images"]
        assert statistics["persons"] == 3 * images
        assert statistics.get("unlabelled_persons", 0) == unlabelled
    table = report(mhpdata.open(packed, "train").manifest, packed)
    assert "3 persons without a labelled pixel: kept in the records, not counted here or by mhp score." in table
    for found in (
        mhpdata.verify_source(source),
        mhpdata.verify_packed(packed),
        mhpdata.verify_packed(packed, deep=True),
    ):
        assert found.clean
        assert {split: row["persons"] for split, row in found.counts.items()} == {"train": 10, "val": 2, "test": 3}
    assert "3 persons without a labelled pixel, not counted by any score" in mhpdata.verify_source(source).remarks
    images = {}
    for sample in mhpdata.open(packed, "train"):
        masks = [np.where(mask == 255, 0, mask) for mask in sample.masks]
        images[sample.name] = *naive.merge(masks, "first")[:2], masks
    found = score(packed, submit(tmp_path, "masks", images), "train")
    assert [row.persons for row in found.rows] == [2, 3, 2, 3]
    assert found.persons.persons == 10 and found.persons.predictions == 12
    right = score(packed, submit(tmp_path / "labels", "labels", images), "train")
    assert right.confusion.pix_acc == 1 and right.confusion.matrix.sum() < 4 * SIZE[0] * SIZE[1]


def test_a_wrong_count_of_persons_without_a_label_is_found(packed, tmp_path):
    rec = shutil.copytree(packed, tmp_path / "rec")
    text = (rec / "manifest.json").read_text()
    (rec / "manifest.json").write_text(text.replace('"unlabelled_persons": 2', '"unlabelled_persons": 1'))
    (error,) = mhpdata.verify_packed(rec, deep=True).findings
    assert "unlabelled_persons 1" in str(error) and "2, as in its records" in str(error)


def test_a_pack_without_such_persons_says_nothing_of_them(tmp_path):
    mhpdata.pack(write_folder(tmp_path / "MHP", images=8, size=SIZE), tmp_path / "rec", size=0, workers=1)
    assert mhpdata.open(tmp_path / "rec", "train").manifest.splits["train"].statistics.unlabelled_persons == 0
    assert "without a labelled pixel" not in report(mhpdata.open(tmp_path / "rec", "train").manifest, "rec")


def test_cihps_persons_of_background_are_counted_by_nobody(tmp_path):
    """A mask of background or 255 only is a person in Human_ids, but not in the table or the score."""
    size = labels_of(1).shape
    root = write_cihp(tmp_path / "CIHP", {"train": [1, 4], "val": [7], "test": [10]})
    write_maps(root / "Training", 1, labels_of(5, 0, 19, 255), labels_of(1, 2, 7, 9))
    palette = np.random.default_rng(0).integers(20, 250, (256, 3), np.uint8)
    for kind, pixels in (("Category_ids", labels_of(5, 0, 19, 255)), ("Human_ids", labels_of(1, 2, 7, 200))):
        (root / "Training" / kind / "0000001.png").write_bytes(encode_indexed(pixels, palette))
    mhpdata.pack(root, tmp_path / "rec", size=0, workers=1)
    sample = mhpdata.open(tmp_path / "rec", "train")[0]
    np.testing.assert_array_equal(sample.labels, labels_of(5, 0, 19, 255))
    np.testing.assert_array_equal(sample.persons, labels_of(1, 0, 3, 0))
    assert len(sample.masks) == 4
    counts = [mhpdata.verify_source(root), mhpdata.verify_packed(tmp_path / "rec", deep=True)]
    assert [found.counts["train"]["persons"] for found in counts] == [5, 5] and all(found.clean for found in counts)
    images = {"0000001": (None, None, [np.zeros(size, np.uint8)]), "0000004": (None, None, [np.zeros(size, np.uint8)])}
    found = score(tmp_path / "rec", submit(tmp_path / "pred", "masks", images), "train")
    assert found.persons.persons == 5
