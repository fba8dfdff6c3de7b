"""AP^p and PCP, compared with the independent slow scorer, and the definition's edge cases."""

from __future__ import annotations

import naive_score as naive
import numpy as np
import pytest
from person_cases import layer, random_case

from mhpdata.errors import PredictionError
from mhpmodels.persons.masks import MASK_THRESHOLDS, score_masks
from mhpmodels.persons.overlap import Layer, overlap
from mhpmodels.persons.precision import THRESHOLDS, claim, rank, score_persons


def claims_of(images, classes):
    return [
        claim([score for score, _ in persons], overlap([layer(p) for _, p in persons], masks, classes))
        for masks, persons in images
    ]


def figures(images, classes):
    """Score [(true masks, [(score, predicted map)])]."""
    return score_persons(rank(claims_of(images, classes)))


def check(images, classes):
    found = figures(images, classes)
    for t, threshold in enumerate(naive.THRESHOLDS):
        ap, pcp = naive.ap_and_pcp(images, classes, threshold)
        assert found.ap[t] == pytest.approx(ap, abs=1e-12), threshold
        assert found.pcp[t] == pytest.approx(pcp, abs=1e-12), threshold
    assert found.ap_vol == pytest.approx(found.ap.mean())
    masks = score_masks(claims_of(images, classes))
    for threshold, ap in zip(MASK_THRESHOLDS, masks.ap, strict=True):
        assert ap == pytest.approx(naive.mask_ap(images, classes, threshold), abs=1e-12)
    assert masks.pq == pytest.approx(naive.pq(images, classes), abs=1e-12)
    return found


@pytest.mark.parametrize("block", range(14))
def test_random_cases_are_the_slow_scorer_s(block):
    tried = 0
    for seed in range(100 * block, 100 * block + 100):
        images, classes = random_case(seed)
        if any(naive.counts_as_person(mask, classes) for masks, _ in images for mask in masks):
            check(images, classes)
            tried += 1
    assert tried >= 75


def test_crowds_are_the_slow_scorer_s():
    for seed in range(5000, 5060):
        images, classes = random_case(seed, crowded=True)
        assert len(images[0][0]) >= 8
        if any(naive.counts_as_person(mask, classes) for mask in images[0][0]):
            check(images, classes)


def test_the_random_cases_hold_what_they_are_for():
    cases = [random_case(seed)[0] for seed in range(1400)]
    persons = [persons for images in cases for _, persons in images]
    scores = [[score for score, _ in listed] for images in cases for _, listed in images]
    assert sum(not listed for listed in persons) > 100, "no predictions"
    assert sum(not p.any() for listed in persons for _, p in listed) > 100, "empty predictions"
    assert sum(len(set(listed)) < len(listed) for listed in scores) > 100, "equal scores"
    assert sum(len(p) > 1 and bool((p[0][1] == p[-1][1]).all()) for p in persons) > 100, "twice"
    assert sum(not masks for images in cases for masks, _ in images) > 100, "nobody"


def test_labels_that_do_not_exist_are_counted_as_the_official_code_does_where_that_is_asked_for():
    rng = np.random.default_rng(0)
    tried = refused = 0
    for _ in range(300):
        truth = rng.integers(0, 4, (4, 5)).astype(np.uint8)
        truth[rng.random(truth.shape) < 0.1] = 255
        predicted = np.where(rng.random(truth.shape) < 0.3, rng.integers(0, 13, truth.shape), truth % 255)
        predicted = predicted.astype(np.uint8)
        if predicted.max() < 5 or not naive.counts_as_person(truth, 5):
            continue
        try:
            expected = naive.official_class_ious(predicted, truth, 5)
        except IndexError:
            with pytest.raises(PredictionError, match="which the official code cannot count"):
                overlap([layer(predicted)], [truth], 5)
            refused += 1
            continue
        np.testing.assert_array_equal(overlap([layer(predicted)], [truth], 5).iou[0, 0], expected)
        tried += 1
    assert tried > 100 and refused > 5


def test_a_label_that_does_not_exist_takes_only_its_own_layer_from_the_usual_count():
    truth, plain, strange = grid([1, 2, 0, 0]), grid([1, 2, 0, 0]), grid([1, 7, 0, 0])
    found = overlap([layer(plain), Layer(strange, grid([1, 2, 0, 0]), 2)], [truth], 5)
    assert found.iou[0, 0].tolist()[:3] == [1, 1, 1]
    np.testing.assert_array_equal(found.iou[1, 0], naive.official_class_ious(grid([1, 0, 0, 0]), truth, 5))
    np.testing.assert_array_equal(found.iou[2, 0], naive.official_class_ious(grid([0, 7, 0, 0]), truth, 5))


def test_the_iou_of_each_pair():
    rng = np.random.default_rng(0)
    predictions = [rng.integers(0, 5, (9, 8)).astype(np.uint8) for _ in range(3)]
    truths = [rng.choice([0, 1, 2, 4, 255], (9, 8)).astype(np.uint8) for _ in range(2)]
    found = overlap([layer(p) for p in predictions], truths, 6)
    for k, predicted in enumerate(predictions):
        for j, truth in enumerate(truths):
            np.testing.assert_array_equal(found.iou[k, j], naive.class_ious(predicted, truth, 6))
    assert np.isnan(found.iou[:, :, 5]).all() and found.distinct.tolist() == [3, 3]
    # the same persons, side by side in one layer
    labels = np.concatenate(predictions)
    owners = np.repeat(np.arange(1, 4, dtype=np.uint8), 9)[:, None].repeat(8, 1)
    for k, predicted in enumerate(predictions):
        whole = np.full((27, 8), 255, np.uint8)
        whole[9 * k : 9 * k + 9] = truths[0]
        one = overlap([Layer(labels, owners, 3)], [whole], 6).iou[k, 0]
        np.testing.assert_array_equal(one, naive.class_ious(predicted, truths[0], 6))


