"""Masks of a dataset of one's own by their names: which are read, and what is said about the others."""

from __future__ import annotations

import json
import os
import shutil

import pytest

import mhpdata
from mhpdata.errors import MhpError
from mhpdata.packing.summary import report
from mhpdata.storage.manifest import read_manifest
from mhpdata.synth.writing.folder import synthesize


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Draw a dataset that no test changes."""
    folder = tmp_path_factory.mktemp("drawn") / "mine"
    synthesize(folder, 6, 0, 1, scale=0.05, layout="folder")
    return folder


@pytest.fixture
def mine(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / "mine")


def verify(mine):
    return mhpdata.verify_source(mine, labels=mine / "mine.json", workers=1)


def about(mine, **change):
    """Change the field "folder" of the label file."""
    content = json.loads((mine / "mine.json").read_text())
    content["folder"] |= change
    (mine / "mine.json").write_text(json.dumps(content))


def unused(mine):
    """Return the remarks on masks."""
    return [remark for remark in verify(mine).remarks if remark.startswith("masks")]


def test_masks_of_all_splits_in_one_folder_are_all_used(mine):
    assert unused(mine) == []
    for split in ("train", "val"):
        for id in (mine / f"{split}.txt").read_text().split():
            for mask in (mine / "masks").glob(f"{id}_*.png"):
                mask.rename(mine / "masks" / f"{split}-{mask.name}")
    about(mine, masks="masks/{split}-{image}_{person}.png")
    assert verify(mine).clean and unused(mine) == []


def test_masks_of_images_in_no_split_are_counted_once(mine):
    about(mine, splits={"train": "train.txt"})
    (remark,) = unused(mine)
    ids = sorted({path.name[:5] for path in (mine / "masks").iterdir()} - {*(mine / "train.txt").read_text().split()})
    assert remark == f"masks: masks of {len(ids)} image{'s' * (len(ids) > 1)} in no split, such as {ids[0]}"


def test_a_missing_image_and_a_split_without_annotations_leave_no_mask_unnamed(mine):
    about(mine, unlabelled=["val"])
    (mine / "images/00001.jpg").unlink()
    assert "images/00001: missing" in str(verify(mine).findings[0]) and unused(mine) == []


def test_each_file_beside_the_masks_is_named(mine):
    (mine / "masks/00002_1.png").rename(mine / "masks/00002_1.jpg")
    shutil.copy(mine / "masks/00003_1.png", mine / "masks/00003_x.png")
    (mine / "masks/notes.txt").write_text("none")
    reason = "its name does not fit masks/{image}_{person}.png (case counts; {person} is a whole number)"
    note = "2 masks not read, such as masks/00002_1.jpg: their names do not fit masks/{image}_{person}.png"
    names = "00002_1.jpg", "00003_x.png", "notes.txt"
    assert unused(mine) == [f"masks/{name}: not read: {reason}" for name in names]
    assert note in verify(mine).remarks


def test_a_pack_says_which_masks_were_not_read(mine, tmp_path):
    assert mhpdata.pack(mine, tmp_path / "all", labels=mine / "mine.json", size=32).renamed == ()
    two = next(path for path in sorted((mine / "masks").iterdir()) if path.name.endswith("_2.png"))
    two.rename(two.with_suffix(".PNG"))
    manifest = mhpdata.pack(mine, tmp_path / "rec", labels=mine / "mine.json", size=32)
    (note,) = manifest.renamed
    assert note.text == f"1 mask not read, masks/{two.stem}.PNG: its name does not fit masks/{{image}}_{{person}}.png"
    assert note.text in report(manifest, str(tmp_path / "rec"), str(mine))
    assert read_manifest(tmp_path / "rec").renamed == manifest.renamed


@pytest.mark.parametrize("name", [b"\xff.png", b"a\x1b[31m.png", b"{0} {x}.png", b"two\nlines.jpg"])
def test_a_pack_records_unread_masks_of_any_name(name, mine, tmp_path):
    (mine / "masks" / os.fsdecode(name)).write_bytes(b"")
    manifest = mhpdata.pack(mine, tmp_path / "rec", labels=mine / "mine.json", size=32)
    (note,) = read_manifest(tmp_path / "rec").renamed
    assert note.text.isprintable() and note.text in report(manifest, str(tmp_path / "rec"), str(mine))


def test_masks_in_a_folder_per_image_give_one_note(mine):
    for mask in sorted((mine / "masks").iterdir()):
        image, _, person = mask.name.partition("_")
        (mine / "masks" / image).mkdir(exist_ok=True)
        mask.rename(mine / "masks" / image / person)
    for folder in (mine / "masks").iterdir():
        (folder / "all.png").write_bytes(b"")
    about(mine, masks="masks/{image}/{person}.png")
    notes = [remark for remark in verify(mine).remarks if "masks not read" in remark]
    assert len(notes) == 1 and "such as masks/00001/all.png" in notes[0]


def test_masks_beside_their_images_are_no_strays(mine):
    for mask in (mine / "masks").iterdir():
        mask.rename(mine / "images" / mask.name)
    about(mine, masks="images/{image}_{person}.png")
    assert not [remark for remark in verify(mine).remarks if "not read" in remark]


def rename(mine, change):
    for mask in sorted((mine / "masks").iterdir()):
        mask.rename(mask.with_name(change(mask.name)))


@pytest.mark.parametrize(
    "change,says",
    [
        (
            lambda name: name.replace("_", "_p"),
            "masks/00001_p1.png is not read, as its name does not fit masks/{image}_",
        ),
        (lambda name: name.replace("png", "jpg"), "Masks are PNG files, but masks/00001_1.jpg is not: convert it, or "),
        (lambda name: name.replace("00001_", "00001-"), "masks/00001-1.png is not read, as its name does not fit"),
        (lambda name: name.replace("00001_", "100001_"), "Add its masks, correct "),
    ],
)
def test_an_image_without_masks_says_which_files_may_be_these(change, says, mine):
    rename(mine, change)
    with pytest.raises(MhpError, match="image 00001 has no masks") as caught:
        mhpdata.pack(mine, mine.parent / "rec", labels=mine / "mine.json", size=0, workers=1)
    assert says in str(caught.value) and f'"folder.masks" in {mine}/mine.json' in str(caught.value)
    assert says in str(verify(mine).findings[0])
