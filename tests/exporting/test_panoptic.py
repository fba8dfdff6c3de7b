"""coco-panoptic: each pixel's segment is its person, or its person and label, and JSON and PNG agree."""

import json

import numpy as np
import pytest
from exports import read

import mhpdata


def ids(path):
    """Return the segment ids of a PNG, as panopticapi defines them."""
    pixels = read(path).astype(np.int64)
    return pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]


@pytest.mark.parametrize("packed", ["whole", "resized"])
def test_segments_are_persons_and_their_parts(packed, request, tmp_path):
    rec, out = request.getfixturevalue(packed), tmp_path / "out"
    done = mhpdata.export(rec, out, "coco-panoptic")
    persons = 0
    for split in ("train", "val", "test"):
        persons_of, parts_of = (content(out, kind, split) for kind in ("persons", "parts"))
        for sample in mhpdata.open(rec, split):
            assert (out / split / f"{sample.name}.jpg").read_bytes() == bytes(sample.record.image)
            void, background = sample.labels == 255, sample.labels == 0
            found = ids(out / f"annotations/persons_{split}/{sample.name}.png")
            assert (found == np.where(background, 65536, sample.persons.astype(int))).all()
            check(persons_of[sample.name], found, void)
            persons += len(persons_of[sample.name]) - 1
            found = ids(out / f"annotations/parts_{split}/{sample.name}.png")
            inside = np.where(sample.persons > 0, 256 * sample.persons.astype(int) + sample.labels, 0)
            assert (found == np.where(background, 65536, inside)).all()
            check(parts_of[sample.name], found, void)
            for one in parts_of[sample.name]:
                assert one["category_id"] == one["id"] % 256
                assert one["id"] == 65536 or one["person"] == one["id"] // 256
    assert persons == sum(one["persons"] for one in done.splits.values()) == 20


def content(out, kind, split):
    """Return the segments of each image of an annotation file, whose categories are checked."""
    parsed = json.loads((out / f"annotations/{kind}_{split}.json").read_text())
    categories = {one["id"]: one["isthing"] for one in parsed["categories"]}
    assert categories == {0: 0, 1: 1} if kind == "persons" else categories == {0: 0, **dict.fromkeys(range(1, 19), 1)}
    assert [one["id"] for one in parsed["images"]] == [one["image_id"] for one in parsed["annotations"]]
    return {one["file_name"].removesuffix(".png"): one["segments_info"] for one in parsed["annotations"]}


def check(listed, found, void):
    """Assert that the segments of a PNG are those listed, with their areas and boxes."""
    assert {one["id"] for one in listed} == set(np.unique(found[~void]).tolist())
    assert (found[void] == 0).all()
    for one in listed:
        rows, columns = np.nonzero(found == one["id"])
        x, y, width, height = one["bbox"]
        assert (one["area"], x, y) == (len(rows), columns.min(), rows.min())
        assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
