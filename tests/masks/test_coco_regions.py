"""Regions of COCO annotations, pixel by pixel as pycocotools draws them."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as pycoco

from mhpdata.masks.coco_regions import draw_region

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
SIZES = [(40, 56), (1, 1), (1, 30), (30, 1), (97, 64)]


def theirs(polygons, size):
    """Draw polygons with pycocotools."""
    return pycoco.decode(pycoco.merge(pycoco.frPyObjects(polygons, *size))).astype(bool)


def check(polygons, size):
    np.testing.assert_array_equal(draw_region(polygons, size), theirs(polygons, size), str((polygons, size)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["inside", "integers", "halves", "outside"])
def test_random_polygons(size, kind):
    rng = np.random.default_rng([7, *size])
    for corners in (3, 4, 5, 9, 40):
        for _ in range(12):
            points = rng.random((corners, 2)) * size[::-1]
            if kind == "integers":
                points = points.round()
            elif kind == "halves":
                points = (2 * points).round() / 2
            elif kind == "outside":
                points = 3 * points - np.array(size[::-1])
            check([points.ravel().tolist()], size)


def test_hard_polygons():
    size = (20, 30)
    for polygon in (
        [0, 0, 30, 0, 30, 20, 0, 20],  # the whole image
        [5, 5, 5, 5, 5, 5], [5, 5, 10, 5, 15, 5], [5, 5, 5, 10, 5, 15],  # no area
        [2, 2, 20, 18, 20, 2, 2, 18],  # crosses itself
        [2, 2, 20, 2, 20, 18, 2, 18, 2, 2, 20, 2, 20, 18, 2, 18],  # twice around: nothing is inside
        [-5.5, -5.5, 40.25, 3.1, 12.0, 33.3], [0.1, 0.1, 0.4, 0.1, 0.4, 0.4], [29.9, 19.9, 29.99, 19.9, 29.9, 19.99],
    ):  # fmt: skip
        check([polygon], size)
    check([[2, 2, 12, 2, 12, 12, 2, 12], [8, 8, 18, 8, 18, 18, 8, 18]], size)
    assert draw_region([[0, 0, 30, 0, 30, 20, 0, 20]], size).all()


@pytest.mark.parametrize("size", SIZES)
def test_run_lengths_as_numbers_and_as_text(size):
    rng = np.random.default_rng([3, *size])
    masks = [np.zeros(size, bool), np.ones(size, bool), *(rng.random(size) < share for share in (0.01, 0.5, 0.99))]
    masks.append(theirs([(rng.random((20, 2)) * size[::-1]).ravel().tolist()], size))
    for mask in masks:
        text = pycoco.encode(np.asfortranarray(mask.astype(np.uint8)))
        flat = np.concatenate(([0], mask.T.ravel(), [0])).astype(np.int8)
        cuts = np.flatnonzero(np.diff(flat))
        runs = np.diff(np.concatenate(([0], cuts, [mask.size]))).tolist()
        for counts in (text["counts"].decode(), runs):
            np.testing.assert_array_equal(draw_region({"size": list(size), "counts": counts}, size), mask)


@pytest.mark.parametrize(
    "segmentation,found",
    [
        (None, "segmentation is null, not a list"), ([], "has no polygon"), ([[1, 2, 3, 4]], "has 4 numbers"),
        ([[1, 2, 3, 4, 5, 6, 7]], "has 7 numbers"), ([[1, 2, 3, 4, 5, "6"]], "other than numbers"),
        ([[1, 2, 3, 4, 5, True]], "other than numbers"), ([[1, 2, 3, 4, 5, float("nan")]], "other than numbers"),
        ([[1, 2, 3, 4, 5, 1e300]], "other than numbers"), ([[1, 2, 3, 4, 5, 5000]], "far outside the image"),
        ([[0, 0] * (1 << 19)] * 3, "more than 1048576 points"), ({}, "segmentation.size is missing"),
        ({"size": [56, 40], "counts": "0"}, "is 56 x 40, but the image has 40 x 56 pixels"),
        ({"size": [40, 56], "counts": [3]}, "lengths of 3 pixels, but the image has 2240"),
        ({"size": [40, 56], "counts": [-1, 2241]}, "not a list of whole numbers"),
        ({"size": [40, 56], "counts": [1 << 39, 1]}, "above the number of pixels"),
        ({"size": [40, 56], "counts": ""}, "lengths of 0 pixels"), ({"size": [40, 56], "counts": "~"}, "not a text"),
        ({"size": [40, 56], "counts": "é"}, "lengths of"), ({"size": [40, 56], "counts": "P"}, "not a text"),
        ({"size": [40, 56], "counts": "PPPPPPPPP0"}, "more than 8 characters"),
        ({"size": [40, 56], "counts": 7}, "counts has 7"), ({"size": [40, 56], "counts": "O"}, "below 0"),
    ],
)  # fmt: skip
def test_what_is_no_region_is_an_error(segmentation, found):
    with pytest.raises(ValueError, match=found):
        draw_region(segmentation, (40, 56))
