"""The overlap rules: compared with the slow twin and a truth table, and properties for all inputs."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mhpdata.errors import OptionError
from mhpdata.masks.joint_runs import encode_runs
from mhpdata.masks.mask_runs import mask_runs
from mhpdata.masks.merge import merge, merge_runs
from mhpdata.options import OVERLAPS

SHAPES = [(1, 1), (1, 9), (9, 1), (2, 64), (7, 65), (13, 11)]


class Lazy:
    """Masks that are made again at each access; accesses are counted."""

    def __init__(self, masks):
        self.masks = masks
        self.reads = []

    def __len__(self):
        return len(self.masks)

    def __getitem__(self, k):
        self.reads.append(k)
        return self.masks[k].copy()


def blobs(rng, persons, shape, fill=0.4, labels=6):
    """Return random masks: each person has some labels in a random rectangle."""
    masks = []
    for _ in range(persons):
        mask = np.where(rng.random(shape) < fill, rng.integers(1, labels + 1, shape), 0).astype(np.uint8)
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        mask[:y] = 0
        mask[:, :x] = 0
        masks.append(mask)
    return masks


def check(masks, rule):
    merged = merge(masks, rule)
    labels, persons, contested, conflicting = naive.merge(masks, rule)
    np.testing.assert_array_equal(merged.labels, labels)
    np.testing.assert_array_equal(merged.persons, persons)
    assert (merged.contested, merged.conflicting) == (contested, conflicting)
    assert type(merged.contested) is type(merged.conflicting) is int
    assert merged.labels.dtype == merged.persons.dtype == np.uint8
    joint = merge_runs([mask_runs(mask) for mask in masks], rule)
    for mine, fewest in zip((joint.row_offsets, joint.runs), encode_runs(labels, persons), strict=True):
        assert mine.dtype == np.uint32
        np.testing.assert_array_equal(mine, fewest)
    assert (joint.contested, joint.conflicting) == (contested, conflicting)


@pytest.mark.parametrize("rule", OVERLAPS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("persons", [1, 2, 3, 7])
def test_equals_the_twin(rule, shape, persons):
    rng = np.random.default_rng([persons, *shape])
    for fill in (0.05, 0.4, 1.0):
        check(blobs(rng, persons, shape, fill), rule)


@pytest.mark.compiled
@pytest.mark.parametrize("rule", OVERLAPS)
def test_equals_the_twin_on_a_larger_picture(rule):
    rng = np.random.default_rng(5)
    masks = [np.zeros((70, 130), np.uint8) for _ in range(3)]
    for k, mask in enumerate(masks):
        mask[10 + 5 * k : 50, 20 * k : 60 + 20 * k] = rng.integers(1, 4, (40 - 5 * k, 60))
    check(masks, rule)


@pytest.mark.parametrize("rule", OVERLAPS)
@pytest.mark.parametrize(
    "masks",
    [
        [np.zeros((3, 4), np.uint8)] * 3,
        [np.full((3, 4), 7, np.uint8)] * 3,
        [np.full((3, 4), k, np.uint8) for k in (3, 2, 1)],
        [np.full((2, 3), 1 + k % 18, np.uint8) for k in range(255)],
        [np.full((2, 3), 255, np.uint8), np.eye(2, 3, dtype=np.uint8)],
        [np.eye(2, 3, dtype=np.uint8), np.full((2, 3), 255, np.uint8)],
    ],
    ids=["empty", "all overlapping", "all conflicting", "255 persons", "255 first", "255 last"],
)
def test_edges(rule, masks):
    check(masks, rule)


@pytest.mark.parametrize("rule", OVERLAPS)
def test_255_persons_who_meet_here_and_there(rule):
    rng = np.random.default_rng(255)
    check(
        [np.where(rng.random((5, 9)) < 0.05, rng.integers(1, 19, (5, 9)), 0).astype(np.uint8) for _ in range(255)], rule
    )


# Three persons in one row. Areas: 5, 4 and 3 pixels.    overlap: columns 2, 3, 4 and 6; equal labels: column 2
ROWS = [
    [1, 1, 1, 2, 1, 0, 0, 0],
    [0, 0, 1, 3, 3, 3, 0, 0],
    [0, 0, 0, 0, 4, 0, 4, 4],
]
TABLE = {
    "first": ([1, 1, 1, 2, 1, 3, 4, 4], [1, 1, 1, 1, 1, 2, 3, 3]),
    "last": ([1, 1, 1, 3, 4, 3, 4, 4], [1, 1, 2, 2, 3, 2, 3, 3]),
    "smallest": ([1, 1, 1, 3, 4, 3, 4, 4], [1, 1, 2, 2, 3, 2, 3, 3]),
    # column 2: 1 is 1 away, 2 is 3 away; column 3: a tie at 2; column 4: 2 is 1 away, 3 is 2 away, 1 is 3 away
    "nearest": ([1, 1, 1, 2, 3, 3, 4, 4], [1, 1, 1, 1, 2, 2, 3, 3]),
    "ignore": ([1, 1, 1, 255, 255, 3, 4, 4], [1, 1, 1, 0, 0, 2, 3, 3]),
}


@pytest.mark.parametrize("rule", OVERLAPS)
def test_truth_table(rule):
    merged = merge([np.array([row], np.uint8) for row in ROWS], rule)
    labels, persons = TABLE[rule]
    assert merged.labels.tolist() == [labels]
    assert merged.persons.tolist() == [persons]
    assert (merged.contested, merged.conflicting) == (3, 2)


# 255 is no label: kept where no person has one. Overlap: columns 3 and 4; counting labels only, 2 is the smallest
UNSURE = [
    [1, 255, 255, 1, 1, 1, 0, 255],
    [255, 255, 2, 2, 2, 0, 0, 0],
    [0, 255, 255, 255, 255, 0, 255, 3],
]
KEPT = {
    "first": ([1, 255, 2, 1, 1, 1, 255, 3], [1, 0, 2, 1, 1, 1, 0, 3]),
    "last": ([1, 255, 2, 2, 2, 1, 255, 3], [1, 0, 2, 2, 2, 1, 0, 3]),
    "smallest": ([1, 255, 2, 2, 2, 1, 255, 3], [1, 0, 2, 2, 2, 1, 0, 3]),
    "nearest": ([1, 255, 2, 2, 1, 1, 255, 3], [1, 0, 2, 2, 1, 1, 0, 3]),
    "ignore": ([1, 255, 2, 255, 255, 1, 255, 3], [1, 0, 2, 0, 0, 1, 0, 3]),
}


@pytest.mark.parametrize("rule", OVERLAPS)
def test_255_gives_way_to_every_label(rule):
    masks = [np.array([row], np.uint8) for row in UNSURE]
    merged = merge(masks, rule)
    assert (merged.labels.tolist(), merged.persons.tolist()) == tuple([row] for row in KEPT[rule])
    assert (merged.contested, merged.conflicting) == (2, 2)
    check(masks, rule)


@pytest.mark.parametrize("rule", OVERLAPS)
@pytest.mark.parametrize("persons", [1, 2, 5])
def test_equals_the_twin_where_much_is_not_counted(rule, persons):
    rng = np.random.default_rng(persons)
    for shape in ((1, 9), (7, 65)):
        masks = [np.where(rng.random(shape) < 0.4, np.uint8(255), mask) for mask in blobs(rng, persons, shape)]
        check(masks, rule)


def test_rules_differ_where_they_should():
    """Smallest compares areas, not the order; ties go to the first person."""
    large, small = np.array([[1, 1, 1]], np.uint8), np.array([[0, 2, 0]], np.uint8)
    assert merge([small, large], "smallest").persons.tolist() == [[2, 1, 2]]
    assert merge([large, small], "smallest").persons.tolist() == [[1, 2, 1]]
    assert merge([large, 2 * large], "smallest").persons.tolist() == [[1, 1, 1]]
    # the small person overlaps completely: infinitely far
    assert merge([small, large], "nearest").persons.tolist() == [[2, 2, 2]]


def test_nearest_is_euclidean():
    """3 rows and 4 columns away (25) is nearer than 6 rows (36) and farther than 2 and 4 (20)."""
    a, b = np.zeros((2, 9, 9), np.uint8)
    a[0, 0], b[0, 0] = 1, 2
    a[3, 4], b[6, 0] = 1, 2
    assert merge([b, a], "nearest").persons[0, 0] == 2
    b[2, 4] = 2
    assert merge([b, a], "nearest").persons[0, 0] == 1


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    masks=arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 5), st.integers(1, 8), st.integers(1, 8)),
        elements=st.sampled_from([0, 0, 0, 1, 2, 255]),
    ),
    rule=st.sampled_from(OVERLAPS),
)
def test_owner_and_label_agree(masks, rule):
    check(list(masks), rule)
    merged = merge(list(masks), rule)
    np.testing.assert_array_equal(merged.persons == 0, np.isin(merged.labels, (0, 255)))
    for y, x in np.argwhere(merged.persons):
        assert masks[merged.persons[y, x] - 1, y, x] == merged.labels[y, x]
    assert merged.conflicting <= merged.contested <= merged.labels.size


@pytest.mark.parametrize("rule", OVERLAPS)
def test_reads_each_mask_once_and_in_order(rule):
    masks = Lazy(blobs(np.random.default_rng(3), 6, (12, 10)))
    merged = merge(masks, rule)
    np.testing.assert_array_equal(merged.labels, merge(masks.masks, rule).labels)
    assert masks.reads[:6] == list(range(6))
    assert len(masks.reads) == 6 or rule == "nearest"
    assert max(map(masks.reads.count, range(6))) <= 2


def test_masks_are_left_alone_and_may_be_read_only_or_strided():
    masks = blobs(np.random.default_rng(4), 3, (10, 12))
    want = merge([m.copy() for m in masks])
    frozen = [m.copy() for m in masks]
    for mask in frozen:
        mask.flags.writeable = False
    strided = [np.asfortranarray(m) for m in masks]
    for given_masks in (frozen, strided):
        np.testing.assert_array_equal(merge(given_masks).labels, want.labels)
    np.testing.assert_array_equal(frozen[0], masks[0])


def test_no_masks():
    merged = merge([], size=(4, 3))
    assert merged.labels.shape == merged.persons.shape == (4, 3)
    assert not merged.labels.any() and not merged.persons.any()
    assert (merged.contested, merged.conflicting) == (0, 0)
    assert merge_runs([], size=(4, 3)).runs.tolist() == [3] * 4


PLANE = np.zeros((2, 3), np.uint8)


@pytest.mark.parametrize(
    ("masks", "options", "text"),
    [
        ([PLANE], {"rule": "best"}, "rule: 'best'; expected first, last, smallest, nearest or ignore"),
        ([], {}, "no masks and no size"),
        ([], {"size": (0, 3)}, r"\(height, width\), each at least 1"),
        ([PLANE] * 256, {}, "256 persons; expected at most 255"),
        ([PLANE, PLANE[:, :2]], {}, r"mask of person 2: size \(2, 2\); expected \(2, 3\)"),
        ([PLANE], {"size": (3, 2)}, r"mask of person 1: size \(2, 3\); expected \(3, 2\)"),
        ([PLANE.astype(np.int32)], {}, "mask of person 1: an array of int32"),
        ([PLANE[0]], {}, r"mask of person 1: an array of uint8 \(3,\)"),
        ([PLANE[:0]], {}, r"mask of person 1: an array of uint8 \(0, 3\).*not empty"),
    ],
)
def test_refuses(masks, options, text):
    with pytest.raises(OptionError, match=text):
        merge(masks, **options)
