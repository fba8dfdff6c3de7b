"""AP^r, AP^h and COCO's AP: the official script's values, pycocotools, and the slow twin."""

from __future__ import annotations

import json

import naive_instances as naive
import numpy as np
import pytest
from instance_cases import CLASSES, cases
from person_cases import layer, random_case
from places import TESTS

from mhpmodels.persons.overlap import Layer, overlap
from mhpmodels.persons.precision import THRESHOLDS
from mhpmodels.scoring.instances import (
    HUMAN_THRESHOLDS,
    human_figures,
    human_instances,
    part_figures,
    part_instances,
    pool,
)

GOLDEN = json.loads((TESTS / "data" / "cihp_ap_r.json").read_text())
"""AP^r of each case, class and threshold that the official script returned (tests/support/official_ap.py)."""
CASES = cases()


def compared(images, classes, instances):
    """Compare images of a label map and owners, or of one map per person."""
    return pool([instances(scores, overlap(layers, masks, classes)) for masks, layers, scores in images])


def layered(images):
    return [(i.masks, [Layer(i.labels, i.owners, len(i.scores))], i.scores) for i in images]


@pytest.mark.parametrize("name", CASES)
def test_the_official_script_s_values_to_the_last_digit(name):
    found = part_figures(compared(layered(CASES[name]), CLASSES, part_instances))
    for c, (ours, official) in enumerate(zip(found.ap.tolist(), GOLDEN["cases"][name], strict=True)):
        if found.truths[c]:
            assert ours == official, c + 1
        else:  # the script's NaN for a predicted class, and its 0 for one that is not
            assert np.isnan(ours).all() and official == ([None] * 9 if found.predictions[c] else [0.0] * 9)
    if found.present.all() or not found.predictions[~found.present].any():
        assert found.mean.tolist() == np.mean(GOLDEN["cases"][name], axis=0).tolist()


def test_the_cases_hold_what_they_are_for():
    figures = {name: part_figures(compared(layered(images), CLASSES, part_instances)) for name, images in CASES.items()}
    assert (figures["one true person in fragments"].ap[4, :1] > 1).all(), "nothing is claimed"
    assert figures["nobody predicted at all"].predictions.sum() == 0
    assert (figures["a perfect prediction"].ap[figures["a perfect prediction"].present] == 1).all()
    unseen = figures["a part that nobody has"]
    assert unseen.predictions[~unseen.present].any() and not np.isnan(unseen.vol)
    assert sum(0 < figure.vol_present < 1 for figure in figures.values()) >= 8
    assert set(CASES) == set(GOLDEN["cases"])


@pytest.mark.parametrize("block", range(4))
def test_random_cases_are_the_slow_twin_s(block):
    """With 255, persons that overlap, empty and duplicate predictions, equal scores."""
    tried = 0
    for seed in range(20 * block, 20 * block + 20):
        images, classes = random_case(seed)
        if not any(naive.counts_as_person(mask, classes) for masks, _ in images for mask in masks):
            continue
        maps = [(masks, [layer(p) for _, p in persons], [s for s, _ in persons]) for masks, persons in images]
        parts = part_figures(compared(maps, classes, part_instances))
        for c in range(1, classes):
            for t, threshold in list(enumerate(THRESHOLDS))[seed % 3 :: 3]:
                expected = naive.average_precision(images, classes, threshold, c)
                got = parts.ap[c - 1, t]
                assert np.isnan(got) if expected is None else got == pytest.approx(expected, abs=1e-12), (seed, c, t)
        humans = human_figures(compared(maps, classes, human_instances))
        for t, threshold in enumerate(HUMAN_THRESHOLDS):
            assert humans.ap[0, t] == pytest.approx(naive.average_precision(images, classes, threshold), abs=1e-12)
        tried += 1
    assert tried >= 12


def test_out_of_range_labels_are_no_part():
    truth = np.array([[1, 1, 2, 2, 0, 0]], np.uint8)
    right, wrong = truth.copy(), truth.copy()
    wrong[0, 4:] = 7
    values = []
    for predicted in right, wrong:
        found = overlap([layer(predicted)], [truth], 5)
        values.append((part_instances([1.0], found).best.tolist(), human_instances([1.0], found).best.tolist()))
    assert values[0] == values[1] == ([1, 1], [1])


def coco(images, parts):
    """Return COCOeval's 12 statistics for the same masks, as annotations and results of COCO."""
    pytest.importorskip("pycocotools")
    from pycocotools import mask as masks
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def encode(plane):
        return masks.encode(np.asfortranarray(plane.astype(np.uint8)))

    truth, results = [], []
    for i, image in enumerate(images):
        for mask in image.masks:
            for c in np.unique(mask[mask > 0]).tolist() if parts else [0] * bool(mask.any()):
                rle = encode(mask == c if parts else mask > 0)
                truth.append({"id": len(truth) + 1, "image_id": i, "category_id": c, "iscrowd": 0})
                truth[-1] |= {"segmentation": rle, "area": int(masks.area(rle))}
        for person, score in enumerate(image.scores, 1):
            mine = np.where(image.owners == person, image.labels, 0)
            for c in np.unique(mine[mine > 0]).tolist() if parts else [0]:
                rle = encode(mine == c if parts else mine > 0)
                results.append({"image_id": i, "category_id": c, "segmentation": rle, "score": score})
    data = COCO()
    categories = [{"id": c, "name": str(c)} for c in (range(1, CLASSES) if parts else [0])]
    sizes = [
        {"id": i, "height": image.labels.shape[0], "width": image.labels.shape[1]} for i, image in enumerate(images)
    ]
    data.dataset = {"images": sizes, "annotations": truth, "categories": categories}
    data.createIndex()
    found = COCO()
    found.dataset = {
        **data.dataset,
        "annotations": [
            {**r, "id": n, "iscrowd": 0, "area": int(masks.area(r["segmentation"]))} for n, r in enumerate(results, 1)
        ],
    }
    found.createIndex()
    scored = COCOeval(data, found, "segm")
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    return scored.stats[:3].tolist()


@pytest.mark.parametrize("name", CASES)
def test_pycocotools_values_to_the_last_digit(name):
    for parts in True, False:
        instances, figures = (part_instances, part_figures) if parts else (human_instances, human_figures)
        found = figures(compared(layered(CASES[name]), CLASSES, instances))
        ours = [found.coco_ap(), found.coco_ap(0), found.coco_ap(5)]
        assert [-1 if value != value else value for value in ours] == coco(CASES[name], parts)


def test_coco_takes_100_predictions_of_an_image_as_pycocotools():
    image = CASES["one true person in fragments"][0]
    owners = np.zeros_like(image.owners)
    owners.ravel()[:120] = np.arange(1, 121)
    owners[2:10, 2:10] = 121
    many = image._replace(labels=np.full_like(owners, 5), owners=owners, scores=[0.5] * 120 + [0.4])
    last, first = [many], [many._replace(scores=[*many.scores[:120], 0.6])]
    for images, cut in (last, True), (first, False):
        found = human_figures(compared(layered(images), CLASSES, human_instances))
        assert [found.coco_ap(), found.coco_ap(0), found.coco_ap(5)] == coco(images, False)
        assert (found.coco_ap(0) == 0) == cut and found.ap[0, 0] > 0
