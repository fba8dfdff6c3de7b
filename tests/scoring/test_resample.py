"""Figures of bootstrap samples: those of a set in which images are repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from person_cases import layer, random_case

from mhpmodels.evaluation.metrics import Confusion
from mhpmodels.persons.overlap import overlap
from mhpmodels.persons.precision import claim, rank, score_persons
from mhpmodels.scoring.boundary import BoundaryFigures
from mhpmodels.scoring.instances import human_figures, human_instances, part_figures, part_instances, pool
from mhpmodels.scoring.resample import PerImage, draw, replicate


def case(seed):
    """Return images with different scores, as [(confusion, claims, parts, humans)], and the number of classes."""
    rng = np.random.default_rng(seed)
    images, classes = [], 4
    for part in range(40):
        found, size = random_case(1000 * seed + part)
        if size > 3:
            continue
        for masks, persons in found:
            compared = overlap([layer(p % size) for _, p in persons], masks, classes)
            scores = rng.random(len(persons)).tolist()
            confusion = Confusion(classes)
            labels = masks[0] if masks else np.zeros((2, 3), np.uint8)
            confusion.update(rng.integers(0, size, labels.shape), labels)
            instances = part_instances(scores, compared), human_instances(scores, compared)
            images.append((confusion, claim(scores, compared), *instances))
    return images, classes


def per_image(images):
    confusion, claims, parts, humans = zip(*images, strict=True)
    pixels = np.stack([one.pixels for one in confusion])
    return PerImage(pixels, rank(claims), pool(parts), pool(humans))


def expected(images, classes):
    """Return the figures of a set as mhp score computes them."""
    confusion = Confusion(classes)
    for one, *_ in images:
        confusion.merge(one)
    found = per_image(images)
    persons, parts, humans = score_persons(found.persons), part_figures(found.parts), human_figures(found.humans)
    values = {("pixAcc", ""): confusion.pix_acc, ("mIoU", ""): confusion.miou}
    values["mIoU_present", ""] = confusion.miou_present
    values |= {("IoU", str(c)): value for c, value in enumerate(confusion.iou)}
    values |= {("AP^p", "0.5"): persons.ap[4], ("AP^p_vol", ""): persons.ap_vol, ("PCP", "0.5"): persons.pcp[4]}
    values |= {("AP^r", "0.5"): parts.mean[4], ("AP^r_vol", ""): parts.vol}
    values["AP^r_vol_present", ""] = parts.vol_present
    values |= {("AP^r_of_class", str(c)): value for c, value in enumerate(parts.ap.mean(axis=1), 1)}
    return values | {("AP^h", "0.50"): humans.ap[0, 0], ("AP^h", "0.75"): humans.ap[0, 5], ("AP^h_vol", ""): humans.vol}


@pytest.mark.parametrize("seed", range(3))
def test_a_sample_is_a_set_with_images_repeated(seed):
    images, classes = case(seed)
    assert len(images) > 10
    weights = np.concatenate([np.ones((1, len(images)), np.int32), draw(len(images), 6, seed)])
    found = replicate(per_image(images), [str(c) for c in range(classes)], weights)
    for sample, times in enumerate(weights):
        drawn = [image for image, count in zip(images, times, strict=True) for _ in range(count)]
        values = expected(drawn, classes)
        assert found.keys() == values.keys()
        for key, value in values.items():
            assert found[key][sample] == pytest.approx(value, abs=1e-12, nan_ok=True), key
    assert np.isnan(found["AP^r_of_class", "3"]).all(), "a class that no image has"
    assert 0 < found["AP^r_vol", ""][0] < found["AP^r_vol_present", ""][0]


def test_boundary_scores_are_means_over_the_images_that_have_them():
    images, classes = case(1)
    rng = np.random.default_rng(0)
    scores = rng.random((len(images), classes))
    scores[rng.random(scores.shape) < 0.5] = np.nan
    weights = np.concatenate([np.ones((1, len(images)), np.int32), draw(len(images), 4, 2)])
    found = replicate(replace(per_image(images), boundary=scores), [str(c) for c in range(classes)], weights, threads=1)
    for sample, times in enumerate(weights):
        figures = BoundaryFigures(np.repeat(scores, times, axis=0))
        assert found["boundary_F", ""][sample] == pytest.approx(figures.mean)
        for c, value in enumerate(figures.of_class):
            assert found["boundary_F_of_class", str(c)][sample] == pytest.approx(value)


def test_the_number_of_threads_changes_nothing():
    images, classes = case(5)
    names, weights = [str(c) for c in range(classes)], draw(len(images), 50, 1)
    one, four = (replicate(per_image(images), names, weights, threads) for threads in (1, 4))
    assert all(values.tobytes() == four[key].tobytes() for key, values in one.items())


def test_a_sample_without_a_person_has_no_ap():
    images, classes = case(0)
    nobody = [len(claims.covered) == 0 for _, claims, *_ in images]
    weights = np.array([nobody, np.ones(len(images))]).astype(np.int32)
    found = replicate(per_image(images), [str(c) for c in range(classes)], weights)
    for key in ("AP^p_vol", ""), ("PCP", "0.5"), ("AP^h_vol", ""), ("AP^r_vol_present", ""):
        assert np.isnan(found[key]).tolist() == [True, False], key
    assert found["AP^r_vol", ""][0] == 0


def test_draws_are_the_same_everywhere():
    weights = draw(7, 3, 5)
    assert weights.tolist() == [[0, 2, 0, 1, 2, 2, 0], [3, 1, 0, 0, 0, 3, 0], [1, 1, 0, 0, 2, 2, 1]]
    many = draw(1000, 200, 0)
    assert (many.sum(axis=1) == 1000).all() and many.min() == 0
    assert abs((many == 0).mean() - np.exp(-1)) < 0.01 and abs(many.mean(axis=0) - 1).max() < 0.3
    assert (draw(1000, 200, 1) != many).any() and (draw(1000, 50, 0) == many[:50]).all()
