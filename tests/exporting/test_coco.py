"""coco: pycocotools reads it, and every person and part is the annotated one, pixel by pixel."""

import contextlib
import io
import json

import numpy as np
import pytest

import mhpdata
from mhpdata.images.nearest_pixel import resize_labels


def load(path):
    """Return an annotation file, read by pycocotools."""
    coco = pytest.importorskip("pycocotools.coco", reason="the extra dev has pycocotools")
    with contextlib.redirect_stdout(io.StringIO()):
        return coco.COCO(str(path))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with NumPy 2
@pytest.mark.parametrize("packed", ["whole", "resized"])
def test_pycocotools_reads_the_annotated_pixels(packed, request, tmp_path):
    rec, out = request.getfixturevalue(packed), tmp_path / "out"
    done = mhpdata.export(rec, out, "coco")
    exported = 0
    for split in ("train", "val", "test"):
        persons, parts = (load(out / f"annotations/{name}_{split}.json") for name in ("persons", "parts"))
        for sample in mhpdata.open(rec, split):
            (image,) = persons.loadImgs([int(sample.name)])
            assert (out / split / image["file_name"]).read_bytes() == bytes(sample.record.image)
            assert (image["height"], image["width"]) == sample.labels.shape
            found = {one["id"] % 256: one for one in persons.imgToAnns[int(sample.name)]}
            for number, mask in enumerate(sample.masks, 1):
                mask = mask if mask.shape == sample.labels.shape else resize_labels(mask, sample.labels.shape)
                counted = np.where(mask == 255, 0, mask)
                if not counted.any():
                    assert number not in found
                    continue
                assert (persons.annToMask(found[number]) == (counted > 0)).all()
                drawn = np.zeros_like(mask)
                for part in parts.imgToAnns[int(sample.name)]:
                    if part["person_id"] == found[number]["id"]:
                        drawn[parts.annToMask(part) > 0] = part["category_id"]
                assert (drawn == counted).all()
                exported += 1
    assert exported == sum(one["persons"] for one in done.splits.values()) == 20


def test_categories_are_the_classes(whole, tmp_path):
    mhpdata.export(whole, tmp_path / "out", "coco", splits=["val"], images=False)
    content = json.loads((tmp_path / "out/annotations/parts_val.json").read_text())
    assert {one["id"]: one["name"] for one in content["categories"]} == dict(
        enumerate(mhpdata.open(whole, "val").classes[1:], 1)
    )
    assert {(one["id"], one["mirror"]) for one in content["categories"] if "mirror" in one} == {
        (a, b) for pair in ((9, 10), (12, 13), (14, 15)) for a, b in (pair, pair[::-1])
    }
    assert not (tmp_path / "out/val").exists()