def grid(*rows):
    return np.array(rows, np.uint8)


ONE, OTHER = grid([1, 2, 0, 0]), grid([0, 0, 1, 2])


def test_perfect_predictions_are_one_everywhere():
    found = check([([ONE, OTHER], [(1.0, ONE), (1.0, OTHER)]), ([ONE], [(0.1, ONE)])], 3)
    assert (found.ap == 1).all() and (found.pcp == 1).all() and found.ap_vol == 1
    assert (found.persons, found.predictions) == (3, 3)


def test_no_predictions_at_all():
    found = check([([ONE], [])], 3)
    assert (found.ap == 0).all() and (found.pcp == 0).all() and found.predictions == 0


def test_without_persons_there_is_nothing_to_score():
    with pytest.raises(PredictionError, match="none in these images"):
        figures([([], [(1.0, ONE)])], 3)
    ignored = grid([0, 255, 255, 0])
    with pytest.raises(PredictionError, match="none"):
        figures([([np.zeros_like(ONE), ignored], [])], 3)


def test_a_person_that_is_claimed_again_is_a_false_positive_even_where_another_is_free():
    """Both predictions match the first person best; the second one's mean with the other person is above .1, too."""
    found = check([([ONE, OTHER], [(0.9, ONE), (0.8, ONE)])], 3)
    assert overlap([layer(ONE)], [OTHER], 3).mean[0, 0] == 0
    assert found.ap[0] == pytest.approx(0.5)


def test_of_equals_the_first_person_is_claimed():
    assert claim([1.0], overlap([layer(ONE)], [ONE, ONE], 3)).person.tolist() == [0]
    found = check([([ONE, ONE], [(0.9, ONE), (0.8, ONE)])], 3)
    assert (found.ap == 0.5).all(), "the second claims the first person again"


def test_equal_scores_keep_the_order_of_images_and_persons():
    right, wrong = (0.5, ONE), (0.5, OTHER)
    assert check([([ONE], [right, wrong])], 3).ap[4] == 1
    assert check([([ONE], [wrong, right])], 3).ap[4] == 0.5
    assert check([([], [wrong]), ([ONE], [right])], 3).ap[4] == 0.5
    assert check([([ONE], [right]), ([], [wrong])], 3).ap[4] == 1


def test_a_mean_on_the_threshold_is_not_above_it():
    predicted = grid([1, 1, 1, 1])
    truth = grid([1, 1, 0, 0])
    assert overlap([layer(predicted)], [truth], 2).iou[0, 0].tolist() == [0, 0.5]
    found = check([([truth], [(1.0, predicted)])], 2)
    assert found.ap.tolist() == [1, 1] + [0] * 7  # the mean is .25
    half = grid([1, 1, 0, 0, 0, 0]), grid([1, 0, 0, 0, 0, 1])
    mean = overlap([layer(half[0])], [half[1]], 2).mean[0, 0]
    assert mean == pytest.approx((1 / 3 + 3 / 5) / 2)


def test_an_empty_prediction_passes_the_lowest_threshold_by_its_background():
    truth = np.zeros((10, 10), np.uint8)
    truth[:2] = np.arange(10) % 6 + 1  # 6 classes on a fifth of the image
    empty = np.zeros_like(truth)
    assert overlap([layer(empty)], [truth], 19).mean[0, 0] == pytest.approx(0.8 / 7)
    found = check([([truth], [(1.0, empty)])], 19)
    assert found.ap.tolist() == [1] + [0] * 8 and found.pcp.tolist() == [0] * 9


def test_pixels_that_do_not_count():
    truth, predicted = grid([1, 2, 255, 0]), grid([1, 2, 2, 0])
    assert overlap([layer(predicted)], [truth], 3).mean[0, 0] == 1
    assert overlap([layer(grid([1, 2, 0, 0]))], [grid([1, 255, 0, 0])], 3).iou[0, 0].tolist()[:2] == [1, 1]


def test_a_prediction_where_nobody_is():
    found = check([([], [(0.9, ONE)]), ([ONE], [(0.5, ONE)])], 3)
    assert (found.ap == 0.5).all() and (found.pcp == 1).all()


def test_pcp_counts_the_parts_of_the_person_that_was_found():
    truth, predicted = grid([1, 1, 2, 2, 3, 0]), grid([1, 1, 2, 0, 0, 0])
    found = check([([truth, grid([3, 3, 0, 0, 0, 0])], [(1.0, predicted)])], 4)
    assert found.pcp[3] == pytest.approx(2 / 3 / 2), "IoU 1, 1/2 and 0 of three parts; the other person has none"
    assert found.pcp[5] == 0, "the mean is below .6"


def test_thresholds():
    assert list(THRESHOLDS) == naive.THRESHOLDS
