"""Files in COCO's formats: how images and classes are found, and files that lie."""

from __future__ import annotations

import json

import numpy as np
import pytest
from coco_predictions import counts, region, text, write_panoptic

from mhpdata.errors import PredictionError
from mhpmodels.scoring.coco_files import CocoFile
from mhpmodels.scoring.regions import coco_paths, linked, person_layers

NAMES = ("0001", "0002")
CLASSES = ("background", "hat", "hair")
MASK = np.array([[0, 1, 1], [0, 0, 1]], bool)
PART = {"image_id": "0001", "category_id": 2, "score": 0.5, "segmentation": region(MASK, True)}


def write(folder, content, kind="parts"):
    path = folder / f"{kind}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(folder, content, kind="parts"):
    return CocoFile(write(folder, content, kind), NAMES, CLASSES if kind == "parts" else None)


def masks(file, name, size=(2, 3)):
    draw = file.drawer(name, size)
    return [draw(one) for one in file.regions.get(name, [])]


@pytest.mark.parametrize(
    "segmentation", [region(MASK, True), region(MASK, False), [[0.5, -1, 3, -1, 3, 2, 2, 2, 2, 0]]]
)
def test_regions(tmp_path, segmentation):
    file = read(tmp_path, [{**PART, "segmentation": segmentation}])
    (found,) = file.regions["0001"]
    assert (found.category, found.score, found.person) == (2, 0.5, None) and not file.panoptic
    (mask,) = masks(file, "0001")
    assert mask.shape == (2, 3) and mask[0, 2]
    if isinstance(segmentation, dict):
        assert (mask == MASK).all()


def test_the_text_of_run_lengths_is_that_of_pycocotools():
    library = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = rng.random((40, 30)) < rng.random()
        assert text(counts(mask)).encode() == library.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ([PART], "0001"),
        ([{**PART, "image_id": 2}], "0002"),
        ({"annotations": [{**PART, "image_id": 7}], "images": [
            {"id": 7, "file_name": "val/0002.jpg"}, {"id": 1, "file_name": "0001.jpg"}]}, "0002"),
    ],
)  # fmt: skip
def test_images_are_found_by_name_number_or_file(tmp_path, content, name):
    assert list(read(tmp_path, content).regions) == [name]


def test_classes_are_found_by_name(tmp_path):
    categories = [{"id": 0, "name": "nothing", "isthing": 0}, {"id": 5, "name": "hair"}, {"id": 2, "name": "hat"}]
    content = {"annotations": [{**PART, "category_id": 5}, PART], "categories": categories}
    assert [one.category for one in read(tmp_path, content).regions["0001"]] == [2, 1]
    people = [{"id": 1, "name": "bicycle"}, {"id": 44, "name": "person"}]
    content = {"annotations": [{**PART, "category_id": 44}, {**PART, "category_id": 1}], "categories": people}
    file = read(tmp_path, content, "persons")
    assert [one.category for one in file.regions["0001"]] == [1] and file.kind == "persons"


def test_a_file_with_annotations_needs_no_scores_and_a_list_does(tmp_path):
    entry = {key: value for key, value in PART.items() if key != "score"}
    assert read(tmp_path, {"annotations": [entry]}).regions["0001"][0].score == 1
    with pytest.raises(PredictionError, match=r"parts\.json annotations\[0\]: annotations\[0\]\.score is missing"):
        read(tmp_path, [entry])


def test_a_list_may_leave_images_out_and_others_may_not(tmp_path):
    assert read(tmp_path, []).missing(NAMES) == [] and read(tmp_path, []).regions == {}
    images = [{"id": 1, "file_name": "0001.jpg"}]
    assert read(tmp_path, {"annotations": [], "images": images}).missing(NAMES) == ["0002"]
    entries = [{"image_id": "0002", "file_name": "0002.png", "segments_info": []}]
    assert read(tmp_path, {"annotations": entries}).missing(NAMES) == ["0001"]


def test_the_part_in_front_has_the_higher_score_and_of_equal_scores_is_the_first(tmp_path):
    whole = np.ones((2, 3), bool)
    parts = [{**PART, "person_id": 1}, {**PART, "person_id": 1, "category_id": 1, "segmentation": region(whole, True)}]
    persons = read(tmp_path, [{**PART, "category_id": 1, "id": 1}], "persons")
    expected = {0.5: np.where(MASK, 2, 1), 0.6: np.ones((2, 3))}
    for score, labels in expected.items():
        file = read(tmp_path, [parts[0], {**parts[1], "score": score}])
        assert linked(persons, file)
        scores, (layer,) = person_layers(persons, file, "0001", (2, 3))
        assert scores == [0.5] and layer.labels.tolist() == labels.tolist()
    assert not linked(persons, read(tmp_path, [PART]))
    assert not linked(persons, read(tmp_path, [{**PART, "image_id": "0002", "person_id": 1}]))
    twice = read(tmp_path, [{**PART, "category_id": 1, "id": 1}] * 2, "persons")
    assert not linked(twice, read(tmp_path, parts))


