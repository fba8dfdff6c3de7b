"""Joint runs: equal to the slow twin, exact round trip, and checks that reject all invalid input."""

from __future__ import annotations

import re

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mhpdata.errors import OptionError, RecordError
from mhpdata.images.nearest_pixel import resize_labels
from mhpdata.masks.joint_runs import check_runs, count_labels, decode_runs, encode_runs
from mhpdata.masks.resized_runs import resize_runs

SHAPES = [(1, 1), (1, 2), (1, 7), (1, 8), (1, 9), (9, 1), (3, 64), (3, 65), (11, 200)]
SIZE = (3, 6)


def maps(rng, shape, change):
    """Return consistent labels and persons that change at a share of the pixels."""
    pick = np.cumsum(rng.random(shape) < change, axis=1) + rng.integers(0, 99)
    labels = rng.choice([0, 0, 255, *range(19)], 5000)[pick].astype(np.uint8)
    persons = rng.integers(1, 256, 5000)[pick].astype(np.uint8)
    persons[(labels == 0) | (labels == 255)] = 0
    return labels, persons


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("change", [0.0, 0.03, 0.5, 1.0])
def test_equals_the_twin(shape, change):
    labels, persons = maps(np.random.default_rng([*shape, int(100 * change)]), shape, change)
    offsets, runs = encode_runs(labels, persons)
    want_offsets, want_runs = naive.encode_runs(labels, persons)
    np.testing.assert_array_equal(offsets, want_offsets)
    np.testing.assert_array_equal(runs, want_runs)
    assert offsets.dtype == runs.dtype == np.uint32
    check_runs(offsets, runs, shape, 19)
    for decode in (decode_runs, naive.decode_runs):
        got_labels, got_persons = decode(offsets, runs, shape)
        np.testing.assert_array_equal(got_labels, labels)
        np.testing.assert_array_equal(got_persons, persons)


def test_the_widest_row():
    labels = np.zeros((2, 65535), np.uint8)
    labels[0, 65534], labels[1, ::2] = 3, 1
    offsets, runs = encode_runs(labels, labels)
    assert runs[:2].tolist() == [65534, 65535 | 3 << 16 | 3 << 24]
    check_runs(offsets, runs, labels.shape, 4, 3)
    np.testing.assert_array_equal(decode_runs(offsets, runs, labels.shape)[0], labels)


def test_from_a_record_at_an_odd_place_and_read_only():
    labels, persons = maps(np.random.default_rng(1), (5, 40), 0.2)
    offsets, runs = encode_runs(labels, persons)
    data = b"x" + offsets.tobytes() + runs.tobytes()
    offsets = np.frombuffer(data, "<u4", 6, 1)
    runs = np.frombuffer(data, "<u4", -1, 25)
    check_runs(offsets, runs, (5, 40), 19)
    np.testing.assert_array_equal(decode_runs(offsets, runs, (5, 40))[1], persons)


def run(end, label=0, person=0):
    return end | label << 16 | person << 24


GOOD = [run(2), run(4, 3, 1), run(6), run(6, 255), run(1, 4, 2), run(6, 18, 2)]
OFFSETS = [0, 3, 4, 6]


