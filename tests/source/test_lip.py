"""LIP as its archives extract and as SCHP arranges it, and what is said if something is missing."""

from __future__ import annotations

import shutil

import pytest
from folder import encode, photo
from releases import SIZE, labels_of

import mhpdata
from mhpdata.errors import FolderError, MaskError
from mhpdata.source.scan import scan

IDS = {"train": ["100_4", "100_11", "77_471474"], "val": ["5_6"], "test": ["8_9"]}
PARTS = (2, 13, 14, 5)


def write_flat(root, splits=("train", "val")):
    """Write SCHP's arrangement."""
    for split in splits:
        for kind in ("images", "segmentations"):
            (root / f"{split}_{kind}").mkdir(parents=True)
        (root / f"{split}_id.txt").write_text("".join(f"{id}\n" for id in IDS[split]))
        for k, id in enumerate(IDS[split]):
            (root / f"{split}_images" / f"{id}.jpg").write_bytes(encode(".jpg", photo(k, SIZE)))
            (root / f"{split}_segmentations" / f"{id}.png").write_bytes(encode(".png", labels_of(*PARTS)))
    return root


def as_archives(flat, root, inner):
    """Move SCHP's arrangement to the folders of the archives; ``inner``: into a folder of the same name in each."""
    images, masks = (
        root / name / (name if inner else "") for name in ("TrainVal_images", "TrainVal_parsing_annotations")
    )
    for folder in (images, masks):
        folder.mkdir(parents=True)
    for split in ("train", "val"):
        shutil.move(flat / f"{split}_images", images)
        shutil.move(flat / f"{split}_segmentations", masks)
        shutil.move(flat / f"{split}_id.txt", root / "TrainVal_images")
    test = root / "Testing_images"
    (test / "testing_images").mkdir(parents=True)
    (test / "test_id.txt").write_text("8_9\n")
    (test / "testing_images/8_9.jpg").write_bytes(encode(".jpg", photo(9, SIZE)))
    return root


@pytest.mark.parametrize("form", ["flat", "archives", "archives, each in a folder of its own name"])
def test_each_arrangement_is_read(form, tmp_path):
    root = write_flat(tmp_path / "LIP")
    if form != "flat":
        root = as_archives(root, tmp_path / "archives", "each" in form)
    listing = scan(root)
    assert listing.layout == "lip" and not listing.problems
    names = {split: [entry.name for entry in entries] for split, entries in listing.entries.items()}
    assert names == {split: ids for split, ids in IDS.items() if split != "test" or form != "flat"}
    assert mhpdata.verify_source(root, workers=1).clean
    manifest = mhpdata.pack(root, tmp_path / "rec", size=0, workers=1)
    assert manifest.splits["train"].statistics.persons == 3 and manifest.classes[10] == "jumpsuits"
    assert mhpdata.verify_packed(tmp_path / "rec", deep=True, workers=1).clean
    assert form == "flat" or mhpdata.open(tmp_path / "rec", "test")[0].labels is None


def test_what_is_missing_is_named(tmp_path):
    root = write_flat(tmp_path / "LIP")
    (root / "train_images/100_4.jpg").rename(root / "train_images/100_4.jpg.part")
    (root / "train_segmentations/77_471474.png").unlink()
    (root / "val_id.txt").write_text("5_6\nfive\n")
    found = [str(problem.error) for problem in scan(root).problems]
    assert "100_4.jpg.part is an incomplete copy" in found[0] and "77_471474.png: missing" in found[1]
    assert "val_id.txt line 2: 'five'; expected an id such as 100034_483681" in found[2] and len(found) == 3
    shutil.rmtree(root / "val_segmentations")
    assert "Extract TrainVal_parsing_annotations.zip" in str(scan(root).problems[-1].error)
    (root / "train_segmentations/100_11.png").write_bytes(encode(".png", labels_of(20)))
    (root / "train_id.txt").write_text("100_11\n")
    with pytest.raises(MaskError, match="holds label 20"):
        mhpdata.pack(root, tmp_path / "rec", splits=["train"], size=0, workers=1)


def test_a_folder_without_images_is_not_lip(tmp_path):
    (tmp_path / "LIP").mkdir()
    with pytest.raises(FolderError, match="no folder of images"):
        scan(tmp_path / "LIP", "lip")
