"""COCO's formats score as the other forms of the same predictions, and as pycocotools."""

from __future__ import annotations

import json

import numpy as np
import pytest
from coco_predictions import annotations, write_coco, write_panoptic
from predictions import command, spoil, submit, truth, write_packed

import mhpdata
from mhpdata.errors import PredictionError
from mhpmodels.scoring.instances import COCO_THRESHOLDS
from mhpmodels.scoring.score import score
from mhpmodels.scoring.submission import Submission


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("regions"))


def without_form(found):
    return {key: value for key, value in found.as_dict().items() if key != "form"}


@pytest.mark.parametrize("at", ["source", "packed"])
def test_linked_regions_score_as_a_mask_per_person(packed, tmp_path, at):
    images = spoil(truth(packed, at=at))
    masks = score(packed, submit(tmp_path / "masks", "masks", images), "test", at=at)
    coco = score(packed, write_coco(tmp_path / "coco", images), "test", at=at)
    assert coco.form == "coco" and without_form(coco) == without_form(masks) and coco.rows == masks.rows
    assert 0 < coco.persons.ap_vol < 1 and 0 < coco.parts.vol < 1 and 0 < coco.humans.coco_ap() < 1


def test_panoptic_files_score_as_the_official_form(packed, tmp_path):
    images = spoil(truth(packed))
    for labels, owners, _ in images.values():
        labels[owners == 0] = 0  # a part has a person
        owners[labels == 0] = 0
    official = score(packed, submit(tmp_path / "official", "official", images), "test")
    panoptic = score(packed, write_panoptic(tmp_path / "panoptic", images), "test")
    assert panoptic.form == "panoptic" and without_form(panoptic) == without_form(official)
    assert panoptic.confusion is not None and panoptic.rows == official.rows


@pytest.mark.parametrize("kind", ["persons", "parts"])
def test_either_file_alone(packed, tmp_path, kind):
    images = spoil(truth(packed))
    both = score(packed, write_coco(tmp_path / "both", images), "test")
    found = score(packed, write_coco(tmp_path / kind, images, [kind]), "test")
    assert found.confusion is None and found.persons is None
    assert (found.parts is None) == (kind == "persons") and (found.humans is None) == (kind == "parts")
    name = "AP^h_vol" if kind == "persons" else "AP^r_vol"
    assert found.as_dict()[name] == both.as_dict()[name]


def test_parts_have_scores_of_their_own(packed, tmp_path):
    images = spoil(truth(packed))
    folder = write_coco(tmp_path, images, ["parts"])
    before = score(packed, folder, "test").parts
    entries = json.loads((folder / "parts.json").read_text())
    rng = np.random.default_rng(0)
    for entry in entries:
        entry["score"] = rng.random()
    (folder / "parts.json").write_text(json.dumps(entries))
    after = score(packed, folder, "test").parts
    assert after.vol != before.vol and (after.truths == before.truths).all()


def test_regions_that_overlap_a_lot_and_more_than_a_layer_holds(packed, tmp_path, monkeypatch):
    images = spoil(truth(packed))
    persons, parts = annotations(images)
    for kind, entries in ("persons", persons * 6), ("parts", parts * 6):
        entries = [{key: value for key, value in e.items() if key not in ("id", "person_id")} for e in entries]
        for i, entry in enumerate(entries):
            entry["score"] = 1 / (1 + i)
        (tmp_path / f"{kind}.json").write_text(json.dumps(entries))
    many = score(packed, tmp_path, "test")
    monkeypatch.setattr("mhpmodels.scoring.regions.MOST_LAYERS", 1)
    assert score(packed, tmp_path, "test").as_dict() == many.as_dict()
    assert many.humans.predictions.tolist() == [6 * len(persons)]