def test_files_of_a_split_come_first(tmp_path):
    for name in "persons.json", "persons_val.json", "parts_val.json", "parts_test.json":
        (tmp_path / name).write_text("[]")
    assert coco_paths(tmp_path, "val") == {kind: tmp_path / f"{kind}_val.json" for kind in ("persons", "parts")}
    assert coco_paths(tmp_path, "train") == {"persons": tmp_path / "persons.json"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[" * 100000, "cannot be read"),
        ("7", "is neither a list nor an object"),
        ("[1]", r"annotations\[0\] is 1, not an object"),
        ("{}", "annotations is missing"),
        ({"annotations": {}}, "annotations is .*, not a list"),
        ([{**PART, "image_id": "0009"}], "no image_id is that of an image of the split"),
        ([{**PART, "image_id": [1]}], "an id that is neither a number nor a text"),
        ([{**PART, "category_id": 3}], "category_id is 3; labels are 1 to 2"),
        ([{**PART, "category_id": 0}], "no annotation has the category of a class"),
        ([{**PART, "category_id": "hat"}], "category_id is not a whole number"),
        ([{**PART, "iscrowd": 1}], "iscrowd is set"),
        ('[{"image_id": "0001", "category_id": 1, "segmentation": [], "score": NaN}]', "score is not a finite number"),
        ([{**PART, "score": 10**400}], "score is not a finite number"),
        ([{**PART, "score": True}], "score is not a finite number"),
        ([PART] * 4097, "one of more than 4096 parts of image 0001"),
        (
            {"annotations": [PART], "categories": [{"id": 1, "name": "sock"}]},
            "'sock', which is no class of the dataset",
        ),
        ([{"image_id": "0001", "file_name": "../0001.png", "segments_info": []}], "not the name of a file"),
        ([{"image_id": "0001", "file_name": "a\\b.png", "segments_info": []}], "not the name of a file"),
        ([{"image_id": "0001", "file_name": "a.png", "segments_info": []}] * 2, "a second entry of image 0001"),
        (
            [{"image_id": "0001", "file_name": "a.png", "segments_info": [{"id": 1 << 24}]}],
            "id is not a number below 16777216",
        ),
    ],
    ids=range(21),
)
def test_files_that_are_refused(tmp_path, content, message):
    with pytest.raises(PredictionError, match=message) as caught:
        read(tmp_path, content)
    assert str(tmp_path / "parts.json") in str(caught.value) and len(str(caught.value)) < 600


def test_too_many_persons(tmp_path):
    with pytest.raises(PredictionError, match="more than 255 persons of image 0001"):
        read(tmp_path, [{**PART, "category_id": 1}] * 256, "persons")


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [2, 4], "counts": [8]},
        {"size": [2, 3], "counts": [7]},
        {"size": [2, 3], "counts": [10**30, 6]},
        {"size": [2, 3], "counts": "PPPPPPPPPPPPP"},
        {"size": [1 << 40, 1 << 40], "counts": [1 << 80]},
        {"counts": [6]},
        [],
        None,
    ],
    ids=str,
)
def test_regions_that_are_refused_before_memory_is_allocated(tmp_path, segmentation):
    file = read(tmp_path, [{**PART, "segmentation": segmentation}])
    with pytest.raises(PredictionError, match=r"parts\.json annotations\[0\]: segmentation"):
        masks(file, "0001")


def test_panoptic_pngs_that_are_refused(tmp_path):
    labels, owners = np.array([[0, 2], [1, 2]], np.uint8), np.array([[0, 1], [1, 1]], np.uint8)
    write_panoptic(tmp_path, {"0001": (labels, owners, None)})
    file = CocoFile(tmp_path / "parts.json", NAMES, CLASSES)
    assert [mask.tolist() for mask in masks(file, "0001", (2, 2))] == [(labels == c).tolist() for c in (1, 2)]
    png = tmp_path / "parts" / "0001.png"
    with pytest.raises(PredictionError, match="is 2 x 2; expected 3 x 2"):
        masks(file, "0001", (3, 2))
    data = png.read_bytes()
    png.write_bytes(data[:-30])
    with pytest.raises(PredictionError, match="truncated PNG"):
        masks(file, "0001", (2, 2))
    import cv2

    png.write_bytes(cv2.imencode(".png", labels)[1].tobytes())
    with pytest.raises(PredictionError, match="colour type 0 with 8 bits; expected an 8-bit RGB PNG"):
        masks(file, "0001", (2, 2))
    png.unlink()
    with pytest.raises(PredictionError, match=r"0001\.png: missing; expected a PNG"):
        masks(file, "0001", (2, 2))
