"""A dataset of one's own: each form packs to the same records, and what is missing is said in its own words."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
from folder import encode, tree
from own import FORMS, NAMES, coco, masks_of, write_own

import mhpdata
from mhpdata.errors import MhpError, OptionError
from mhpdata.masks.mask_runs import inflate_mask
from mhpdata.packing.preview import preview

NOT_OURS = ("archive", "another dataset", "release", "this dataset")


def pack(labels, out, **options):
    options = {"size": 0, "workers": 1, "labels": labels} | options
    return mhpdata.pack(labels.parent / "data", out, **options)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_packed_verified_and_opened(form, tmp_path):
    labels = write_own(tmp_path, form)
    report = mhpdata.verify_source(tmp_path / "data", labels=labels, workers=1)
    assert report.clean, report.text()
    assert report.counts["train"]["persons"] == 15 and report.counts["val"]["images"] == 2
    manifest = pack(labels, tmp_path / "rec")
    assert manifest.layout == "folder" and manifest.licence == "ours" and set(manifest.splits) == {"train", "val"}
    assert mhpdata.verify_packed(tmp_path / "rec", deep=True, workers=1).clean
    release = mhpdata.pack(tmp_path / "release", tmp_path / "other", size=0, workers=1)
    assert manifest.classes == tuple(NAMES) and manifest.flip_pairs == release.flip_pairs
    theirs = {sample.name: sample for split in release.splits for sample in mhpdata.open(tmp_path / "other", split)}
    for split in manifest.splits:
        for sample in mhpdata.open(tmp_path / "rec", split):
            same = theirs[sample.name.removeprefix("img ")]
            for ours, wanted in (
                (sample.image, same.image),
                (sample.labels, same.labels),
                (sample.persons, same.persons),
            ):
                np.testing.assert_array_equal(ours, wanted)
    assert pack(labels, tmp_path / "rec") == manifest, "recognised as done"


@pytest.mark.parametrize("form", ["persons", "coco"])
def test_each_persons_mask_is_kept(form, tmp_path):
    labels = write_own(tmp_path, form)
    pack(labels, tmp_path / "rec")
    record = mhpdata.open(tmp_path / "rec", "train").record(1)
    masks = masks_of(tmp_path / "release", "0002")
    assert len(record.masks) == len(masks)
    for stream, mask in zip(record.masks, masks, strict=True):
        np.testing.assert_array_equal(inflate_mask(stream, mask.shape), mask)


def test_a_changed_label_file_is_another_source(tmp_path):
    labels = write_own(tmp_path, "maps")
    pack(labels, tmp_path / "rec")
    content = json.loads(labels.read_text())
    labels.write_text(json.dumps(content, indent=2))
    before = tree(tmp_path / "rec")
    pack(labels, tmp_path / "rec")
    assert tree(tmp_path / "rec") == before, "another layout of the JSON changes nothing"
    content["classes"][1], content["classes"][2] = content["classes"][2], content["classes"][1]
    labels.write_text(json.dumps(content))
    with pytest.raises(MhpError, match="overwrite"):
        pack(labels, tmp_path / "rec")
    assert pack(labels, tmp_path / "rec", overwrite=True).classes[1] == "hair"


def test_a_pack_with_another_label_file_says_what_has_changed(tmp_path):
    labels = write_own(tmp_path, "maps")
    pack(labels, tmp_path / "rec")
    content = json.loads(labels.read_text())
    content["classes"][1] = "cap"
    labels.write_text(json.dumps(content))
    with pytest.raises(MhpError, match=r"other classes \(label 1 is hat, now cap\); the label file has changed since"):
        pack(labels, tmp_path / "rec")
    content["classes"] = [*content["classes"], "beak"]
    labels.write_text(json.dumps(content))
    with pytest.raises(MhpError, match=r"other classes \(19, now 20\)"):
        pack(labels, tmp_path / "rec")
    labels.write_text(json.dumps(content | {"classes": NAMES, "licence": "of others"}))
    with pytest.raises(MhpError, match="packed from other files or with another label file, or damaged since"):
        pack(labels, tmp_path / "rec")


def test_the_command_that_explains_what_was_skipped_reads_the_same_label_file(tmp_path):
    labels = write_own(tmp_path, "persons")
    for path in (tmp_path / "data/images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(MhpError) as caught:
        pack(labels, tmp_path / "rec", on_error="skip", follow_links=True)
    command = f"Run mhp verify --src {tmp_path}/data/ --labels {labels} --follow-links to list the problems"
    assert command in str(caught.value)


def test_a_split_that_shows_nobody_is_named(tmp_path):
    labels = write_own(tmp_path, "coco")
    remark = "val: no image shows a person"
    assert remark not in mhpdata.verify_source(tmp_path / "data", labels=labels, workers=1).remarks
    found = json.loads((tmp_path / "data/val.json").read_text())
    (tmp_path / "data/val.json").write_text(json.dumps(found | {"annotations": []}))
    report = mhpdata.verify_source(tmp_path / "data", labels=labels, workers=1)
    assert report.clean and remark in report.remarks


def test_one_person_per_image_without_a_map_of_persons_and_splits_without_labels(tmp_path):
    labels = write_own(tmp_path, "maps")
    content = json.loads(labels.read_text())
    content["folder"] |= {"persons": None, "unlabelled": ["val"]}
    labels.write_text(json.dumps(content))
    shutil.rmtree(tmp_path / "data/val/labels")
    manifest = pack(labels, tmp_path / "rec")
    assert manifest.splits["train"].statistics.persons == 6 and not manifest.splits["val"].labelled
    assert mhpdata.open(tmp_path / "rec", "val")[0].labels is None


def test_without_splits_all_images_are_train(tmp_path):
    labels = write_own(tmp_path, "persons")
    content = json.loads(labels.read_text())
    del content["folder"]["splits"]
    labels.write_text(json.dumps(content))
    manifest = pack(labels, tmp_path / "rec")
    assert list(manifest.splits) == ["train"] and manifest.splits["train"].records == 8


def test_a_preview_and_tasks_read_the_label_file_too(tmp_path):
    from mhpdata.packing.tasks.assembly import merge_tasks
    from mhpdata.packing.tasks.work import pack_task

    labels = write_own(tmp_path, "coco")
    assert preview(tmp_path / "data", labels=labels, size=0, workers=1).images == {"train": 6, "val": 2}
    for task in ("1/2", "2/2"):
        pack_task(tmp_path / "data", tmp_path / "tasks", task, labels=labels, size=0, workers=1)
    merge_tasks(tmp_path / "data", tmp_path / "tasks", labels=labels, size=0, workers=1)
    pack(labels, tmp_path / "rec")
    ours, theirs = tree(tmp_path / "tasks"), tree(tmp_path / "rec")
    assert {n: d for n, d in ours.items() if "build" not in n} == {n: d for n, d in theirs.items() if "build" not in n}


def break_file(path, data=None):
    def change(data_folder, content):
        target = data_folder / path
        if data is None:
            target.unlink()
        else:
            target.write_bytes(data)

    return change


def break_coco(change_content):
    def change(data_folder, content):
        path = data_folder / "train.json"
        found = json.loads(path.read_text())
        change_content(found)
        path.write_text(json.dumps(found))

    return change


def only_persons(found):
    found["annotations"] = [one for one in found["annotations"] if one["category_id"] == 1]


def table(**change):
    return lambda data, content: content["folder"].update(change)


SMALL = encode(".png", np.zeros((5, 6), np.uint8))
PROBLEMS = [
    ("persons", break_file("masks/img 0001/p5.png", SMALL), "Export the mask in the size of its image."),
    ("persons", break_file("masks/img 0001/p5.png", encode(".png", np.full((96, 128), 9, np.uint8))), "the value 9"),
    ("persons", break_file("masks/img 0001/p5.png", b""), "Copy or export the file again."),
    ("persons", break_file("images/img 0002.jpg"), "images/img 0002: missing; expected one image of this name"),
    ("persons", break_file("train.txt"), '"splits.train" in '),
    ("persons", break_file("train.txt", b"\xff\xfe"), "is not text of at most 4 MiB"),
    ("persons", break_file("train.txt", b"img 0001\nimg 0001.jpg\n"), "train.txt line 2: lists img 0001 again"),
    ("persons", break_file("val.txt", b"img 0001\n"), "image img 0001 is in two splits"),
    ("persons", lambda data, _: shutil.rmtree(data / "masks/img 0003"), 'the folder of "masks"'),
    ("persons", table(masks="masks/{image}_{person}.png"), "image img 0001 has no masks; expected a mask"),
    ("maps", break_file("train/labels/img 0001.png"), "the map of labels of image img 0001"),
    ("maps", break_file("train/persons/img 0001.png", encode(".png", np.zeros((96, 128), np.uint8))), "a class in"),
    ("maps", table(images="{split}/pictures"), 'no such folder; expected the folder of "images"'),
    ("coco", break_coco(lambda found: found["annotations"][1].pop("attributes")), "names no person"),
    ("coco", break_coco(lambda found: found["categories"][0].update(name="cap")), '"cap", which is no class'),
    ("coco", break_coco(lambda found: found["annotations"][1].update(category_id=3)), "which no category has"),
    ("coco", break_coco(lambda found: only_persons(found)), 'the category "person", which is left out'),
    ("coco", break_coco(lambda found: found["annotations"][1].update(image_id=77)), "which no image has"),
    ("coco", break_coco(lambda found: found["annotations"][1].pop("segmentation")), "segmentation is missing"),
    ("coco", break_coco(lambda found: found["annotations"][-1].update(segmentation=[[1, 2]])), "has 2 numbers"),
    ("coco", break_coco(lambda found: found["images"][0].update(height=7)), "states 7 x 128 pixels for image img 0001"),
    ("coco", break_coco(lambda found: found["images"][0].update(file_name="x/img 0002.png")), "two images called"),
    ("coco", break_file("train.json", b"{"), "is not JSON"), ("coco", break_file("train.json"), '"annotations.train"'),
]  # fmt: skip


@pytest.mark.parametrize("form,change,says", PROBLEMS, ids=[says for _, _, says in PROBLEMS])
def test_what_is_wrong_is_said_in_its_own_words(form, change, says, tmp_path):
    labels = write_own(tmp_path, form)
    content = json.loads(labels.read_text())
    change(tmp_path / "data", content)
    labels.write_text(json.dumps(content))
    with pytest.raises(MhpError) as caught:
        pack(labels, tmp_path / "rec")
    assert says in str(caught.value), caught.value
    found = [caught.value]
    try:
        found += mhpdata.verify_source(tmp_path / "data", labels=labels, workers=1).findings
        assert len(found) > 1
    except MhpError as error:
        found.append(error)
    assert says in str(found[1])
    for error in found:
        assert not any(word in str(error).replace("release/", "") for word in NOT_OURS), error


@pytest.mark.parametrize(
    "change,says",
    [
        ({"form": "polygons"}, 'is "polygons", not persons, maps or coco'),
        ({"masks": "a/{image}.png"}, "without {person}"), ({"masks": "{person}/{image}.png"}, "{person} in a folder"),
        ({"masks": "../{image}_{person}.png"}, "not a path"),
        ({"masks": "/a/{image}_{person}.png"}, "not a path"), ({"images": "a{x}"}, "placeholders may be {split}"),
        ({"images": "{split}/a"}, "not name the splits", ), ({"labels": "x"}, 'unknown key "labels"'),
        ({"splits": {"dev": "a.txt"}}, 'the split "dev", not train, val or test'), ({"splits": {}}, "names no split"),
        ({"splits": ["train", "val"]}, 'has no {split}'), ({"unlabelled": ["test"]}, "which is no split"),
        ({"masks": 3}, "folder.masks has 3"), ({"images": None}, "folder.images has null"),
    ],
)  # fmt: skip
def test_a_wrong_description_is_an_error_of_the_label_file(change, says, tmp_path):
    labels = tmp_path / "mine.json"
    about = {"form": "persons", "images": "images", "masks": "masks/{image}_{person}.png"} | change
    labels.write_text(json.dumps({"name": "mine", "classes": ["background", "hair"], "folder": about}))
    (tmp_path / "data").mkdir()
    with pytest.raises(OptionError) as caught:
        pack(labels, tmp_path / "rec")
    assert says in str(caught.value) and caught.value.place == str(labels)


def test_the_label_file_and_the_layout_belong_together(tmp_path):
    labels = write_own(tmp_path, "maps")
    with pytest.raises(OptionError, match=r"labels: missing; .* Pass --labels mine\.json"):
        mhpdata.pack(tmp_path / "data", tmp_path / "rec", layout="folder")
    with pytest.raises(OptionError, match="given with layout cihp; expected layout folder"):
        pack(labels, tmp_path / "rec", layout="cihp")
    content = json.loads(labels.read_text())
    del content["folder"]
    labels.write_text(json.dumps(content))
    with pytest.raises(OptionError, match='has no "folder"'):
        pack(labels, tmp_path / "rec")
    with pytest.raises(MhpError, match="pass --layout folder --labels"):
        mhpdata.pack(tmp_path / "data", tmp_path / "rec")


def test_coco_persons_crowds_and_later_parts(tmp_path):
    """Order of persons, parts that cover earlier ones, polygons, and crowds that are not counted."""
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    for name in ("a", "b", "c"):
        (data / "images" / f"{name}.png").write_bytes(encode(".png", np.zeros((20, 30, 3), np.uint8)))
    square = lambda x, y: [[x, y, x + 8, y, x + 8, y + 8, x, y + 8]]  # noqa: E731
    one = {"image_id": "a", "iscrowd": 0}
    parts = [
        one | {"id": 1, "category_id": 1, "person": "z", "segmentation": square(0, 0)},
        one | {"id": 2, "category_id": 2, "person": "a", "segmentation": square(10, 0)},
        one | {"id": 3, "category_id": 2, "person": "z", "segmentation": square(0, 4)},
        one | {"id": 4, "category_id": 1, "iscrowd": 1, "segmentation": square(4, 0)},
        {"image_id": "c", "id": 5, "category_id": 1, "iscrowd": 1, "segmentation": square(0, 0)},
    ]
    content = {
        "images": [{"id": name, "file_name": f"{name}.png"} for name in "abc"],
        "categories": [{"id": 1, "name": "hair"}, {"id": 2, "name": "skin"}],
        "annotations": parts,
    }
    (data / "all.json").write_text(json.dumps(content))
    about = {"form": "coco", "images": "images", "annotations": "all.json"}
    labels = tmp_path / "mine.json"
    labels.write_text(json.dumps({"name": "mine", "classes": ["background", "hair", "skin"], "folder": about}))
    pack(labels, tmp_path / "rec", image="raw")
    a, b, c = mhpdata.open(tmp_path / "rec", "train")
    expected = np.zeros((20, 30), np.uint8)
    expected[0:8, 4:12] = 255
    expected[0:4, 0:8], expected[4:12, 0:8], expected[0:8, 10:18] = 1, 2, 2
    np.testing.assert_array_equal(a.labels, expected)
    assert a.persons[0, 0] == 1 and a.persons[0, 12] == 2 and not b.labels.any()
    assert (c.labels[0:8, 0:8] == 255).all() and not c.persons.any()


def test_one_coco_file_serves_the_lists_of_all_splits(tmp_path):
    apart = write_own(tmp_path / "apart", "coco")
    labels = write_own(tmp_path / "one", "coco")
    data = labels.parent / "data"
    parts = {split: json.loads((data / f"{split}.json").read_text()) for split in ("train", "val")}
    both: dict = {"images": [], "annotations": [], "categories": parts["train"]["categories"]}
    for split, content in parts.items():
        names = [image["file_name"] for image in content["images"]]
        (data / f"{split}.txt").write_text("\n".join(names))
        for key, id in (("images", "id"), ("annotations", "image_id")):
            both[key] += [one | {id: f"{split} {one[id]}"} for one in content[key]]
        (data / f"{split}.json").unlink()
    (data / "all.json").write_text(json.dumps(both))
    table = json.loads(labels.read_text())
    table["folder"] |= {"annotations": "all.json", "splits": {split: f"{split}.txt" for split in parts}}
    labels.write_text(json.dumps(table))
    pack(apart, tmp_path / "rec_apart")
    pack(labels, tmp_path / "rec_one")
    for split, images in (("train", 6), ("val", 2)):
        expected, found = mhpdata.open(tmp_path / "rec_apart", split), mhpdata.open(tmp_path / "rec_one", split)
        assert len(found) == len(expected) == images
        for one, other in zip(found, expected, strict=True):
            assert one.name == other.name
            np.testing.assert_array_equal(one.labels, other.labels)
            np.testing.assert_array_equal(one.persons, other.persons)
    table["folder"]["splits"] = ["train", "val"]
    labels.write_text(json.dumps(table))
    with pytest.raises(MhpError, match='names val, which has no file in "annotations"'):
        pack(labels, tmp_path / "rec_names")


def test_images_of_any_name_but_no_links_out(tmp_path):
    labels = write_own(tmp_path, "persons")
    (tmp_path / "data/images/._img 0001.jpg").write_bytes(b"x")
    (tmp_path / "data/images/notes.txt").write_text("x")
    (tmp_path / "outside.png").write_bytes(SMALL)
    mask = tmp_path / "data/masks/img 0001/p5.png"
    mask.unlink()
    mask.symlink_to(tmp_path / "outside.png")
    with pytest.raises(MhpError, match="outside --src"):
        pack(labels, tmp_path / "rec")


def test_the_image_of_a_form_is_what_it_seems(tmp_path):
    """The helper writes what the tests above rely on: COCO JSON draws to the masks that it was made from."""
    mask = np.zeros((6, 7), np.uint8)
    mask[2:4, 1:5] = 3
    content = coco({"x": [mask]})
    region = content["annotations"][1]["segmentation"]
    assert region == {"size": [6, 7], "counts": [8, 2, 4, 2, 4, 2, 4, 2, 14]} and cv2 is not None