def coco_stats(packed, images, entries, size):
    """Return COCOeval's AP, AP50, AP75 and its AP of each category, for lists of true and predicted entries."""
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools import mask as masks
    from pycocotools.cocoeval import COCOeval

    def area(entry):
        runs = entry["segmentation"]
        if isinstance(runs["counts"], list):
            runs = masks.frPyObjects(runs, *runs["size"])
        return int(masks.area(runs))

    sizes = [{"id": name, "height": size[0], "width": size[1]} for name in images]
    categories = [{"id": c, "name": str(c)} for c in range(1, 19)]
    data = []
    for listed in entries:
        data.append(coco.COCO())
        full = [{**e, "id": i, "iscrowd": 0, "area": area(e)} for i, e in enumerate(listed, 1)]
        data[-1].dataset = {"images": sizes, "categories": categories, "annotations": full}
        data[-1].createIndex()
    found = COCOeval(*data, "segm")
    found.evaluate()
    found.accumulate()
    found.summarize()
    precision = found.eval["precision"][:, :, :, 0, -1]
    return found.stats[:3].tolist(), [p.mean() if p.max() > -1 else None for p in np.moveaxis(precision, 2, 0)]


def test_pycocotools_gives_the_same_numbers_for_the_same_files(packed, tmp_path):
    """With equal scores, duplicates, an image without predictions and an empty region."""
    right, wrong = truth(packed, "train"), spoil(truth(packed, "train"))
    predicted = annotations(wrong)
    names = list(right)
    for kind in 0, 1:
        entries = [entry for entry in predicted[kind] if entry["image_id"] != names[1]]
        entries += [{**entry, "score": 0.8} for entry in entries[::3]]
        entries.append({**entries[0], "segmentation": {"size": [40, 60], "counts": [2400]}})
        (tmp_path / f"{('persons', 'parts')[kind]}.json").write_text(json.dumps(entries))
        stats, of_category = coco_stats(packed, right, (annotations(right)[kind], entries), (40, 60))
        found = score(packed, tmp_path, "train")
        figures = found.parts if kind else found.humans
        assert [figures.coco_ap(), figures.coco_ap(0), figures.coco_ap(5)] == stats and 0 < stats[0] < 1
        if kind:
            ours = list(found.as_dict()["AP_coco_of_class"].values())
            assert ours == pytest.approx([None if c is None else c for c in of_category], abs=1e-15)
    assert len(COCO_THRESHOLDS) == 10


def test_the_command(packed, tmp_path):
    images = spoil(truth(packed))
    flags = ("--data", packed, "--split", "test", "--pred")
    folder = write_coco(tmp_path / "coco", images, ["parts"])
    text = command(*flags, folder).stdout
    assert "predictions as coco" in text and "COCO AP of parts: " in text and "AP^p" not in text
    pytest.importorskip("matplotlib")
    command(*flags, folder, "--worst", tmp_path / "worst.png", "--count", 1)
    assert (tmp_path / "worst.png").exists()
    persons = write_coco(tmp_path / "persons", images, ["persons"])
    done = command(*flags, persons, "--worst", tmp_path / "other.png", status=1)
    assert "no labels of pixels" in done.stderr and not (tmp_path / "other.png").exists()


def test_two_forms_in_one_folder(packed, tmp_path):
    images = truth(packed)
    folder = write_coco(submit(tmp_path, "official", images), images)
    with pytest.raises(PredictionError, match=r"both global_tag and persons\.json"):
        score(packed, folder, "test")
    assert Submission(folder, list(images), 19).form == "official", "without a split, COCO files are not looked for"


@pytest.mark.parametrize("at", ["source", "packed"])
@pytest.mark.parametrize("form", ["coco", "coco-panoptic"])
def test_an_export_scores_as_the_truth_that_it_is(packed, tmp_path, form, at):
    mhpdata.export(packed, tmp_path / "out", form, at=at, images=False)
    found = score(packed, tmp_path / "out" / "annotations", "test", at=at)
    assert found.form == ("coco" if form == "coco" else "panoptic")
    if form == "coco":
        values = found.persons.ap, found.persons.pcp, found.parts.ap[found.parts.present], found.humans.ap
        assert all((value == 1).all() for value in values) and found.confusion is None
        assert found.parts.coco_ap() == found.humans.coco_ap() == 1
    else:  # each pixel has one owner, so persons that overlap differ slightly from their own masks
        assert found.confusion.pix_acc == 1 and (found.persons.ap[:7] == 1).all()
        assert (found.parts.ap[found.parts.present, 0] == 1).all()