@pytest.mark.parametrize(
    ("offsets", "change", "text"),
    [
        (OFFSETS[:-1], {}, "labels: are damaged (3 row offsets); expected 4"),
        ([*OFFSETS, 6], {}, "labels: are damaged (5 row offsets"),
        ([1, 3, 4, 6], {}, "labels: are damaged (row offsets start at 1"),
        ([0, 3, 4, 5], {}, "labels: are damaged (row offsets end at 5); expected 6"),
        ([0, 3, 4, 7], {}, "labels: are damaged (row offsets end at 7"),
        ([0, 4, 3, 6], {2: run(5), 3: run(6)}, "labels: are damaged (row offset 2 is 3); expected 4 or more"),
        ([0, 2**32 - 1, 4, 6], {}, "labels: are damaged (row offset 1 is 4294967295"),
        ([0, 3, 3, 6], {}, "labels: are damaged (row 1 does not end at column 6"),
        ([0, 0, 4, 6], {}, "labels: are damaged (row 0 does not end at column 6"),
        (OFFSETS, {0: run(0)}, "labels: are damaged (run 0 of row 0 ends at 0"),
        (OFFSETS, {1: run(2, 3, 1)}, "labels: are damaged (run 1 of row 0 ends at 2, not after the run before"),
        (OFFSETS, {1: run(1, 3, 1)}, "labels: are damaged (run 1 of row 0 ends at 1"),
        (OFFSETS, {2: run(5)}, "labels: are damaged (row 0 does not end at column 6"),
        (OFFSETS, {5: run(5, 18, 2)}, "labels: are damaged (row 2 does not end at column 6"),
        (OFFSETS, {2: run(7)}, "labels: are damaged (run 2 of row 0 ends at 7"),
        (OFFSETS, {2: run(65535)}, "labels: are damaged (run 2 of row 0 ends at 65535"),
        (OFFSETS, {4: run(1, 19, 2)}, "labels: are damaged (label 19 in row 2); expected below 19, or 255"),
        (OFFSETS, {4: run(1, 254, 2)}, "labels: are damaged (label 254"),
        (OFFSETS, {4: run(1, 4, 0)}, "labels: are damaged (label 4 with person 0 in row 2"),
        (OFFSETS, {3: run(6, 255, 1)}, "labels: are damaged (label 255 with person 1 in row 1"),
        (OFFSETS, {0: run(2, 0, 2)}, "labels: are damaged (label 0 with person 2 in row 0"),
        (OFFSETS, {4: run(1, 4, 3)}, "labels: are damaged (person 3 in row 2); expected at most 2"),
    ],
)
def test_check_says_what_is_wrong(offsets, change, text):
    runs = np.array([change.get(i, word) for i, word in enumerate(GOOD)], np.uint32)
    check_runs(np.array(OFFSETS, np.uint32), np.array(GOOD, np.uint32), SIZE, 19, 2)
    with pytest.raises(RecordError, match=re.escape(text)):
        check_runs(np.array(offsets, np.uint32), runs, SIZE, 19, 2)


def test_check_of_no_runs_at_all():
    with pytest.raises(RecordError, match="row 0 does not end"):
        check_runs(np.zeros(4, np.uint32), np.zeros(0, np.uint32), SIZE, 19)
    with pytest.raises(RecordError):
        check_runs(np.zeros(0, np.uint32), np.zeros(0, np.uint32), SIZE, 19)


WORDS = st.integers(0, 2**32 - 1) | st.builds(
    run, st.integers(0, 8), st.integers(0, 20) | st.just(255), st.integers(0, 3)
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    offsets=st.lists(st.integers(0, 8) | st.integers(0, 2**32 - 1), min_size=3, max_size=5),
    runs=st.lists(WORDS, max_size=7),
    at=st.integers(0, 5),
    good=st.booleans(),
)
def test_check_agrees_with_the_twin(offsets, runs, at, good):
    if good:  # one word of a valid record changed
        offsets, runs = OFFSETS, [*GOOD[:at], *runs[:1], *GOOD[at + len(runs[:1]) :]]
    words = np.array(offsets, np.uint32), np.array(runs, np.uint32)
    try:
        check_runs(*words, SIZE, 19, 2)
        passed = True
    except RecordError:
        passed = False
    assert passed == naive.runs_are_right(offsets, runs, SIZE, 19, 2)
    if passed:
        np.testing.assert_array_equal(decode_runs(*words, SIZE), naive.decode_runs(*words, SIZE))


PLANE = np.zeros((2, 3), np.uint8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode_runs(PLANE, PLANE[:, :2]),
        lambda: encode_runs(PLANE.astype(np.int64), PLANE),
        lambda: encode_runs(np.zeros((1, 65536), np.uint8), np.zeros((1, 65536), np.uint8)),
        lambda: encode_runs(PLANE[:0], PLANE[:0]),
    ],
)
def test_refuses(call):
    with pytest.raises(OptionError):
        call()


@pytest.mark.parametrize("new", [(1, 1), (7, 3), (13, 29), (40, 8), (26, 58), (5, 97)])
@pytest.mark.parametrize("size", [(1, 1), (13, 29), (3, 50)])
def test_resized_runs_are_the_runs_of_the_resized_maps(size, new):
    rng = np.random.default_rng([*size, *new])
    labels = np.repeat(rng.integers(0, 4, (size[0], size[1] // 3 + 1), np.uint8), 3, axis=1)[:, : size[1]]
    persons = np.where(labels, rng.integers(1, 3, size, np.uint8), 0).astype(np.uint8)
    resized = resize_runs(*encode_runs(labels, persons), size, new)
    expected = encode_runs(resize_labels(labels, new), resize_labels(persons, new))
    np.testing.assert_array_equal(resized[0], expected[0])
    np.testing.assert_array_equal(resized[1], expected[1])


def test_labels_are_counted_from_runs():
    labels = np.random.default_rng(0).integers(0, 256, (9, 31), np.uint8)
    counts = count_labels(*encode_runs(labels, labels))
    np.testing.assert_array_equal(counts, np.bincount(labels.ravel(), minlength=256))
